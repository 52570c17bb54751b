import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';

/** Who brought the call to its end. */
export type EndedBy = 'caller' | 'document' | 'rest' | 'carrier' | 'exchange';

/** Values of `CallHandle.status`; each carrier has its own words for them. */
export type CallStatus =
  | 'initiated'
  | 'ringing'
  | 'in-progress'
  | 'completed'
  | 'busy'
  | 'no-answer'
  | 'canceled'
  | 'failed';

/** What the detection makes of whoever took an outbound call; a greeting may end with a beep, or without. */
export type MachineResult = 'human' | 'machine' | 'greeting-ended-beep' | 'greeting-ended-silence';

/** How a media stream ended. */
export type StreamEnd =
  /** The bridge closed the socket. */
  | { readonly how: 'bridge-closed'; readonly code: number; readonly reason: string }
  /** The caller hung up, or the running document was replaced. */
  | { readonly how: 'carrier-stopped' }
  /** It could not be opened, or it broke: `errorCode` is the carrier's, as Twilio's 319xx. */
  | {
      readonly how: 'failed';
      readonly errorCode: string;
      readonly text: string;
      /** False: there never was a `start`. */
      readonly started: boolean;
    };

/** What one `clear` of the bridge did, counted in bytes of mu-law (8 bytes are 1 ms). */
export interface ClearFact {
  /** Heard since the clear before this one, or since the stream began. */
  readonly heardBytes: number;
  /** Heard of the stretch of agent speech that was cut: since the last pause of 400 ms, or clear. */
  readonly stretchBytes: number;
  /** Thrown away unheard. */
  readonly droppedBytes: number;
  /** Marks whose audio was dropped; a `mark` event follows for each that the carrier echoes all the same. */
  readonly marks: readonly string[];
}

/** Something that happened on a call, without its time. */
export type CallFact =
  | {
      readonly type: 'webhook';
      readonly url: string;
      readonly status: number;
      readonly attempts: number;
      readonly body: string;
    }
  | { readonly type: 'answered' }
  | { readonly type: 'say'; readonly text: string; readonly language: string | undefined }
  | { readonly type: 'play'; readonly url: string; readonly digits: string | undefined }
  | { readonly type: 'pause'; readonly lengthS: number }
  /** The tone after which the caller is to leave a message. */
  | { readonly type: 'beep' }
  /** The message is over. `end`: by its longest time, silence, a key, or because the caller has gone. */
  | {
      readonly type: 'message';
      readonly end: 'limit' | 'silence' | 'key' | 'gone';
      readonly speechMs: number;
    }
  | { readonly type: 'dial'; readonly targets: readonly string[]; readonly callerId: string | undefined }
  | { readonly type: 'hangup' }
  | { readonly type: 'redirect'; readonly url: string }
  | { readonly type: 'reject'; readonly reason: 'busy' | 'rejected' }
  | { readonly type: 'stream-opening'; readonly url: string; readonly streamId: string }
  | { readonly type: 'stream-started'; readonly streamId: string }
  | { readonly type: 'stream-ended'; readonly end: StreamEnd; readonly unheardBytes: number }
  /** A second socket was tried with the same address; `status` is that of the refusal, 101 when it was let in. */
  | { readonly type: 'replayed-upgrade'; readonly status: number }
  /** `flushed`: by a clear. `echoed` is false only under the fault that swallows marks. */
  | { readonly type: 'mark'; readonly name: string; readonly flushed: boolean; readonly echoed: boolean }
  | ({ readonly type: 'clear' } & ClearFact)
  /** The caller begins to hear the agent, or has heard nothing of it for 400 ms. */
  | { readonly type: 'agent-speaking' }
  | { readonly type: 'agent-quiet' }
  | { readonly type: 'caller-speaking' }
  | { readonly type: 'caller-quiet' }
  | { readonly type: 'key'; readonly digit: string }
  /** Keys that the bridge pressed: by a message on the media socket, a document or a request. */
  | { readonly type: 'agent-keys'; readonly digits: string }
  /** Somebody, or something, took an outbound call. */
  | { readonly type: 'picked-up'; readonly by: 'human' | 'machine' }
  /** The other leg of a transfer. */
  | { readonly type: 'leg'; readonly target: string; readonly status: string }
  /** What the other leg of a transfer heard before it was connected. */
  | { readonly type: 'leg-told'; readonly text: string }
  /** What the carrier would write into its debugger; later ones with the same text are only counted. */
  | { readonly type: 'warning'; readonly code: string; readonly text: string }
  | {
      readonly type: 'callback';
      readonly kind: 'progress' | 'stream' | 'machine' | 'recording' | 'key' | 'leg';
      readonly event: string;
      /** HTTP status of the bridge's answer; 0 when there was none. */
      readonly status: number;
    }
  | { readonly type: 'rest'; readonly operation: string; readonly status: number }
  | { readonly type: 'ended'; readonly by: EndedBy };

/** Something that happened on a call; `atMs` counts from when it was placed. */
export type CallEvent = CallFact & { readonly atMs: number };
/** Names of the events. */
export type CallEventType = CallEvent['type'];
/** The events of one name. */
export type CallEventOf<T extends CallEventType> = Extract<CallEvent, { readonly type: T }>;

interface Waiter {
  readonly type: CallEventType;
  readonly accept: (event: CallEvent) => boolean;
  readonly settle: (event: CallEvent | BridgeError) => void;
}

/** Everything that happened on one call, in order, and the means to wait for more. */
export class EventLog {
  readonly events: CallEvent[] = [];
  readonly #clock: Clock;
  readonly #beganMs: number;
  readonly #seen = new Map<CallEventType, number>();
  readonly #warned = new Map<string, number>();
  #waiters: Waiter[] = [];
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganMs = clock.now();
  }

  /** Ms since the call was placed. */
  now(): number {
    return this.#clock.now() - this.#beganMs;
  }

  add(fact: CallFact): void {
    const event: CallEvent = { ...fact, atMs: this.now() };
    this.events.push(event);
    // A waiter goes after its first match; it may add another one at once.
    const waiting = this.#waiters;
    if (waiting.length === 0) return;
    this.#waiters = waiting.filter((waiter) => !this.#offer(waiter, event));
  }

  warn(code: string, text: string): void {
    const key = `${code}: ${text}`;
    const count = (this.#warned.get(key) ?? 0) + 1;
    this.#warned.set(key, count);
    if (count === 1) this.add({ type: 'warning', code, text });
  }

  /** How often each warning was given, by `code: text`. */
  get warnings(): ReadonlyMap<string, number> {
    return this.#warned;
  }

  /**
   * The next event of a type that `accept` takes and that no earlier call of `next` for this type has passed by; it may
   * have happened already. Rejects with TIMEOUT after `withinMs`, and with CANCELLED when the call is over.
   */
  next<T extends CallEventType>(
    type: T,
    accept: (event: CallEventOf<T>) => boolean,
    withinMs: number,
  ): Promise<CallEventOf<T>> {
    const matches = (event: CallEvent): event is CallEventOf<T> =>
      event.type === type && accept(event as CallEventOf<T>);
    for (let i = this.#seen.get(type) ?? 0; i < this.events.length; i++) {
      const event = this.events[i];
      if (event === undefined || !matches(event)) continue;
      this.#seen.set(type, i + 1);
      return Promise.resolve(event);
    }
    this.#seen.set(type, this.events.length);
    if (this.#closed) return Promise.reject(over(type));
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(withinMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(new BridgeError('TIMEOUT', `no event "${type}" on the call within ${withinMs} ms`));
      });
      const waiter: Waiter = {
        type,
        accept: matches,
        settle: (result) => {
          cancel();
          if (result instanceof BridgeError) reject(result);
          else if (matches(result)) resolve(result);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  /** Ends every wait: nothing more will happen. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.settle(over(waiter.type));
  }

  #offer(waiter: Waiter, event: CallEvent): boolean {
    if (!waiter.accept(event)) return false;
    this.#seen.set(waiter.type, this.events.length);
    waiter.settle(event);
    return true;
  }
}

function over(type: CallEventType): BridgeError {
  return new BridgeError('CANCELLED', `the call is over and no event "${type}" came any more`);
}
