import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProbeFigures } from '../calls-probe.ts';
import type { EndFigures, LoadFigures, LoadPlan, RampFigures } from './generator.ts';
import { IDENTITY } from './identity.ts';
import { GeneratorProcess, type SubjectOptions, SubjectProcess } from './processes.ts';
import { SECRET, type Subject, type SubjectName, type SubjectPlace, subjectOf } from './subjects.ts';

/** What is measured, and for how long. */
export interface RoundsPlan {
  /** Measured one after the other, again and again. */
  readonly subjects: readonly SubjectName[];
  /** Of these: measured in rounds of their own, in which callers cut in. */
  readonly talking: readonly SubjectName[];
  readonly calls: number;
  /** Of each round of each subject. */
  readonly seconds: number;
  readonly rounds: number;
  readonly perSecond: number;
  readonly onStep: (text: string) => void;
}

/** One round of one subject. */
export interface Round {
  readonly subject: SubjectName;
  /** Callers cut in. */
  readonly talk: boolean;
  readonly calls: number;
  readonly ramp: RampFigures;
  readonly load: LoadFigures;
  readonly end: EndFigures;
  /** Of the process that was measured, in ms for each second of each call. */
  readonly cpuMs: number;
  readonly coreShare: number;
  /** Share of the time in which others had its core although it was ready to run; NaN where nobody counts. */
  readonly waitShare: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Bytes for each call, garbage collected before. Only of the first round, where nothing is left of calls before. */
  readonly heapPerCall: number | undefined;
  readonly rssPerCall: number | undefined;
}

/** Calls that go before the first round, for the compiler of the engine. */
const WARM_CALLS = 40;
const WARM_SECONDS = 2;
const SETTLE_MS = 1200;
/** Something else on the machine may disturb the generator for once. */
const TRIES = 3;

interface Running {
  readonly subject: Subject;
  readonly process: SubjectProcess;
}

/** How a bench is run. */
export interface BenchOptions extends SubjectOptions {
  /** The most that there will be at once. */
  readonly calls: number;
  /** The provider speaks TLS. */
  readonly tls: boolean;
  /** Told of everything that is done, for whoever waits. */
  readonly onStep: (text: string) => void;
}

/** Processes that can be measured, until they are disposed of. */
export class Bench implements AsyncDisposable {
  readonly #generator: GeneratorProcess;
  readonly #running = new Map<SubjectName, Running>();
  readonly #place: SubjectPlace;
  readonly #options: BenchOptions;

  private constructor(generator: GeneratorProcess, place: SubjectPlace, options: BenchOptions) {
    this.#generator = generator;
    this.#place = place;
    this.#options = options;
  }

  /** Starts the generator. */
  static async start(options: BenchOptions): Promise<Bench> {
    const { tls, calls, profile } = options;
    const folder = await mkdtemp(join(tmpdir(), 'patchcord-bench-'));
    const certificate = tls ? join(folder, 'provider.pem') : undefined;
    if (certificate !== undefined) await writeFile(certificate, IDENTITY.cert);
    const generator = new GeneratorProcess(profile);
    const providerUrl = await generator.listen(tls ? IDENTITY : undefined);
    return new Bench(generator, { providerUrl, folder, calls, certificate }, options);
  }

  /** Starts a subject and warms it up, unless it runs. */
  async ready(name: SubjectName): Promise<void> {
    if (this.#running.has(name)) return;
    this.#options.onStep(`${name} warms up`);
    const subject = subjectOf(name, this.#place);
    const one = { subject, process: await SubjectProcess.start(subject.command, this.#options) };
    this.#running.set(name, one);
    const lap = { name, calls: Math.min(WARM_CALLS, this.#place.calls), perSecond: 100 };
    for (const talk of [true, false]) {
      await this.#generator.up(loadPlan(one, { ...lap, talk }));
      await this.#generator.measure(WARM_SECONDS);
      await this.#generator.down();
    }
  }

  /** Measures once. `memory`: also what a call keeps in memory. */
  async measure(lap: Lap, seconds: number, memory = false): Promise<Round> {
    await this.ready(lap.name);
    const one = this.#running.get(lap.name);
    if (one === undefined) throw new Error(`${lap.name} does not run`);
    const none = memory ? await one.process.figures(true) : undefined;
    const ramp = await this.#generator.up(loadPlan(one, lap));
    await later(SETTLE_MS);
    const from = await one.process.figures();
    const waitedBefore = one.process.waitedMs();
    const load = await this.#generator.measure(seconds);
    const waited = one.process.waitedMs() - waitedBefore;
    const to = await one.process.figures();
    const all = memory ? await one.process.figures(true) : undefined;
    const end = await this.#generator.down();
    const cpu = to.cpuMs - from.cpuMs;
    const ms = to.at - from.at;
    return {
      subject: lap.name,
      talk: lap.talk,
      calls: lap.calls,
      ramp,
      load,
      end,
      cpuMs: (1000 * cpu) / ms / lap.calls,
      coreShare: cpu / ms,
      waitShare: waited / ms,
      loopDelayP99Ms: to.loopDelayP99Ms,
      loopDelayMaxMs: to.loopDelayMaxMs,
      heapPerCall: perCall(none, all, 'heap', lap.calls),
      rssPerCall: perCall(none, all, 'rss', lap.calls),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const processes = [this.#generator, ...[...this.#running.values()].map((one) => one.process)];
    await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()));
    await rm(this.#place.folder, { recursive: true, force: true });
  }
}

/** What is done in one round. */
export interface Lap {
  readonly name: SubjectName;
  readonly calls: number;
  /** Calls that begin within a second. */
  readonly perSecond: number;
  /** Callers cut in; otherwise the agent speaks without end. */
  readonly talk: boolean;
}

function loadPlan({ subject, process: { url } }: Running, { calls, perSecond, talk }: Lap): LoadPlan {
  const { codecDelay, path } = subject;
  return { webhookUrl: `${url}${path}`, secret: SECRET, calls, perSecond, codecDelay, talk };
}

/** Measures the subjects one after the other, round by round. */
export async function runRounds(bench: Bench, plan: RoundsPlan): Promise<readonly Round[]> {
  const { calls, perSecond, seconds, subjects, talking } = plan;
  for (const name of [...subjects, ...talking]) await bench.ready(name);
  const believable = async (lap: Lap, memory: boolean): Promise<Round> => {
    for (let left = TRIES - 1; ; left--) {
      const round = await bench.measure(lap, seconds, memory);
      if (round.load.saturated === '' || left === 0) return round;
      plan.onStep(`${lap.name} once more: of the generator, ${round.load.saturated}`);
    }
  };
  const rounds: Round[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    for (const name of subjects) {
      plan.onStep(`${name}, round ${round} of ${plan.rounds}`);
      rounds.push(await believable({ name, calls, perSecond, talk: false }, round === 1));
    }
  }
  for (const name of talking) {
    plan.onStep(`${name}, callers cut in`);
    rounds.push(await believable({ name, calls, perSecond, talk: true }, false));
  }
  return rounds;
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
