import { describe, expect, it } from 'vitest';
import { beginningOf, shortText } from '../src/short-text.ts';

describe('a text that is too long', () => {
  it.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdef', 5, 'abcd…'],
    ['ab😀cd', 4, 'ab…'],
    ['ab😀cd', 5, 'ab😀…'],
  ])('%s is told in at most %i characters', (text, max, told) => {
    expect(shortText(text, max)).toBe(told);
    expect(told.length).toBeLessThanOrEqual(max);
  });

  it('is not cut in the middle of a character', () => {
    expect(beginningOf('ab😀cd', 3)).toBe('ab');
    expect(beginningOf('ab😀cd', 4)).toBe('ab😀');
  });
});
