import type { Cancel, Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../provider.ts';
import { Attempt, type UsageEvent } from './attempt.ts';
import type { Breakers, Trial } from './breakers.ts';
import type { Candidate } from './candidate.ts';

export type { UsageEvent } from './attempt.ts';

export interface DialOptions {
  readonly clock: Clock;
  readonly breakers: Breakers;
  /** In the order in which they are to be tried. */
  readonly candidates: readonly Candidate[];
  /** See `FailoverPolicy`. */
  readonly connectMs: number;
  readonly hedgeMs: number;
  /** Aborts when nobody needs a session any more: everything that was dialled is closed, and `dial` rejects with CANCELLED. */
  readonly signal: AbortSignal;
  /** Made anew for every attempt: the conversation may have gone on meanwhile. */
  request(candidate: Candidate): ConnectRequest;
  /** One attempt has come to nothing; told at once, for log, metrics and events. */
  onFailed(candidate: Candidate, error: BridgeError, ms: number): void;
  /** What a session that the call is not held with wants to be paid for; it may come after `dial` has resolved. */
  onStray?(candidate: Candidate, event: UsageEvent): void;
}

/** A session that is ready. */
export interface Dialled {
  readonly candidate: Candidate;
  readonly session: ProviderSession;
  /** What it was told. */
  readonly request: ConnectRequest;
  /** From the dialling of this one until it was ready. */
  readonly ms: number;
  /** Of its breaker: is to be told when the session has answered, and when it is lost. */
  readonly trial: Trial;
  /** Those that were dialled before it and were not ready yet, in the order of the dialling. */
  readonly overtaken: readonly Candidate[];
  /**
   * Hands over the events that came meanwhile, then all that come. Called once. The session may have died since it was
   * ready; then `closed` is among the first.
   */
  readonly listen: (sink: (event: ProviderEvent) => void) => void;
}

/** All have failed: a moment that the network needs to come back, and that a caller who hears it ring, or a tone, gives us. */
export const AGAIN_AFTER_MS = 1500;

/**
 * The next one is dialled beside a probe so soon that the caller hardly notices that it was made with their call, and not
 * so soon that a provider which is well again has no chance.
 */
export const PROBE_HEDGE_MS = 250;

/** So long after it is slow an attempt can be called nothing else. */
const A_LITTLE_MS = 10;

/**
 * The first provider that is ready. Each has its time; the next one is dialled when one has failed, or beside one that is
 * slow (hedge), and whoever is not first is closed without having been sent anything. Providers whose breaker is open are
 * passed by as long as there are others. When all have failed, those whose error may pass (`retry`) are tried once more.
 * Rejects with a BridgeError: that of the last attempt, except that TIMEOUT says less than any other; CANCELLED by
 * `signal`, or BAD_CONFIG when there is no candidate.
 *
 * What the verdict on an error means here: `failOver`, the next one is dialled; `retry`, the same one is dialled once
 * more in the second round. Without `failOver`, an error that ends the call (`endCall`) is a mistake that nobody else
 * mends, so nobody else is dialled; one that a call outlives says nothing about the others.
 *
 * Whoever was dialled before the winner and is not ready yet is given up only when its breaker calls it slow: otherwise
 * a probe that needs half a second would be in vain each time, and with a short `hedgeMs` no breaker would learn of a
 * provider that hangs, since another one would always be there first. `signal` ends that, too.
 */
export async function dial(options: DialOptions): Promise<Dialled> {
  return new Promise((resolve, reject) => new Dialling(options, resolve, reject).begin());
}

/** One place in the list: the same provider may be there twice. */
interface Place {
  readonly candidate: Candidate;
  /** Of its last attempt. */
  error: BridgeError | undefined;
}

interface Flight {
  readonly place: Place;
  readonly trial: Trial;
  /** Of the dialling: grows. */
  readonly order: number;
  /** Its breaker does not think much of it, so it is no reason to pass others by. */
  readonly isDoubtful: boolean;
  /** Of one that was overtaken: does away with the end of its time. */
  spare: Cancel | undefined;
}

class Dialling {
  readonly #options: DialOptions;
  readonly #resolve: (dialled: Dialled) => void;
  readonly #reject: (error: BridgeError) => void;
  readonly #places: readonly Place[];
  readonly #onAbort = (): void => this.#cancel();
  readonly #flights = new Map<Attempt, Flight>();
  /** Those of this round that nobody has asked the breaker about. */
  #waiting: Place[] = [];
  /** Those of this round whose breaker did not admit. */
  #passedBy: Place[] = [];
  #round = 0;
  #dialled = 0;
  #timer: Cancel | undefined;
  /** After which nobody else is dialled. */
  #final: BridgeError | undefined;
  /** Of the last attempt, unless that was a TIMEOUT and another said more. */
  #failure: BridgeError | undefined;
  #settled = false;

  constructor(
    options: DialOptions,
    resolve: (dialled: Dialled) => void,
    reject: (error: BridgeError) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#places = options.candidates.map((candidate) => ({ candidate, error: undefined }));
  }

  begin(): void {
    const { signal } = this.#options;
    if (this.#places.length === 0) {
      this.#reject(new BridgeError('BAD_CONFIG', 'no provider to dial, wanted at least one'));
    } else if (signal.aborted) {
      this.#cancel();
    } else {
      signal.addEventListener('abort', this.#onAbort, { once: true });
      this.#begin(this.#places);
    }
  }

  #begin(places: readonly Place[]): void {
    this.#round += 1;
    this.#waiting = [...places];
    this.#passedBy = [];
    this.#next();
  }

  /** Dials one more, if there is one. */
  #next(): void {
    this.#timer?.();
    this.#timer = undefined;
    const picked = this.#final === undefined ? this.#pick() : undefined;
    if (picked !== undefined) this.#fly(...picked);
    else if (this.#flights.size === 0) this.#roundOver();
  }

  /** The next whose breaker admits; when there is none and nobody promising is under way, the next of the others. */
  #pick(): readonly [Place, Trial, isDoubtful: boolean] | undefined {
    const { breakers } = this.#options;
    for (let place = this.#waiting.shift(); place !== undefined; place = this.#waiting.shift()) {
      const trial = breakers.of(place.candidate.provider).admit();
      if (trial !== undefined) return [place, trial, trial.probe];
      this.#passedBy.push(place);
    }
    for (const { isDoubtful } of this.#flights.values()) if (!isDoubtful) return undefined;
    const place = this.#passedBy.shift();
    return place && [place, breakers.of(place.candidate.provider).insist(), true];
  }

  #fly(place: Place, trial: Trial, isDoubtful: boolean): void {
    const { candidate } = place;
    const { clock, connectMs, hedgeMs } = this.#options;
    const attempt = new Attempt({
      candidate,
      trial,
      clock,
      connectMs,
      request: () => this.#options.request(candidate),
      onReady: (ready, session, request) => this.#onReady(ready, session, request),
      onFailed: (failed, error) => this.#onFailed(failed, error),
      onStray: (_attempt, event) => this.#told(() => this.#options.onStray?.(candidate, event)),
    });
    this.#dialled += 1;
    this.#flights.set(attempt, { place, trial, order: this.#dialled, isDoubtful, spare: undefined });
    const besideMs = trial.probe ? Math.min(PROBE_HEDGE_MS, hedgeMs || PROBE_HEDGE_MS) : hedgeMs;
    if (besideMs > 0) this.#timer = clock.after(besideMs, () => this.#next());
    attempt.start();
  }

  #onReady(attempt: Attempt, session: ProviderSession, request: ConnectRequest): void {
    const flight = this.#landed(attempt);
    if (this.#settled || flight === undefined) {
      attempt.discard();
      return;
    }
    const { candidate, ms } = attempt;
    const { trial } = flight;
    const overtaken = this.#outrun(flight.order);
    const listen = (sink: (event: ProviderEvent) => void): void => attempt.listen(sink);
    this.#resolve({ candidate, session, request, ms, trial, overtaken, listen });
  }

  /** Gives up those that were dialled after the winner, and the others as soon as that tells something about them. */
  #outrun(winner: number): readonly Candidate[] {
    this.#settle();
    const overtaken: Candidate[] = [];
    for (const [attempt, flight] of [...this.#flights]) {
      if (flight.order < winner) {
        overtaken.push(attempt.candidate);
        this.#spare(attempt, flight);
      } else {
        this.#drop(attempt);
      }
    }
    this.#tidy();
    return overtaken;
  }

  #spare(attempt: Attempt, flight: Flight): void {
    const leftMs = this.#options.breakers.slowMs + A_LITTLE_MS - attempt.ms;
    if (leftMs <= 0) this.#drop(attempt);
    else flight.spare = this.#options.clock.after(leftMs, () => this.#drop(attempt));
  }

  #drop(attempt: Attempt): void {
    this.#landed(attempt);
    attempt.drop();
  }

  #landed(attempt: Attempt): Flight | undefined {
    const flight = this.#flights.get(attempt);
    flight?.spare?.();
    this.#flights.delete(attempt);
    this.#tidy();
    return flight;
  }

  #onFailed(attempt: Attempt, error: BridgeError): void {
    const flight = this.#landed(attempt);
    if (this.#settled || flight === undefined) return;
    flight.place.error = error;
    const saidMore = this.#failure !== undefined && this.#failure.code !== 'TIMEOUT';
    if (error.code !== 'TIMEOUT' || !saidMore) this.#failure = error;
    const { failOver, endCall } = error.verdict;
    if (!failOver && endCall) this.#final ??= error;
    const { candidate, ms } = attempt;
    this.#told(() => this.#options.onFailed(candidate, error, ms));
    if (!this.#settled) this.#next();
  }

  /** Nobody is under way and nobody is left to dial. */
  #roundOver(): void {
    const again = this.#places.filter(({ error }) => error?.verdict.retry);
    if (this.#final === undefined && this.#round === 1 && again.length > 0) {
      this.#timer = this.#options.clock.after(AGAIN_AFTER_MS, () => this.#begin(again));
      return;
    }
    this.#end(this.#final ?? this.#failure ?? new BridgeError('INTERNAL', 'no provider was dialled'));
  }

  #cancel(): void {
    const { reason } = this.#options.signal;
    this.#end(new BridgeError('CANCELLED', 'no provider is needed any more', { cause: reason }));
  }

  /** Also when there is a winner: those that it has overtaken go. */
  #end(error: BridgeError): void {
    this.#settle();
    for (const attempt of [...this.#flights.keys()]) this.#drop(attempt);
    this.#tidy();
    // Without effect once there is a winner.
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.();
    this.#timer = undefined;
  }

  #tidy(): void {
    if (this.#settled && this.#flights.size === 0) {
      this.#options.signal.removeEventListener('abort', this.#onAbort);
    }
  }

  /** A listener that throws must neither leave a dialling that never ends nor reach the provider. */
  #told(tell: () => void): void {
    try {
      tell();
    } catch (thrown) {
      if (!this.#settled) this.#end(BridgeError.from(thrown));
    }
  }
}
