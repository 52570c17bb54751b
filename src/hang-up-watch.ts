import { callKey } from './call-key.ts';
import type { Carrier, CarrierName, ControlResult } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import { type Act, insist } from './insist.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { settleWithin } from './settle.ts';

/** The carrier asks what comes after the stream, or reports the end, well within this time. */
const CONFIRM_MS = 3000;
const REST_MS = 5000;
/** When nobody can wait any more: a carrier that asks at all asks within this time, and needs no request then. */
const LAST_QUESTION_MS = 1000;

/**
 * Sees to it that a call which the bridge ended is over at the carrier too. Closing the stream is enough where the
 * answer document ends the call; where no sign of that comes, the call is hung up by REST: a call that stays up costs
 * money and a caller's patience.
 */
export class HangUpWatch {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #waiting = new Map<
    string,
    { readonly cancel: Cancel; readonly atClose: (() => void) | undefined }
  >();
  readonly #running = new Set<Promise<unknown>>();
  /** Cuts the pauses before further tries short. */
  readonly #pauses = new Set<() => void>();
  #closed = false;
  /** Called when a call is waited for no longer. */
  readonly #onFewer = new Set<() => void>();

  constructor(deps: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#metrics = deps.metrics;
  }

  /**
   * Waits for a sign that the call is over or that the carrier knows what comes next; without one, `then` is called.
   * @param then undefined: the carrier is only waited for, so that it can still ask
   * @param atClose for a call that would stay up when nobody waits any more
   */
  watch(
    carrier: CarrierName,
    callId: string,
    then: (() => void) | undefined,
    waitMs = CONFIRM_MS,
    atClose?: () => void,
  ): void {
    const key = callKey(carrier, callId);
    this.#waiting.get(key)?.cancel();
    const cancel = this.#clock.after(waitMs, () => {
      this.#forget(key);
      then?.();
    });
    this.#waiting.set(key, { cancel, atClose });
  }

  /**
   * Asks the carrier to do this now, and again when that may help.
   * @param otherwise when it is not done after all; undefined: it was the hang-up, and the failure is counted
   */
  now(carrier: Carrier, callId: string, act: Act, otherwise?: () => void): void {
    const log = this.#log.child({ callId });
    if (otherwise === undefined) void this.hangUp(carrier, act, log);
    else void this.#track(this.#lead(carrier, act, log, otherwise));
  }

  /** Hangs up now, and again when that may help. A failure is logged and counted. Never rejects. */
  hangUp(carrier: Carrier, act: Act, log: Log): Promise<ControlResult> {
    return this.#track(this.#hangUp(carrier, act, log));
  }

  /** The carrier knows that the call is over. */
  confirmed(carrier: CarrierName, callId: string): void {
    const key = callKey(carrier, callId);
    this.#waiting.get(key)?.cancel();
    this.#forget(key);
  }

  /** Resolves when every call that is being watched is confirmed or hung up, or after a while. */
  async settled(): Promise<void> {
    await this.#nobodyWaits(CONFIRM_MS + 100);
    await settleWithin(this.#clock, REST_MS, [this.#idle()]);
  }

  /** Waits a moment for the carriers to ask, then ends what would stay up. Resolves when that is done, after 6 s at most. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const wake of this.#pauses) wake();
    await this.#nobodyWaits(LAST_QUESTION_MS);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { cancel, atClose } of waiting) {
      cancel();
      atClose?.();
    }
    await settleWithin(this.#clock, REST_MS, [this.#idle()]);
  }

  #forget(key: string): void {
    this.#waiting.delete(key);
    for (const look of this.#onFewer) look();
  }

  /** Resolves when no call is waited for, or after `ms`. */
  #nobodyWaits(ms: number): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#onFewer.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#waiting.size === 0) done();
      };
      const cancel = this.#clock.after(ms, done);
      this.#onFewer.add(look);
    });
  }

  /** One request may lead to another. */
  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }

  async #hangUp(carrier: Carrier, act: Act, log: Log): Promise<ControlResult> {
    const result = await this.#insist(carrier, act, log);
    if (result.status !== 'error') return result;
    this.#metrics.hangUpFailed(carrier.name);
    log.error({ carrier: carrier.name, err: result.error }, 'the call could not be hung up');
    return result;
  }

  async #lead(carrier: Carrier, act: Act, log: Log, otherwise: () => void): Promise<void> {
    const result = await this.#insist(carrier, act, log);
    if (result.status !== 'error') return;
    log.error({ carrier: carrier.name, err: result.error }, 'the carrier did not do its part');
    otherwise();
  }

  async #insist(carrier: Carrier, act: Act, log: Log): Promise<ControlResult> {
    const pause = (ms: number): Promise<boolean> => this.#pause(ms);
    const result = await insist(this.#clock, 'the end of a call by REST', REST_MS, act, pause);
    if (result.status !== 'error') {
      log.info({ carrier: carrier.name, result: result.status }, 'call led to its end by REST');
    }
    return result;
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  /** False when it was cut short. */
  #pause(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.#pauses.delete(wake);
        resolve(!this.#closed);
      };
      const cancel = this.#clock.after(ms, wake);
      this.#pauses.add(wake);
      if (this.#closed) wake();
    });
  }
}
