import { createHash } from 'node:crypto';

const REMEMBERED = 256;

interface Known<T> {
  readonly run: T;
  over: boolean;
}

/**
 * The invocations of a call that are under way, and the last 256 that are over, so that one that is delivered again is
 * not run again. The same is: the same id, function and text. Another function or text under a known id is another
 * invocation: some servers count the calls of each response from 0.
 */
export class RunHistory<T> {
  readonly #runs = new Map<string, Known<T>>();
  readonly #repetitions = new Map<string, number>();

  static fingerprint(toolCallId: string, name: string, args: string): string {
    return createHash('sha256')
      .update(JSON.stringify([toolCallId, name, args]))
      .digest('base64url');
  }

  find(fingerprint: string): T | undefined {
    return this.#runs.get(fingerprint)?.run;
  }

  /** How many different invocations have come under this id, this one included. */
  count(toolCallId: string): number {
    const count = (this.#repetitions.get(toolCallId) ?? 0) + 1;
    this.#repetitions.delete(toolCallId);
    this.#repetitions.set(toolCallId, count);
    if (this.#repetitions.size > 2 * REMEMBERED) dropFirst(this.#repetitions);
    return count;
  }

  add(fingerprint: string, run: T): void {
    this.#runs.set(fingerprint, { run, over: false });
  }

  over(fingerprint: string): void {
    const known = this.#runs.get(fingerprint);
    if (known === undefined) return;
    known.over = true;
    // The newest last, so that what has just been answered is forgotten last.
    this.#runs.delete(fingerprint);
    this.#runs.set(fingerprint, known);
    this.#forget();
  }

  #forget(): void {
    for (const [key, { over }] of this.#runs) {
      if (this.#runs.size <= REMEMBERED) return;
      if (over) this.#runs.delete(key);
    }
  }
}

function dropFirst(map: Map<string, number>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
