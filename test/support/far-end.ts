import type { AudioFormat } from '../../src/audio/format.ts';
import type { Clock } from '../../src/clock.ts';
import type { PlayoutLeg } from '../../src/playout-options.ts';

/** PCM16 at 8 kHz: a sample can say which frame it belongs to. */
export const NUMBERED: AudioFormat = { encoding: 'pcm16', rate: 8000 };
/** Frames are numbered from 1 to this and from 1 again. */
export const NUMBERS = 30_000;
const FRAME_BYTES = 320;

/** A frame of 20 ms that says its number. */
export function frameOf(number: number): Uint8Array {
  return new Uint8Array(new Int16Array(160).fill((number % NUMBERS) + 1).buffer);
}

export interface FarEndOptions {
  readonly clock: Clock;
  /** How much faster the carrier's clock is than ours. */
  readonly ppm: number;
  /** A message takes this long, or up to `jitterMs` longer, but keeps its place in the order. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** 0 to 1. */
  readonly random: () => number;
  /** Messages of a carrier that counts its time say it. */
  readonly timed: boolean;
  /** Frames that the carrier does not send. */
  readonly isMissing?: (frame: number) => boolean;
  /** Marks come back. */
  echoes: (atMs: number) => boolean;
  onFrame(bytes: Uint8Array, atMs: number | undefined): void;
  onMark(name: string): void;
}

interface Waiting {
  readonly until: number;
  readonly name: string;
}

/**
 * A carrier with a clock of its own: sends the caller's frames, numbered by its time, plays what it is sent, and knows
 * when. Positions in time are ms of its clock since the call began.
 */
export class FarEnd implements PlayoutLeg {
  readonly output = NUMBERED;
  roundTripMs = 0;
  /** When the frame of this number began to be heard; those that were cleared are not in it. */
  readonly heardAt = new Map<number, number>();
  readonly #options: FarEndOptions;
  readonly #first: number;
  #frame: number;
  #upFree = 0;
  #downFree = 0;
  #bufferEnd = 0;
  #marks: Waiting[] = [];
  #over = false;

  constructor(options: FarEndOptions) {
    this.#options = options;
    this.#frame = Math.ceil(this.#time(options.clock.now()) / 20);
    this.#first = this.#frame;
    this.#tick();
  }

  play(bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#down(() => this.#take(copy));
  }

  mark(name: string): void {
    this.#down(() => {
      this.#marks.push({ until: Math.max(this.#bufferEnd, this.#now), name });
      this.#echo();
    });
  }

  clear(): void {
    this.#down(() => {
      const now = this.#now;
      for (const [number, at] of this.heardAt) if (at >= now) this.heardAt.delete(number);
      this.#bufferEnd = now;
      const { length } = this.#marks;
      for (const { name } of this.#marks.splice(0, length)) this.#up(() => this.#options.onMark(name));
    });
  }

  /** The stream is over. */
  close(): void {
    this.#over = true;
    const now = this.#now;
    for (const [number, at] of this.heardAt) if (at >= now) this.heardAt.delete(number);
  }

  get #now(): number {
    return this.#time(this.#options.clock.now());
  }

  #time(ours: number): number {
    return ours * (1 + this.#options.ppm / 1e6);
  }

  #take(bytes: Uint8Array): void {
    let at = Math.max(this.#bufferEnd, this.#now);
    for (let i = 0; i < bytes.length; i += FRAME_BYTES) {
      const number = ((bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8)) - 1;
      this.heardAt.delete(number);
      this.heardAt.set(number, at);
      at += 20;
    }
    this.#bufferEnd = at;
    const [oldest] = this.heardAt.keys();
    if (this.heardAt.size > NUMBERS * 0.9 && oldest !== undefined) this.heardAt.delete(oldest);
  }

  #echo(): void {
    const now = this.#now;
    while (this.#marks[0] !== undefined && this.#marks[0].until <= now + 1e-6) {
      const name = this.#marks.shift()?.name ?? '';
      if (this.#options.echoes(this.#options.clock.now())) this.#up(() => this.#options.onMark(name));
    }
    const next = this.#marks[0];
    if (next !== undefined) this.#at(next.until, () => this.#echo());
  }

  /** Sends the frame that has just been spoken. */
  #tick(): void {
    this.#at((this.#frame + 1) * 20, () => {
      const number = this.#frame;
      this.#frame += 1;
      const atMs = this.#options.timed ? (number - this.#first) * 20 : undefined;
      if (!this.#options.isMissing?.(number)) this.#up(() => this.#options.onFrame(frameOf(number), atMs));
      this.#tick();
    });
  }

  #at(time: number, run: () => void): void {
    const ours = time / (1 + this.#options.ppm / 1e6);
    this.#options.clock.after(Math.max(0, ours - this.#options.clock.now()), () => {
      if (!this.#over) run();
    });
  }

  #up(run: () => void): void {
    this.#upFree = this.#deliver(this.#upFree, run);
  }

  #down(run: () => void): void {
    this.#downFree = this.#deliver(this.#downFree, run);
  }

  #deliver(free: number, run: () => void): number {
    const { clock, delayMs, jitterMs, random } = this.#options;
    const at = Math.max(free, clock.now() + delayMs + jitterMs * random());
    clock.after(at - clock.now(), () => {
      if (!this.#over) run();
    });
    return at;
  }
}
