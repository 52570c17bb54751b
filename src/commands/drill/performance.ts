import { decodeG711 } from '../../audio/g711.ts';
import type { CarrierName } from '../../carrier.ts';
import { BridgeError } from '../../errors.ts';
import type { CallReport } from '../../sim/phone.ts';
import { defineTool, type Tool } from '../../tools.ts';
import { countingModel } from './counting-model.ts';
import { type Gap, gapOf, recordingOffset } from './gap.ts';
import { AGENT_VOICES, HELLO, LETTERS, type Lexicon, NUMBERS } from './lexicon.ts';
import { Stage, type StagedCall } from './stage.ts';
import { type Ask, RESULT, type Reply, type StandInName, type StandInSession } from './stand-ins.ts';
import { atSeam, type FoundWord, missing, readWords, repeated } from './words.ts';

/** When the first provider dies. */
export const KILLS = ['mid-sentence', 'while-caller-speaks', 'during-tool', 'stall'] as const;
export type Kill = (typeof KILLS)[number];

export interface DrillPlan {
  readonly carrier: CarrierName;
  readonly kill: Kill;
  readonly providers: readonly StandInName[];
  readonly lexicon: Lexicon;
}

/** What came of a drill. Times in ms since the call was placed. */
export interface DrillResult {
  readonly call: StagedCall;
  readonly report: CallReport;
  readonly plan: DrillPlan;
  readonly killedMs: number;
  /** When the recordings begin. */
  readonly recordingMs: number;
  /** What the caller heard of the agent, in the times of the recording. */
  readonly heard: readonly FoundWord[];
  /** What the caller said, and what of it reached no provider whole. */
  readonly said: readonly string[];
  readonly lost: readonly string[];
  /** Numbers that were heard more than once, and those in between that never were. */
  readonly twice: readonly string[];
  /** The last word of the provider that died, said once more by the next one. */
  readonly seam: readonly string[];
  readonly skipped: readonly string[];
  /** By the caller's ear; undefined: nobody took over. */
  readonly gap: Gap | undefined;
  /** How often the function was run. */
  readonly toolRuns: number;
}

const SPELT = LETTERS.slice(0, 8);
const LOOK_UP = 'look_up';
const TOOL_MS = 900;
/** The agent has finished when it has been quiet for so long: it makes pauses between its numbers. */
const QUIET_MS = 1400;
/** Rather as fast as heard, so that a provider that dies takes words with it. */
const SPEED = 1.5;

/** The function takes its time, so that a provider can die meanwhile. */
function lookUp(stage: () => Stage, started: () => void): Tool {
  return defineTool({
    name: LOOK_UP,
    description: 'Looks something up.',
    parameters: { type: 'object', properties: { what: { type: 'string' } } },
    async run() {
      started();
      await pause(stage(), TOOL_MS);
      return { found: RESULT };
    },
  });
}

function pause({ clock }: Stage, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Holds one call during which the first provider is killed. Rejects with a BridgeError when it cannot begin. */
export async function perform(plan: DrillPlan, stop: AbortSignal): Promise<DrillResult & AsyncDisposable> {
  let toolRuns = 0;
  let toolStarted: () => void = () => undefined;
  const running = new Promise<void>((resolve) => {
    toolStarted = resolve;
  });
  const tools = [
    lookUp(
      () => stage,
      () => {
        toolRuns += 1;
        toolStarted();
      },
    ),
  ];
  const stage: Stage = await Stage.open({
    carrier: plan.carrier,
    greeting: HELLO,
    providers: plan.providers.map((name, i) => [name, { respond: model(plan, i), speedFactor: SPEED }]),
    tools: plan.kill === 'during-tool' ? tools : [],
    // Shorter than in a service, so that nobody has to wait for the end of the drill.
    failover: { answerSeconds: 2 },
  });
  const call = stage.place();
  const leave = (): void => void call.phone.hangUp();
  stop.addEventListener('abort', leave, { once: true });
  // A call that is over, or that never came up, has its reasons in the report.
  const killedMs = await Promise.race([talk(stage, call, plan, running), call.phone.ended.then(() => 0)]);
  const report = await call.phone.hangUp();
  stop.removeEventListener('abort', leave);
  return {
    ...judge(call, plan.lexicon, report.firstAgentMs),
    gap: gapOf(call, report.firstAgentMs, killedMs, agreedUntil(call, plan.kill)),
    call,
    report,
    plan,
    killedMs,
    toolRuns,
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
}

/** Until when nothing could be heard, whoever holds the call; in ms since the call was placed. */
function agreedUntil(call: StagedCall, kill: Kill): number {
  const found = call.stamped.find(({ event }) =>
    kill === 'stall' ? event.type === 'providerFailed' : kill === 'during-tool' && event.type === 'tool',
  );
  return found === undefined ? 0 : found.clockMs - call.placedMs;
}

function model({ lexicon, kill }: DrillPlan, index: number): (ask: Ask) => Reply {
  const voice = AGENT_VOICES[index] ?? '';
  return countingModel({ lexicon, voice, atOnce: 10, ...(kill === 'during-tool' ? { calls: LOOK_UP } : {}) });
}

/** Resolves to the time of the kill, in ms since the call was placed. */
async function talk(
  stage: Stage,
  call: StagedCall,
  plan: DrillPlan,
  toolRuns: Promise<void>,
): Promise<number> {
  const { phone } = call;
  await phone.streaming.catch(() => undefined);
  await phone.untilQuiet(600);
  const spoken = phone.speak(plan.lexicon.speech(SPELT));
  const killedMs = await killAt(stage, call, plan.kill, spoken, toolRuns);
  await spoken;
  await phone.untilQuiet(QUIET_MS);
  return killedMs;
}

async function killAt(
  stage: Stage,
  call: StagedCall,
  kill: Kill,
  spoken: Promise<boolean>,
  toolRuns: Promise<void>,
): Promise<number> {
  switch (kill) {
    case 'mid-sentence':
      await spoken;
      await call.phone.untilQuiet(0);
      await pause(stage, 2500);
      return die(stage, call, 'drop');
    case 'while-caller-speaks':
      await call.phone.next('caller-speaking');
      await pause(stage, 1700);
      return die(stage, call, 'drop');
    case 'during-tool':
      await toolRuns;
      await pause(stage, 200);
      return die(stage, call, 'drop');
    case 'stall':
      await call.phone.next('caller-speaking');
      await pause(stage, 1700);
      return die(stage, call, 'stall');
  }
}

function die({ clock }: Stage, call: StagedCall, how: 'drop' | 'stall'): number {
  const session = sessionInUse(call);
  session.connection[how]();
  return clock.now() - call.placedMs;
}

function sessionInUse({ sessions }: StagedCall): StandInSession {
  const session = sessions.findLast(({ connection }) => connection.isOpen);
  if (session === undefined) throw new BridgeError('INTERNAL', 'there is no session that could be killed');
  return session;
}

/** What of a call can be read from its recordings. */
export interface Judgement
  extends Pick<DrillResult, 'recordingMs' | 'heard' | 'said' | 'lost' | 'twice' | 'seam' | 'skipped'> {}

/** Reads what was said, what the providers received of it, and what was heard. */
export function judge(call: StagedCall, lexicon: Lexicon, firstAgentMs: number | undefined): Judgement {
  const heard = readWords(decodeG711('mulaw', call.phone.heard), lexicon.agents);
  const said = readWords(decodeG711('mulaw', call.phone.sent), lexicon.caller).map(({ text }) => text);
  const received = call.sessions.flatMap((session) => readWords(session.received(), lexicon.caller));
  const last = Math.max(...heard.map(({ text }) => NUMBERS.indexOf(text)), -1);
  return {
    recordingMs: recordingOffset(call, firstAgentMs) ?? 0,
    heard,
    said,
    lost: missing(said, received),
    twice: repeated(heard),
    seam: atSeam(heard),
    skipped: missing(NUMBERS.slice(0, last + 1), heard),
  };
}
