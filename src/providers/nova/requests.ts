import type { Cancel, Clock } from '../../clock.ts';

/** A text that the model is to answer, or at least to read. */
export interface TextRequest {
  readonly text: string;
  /** Of one that is `quiet`: what is told, without the order to keep still, so that it can be told with something else. */
  readonly note?: string;
  /** `say`: out of date when the caller cuts in. `quiet`: an answer to it is not to be heard. */
  readonly kind: 'say' | 'plain' | 'quiet';
  /** Said after the caller's turn, if the caller cuts in before any of it came. */
  readonly insist: boolean;
}

export interface RequestsPorts {
  readonly clock: Clock;
  send(text: string): void;
  /** A result was told and nothing came of it. */
  nudge(): string;
  /** For `ms` there was no sign of an answer that was asked for, or `open`: of one that had begun. */
  lost(ms: number, open: boolean): void;
}

/** Where an answer that has begun comes from. */
export interface Origin {
  /** The bridge asked for it. */
  readonly asked: boolean;
  /** Nobody wants to hear it. */
  readonly hidden: boolean;
}

interface Wanted extends TextRequest {
  attempts: number;
  doomed: boolean;
  /** The caller has the floor until then. */
  notBefore: number;
}

function wantedOf(wish: TextRequest): Wanted {
  return { ...wish, attempts: 0, doomed: false, notBefore: Number.NEGATIVE_INFINITY };
}

function isQuiet({ kind }: TextRequest): boolean {
  return kind === 'quiet';
}

/** An answer that never comes must not silence the agent for ever. */
const LOST_MS = 10_000;
/** One that has begun comes faster than it is spoken. */
const SILENT_MS = 15_000;
/** One that nobody wants any more; what waits behind it is wanted. */
const UNWANTED_MS = 5_000;
/** What wants no answer, or none any more, mostly gets none. */
const QUIET_MS = 3_000;
/** Nothing tells how long a caller speaks who has cut in; when their words come, the answer to them is waited for. */
const FLOOR_MS = 3_000;
/** The caller's words are written down when the service takes the turn; its answer follows at once. */
const EXPECTED_WITHIN_MS = 3_000;

/**
 * Asks the model for one thing at a time, and never while it answers or is about to. The service says of no answer what
 * it is an answer to; what the caller said is told before the answer to it, and that is what tells them apart.
 */
export class Requests {
  readonly #ports: RequestsPorts;
  readonly #queue: Wanted[] = [];
  /** It was sent, and nothing has come of it. */
  #asked: Wanted | undefined;
  /** What the open answer was asked by. */
  #answered: Wanted | undefined;
  /** Results were told of which the model is to speak, or is not. */
  #results: 'none' | 'quiet' | 'wanted' = 'none';
  /** The caller's words came after what was asked last. */
  #callerSince = false;
  #open = false;
  #unwanted = false;
  /** Until when the answer to the caller is waited for. */
  #expectedUntil = 0;
  #lastSign = 0;
  #timer: Cancel | undefined;
  #closed = false;

  constructor(ports: RequestsPorts) {
    this.#ports = ports;
  }

  request(wish: TextRequest): void {
    this.#queue.push(wantedOf(wish));
    // What wants no answer may be told with what comes next: alone it would hold that up until it is clear that none comes.
    if (isQuiet(wish)) queueMicrotask(() => this.#pump());
    else this.#pump();
  }

  /** The result of a function went out. */
  resultSent(respond: boolean): void {
    if (respond) this.#results = 'wanted';
    else if (this.#results === 'none') this.#results = 'quiet';
    // An answer to the caller that is about to begin is none to this.
    if (this.#expectedUntil === 0) this.#callerSince = false;
    this.#sign();
    this.#watch();
  }

  /** The caller has said something, which the model answers by itself. */
  heard(): void {
    this.#callerSince = true;
    this.#expectedUntil = this.#ports.clock.now() + EXPECTED_WITHIN_MS;
    this.#watch();
  }

  /** Something of an answer came. */
  alive(): void {
    this.#lastSign = this.#ports.clock.now();
  }

  /** An answer begins. */
  began(): Origin {
    const mine = this.#asked;
    const results = this.#results;
    const fresh = !this.#callerSince;
    this.#asked = undefined;
    this.#results = 'none';
    this.#open = true;
    this.#unwanted = false;
    this.#expectedUntil = 0;
    this.#answered = fresh ? mine : undefined;
    this.#sign();
    this.#watch();
    // The answer to the caller has taken up what else was there to answer; what has to be said is said after it.
    if (!fresh) {
      if (mine?.insist) this.#queue.unshift(mine);
      return { asked: false, hidden: false };
    }
    const asked = (mine !== undefined && mine.kind !== 'quiet') || results === 'wanted';
    if (asked) return { asked, hidden: mine?.doomed === true && results !== 'wanted' };
    return { asked, hidden: mine !== undefined || results === 'quiet' };
  }

  /** The answer is over. */
  ended(): void {
    this.#open = false;
    this.#answered = undefined;
    this.#pump();
    // What keeps the next request back now is another thing.
    this.#watch();
  }

  /** What is left of the open answer is thrown away. @param unheard nothing of it came before */
  unwanted(unheard: boolean): void {
    this.#unwanted = true;
    const mine = this.#answered;
    if (unheard && mine?.insist) {
      this.#queue.unshift({ ...wantedOf(mine), notBefore: this.#ports.clock.now() + FLOOR_MS });
    }
    this.#answered = undefined;
    this.#watch();
  }

  /** The caller has cut in: what was to be said is out of date, unless it has to be said in any case. */
  doom(): void {
    const kept = this.#queue.filter((wanted) => wanted.kind !== 'say' || wanted.insist);
    this.#queue.splice(0, this.#queue.length, ...kept);
    if (this.#asked?.kind === 'say' && !this.#asked.insist) this.#asked.doomed = true;
    this.#watch();
  }

  /** Nothing is sent any more and no timer is left. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#timer?.();
    this.#timer = undefined;
  }

  #sign(): void {
    this.#lastSign = this.#ports.clock.now();
  }

  #pump(): void {
    const now = this.#ports.clock.now();
    if (this.#closed || this.#open || this.#asked !== undefined || now < this.#expectedUntil) return;
    const wanted = this.#next(now);
    if (wanted === undefined) {
      this.#watch();
      return;
    }
    this.#asked = wanted;
    this.#callerSince = false;
    this.#sign();
    this.#ports.send(wanted.text);
    this.#watch();
  }

  /** The first that may be sent now; what is only told goes with what comes after it. */
  #next(now: number): Wanted | undefined {
    const from = this.#queue.findIndex((one) => one.notBefore <= now);
    if (from < 0) return undefined;
    const next = this.#queue.findIndex((one, i) => i >= from && !isQuiet(one));
    const to = next < 0 ? this.#queue.length : next + (this.#isDue(next, now) ? 1 : 0);
    const taken = this.#queue.splice(from, to - from);
    const last = taken.pop();
    if (last === undefined || taken.length === 0) return last;
    return { ...last, text: [...taken.map(({ text, note }) => note ?? text), last.text].join('\n') };
  }

  #isDue(at: number, now: number): boolean {
    const one = this.#queue[at];
    return one !== undefined && one.notBefore <= now;
  }

  /** When something has to be looked at, at the latest. */
  #due(): number | undefined {
    if (this.#open) return this.#lastSign + (this.#unwanted ? UNWANTED_MS : SILENT_MS);
    if (this.#expectedUntil > 0) return this.#expectedUntil;
    if (this.#asked !== undefined) {
      const idle = this.#asked.kind === 'quiet' || this.#asked.doomed;
      return this.#lastSign + (idle ? QUIET_MS : LOST_MS);
    }
    if (this.#results !== 'none') {
      return this.#lastSign + (this.#results === 'quiet' ? QUIET_MS : LOST_MS);
    }
    return this.#queue.length === 0 ? undefined : Math.min(...this.#queue.map((one) => one.notBefore));
  }

  // One timer, which looks at the time of the last sign, so that a piece of audio costs one number and no timer.
  #watch(): void {
    this.#timer?.();
    this.#timer = undefined;
    const due = this.#due();
    if (this.#closed || due === undefined) return;
    this.#timer = this.#ports.clock.after(Math.max(1, due - this.#ports.clock.now()), () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const due = this.#due();
    if (due !== undefined && this.#ports.clock.now() < due) {
      this.#watch();
      return;
    }
    if (this.#open) this.#ports.lost(this.#unwanted ? UNWANTED_MS : SILENT_MS, true);
    else if (this.#expectedUntil > 0) this.#expectedUntil = 0;
    else this.#onNoAnswer();
    this.#pump();
    this.#watch();
  }

  #onNoAnswer(): void {
    const mine = this.#asked;
    const results = this.#results;
    this.#asked = undefined;
    this.#results = 'none';
    if (mine === undefined) {
      // Not told yet, or nothing was to come.
      if (results !== 'wanted') return;
      const nudge = wantedOf({ text: this.#ports.nudge(), kind: 'plain', insist: false });
      this.#queue.unshift({ ...nudge, attempts: 1 });
    } else {
      if (mine.kind === 'quiet' || mine.doomed) return;
      // Asked for once more.
      if (mine.attempts === 0) this.#queue.unshift({ ...mine, attempts: 1 });
    }
    this.#ports.lost(LOST_MS, false);
  }
}
