import { beforeAll, describe, expect, it } from 'vitest';
import type { Agent } from '../src/agents.ts';
import type { CarrierName } from '../src/carrier.ts';
import { AGENT_VOICES, type Lexicon, makeLexicon } from '../src/commands/drill/lexicon.ts';
import type { Env } from '../src/config.ts';
import type { CallOptions } from '../src/sim/phone.ts';
import { type Actor, type ActorName, startActor, warmUp } from './support/actors.ts';
import { counts, type Heard, Talk } from './support/talk.ts';

/** Each provider takes the call of another one over: what it knows by then, and what is heard of both. */

interface Line {
  readonly carrier?: CarrierName;
  readonly route?: 'voice' | 'events';
  readonly env?: Env;
  readonly settings?: CallOptions['settings'];
}

interface Pair {
  readonly first: ActorName;
  readonly second: ActorName;
  readonly when: 'the agent speaks' | 'the caller speaks';
  readonly audio?: Agent['audio'];
  readonly line?: Line;
}

/** In every place once as the first and once as the second. */
const RING: readonly ActorName[] = [
  'openai',
  'gemini',
  'azure-voice-live',
  'nova',
  'xai',
  'azure',
  'inworld',
];

const WIDE: Line = {
  carrier: 'telnyx',
  route: 'events',
  env: { TELNYX_CODEC: 'L16/16000' },
  settings: { legCodec: 'L16/16000' },
};
const A_LAW: Line = {
  carrier: 'telnyx',
  env: { TELNYX_CODEC: 'PCMA' },
  settings: { legCodec: 'PCMA' },
};

const PAIRS: readonly Pair[] = [
  ...RING.map((first, i): Pair => {
    const second = RING[(i + 1) % RING.length] ?? 'openai';
    return { first, second, when: i % 2 === 0 ? 'the agent speaks' : 'the caller speaks' };
  }),
  { first: 'openai-live', second: 'openai', when: 'the caller speaks' },
  { first: 'nova', second: 'openai-live', when: 'the agent speaks' },
  // Mu-law goes through untouched to the one, and not to the other.
  { first: 'openai', second: 'gemini', when: 'the agent speaks', audio: 'passthrough' },
  { first: 'nova', second: 'xai', when: 'the caller speaks', audio: 'passthrough' },
  { first: 'azure', second: 'nova', when: 'the caller speaks', audio: 'passthrough', line: A_LAW },
  { first: 'gemini', second: 'openai', when: 'the agent speaks', line: WIDE },
];

const AT_ONCE = 8;

function title({ first, second, when, audio, line }: Pair): string {
  const how = [audio, line?.env?.['TELNYX_CODEC']].filter((one) => one !== undefined).join(', ');
  return `${second} in the place of ${first} while ${when}${how === '' ? '' : ` (${how})`}`;
}

const CASES = PAIRS.map((pair) => ({ pair, title: title(pair) }));
const came = new Map<Pair, Talk>();

async function begin({ first, second, audio, line = {} }: Pair, lexicon: Lexicon): Promise<Talk> {
  const { settings, ...terms } = line;
  const actors: Actor[] = [];
  // One that could go on with its own session would be tried before the other.
  for (const [i, name] of [first, second].entries()) {
    const respond = counts(lexicon, AGENT_VOICES[i] ?? '', i === 0 ? AT_ONCE : 3);
    actors.push(await startActor(name, { respond, resumes: false }));
  }
  const calls = settings === undefined ? {} : { calls: { settings } };
  const agent = audio === undefined ? {} : { agent: { audio } };
  return await Talk.begin({ actors, lexicon, ...agent, ...terms, ...calls });
}

async function hold(pair: Pair, lexicon: Lexicon): Promise<void> {
  await using talk = await begin(pair, lexicon);
  const dies = (): void => talk.actors[0]?.sessions.at(-1)?.drop();
  if (pair.when === 'the agent speaks') {
    await talk.spell(2);
    await talk.phone.untilHeard(1200);
    dies();
    await talk.event('providerReady', ({ why }) => why === 'failover');
  } else {
    const said = talk.spell(6);
    await talk.phone.next('caller-speaking');
    await talk.pause(1800);
    dies();
    await said;
  }
  await talk.answered(1200);
  await talk.spell(2);
  await talk.answered(1000);
  await talk.hangUp();
  came.set(pair, talk);
}

// All at once, and none is judged while others are up: that takes a tenth of a second of this process each.
beforeAll(async () => {
  const lexicon = await makeLexicon();
  await warmUp();
  await Promise.allSettled(PAIRS.map((pair) => hold(pair, lexicon)));
}, 60_000);

function outcome(pair: Pair): { readonly talk: Talk; readonly heard: Heard } {
  const talk = came.get(pair);
  if (talk === undefined) throw new Error('the call could not be held');
  return { talk, heard: talk.judge() };
}

describe.each(CASES)('$title', ({ pair }) => {
  it('goes on where the other one ended, knows what was said, and is understood', () => {
    const { talk, heard } = outcome(pair);
    const trace = talk.trace();
    const [change] = talk.changes;
    expect(change, trace).toMatchObject({ provider: pair.second, why: 'failover' });
    expect(talk.of('providerFailed')).toHaveLength(1);
    expect(talk.endReason).toBe('caller-hung-up');
    expect(talk.sessions.flatMap((session) => session.complaints())).toEqual([]);
    // Sound is only found at its own pitch, so this says that every codec on the way was the right one.
    expect(heard, trace).toMatchObject({ lost: [], unheard: [] });
    const voices = heard.agent.map(({ voice }) => voice);
    const seam = voices.indexOf(AGENT_VOICES[1] ?? '');
    expect(seam, trace).toBeGreaterThan(0);
    expect(new Set(voices.slice(seam))).toEqual(new Set([AGENT_VOICES[1]]));
    expect(heard.agent.filter(({ text }) => text === 'hello')).toHaveLength(1);
    // Which word was the last that there was sound for is guessed by the pace of the agent, so it may be said again, or be
    // left out.
    const slips = (pair.when === 'the agent speaks' ? 1 : 0) + talk.doubtful;
    expect(heard.twice.length + heard.skipped.length, trace).toBeLessThanOrEqual(slips);
    // It was asked to go on, or has heard the question; and then the caller spoke once more.
    const asked =
      talk.actors[1]?.sessions.flatMap(({ questions }) => questions).map(({ kind }) => kind) ?? [];
    expect(asked, trace).toEqual([
      pair.when === 'the agent speaks' ? expect.any(String) : 'user-turn',
      'user-turn',
    ]);
  });
});
