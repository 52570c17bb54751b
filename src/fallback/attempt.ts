import type { Cancel, Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../provider.ts';
import type { Trial } from './breakers.ts';
import type { Candidate } from './candidate.ts';

/** What a provider wants to be paid for. */
export type UsageEvent = Extract<ProviderEvent, { type: 'usage' }>;

export interface AttemptOptions {
  readonly candidate: Candidate;
  /** Told what became of it, once. */
  readonly trial: Trial;
  readonly clock: Clock;
  /** Longest time that it may take to be ready, in ms. */
  readonly connectMs: number;
  /** May throw; then the attempt has failed. */
  request(): ConnectRequest;
  /** One of these two is called, once, unless it is dropped before; never before `start` has returned. None may throw. */
  onReady(attempt: Attempt, session: ProviderSession, request: ConnectRequest): void;
  onFailed(attempt: Attempt, error: BridgeError): void;
  /** Of a session that nobody has, or will have. */
  onStray(attempt: Attempt, event: UsageEvent): void;
}

/** Who says more before anybody listens is out of order, or means harm. */
const MOST_EVENTS = 5_000;
/** A minute and a half of 24 kHz PCM16. */
const MOST_BYTES = 4_500_000;

/** How often is looked whether the process gets to run, and how late a look has to be for that it did not. */
const BEAT_MS = 250;
const HELD_UP_MS = 500;

/** A chain of causes may be a circle. */
const MOST_WRAPPINGS = 8;

/** `ready`: the session is somebody's. `over`: there is none any more. */
type Stage = 'dialling' | 'ready' | 'over';

/**
 * One provider that is dialled once. Whatever the provider does, this comes to an end in its time, and a session that
 * comes when nobody waits for it any more is closed.
 */
export class Attempt {
  readonly candidate: Candidate;
  readonly #options: AttemptOptions;
  readonly #startedAt: number;
  readonly #given = new AbortController();
  #beat: Cancel | undefined;
  #heldUpMs = 0;
  #stage: Stage = 'dialling';
  #session: ProviderSession | undefined;
  #early: ProviderEvent[] = [];
  #earlyBytes = 0;
  #sink: (event: ProviderEvent) => void = (event) => this.#keep(event);

  constructor(options: AttemptOptions) {
    const { candidate, clock } = options;
    this.#options = options;
    this.candidate = candidate;
    this.#startedAt = clock.now();
  }

  /** Since it was dialled. While the process was held up nobody could have been ready: that does not count. */
  get ms(): number {
    return this.#options.clock.now() - this.#startedAt - this.#heldUpMs;
  }

  start(): void {
    const { signal } = this.#given;
    // Not left to the provider, which may take no notice.
    signal.addEventListener('abort', () => this.#fail(signal.reason), { once: true });
    this.#wait(this.#options.connectMs);
    this.#connect(signal).catch((thrown: unknown) => this.#fail(thrown));
  }

  /** Nobody needs it any more: it is given up at once, and proves nothing. */
  drop(): void {
    if (this.#stage !== 'dialling') return;
    this.#stage = 'over';
    this.#options.trial.abandoned();
    this.#forget();
  }

  /** Hangs up on a session that is ready and that nobody listens to. */
  discard(): void {
    if (this.#stage !== 'ready') return;
    this.#stage = 'over';
    this.#forget();
  }

  /** Hands over what came so far, in order, and from then on everything at once. Called once. */
  listen(sink: (event: ProviderEvent) => void): void {
    // Who is told of one event may make the provider tell another, which has to come after those that wait.
    for (let event = this.#early.shift(); event !== undefined; event = this.#early.shift()) sink(event);
    if (this.#stage === 'ready') this.#sink = sink;
  }

  /** Until its time is over. */
  #wait(leftMs: number): void {
    const { clock, connectMs } = this.#options;
    const beatMs = Math.min(BEAT_MS, leftMs);
    const at = clock.now() + beatMs;
    this.#beat = clock.after(beatMs, () => {
      const lateMs = clock.now() - at;
      // Timers run before the network: what has come meanwhile was not read yet.
      if (lateMs > HELD_UP_MS) {
        this.#heldUpMs += lateMs;
        this.#options.trial.heldUp(lateMs);
      }
      const restMs = connectMs - this.ms;
      if (restMs > 0) this.#wait(restMs);
      else this.#given.abort(new BridgeError('TIMEOUT', this.#tooLong));
    });
  }

  get #tooLong(): string {
    return `connecting to ${this.candidate.provider.name} took longer than ${this.#options.connectMs} ms`;
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const request = this.#options.request();
    const { provider, dialled = provider } = this.candidate;
    const session = await dialled.connect(request, (event) => this.#sink(event), signal);
    if (this.#stage !== 'dialling') {
      hangUp(session);
      return;
    }
    this.#stage = 'ready';
    this.#session = session;
    this.#beat?.();
    this.#options.trial.ready(this.ms);
    this.#options.onReady(this, session, request);
  }

  #fail(thrown: unknown): void {
    if (this.#stage !== 'dialling') return;
    this.#stage = 'over';
    const error = failureOf(thrown);
    this.#options.trial.failed(error.code);
    this.#forget();
    this.#options.onFailed(this, error);
  }

  /** Has the provider give up whatever is left; of what it still says, only the price is of interest. */
  #forget(): void {
    const early = this.#early;
    this.#early = [];
    this.#sink = (event) => this.#stray(event);
    this.#beat?.();
    if (this.#session !== undefined) hangUp(this.#session);
    else this.#given.abort(new BridgeError('CANCELLED', 'this session is not needed any more'));
    for (const event of early) this.#stray(event);
  }

  #stray(event: ProviderEvent): void {
    if (event.type === 'usage') this.#options.onStray(this, event);
  }

  #keep(event: ProviderEvent): void {
    if (this.#stage === 'dialling' && this.#isEnd(event)) return;
    if (event.type === 'audio') {
      this.#earlyBytes += event.bytes.length;
      // The bytes are only lent.
      this.#early.push({ ...event, bytes: Uint8Array.from(event.bytes) });
    } else {
      this.#early.push(event);
    }
    if (this.#early.length > MOST_EVENTS || this.#earlyBytes > MOST_BYTES) this.#onFlood();
  }

  /** A session that ends before it is ready is none, whatever `connect` comes to. */
  #isEnd(event: ProviderEvent): boolean {
    const isEnd = event.type === 'closed' || (event.type === 'error' && event.fatal);
    if (!isEnd) return false;
    const text = `${this.candidate.provider.name} ended the session before it was ready`;
    this.#fail(event.error ?? new BridgeError('PROVIDER_UNAVAILABLE', text));
    return true;
  }

  #onFlood(): void {
    const text = `${this.candidate.provider.name} says more than ${MOST_EVENTS} things, or ${MOST_BYTES} bytes of audio, before it may`;
    const error = new BridgeError('PROVIDER_UNAVAILABLE', text);
    if (this.#stage === 'dialling') {
      this.#fail(error);
      return;
    }
    // It is somebody's, who will be told of its end in the place of all that it said.
    this.discard();
    this.#early = [{ type: 'closed', expected: false, error }];
  }
}

function failureOf(thrown: unknown): BridgeError {
  const error = unwrapped(thrown);
  // Only we may say that nobody needs the session: whoever waits for it would believe it.
  if (error.code !== 'CANCELLED') return error;
  const text = `the provider gave up by itself: ${error.plainMessage}`;
  return new BridgeError('PROVIDER_UNAVAILABLE', text, { cause: error });
}

/** Adapters of others like to wrap what they are told; what is to be done about it hangs on the code inside. */
function unwrapped(thrown: unknown): BridgeError {
  const outer = BridgeError.from(thrown);
  if (thrown === outer || outer.code !== 'INTERNAL') return outer;
  let inner = outer.cause;
  for (let depth = 0; depth < MOST_WRAPPINGS && inner instanceof Error; depth++) {
    if (inner instanceof BridgeError)
      return new BridgeError(inner.code, outer.plainMessage, { cause: thrown });
    inner = inner.cause;
  }
  return outer;
}

function hangUp(session: ProviderSession): void {
  const closing = async (): Promise<void> => session.close('nobody waits for this session any more');
  // It must not reject, but it is not ours.
  closing().catch(() => undefined);
}
