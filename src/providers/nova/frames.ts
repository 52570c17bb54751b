import { Readable } from 'node:stream';
import { BridgeError } from '../../errors.ts';

/** More than any event has. The SDK takes the memory for an event as soon as its length is there, up to 4 GiB. */
const MOST_BYTES = 16 * 1_048_576;
/** Two lengths and two checksums. */
const LEAST_BYTES = 16;
const LENGTH_BYTES = 4;
/** Of the page that comes with a refusal. */
const MOST_REFUSAL_BYTES = 262_144;

/** Follows the lengths of the messages in a stream, however it is cut into pieces. */
class Gauge {
  /** Of the message that is under way, as far as it has been read. */
  #length = 0;
  #lengthBytes = 0;
  #left = 0;

  /** Throws PROVIDER_CLOSED when a message says that it is too long, or shorter than any can be. */
  check(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
      } else {
        this.#take(bytes[at] ?? 0);
        at += 1;
      }
    }
  }

  #take(byte: number): void {
    this.#length = this.#length * 256 + byte;
    this.#lengthBytes += 1;
    if (this.#lengthBytes < LENGTH_BYTES) return;
    const length = this.#length;
    if (length < LEAST_BYTES || length > MOST_BYTES) {
      const wanted = `${LEAST_BYTES} to ${MOST_BYTES}`;
      throw new BridgeError(
        'PROVIDER_CLOSED',
        `the service sent an event of ${length} bytes, wanted ${wanted}`,
      );
    }
    this.#left = length - LENGTH_BYTES;
    this.#length = 0;
    this.#lengthBytes = 0;
  }
}

/** The stream as it is, up to an event that is too long: there it throws PROVIDER_CLOSED. */
export async function* limitedEvents(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const gauge = new Gauge();
  for await (const bytes of source) {
    gauge.check(bytes);
    yield bytes;
  }
}

async function* upTo(most: number, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let count = 0;
  for await (const bytes of source) {
    count += bytes.length;
    if (count > most) {
      throw new BridgeError('PROVIDER_UNAVAILABLE', `the service refused with more than ${most} bytes`);
    }
    yield bytes;
  }
}

/** What comes with a refusal, which the SDK reads to its end; fails with PROVIDER_UNAVAILABLE when that is far. */
export function limitedRefusal(source: AsyncIterable<Uint8Array>): Readable {
  return Readable.from(upTo(MOST_REFUSAL_BYTES, source), { objectMode: false });
}
