import { AudioError } from './audio-error.ts';
import { type AudioFormat, bytesPerSample, ENCODINGS, formatName, RATES } from './format.ts';
import { lawToLaw } from './g711.ts';
import { CONVERTER, createResampler, type Resampler } from './resample.ts';
import { type Reader, readerFor, type Write, writerFor } from './sample-io.ts';

/** Converts a stream of audio from one format to another; what goes in may be cut anywhere, even inside a sample. */
export interface Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  /** Constant group delay in ms; nothing else is held back but bytes that do not make a whole sample. */
  readonly delayMs: number;
  /**
   * Converts what came and returns all that can be made of it: for whole 20 ms in, exactly 20 ms out, from the first
   * frame on. The result is valid until the next call, and only as long as the input stays as it is: between equal formats
   * it is the input itself. The input is neither kept nor changed.
   */
  push(bytes: Uint8Array): Uint8Array;
  /** Ends a stretch of audio: returns what the delay still holds (half a sample is dropped); then as if fresh. */
  flush(): Uint8Array;
  /** Forgets everything that was pushed. */
  reset(): void;
  /** For log lines: `mulaw/8000 > pcm16/24000`. */
  toString(): string;
}

/** Result memory that is kept from call to call; what a larger push needs is given back after it. */
const KEPT_BYTES = 65_536;
const SMALLEST_RESULT = 1_024;
const NOTHING = new Uint8Array(0);

/** The memory of the results: one buffer that is used again and again, and the last view of it. */
class ResultBuffer {
  #kept = NOTHING;
  #view: Uint8Array = NOTHING;

  /** Memory for at least `size` bytes. */
  room(size: number): Uint8Array {
    if (size <= this.#kept.length) return this.#kept;
    if (size > KEPT_BYTES) return new Uint8Array(size);
    let length = SMALLEST_RESULT;
    while (length < size) length *= 2;
    this.#kept = new Uint8Array(length);
    this.#view = NOTHING;
    return this.#kept;
  }

  /** The first `length` bytes of what `room` gave. Frames mostly have one length, so the view is seldom new. */
  take(memory: Uint8Array, length: number): Uint8Array {
    if (length === 0) return NOTHING;
    if (memory !== this.#kept) return memory.subarray(0, length);
    if (this.#view.length !== length) this.#view = memory.subarray(0, length);
    return this.#view;
  }
}

/** One byte in, one byte out: from law to law at one rate. */
class TableTranscoder implements Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  readonly delayMs = 0;
  readonly #table: Uint8Array;
  readonly #result = new ResultBuffer();

  constructor(from: AudioFormat, to: AudioFormat, table: Uint8Array) {
    this.from = from;
    this.to = to;
    this.#table = table;
  }

  push(bytes: Uint8Array): Uint8Array {
    const table = this.#table;
    const memory = this.#result.room(bytes.length);
    for (let i = 0; i < bytes.length; i++) memory[i] = table[bytes[i]!]!;
    return this.#result.take(memory, bytes.length);
  }

  flush(): Uint8Array {
    return NOTHING;
  }

  reset(): void {}

  toString(): string {
    return chainName(this);
  }
}

/** Bytes to samples to bytes, at one rate. */
class RecodingTranscoder implements Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  readonly delayMs = 0;
  readonly #reader: Reader;
  readonly #write: Write;
  readonly #result = new ResultBuffer();

  constructor(from: AudioFormat, to: AudioFormat) {
    this.from = from;
    this.to = to;
    this.#reader = readerFor(from);
    this.#write = writerFor(to);
  }

  push(bytes: Uint8Array): Uint8Array {
    const reader = this.#reader;
    const room = CONVERTER.kernel.input;
    const width = bytesPerSample(this.to);
    const memory = this.#result.room(reader.samplesIn(bytes.length) * width);
    let length = 0;
    reader.at = 0;
    while (reader.at < bytes.length) {
      const count = reader.read(bytes, room, 0);
      this.#write(room, count, memory, length);
      length += count * width;
    }
    return this.#result.take(memory, length);
  }

  flush(): Uint8Array {
    this.reset();
    return NOTHING;
  }

  reset(): void {
    this.#reader.reset();
  }

  toString(): string {
    return chainName(this);
  }
}

/** From a format to itself: what comes is given back, as it is, without a copy. */
class SameTranscoder implements Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  readonly delayMs = 0;
  /** For pushes that begin or end inside a sample. */
  readonly #recoder: RecodingTranscoder;
  readonly #width: number;
  #waiting = 0;

  constructor(from: AudioFormat, to: AudioFormat) {
    this.from = from;
    this.to = to;
    this.#recoder = new RecodingTranscoder(from, to);
    this.#width = bytesPerSample(from);
  }

  push(bytes: Uint8Array): Uint8Array {
    const waiting = (this.#waiting + bytes.length) % this.#width;
    if (this.#waiting === 0 && waiting === 0) return bytes;
    this.#waiting = waiting;
    return this.#recoder.push(bytes);
  }

  flush(): Uint8Array {
    this.reset();
    return NOTHING;
  }

  reset(): void {
    this.#waiting = 0;
    this.#recoder.reset();
  }

  toString(): string {
    return chainName(this);
  }
}

/** Bytes to samples, to another rate, to bytes. */
class ResamplingTranscoder implements Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  readonly delayMs: number;
  readonly #reader: Reader;
  readonly #resampler: Resampler;
  readonly #write: Write;
  readonly #result = new ResultBuffer();

  constructor(from: AudioFormat, to: AudioFormat) {
    this.from = from;
    this.to = to;
    this.#reader = readerFor(from);
    this.#resampler = createResampler(from.rate, to.rate);
    this.#write = writerFor(to);
    this.delayMs = this.#resampler.delayMs;
  }

  push(bytes: Uint8Array): Uint8Array {
    const reader = this.#reader;
    const resampler = this.#resampler;
    const { input, output } = CONVERTER.kernel;
    const width = bytesPerSample(this.to);
    const memory = this.#result.room(resampler.capacityFor(reader.samplesIn(bytes.length)) * width);
    let length = 0;
    reader.at = 0;
    while (reader.at < bytes.length) {
      const count = reader.read(bytes, input, resampler.open());
      const made = resampler.convert(count);
      this.#write(output, made, memory, length);
      length += made * width;
    }
    return this.#result.take(memory, length);
  }

  flush(): Uint8Array {
    const count = this.#resampler.finish();
    const length = count * bytesPerSample(this.to);
    const memory = this.#result.room(length);
    this.#write(CONVERTER.kernel.output, count, memory, 0);
    this.#reader.reset();
    return this.#result.take(memory, length);
  }

  reset(): void {
    this.#reader.reset();
    this.#resampler.reset();
  }

  toString(): string {
    return chainName(this);
  }
}

function chainName(transcoder: Transcoder): string {
  return `${formatName(transcoder.from)} > ${formatName(transcoder.to)}`;
}

/** Formats come from carriers and from users of the library, where a type does not protect. */
function assertFormat(format: AudioFormat): void {
  if (ENCODINGS.includes(format.encoding) && RATES.includes(format.rate)) return;
  throw new AudioError(
    `audio format is ${formatName(format)}, wanted ${ENCODINGS.join(', ')} at ${RATES.join(', ')} Hz`,
  );
}

/**
 * The shortest chain between two formats: nothing at all for equal ones, one table between the laws at one rate, no filter
 * where the rate stays. Throws BAD_AUDIO for a format that it does not know.
 */
export function createTranscoder(from: AudioFormat, to: AudioFormat): Transcoder {
  assertFormat(from);
  assertFormat(to);
  if (from.rate !== to.rate) return new ResamplingTranscoder(from, to);
  if (from.encoding === to.encoding) return new SameTranscoder(from, to);
  if (from.encoding === 'pcm16' || to.encoding === 'pcm16') return new RecodingTranscoder(from, to);
  return new TableTranscoder(from, to, lawToLaw(from.encoding, to.encoding));
}
