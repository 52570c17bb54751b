import type { JsonObject } from '../common/json.ts';

/** Speech is counted by time: a token for so many ms. */
const MS_PER_TOKEN = 40;
const LETTERS_PER_TOKEN = 4;

interface Tokens {
  speechTokens: number;
  textTokens: number;
}

function none(): Tokens {
  return { speechTokens: 0, textTokens: 0 };
}

/** What a session has used, and what of it has not been told yet. */
export class UsageCount {
  readonly #total = { input: none(), output: none() };
  #delta = { input: none(), output: none() };

  speech(direction: 'input' | 'output', ms: number): void {
    this.#add(direction, 'speechTokens', Math.ceil(ms / MS_PER_TOKEN));
  }

  text(direction: 'input' | 'output', text: string): void {
    this.#add(direction, 'textTokens', Math.ceil(text.length / LETTERS_PER_TOKEN));
  }

  #add(direction: 'input' | 'output', kind: keyof Tokens, tokens: number): void {
    this.#delta[direction][kind] += tokens;
    this.#total[direction][kind] += tokens;
  }

  /** The fields of a `usageEvent`; what it tells is not told again as `delta`. Undefined: there is nothing new. */
  take(): JsonObject | undefined {
    const delta = this.#delta;
    const { input, output } = delta;
    if (input.speechTokens + input.textTokens + output.speechTokens + output.textTokens === 0)
      return undefined;
    this.#delta = { input: none(), output: none() };
    const total = { input: { ...this.#total.input }, output: { ...this.#total.output } };
    const totalInputTokens = total.input.speechTokens + total.input.textTokens;
    const totalOutputTokens = total.output.speechTokens + total.output.textTokens;
    return {
      details: { delta, total },
      totalInputTokens,
      totalOutputTokens,
      totalTokens: totalInputTokens + totalOutputTokens,
    };
  }
}
