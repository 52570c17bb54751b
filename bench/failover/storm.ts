import type { EndReason } from '../../src/call-events.ts';
import { countingModel } from '../../src/commands/drill/counting-model.ts';
import { AGENT_VOICES, HELLO, LETTERS, type Lexicon } from '../../src/commands/drill/lexicon.ts';
import { Stage, type StagedCall } from '../../src/commands/drill/stage.ts';
import type { Fault, StandInName, StandInOptions } from '../../src/commands/drill/stand-ins.ts';
import { Dice } from '../../src/sim/common/dice.ts';
import { traceOf } from './scene.ts';

/** Many calls whose first provider dies in some way at some moment; every one is to end because somebody wants it to. */

export interface StormOptions {
  readonly lexicon: Lexicon;
  readonly calls: number;
  readonly atOnce: number;
  readonly seed: number;
  /** Told of each wave when it is over. */
  progress(done: number): void;
}

export interface StormReport {
  readonly ends: ReadonlyMap<EndReason | 'never', number>;
  /** By what was done to the first provider. */
  readonly deaths: ReadonlyMap<string, number>;
  /** What happened in calls in which nothing happened any more, in lines. */
  readonly stuck: readonly string[];
  /** Calls that went on with another session at least once. */
  readonly changes: number;
  /** What was left of them when their service had no calls any more, in words. */
  readonly leaks: readonly string[];
  /** Ticks of the simulated phones that were late: above 0 the machine was too small for so many at once. */
  readonly lateTicks: number;
}

/** Calls of one service: its breakers are to know little, so that the first provider is tried again and again. */
const PER_STAGE = 5;
const PROVIDERS = ['openai', 'gemini', 'nova'] as const satisfies readonly StandInName[];
/** A call that takes longer has been lost. */
const PATIENCE_MS = 60_000;
/** Sessions and calls are gone so soon after the last call. */
const SETTLE_MS = 4_000;
const TALK_MS = 9_000;

const AT_START: readonly (readonly [string, Fault])[] = [
  ['cut while connecting', { when: { after: 'connect' }, do: 'drop' }],
  ['401', { when: { after: 'connect' }, do: 'http', status: 401 }],
  ['429', { when: { after: 'connect' }, do: 'http', status: 429 }],
  ['500', { when: { after: 'connect' }, do: 'http', status: 500 }],
  ['handshake that never ends', { when: { after: 'connect' }, do: 'stall' }],
  ['close before ready', { when: { after: 'session.created' }, do: 'close', code: 1011 }],
  ['close after ready', { when: { after: 'session.updated' }, do: 'close', code: 1011 }],
];
const IN_CALL = ['drop', 'stall', 'mute'] as const;

interface Tally {
  readonly ends: Map<EndReason | 'never', number>;
  readonly deaths: Map<string, number>;
  readonly stuck: string[];
  changes: number;
  readonly leaks: string[];
  lateTicks: number;
  /** Connections whose other end was told to be dead. */
  readonly halfOpen: WeakSet<object>;
}

/** Holds them in waves. */
export async function storm({ lexicon, calls, atOnce, seed, progress }: StormOptions): Promise<StormReport> {
  const dice = new Dice(seed);
  const tally: Tally = {
    ends: new Map(),
    deaths: new Map(),
    stuck: [],
    changes: 0,
    leaks: [],
    lateTicks: 0,
    halfOpen: new WeakSet(),
  };
  for (let done = 0; done < calls; done += atOnce) {
    const stages: Promise<void>[] = [];
    for (let left = Math.min(atOnce, calls - done); left > 0; left -= PER_STAGE) {
      stages.push(oneStage(lexicon, Math.min(left, PER_STAGE), dice, tally));
    }
    await Promise.all(stages);
    progress(Math.min(calls, done + atOnce));
  }
  return tally;
}

async function oneStage(lexicon: Lexicon, calls: number, dice: Dice, tally: Tally): Promise<void> {
  // Drawn before anything is waited for, so that a seed says everything.
  const atStart = dice.roll() < 0.3 ? AT_START[Math.floor(dice.roll() * AT_START.length)] : undefined;
  const plans = Array.from({ length: calls }, () => ({
    how: IN_CALL[Math.floor(dice.roll() * IN_CALL.length)] ?? 'drop',
    afterMs: dice.roll() * TALK_MS,
    startMs: dice.roll() * 2_000,
    again: dice.roll() < 0.15,
  }));
  await using stage = await Stage.open({
    carrier: 'twilio',
    greeting: HELLO,
    builtIn: ['end_call'],
    providers: PROVIDERS.map((name, i) => [name, behaviour(lexicon, i, atStart?.[1])]),
    failover: { answerSeconds: 2, hedgeSeconds: 0.5, connectSeconds: 3 },
    calls: { keepAudio: false },
  });
  await Promise.all(
    plans.map(async (plan) => {
      await pause(stage, plan.startMs);
      count(tally.deaths, atStart?.[0] ?? `${plan.how} in mid-call`);
      await oneCall(stage, lexicon, { ...plan, how: atStart === undefined ? plan.how : undefined }, tally);
    }),
  );
  await settled(stage, tally);
}

function behaviour(lexicon: Lexicon, index: number, atStart: Fault | undefined): StandInOptions {
  return {
    respond: countingModel({ lexicon, voice: AGENT_VOICES[index] ?? '', atOnce: 4, endsFrom: 8 }),
    speedFactor: 2,
    firstAudioMs: 150,
    keepAudio: false,
    faults: index === 0 && atStart !== undefined ? [atStart] : [],
  };
}

interface CallPlan {
  readonly how: 'drop' | 'stall' | 'mute' | undefined;
  readonly afterMs: number;
  /** Whoever takes over is killed as well, a second later. */
  readonly again: boolean;
}

async function oneCall(stage: Stage, lexicon: Lexicon, plan: CallPlan, tally: Tally): Promise<void> {
  const call = stage.place();
  const killing = new AbortController();
  void call.phone.ended.then(() => killing.abort());
  const killed = kill(stage, call, plan, killing.signal, tally.halfOpen);
  const patience = new AbortController();
  const how = await Promise.race([
    talk(call, lexicon).catch(() => undefined),
    call.phone.ended,
    pause(stage, PATIENCE_MS, patience.signal).then(() => 'stuck' as const),
  ]);
  patience.abort();
  if (how === 'stuck') tally.stuck.push(traceOf(call));
  const report = await call.phone.hangUp();
  await killed;
  const waiting = new AbortController();
  const ended = await Promise.race([call.event('ended'), pause(stage, 5_000, waiting.signal)]);
  waiting.abort();
  count(tally.ends, ended?.reason ?? 'never');
  if (call.events.some((event) => event.type === 'providerReady' && event.provider !== PROVIDERS[0])) {
    tally.changes += 1;
  }
  tally.lateTicks += report.lateTicks;
}

/** Three turns; in the third one the model hangs up, unless the caller does so before. */
async function talk({ phone }: StagedCall, lexicon: Lexicon): Promise<void> {
  await phone.streaming;
  for (let turn = 0; turn < 3; turn++) {
    await phone.untilQuiet(700);
    await phone.speak(lexicon.speech(LETTERS.slice(turn * 2, turn * 2 + 2)));
  }
  await phone.untilQuiet(700);
}

async function kill(
  stage: Stage,
  call: StagedCall,
  { how, afterMs, again }: CallPlan,
  over: AbortSignal,
  halfOpen: WeakSet<object>,
): Promise<void> {
  if (how === undefined) return;
  for (let times = again ? 2 : 1; times > 0; times--) {
    await pause(stage, afterMs, over);
    if (over.aborted) return;
    const connection = call.sessions.findLast(({ connection }) => connection.isOpen)?.connection;
    connection?.[how]();
    // It reads nothing any more, so it will never know that it was closed.
    if (how === 'stall' && connection !== undefined) halfOpen.add(connection);
  }
}

/** Nothing of the calls is left in a service that has none any more. */
async function settled(stage: Stage, tally: Tally): Promise<void> {
  const open = (): number =>
    stage.standIns
      .flatMap(({ sessions }) => sessions)
      .filter(({ connection }) => connection.isOpen && !tally.halfOpen.has(connection)).length;
  const until = stage.clock.now() + SETTLE_MS;
  while ((stage.bridge.calls > 0 || open() > 0) && stage.clock.now() < until) await pause(stage, 50);
  if (stage.bridge.calls > 0) tally.leaks.push(`${stage.bridge.calls} calls are still up`);
  if (open() > 0) tally.leaks.push(`${open()} sessions with providers are still open`);
}

function pause({ clock }: Stage, ms: number, signal?: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve(undefined);
    const cancel = clock.after(ms, () => resolve(undefined));
    signal?.addEventListener('abort', () => {
      cancel();
      resolve(undefined);
    });
  });
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Calls that ended though nobody wanted them to. */
export function unwanted({ ends }: StormReport): number {
  let sum = 0;
  for (const [reason, times] of ends) {
    if (reason !== 'caller-hung-up' && reason !== 'agent-hung-up') sum += times;
  }
  return sum;
}
