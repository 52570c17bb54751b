import { crc32 } from 'node:zlib';
import { BridgeError } from '../../errors.ts';

/**
 * The framing of `application/vnd.amazon.eventstream`, big endian: total length, length of the headers, CRC-32 of these
 * two; headers; payload; CRC-32 of everything before it.
 */

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;
/** What the service accepts as one message. */
const MAX_MESSAGE_BYTES = 24 * 1024 * 1024;
const NOTHING: Buffer = Buffer.alloc(0);

/** A header: text, bytes, or the milliseconds of a timestamp; the few other types are only skipped. */
export type HeaderValue = string | Buffer | bigint | undefined;

/** One message of the stream; the bytes belong to the buffer that it was read from. */
export interface StreamMessage {
  readonly headers: ReadonlyMap<string, HeaderValue>;
  readonly payload: Buffer;
}

/** Header types by their number: how many bytes a value has that has no length of its own. */
const FIXED_BYTES = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16] as const;
const BYTES_TYPE = 6;
const TEXT_TYPE = 7;
const TIMESTAMP_TYPE = 8;

/** Headers with text values as they stand on the wire, to be used for any number of messages. */
export function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => {
      const nameBytes = Buffer.from(name);
      const valueBytes = Buffer.from(value);
      const length = Buffer.from([TEXT_TYPE, valueBytes.length >> 8, valueBytes.length & 0xff]);
      return [Buffer.from([nameBytes.length]), nameBytes, length, valueBytes];
    }),
  );
}

/** One message; `headers` from `encodeHeaders`. */
export function encodeMessage(headers: Buffer, payload: Uint8Array): Buffer {
  const total = PRELUDE_BYTES + headers.length + payload.length + CRC_BYTES;
  const message = Buffer.allocUnsafe(total);
  message.writeUInt32BE(total, 0);
  message.writeUInt32BE(headers.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  headers.copy(message, PRELUDE_BYTES);
  message.set(payload, PRELUDE_BYTES + headers.length);
  message.writeUInt32BE(crc32(message.subarray(0, total - CRC_BYTES)), total - CRC_BYTES);
  return message;
}

/** The one message that a buffer holds; throws BAD_FRAME when it is cut, too long or does not match its checksums. */
export function readMessage(bytes: Buffer): StreamMessage {
  const length = messageLength(bytes);
  if (length !== bytes.length) {
    throw broken(`found ${bytes.length} bytes, wanted ${length ?? `at least ${PRELUDE_BYTES}`}`);
  }
  const end = length - CRC_BYTES;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) throw broken('the checksum does not match');
  const payloadAt = PRELUDE_BYTES + bytes.readUInt32BE(4);
  return {
    headers: readHeaders(bytes.subarray(PRELUDE_BYTES, payloadAt)),
    payload: bytes.subarray(payloadAt, end),
  };
}

/** Puts messages together that come in pieces of any size. */
export class MessageReader {
  #rest: Buffer = NOTHING;
  #pieces: Buffer[] = [];
  #have = 0;
  /** Below this many bytes it is no use to look again. */
  #want = PRELUDE_BYTES;

  /** Hands on every message that is complete now; throws BAD_FRAME for bytes that are no message. */
  push(bytes: Buffer, take: (message: StreamMessage) => void): void {
    this.#pieces.push(bytes);
    this.#have += bytes.length;
    if (this.#have < this.#want) return;
    this.#rest = this.#pieces.length === 1 ? bytes : Buffer.concat(this.#pieces);
    let length = messageLength(this.#rest);
    while (length !== undefined && this.#rest.length >= length) {
      const whole = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      take(readMessage(whole));
      length = messageLength(this.#rest);
    }
    this.#pieces = this.#rest.length === 0 ? [] : [this.#rest];
    this.#have = this.#rest.length;
    this.#want = length ?? PRELUDE_BYTES;
  }

  /** Bytes of a message that is not complete. */
  get pending(): number {
    return this.#have;
  }
}

/** Of the message at the start of the buffer; undefined: too little of it has come. */
function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < PRELUDE_BYTES) return undefined;
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8))
    throw broken('the prelude checksum does not match');
  const length = bytes.readUInt32BE(0);
  if (length > MAX_MESSAGE_BYTES) throw broken(`found a message of ${length} bytes`);
  if (length < PRELUDE_BYTES + bytes.readUInt32BE(4) + CRC_BYTES) throw broken('the headers are too long');
  return length;
}

function readHeaders(bytes: Buffer): ReadonlyMap<string, HeaderValue> {
  const headers = new Map<string, HeaderValue>();
  try {
    for (let at = 0; at < bytes.length; ) {
      const nameEnd = at + 1 + bytes.readUInt8(at);
      const name = bytes.toString('utf8', at + 1, nameEnd);
      const type = bytes.readUInt8(nameEnd);
      const fixed = FIXED_BYTES[type];
      const start = nameEnd + (fixed === undefined ? 3 : 1);
      at = start + (fixed ?? bytes.readUInt16BE(nameEnd + 1));
      if (at > bytes.length) throw broken('a header is cut');
      headers.set(name, headerValue(type, bytes.subarray(start, at)));
    }
  } catch (cause) {
    if (cause instanceof BridgeError) throw cause;
    throw broken('a header is cut', cause);
  }
  return headers;
}

function headerValue(type: number, bytes: Buffer): HeaderValue {
  switch (type) {
    case TEXT_TYPE:
      return bytes.toString('utf8');
    case BYTES_TYPE:
      return bytes;
    case TIMESTAMP_TYPE:
      return bytes.readBigInt64BE();
    default:
      if (type >= FIXED_BYTES.length) throw broken(`found a header of type ${type}`);
      return undefined;
  }
}

function broken(what: string, cause?: unknown): BridgeError {
  return new BridgeError('BAD_FRAME', `event stream: ${what}`, { cause });
}
