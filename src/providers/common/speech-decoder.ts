/** More in one message is no piece of speech that comes fifty times a second. */
const MOST_BYTES = 65_536;
const SMALLEST = 2_048;
const PAD = 0x3d;

/**
 * Makes bytes of base64 without taking memory for each piece of speech: all sessions of a provider may share one, since
 * what it gives is only lent.
 */
export class SpeechDecoder {
  #memory = Buffer.allocUnsafeSlow(SMALLEST);
  #views: Uint8Array[] = [];
  /** Messages that are being worked off, one within the other. */
  #depth = 0;

  /** A message is about to be worked off; `end` has to follow. */
  begin(): void {
    this.#depth += 1;
  }

  /** Nobody needs what was decoded for that message any more. */
  end(): void {
    this.#depth -= 1;
  }

  /**
   * The bytes of each piece, exactly as `Buffer.from` has them; undefined when one is empty, or is not base64 and nothing
   * else, padding included. The list is valid until the next call, and the bytes until `end`.
   */
  decode(pieces: readonly string[]): readonly Uint8Array[] | undefined {
    let size = 0;
    for (let i = 0; i < pieces.length; i++) size += sizeOf(pieces[i] ?? '');
    // Whoever works off a message within a message must not find its own bytes changed afterwards.
    if (size > MOST_BYTES || this.#depth > 1) return decodedAnew(pieces);
    if (size > this.#memory.length) this.#grow(size);
    let at = 0;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i] ?? '';
      const count = sizeOf(piece);
      if (count === 0 || this.#memory.write(piece, at, 'base64') !== count) return undefined;
      this.#view(i, at, count);
      at += count;
    }
    if (this.#views.length !== pieces.length) this.#views.length = pieces.length;
    return this.#views;
  }

  #grow(size: number): void {
    let length = this.#memory.length;
    while (length < size) length *= 2;
    this.#memory = Buffer.allocUnsafeSlow(length);
    this.#views = [];
  }

  // Pieces mostly have one length, so a view is seldom new.
  #view(i: number, at: number, count: number): void {
    const view = this.#views[i];
    if (view === undefined || view.byteOffset !== at || view.length !== count) {
      this.#views[i] = this.#memory.subarray(at, at + count);
    }
  }
}

/**
 * Bytes that base64 of this length has when there is nothing else in it; 0 if there is. Fewer come of any other text, since
 * what is no base64 is left out.
 */
function sizeOf(base64: string): number {
  const { length } = base64;
  if (length === 0 || length % 4 !== 0) return 0;
  const pads = base64.charCodeAt(length - 1) !== PAD ? 0 : base64.charCodeAt(length - 2) !== PAD ? 1 : 2;
  return (length / 4) * 3 - pads;
}

function decodedAnew(pieces: readonly string[]): readonly Uint8Array[] | undefined {
  const all = pieces.map((piece) => Buffer.from(piece, 'base64'));
  const isPure = all.every((bytes, i) => bytes.length > 0 && bytes.length === sizeOf(pieces[i] ?? ''));
  return isPure ? all : undefined;
}
