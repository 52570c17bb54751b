import { constants, type ServerHttp2Stream } from 'node:http2';
import { BridgeError } from '../../errors.ts';
import { isObject } from '../common/json.ts';
import type { NovaError } from './api.ts';
import { parsed } from './check.ts';
import {
  encodeHeaders,
  encodeMessage,
  MessageReader,
  readMessage,
  type StreamMessage,
} from './event-stream.ts';

const SIGNATURE_BYTES = 32;

const CHUNK = encodeHeaders({
  ':event-type': 'chunk',
  ':content-type': 'application/json',
  ':message-type': 'event',
});

const PADDING = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** What is told about the stream. */
export interface LinkListener {
  /** The bytes of one event. */
  came(bytes: Buffer): void;
  /** What came is not framed or signed as it should be. */
  broken(error: BridgeError): void;
  /** The client will send nothing more. */
  ended(): void;
  /** `code`: of RST_STREAM; 0 without one. Once, last. */
  closed(code: number): void;
}

/** One HTTP/2 stream: messages of the event stream around the events, two deep on the way in, one on the way out. */
export class Link {
  readonly #stream: ServerHttp2Stream;
  readonly #requestId: string;
  readonly #pieceBytes: number;
  readonly #listener: LinkListener;
  readonly #reader = new MessageReader();
  #isBroken = false;

  constructor(stream: ServerHttp2Stream, requestId: string, pieceBytes: number, listener: LinkListener) {
    this.#stream = stream;
    this.#requestId = requestId;
    this.#pieceBytes = pieceBytes;
    this.#listener = listener;
    stream.on('data', (bytes: Buffer) => this.#onData(bytes));
    stream.on('end', () => this.#onEnd());
    // A client that resets the stream is no error of ours; `close` tells the code.
    stream.on('error', () => {});
    stream.on('close', () => listener.closed(stream.rstCode ?? 0));
  }

  /** The response headers, unless they were sent. */
  respond(): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    this.#stream.respond({
      ':status': 200,
      'content-type': 'application/vnd.amazon.eventstream',
      'x-amzn-bedrock-content-type': 'application/json',
      'x-amzn-requestid': this.#requestId,
    });
  }

  /** One event, given as JSON. */
  writeEvent(json: string): void {
    const bytes = Buffer.from(json).toString('base64');
    // The service hides the length of what it says behind letters that nobody reads.
    this.writePayload(JSON.stringify({ bytes, p: PADDING.slice(0, 1 + (bytes.length % PADDING.length)) }));
  }

  /** One message with this payload. */
  writePayload(payload: string): void {
    this.#write(encodeMessage(CHUNK, Buffer.from(payload)));
  }

  writeUnknown(type: string): void {
    const headers = { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' };
    this.#write(encodeMessage(encodeHeaders(headers), Buffer.from('{}')));
  }

  writeBadChecksum(): void {
    const message = encodeMessage(CHUNK, Buffer.from('{"bytes":""}'));
    const last = message.length - 1;
    message.writeUInt8(message.readUInt8(last) ^ 0xff, last);
    this.#write(message);
  }

  writeError({ name, message }: NovaError, as: 'exception' | 'error'): void {
    const isException = as === 'exception';
    const headers: Record<string, string> = isException
      ? { ':exception-type': name, ':content-type': 'application/json', ':message-type': 'exception' }
      : { ':error-code': name, ':error-message': message, ':message-type': 'error' };
    const payload = isException ? JSON.stringify({ message }) : '';
    this.#write(encodeMessage(encodeHeaders(headers), Buffer.from(payload)));
  }

  /** The end of the stream; what the client has still to say is not waited for. */
  end(): void {
    this.respond();
    const stream = this.#stream;
    if (stream.destroyed) return;
    stream.resume();
    stream.end(() => {
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  reset(code: number): void {
    this.#stream.close(code);
  }

  goAway(code: number): void {
    this.#stream.session?.goaway(code);
  }

  /** Reads nothing more, so that in the end the client cannot send either. */
  stall(): void {
    this.#stream.pause();
  }

  #write(message: Buffer): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    this.respond();
    if (message.length <= this.#pieceBytes) {
      stream.write(message);
      return;
    }
    for (let at = 0; at < message.length; at += this.#pieceBytes) {
      stream.write(message.subarray(at, at + this.#pieceBytes));
    }
  }

  #onData(bytes: Buffer): void {
    if (this.#isBroken) return;
    try {
      this.#reader.push(bytes, (message) => this.#onMessage(message));
    } catch (thrown) {
      if (!(thrown instanceof BridgeError) || thrown.code !== 'BAD_FRAME') throw thrown;
      this.#isBroken = true;
      this.#listener.broken(thrown);
    }
  }

  #onMessage(outer: StreamMessage): void {
    const signature = outer.headers.get(':chunk-signature');
    const isSigned = Buffer.isBuffer(signature) && signature.length === SIGNATURE_BYTES;
    if (!isSigned || typeof outer.headers.get(':date') !== 'bigint') {
      throw new BridgeError('BAD_FRAME', 'event stream: a message is not signed');
    }
    // The client signs an empty message to say that no more will come.
    if (outer.payload.length === 0) return;
    const { headers, payload } = readMessage(outer.payload);
    const chunk = parsed(payload.toString('utf8'));
    const bytes = isObject(chunk) ? chunk['bytes'] : undefined;
    if (headers.get(':event-type') !== 'chunk' || headers.get(':message-type') !== 'event') {
      throw new BridgeError('BAD_FRAME', 'event stream: the message is no chunk');
    }
    if (typeof bytes !== 'string') throw new BridgeError('BAD_FRAME', 'event stream: the chunk has no bytes');
    this.#listener.came(Buffer.from(bytes, 'base64'));
  }

  #onEnd(): void {
    // A reset by the client ends the reading as well; it is told by `close`.
    if (this.#stream.aborted || this.#stream.destroyed) return;
    if (this.#reader.pending > 0 && !this.#isBroken) {
      this.#listener.broken(new BridgeError('BAD_FRAME', 'event stream: it ends within a message'));
    }
    this.#listener.ended();
  }
}
