import { pause } from '../../src/clock.ts';
import { countingModel } from '../../src/commands/drill/counting-model.ts';
import { type Gap, gapOf } from '../../src/commands/drill/gap.ts';
import { AGENT_VOICES, HELLO, LETTERS, type Lexicon } from '../../src/commands/drill/lexicon.ts';
import { judge } from '../../src/commands/drill/performance.ts';
import { Stage, type StagedCall } from '../../src/commands/drill/stage.ts';
import {
  RESULT,
  type StandInName,
  type StandInOptions,
  type StandInSession,
} from '../../src/commands/drill/stand-ins.ts';
import type { FoundWord } from '../../src/commands/drill/words.ts';
import type { CallReport } from '../../src/sim/phone.ts';
import { defineTool, type Tool } from '../../src/tools.ts';
import type { Case } from './cases.ts';
import { firstSecond } from './first-second.ts';

/** One call of a case: what is done in it, and what can be said of it afterwards. */

const LOOK_UP = 'look_up';
export const TOOL_MS = 900;
/** Letters of the caller's first turn, and of the one after the change. */
export const FIRST = LETTERS.slice(0, 6);
const LATER = LETTERS.slice(6, 9);
/** The agent makes pauses between its numbers, which are no end. */
const QUIET_MS = 1000;
/** A carrier that sends nothing for 750 ms has stopped sending, for the service. */
const DISTURBED_MS = 400;
/** Of a trace. */
const MOST_LINES = 40;
const LAST_STAMPS = 24;
/** A call that takes longer hangs. */
const PATIENCE_MS = 60_000;

/** What a call came to. */
export interface Outcome {
  /** Sentences that do not hold, in words; none: all hold. */
  readonly problems: readonly string[];
  /** The provider that was to fail was really tried. */
  readonly tried: boolean;
  readonly gap: Gap | undefined;
  /** What the service itself calls its own part of the gap, in ms. */
  readonly toldMs: number | undefined;
  /** Numbers of the agent that nobody said: its text was ahead of its sound. */
  readonly skipped: readonly string[];
  /** The last word of the one that died, said once more: how far it had come can be told to within a word. */
  readonly seam: readonly string[];
  /** Of the phone itself: above 0 the machine was busy, and the figures are in doubt. */
  readonly lateTicks: number;
  /** The simulated phone stood still for so long that the call was another one than it was to be. */
  readonly disturbed: boolean;
  /** What happened, in lines. */
  trace(): string;
}

/** What the acts of a case may do to a call. */
export class Scene {
  readonly stage: Stage;
  readonly call: StagedCall;
  readonly lexicon: Lexicon;
  toolRuns = 0;
  /** The first of the agent's functions has begun. */
  readonly toolRunning: Promise<void>;
  toolStarted: () => void = () => undefined;
  /** In ms since the call was placed; undefined: nobody was killed. */
  diedMs: number | undefined;

  constructor(stage: Stage, lexicon: Lexicon, call: StagedCall) {
    this.stage = stage;
    this.lexicon = lexicon;
    this.call = call;
    this.toolRunning = new Promise((resolve) => {
      this.toolStarted = resolve;
    });
  }

  /** Ms since the call was placed. */
  now(): number {
    return this.stage.clock.now() - this.call.placedMs;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.stage.clock.after(ms, resolve);
    });
  }

  says(texts: readonly string[]): Promise<boolean> {
    return this.call.phone.speak(this.lexicon.speech(texts));
  }

  /** The session that the call is held with. */
  get session(): StandInSession | undefined {
    return this.call.sessions.findLast(
      ({ connection, readyMs }) => connection.isOpen && readyMs !== undefined,
    );
  }

  /** The provider dies. */
  kill(how: 'drop' | 'stall' | 'mute' = 'drop'): void {
    this.diedMs ??= this.now();
    this.session?.connection[how]();
  }

  /** Resolves when somebody who came after the death speaks. */
  async tookOver(): Promise<void> {
    const diedMs = this.diedMs ?? 0;
    await this.call.until(
      () =>
        this.call.sessions.some(
          ({ openedMs, firstAudioMs }) =>
            openedMs - this.call.placedMs > diedMs && firstAudioMs !== undefined,
        ) || undefined,
    );
  }

  /** Lets the agent finish. */
  finish(): Promise<boolean> {
    return this.call.phone.untilQuiet(QUIET_MS);
  }
}

/** Several scenes on one stage. */
export interface Play extends AsyncDisposable {
  readonly stage: Stage;
  begin(): Scene;
}

/** Opens the stage of a case. */
export async function openPlay(wanted: Case, lexicon: Lexicon): Promise<Play> {
  const scenes = new Map<string, Scene>();
  const tools = wanted.tools ? [lookUp(scenes)] : [];
  const { carrier = 'twilio', route = 'voice' } = wanted;
  const stage = await Stage.open({
    carrier,
    route,
    greeting: wanted.group === 'start' ? undefined : HELLO,
    providers: wanted.providers.map((name, i) => [name, behaviour(wanted, lexicon, name, i)]),
    tools,
    failover: { answerSeconds: 2, ...wanted.failover },
    env: wanted.env,
  });
  return {
    stage,
    begin() {
      const scene = new Scene(stage, lexicon, stage.place());
      scenes.set(scene.call.phone.callId, scene);
      return scene;
    },
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
}

function behaviour(wanted: Case, lexicon: Lexicon, name: StandInName, index: number): StandInOptions {
  return {
    respond: countingModel({
      lexicon,
      voice: AGENT_VOICES[index] ?? '',
      // Those who take over are brief: they only have to go on.
      atOnce: index === 0 ? (wanted.numbers ?? 5) : 4,
      calls: wanted.tools ? LOOK_UP : undefined,
    }),
    speedFactor: 1.5,
    firstAudioMs: 200,
    ...wanted.behaves?.[name],
  };
}

function lookUp(scenes: ReadonlyMap<string, Scene>): Tool {
  return defineTool({
    name: LOOK_UP,
    description: 'Looks something up.',
    parameters: { type: 'object', properties: { what: { type: 'string' } } },
    async run(_args, context) {
      const scene = scenes.get(context.callId);
      if (scene === undefined) return {};
      scene.toolRuns += 1;
      scene.toolStarted();
      await scene.pause(TOOL_MS);
      return { found: RESULT };
    },
  });
}

/** Says what a call came to: takes a tenth of a second of this process, so not while others are up. */
export type Judge = () => Outcome;

/** Holds one call as the case wants it. Never rejects. */
export async function hold(wanted: Case, scene: Scene): Promise<Judge> {
  const { call } = scene;
  const problems: string[] = [];
  const patience = new AbortController();
  const late = pause(scene.stage.clock, PATIENCE_MS, patience.signal).then(() => 'late' as const);
  const talk = async (): Promise<'done'> => {
    await call.phone.streaming;
    await wanted.act(scene);
    if (wanted.group === 'mid-call') await goOn(scene);
    return 'done';
  };
  const failed = (error: unknown): 'failed' => {
    problems.push(`the call could not be held: ${String(error)}`);
    return 'failed';
  };
  const how = await Promise.race([talk().catch(failed), late, call.phone.ended.then(() => 'over' as const)]);
  patience.abort();
  if (how === 'late') problems.push('the agent fell silent for good');
  if (how === 'over') problems.push('the call ended by itself');
  const report = await call.phone.hangUp();
  const ended = await Promise.race([call.event('ended'), scene.pause(5000)]);
  if (ended?.reason !== 'caller-hung-up') problems.push(`it ended as ${ended?.reason ?? 'nothing'}`);
  return () => judged(wanted, scene, report, problems);
}

function judged(wanted: Case, scene: Scene, report: CallReport, problems: string[]): Outcome {
  const { call, lexicon } = scene;
  const found = judge(call, lexicon, report.firstAgentMs);
  if (found.lost.length > 0) problems.push(`lost of the caller: ${found.lost.join(' ')}`);
  if (found.twice.length > 0) problems.push(`heard twice: ${found.twice.join(' ')}`);
  if (wanted.tools && scene.toolRuns !== 1) problems.push(`the function was run ${scene.toolRuns} times`);
  if (
    !call.sessions
      .slice(wanted.group === 'start' ? 0 : 1)
      .some(({ firstAudioMs }) => firstAudioMs !== undefined)
  ) {
    problems.push('nobody took over');
  }
  if (wanted.group === 'start') problems.push(...firstSecond(call, wanted.providers[0]));
  const change = call.events.find((event) => event.type === 'failover');
  return {
    problems,
    tried: wanted.spares === true || call.events.some((event) => event.type === 'providerFailed'),
    gap: gapIn(wanted, scene, report.firstAgentMs),
    toldMs: change?.addedMs,
    skipped: found.skipped,
    seam: found.seam,
    lateTicks: report.lateTicks,
    disturbed: report.maxLateMs > DISTURBED_MS,
    trace: () => traceOf(call, found.heard),
  };
}

/** Everything that is needed to understand what went wrong. */
export function traceOf(call: StagedCall, heard: readonly FoundWord[] = []): string {
  const since = (atMs: number): number => Math.round(atMs - call.placedMs);
  const sessions = call.sessions.map(({ provider, openedMs, readyMs, asked }) => {
    const asks = asked.map(({ kind, atMs }) => `${kind}@${since(atMs)}`).join(' ');
    return `  ${provider} opened@${since(openedMs)} ready@${since(readyMs ?? Number.NaN)} ${asks}`;
  });
  const words = heard.map(
    ({ text, voice, part, startMs }) => `${text}/${voice}/${part}@${Math.round(startMs)}`,
  );
  const events = call.stamped
    .filter(({ event }) => event.type !== 'usage' && event.type !== 'transcript')
    .map(({ clockMs, event }) => `  ${since(clockMs)} ${JSON.stringify(event)}`);
  const last =
    call.sessions
      .at(-1)
      ?.stamps.filter(({ type }) => !type.endsWith('append'))
      .slice(-LAST_STAMPS) ?? [];
  const stamps = last.map(
    ({ direction, type, atMs }) => `${direction === 'sent' ? '◀' : '▶'}${type}@${since(atMs)}`,
  );
  return [
    `  heard: ${words.join(' ')}`,
    ...sessions,
    `  at the end: ${stamps.join(' ')}`,
    ...events.slice(-MOST_LINES),
  ].join('\n');
}

/** The call is no different from any other: the caller says something, and is answered. */
async function goOn(scene: Scene): Promise<void> {
  await scene.finish();
  await scene.says(LATER);
  await scene.finish();
}

function gapIn(wanted: Case, { call, diedMs }: Scene, firstAgentMs: number | undefined): Gap | undefined {
  if (diedMs === undefined) return undefined;
  const agreed = call.stamped.find(({ event }) =>
    wanted.waitsFor === 'notice' ? event.type === 'providerFailed' : wanted.waitsFor === event.type,
  );
  return gapOf(call, firstAgentMs, diedMs, agreed === undefined ? 0 : agreed.clockMs - call.placedMs);
}
