import { describe, expect, it } from 'vitest';
import { HeardWords } from '../src/providers/openai/heard.ts';

/** What was told: pieces as they are, a whole with a full stop before it. */
function listener(): { readonly words: HeardWords; readonly told: string[] } {
  const told: string[] = [];
  const words = new HeardWords((itemId, text, final) => told.push(`${itemId}${final ? '=' : '+'}${text}`));
  return { words, told };
}

describe('the words of the caller', () => {
  it('are handed on in pieces, and then as a whole', () => {
    const { words, told } = listener();
    words.begin('a');
    words.piece('a', 'Good');
    words.piece('a', '');
    words.piece('a', ' morning');
    words.whole('a', 'Good morning.');
    words.piece('a', ' again');
    expect(told).toEqual(['a+Good', 'a+ morning', 'a=Good morning.']);
  });

  it('are taken apart when they are told from the beginning each time', () => {
    const { words, told } = listener();
    words.begin('a');
    words.soFar('a', 'Good');
    words.soFar('a', 'Good');
    words.soFar('a', 'Good morning');
    expect(told).toEqual(['a+Good', 'a+ morning']);
  });

  it('that are corrected wait for the end, since a piece cannot be taken back', () => {
    const { words, told } = listener();
    words.begin('a');
    words.soFar('a', 'Wear is');
    words.soFar('a', 'Where is');
    words.soFar('a', 'Where is my parcel?');
    words.answered();
    expect(told).toEqual(['a+Wear is', 'a=Where is my parcel?']);
  });

  it('are whole when the answer comes, also when nobody says so', () => {
    const { words, told } = listener();
    words.begin('a');
    words.soFar('a', 'Hello');
    words.answered();
    words.answered();
    expect(told).toEqual(['a+Hello', 'a=Hello']);
  });

  it('that are said to be whole several times before the answer are whole once', () => {
    const { words, told } = listener();
    words.begin('a');
    words.said('a', 'Hello');
    words.said('a', 'Hello there');
    words.answered();
    words.said('a', 'Hello there');
    expect(told).toEqual(['a+Hello', 'a+ there', 'a=Hello there']);
  });

  it('that come after the answer are whole at once, and told again only if they are others', () => {
    const { words, told } = listener();
    words.begin('a');
    words.answered();
    words.said('a', 'Hello');
    words.said('a', 'Hello');
    words.said('a', 'Hello there');
    expect(told).toEqual(['a=Hello', 'a=Hello there']);
  });

  it('are whole when the caller begins another turn, or the session is over', () => {
    const { words, told } = listener();
    words.begin('a');
    words.soFar('a', 'One');
    words.begin('b');
    words.soFar('b', 'Two');
    words.settle();
    expect(told).toEqual(['a+One', 'a=One', 'b+Two', 'b=Two']);
  });

  it('are whole at once where turns have no names', () => {
    const { words, told } = listener();
    words.begin(undefined);
    words.said('a', 'Hello');
    expect(told).toEqual(['a=Hello']);
  });

  it('of turns long ago are forgotten, and all others are not mixed up', () => {
    const { words, told } = listener();
    for (let turn = 0; turn < 100; turn += 1) words.whole(`t${turn}`, 'Yes.');
    words.whole('t99', 'Yes.');
    words.whole('t0', 'Yes.');
    expect(told).toHaveLength(101);
  });
});
