import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** FIN and the opcode of text (RFC 6455, 5.2): a whole message in one frame. */
const WHOLE_TEXT = 0x81;
const FIN = 0x80;
const OPCODE = 0x0f;
const FIRST_CONTROL = 0x8;
const CLOSE = 0x8;
const MASKED = 0x80;
const LENGTH = 0x7f;
/** Longest head of a frame. */
const MOST_HEAD = 14;

export interface FrameReaderOptions {
  /** What comes is masked: the other end is the client. */
  readonly masked: boolean;
  /** Longest message that is taken here, in bytes; the library knows what to do with longer ones. */
  readonly most: number;
  readonly listener: TextListener;
}

/** Whoever takes the messages; see `WireListener`. */
export interface TextListener {
  message(text: string, isBinary: boolean): void;
}

type DataListener = (chunk: Buffer) => void;

/**
 * Stands between a socket and the library that reads WebSocket frames from it, and takes out what is frequent: messages of
 * ASCII text that are whole and lie in one piece of what came. Everything else, and every doubt, is the library's: control
 * frames, pieces of messages, binary ones, other languages, mistakes. It is given its frames whole and in order, so that it
 * never knows what it was not given.
 */
export class FrameReader {
  readonly #theirs: DataListener;
  readonly #masked: boolean;
  readonly #most: number;
  readonly #listener: TextListener;
  /** Bytes of the frame that the library is being given which have not come. */
  #owed = 0;
  /** The library reads a message of several frames. */
  #inPieces = false;
  /** The beginning of a head that was cut; the library has it already. */
  readonly #head = Buffer.alloc(MOST_HEAD);
  #headBytes = 0;
  /** What the library is being given is the other end's last word. */
  #closing = false;
  /** The other end has said its last word, or the library has found a mistake. */
  #over = false;

  private constructor(webSocket: WebSocket, theirs: DataListener, options: FrameReaderOptions) {
    this.#theirs = theirs;
    this.#masked = options.masked;
    this.#most = options.most;
    this.#listener = options.listener;
    webSocket.on('error', () => {
      this.#over = true;
    });
  }

  /**
   * To be called when the connection stands and nothing of it was read. False: the library does not read as expected, and
   * keeps everything to itself.
   */
  static install(webSocket: WebSocket, socket: Duplex, options: FrameReaderOptions): boolean {
    const [theirs, ...others] = socket.listeners('data');
    if (theirs === undefined || others.length > 0 || webSocket.extensions !== '') return false;
    const reader = new FrameReader(webSocket, theirs.bind(socket) as DataListener, options);
    const ours = (chunk: Buffer): void => reader.#read(chunk);
    socket.removeListener('data', theirs as DataListener);
    socket.on('data', ours);
    return true;
  }

  #read(chunk: Buffer): void {
    let at = this.#headBytes > 0 ? this.#completeHead(chunk) : 0;
    // The library tells of a mistake a little later: until then what follows is for it to ignore.
    let theirs = at > 0;
    while (at < chunk.length && !this.#over) {
      const next = theirs || this.#owed > 0 ? undefined : this.#take(chunk, at);
      theirs ||= next === undefined;
      at = next ?? (this.#owed > 0 ? this.#give(chunk, at) : this.#pass(chunk, at));
    }
  }

  /** Takes the frame at `at` if it is of the frequent kind. Returns where the next one begins. */
  #take(chunk: Buffer, at: number): number | undefined {
    const second = chunk[at + 1] ?? 0;
    if (chunk[at] !== WHOLE_TEXT || this.#inPieces || second >= MASKED !== this.#masked) return undefined;
    let length = second & LENGTH;
    let from = at + 2;
    if (length === 126) {
      length = ((chunk[from] ?? 0) << 8) | (chunk[from + 1] ?? 0);
      from += 2;
    }
    const start = this.#masked ? from + 4 : from;
    const end = start + length;
    if (length === LENGTH || end > chunk.length || length > this.#most) return undefined;
    if (this.#masked && !unmask(chunk, from, end)) return undefined;
    const text = chunk.toString('latin1', start, end);
    if (!this.#masked && Buffer.byteLength(text) !== length) return undefined;
    this.#listener.message(text, false);
    return end;
  }

  /** A frame for the library begins at `at`. */
  #pass(chunk: Buffer, at: number): number {
    const size = headSize(chunk, at);
    if (size > chunk.length - at) {
      this.#headBytes = chunk.copy(this.#head, 0, at);
      this.#theirs(chunk.subarray(at));
      return chunk.length;
    }
    this.#begin(chunk, at, size);
    return this.#give(chunk, at);
  }

  /** Returns where what comes after the head begins. */
  #completeHead(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#headBytes < headSize(this.#head, 0, this.#headBytes)) {
      this.#head[this.#headBytes] = chunk[at] ?? 0;
      this.#headBytes += 1;
      at += 1;
    }
    const size = headSize(this.#head, 0, this.#headBytes);
    if (this.#headBytes === size) {
      this.#begin(this.#head, 0, size);
      this.#owed -= size;
      this.#headBytes = 0;
    }
    if (at > 0) this.#theirs(chunk.subarray(0, at));
    this.#settle();
    return at;
  }

  /** The head at `at` is complete. */
  #begin(bytes: Buffer, at: number, size: number): void {
    const first = bytes[at] ?? 0;
    const opcode = first & OPCODE;
    let length = (bytes[at + 1] ?? 0) & LENGTH;
    if (length === 126) length = bytes.readUInt16BE(at + 2);
    else if (length === LENGTH) length = Number(bytes.readBigUInt64BE(at + 2));
    if (opcode < FIRST_CONTROL) this.#inPieces = (first & FIN) === 0;
    this.#closing = opcode === CLOSE;
    this.#owed = size + length;
  }

  #give(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#owed);
    this.#owed -= end - at;
    this.#theirs(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
    this.#settle();
    return end;
  }

  #settle(): void {
    if (this.#closing && this.#owed === 0) this.#over = true;
  }
}

/** Bytes of the head at `at`, as far as the first `end` bytes tell; at least as many as are needed to tell more. */
function headSize(bytes: Buffer, at: number, end = bytes.length): number {
  if (end - at < 2) return 2;
  const second = bytes[at + 1] ?? 0;
  const length = second & LENGTH;
  const lengthBytes = length < 126 ? 0 : length === 126 ? 2 : 8;
  return 2 + lengthBytes + (second >= MASKED ? 4 : 0);
}

/** Unmasks what lies between the key at `from` and `end`; leaves it as it was and returns false if it is not all ASCII. */
function unmask(chunk: Buffer, from: number, end: number): boolean {
  if (applyKey(chunk, from, end) < 0x80) return true;
  applyKey(chunk, from, end);
  return false;
}

/** Returns all bits of the result. */
function applyKey(chunk: Buffer, from: number, end: number): number {
  const a = chunk[from]!;
  const b = chunk[from + 1]!;
  const c = chunk[from + 2]!;
  const d = chunk[from + 3]!;
  let bits = 0;
  let at = from + 4;
  for (const last = end - 3; at < last; at += 4) {
    bits |= chunk[at]! ^= a;
    bits |= chunk[at + 1]! ^= b;
    bits |= chunk[at + 2]! ^= c;
    bits |= chunk[at + 3]! ^= d;
  }
  if (at < end) bits |= chunk[at]! ^= a;
  if (at + 1 < end) bits |= chunk[at + 1]! ^= b;
  if (at + 2 < end) bits |= chunk[at + 2]! ^= c;
  return bits;
}
