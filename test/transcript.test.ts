import { describe, expect, it } from 'vitest';
import { Transcript } from '../src/transcript.ts';

describe('the transcript', () => {
  it('keeps the order in which people spoke when the caller’s words arrive after the answer', () => {
    const transcript = new Transcript();
    transcript.open('user', 'u1', 100);
    transcript.text('assistant', 'a1', 'At six.', true, 900);
    transcript.text('user', 'u1', 'When do you open?', true, 1500);
    expect(transcript.turns.map((turn) => [turn.role, turn.text, turn.atMs])).toEqual([
      ['user', 'When do you open?', 100],
      ['assistant', 'At six.', 900],
    ]);
  });

  it('joins pieces, and lets the whole replace them', () => {
    const transcript = new Transcript();
    transcript.text('assistant', 'a', 'Hel', false, 0);
    transcript.text('assistant', 'a', 'lo', false, 0);
    expect(transcript.turns[0]?.text).toBe('Hello');
    transcript.text('assistant', 'a', 'Hello.', true, 0);
    transcript.text('assistant', 'a', ' late', false, 0);
    expect(transcript.turns[0]?.text).toBe('Hello.');
  });

  it('leaves out turns without a word', () => {
    const transcript = new Transcript();
    transcript.open('user', 'noise', 0);
    expect(transcript.turns).toEqual([]);
    expect(transcript.history()).toEqual([]);
  });

  it.each([
    [0, ''],
    [100, ''],
    [500, 'one two'],
    [999, 'one two three'],
    [1000, 'one two three four'],
  ])('cuts a turn at a word when %i of 1000 ms were heard', (playedMs, heardText) => {
    const transcript = new Transcript();
    transcript.text('assistant', 'a', 'one two three four', true, 0);
    transcript.interrupted({ itemId: 'a', playedMs, receivedMs: 1000 });
    expect(transcript.turns[0]).toMatchObject({ heardText, interrupted: true });
  });

  it('tells a second provider what was heard and which functions ran, and nothing else', () => {
    const transcript = new Transcript();
    transcript.text('user', 'u', 'Two at eight.', true, 0);
    transcript.tool('c', 'book', '{"n":2}', '{"ok":true}');
    transcript.text('assistant', 'a', 'Booked for you.', true, 0);
    transcript.heard('a');
    transcript.text('assistant', 'b', 'Anything else today?', true, 0);
    transcript.interrupted({ itemId: 'b', playedMs: 500, receivedMs: 1000 });
    transcript.text('assistant', 'c', 'Never played.', true, 0);
    expect(transcript.history()).toEqual([
      { type: 'message', role: 'user', text: 'Two at eight.' },
      { type: 'tool', callId: 'c', name: 'book', args: '{"n":2}', output: '{"ok":true}' },
      { type: 'message', role: 'assistant', text: 'Booked for you.' },
      { type: 'message', role: 'assistant', text: 'Anything' },
    ]);
  });

  it('takes text that arrives after its audio was heard', () => {
    const transcript = new Transcript();
    transcript.open('assistant', 'a', 0);
    transcript.heard('a');
    transcript.text('assistant', 'a', 'Late words.', true, 0);
    expect(transcript.history()).toEqual([{ type: 'message', role: 'assistant', text: 'Late words.' }]);
  });
});
