/** Notices when the bridge runs further ahead of the caller's ear than a carrier likes. */
export class LeadWatch {
  readonly #levelsMs: readonly number[];
  readonly #passed: (aheadMs: number) => void;
  #next = 0;

  /** `passed` is called once for each level, in ms and rising, and again when less than the lowest one waited meanwhile. */
  constructor(levelsMs: readonly number[], passed: (aheadMs: number) => void) {
    this.#levelsMs = levelsMs;
    this.#passed = passed;
  }

  /** So many bytes of mu-law waited to be played, and wait now. */
  grew(fromBytes: number, toBytes: number): void {
    const aheadMs = toBytes / 8;
    if (fromBytes / 8 < (this.#levelsMs[0] ?? 0)) this.#next = 0;
    for (let level = this.#levelsMs[this.#next]; level !== undefined; level = this.#levelsMs[this.#next]) {
      if (aheadMs < level) return;
      this.#next++;
      this.#passed(level);
    }
  }
}
