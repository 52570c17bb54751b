import { AudioError } from './audio-error.ts';
import { type AudioFormat, bytesPerSample, ENCODINGS, formatName, RATES } from './format.ts';
import { lawTables, lawToLaw } from './g711.ts';
import { createResampler, FLUSH_CAPACITY, type Resampler } from './resample.ts';

/** Converts a stream of audio from one format to another; what goes in may be cut anywhere, even inside a sample. */
export interface Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  /** Constant group delay in ms; nothing else is held back but bytes that do not make a whole sample. */
  readonly delayMs: number;
  /**
   * Converts what came and returns all that can be made of it: for whole 20 ms in, exactly 20 ms out, from the first
   * frame on. The result is valid until the next call; the input is neither kept nor changed.
   */
  push(bytes: Uint8Array): Uint8Array;
  /** Ends a stretch of audio: returns what the delay still holds (half a sample is dropped); then as if fresh. */
  flush(): Uint8Array;
  /** Forgets everything that was pushed. */
  reset(): void;
  /** For log lines: `mulaw/8000 > pcm16/24000`. */
  toString(): string;
}

/** Samples that are converted in one go; keeps the memory of a transcoder small whatever is pushed. */
const BLOCK = 960;
/** Result memory that is kept from call to call; what a larger push needs is given back after it. */
const KEPT_BYTES = 65_536;
const SMALLEST_RESULT = 2_048;
const NOTHING = new Uint8Array(0);

/** The memory of the results: one buffer that is used again and again, and the last view of it. */
class ResultBuffer {
  #kept = new Uint8Array(SMALLEST_RESULT);
  #view: Uint8Array = NOTHING;

  /** Memory for at least `size` bytes. */
  room(size: number): Uint8Array {
    if (size <= this.#kept.length) return this.#kept;
    if (size > KEPT_BYTES) return new Uint8Array(size);
    let length = this.#kept.length;
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

/** Bytes to samples. */
interface Reader {
  /** Most samples that come of `bytes` more bytes. */
  samplesIn(bytes: number): number;
  /** Reads up to `into.length` samples from `bytes` at `this.at`, and moves `at`. Returns the samples read. */
  read(bytes: Uint8Array, into: Int16Array): number;
  /** Where the next `read` begins. */
  at: number;
  reset(): void;
}

class LawReader implements Reader {
  at = 0;
  readonly #decode: Int16Array;

  constructor(decode: Int16Array) {
    this.#decode = decode;
  }

  samplesIn(bytes: number): number {
    return bytes;
  }

  read(bytes: Uint8Array, into: Int16Array): number {
    const decode = this.#decode;
    const from = this.at;
    const count = Math.min(into.length, bytes.length - from);
    for (let i = 0; i < count; i++) into[i] = decode[bytes[from + i]!]!;
    this.at = from + count;
    return count;
  }

  reset(): void {
    this.at = 0;
  }
}

class Pcm16Reader implements Reader {
  at = 0;
  /** Low byte of a sample whose high byte has not come yet, or -1. */
  #low = -1;

  samplesIn(bytes: number): number {
    return (bytes + (this.#low < 0 ? 0 : 1)) >> 1;
  }

  read(bytes: Uint8Array, into: Int16Array): number {
    let at = this.at;
    let count = 0;
    if (this.#low >= 0 && at < bytes.length && into.length > 0) {
      into[0] = this.#low | (bytes[at]! << 8);
      this.#low = -1;
      at += 1;
      count = 1;
    }
    const end = count + Math.min(into.length - count, (bytes.length - at) >> 1);
    for (; count < end; count++, at += 2) into[count] = bytes[at]! | (bytes[at + 1]! << 8);
    if (bytes.length - at === 1 && this.#low < 0) {
      this.#low = bytes[at]!;
      at += 1;
    }
    this.at = at;
    return count;
  }

  reset(): void {
    this.at = 0;
    this.#low = -1;
  }
}

/** Samples to bytes, from `at` on. */
type Write = (samples: Int16Array, count: number, into: Uint8Array, at: number) => void;

function writePcm16(samples: Int16Array, count: number, into: Uint8Array, at: number): void {
  for (let i = 0, to = at; i < count; i++, to += 2) {
    const sample = samples[i]!;
    into[to] = sample;
    into[to + 1] = sample >> 8;
  }
}

function readerFor(format: AudioFormat): Reader {
  return format.encoding === 'pcm16' ? new Pcm16Reader() : new LawReader(lawTables(format.encoding).decode);
}

function writerFor(format: AudioFormat): Write {
  if (format.encoding === 'pcm16') return writePcm16;
  const { encode } = lawTables(format.encoding);
  return (samples, count, into, at) => {
    for (let i = 0; i < count; i++) into[at + i] = encode[samples[i]! & 0xffff]!;
  };
}

/** One byte in, one byte out: from law to law at one rate, or G.711 as it is. */
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
  readonly #samples = new Int16Array(BLOCK);
  readonly #result = new ResultBuffer();

  constructor(from: AudioFormat, to: AudioFormat) {
    this.from = from;
    this.to = to;
    this.#reader = readerFor(from);
    this.#write = writerFor(to);
  }

  push(bytes: Uint8Array): Uint8Array {
    const reader = this.#reader;
    const width = bytesPerSample(this.to);
    const memory = this.#result.room(reader.samplesIn(bytes.length) * width);
    let length = 0;
    reader.at = 0;
    while (reader.at < bytes.length) {
      const count = reader.read(bytes, this.#samples);
      this.#write(this.#samples, count, memory, length);
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

/** Bytes to samples, to another rate, to bytes. */
class ResamplingTranscoder implements Transcoder {
  readonly from: AudioFormat;
  readonly to: AudioFormat;
  readonly delayMs: number;
  readonly #reader: Reader;
  readonly #resampler: Resampler;
  readonly #write: Write;
  readonly #samples = new Int16Array(BLOCK);
  readonly #converted: Int16Array;
  readonly #result = new ResultBuffer();

  constructor(from: AudioFormat, to: AudioFormat) {
    this.from = from;
    this.to = to;
    this.#reader = readerFor(from);
    this.#resampler = createResampler(from.rate, to.rate);
    this.#write = writerFor(to);
    this.#converted = new Int16Array(this.#resampler.capacityFor(BLOCK) + FLUSH_CAPACITY);
    this.delayMs = this.#resampler.delayMs;
  }

  push(bytes: Uint8Array): Uint8Array {
    const reader = this.#reader;
    const width = bytesPerSample(this.to);
    const samples = reader.samplesIn(bytes.length);
    const memory = this.#result.room(this.#resampler.capacityFor(samples) * width);
    let length = 0;
    reader.at = 0;
    while (reader.at < bytes.length) {
      const count = reader.read(bytes, this.#samples);
      const made = this.#resampler.process(this.#samples, count, this.#converted);
      this.#write(this.#converted, made, memory, length);
      length += made * width;
    }
    return this.#result.take(memory, length);
  }

  flush(): Uint8Array {
    const count = this.#resampler.flush(this.#converted);
    const length = count * bytesPerSample(this.to);
    const memory = this.#result.room(length);
    this.#write(this.#converted, count, memory, 0);
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
 * The shortest chain between two formats: a copy for equal ones, one table between the laws at one rate, no filter
 * where the rate stays. Throws BAD_AUDIO for a format that it does not know.
 */
export function createTranscoder(from: AudioFormat, to: AudioFormat): Transcoder {
  assertFormat(from);
  assertFormat(to);
  if (from.rate !== to.rate) return new ResamplingTranscoder(from, to);
  if (from.encoding === 'pcm16' || to.encoding === 'pcm16') return new RecodingTranscoder(from, to);
  return new TableTranscoder(from, to, lawToLaw(from.encoding, to.encoding));
}
