import { formatName } from '../audio/format.ts';
import type { ProviderChange } from '../call-events.ts';
import type { Cancel, Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { failureDetail } from '../failure-detail.ts';
import type { Log } from '../log.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../provider.ts';
import { settleWithin } from '../settle.ts';
import type { Breakers, Trial } from './breakers.ts';
import { type Candidate, modelOf } from './candidate.ts';
import { type Dialled, dial, type UsageEvent } from './dial.ts';
import { Generation } from './generation.ts';
import type { FailoverPolicy } from './policy.ts';
import { Renewal } from './renewal.ts';
import { Turnout } from './turnout.ts';

/** A session that the call is held with from now on. */
export interface Ready {
  readonly candidate: Candidate;
  /** Understands the ids of the events that `onEvent` is given. */
  readonly session: ProviderSession;
  readonly why: ProviderChange;
  /** What it was told when it was dialled. */
  readonly request: ConnectRequest;
  /** From the dialling until it was ready. */
  readonly connectMs: number;
  /** Who had the call before it. */
  readonly before: Candidate | undefined;
}

export interface FallbackOptions {
  /** In the order in which they are to be tried; at least one. */
  readonly candidates: readonly Candidate[];
  readonly breakers: Breakers;
  readonly policy: FailoverPolicy;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
  /** What it is to be told now. @param resume see `ConnectRequest` */
  request(candidate: Candidate, resume: string | undefined): ConnectRequest;
  onReady(ready: Ready): void;
  /** Of the session in use. */
  onEvent(event: ProviderEvent): void;
  /** Of a session that is not in use any more, or never was: it is charged for all the same. */
  onUsage(event: UsageEvent, candidate: Candidate): void;
  /** The session in use is no good any more, and another one is looked for. */
  onLost(error: BridgeError): void;
  /** Nobody can hold the call. */
  onNothingLeft(error: BridgeError): void;
  /** One was tried in vain or lost. `ms`: since it was dialled, or was ready. */
  onFailed(candidate: Candidate, phase: 'connecting' | 'in-call', error: BridgeError, ms: number): void;
  /** Nobody speaks and nothing is under way: the session may be exchanged without anybody noticing. */
  mayRenew(): boolean;
  /** The session is about to end, and no other is to be had: it is time for a goodbye. */
  onCannotRenew(): void;
}

interface Live {
  readonly candidate: Candidate;
  readonly generation: Generation;
  readonly session: ProviderSession;
  readonly readyAt: number;
  /** Of its breaker. */
  readonly trial: Trial;
  /** Something of the response that is under way was heard, or it calls a function. */
  answers: boolean;
  /** Its end was told of. */
  announced: boolean;
  /** By which the provider would go on with this very session. */
  handle: string | undefined;
}

/** A session that the same provider would go on with. */
interface Resume {
  readonly candidate: Candidate;
  readonly handle: string;
}

const CLOSE_LIMIT_MS = 2000;

/**
 * Has a provider for a call as long as there is one to be had: at its start, in the place of one that was lost, and when
 * a session is about to reach its longest time. Of the conversation it knows nothing.
 */
export class Fallback {
  readonly #options: FallbackOptions;
  // What every frame needs is at hand.
  readonly #onLiveEvent: (event: ProviderEvent) => void;
  readonly #turnout: Turnout;
  readonly #renewal: Renewal;
  #live: Live | undefined;
  #sessions = 0;
  /** Who had the call last. */
  #last: Candidate | undefined;
  /** Gives the dialling up that is under way, or what is left of it: others that are not ready yet. */
  #cancelDial: Cancel | undefined;
  #over = false;
  readonly #closing = new Set<Promise<void>>();

  constructor(options: FallbackOptions) {
    this.#options = options;
    this.#onLiveEvent = options.onEvent;
    this.#turnout = new Turnout(options.candidates, options.clock);
    this.#renewal = new Renewal({
      clock: options.clock,
      mayRenew: () => options.mayRenew(),
      begin: () => this.#renew(),
      force: () => this.#lose(new BridgeError('PROVIDER_EXPIRED', 'the session is about to end')),
      onCannot: () => options.onCannotRenew(),
    });
  }

  /** Who holds the call, or had it last; before anybody had it, who is tried first. */
  get candidate(): Candidate | undefined {
    return this.#live?.candidate ?? this.#last ?? this.#options.candidates[0];
  }

  /** Dials; what comes of it is told by the callbacks. */
  open(): void {
    this.#dial('start', this.#turnout.inOrder());
  }

  /** The session in use keeps still when it is its turn, or cannot be used for another reason that it does not know of. */
  giveUp(error: BridgeError): void {
    this.#lose(error);
  }

  /** Resolves when every session has closed, at the latest after 2 s. */
  async close(reason: string): Promise<void> {
    this.#over = true;
    this.#renewal.close();
    this.#cancelDial?.();
    const live = this.#live;
    this.#live = undefined;
    if (live !== undefined) this.#closeQuietly(live.session, reason);
    await Promise.all(this.#closing);
  }

  #dial(why: ProviderChange, candidates: readonly Candidate[], resume?: Resume): void {
    const { clock, breakers, policy, signal } = this.#options;
    this.#cancelDial?.();
    const given = new AbortController();
    const follow = (): void => given.abort(signal.reason);
    if (signal.aborted) follow();
    signal.addEventListener('abort', follow, { once: true });
    this.#cancelDial = () => given.abort(new BridgeError('CANCELLED', 'another provider is looked for'));
    const { connectMs, hedgeMs } = policy;
    const unused = resume === undefined ? [] : [resume.handle];
    dial({
      clock,
      breakers,
      candidates: resume === undefined ? candidates : [resume.candidate, ...candidates],
      connectMs,
      // Nobody waits for a session in the place of one that still works.
      hedgeMs: why === 'renewal' ? 0 : hedgeMs,
      signal: given.signal,
      request: (candidate) => {
        // A handle that was refused once is refused again.
        const handle = candidate === resume?.candidate ? unused.shift() : undefined;
        return this.#options.request(candidate, handle);
      },
      onFailed: (candidate, error, ms) => this.#failed(candidate, error, ms),
      onStray: (candidate, event) => this.#options.onUsage(event, candidate),
    })
      .then(
        (dialled) => this.#dialled(dialled, why, given.signal),
        (thrown: unknown) => this.#notDialled(BridgeError.from(thrown), why, given.signal),
      )
      .finally(() => signal.removeEventListener('abort', follow))
      .catch((thrown: unknown) => this.#options.onNothingLeft(BridgeError.from(thrown)));
  }

  #dialled(dialled: Dialled, why: ProviderChange, signal: AbortSignal): void {
    if (signal.aborted || this.#over) {
      this.#closeQuietly(dialled.session, 'nobody needs it any more');
      return;
    }
    if (why === 'renewal' && !this.#renewal.ready()) {
      // What it was told of the conversation is out of date already.
      this.#closeQuietly(dialled.session, 'it came at the wrong moment');
      return;
    }
    this.#use(dialled, why);
  }

  #use({ candidate, session, request, ms, trial, overtaken, listen }: Dialled, why: ProviderChange): void {
    const { clock, log, onFailed } = this.#options;
    const generation = new Generation(this.#sessions);
    this.#sessions += 1;
    const before = this.#live;
    const live = {
      candidate,
      generation,
      session,
      readyAt: clock.now(),
      trial,
      answers: false,
      announced: false,
      handle: undefined,
    };
    const previous = this.#last;
    this.#live = live;
    this.#last = candidate;
    if (before !== undefined) this.#closeQuietly(before.session, 'another session goes on');
    const codecs = { in: formatName(session.input), out: formatName(session.output) };
    log.info({ ...named(candidate), ms: Math.round(ms), why, ...codecs }, 'provider ready');
    for (const slow of overtaken) {
      log.info(named(slow), 'provider was slow, another one was ready first');
      onFailed(slow, 'connecting', new BridgeError('TIMEOUT', 'another provider was ready first'), ms);
    }
    const ours = generation.session(session, (thrown) => this.#broken(live, thrown));
    try {
      this.#options.onReady({ candidate, session: ours, why, request, connectMs: ms, before: previous });
    } catch (thrown) {
      this.#broken(live, thrown);
    }
    listen((event) => this.#onEvent(live, event));
  }

  #notDialled(error: BridgeError, why: ProviderChange, signal: AbortSignal): void {
    if (signal.aborted || this.#over) return;
    this.#cancelDial = undefined;
    if (why === 'renewal') this.#renewal.failed();
    else this.#options.onNothingLeft(error);
  }

  #onEvent(live: Live, event: ProviderEvent): void {
    const onEvent = this.#onLiveEvent;
    if (live !== this.#live) {
      // It may still say what it is to be paid for.
      if (event.type === 'usage') this.#options.onUsage(event, live.candidate);
      return;
    }
    switch (event.type) {
      case 'resumable':
        live.handle = event.handle;
        break;
      case 'expiring':
        if (!live.announced) this.#options.log.info({ inMs: event.inMs }, 'provider session is about to end');
        live.announced = true;
        this.#renewal.expect(event.inMs, this.#options.clock.now() - live.readyAt);
        break;
      case 'closed':
        this.#lose(event.error ?? new BridgeError('PROVIDER_CLOSED', 'no reason given'));
        break;
      case 'error':
        // The conversation counts it, whatever follows.
        onEvent(event);
        if (event.fatal) this.#lose(event.error);
        break;
      case 'audio':
      case 'toolCall':
        live.answers = true;
        onEvent(live.generation.event(event));
        break;
      case 'responseDone':
        if (event.status === 'completed' && live.answers) this.#answered(live);
        live.answers = false;
        onEvent(live.generation.event(event));
        break;
      default:
        onEvent(live.generation.event(event));
    }
  }

  #answered({ trial }: Live): void {
    this.#turnout.answered();
    trial.answered();
  }

  #lose(error: BridgeError): void {
    const live = this.#live;
    if (live === undefined || this.#over) return;
    this.#live = undefined;
    this.#renewal.close();
    try {
      this.#replace(live, error);
    } catch (thrown) {
      // Often a timer has brought us here, and what it throws would end all calls of the process.
      this.#options.onNothingLeft(BridgeError.from(thrown));
    }
  }

  #replace(live: Live, error: BridgeError): void {
    const { clock, log, onFailed, onLost, onNothingLeft } = this.#options;
    const { candidate, handle } = live;
    const { code } = error;
    // Host, status and code are for whoever is paged; the adapter has taken keys out.
    const detail = failureDetail(error.message);
    log.warn({ ...named(candidate), code, detail }, 'provider lost');
    live.trial.lost(code);
    onFailed(candidate, 'in-call', error, clock.now() - live.readyAt);
    this.#turnout.lost(candidate, error);
    onLost(error);
    this.#closeQuietly(live.session, 'the session is no good any more');
    const next = this.#turnout.after(candidate);
    const mayResume = handle !== undefined && this.#turnout.mayTry(candidate);
    const resume = mayResume ? { candidate: { ...candidate }, handle } : undefined;
    this.#cancelDial?.();
    if (next.length === 0 && resume === undefined) onNothingLeft(error);
    else this.#dial('failover', next, resume);
  }

  /** It does not keep the contract: what it throws is its own end. */
  #broken(live: Live, thrown: unknown): void {
    // Whoever has called it is in the middle of something.
    queueMicrotask(() => {
      if (live === this.#live) this.#lose(BridgeError.from(thrown));
    });
  }

  #renew(): void {
    const live = this.#live;
    if (live === undefined) return;
    const { candidate, handle } = live;
    const resume = handle === undefined ? undefined : { candidate: { ...candidate }, handle };
    this.#dial('renewal', this.#turnout.from(candidate), resume);
  }

  #failed(candidate: Candidate, error: BridgeError, ms: number): void {
    const { log, onFailed } = this.#options;
    const { code, message } = error;
    const detail = failureDetail(message);
    log.warn({ ...named(candidate), code, detail, ms: Math.round(ms) }, 'provider cannot be had');
    this.#turnout.failed(candidate, error);
    onFailed(candidate, 'connecting', error, ms);
  }

  #closeQuietly(session: ProviderSession, reason: string): void {
    // One that throws has no less to be followed by another.
    const close = async (): Promise<void> => session.close(reason);
    const closed = settleWithin(this.#options.clock, CLOSE_LIMIT_MS, [close()]).then(() => {
      this.#closing.delete(closed);
    });
    this.#closing.add(closed);
  }
}

/** As a line of the log has it. */
function named(candidate: Candidate): { readonly provider: string; readonly model: string | undefined } {
  return { provider: candidate.provider.name, model: modelOf(candidate) };
}
