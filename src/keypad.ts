import type { AgentDigits, DigitContext } from './agents.ts';
import type { Cancel, Clock } from './clock.ts';
import { Collection } from './digit-collection.ts';
import { DigitCollector, type DigitSource, DigitTwins } from './digits.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { TextOptions } from './provider.ts';
import type { CollectedDigits, DigitWish } from './tools.ts';

/** The least of a provider session that the keypad needs. */
export interface KeypadProvider {
  sendText(text: string, options: TextOptions): void;
}

export interface KeypadOptions {
  readonly rule: AgentDigits;
  readonly call: DigitContext;
  readonly clock: Clock;
  readonly log: Log;
  /** An input was delivered, or came to nothing. */
  onInput(): void;
}

/** An end key that comes so soon after the last key that was wanted was pressed out of habit. */
const SPARE_KEY_MS = 2000;
/** A caller who has pressed keys does not wait longer than this for an answer. */
const HANDLER_MS = 10_000;

interface Message {
  readonly text: string;
  readonly options: TextOptions;
}

/** The keys that the caller presses: gathered into inputs, which go to the model or to the agent's handler. */
export class Keypad {
  readonly #options: KeypadOptions;
  readonly #twins: DigitTwins;
  readonly #collector: DigitCollector;
  /** What is to be told to a provider that is not ready. */
  readonly #early: Message[] = [];
  /** Time limits of handlers that have not answered. */
  readonly #limits = new Set<Cancel>();
  #provider: KeypadProvider | undefined;
  /** Somebody waits for keys. */
  #wish: Collection | undefined;
  /** The key that would have ended what was complete without it. */
  #spare: { readonly key: string; readonly until: number } | undefined;
  #closed = false;

  constructor(options: KeypadOptions) {
    this.#options = options;
    this.#twins = new DigitTwins(options.clock);
    this.#collector = new DigitCollector(options.clock, options.rule, (digits) => this.#onInput(digits));
  }

  /** False for a key that the carrier has reported before, in another way, and for one that ends what is complete. */
  isNew(digit: string, source: DigitSource): boolean {
    return this.#twins.isNew(digit, source) && !this.#isSpare(digit);
  }

  press(digit: string): void {
    if (this.#wish === undefined) this.#collector.press(digit);
    else this.#wish.press(digit);
  }

  /**
   * Whoever asks gets the keys that are pressed next, and those that were pressed just before, instead of the model. Never
   * rejects; the signal gives it up.
   */
  collect(wish: DigitWish, quiet: boolean, signal: AbortSignal): Promise<CollectedDigits> {
    if (this.#closed || signal.aborted || this.#wish !== undefined)
      return Promise.resolve({ status: 'gone' });
    const early = this.#collector.take();
    return new Promise((resolve) => {
      const give = (): void => collection.give();
      const collection = new Collection(this.#options.clock, wish, (result) => {
        signal.removeEventListener('abort', give);
        this.#wish = undefined;
        this.#expectSpare(wish, result);
        resolve(result);
      });
      signal.addEventListener('abort', give, { once: true });
      this.#wish = collection;
      // One of them may complete it: those after that are for whoever comes next.
      for (const digit of early) if (!this.#isSpare(digit)) this.press(digit);
      if (quiet) this.quiet();
    });
  }

  /** Nobody speaks: whoever is to press a key is waited for from now on. */
  quiet(): void {
    this.#wish?.quiet();
  }

  /** Whoever waits for keys waits in vain: the caller is put through. */
  giveUp(): void {
    this.#wish?.give();
  }

  /** Somebody speaks. */
  busy(): void {
    this.#wish?.busy();
  }

  connect(provider: KeypadProvider): void {
    this.#provider = provider;
    for (const message of this.#early.splice(0)) this.#tell(message);
  }

  /** What is to be told waits for the next one. */
  disconnect(): void {
    this.#provider = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#wish?.give();
    this.#collector.close();
    for (const cancel of this.#limits) cancel();
    this.#limits.clear();
  }

  #expectSpare({ endKey, max }: DigitWish, result: CollectedDigits): void {
    if (endKey === undefined || result.status !== 'complete' || result.digits.length < max) return;
    this.#spare = { key: endKey, until: this.#options.clock.now() + SPARE_KEY_MS };
  }

  /** Asks about one key; the next one is another matter. */
  #isSpare(digit: string): boolean {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare?.key === digit && this.#options.clock.now() <= spare.until;
  }

  #onInput(digits: string): void {
    const { handle } = this.#options.rule;
    if (handle === undefined) this.#deliver(digits);
    else this.#ask(handle, digits);
  }

  #ask(handle: NonNullable<AgentDigits['handle']>, digits: string): void {
    const { call, clock } = this.#options;
    let open = true;
    const settle = (then: () => void): void => {
      // An answer after the limit comes too late: the model has the keys.
      if (!open) return;
      open = false;
      cancel();
      this.#limits.delete(cancel);
      then();
    };
    const late = new BridgeError('TIMEOUT', `the handler of keys took longer than ${HANDLER_MS} ms`);
    const cancel = clock.after(HANDLER_MS, () => settle(() => this.#onHandlerFailed(late, digits)));
    this.#limits.add(cancel);
    // Within the promise, so that a handler that throws at once is one that rejects.
    Promise.resolve()
      .then(() => handle(digits, call))
      .then(
        (answer) => settle(() => this.#onAnswer(answer)),
        (thrown: unknown) => settle(() => this.#onHandlerFailed(thrown, digits)),
      );
  }

  #onAnswer(answer: string | undefined): void {
    if (this.#closed) return;
    if (answer === undefined) this.#options.onInput();
    else this.#tell({ text: answer, options: { role: 'user', respond: true } });
  }

  #onHandlerFailed(thrown: unknown, digits: string): void {
    // Not its message: it may quote the keys.
    const { code } = BridgeError.from(thrown, 'TOOL_FAILED');
    this.#options.log.error({ code }, 'the handler of keys failed');
    if (!this.#closed) this.#deliver(digits);
  }

  #deliver(digits: string): void {
    const text = `The caller pressed the ${digits.length === 1 ? 'key' : 'keys'} ${digits}.`;
    this.#tell({ text, options: { role: 'user', respond: true, digits } });
  }

  #tell(message: Message): void {
    if (this.#provider === undefined) {
      this.#early.push(message);
      return;
    }
    this.#provider.sendText(message.text, message.options);
    this.#options.onInput();
  }
}
