import { createHash, randomBytes } from 'node:crypto';
import type { Random } from '../random.ts';

/** A seed for one call: 256 bits of this machine's chance, in hexadecimal. Whoever knows it knows the call's tokens. */
export function newSeed(): string {
  return randomBytes(32).toString('hex');
}

/** The same bytes for the same seed, on every machine: SHA-256 of the seed and a count. As secret as its seed. */
export class SeededRandom implements Random {
  readonly #seed: string;
  #count = 0;
  #left: Uint8Array = new Uint8Array(0);

  constructor(seed: string) {
    this.#seed = seed;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let filled = 0; filled < count; ) {
      if (this.#left.length === 0) this.#left = this.#block();
      const piece = this.#left.subarray(0, count - filled);
      bytes.set(piece, filled);
      filled += piece.length;
      this.#left = this.#left.subarray(piece.length);
    }
    return bytes;
  }

  /** Of version 4 in its shape. */
  uuid(): string {
    const bytes = Buffer.from(this.bytes(16));
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
    const hex = bytes.toString('hex');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  fraction(): number {
    // 48 bits, which a number holds exactly.
    return Buffer.from(this.bytes(6)).readUIntBE(0, 6) / 2 ** 48;
  }

  #block(): Uint8Array {
    const block = createHash('sha256').update(`${this.#seed}:${this.#count}`).digest();
    this.#count += 1;
    return block;
  }
}
