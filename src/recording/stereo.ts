import { ByteQueue } from '../audio/byte-queue.ts';
import { type AudioFormat, bytesPerSample, silenceByte } from '../audio/format.ts';

/** Where something lies, as far as it is known: a place between two, in samples. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Audio for the right channel that is heard without a pause. All numbers are samples of the file. */
export interface Run {
  /** Position of its first sample among what was sent on its stream. */
  readonly start: number;
  /** Where on the time line it was sent. */
  readonly sentAt: number;
  /** Of what is left to write. */
  readonly queue: ByteQueue;
  length: number;
  /** How much of it was written. */
  written: number;
  /** Where on the time line its first sample is heard; undefined: nobody knows yet. */
  at: Span | undefined;
  /** It may be heard later than that. */
  atLeast: boolean;
  /** Nothing is added to it any more. */
  closed: boolean;
}

/** Written in pieces of so much. */
const PIECE_MS = 200;
const NOTHING = new Uint8Array(0);

/**
 * Two channels on one time line that is written as it comes to be known: the left one without a hole, the right one in
 * runs, with silence between them. Holds what is not written yet.
 */
export class StereoTrack {
  readonly format: AudioFormat;
  readonly runs: Run[] = [];
  readonly #width: 1 | 2;
  readonly #silence: number;
  readonly #write: (bytes: Uint8Array) => void;
  readonly #left = new ByteQueue();
  readonly #piece: number;
  #mono = NOTHING;
  #stereo = NOTHING;
  #written = 0;
  #end = 0;

  /** @param write is given both channels interleaved, in `format`; the buffer is used again */
  constructor(format: AudioFormat, write: (bytes: Uint8Array) => void) {
    this.format = format;
    this.#write = write;
    this.#width = bytesPerSample(format);
    this.#silence = silenceByte(format);
    this.#piece = (format.rate * PIECE_MS) / 1000;
  }

  /** Where the left channel ends. */
  get end(): number {
    return this.#end;
  }

  /** Up to where both channels are written. */
  get written(): number {
    return this.#written;
  }

  /** Bytes that are held. */
  get heldBytes(): number {
    let bytes = this.#left.length;
    for (const { queue } of this.runs) bytes += queue.length;
    return bytes;
  }

  /** Appends to the left channel. */
  say(bytes: Uint8Array): void {
    this.#left.push(bytes);
    this.#end += bytes.length / this.#width;
  }

  /** Appends silence to the left channel. */
  pause(samples: number): void {
    // A pause may be as long as a call: what is due is written on the way.
    for (let left = samples; left > 0; ) {
      const part = Math.min(left, this.#piece);
      this.#left.pushValue(this.#silence, part * this.#width);
      this.#end += part;
      left -= part;
      if (left > 0 && this.#left.length > PAUSE_PIECES * this.#piece * this.#width) {
        this.write(this.#end - PAUSE_PIECES * this.#piece);
      }
    }
  }

  /** Opens a run at this position of what is sent. */
  open(start: number, sentAt: number): Run {
    const run: Run = {
      start,
      sentAt,
      queue: new ByteQueue(),
      length: 0,
      written: 0,
      at: undefined,
      atLeast: false,
      closed: false,
    };
    this.runs.push(run);
    return run;
  }

  /** Appends to a run. */
  add(run: Run, bytes: Uint8Array): void {
    run.queue.push(bytes);
    run.length += bytes.length / this.#width;
  }

  /** Nothing of the run beyond its first `length` samples is heard. */
  cut(run: Run, length: number): void {
    run.closed = true;
    const kept = Math.max(run.written, Math.min(run.length, Math.ceil(length)));
    if (kept >= run.length) return;
    const rest = new Uint8Array((kept - run.written) * this.#width);
    run.queue.shift(rest);
    run.queue.clear();
    run.queue.push(rest);
    run.length = kept;
  }

  /** What comes from `position` on is heard at another place than right after what comes before it. */
  split(run: Run, position: number, at: Span): Run {
    const offset = Math.max(run.written, Math.min(run.length, Math.round(position - run.start)));
    const rest = new Uint8Array((run.length - offset) * this.#width);
    const before = new Uint8Array((offset - run.written) * this.#width);
    run.queue.shift(before);
    run.queue.shift(rest);
    run.queue.push(before);
    const late = run.start + offset - position;
    const next: Run = {
      start: run.start + offset,
      sentAt: run.sentAt + offset,
      queue: new ByteQueue(),
      length: run.length - offset,
      written: 0,
      at: { from: at.from + late, to: at.to + late },
      atLeast: false,
      closed: run.closed,
    };
    next.queue.push(rest);
    run.length = offset;
    run.closed = true;
    this.runs.splice(this.runs.indexOf(run) + 1, 0, next);
    return next;
  }

  /** Where the first sample of a run is put; undefined: not known. */
  placeOf({ at }: Run): number | undefined {
    return at === undefined ? undefined : Math.round((at.from + at.to) / 2);
  }

  /** Writes everything before this place, in whole pieces, or with `all` to the last sample. */
  write(to: number, all = false): void {
    const end = Math.min(to, this.#end);
    while (end - this.#written >= this.#piece || (all && end > this.#written)) {
      this.#writePiece(Math.min(this.#piece, end - this.#written));
    }
  }

  #writePiece(samples: number): void {
    const width = this.#width;
    if (this.#stereo.length !== 2 * samples * width) {
      this.#mono = new Uint8Array(samples * width);
      this.#stereo = new Uint8Array(2 * samples * width);
    }
    const mono = this.#mono;
    this.#left.shift(mono);
    place(mono, this.#stereo, 0, width);
    mono.fill(this.#silence);
    this.#hear(mono, this.#written, this.#written + samples);
    place(mono, this.#stereo, width, width);
    this.#written += samples;
    this.#write(this.#stereo);
  }

  /** Fills in what is heard between two places. */
  #hear(into: Uint8Array, from: number, to: number): void {
    let cursor = from;
    for (let run = this.runs[0]; run !== undefined && cursor < to; run = this.runs[0]) {
      const place = this.#settle(run, cursor);
      if (place === undefined || place >= to) return;
      const next = this.runs[1];
      const limit = Math.min(to, (next && this.placeOf(next)) ?? to);
      const count = Math.max(0, Math.min(run.length - run.written, limit - place));
      const start = (place - from) * this.#width;
      run.queue.shift(into.subarray(start, start + count * this.#width));
      run.written += count;
      cursor = place + count;
      if (next === undefined) return;
      // What is left of it lies behind the next one's beginning: it was not heard.
      if (run.written < run.length && limit === to && cursor >= to) return;
      this.runs.shift();
    }
  }

  /** Where the rest of a run goes, not before `earliest`; what was once put somewhere stays there. */
  #settle(run: Run, earliest: number): number | undefined {
    const place = this.placeOf(run);
    if (place === undefined) return undefined;
    const rest = place + run.written;
    if (rest >= earliest) return rest;
    const at = earliest - run.written;
    if (run.written < run.length) run.at = { from: at, to: at };
    return earliest;
  }
}

/** How much of a long pause is held. */
const PAUSE_PIECES = 15;

function place(mono: Uint8Array, stereo: Uint8Array, first: number, width: number): void {
  for (let at = 0, to = first; at < mono.length; at += width, to += 2 * width) {
    stereo[to] = mono[at] ?? 0;
    if (width === 2) stereo[to + 1] = mono[at + 1] ?? 0;
  }
}
