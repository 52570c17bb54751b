import { beforeAll, describe, expect, it } from 'vitest';
import { AGENT_VOICES, type Lexicon, makeLexicon, NUMBERS } from '../src/commands/drill/lexicon.ts';
import type { Usage } from '../src/provider.ts';
import { defineTool } from '../src/tools.ts';
import { type ActorName, type ActorOptions, startActor, warmUp } from './support/actors.ts';
import { counts, type Heard, Talk } from './support/talk.ts';

/** Calls that are longer than the sessions of their provider. */

interface Long {
  readonly title: string;
  readonly name: ActorName;
  readonly options: Omit<ActorOptions, 'respond'>;
  /** How many numbers one answer has. */
  readonly atOnce: number;
  /** The agent looks something up before it answers. */
  readonly looksUp: boolean;
  act(talk: Talk): Promise<unknown>;
}

const CALM_MS = 1300;
/** How many more sessions a call lives through. */
const CHANGES = 2;
const MOST_TURNS = 12;
/** The agent has nothing to say after that. */
const LAST_NUMBER = 10;

/** Caller and agent speak in turns, with a pause after each, until there were enough sessions, and once more. */
async function inTurns(talk: Talk): Promise<void> {
  for (let turn = 0; turn < MOST_TURNS && talk.changes.length < CHANGES; turn++) {
    await talk.spell(1);
    await talk.answered(CALM_MS);
  }
  await talk.spell(1);
  await talk.answered(CALM_MS);
}

/** Each session is exchanged in the first pause after 8 s, and would be by force after 11 s. */
function calm(title: string, name: ActorName, more: Partial<ActorOptions> = {}): Long {
  const options = { sessionMs: 14_500, marginMs: 12_500, ...more };
  return { title, name, options, atOnce: 1, looksUp: true, act: inTurns };
}

/** The words of the caller are written down before a function is called. */
const WORDS_FIRST = { firstAudioMs: 300 } as const;

const CALM: readonly Long[] = [
  calm('OpenAI', 'openai'),
  calm('Gemini', 'gemini', WORDS_FIRST),
  calm('Gemini that gives no handles', 'gemini', { ...WORDS_FIRST, resumes: false }),
  calm('Nova', 'nova'),
  calm('xAI', 'xai'),
];

/** After 6 s there has to be another session, whoever speaks. */
const HURRIED = { sessionMs: 9500, marginMs: 5000 } as const;

function whileAgentSpeaks(title: string, name: ActorName): Long {
  return {
    title: `${title}, while the agent speaks`,
    name,
    options: HURRIED,
    atOnce: LAST_NUMBER,
    looksUp: false,
    async act(talk) {
      await talk.spell(2);
      await talk.answered(2000);
    },
  };
}

function whileCallerSpeaks(title: string, name: ActorName): Long {
  return {
    title: `${title}, while the caller speaks`,
    name,
    options: HURRIED,
    atOnce: 3,
    looksUp: false,
    async act(talk) {
      await talk.spell(10);
      await talk.answered(CALM_MS);
    },
  };
}

const AGENT_CUT: readonly Long[] = [
  whileAgentSpeaks('OpenAI', 'openai'),
  whileAgentSpeaks('Gemini', 'gemini'),
  whileAgentSpeaks('Nova', 'nova'),
];
const CALLER_CUT: readonly Long[] = [
  whileCallerSpeaks('OpenAI', 'openai'),
  whileCallerSpeaks('Gemini', 'gemini'),
  whileCallerSpeaks('Nova', 'nova'),
];

interface Came {
  readonly talk: Talk;
  readonly toolRuns: number;
  /** All sessions were closed before the service was. */
  readonly open: number;
}

const came = new Map<Long, Came>();

async function hold(long: Long, lexicon: Lexicon): Promise<void> {
  let toolRuns = 0;
  const lookUp = defineTool({
    name: 'look_up',
    description: 'Looks something up.',
    parameters: { type: 'object', properties: {} },
    run: () => {
      toolRuns += 1;
      return { found: true };
    },
  });
  const count = counts(lexicon, AGENT_VOICES[0] ?? '', long.atOnce, LAST_NUMBER);
  const actor = await startActor(long.name, {
    ...long.options,
    respond: (question) =>
      long.looksUp && question.kind === 'user-turn'
        ? { toolCalls: [{ name: 'look_up', args: {} }] }
        : count(question),
  });
  await using talk = await Talk.begin({ actors: [actor], lexicon, tools: long.looksUp ? [lookUp] : [] });
  await long.act(talk);
  await talk.hangUp();
  await talk.sessionsClosed();
  came.set(long, { talk, toolRuns, open: talk.sessions.filter(({ isOpen }) => isOpen).length });
}

// All at once, and none is judged while others are up: that takes a tenth of a second of this process each.
beforeAll(async () => {
  const lexicon = await makeLexicon();
  await warmUp();
  await Promise.allSettled([...CALM, ...AGENT_CUT, ...CALLER_CUT].map((long) => hold(long, lexicon)));
}, 60_000);

function outcome(long: Long): Came & { readonly heard: Heard } {
  const one = came.get(long);
  if (one === undefined) throw new Error('the call could not be held');
  return { ...one, heard: one.talk.judge() };
}

function tokens(usages: readonly Usage[]): number {
  return usages.reduce((sum, usage) => sum + usage.inputAudioTokens + usage.outputAudioTokens, 0);
}

/** What holds for every call, whatever became of its sessions. */
function wentWell(long: Long): ReturnType<typeof outcome> {
  const all = outcome(long);
  const { talk, heard, open } = all;
  const trace = talk.trace();
  expect(heard, trace).toMatchObject({ lost: [], unheard: [] });
  expect(heard.twice.length + heard.skipped.length, trace).toBeLessThanOrEqual(talk.doubtful);
  expect(talk.endReason).toBe('caller-hung-up');
  expect(talk.sessions.flatMap((session) => session.complaints())).toEqual([]);
  expect(open).toBe(0);
  expect(tokens(talk.billed)).toBe(tokens(talk.actors.flatMap(({ charged }) => charged)));
  return all;
}

describe.each(CALM)('a call that outlives its sessions with $title', (long) => {
  it('goes on as if there was one, without a word lost, said again, or a function run twice', () => {
    const { talk, toolRuns, heard } = wentWell(long);
    const trace = talk.trace();
    expect(talk.changes.length, trace).toBeGreaterThanOrEqual(CHANGES);
    expect(talk.of('providerFailed'), trace).toEqual([]);
    for (const change of talk.changes) expect(change).toMatchObject({ why: 'renewal', replayedMs: 0 });
    const turns = talk.turns;
    expect(heard.agent.length).toBeGreaterThanOrEqual(turns - talk.doubtful);
    expect(toolRuns).toBe(turns);
    expect(talk.asked('user-turn')).toBe(turns);
    expect(talk.asked('greeting')).toBe(1);
  });
});

describe('a session that can be gone on with', () => {
  it('is gone on with, and is told nothing', () => {
    const { talk } = outcome(CALM[1] as Long);
    const [, ...later] = talk.actors[0]?.requests ?? [];
    expect(later.length).toBeGreaterThanOrEqual(CHANGES);
    expect(later.every(({ resume }) => resume !== undefined)).toBe(true);
    expect(talk.changes.every(({ resumed, historyItems }) => resumed && historyItems === 0)).toBe(true);
  });
});

describe.each(AGENT_CUT)('a session that ends by the clock: $title', (long) => {
  it('is followed by one that says the rest, without a second beginning', () => {
    const { talk, heard } = outcome(long);
    expect(talk.changes[0]?.why, talk.trace()).toBe('failover');
    expect(heard).toMatchObject({ lost: [], unheard: [] });
    // Which word was the last that there was sound for is guessed by the pace of the agent, so one or two may be said
    // again, or be left out, at each change.
    const slips = 2 * talk.changes.length + talk.doubtful;
    expect(heard.twice.length + heard.skipped.length, talk.trace()).toBeLessThanOrEqual(slips);
    expect(heard.agent[0]?.text).toBe('hello');
    expect(talk.asked('user-turn')).toBe(1);
    expect(talk.said.at(-1)).toBe(NUMBERS[LAST_NUMBER - 1]);
  });
});

describe.each(CALLER_CUT)('a session that ends by the clock: $title', (long) => {
  it('is followed by one that has heard everything, and answers once', () => {
    const { talk, heard } = wentWell(long);
    expect(talk.changes[0]?.why, talk.trace()).toBe('failover');
    expect(heard.agent.length).toBeGreaterThanOrEqual(4 - talk.doubtful);
    expect(talk.said).toEqual(['hello', 'one', 'two', 'three']);
    expect(talk.asked('user-turn')).toBe(1);
  });
});
