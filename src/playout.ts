import { ByteQueue } from './audio/byte-queue.ts';
import { bytesPerMs, silenceByte } from './audio/format.ts';
import type { Clock } from './clock.ts';
import { FRAME_MS, type Paced } from './pacer.ts';
import { type PlayedItem, type SoFar, soFar } from './played-item.ts';
import type { PlayoutCounts, PlayoutLeg, PlayoutOptions } from './playout-options.ts';
import type { HeardItem } from './provider.ts';
import type { EarTape } from './tape.ts';

/** Longest message to the carrier: fewer messages cost less, longer ones delay the first sound after a pause. */
const MESSAGE_MS = 100;
/** Below this lead, audio is sent however little of it there is. */
const URGENT_LEAD_MS = 200;
/** Speech that starts on an idle line waits for this much of itself: begun with less, it stumbles at its first word. */
export const START_MS = 60;
const MARK_EVERY_MS = 200;
/** A mark later than this is taken as lost, and time is read from the wall clock instead. */
const MARK_GRACE_MS = 1000;
/** Longest speech that is kept waiting; a provider that goes on beyond it is at fault. */
const MAX_QUEUED_MS = 600_000;

interface PendingMark {
  readonly name: string;
  readonly position: number;
  readonly sentAt: number;
}

/**
 * What the caller has really heard. Keeps the provider's speech, hands it to the carrier at most `leadMs` ahead, and
 * knows from the carrier's marks how far its ear has come.
 *
 * Position = last acknowledged mark + time since, never beyond what was sent. Speech that starts on an idle line is led by
 * a mark of its own: its echo says that the carrier has begun to play. What is reported as heard adds the round trip,
 * because the acknowledgement was under way as long as a `clear` sent now will be; how far ahead the carrier is given
 * audio does not depend on it, so that a wrong figure can do no harm there.
 */
export class Playout implements Paced {
  /** Speech that is kept until there is so much of it, or for so long, before an idle line begins with it, in ms. */
  startMs = START_MS;
  readonly counts: PlayoutCounts = { underruns: 0, marksLost: 0 };
  readonly #options: PlayoutOptions;
  // What every frame needs is at hand.
  readonly #leg: PlayoutLeg;
  readonly #clock: Clock;
  readonly #leadMs: number;
  readonly #ear: EarTape | undefined;
  readonly #markEvery: number;
  readonly #queue = new ByteQueue();
  readonly #perMs: number;
  readonly #frameBytes: number;
  readonly #message: Uint8Array;
  readonly #silence: number;
  #items: PlayedItem[] = [];
  #marks: PendingMark[] = [];
  #generation = 0;
  #markNumber = 0;
  /** No beat has anything to do before a mark is overdue. */
  #still = false;
  /** Bytes given to the carrier so far, and the position of the newest mark. */
  #sent = 0;
  #marked = 0;
  /** Position `#anchor` was heard at time `#anchorAt`. */
  #anchor = 0;
  #anchorAt = 0;
  /** The mark in front of speech that started on an idle line has not come back. */
  #starting = false;
  /** The carrier did not return marks; believed until one comes. */
  #marksLost = false;
  /** When the speech at the head of the queue arrived there. */
  #queuedAt = 0;
  #openResponses = new Set<string>();
  #busy = false;
  #droppedMs = 0;

  constructor(options: PlayoutOptions) {
    this.#options = options;
    this.#leg = options.leg;
    this.#clock = options.clock;
    this.#leadMs = options.leadMs;
    this.#ear = options.ear;
    this.#perMs = bytesPerMs(options.leg.output);
    this.#markEvery = MARK_EVERY_MS * this.#perMs;
    this.#frameBytes = this.#perMs * FRAME_MS;
    this.#message = new Uint8Array(this.#perMs * MESSAGE_MS);
    this.#silence = silenceByte(options.leg.output);
    this.#anchorAt = options.clock.now();
  }

  /** Nothing waits to be heard. */
  get idle(): boolean {
    return !this.#busy;
  }

  /** Speech that had to be refused because the queue was full. */
  get droppedMs(): number {
    return this.#droppedMs;
  }

  /** Speech sent or queued that has not been heard. */
  get aheadMs(): number {
    return (this.#sent - this.#heardBytes(this.#clock.now()) + this.#queue.length) / this.#perMs;
  }

  /**
   * Appends speech of `itemId` in the leg's output format. False: it was refused, because too much waits already.
   * @param receivedMs how much of the provider's own audio this is
   */
  push(responseId: string, itemId: string, bytes: Uint8Array, receivedMs: number): boolean {
    if (this.#queue.length + bytes.length > MAX_QUEUED_MS * this.#perMs) {
      this.#droppedMs += bytes.length / this.#perMs;
      return false;
    }
    const item = this.#itemFor(responseId, itemId);
    this.#openResponses.add(responseId);
    this.#wake();
    this.#append(item, bytes, receivedMs);
    return true;
  }

  /** The same for more of the item that was pushed last, as long as its response has not ended and nothing was cut off. */
  more(bytes: Uint8Array, receivedMs: number): void {
    const item = this.#items[this.#items.length - 1];
    if (item === undefined || this.#queue.length + bytes.length > MAX_QUEUED_MS * this.#perMs) {
      this.#droppedMs += bytes.length / this.#perMs;
      return;
    }
    this.#append(item, bytes, receivedMs);
  }

  #append(item: PlayedItem, bytes: Uint8Array, receivedMs: number): void {
    const now = this.#clock.now();
    item.end += bytes.length;
    item.receivedMs += receivedMs;
    if (this.#mayPass(bytes.length, now)) {
      this.#give(bytes, now);
      return;
    }
    this.#stir();
    if (this.#queue.length === 0) this.#queuedAt = now;
    this.#queue.push(bytes);
    this.#pump(now);
  }

  /** Whether so much would leave the queue at once. It is that way with most of what comes in real time. */
  #mayPass(length: number, now: number): boolean {
    if (this.#queue.length > 0 || length === 0 || length % this.#frameBytes !== 0) return false;
    const { length: most } = this.#message;
    const ahead = this.#sent - this.#heardBytes(now);
    if (length > most || (ahead <= 0 && !this.#starting)) return false;
    const leadMs = ahead / this.#perMs;
    return (
      Math.floor((this.#leadMs - leadMs) / FRAME_MS) * this.#frameBytes >= length &&
      (length === most || leadMs <= URGENT_LEAD_MS)
    );
  }

  /** No more audio of this response will come: its tail is filled up to a whole frame and marked. */
  endResponse(responseId: string): void {
    this.#stir();
    this.#openResponses.delete(responseId);
    for (const item of this.#items) if (item.responseId === responseId) item.closed = true;
    if (!this.#busy) return;
    const rest = this.#queue.length % this.#frameBytes;
    if (rest > 0 && this.#openResponses.size === 0)
      this.#queue.pushValue(this.#silence, this.#frameBytes - rest);
    this.#pump(this.#clock.now());
  }

  /** The carrier has played everything before this mark. */
  acknowledge(name: string): void {
    const index = this.#marks.findIndex((mark) => mark.name === name);
    const mark = this.#marks[index];
    // Echoes of an older generation are the carrier emptying its buffer: that audio was not heard.
    if (mark === undefined) return;
    this.#stir();
    this.#marks.splice(0, index + 1);
    this.#marksLost = false;
    this.#starting = false;
    this.#anchor = mark.position;
    this.#anchorAt = this.#clock.now();
    this.#ear?.heard(this.#anchor, this.#anchorAt);
    this.#settle(this.#anchorAt);
  }

  /**
   * The caller cuts in: forgets what is queued, makes the echoes of all marks so far meaningless, and has the carrier
   * empty its buffer (always: it holds speech also when the provider has long finished).
   * @returns what was heard of every item that was not heard to its end, in order of play
   */
  interrupt(): HeardItem[] {
    this.#stir();
    const now = this.#clock.now();
    const { heard, cut, position } = this.#soFar(now);
    this.#ear?.cleared(position, now);
    this.#queue.clear();
    this.#generation += 1;
    this.#leg.clear();
    for (const itemId of heard) this.#options.onHeard(itemId);
    this.#items = [];
    this.#marks = [];
    this.#openResponses.clear();
    this.#anchor = this.#sent;
    this.#anchorAt = now;
    this.#marked = this.#sent;
    this.#starting = false;
    this.#rest();
    return cut;
  }

  /** What was heard of every item that was not heard to its end, in order of play, if nothing more is heard. */
  unfinished(): HeardItem[] {
    return this.#soFar(this.#clock.now()).cut;
  }

  /** Milliseconds of an item heard so far; 0 for one that is unknown or was heard to its end and forgotten. */
  heardMs(itemId: string): number {
    const item = this.#items.find((candidate) => candidate.itemId === itemId);
    if (item === undefined) return 0;
    const position = Math.min(this.#reportedBytes(this.#clock.now()), item.end);
    return Math.max(0, position - item.start) / this.#perMs;
  }

  tick(now: number): number | undefined {
    this.#pump(now);
    this.#settle(now);
    // What comes in real time leaves at once: then there is nothing to do until a mark is overdue.
    this.#still = this.#flows;
    return this.#still ? this.#overdueAt() : undefined;
  }

  /** There is more to do at the next beat than was said at the last one. */
  #stir(): void {
    if (!this.#still) return;
    this.#still = false;
    this.#options.pacer.add(this);
  }

  /** All that came has gone, and the response goes on. */
  get #flows(): boolean {
    return this.#queue.length === 0 && this.#openResponses.size > 0 && this.#items[0]?.closed === false;
  }

  failed(error: unknown): void {
    this.#options.onFailed(error);
  }

  close(): void {
    this.#queue.clear();
    this.#items = [];
    this.#marks = [];
    this.#rest();
  }

  #soFar(now: number): SoFar & { readonly position: number } {
    // The carrier plays whole frames, so the one it has begun is heard to its end; on average that is half a frame.
    const position = Math.min(this.#sent, this.#reportedBytes(now) + (this.#busy ? this.#frameBytes / 2 : 0));
    return { ...soFar(this.#items, position, this.#perMs), position };
  }

  #itemFor(responseId: string, itemId: string): PlayedItem {
    const last = this.#items.at(-1);
    if (last !== undefined && last.itemId === itemId && last.responseId === responseId) return last;
    // Items of one response follow each other; the one before is complete.
    if (last !== undefined && last.responseId === responseId) last.closed = true;
    const start = this.#sent + this.#queue.length;
    const item: PlayedItem = { responseId, itemId, start, end: start, receivedMs: 0, closed: false };
    this.#items.push(item);
    return item;
  }

  #wake(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#options.pacer.add(this);
  }

  #rest(): void {
    if (!this.#busy) return;
    this.#busy = false;
    this.#still = false;
    this.#options.pacer.remove(this);
  }

  /** Where the caller's ear is, in bytes. */
  #heardBytes(now: number): number {
    if (this.#starting) return this.#anchor;
    return Math.min(this.#sent, this.#anchor + (now - this.#anchorAt) * this.#perMs);
  }

  /** Where the caller's ear will be when a `clear` that is sent now arrives. */
  #reportedBytes(now: number): number {
    // Speech under way for the first time is heard one way late, and the clear takes the same way.
    const roundTripMs = this.#starting ? 0 : this.#leg.roundTripMs;
    return Math.min(this.#sent, this.#anchor + (now - this.#anchorAt + roundTripMs) * this.#perMs);
  }

  /** Gives the carrier what may be given now. */
  #pump(now: number): void {
    if (this.#isTooLittle(now)) return;
    if (this.#isLeftOver(now)) this.#fillFrame();
    while (this.#queue.length >= this.#frameBytes) {
      const lead = (this.#sent - this.#heardBytes(now)) / this.#perMs;
      const room = Math.floor((this.#leadMs - lead) / FRAME_MS) * this.#frameBytes;
      const whole = this.#queue.length - (this.#queue.length % this.#frameBytes);
      const size = Math.min(room, whole, this.#message.length);
      const ending = this.#openResponses.size === 0 && whole <= room;
      if (size <= 0 || (size < this.#message.length && lead > URGENT_LEAD_MS && !ending)) return;
      this.#send(size, now);
    }
    // Every response ends with a mark: that is what a hang-up after the goodbye waits for.
    if (this.#openResponses.size === 0 && this.#queue.length === 0 && this.#marked < this.#sent)
      this.#mark(now);
  }

  /** The line is idle and what there is to say is only just beginning to come. */
  #isTooLittle(now: number): boolean {
    if (this.#starting || this.#openResponses.size === 0 || this.#heardBytes(now) < this.#sent) return false;
    return this.#queue.length < this.startMs * this.#perMs && now - this.#queuedAt < this.startMs;
  }

  /** The line has run dry in the middle of a response, and less than a frame of what came waits for the rest of it. */
  #isLeftOver(now: number): boolean {
    const { length } = this.#queue;
    return length > 0 && length < this.#frameBytes && !this.#starting && this.#heardBytes(now) >= this.#sent;
  }

  /** Otherwise it would be heard after the pause, as a click. The silence is none of the item's, but has its place in it. */
  #fillFrame(): void {
    const missing = this.#frameBytes - this.#queue.length;
    this.#queue.pushValue(this.#silence, missing);
    const last = this.#items.at(-1);
    if (last !== undefined) last.end += missing;
  }

  #send(size: number, now: number): void {
    const begins = !this.#starting && this.#heardBytes(now) >= this.#sent;
    if (begins) {
      // The line is idle (or ran dry): the position stands still until this mark's echo.
      if (this.#items.some(({ start, end }) => start < this.#sent && end > this.#sent))
        this.counts.underruns += 1;
      this.#anchor = this.#sent;
      this.#anchorAt = now;
      this.#starting = !this.#marksLost;
      this.#mark(now);
    }
    const bytes = size === this.#message.length ? this.#message : this.#message.subarray(0, size);
    this.#queue.shift(bytes);
    const at = this.#sent;
    this.#give(bytes, now);
    // Nothing will come back that says so.
    if (begins && this.#marksLost) this.#ear?.assumed(at, now + this.#leg.roundTripMs);
  }

  #give(bytes: Uint8Array, now: number): void {
    this.#leg.play(bytes);
    this.#ear?.sent(bytes, now);
    this.#sent += bytes.length;
    if (this.#sent - this.#marked >= this.#markEvery) this.#mark(now);
  }

  #mark(now: number): void {
    this.#stir();
    this.#markNumber += 1;
    const name = `g${this.#generation}.m${this.#markNumber}`;
    this.#marked = this.#sent;
    this.#marks.push({ name, position: this.#sent, sentAt: now });
    this.#leg.mark(name);
  }

  /** Draws the conclusions from the position: lost marks, items heard, all heard. */
  #settle(now: number): void {
    this.#checkForLostMarks(now);
    const heard = this.#heardBytes(now);
    while (this.#items[0]?.closed === true && heard >= this.#items[0].end) {
      const item = this.#items.shift();
      if (item !== undefined) this.#options.onHeard(item.itemId);
    }
    const waiting = this.#marksLost ? heard < this.#sent : this.#marks.length > 0;
    if (!this.#busy || this.#openResponses.size > 0 || this.#queue.length > 0 || waiting) return;
    this.#marks = [];
    this.#rest();
    this.#options.onDrained();
  }

  /** When the oldest mark is taken for lost, if it does not come; Infinity: none is waited for. */
  #overdueAt(): number {
    const oldest = this.#marks[0];
    if (oldest === undefined || this.#marksLost) return Number.POSITIVE_INFINITY;
    const dueIn = this.#starting ? 0 : (oldest.position - this.#anchor) / this.#perMs;
    return Math.max(oldest.sentAt, this.#anchorAt + dueIn) + MARK_GRACE_MS + this.#leg.roundTripMs;
  }

  #checkForLostMarks(now: number): void {
    const oldest = this.#marks[0];
    if (oldest === undefined || now < this.#overdueAt()) return;
    this.#marksLost = true;
    this.counts.marksLost += 1;
    if (!this.#starting) return;
    this.#starting = false;
    this.#anchorAt = oldest.sentAt;
    this.#ear?.assumed(this.#anchor, this.#anchorAt + this.#leg.roundTripMs);
  }
}
