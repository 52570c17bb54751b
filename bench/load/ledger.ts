import { NUMBERS } from './frame-code.ts';
import { Histogram } from './histogram.ts';

/** A frame that takes longer is late, in ms. */
export const LATE_MS = 20;
/** At the start of a response a bridge may keep so many frames back on purpose; they are counted apart. */
const START_FRAMES = 4;

/** Everything that is counted while all calls are up. One for all calls. */
export class Counts {
  /** Carrier frame sent until the provider has it. */
  readonly up = new Histogram();
  /** Delta sent until the carrier has it. */
  readonly down = new Histogram();
  /** The same for the first frames of a response; also while calls come up. */
  readonly downStart = new Histogram();
  readonly bargeIn = new Histogram();
  /** How late this process sends what is due. */
  readonly lateness = new Histogram();
  measuring = false;
  lost = 0;
  late = 0;
  /** Frames whose number cannot be read, or that came a second time. */
  spoilt = 0;
  underruns = 0;
  underrunMs = 0;
  nonsense = 0;
  /** Messages that had to be read with care. */
  slow = 0;
  /** Frames that could not be sent because the socket was full. */
  blocked = 0;
  clears = 0;

  /** From now on it counts. */
  begin(): void {
    for (const each of [this.up, this.down, this.bargeIn, this.lateness]) each.reset();
    this.lost = 0;
    this.late = 0;
    this.spoilt = 0;
    this.underruns = 0;
    this.underrunMs = 0;
    this.nonsense = 0;
    this.slow = 0;
    this.blocked = 0;
    this.clears = 0;
    this.measuring = true;
  }
}

/** The frames of one direction of one call: when each was sent, and which came. */
export class FrameLedger {
  readonly #sentAt = new Float64Array(NUMBERS);
  readonly #counts: Counts;
  readonly #direction: 'up' | 'down';
  #next = 0;
  #expected = 0;
  /** Frames before this one belong to a response that was cut off: that they are missing means nothing. */
  #outstanding = 0;
  #startUntil = 0;
  #startsAt = -1;
  #abandoned = false;
  #joins = false;

  constructor(counts: Counts, direction: 'up' | 'down') {
    this.#counts = counts;
    this.#direction = direction;
  }

  /** Number of the frame that is sent now. */
  send(now: number): number {
    const number = this.#next;
    this.#sentAt[number] = now;
    this.#next = (number + 1) % NUMBERS;
    this.#outstanding += 1;
    return number;
  }

  /** The next frame is the first of a response, and what was not yet received never comes. */
  startResponse(): void {
    this.#startsAt = this.#next;
    this.#expected = this.#next;
    this.#outstanding = 0;
    this.#startUntil = START_FRAMES;
    this.#abandoned = false;
  }

  /** The response is cut off: what of it comes or does not come means nothing. */
  abandon(): void {
    this.#abandoned = true;
    this.#outstanding = 0;
  }

  /** What came so far was not told to this ledger: it counts from the next frame that comes. */
  join(): void {
    this.#joins = true;
  }

  /** Frames that were sent and have not come. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** The frame of this number came. True: it is the first of a response. */
  received(number: number, now: number): boolean {
    if (this.#abandoned) return false;
    const gap = (number - this.#expected + NUMBERS) % NUMBERS;
    if (gap >= this.#outstanding) {
      // Of an older response, or for the second time.
      this.#counts.spoilt += 1;
      return false;
    }
    if (this.#joins) this.#joins = false;
    else this.#counts.lost += gap;
    this.#expected = (number + 1) % NUMBERS;
    this.#outstanding -= gap + 1;
    const ms = now - (this.#sentAt[number] ?? 0);
    if (this.#startUntil > 0) {
      this.#startUntil -= 1;
      this.#counts.downStart.record(ms);
    } else if (this.#counts.measuring) this.#record(ms);
    return number === this.#startsAt;
  }

  #record(ms: number): void {
    const counts = this.#counts;
    if (ms > LATE_MS) counts.late += 1;
    if (this.#direction === 'up') counts.up.record(ms);
    else counts.down.record(ms);
  }
}
