import type { Cancel, Clock } from '../../clock.ts';

/** An answer that the bridge wants from the model. */
export interface Wanted {
  /** What it is asked with. */
  readonly text: string;
  /** Out of date when the caller cuts in before anything of it came. */
  readonly isSpeech: boolean;
  /** Asked for again when that happens. */
  readonly insist: boolean;
}

export interface RequestsPorts {
  readonly clock: Clock;
  /** The model can be told something without being asked to answer. */
  readonly tellsSilently: boolean;
  /** An answer is under way that must not be cut off, or the model stands still for a function. */
  busy(): boolean;
  /** Sends a request; `notes` come before it. */
  ask(text: string, notes: readonly string[]): void;
  tell(notes: readonly string[]): void;
  warn(code: string, message: string): void;
  /** Nothing came of what was asked for, for the second time running. */
  dead(ms: number): void;
}

/** How an answer that begins came about. */
export interface Origin {
  /** The bridge asked for it. */
  readonly asked: boolean;
  /** Nobody is to hear it: the caller cut in before it began, or it was not to be. */
  readonly unwanted: boolean;
}

interface Pending {
  /** Undefined: the result of a function was told. */
  readonly wanted: Wanted | undefined;
  readonly attempts: number;
  readonly at: number;
  /** Not wanted if it begins before this. */
  unwantedUntil: number;
}

interface Queued {
  readonly wanted: Wanted;
  readonly attempts: number;
}

/** An answer that never comes must not silence the agent for ever. */
const LOST_MS = 10_000;
/** After words of the caller the model answers by itself; it comes within a fraction of this. */
const EXPECTED_WITHIN_MS = 3_000;
/** A caller may well talk for long; an end that was lost must not hold the agent back for the rest of the call. */
const LONGEST_SPEECH_MS = 30_000;
/** What was cut off before it began begins soon or never; after that it is the answer to the caller. */
const UNWANTED_MS = 3_000;
const MOST_ATTEMPTS = 2;
/** As `unwantedUntil`: it is wanted. */
const WANTED = Number.NEGATIVE_INFINITY;
/** What could not be told yet; the oldest goes first. */
const MOST_NOTES = 32;

/**
 * One rule: never ask for an answer while there is one, is about to be one, or the caller speaks. Requests wait in
 * order, and so does what the model is only told, since telling it anything may cut it off.
 */
export class Requests {
  readonly #ports: RequestsPorts;
  readonly #queue: Queued[] = [];
  readonly #notes: string[] = [];
  /** Asked for and not begun; results of functions are among them. */
  readonly #pending: Pending[] = [];
  #holdUntil = Number.NEGATIVE_INFINITY;
  #holdTimer: Cancel | undefined;
  #lostTimer: Cancel | undefined;
  #losses = 0;
  #closed = false;

  constructor(ports: RequestsPorts) {
    this.#ports = ports;
  }

  /** Something was asked for and has not begun. */
  get awaiting(): boolean {
    return this.#pending.length > 0;
  }

  ask(wanted: Wanted): void {
    this.#queue.push({ wanted, attempts: 0 });
    this.pump();
  }

  /** An answer was asked for in another way; it is asked for in this one if it does not come. */
  asked(wanted: Wanted): void {
    this.#pending.push({ wanted, attempts: 1, at: this.#now(), unwantedUntil: WANTED });
    this.#watch();
  }

  /** Something to be told without an answer to it. `atOnce`: nothing is under way that it could cut off. */
  note(text: string, atOnce = false): void {
    if (atOnce && this.#ports.tellsSilently && !this.awaiting && !this.#ports.busy()) {
      this.#ports.tell([...this.#notes.splice(0), text]);
      return;
    }
    if (this.#notes.length === MOST_NOTES) {
      this.#notes.shift();
      this.#ports.warn('text_dropped', 'more texts wait to be told than are kept');
    }
    this.#notes.push(text);
    this.pump();
  }

  /** A result was told that the model goes on with. `quiet`: it was not asked to speak, but may do so. */
  toolAnswered(quiet: boolean): void {
    const unwantedUntil = quiet ? this.#now() + LOST_MS : WANTED;
    this.#pending.push({ wanted: undefined, attempts: 0, at: this.#now(), unwantedUntil });
    this.#watch();
  }

  /** An answer begins. */
  began(): Origin {
    this.#losses = 0;
    const pending = this.#pending.shift();
    if (pending === undefined) {
      this.#holdUntil = Number.NEGATIVE_INFINITY;
      return { asked: false, unwanted: false };
    }
    return { asked: true, unwanted: this.#now() < pending.unwantedUntil };
  }

  /** The model ended its turn without a word. True when that was the answer to something that was asked for. */
  endedEmpty(): boolean {
    const pending = this.#pending.shift();
    if (pending === undefined) return false;
    this.#again(pending, 'the model answered with nothing');
    this.pump();
    return true;
  }

  /** Words of the caller came: the model is about to answer them, and not what they cut off. */
  callerHeard(): void {
    this.#keepPending(({ unwantedUntil }) => unwantedUntil === WANTED);
    this.#hold(EXPECTED_WITHIN_MS);
  }

  /** @param on false: the model is about to answer */
  callerSpeaks(on: boolean): void {
    this.#hold(on ? LONGEST_SPEECH_MS : EXPECTED_WITHIN_MS);
  }

  /** The service cut off what it was about to say, before any of it came. */
  cutByService(): void {
    const insisted = this.#pending.filter(
      ({ wanted, unwantedUntil }) => wanted?.insist === true && unwantedUntil === WANTED,
    );
    this.#pending.length = 0;
    this.#insist(insisted);
  }

  /** The caller cuts in: what waits to be said is out of date, and what was asked for is not wanted any more. */
  doom(): void {
    const now = this.#now();
    const kept = this.#queue.filter(({ wanted }) => !wanted.isSpeech || wanted.insist);
    this.#queue.splice(0, this.#queue.length, ...kept);
    if (kept.some(({ wanted }) => wanted.insist)) this.#hold(EXPECTED_WITHIN_MS);
    const fresh = this.#pending.filter((pending) => pending.unwantedUntil <= now);
    for (const pending of fresh) pending.unwantedUntil = now + UNWANTED_MS;
    this.#insist(fresh.filter(({ wanted }) => wanted?.insist === true));
  }

  /** An answer was cut off before anything of it was heard. */
  unheard(wanted: Wanted): void {
    if (wanted.insist) this.#insist([{ wanted, attempts: 0, at: 0, unwantedUntil: 0 }]);
  }

  /** What the next answer is asked with, if it is the bridge that asked. */
  get next(): Wanted | undefined {
    return this.#pending[0]?.wanted;
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#closed || this.awaiting || this.#ports.busy() || this.#now() < this.#holdUntil) return;
    const queued = this.#queue.shift();
    if (queued === undefined) {
      if (this.#ports.tellsSilently && this.#notes.length > 0) this.#ports.tell(this.#notes.splice(0));
      return;
    }
    const { wanted, attempts } = queued;
    this.#pending.push({ wanted, attempts: attempts + 1, at: this.#now(), unwantedUntil: WANTED });
    this.#watch();
    this.#ports.ask(wanted.text, this.#notes.splice(0));
  }

  /** Nothing is sent any more and no timer is left. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#notes.length = 0;
    this.#holdTimer?.();
    this.#lostTimer?.();
  }

  #now(): number {
    return this.#ports.clock.now();
  }

  #keepPending(isKept: (pending: Pending) => boolean): void {
    const kept = this.#pending.filter(isKept);
    this.#pending.splice(0, this.#pending.length, ...kept);
  }

  /** Asks again, after the turn of the caller who cut in. */
  #insist(pending: readonly Pending[]): void {
    if (pending.length === 0) return;
    for (const { wanted } of pending.toReversed()) {
      if (wanted !== undefined) this.#queue.unshift({ wanted, attempts: 0 });
    }
    this.#hold(EXPECTED_WITHIN_MS);
  }

  #again({ wanted, attempts }: Pending, why: string): void {
    // Results of functions cannot be told twice.
    if (wanted !== undefined && attempts < MOST_ATTEMPTS) this.#queue.unshift({ wanted, attempts });
    else this.#ports.warn('response_lost', why);
  }

  #hold(ms: number): void {
    this.#holdUntil = this.#now() + ms;
    if (this.#holdTimer !== undefined || this.#closed) return;
    this.#waitFor(ms);
  }

  #waitFor(ms: number): void {
    this.#holdTimer = this.#ports.clock.after(ms, () => {
      this.#holdTimer = undefined;
      const left = this.#holdUntil - this.#now();
      if (left > 0 && left < Number.POSITIVE_INFINITY) this.#waitFor(left);
      else this.pump();
    });
  }

  #watch(): void {
    if (this.#closed || this.#lostTimer !== undefined) return;
    this.#lostTimer = this.#ports.clock.after(LOST_MS, () => {
      this.#lostTimer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const now = this.#now();
    const lost = this.#pending.filter(({ at }) => now - at >= LOST_MS);
    const left = this.#pending.filter(({ at }) => now - at < LOST_MS);
    if (left.length > 0) this.#watch();
    if (lost.length === 0) return;
    this.#keepPending(({ at }) => now - at < LOST_MS);
    for (const pending of lost) this.#onLost(pending, now);
    if (!this.#closed) this.pump();
  }

  #onLost(pending: Pending, now: number): void {
    const message = `no sign of an answer that was asked for ${LOST_MS} ms ago`;
    // Whoever was cut off before they began has been silent as they should.
    if (pending.unwantedUntil !== WANTED) return;
    // A caller who speaks is answered first, and so is whatever is under way.
    const wait = now < this.#holdUntil || this.#ports.busy();
    if (wait || pending.wanted === undefined) {
      if (!wait) this.#ports.warn('response_lost', message);
      return;
    }
    this.#losses += 1;
    if (this.#losses >= MOST_ATTEMPTS) this.#ports.dead(LOST_MS);
    else this.#again(pending, message);
  }
}
