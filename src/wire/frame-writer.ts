import { randomFillSync } from 'node:crypto';
import type { Duplex } from 'node:stream';

/** FIN and the opcode of text: a whole message in one frame (RFC 6455, 5.2). */
const WHOLE_TEXT = 0x81;
const MASKED = 0x80;
/** Lengths from here on are written in two bytes of their own, and up to 65,535. */
const TWO_BYTE_LENGTH = 126;
const LONGEST = 0xffff;
/** Memory that frames are cut from; what is cut is never used again. */
const SLAB_BYTES = 65_536;
const KEYS = 1024;
/** Before the content of a masked frame with a length of two bytes: 4 bytes, and 4 of the key. */
const HEAD_BYTES = 8;

/**
 * Writes short text messages as whole WebSocket frames, each with one write: half of what a message costs is what happens
 * between `send` and the kernel. Only for connections without extensions, and between two frames of whoever else writes.
 */
export interface FrameWriter {
  /** False: the message was not written, because it is too long or not all ASCII. */
  write(text: string, flushed: (() => void) | undefined): boolean;
}

/** What a server sends is not masked. */
export class PlainFrames implements FrameWriter {
  readonly #socket: Duplex;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  write(text: string, flushed: (() => void) | undefined): boolean {
    const { length } = text;
    if (length > LONGEST || Buffer.byteLength(text) !== length) return false;
    // As text the socket takes it without a buffer of ours.
    this.#socket.write(`${headOf(length)}${text}`, 'latin1', flushed);
    return true;
  }
}

function headOf(length: number): string {
  return length < TWO_BYTE_LENGTH
    ? String.fromCharCode(WHOLE_TEXT, length)
    : String.fromCharCode(WHOLE_TEXT, TWO_BYTE_LENGTH, length >> 8, length & 0xff);
}

/** Keys that nobody can foretell, and the memory of masked frames; one for all connections of a network. */
export class MaskingDesk {
  readonly #keys = new Int32Array(KEYS);
  #key = KEYS;
  #memory = new ArrayBuffer(0);
  #words = new Int32Array(0);
  #used = 0;

  /** Memory for a frame, at a multiple of four. */
  cut(size: number): Buffer {
    const rounded = (size + 3) & ~3;
    if (rounded > SLAB_BYTES) return Buffer.from(new ArrayBuffer(rounded), 0, size);
    if (this.#used + rounded > this.#memory.byteLength) {
      this.#memory = new ArrayBuffer(SLAB_BYTES);
      this.#words = new Int32Array(this.#memory);
      this.#used = 0;
    }
    const frame = Buffer.from(this.#memory, this.#used, size);
    this.#used += rounded;
    return frame;
  }

  /** Masks a frame that was cut here: puts a key in front of its content, and changes the content by it, four bytes at once. */
  mask(frame: Buffer): void {
    const words = frame.buffer === this.#memory ? this.#words : new Int32Array(frame.buffer);
    const key = this.#nextKey();
    const first = frame.byteOffset + HEAD_BYTES;
    words[(first >> 2) - 1] = key;
    // The last word may reach beyond the frame, into bytes that are nobody's.
    const end = (frame.byteOffset + frame.length + 3) >> 2;
    for (let i = first >> 2; i < end; i++) words[i] = (words[i] ?? 0) ^ key;
  }

  #nextKey(): number {
    if (this.#key === KEYS) {
      randomFillSync(this.#keys);
      this.#key = 0;
    }
    const key = this.#keys[this.#key] ?? 0;
    this.#key += 1;
    return key;
  }
}

/** What a client sends is masked, with a key that is new for every frame. */
export class MaskedFrames implements FrameWriter {
  readonly #socket: Duplex;
  readonly #desk: MaskingDesk;

  constructor(socket: Duplex, desk: MaskingDesk) {
    this.#socket = socket;
    this.#desk = desk;
  }

  write(text: string, flushed: (() => void) | undefined): boolean {
    const { length } = text;
    if (length < TWO_BYTE_LENGTH || length > LONGEST || Buffer.byteLength(text) !== length) return false;
    const frame = this.#desk.cut(length + HEAD_BYTES);
    frame[0] = WHOLE_TEXT;
    frame[1] = MASKED | TWO_BYTE_LENGTH;
    frame[2] = length >> 8;
    frame[3] = length & 0xff;
    frame.write(text, HEAD_BYTES, 'latin1');
    this.#desk.mask(frame);
    this.#socket.write(frame, flushed);
    return true;
  }
}
