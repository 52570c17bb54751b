import type { AgentDigits, DigitContext } from './agents.ts';
import type { Clock } from './clock.ts';
import { DigitCollector, type DigitSource, DigitTwins } from './digits.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { TextOptions } from './provider.ts';

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

/** The keys that the caller presses: gathered into inputs, which go to the model or to the agent's handler. */
export class Keypad {
  readonly #options: KeypadOptions;
  readonly #twins: DigitTwins;
  readonly #collector: DigitCollector;
  /** Inputs from before the provider was ready. */
  readonly #early: string[] = [];
  #provider: KeypadProvider | undefined;
  #closed = false;

  constructor(options: KeypadOptions) {
    this.#options = options;
    this.#twins = new DigitTwins(options.clock);
    this.#collector = new DigitCollector(options.clock, options.rule, (digits) => this.#onInput(digits));
  }

  /** False for a key that the carrier has reported before, in another way. */
  isNew(digit: string, source: DigitSource): boolean {
    return this.#twins.isNew(digit, source);
  }

  press(digit: string): void {
    this.#collector.press(digit);
  }

  connect(provider: KeypadProvider): void {
    this.#provider = provider;
    for (const digits of this.#early.splice(0)) this.#deliver(digits);
  }

  close(): void {
    this.#closed = true;
    this.#collector.close();
  }

  #onInput(digits: string): void {
    const { handle } = this.#options.rule;
    if (handle === undefined) {
      this.#deliver(digits);
      return;
    }
    // Within the promise, so that a handler that throws at once is one that rejects.
    Promise.resolve()
      .then(() => handle(digits, this.#options.call))
      .then(
        (answer) => this.#onAnswer(answer),
        (thrown: unknown) => this.#onHandlerFailed(thrown, digits),
      );
  }

  #onAnswer(answer: string | undefined): void {
    if (this.#closed) return;
    if (answer !== undefined) this.#provider?.sendText(answer, { role: 'user', respond: true });
    this.#options.onInput();
  }

  #onHandlerFailed(thrown: unknown, digits: string): void {
    // Not its message: it may quote the keys.
    const { code } = BridgeError.from(thrown, 'TOOL_FAILED');
    this.#options.log.error({ code }, 'the handler of keys failed');
    if (!this.#closed) this.#deliver(digits);
  }

  #deliver(digits: string): void {
    if (this.#provider === undefined) {
      this.#early.push(digits);
      return;
    }
    const text = `The caller pressed the ${digits.length === 1 ? 'key' : 'keys'} ${digits}.`;
    this.#provider.sendText(text, { role: 'user', respond: true, digits });
    this.#options.onInput();
  }
}
