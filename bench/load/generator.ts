import { Beat } from './beat.ts';
import { CarrierCall } from './carrier-call.ts';
import { NUMBERS } from './frame-code.ts';
import { Histogram, type Spread } from './histogram.ts';
import { Counts } from './ledger.ts';
import { ProviderServer, type ServerIdentity } from './provider-server.ts';
import type { ProviderSession } from './provider-session.ts';

/** One run of calls against one subject. */
export interface LoadPlan {
  readonly webhookUrl: string;
  readonly secret: string;
  readonly calls: number;
  /** Calls that begin within a second. */
  readonly perSecond: number;
  /** By how much resampled audio is late in its own stream, in samples at 8 kHz. */
  readonly codecDelay: number;
  /** Callers cut in, and are answered; otherwise the agent speaks all the time. */
  readonly talk: boolean;
}

/** How calls began. */
export interface RampFigures {
  readonly up: number;
  readonly failures: readonly string[];
  /** Webhook sent until its document was there, in ms. */
  readonly document: Spread;
  /** Webhook sent until the carrier got the first audio, in ms. */
  readonly firstAudio: Spread;
}

/** What was found while all calls were up. Times in ms. */
export interface LoadFigures {
  readonly seconds: number;
  readonly up: Spread;
  readonly down: Spread;
  readonly downStart: Spread;
  readonly bargeIn: Spread;
  readonly lost: number;
  readonly late: number;
  readonly spoilt: number;
  readonly underruns: number;
  readonly underrunMs: number;
  readonly nonsense: number;
  readonly slow: number;
  readonly blocked: number;
  /** Of the generator itself. */
  readonly lateness: Spread;
  readonly cpuShare: number;
  /** Empty: the generator was no bottleneck. */
  readonly saturated: string;
}

/** What the end of the calls showed. */
export interface EndFigures {
  /** Frames that were under way at the end and never came. */
  readonly lostAtEnd: number;
}

/** Above these the figures would be the generator's own. */
const MOST_LATE_P99_MS = 5;
const MOST_CPU_SHARE = 0.85;
const UP_WITHIN_MS = 20_000;
const DRAIN_WITHIN_MS = 1500;

/** N callers with their carrier, and the provider of all of them. */
export class LoadGenerator {
  readonly counts = new Counts();
  readonly #server: ProviderServer;
  #plan: LoadPlan | undefined;
  #calls: CarrierCall[] = [];
  #sessions = new Set<ProviderSession>();
  #beat: Beat | undefined;

  /** @param identity makes the provider speak TLS */
  constructor(identity?: ServerIdentity) {
    this.#server = new ProviderServer(() => this.#host(), identity);
  }

  /** Resolves to the provider's address. */
  listen(): Promise<string> {
    return this.#server.listen();
  }

  /** Resolves when all calls are up, or have failed, and every one that is up has been heard both ways. */
  async up(plan: LoadPlan): Promise<RampFigures> {
    if (plan.calls > NUMBERS) throw new Error(`${plan.calls} calls are more than ${NUMBERS}`);
    this.#plan = plan;
    this.counts.measuring = false;
    this.counts.downStart.reset();
    const beat = new Beat(2 * plan.calls, (ms) => this.counts.lateness.record(ms));
    this.#beat = beat;
    beat.start();
    const failures: string[] = [];
    const dialled = Array.from({ length: plan.calls }, async (_, slot) => {
      await later((1000 * slot) / plan.perSecond);
      await this.#dial(slot, plan, beat).catch((error: unknown) => failures.push(String(error)));
    });
    await Promise.all(dialled);
    const until = performance.now() + UP_WITHIN_MS;
    while (performance.now() < until && !this.#calls.every(isHeard)) await later(20);
    const deaf = this.#calls.filter((call) => !isHeard(call)).length;
    if (deaf > 0) failures.push(`${deaf} calls were not heard both ways in time`);
    const document = new Histogram();
    const firstAudio = new Histogram();
    for (const { start } of this.#calls) {
      if (start.documentMs !== undefined) document.record(start.documentMs);
      if (start.firstAudioMs !== undefined) firstAudio.record(start.firstAudioMs);
    }
    const up = this.#calls.filter(isHeard).length;
    return { up, failures, document: document.spread(), firstAudio: firstAudio.spread() };
  }

  /** Counts for so many seconds. */
  async measure(seconds: number): Promise<LoadFigures> {
    const { counts } = this;
    const before = process.cpuUsage();
    const startedAt = performance.now();
    counts.begin();
    await later(1000 * seconds);
    counts.measuring = false;
    const { user, system } = process.cpuUsage(before);
    const ms = performance.now() - startedAt;
    const cpuShare = (user + system) / 1000 / ms;
    const lateness = counts.lateness.spread();
    return {
      seconds: ms / 1000,
      up: counts.up.spread(),
      down: counts.down.spread(),
      downStart: counts.downStart.spread(),
      bargeIn: counts.bargeIn.spread(),
      lost: counts.lost,
      late: counts.late,
      spoilt: counts.spoilt,
      underruns: counts.underruns,
      underrunMs: counts.underrunMs,
      nonsense: counts.nonsense,
      slow: counts.slow,
      blocked: counts.blocked,
      lateness,
      cpuShare,
      saturated: saturation(lateness, cpuShare),
    };
  }

  /** Ends all calls, after everything that is under way has come or is lost. */
  async down(): Promise<EndFigures> {
    this.#beat?.stop();
    for (const session of this.#sessions) session.finish();
    const until = performance.now() + DRAIN_WITHIN_MS;
    while (performance.now() < until && this.#outstanding() > 0) await later(10);
    const lostAtEnd = this.#outstanding();
    for (const call of this.#calls) call.hangUp();
    const gone = performance.now() + DRAIN_WITHIN_MS;
    while (performance.now() < gone && this.#sessions.size > 0) await later(10);
    for (const call of this.#calls) call.drop();
    for (const session of this.#sessions) session.close();
    this.#calls = [];
    return { lostAtEnd };
  }

  async close(): Promise<void> {
    this.#beat?.stop();
    for (const call of this.#calls) call.drop();
    await this.#server.close();
  }

  async #dial(slot: number, plan: LoadPlan, beat: Beat): Promise<void> {
    const { secret, codecDelay } = plan;
    const call = new CarrierCall(
      slot,
      { webhookUrl: new URL(plan.webhookUrl), secret, codecDelay },
      this.counts,
    );
    await call.dial();
    this.#calls.push(call);
    beat.add(2 * slot, call);
  }

  #outstanding(): number {
    let frames = 0;
    for (const call of this.#calls) frames += call.up.outstanding;
    for (const session of this.#sessions) frames += session.down.outstanding;
    return frames;
  }

  #host(): ConstructorParameters<typeof ProviderSession>[2] {
    return {
      counts: this.counts,
      codecDelay: this.#plan?.codecDelay ?? 0,
      talk: this.#plan?.talk ?? false,
      onReady: (session) => {
        this.#sessions.add(session);
        this.#beat?.add(2 * session.id + 1, session);
      },
      onLinked: (session, slot) => this.#link(session, slot),
      onGone: (session) => {
        this.#sessions.delete(session);
        this.#beat?.remove(session);
      },
    };
  }

  #link(session: ProviderSession, slot: number): void {
    const call = this.#calls.find((one) => one.slot === slot);
    if (call === undefined || call.session !== undefined) return;
    call.session = session;
    session.up = call.up;
    session.down.join();
  }
}

function isHeard(call: CarrierCall): boolean {
  return call.session !== undefined && call.start.firstAudioMs !== undefined;
}

function saturation(lateness: Spread, cpuShare: number): string {
  if (lateness.p99 > MOST_LATE_P99_MS) return `it woke ${lateness.p99.toFixed(1)} ms late (p99)`;
  if (cpuShare > MOST_CPU_SHARE) return `it used ${Math.round(cpuShare * 100)} % of its core`;
  return '';
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
