import { createHash } from 'node:crypto';

/** WebSocket frames by hand: this process must cost less than whatever it measures. */

export const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Of all frames that the simulated carrier sends: a client has to mask, and one mask is as good as another. */
export const CLIENT_MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
const NO_MASK = new Uint8Array(4);

/** Value of `Sec-WebSocket-Accept` for a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A whole frame; `payloadAt` says where its payload begins. */
export interface Frame {
  readonly bytes: Buffer;
  readonly payloadAt: number;
}

/** Makes a frame; a mask makes it a client's. */
export function frameOf(text: string | Buffer, mask: Uint8Array | undefined, opcode = TEXT): Frame {
  const payload = typeof text === 'string' ? Buffer.from(text) : text;
  const extra = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8;
  const payloadAt = 2 + extra + (mask === undefined ? 0 : 4);
  const bytes = Buffer.alloc(payloadAt + payload.length);
  bytes[0] = 0x80 | opcode;
  const masked = mask === undefined ? 0 : 0x80;
  if (extra === 0) bytes[1] = masked | payload.length;
  else if (extra === 2) {
    bytes[1] = masked | 126;
    bytes.writeUInt16BE(payload.length, 2);
  } else {
    bytes[1] = masked | 127;
    bytes.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  bytes.set(payload, payloadAt);
  if (mask !== undefined) {
    bytes.set(mask, payloadAt - 4);
    maskFrom(bytes, payloadAt, mask);
  }
  return { bytes, payloadAt };
}

function maskFrom(bytes: Buffer, from: number, mask: Uint8Array): void {
  for (let i = from; i < bytes.length; i++) bytes[i] = (bytes[i] ?? 0) ^ (mask[(i - from) & 3] ?? 0);
}

/** What a connection is told. */
export interface FrameListener {
  /** A text message lies in `data` from `at` to `end`, masked by `mask` (all 0: not at all) as counted from `at`. */
  onText(data: Buffer, at: number, end: number, mask: Uint8Array): void;
  /** A control frame has to be answered with this. */
  onAnswer(frame: Buffer): void;
  onClose(): void;
  /** Something that this reader does not read. */
  onNonsense(what: string): void;
}

/** Text of a message. */
export function textOf(data: Buffer, at: number, end: number, mask: Uint8Array): string {
  const copy = Buffer.from(data.subarray(at, end));
  for (let i = 0; i < copy.length; i++) copy[i] = (copy[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return copy.toString('utf8');
}

/** Cuts a stream of bytes into frames. Knows no fragments: nobody here sends any. */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #mask = new Uint8Array(4);
  /** Answers to control frames are masked if this is the client. */
  readonly #ownMask: Uint8Array | undefined;
  #rest: Buffer | undefined;

  constructor(listener: FrameListener, ownMask: Uint8Array | undefined) {
    this.#listener = listener;
    this.#ownMask = ownMask;
  }

  push(chunk: Buffer): void {
    let data = chunk;
    if (this.#rest !== undefined) {
      data = Buffer.concat([this.#rest, chunk]);
      this.#rest = undefined;
    }
    let at = 0;
    while (at < data.length) {
      const next = this.#frame(data, at);
      if (next === at) break;
      at = next;
    }
    // A copy: the chunk may be a large buffer.
    if (at < data.length) this.#rest = Buffer.from(data.subarray(at));
  }

  /** Gives where the next frame begins; `at` itself when this one is not whole. */
  #frame(data: Buffer, at: number): number {
    const left = data.length - at;
    if (left < 2) return at;
    const second = data[at + 1] ?? 0;
    const isMasked = second >= 0x80;
    let length = second & 0x7f;
    let head = 2;
    if (length >= 126) {
      head = length === 126 ? 4 : 10;
      if (left < head) return at;
      length = head === 4 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2));
    }
    const payloadAt = at + head + (isMasked ? 4 : 0);
    const end = payloadAt + length;
    if (end > data.length) return at;
    const mask = isMasked ? this.#maskAt(data, payloadAt - 4) : NO_MASK;
    this.#tell(data, payloadAt, end, mask, (data[at] ?? 0) & 0x8f);
    return end;
  }

  #maskAt(data: Buffer, at: number): Uint8Array {
    for (let i = 0; i < 4; i++) this.#mask[i] = data[at + i] ?? 0;
    return this.#mask;
  }

  #tell(data: Buffer, at: number, end: number, mask: Uint8Array, kind: number): void {
    switch (kind) {
      case 0x80 | TEXT:
        this.#listener.onText(data, at, end, mask);
        return;
      case 0x80 | PING: {
        const echo = Buffer.from(textOf(data, at, end, mask));
        this.#listener.onAnswer(frameOf(echo, this.#ownMask, PONG).bytes);
        return;
      }
      case 0x80 | PONG:
        return;
      case 0x80 | CLOSE:
        this.#listener.onAnswer(closeFrame(this.#ownMask));
        this.#listener.onClose();
        return;
      default:
        this.#listener.onNonsense(`a frame that begins with ${kind.toString(16)}`);
    }
  }
}

/** A close frame with code 1000. */
export function closeFrame(mask: Uint8Array | undefined): Buffer {
  return frameOf(Buffer.from([0x03, 0xe8]), mask, CLOSE).bytes;
}

/** Messages of a connection that bring audio look alike, so one that was read with care tells where to look in the others. */
export class PayloadFinder {
  #head: Buffer | undefined;
  #tail = 0;

  /** Where the base64 ends; -1: this message has to be read with care. It begins at `start`. */
  find(data: Buffer, at: number, end: number, mask: Uint8Array): number {
    const head = this.#head;
    if (head === undefined || end - at < head.length + this.#tail) return -1;
    for (let i = 0; i < head.length; i++) {
      if (((data[at + i] ?? 0) ^ (mask[i & 3] ?? 0)) !== head[i]) return -1;
    }
    return end - this.#tail;
  }

  /** Length of what comes before the base64. */
  get start(): number {
    return this.#head?.length ?? 0;
  }

  learn(text: string, payload: string): void {
    const from = text.indexOf(payload);
    this.#head = Buffer.from(text.slice(0, from));
    this.#tail = Buffer.byteLength(text.slice(from + payload.length));
  }
}
