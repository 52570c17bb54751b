import type { CarrierName } from '../carrier.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { ProviderEvent, Usage } from '../provider.ts';
import {
  billOf,
  type CallBill,
  costOf,
  type LineKind,
  type ModelTally,
  modelName,
  type Stretch,
  type Tally,
} from './call-bill.ts';
import type { Money } from './money.ts';
import type { Prices } from './prices.ts';

type UsageEvent = Extract<ProviderEvent, { readonly type: 'usage' }>;
/** What `usage` needs of the event. */
export type UsageReport = Pick<UsageEvent, 'usage' | 'model' | 'seconds'>;

/** Tells the end of what was begun, at `atMs` of the clock (default: now). Only the first telling counts. */
export type End = (atMs?: number) => void;

/** Time that runs until it is told to have ended. */
class Running {
  readonly #fromMs: number;
  #toMs: number | undefined;

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  end(atMs: number): void {
    this.#toMs ??= Math.max(this.#fromMs, atMs);
  }

  /** How long it lasts at that time; not a negative time for one that begins later. */
  ms(atMs: number): number {
    const to = this.#toMs === undefined ? atMs : Math.min(this.#toMs, atMs);
    return Math.max(0, to - this.#fromMs);
  }
}

interface Counts {
  readonly provider: string;
  readonly model: string | undefined;
  /** No session was held with it. */
  helper: boolean;
  usage: Usage;
  reportedMs: number | undefined;
  hasDoubtful: boolean;
  readonly sessions: Running[];
}

interface LineTime {
  readonly carrier: CarrierName;
  readonly kind: LineKind;
  readonly time: Running;
}

const NOTHING: Usage = Object.freeze({
  inputTextTokens: 0,
  inputAudioTokens: 0,
  cachedTextTokens: 0,
  cachedAudioTokens: 0,
  outputTextTokens: 0,
  outputAudioTokens: 0,
});

/** A response reads what a model holds, some millions of tokens at the very most. */
const MOST_TOKENS = 100_000_000;
/** A day: longer than any session. */
const MOST_SECONDS = 86_400;

function isPlausible({ usage, seconds = 0 }: UsageReport): boolean {
  const within = (count: number, most: number): boolean => count >= 0 && count <= most;
  return within(seconds, MOST_SECONDS) && Object.values(usage).every((count) => within(count, MOST_TOKENS));
}

function sum(a: Usage, b: Usage): Usage {
  return {
    inputTextTokens: a.inputTextTokens + b.inputTextTokens,
    inputAudioTokens: a.inputAudioTokens + b.inputAudioTokens,
    cachedTextTokens: a.cachedTextTokens + b.cachedTextTokens,
    cachedAudioTokens: a.cachedAudioTokens + b.cachedAudioTokens,
    outputTextTokens: a.outputTextTokens + b.outputTextTokens,
    outputAudioTokens: a.outputAudioTokens + b.outputAudioTokens,
  };
}

/**
 * Counts what one call uses. It only looks: nothing of it is told to the call, and nothing that it is told can throw.
 * Sessions and lines may overlap, and may be told of in any order.
 */
export class CallMeter {
  readonly #clock: Clock;
  readonly #prices: Prices;
  readonly #models = new Map<string, Counts>();
  readonly #lines: LineTime[] = [];
  readonly #watchers = new Set<() => void>();

  constructor(clock: Clock, prices: Prices) {
    this.#clock = clock;
    this.#prices = prices;
  }

  /** The prices that this call is counted by, also when the table has changed since it began. */
  get prices(): Prices {
    return this.#prices;
  }

  /**
   * `model` is that of the session; undefined: not known. A report that cannot be true (more than 100 million tokens of
   * a kind, or a day of speech) is not counted, and named among what is `unpriced`: one faulty server must not use up
   * the budget that all calls share.
   */
  usage(provider: string, model: string | undefined, report: UsageReport): void {
    const counts = this.#counts(provider, report.model ?? model, report.model !== undefined);
    if (isPlausible(report)) this.#add(counts, report);
    else counts.hasDoubtful = true;
    this.#changed();
  }

  /** A session with a provider stands. */
  providerBegan(provider: string, model: string | undefined, atMs = this.#clock.now()): End {
    const session = new Running(atMs);
    this.#counts(provider, model, false).sessions.push(session);
    this.#changed();
    return (endMs = this.#clock.now()) => {
      session.end(endMs);
      this.#changed();
    };
  }

  /** A line was answered, and has a media stream for as long as it lasts. */
  lineBegan(carrier: CarrierName, direction: 'inbound' | 'outbound', atMs = this.#clock.now()): End {
    const times = [this.#begin(carrier, direction, atMs), this.#begin(carrier, 'stream', atMs)];
    this.#changed();
    return (endMs = this.#clock.now()) => {
      for (const time of times) time.end(endMs);
      this.#changed();
    };
  }

  /** What the call has used until `atMs` of the clock. */
  bill(atMs = this.#clock.now()): CallBill {
    return billOf(this.#prices, this.#tally(atMs));
  }

  /**
   * The known cost until `atMs` of the clock; a later time than now tells what it will be when nothing else happens.
   * To the last nano-unit, so it may differ from the bill behind the sixth place.
   */
  cost(atMs = this.#clock.now()): Money {
    return costOf(this.#prices, this.#tally(atMs));
  }

  /** `changed` is called after everything that is counted but the passing of time. */
  watch(changed: () => void): Cancel {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  #begin(carrier: CarrierName, kind: LineKind, atMs: number): Running {
    const time = new Running(atMs);
    this.#lines.push({ carrier, kind, time });
    return time;
  }

  #add(counts: Counts, { usage, seconds }: UsageReport): void {
    counts.usage = sum(counts.usage, usage);
    if (seconds !== undefined) counts.reportedMs = (counts.reportedMs ?? 0) + seconds * 1000;
  }

  #counts(provider: string, model: string | undefined, helper: boolean): Counts {
    const key = modelName({ provider, model });
    const found = this.#models.get(key);
    if (found) {
      found.helper &&= helper;
      return found;
    }
    const counts: Counts = {
      provider,
      model,
      helper,
      usage: NOTHING,
      reportedMs: undefined,
      hasDoubtful: false,
      sessions: [],
    };
    this.#models.set(key, counts);
    return counts;
  }

  #tally(atMs: number): Tally {
    return {
      models: [...this.#models.values()].map((counts): ModelTally => {
        const sessionMs = counts.sessions.reduce((ms, session) => ms + session.ms(atMs), 0);
        return { ...counts, sessionMs };
      }),
      // Whole ms: a fraction of the clock must not begin another minute.
      stretches: this.#lines.map(
        ({ carrier, kind, time }): Stretch => ({ carrier, kind, ms: Math.floor(time.ms(atMs)) }),
      ),
    };
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }
}
