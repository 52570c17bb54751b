import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Case,
  deadPort,
  LIMIT_CASES,
  midCallCases,
  openAiStartCases,
  startCases,
} from '../bench/failover/cases.ts';
import { hold, type Outcome, openPlay } from '../bench/failover/scene.ts';
import { type Lexicon, makeLexicon } from '../src/commands/drill/lexicon.ts';

/**
 * Whole calls over real sockets in which a provider dies: `npm run bench:failover` with few calls, and with the sentences
 * but not the figures.
 */

let lexicon: Lexicon;

const openAiToGemini = midCallCases(['openai', 'gemini'], 'nova');
const geminiToOpenAi = midCallCases(['gemini', 'openai'], 'nova');
const openAiToNova = midCallCases(['openai', 'nova'], 'gemini');

/** The case whose name begins so. */
function named(cases: readonly Case[], begin: string, more: Partial<Case> = {}): Case {
  const found = cases.find(({ name }) => name.startsWith(begin));
  if (found === undefined) throw new Error(`there is no case ${begin}`);
  return { ...found, ...more };
}

const MID_CALL: readonly Case[] = [
  // That of a provider which falls silent in mid-sentence is for the bench: what was heard of it is not told yet.
  ...openAiToGemini.filter(({ name }) => !name.startsWith('mute')),
  ...LIMIT_CASES,
  named(geminiToOpenAi, 'killed in mid-sentence', { carrier: 'plivo' }),
  named(geminiToOpenAi, 'killed while the caller speaks', { carrier: 'telnyx' }),
  named(geminiToOpenAi, 'killed while a function runs'),
  named(openAiToNova, 'killed in mid-sentence', { carrier: 'telnyx', route: 'events' }),
  named(openAiToNova, 'killed while the caller speaks', { carrier: 'plivo' }),
  named(openAiToNova, 'killed between result and answer'),
];

const START: readonly Case[] = [
  ...openAiStartCases(await deadPort()),
  named(startCases(['gemini', 'openai']), '401', { carrier: 'telnyx' }),
  named(startCases(['gemini', 'openai']), 'cut while connecting', { carrier: 'plivo' }),
  named(startCases(['openai', 'nova']), '500', { carrier: 'telnyx', route: 'events' }),
];

function title({ name, providers, carrier = 'twilio', route }: Case): string {
  return `${name} (${providers.join(', ')}; ${carrier}${route === 'events' ? ' by Call Control' : ''})`;
}

const CASES = [...START, ...MID_CALL].map((one) => ({ one, title: title(one) }));
const outcomes = new Map<Case, Outcome>();

/** All of them at once, and none is judged while others are up: that takes a tenth of a second of this process each. */
async function holdAll(cases: readonly Case[]): Promise<void> {
  const held = await Promise.all(
    cases.map(async (one) => {
      await using play = await openPlay(one, lexicon);
      return { one, judge: await hold(one, play.begin()) };
    }),
  );
  for (const { one, judge } of held) outcomes.set(one, judge());
}

beforeAll(async () => {
  lexicon = await makeLexicon();
  const cases = CASES.map(({ one }) => one);
  await holdAll(cases);
  // A machine that stands still makes another call of it; with fewer at once it will not.
  const again = cases.filter((one) => {
    const outcome = outcomes.get(one);
    return outcome?.disturbed === true && outcome.problems.length > 0;
  });
  await holdAll(again);
}, 180_000);

describe.each(CASES)('a call with a provider of which this becomes: $title', ({ one }) => {
  it('goes on without a word of the caller lost, one of the agent said again, or a function run twice', () => {
    const outcome = outcomes.get(one);
    expect(outcome?.problems, outcome?.trace()).toEqual([]);
    expect(outcome?.tried).toBe(true);
  });
});
