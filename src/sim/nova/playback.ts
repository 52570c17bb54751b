/** What the caller has heard of the agent's speech, on the assumption that he listens in real time from the first piece on. */
export class Playback {
  #sentMs = 0;
  #endMs = Number.NEGATIVE_INFINITY;

  /** All audio that was sent, in ms; also what was cut off. */
  get sentMs(): number {
    return this.#sentMs;
  }

  sent(ms: number, nowMs: number): void {
    this.#endMs = Math.max(this.#endMs, nowMs) + ms;
    this.#sentMs += ms;
  }

  /** How long the caller would still listen, in ms. */
  remainingMs(nowMs: number): number {
    return Math.max(0, this.#endMs - nowMs);
  }

  /** Of `sentMs`, what was heard. */
  heardMs(nowMs: number): number {
    return this.#sentMs - this.remainingMs(nowMs);
  }

  /** The rest will never be heard. */
  stop(nowMs: number): void {
    this.#endMs = Math.min(this.#endMs, nowMs);
  }
}
