import { describe, expect, it } from 'vitest';
import { AgentBook } from '../src/agent-book.ts';
import { type Agent, voiceAgent } from '../src/agents.ts';
import { mistakesOf } from '../src/agents-file/mistakes.ts';
import { type AgentsFile, readAgentsFile } from '../src/agents-file.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { makeFolder, wavFile } from './support/agents-folder.ts';

/** What an agents file says of the case that a provider fails. */

const SOUNDS = {
  'a.wav': wavFile(8000),
  'b.wav': wavFile(16_000),
  'long.wav': wavFile(8000, 1, 61),
  'empty.wav': wavFile(8000, 1, 0),
  'words.txt': 'no sound',
};
const PROVIDERS = ['openai', 'gemini', 'local'].map((name) => ({ name, lacks: undefined }));

async function read(text: string): Promise<AgentsFile> {
  using folder = makeFolder({ ...SOUNDS, 'agents.yaml': text });
  return await readAgentsFile(folder.at('agents.yaml'), {}, { providers: PROVIDERS });
}

/** The mistakes of a file with one agent, each as `line:column path: text`. */
async function mistakes(line: string): Promise<readonly string[]> {
  const error = await read(`agents:\n  a:\n    ${line}\n`).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return (mistakesOf(error)?.mistakes ?? []).map(
    (one) => `${one.line}:${one.column} ${one.path}: ${one.text}`,
  );
}

const FACTS = {
  callId: 'CA1',
  carrier: 'twilio',
  direction: 'inbound',
  from: '+15550123',
  to: '+15550100',
  callerName: 'Ann',
  epochMs: 0,
} as const;

async function agent(line: string, base?: Agent): Promise<Agent> {
  const file = await read(`agents: { a: { ${line} } }`);
  return new AgentBook(file, base).agentFor('a', FACTS, {}, []);
}

const TEXT = {
  instructions: undefined,
  greeting: undefined,
  voice: undefined,
  language: undefined,
  audio: 'wideband',
  maxCallMs: 600_000,
  silenceMs: 15_000,
} as const;
const BASE = voiceAgent(
  {
    ...TEXT,
    failover: { connectMs: 3000, hedgeMs: 700, answerMs: 4000 },
    lastResort: {
      type: 'transfer',
      to: '+15550199',
      callerId: undefined,
      ringS: 25,
      announce: undefined,
      language: 'en',
    },
  },
  [],
);

describe('the fail-over of an agent', () => {
  it('is that of the service where the agent says nothing of it', async () => {
    expect((await agent('')).failover).toEqual(FAILOVER);
    expect((await agent('', BASE)).failover).toEqual({
      connectMs: 3000,
      hedgeMs: 700,
      answerMs: 4000,
      gapFiller: FAILOVER.gapFiller,
    });
  });

  it.each([
    ['connectSeconds: 1.5', { connectMs: 1500, hedgeMs: 700, answerMs: 4000 }],
    ['hedgeSeconds: 0', { connectMs: 3000, hedgeMs: 0, answerMs: 4000 }],
    ['answerSeconds: 0', { connectMs: 3000, hedgeMs: 700, answerMs: 0 }],
    ['hedgeSeconds: 0.333, answerSeconds: 7', { connectMs: 3000, hedgeMs: 333, answerMs: 7000 }],
  ])('has its own times, each for itself: %s', async (times, wanted) => {
    expect((await agent(`failover: { ${times} }`, BASE)).failover).toEqual({
      ...wanted,
      gapFiller: FAILOVER.gapFiller,
    });
  });

  it('has no filler, a tone, or a clip when it wants that', async () => {
    expect((await agent('failover: { filler: false }')).failover.gapFiller).toBeUndefined();
    const tone = await agent('failover: { filler: { afterMs: 300 } }');
    expect(tone.failover.gapFiller).toEqual({ afterMs: 300, clips: undefined });
    const one = (await agent('failover: { filler: { clip: a.wav } }')).failover.gapFiller;
    expect(one?.afterMs).toBe(800);
    expect([...(one?.clips ?? [])]).toEqual([['', expect.objectContaining({ rate: 8000 })]]);
  });

  it('has a clip for each language, by tags as they are usually written', async () => {
    const clips = '{ DE: a.wav, de-at: b.wav, default: a.wav }';
    const { gapFiller } = (await agent(`failover: { filler: { clip: ${clips} } }`)).failover;
    const found = [...(gapFiller?.clips ?? [])].map(([language, { rate }]) => [language, rate]);
    expect(found).toEqual([
      ['de', 8000],
      ['de-AT', 16_000],
      ['', 8000],
    ]);
  });

  it('shares a clip that several agents name, for whatever they need it', async () => {
    const file = await read(`agents:
  a: { failover: { filler: { clip: { de: a.wav, default: a.wav } } }, filler: { clip: a.wav } }
  b: { failover: { filler: { clip: ./a.wav } } }
numbers: []
`);
    const book = new AgentBook(file);
    const [a, b] = ['a', 'b'].map((name) => book.agentFor(name, FACTS, {}, []));
    const clip = a?.filler?.clip;
    expect(clip).toBeDefined();
    expect(a?.failover.gapFiller?.clips?.get('de')).toBe(clip);
    expect(a?.failover.gapFiller?.clips?.get('')).toBe(clip);
    expect(b?.failover.gapFiller?.clips?.get('')).toBe(clip);
    // Looked at for changes once.
    expect(file.sources.filter(({ path }) => path.endsWith('a.wav'))).toHaveLength(1);
  });

  const SECONDS = 'a number from 1 to 300, or 0 for never';
  const CLIP = 'a path, or one for each language: { de: PATH, default: PATH }';
  const WAV = 'wanted a WAV file of at most a minute';

  it.each([
    ['failover: 5', '3:15 agents.a.failover: found 5, wanted an object'],
    [
      'failover: { conectSeconds: 5 }',
      '3:17 agents.a.failover.conectSeconds: found an unknown key "conectSeconds", did you mean "connectSeconds"?',
    ],
    [
      'failover: { connectSeconds: 0 }',
      '3:33 agents.a.failover.connectSeconds: found 0, wanted a number from 0.5 to 60',
    ],
    [
      'failover: { connectSeconds: .inf }',
      '3:33 agents.a.failover.connectSeconds: found a number, wanted a number from 0.5 to 60',
    ],
    [
      'failover: { hedgeSeconds: 0.01 }',
      '3:31 agents.a.failover.hedgeSeconds: found 0.01, wanted a number from 0.1 to 60, or 0 for never',
    ],
    ['failover: { answerSeconds: -1 }', `3:32 agents.a.failover.answerSeconds: found -1, wanted ${SECONDS}`],
    [
      'failover: { answerSeconds: 10s }',
      `3:32 agents.a.failover.answerSeconds: found "10s", wanted ${SECONDS}`,
    ],
    [
      'failover: { answerSeconds: false }',
      `3:32 agents.a.failover.answerSeconds: found false, wanted ${SECONDS}`,
    ],
    ['failover: { filler: true }', '3:25 agents.a.failover.filler: found true, wanted false or an object'],
    [
      'failover: { filler: { afterMs: 50 } }',
      '3:36 agents.a.failover.filler.afterMs: found 50, wanted a whole number from 100 to 10000',
    ],
    ['failover: { filler: { clip: 3 } }', `3:33 agents.a.failover.filler.clip: found 3, wanted ${CLIP}`],
    [
      'failover: { filler: { clip: {} } }',
      `3:33 agents.a.failover.filler.clip: found an object without keys, wanted ${CLIP}`,
    ],
    [
      'failover: { filler: { clip: [a.wav] } }',
      `3:33 agents.a.failover.filler.clip: found a list of 1, wanted ${CLIP}`,
    ],
    [
      'failover: { filler: { clip: { german: a.wav } } }',
      '3:35 agents.a.failover.filler.clip.german: found the name "german", wanted a language tag such as "en" or "de-AT", or "default"',
    ],
    [
      'failover: { filler: { clip: { de: "" } } }',
      '3:39 agents.a.failover.filler.clip.de: found empty text, wanted a path, relative to the agents file',
    ],
    [
      'failover: { filler: { clip: { de: a.wav, default: no.wav } } }',
      `3:55 agents.a.failover.filler.clip.default: found no such file at "no.wav", ${WAV}`,
    ],
    [
      'failover: { filler: { clip: words.txt } }',
      `3:33 agents.a.failover.filler.clip: found a file that is no such sound (file of 8 bytes begins with "", wanted "RIFF WAVE"), ${WAV}`,
    ],
    [
      'failover: { filler: { clip: long.wav } }',
      `3:33 agents.a.failover.filler.clip: found a file that is no such sound (found 61 s, wanted at most 60 s), ${WAV}`,
    ],
    [
      'failover: { filler: { clip: empty.wav } }',
      `3:33 agents.a.failover.filler.clip: found a file that is no such sound (found a WAV without sound), ${WAV}`,
    ],
  ])('is told of with its place when it is wrong: %s', async (line, wanted) => {
    expect(await mistakes(line)).toEqual([wanted]);
  });

  it('has clips for at most 64 languages', async () => {
    const tags = Array.from(
      { length: 65 },
      (_, i) => `de-${String.fromCharCode(65 + (i % 26))}${String.fromCharCode(65 + Math.floor(i / 26))}`,
    );
    const [wrong, ...others] = await mistakes(
      `failover: { filler: { clip: { ${tags.map((tag) => `${tag}: a.wav`).join()} } } }`,
    );
    expect(wrong).toBe('3:33 agents.a.failover.filler.clip: found an object, wanted at most 64 languages');
    expect(others).toEqual([]);
  });

  it('has a mistake for each place that names a sound which cannot be used', async () => {
    expect(
      await mistakes('{ filler: { clip: no.wav }, failover: { filler: { clip: { de: no.wav } } } }'),
    ).toEqual([
      `3:23 agents.a.filler.clip: found no such file at "no.wav", ${WAV}`,
      `3:67 agents.a.failover.filler.clip.de: found no such file at "no.wav", ${WAV}`,
    ]);
  });
});

describe('the providers of an agent', () => {
  it('are a list in order, in which one may be several times with different models', async () => {
    const list = '[{ name: openai, model: a }, gemini, { name: openai, model: b, voice: cedar }, openai]';
    expect((await agent(`providers: ${list}`)).providers).toEqual([
      { name: 'openai', model: 'a', voice: undefined, overrides: {} },
      { name: 'gemini', model: undefined, voice: undefined, overrides: {} },
      { name: 'openai', model: 'b', voice: 'cedar', overrides: {} },
      { name: 'openai', model: undefined, voice: undefined, overrides: {} },
    ]);
  });

  it.each([
    '[{ name: openai, overrides: { a: 1 } }, { name: openai, overrides: { a: 2 } }]',
    '[{ name: openai, overrides: { a: 1 } }, openai]',
  ])('may differ in raw settings: %s', async (list) => {
    expect((await agent(`providers: ${list}`)).providers).toHaveLength(2);
  });

  const TWICE = 'found what is the same as providers.0, wanted each provider once, or with another model';

  it.each([
    ['providers: [openai, openai]', [`3:25 agents.a.providers.1: ${TWICE}`]],
    [
      'providers: [openai, gemini, { name: openai }, openai]',
      [`3:33 agents.a.providers.2: ${TWICE}`, `3:51 agents.a.providers.3: ${TWICE}`],
    ],
    [
      'providers: [{ name: openai, model: a, voice: x }, { name: openai, model: a, voice: y }]',
      [`3:55 agents.a.providers.1: ${TWICE}`],
    ],
    [
      'providers: [openai, gemni]',
      ['3:25 agents.a.providers.1: found "gemni", which is no provider, did you mean "gemini"?'],
    ],
    ['providers: []', ['3:16 agents.a.providers: found an empty list, wanted at least one provider']],
  ])('are told of with their place when they are wrong: %s', async (line, wanted) => {
    expect(await mistakes(line)).toEqual(wanted);
  });
});

describe('the last resort of an agent', () => {
  it('is that of the service where the agent says nothing of it', async () => {
    expect((await agent('', BASE)).lastResort).toMatchObject({ type: 'transfer', to: '+15550199' });
  });

  it('may be a message that the carrier takes, in words that are filled in', async () => {
    const line = 'language: de-AT, lastResort: { message: "{{caller_name}}, speak." }';
    expect((await agent(line)).lastResort).toEqual({
      type: 'message',
      text: 'Ann, speak.',
      language: 'de-AT',
      maxS: 120,
    });
    const own = 'lastResort: { message: Speak., language: fr, maxSeconds: 30 }';
    expect((await agent(own)).lastResort).toEqual({
      type: 'message',
      text: 'Speak.',
      language: 'fr',
      maxS: 30,
    });
  });

  it('is that of the service when nothing is left of its text', async () => {
    const line = 'variables: { x: "" }, lastResort: { message: "{{x}}" }';
    expect((await agent(line, BASE)).lastResort).toMatchObject({ type: 'transfer' });
  });

  it.each([
    [
      'lastResort: { message: Hi, maxSeconds: 3 }',
      '3:44 agents.a.lastResort.maxSeconds: found 3, wanted a whole number from 5 to 600',
    ],
    [
      'lastResort: { message: "" }',
      '3:28 agents.a.lastResort.message: found empty text, wanted text of 1 to 2000 characters',
    ],
    [
      'lastResort: { message: Hi, say: Bye }',
      '3:19 agents.a.lastResort.message: found it beside "say", wanted one or the other',
    ],
    [
      'lastResort: { say: Bye, maxSeconds: 30 }',
      '3:29 agents.a.lastResort.maxSeconds: found it beside "say", wanted one or the other',
    ],
    [
      'lastResort: { mesage: Hi }',
      '3:19 agents.a.lastResort.mesage: found an unknown key "mesage", did you mean "message"?',
    ],
    [
      'lastResort: { message: "{{nobody}} speaks" }',
      '3:29 agents.a.lastResort.message: found {{nobody}}, wanted a variable of a call, or one that is declared under variables',
    ],
    ['lastResort: voicemail', '3:17 agents.a.lastResort: found "voicemail", wanted "hang-up" or an object'],
  ])('is told of with its place when it is wrong: %s', async (line, wanted) => {
    expect(await mistakes(line)).toEqual([wanted]);
  });
});
