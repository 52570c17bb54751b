import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProbeFigures } from '../calls-probe.ts';
import type { EndFigures, LoadFigures, RampFigures } from './generator.ts';
import { GeneratorProcess, SubjectProcess } from './processes.ts';
import type { ServerIdentity } from './provider-server.ts';
import { SECRET, type Subject, type SubjectName, subjectOf } from './subjects.ts';

/** What is measured, and for how long. */
export interface RoundsPlan {
  readonly subjects: readonly SubjectName[];
  readonly calls: number;
  /** Of each round of each subject. */
  readonly seconds: number;
  readonly rounds: number;
  readonly perSecond: number;
  readonly talk: boolean;
  readonly identity?: ServerIdentity | undefined;
  /** Told of everything that is done, for whoever waits. */
  readonly onStep?: ((text: string) => void) | undefined;
}

/** One round of one subject. */
export interface Round {
  readonly subject: SubjectName;
  readonly calls: number;
  readonly ramp: RampFigures;
  readonly load: LoadFigures;
  readonly end: EndFigures;
  /** Of the process that was measured, in ms for each second of each call. */
  readonly cpuMs: number;
  readonly coreShare: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Bytes for each call, garbage collected before. Only of the first round, where nothing is left of calls before. */
  readonly heapPerCall: number | undefined;
  readonly rssPerCall: number | undefined;
}

/** Calls that go before the first round, for the compiler of the engine. */
const WARM_CALLS = 20;
const WARM_SECONDS = 4;
const SETTLE_MS = 1000;

interface Running {
  readonly subject: Subject;
  readonly process: SubjectProcess;
}

/** Measures the subjects one after the other, round by round. */
export async function runRounds(plan: RoundsPlan): Promise<readonly Round[]> {
  const folder = await mkdtemp(join(tmpdir(), 'patchcord-bench-'));
  const processes: AsyncDisposable[] = [];
  try {
    const generator = new GeneratorProcess();
    processes.push(generator);
    const providerUrl = await generator.listen(plan.identity);
    const running: Running[] = [];
    for (const name of plan.subjects) {
      const subject = subjectOf(name, { providerUrl, folder, calls: plan.calls });
      const process = await SubjectProcess.start(subject.command);
      processes.push(process);
      running.push({ subject, process });
    }
    const rounds: Round[] = [];
    for (const one of running) await warmUp(one, generator, plan);
    for (let round = 1; round <= plan.rounds; round++) {
      for (const one of running) {
        plan.onStep?.(`${one.subject.name}, round ${round} of ${plan.rounds}`);
        rounds.push(await measure(one, generator, plan, round === 1));
      }
    }
    return rounds;
  } finally {
    await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()));
    await rm(folder, { recursive: true, force: true });
  }
}

async function warmUp(one: Running, generator: GeneratorProcess, plan: RoundsPlan): Promise<void> {
  const calls = Math.min(WARM_CALLS, plan.calls);
  plan.onStep?.(`${one.subject.name} warms up`);
  await generator.up(loadPlan(one, { ...plan, calls }));
  await generator.measure(Math.min(WARM_SECONDS, plan.seconds));
  await generator.down();
}

function loadPlan(
  { subject, process: { url } }: Running,
  { calls, perSecond, talk }: RoundsPlan,
): Parameters<GeneratorProcess['up']>[0] {
  const { codecDelay, path } = subject;
  return { webhookUrl: `${url}${path}`, secret: SECRET, calls, perSecond, codecDelay, talk };
}

async function measure(
  one: Running,
  generator: GeneratorProcess,
  plan: RoundsPlan,
  isFirst: boolean,
): Promise<Round> {
  const none = isFirst ? await one.process.figures(true) : undefined;
  const ramp = await generator.up(loadPlan(one, plan));
  await later(SETTLE_MS);
  const from = await one.process.figures();
  const load = await generator.measure(plan.seconds);
  const to = await one.process.figures();
  const all = isFirst ? await one.process.figures(true) : undefined;
  const end = await generator.down();
  const cpu = to.cpuMs - from.cpuMs;
  const ms = to.at - from.at;
  return {
    subject: one.subject.name,
    calls: plan.calls,
    ramp,
    load,
    end,
    cpuMs: (1000 * cpu) / ms / plan.calls,
    coreShare: cpu / ms,
    loopDelayP99Ms: to.loopDelayP99Ms,
    loopDelayMaxMs: to.loopDelayMaxMs,
    heapPerCall: perCall(none, all, 'heap', plan.calls),
    rssPerCall: perCall(none, all, 'rss', plan.calls),
  };
}

function perCall(
  none: ProbeFigures | undefined,
  all: ProbeFigures | undefined,
  of: 'heap' | 'rss',
  calls: number,
): number | undefined {
  return none === undefined || all === undefined ? undefined : (all[of] - none[of]) / calls;
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
