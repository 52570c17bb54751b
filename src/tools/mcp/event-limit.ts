import { BridgeError } from '../../errors.ts';

const LF = 10;
const CR = 13;
const COLON = 58;

/**
 * A transformer that hands a stream of server-sent events on, however long it goes on, as long as no event of it has
 * more than so many bytes: its reader keeps an event until its end. Comments are not kept, and do not count.
 */
export class EventLimit {
  readonly #maxBytes: number;
  readonly #onExceeded: () => void;
  /** Of the lines of the event before the present one. */
  #eventBytes = 0;
  #lineBytes = 0;
  #isComment = false;
  #last = 0;

  /** @param onExceeded called once, before the stream fails */
  constructor(maxBytes: number, onExceeded: () => void) {
    this.#maxBytes = maxBytes;
    this.#onExceeded = onExceeded;
  }

  transform(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): void {
    for (const byte of chunk) this.#read(byte);
    // A comment too is kept up to its end.
    if (this.#eventBytes + this.#lineBytes <= this.#maxBytes) {
      controller.enqueue(chunk);
      return;
    }
    this.#onExceeded();
    controller.error(new BridgeError('BAD_FRAME', `found an event of more than ${this.#maxBytes} bytes`));
  }

  #read(byte: number): void {
    if (byte === LF || byte === CR) {
      // The end of a line is written in one of three ways.
      if (byte !== LF || this.#last !== CR) this.#endLine();
    } else {
      if (this.#lineBytes === 0) this.#isComment = byte === COLON;
      this.#lineBytes += 1;
    }
    this.#last = byte;
  }

  #endLine(): void {
    if (this.#lineBytes === 0) this.#eventBytes = 0;
    else if (!this.#isComment) this.#eventBytes += this.#lineBytes;
    this.#lineBytes = 0;
  }
}
