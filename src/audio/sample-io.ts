import type { AudioFormat } from './format.ts';
import { lawTables } from './g711.ts';
import { BLOCK, LITTLE_ENDIAN, type SampleRoom } from './kernel.ts';

/** Bytes of a stream to samples. */
export interface Reader {
  /** Most samples that come of `bytes` more bytes. */
  samplesIn(bytes: number): number;
  /** Where in the bytes the next `read` begins. */
  at: number;
  /** Reads up to `BLOCK` samples from there on to `into`, from the sample `index` on. Returns how many. */
  read(bytes: Uint8Array, into: SampleRoom, index: number): number;
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

  read(bytes: Uint8Array, into: SampleRoom, index: number): number {
    const decode = this.#decode;
    const { samples } = into;
    const from = this.at;
    const count = Math.min(BLOCK, bytes.length - from);
    for (let i = 0; i < count; i++) samples[index + i] = decode[bytes[from + i]!]!;
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

  read(bytes: Uint8Array, into: SampleRoom, index: number): number {
    const from = this.at;
    const kept = this.#low < 0 ? 0 : 1;
    const taken = Math.min(2 * BLOCK - kept, bytes.length - from);
    const end = from + taken;
    if (kept === 1) into.bytes[2 * index] = this.#low;
    into.bytes.set(taken === bytes.length ? bytes : bytes.subarray(from, end), 2 * index + kept);
    const whole = (kept + taken) >> 1;
    this.#low = ((kept + taken) & 1) === 1 ? bytes[end - 1]! : -1;
    this.at = end;
    if (!LITTLE_ENDIAN) swapBytes(into.bytes, 2 * index, whole);
    return whole;
  }

  reset(): void {
    this.at = 0;
    this.#low = -1;
  }
}

/** Samples to bytes, those of `from` from 0 on, to `into` from `at` on. */
export type Write = (from: SampleRoom, count: number, into: Uint8Array, at: number) => void;

/** Frames mostly have one length, so the view of them is seldom new. */
function pcm16Writer(): Write {
  let view: Uint8Array | undefined;
  return ({ bytes }, count, into, at) => {
    if (view?.length !== 2 * count || view.buffer !== bytes.buffer || view.byteOffset !== bytes.byteOffset) {
      view = bytes.subarray(0, 2 * count);
    }
    into.set(view, at);
    if (!LITTLE_ENDIAN) swapBytes(into, at, count);
  };
}

function swapBytes(bytes: Uint8Array, at: number, count: number): void {
  for (let i = at; i < at + 2 * count; i += 2) {
    const low = bytes[i]!;
    bytes[i] = bytes[i + 1]!;
    bytes[i + 1] = low;
  }
}

/** Reads a stream of a format. */
export function readerFor({ encoding }: AudioFormat): Reader {
  return encoding === 'pcm16' ? new Pcm16Reader() : new LawReader(lawTables(encoding).decode);
}

/** Writes a format. One for each `SampleRoom` that is written from. */
export function writerFor({ encoding }: AudioFormat): Write {
  if (encoding === 'pcm16') return pcm16Writer();
  const { encode } = lawTables(encoding);
  return ({ samples }, count, into, at) => {
    for (let i = 0; i < count; i++) into[at + i] = encode[samples[i]! & 0xffff]!;
  };
}
