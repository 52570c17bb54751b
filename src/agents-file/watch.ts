import { type AgentsFile, type AgentsFileOptions, readAgentsFile } from '../agents-file.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { Env } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { mistakesOf, type Source } from './mistakes.ts';
import { versionOf } from './source-files.ts';

/** Fast enough for somebody who waits for it, and seldom enough to cost nothing. */
const POLL_MS = 1000;

export interface WatchOptions extends Omit<AgentsFileOptions, 'signal'> {
  readonly clock: Clock;
  /** Of the process: `${NAME}` of the file. */
  readonly env: Env;
  /** The file has changed and is good. Must not throw. */
  readonly onChange: (file: AgentsFile) => void;
  /** The file has changed and cannot be used; told once of each state. The one before is still good. Must not throw. */
  readonly onBroken: (error: BridgeError) => void;
}

/**
 * Looks every second at an agents file and at everything that it names, and reads it again when something has changed
 * and then stayed as it is for a second. Changes are found by looking, not by notices of the system, which do not come
 * for mounted volumes and get lost when editors put another file in the place of the old one.
 */
export class AgentsFileWatch {
  readonly #path: string;
  readonly #options: WatchOptions;
  /** What was last read, and what it looked like before that. */
  #read: readonly Source[];
  /** What was last seen, when that was something else. */
  #seen: string | undefined;
  #broken: string | undefined;
  #cancel: Cancel | undefined;
  readonly #life = new AbortController();

  /** `file` is what was read last; the watch goes on from there. */
  constructor(file: AgentsFile, options: WatchOptions) {
    this.#path = file.path;
    this.#read = file.sources;
    this.#options = options;
    this.#wait();
  }

  /**
   * Nothing is told from here on. Waits for nothing: what is being read comes to nothing, and the module of a user may
   * take for ever. Idempotent.
   */
  close(): Promise<void> {
    this.#life.abort(new BridgeError('CANCELLED', 'the agents file is not watched any more'));
    this.#cancel?.();
    return Promise.resolve();
  }

  get #closed(): boolean {
    return this.#life.signal.aborted;
  }

  #wait(): void {
    if (this.#closed) return;
    // The next look is planned when this one is over, so that a slow disk makes looks rare and not many.
    this.#cancel = this.#options.clock.after(POLL_MS, () => {
      void this.#look().finally(() => this.#wait());
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const now = await versionsOf(this.#read);
    if (this.#closed) return;
    if (now === textOf(this.#read)) {
      this.#seen = undefined;
      return;
    }
    if (now !== this.#seen) {
      // Somebody may be in the middle of writing, or of swapping one folder for another.
      this.#seen = now;
      return;
    }
    this.#seen = undefined;
    await this.#readAgain();
  }

  async #readAgain(): Promise<void> {
    const { env, onChange, onBroken, ...options } = this.#options;
    const { signal } = this.#life;
    const outcome = await readAgentsFile(this.#path, env, { ...options, signal }).catch((thrown: unknown) =>
      BridgeError.from(thrown),
    );
    if (outcome instanceof BridgeError) {
      this.#read = mistakesOf(outcome)?.sources ?? (await currentOf(this.#read));
      if (this.#closed || outcome.message === this.#broken) return;
      this.#broken = outcome.message;
      onBroken(outcome);
      return;
    }
    this.#read = outcome.sources;
    this.#broken = undefined;
    if (!this.#closed) onChange(outcome);
  }
}

async function versionsOf(sources: readonly Source[]): Promise<string> {
  return textOf(await currentOf(sources));
}

function currentOf(sources: readonly Source[]): Promise<Source[]> {
  return Promise.all(sources.map(async ({ path }) => ({ path, version: await versionOf(path) })));
}

function textOf(sources: readonly Source[]): string {
  return sources.map(({ path, version }) => `${path}\0${version}`).join('\0');
}
