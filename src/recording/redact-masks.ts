import { isAudioRef } from './audio-refs.ts';

/** What stands for everything that was written in a word. */
const BLOCK = '▒';

/** Words as blocks: blanks and the marks between sentences stay, so that it is as long as it was and is cut as it was. */
export function maskWords(text: string): string {
  return text.replace(/[^\s.,;:!?…]/g, BLOCK);
}

/**
 * What a field held, so that it still has the form it had: letters are x, digits are 0, numbers have as many digits, and
 * truths are false. Lists and objects keep their shape.
 */
export function maskValue(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
      return maskText(value);
    case 'number':
      return maskNumber(value);
    case 'boolean':
      return false;
    default:
      break;
  }
  if (value === null || typeof value !== 'object' || isAudioRef(value)) return value;
  if (Array.isArray(value)) return value.map(maskValue);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, maskValue(inner)]));
}

/** As long as it was. */
export function maskText(text: string): string {
  return text.replace(/\d/g, '0').replace(/[^\s\d.,;:!?@+\-_/()[\]{}"'=&<>%]/g, 'x');
}

function maskNumber(value: number): number {
  const whole = String(Math.trunc(Math.abs(value)));
  return Math.sign(value) * Number('1'.repeat(Math.min(whole.length, 15)));
}

/** Keys of a telephone: digits and letters become 0; the keys that end an input stay. */
export function maskKeys(keys: string): string {
  return keys.replace(/[0-9A-Da-d]/g, '0');
}
