/** Notices when the bridge runs further ahead of the caller's ear than a carrier likes. */
export class LeadWatch {
  readonly #levelsMs: readonly number[];
  readonly #passed: (aheadMs: number) => void;
  #next = 0;

  /** `passed` is called once for each level, in ms and rising, until less than the lowest one waits again. */
  constructor(levelsMs: readonly number[], passed: (aheadMs: number) => void) {
    this.#levelsMs = levelsMs;
    this.#passed = passed;
  }

  /** `bufferedBytes` of mu-law wait to be played. */
  look(bufferedBytes: number): void {
    const aheadMs = bufferedBytes / 8;
    if (aheadMs < (this.#levelsMs[0] ?? 0)) this.#next = 0;
    for (let level = this.#levelsMs[this.#next]; level !== undefined; level = this.#levelsMs[this.#next]) {
      if (aheadMs < level) return;
      this.#next++;
      this.#passed(level);
    }
  }
}
