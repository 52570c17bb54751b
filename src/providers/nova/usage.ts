import type { Usage } from '../../provider.ts';
import { countOf, type Fields, fieldsOf } from '../common/fields.ts';

function usageOf(value: unknown): Usage {
  const input = fieldsOf(fieldsOf(value)['input']);
  const output = fieldsOf(fieldsOf(value)['output']);
  return {
    inputTextTokens: countOf(input['textTokens']),
    inputAudioTokens: countOf(input['speechTokens']),
    cachedTextTokens: 0,
    cachedAudioTokens: 0,
    outputTextTokens: countOf(output['textTokens']),
    outputAudioTokens: countOf(output['speechTokens']),
  };
}

function isNothing(usage: Usage): boolean {
  return Object.values(usage).every((count) => count === 0);
}

/**
 * Reads `usageEvent`, which has what is new and the sum of all: the news are told, and a sum that was told already marks
 * a report that came twice.
 */
export class UsageReader {
  #lastTotal = '';

  /** What is new; undefined: nothing. */
  read(body: Fields): Usage | undefined {
    const { delta, total } = fieldsOf(body['details']);
    const usage = usageOf(delta);
    if (isNothing(usage)) return undefined;
    const sum = usageOf(total);
    const seen = isNothing(sum) ? '' : JSON.stringify(sum);
    if (seen !== '' && seen === this.#lastTotal) return undefined;
    this.#lastTotal = seen;
    return usage;
  }
}
