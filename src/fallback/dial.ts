import type { Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../provider.ts';
import type { Breakers } from './breakers.ts';
import type { Candidate } from './candidate.ts';

export interface DialOptions {
  readonly clock: Clock;
  readonly breakers: Breakers;
  /** In the order in which they are to be tried. */
  readonly candidates: readonly Candidate[];
  /** See `FallbackPolicy`. */
  readonly connectMs: number;
  readonly hedgeMs: number;
  /** Aborts when nobody needs a session any more: everything that was dialled is closed, and `dial` rejects with CANCELLED. */
  readonly signal: AbortSignal;
  /** Made anew for every attempt: the conversation may have gone on meanwhile. */
  request(candidate: Candidate): ConnectRequest;
  /** One attempt has come to nothing; told at once, for log, metrics and events. */
  onFailed(candidate: Candidate, error: BridgeError, ms: number): void;
}

/** A session that is ready. */
export interface Dialled {
  readonly candidate: Candidate;
  readonly session: ProviderSession;
  /** What it was told. */
  readonly request: ConnectRequest;
  /** From the dialling of this one until it was ready. */
  readonly ms: number;
  /** Hands over the events that came meanwhile, then all that come. Called once. */
  listen(sink: (event: ProviderEvent) => void): void;
}

/** What may follow an attempt that failed: with whom else, or once more with the same. */
export const AGAIN_AFTER_MS = 300;

/**
 * The first provider that is ready. Each has its time; the next one is dialled when one has failed, or beside one that is
 * slow (hedge), and whoever is not first is closed without having been sent anything. Providers whose breaker is open are
 * passed by as long as there are others. When all have failed, those whose error may pass (`retry`) are tried once more.
 * Rejects with the BridgeError of the last attempt, CANCELLED by `signal`, or BAD_CONFIG when there is no candidate.
 */
export async function dial(options: DialOptions): Promise<Dialled> {
  const { candidates, signal, clock } = options;
  const [candidate] = candidates;
  if (candidate === undefined) throw new BridgeError('BAD_CONFIG', 'no provider to dial');
  const startedAt = clock.now();
  const request = options.request(candidate);
  const early: ProviderEvent[] = [];
  let sink = (event: ProviderEvent): void => {
    early.push(event);
  };
  try {
    const session = await candidate.provider.connect(request, (event) => sink(event), signal);
    return {
      candidate,
      session,
      request,
      ms: clock.now() - startedAt,
      listen(to) {
        for (const event of early.splice(0)) to(event);
        sink = to;
      },
    };
  } catch (thrown) {
    const error = BridgeError.from(thrown);
    options.onFailed(candidate, error, clock.now() - startedAt);
    throw error;
  }
}
