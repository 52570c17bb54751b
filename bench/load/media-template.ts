import { type CodeKind, CodeWriter, MULAW, silentBase64 } from './frame-code.ts';
import { type CallIds, mediaMessage } from './twilio.ts';
import { CLIENT_MASK, frameOf } from './web-socket.ts';

const PAYLOAD = silentBase64(MULAW);

interface Digits {
  /** In the frame. */
  readonly at: number;
  readonly length: number;
}

/** The media messages of one call: made once and masked, then only numbers in it change. */
export class MediaTemplate {
  /** The whole frame. Copied before it changes again if the kernel has not taken it. */
  readonly bytes: Buffer;
  readonly #payloadAt: number;
  readonly #base64At: number;
  readonly #sequence: Digits;
  readonly #chunk: Digits;
  readonly #timestamp: Digits;
  readonly #writer: CodeWriter;

  constructor(call: CallIds, sequence: number, chunk: number) {
    const text = mediaMessage(call, sequence, chunk, PAYLOAD);
    const { bytes, payloadAt } = frameOf(text, CLIENT_MASK);
    this.bytes = bytes;
    this.#payloadAt = payloadAt;
    const digits = (name: string): Digits => {
      const at = text.indexOf(`"${name}":"`) + name.length + 4;
      return { at: payloadAt + at, length: text.indexOf('"', at) - at };
    };
    this.#sequence = digits('sequenceNumber');
    this.#chunk = digits('chunk');
    this.#timestamp = digits('timestamp');
    this.#base64At = payloadAt + text.indexOf(PAYLOAD);
    this.#writer = new CodeWriter(MULAW, CLIENT_MASK, (this.#base64At - payloadAt) & 3);
  }

  /** Writes other numbers; false when one of them has become longer, and a new template is needed. */
  number(sequence: number, chunk: number): boolean {
    return (
      this.#write(this.#sequence, sequence) &&
      this.#write(this.#chunk, chunk) &&
      this.#write(this.#timestamp, 20 * (chunk - 1))
    );
  }

  /** Writes the number that is to be heard. */
  code(value: number, kind: CodeKind): void {
    this.#writer.write(this.bytes, this.#base64At, value, kind);
  }

  #write({ at, length }: Digits, value: number): boolean {
    let rest = value;
    for (let i = at + length - 1; i >= at; i--) {
      const digit = rest % 10;
      this.bytes[i] = (48 + digit) ^ (CLIENT_MASK[(i - this.#payloadAt) & 3] ?? 0);
      rest = (rest - digit) / 10;
    }
    return rest === 0;
  }
}
