import type { JsonObject } from '../common/json.ts';

/** Speech is counted by time: a token for so many ms. */
const MS_PER_TOKEN = 40;
const LETTERS_PER_TOKEN = 4;

interface Tokens {
  readonly speechTokens: number;
  readonly textTokens: number;
}

const NONE: Tokens = Object.freeze({ speechTokens: 0, textTokens: 0 });

/** One direction of what a session uses. */
class Side {
  speechMs = 0;
  textTokens = 0;
  #told = NONE;

  get total(): Tokens {
    return { speechTokens: Math.ceil(this.speechMs / MS_PER_TOKEN), textTokens: this.textTokens };
  }

  /** What came since this was last asked. */
  takeDelta(): Tokens {
    const { total } = this;
    const told = this.#told;
    this.#told = total;
    return {
      speechTokens: total.speechTokens - told.speechTokens,
      textTokens: total.textTokens - told.textTokens,
    };
  }
}

/** What a session has used, and what of it has not been told yet. */
export class UsageCount {
  readonly #sides = { input: new Side(), output: new Side() };

  speech(direction: 'input' | 'output', ms: number): void {
    this.#sides[direction].speechMs += ms;
  }

  text(direction: 'input' | 'output', text: string): void {
    this.#sides[direction].textTokens += Math.ceil(text.length / LETTERS_PER_TOKEN);
  }

  /** The fields of a `usageEvent`; what it tells is not told again as `delta`. Undefined: there is nothing new. */
  take(): JsonObject | undefined {
    const { input, output } = this.#sides;
    const delta = { input: input.takeDelta(), output: output.takeDelta() };
    if (sum(delta.input) + sum(delta.output) === 0) return undefined;
    const total = { input: input.total, output: output.total };
    const totalInputTokens = sum(total.input);
    const totalOutputTokens = sum(total.output);
    return {
      details: { delta, total },
      totalInputTokens,
      totalOutputTokens,
      totalTokens: totalInputTokens + totalOutputTokens,
    };
  }
}

function sum({ speechTokens, textTokens }: Tokens): number {
  return speechTokens + textTokens;
}
