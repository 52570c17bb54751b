/** Joins samples of 16 bits whose halves came in different pieces. */
export class WholeSamples {
  /** First half of a sample whose second half has not come yet. */
  #half: number | undefined;

  /** Whole samples; the very same bytes when nothing has to be joined. */
  join(bytes: Uint8Array): Uint8Array {
    if (this.#half === undefined && bytes.length % 2 === 0) return bytes;
    const carried = this.#half === undefined ? 0 : 1;
    const all = new Uint8Array(carried + bytes.length);
    if (this.#half !== undefined) all[0] = this.#half;
    all.set(bytes, carried);
    const odd = all.length % 2 === 1;
    this.#half = odd ? all[all.length - 1] : undefined;
    return odd ? all.subarray(0, -1) : all;
  }
}
