import { afterEach, describe, expect, it } from 'vitest';
import type { HistoryItem } from '../src/provider.ts';
import { type PastConversation, pastConversation } from '../src/providers/nova/history.ts';
import { utf8Head } from '../src/providers/nova/utf8.ts';
import { open } from './support/nova-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

const TOTAL = 40_960;
const LIMITS = { bytesPerInput: 1_024, total: TOTAL };

function turn(role: 'user' | 'assistant' | 'system', text: string): HistoryItem {
  return { type: 'message', role, text };
}

function result(name: string, bytes: number): HistoryItem {
  return { type: 'tool', callId: name, name, args: '{}', output: `${'x'.repeat(bytes)}the end` };
}

function bytesOf({ blocks, unanswered = '', notes }: PastConversation): number {
  const texts = [...blocks.map(({ text }) => text), unanswered, ...notes];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

describe('the limit of what a session is told of the past', () => {
  it('holds for the turn that nobody has answered: the words stay, long results lose their ends', () => {
    const past = pastConversation(
      [turn('user', 'What is in it?'), result('first', 30_000), result('second', 30_000)],
      LIMITS,
    );
    expect(bytesOf(past)).toBeLessThanOrEqual(TOTAL);
    expect(bytesOf(past)).toBeGreaterThan(TOTAL * 0.9);
    const [words, first, second, ...more] = past.unanswered?.split('\n') ?? [];
    expect(words).toBe('What is in it?');
    expect(first).toMatch(/^\[The function first was called earlier .* gave: x+…\]$/);
    expect(second).toMatch(/^\[The function second was called earlier .* gave: x+…\]$/);
    expect(more).toEqual([]);
  });

  it('holds for what came after the last word of the agent', () => {
    const past = pastConversation(
      [turn('user', 'Hi'), turn('assistant', 'Hello.'), result('first', 30_000), result('second', 30_000)],
      LIMITS,
    );
    expect(bytesOf(past)).toBeLessThanOrEqual(TOTAL);
    expect(past.unanswered).toBeUndefined();
    expect(past.notes).toHaveLength(2);
    expect(past.blocks).toEqual([
      { role: 'USER', text: 'Hi' },
      { role: 'ASSISTANT', text: 'Hello.' },
    ]);
  });

  it('is shared: what is newest leaves room for what was said before it', () => {
    const history = [
      turn('user', 'Hi'),
      turn('assistant', 'a'.repeat(30_000)),
      turn('user', 'u'.repeat(60_000)),
    ];
    const past = pastConversation(history, LIMITS);
    expect(bytesOf(past)).toBeLessThanOrEqual(TOTAL);
    expect(past.unanswered).toMatch(/^u{20000}/);
    expect(past.blocks.at(-1)).toMatchObject({ role: 'ASSISTANT' });
    expect(past.blocks.at(-1)?.text.length).toBeGreaterThan(20_000);
  });

  it('lets what is newest have what nothing before it needs', () => {
    const past = pastConversation([turn('user', `${'ü'.repeat(30_000)}and that?`)], LIMITS);
    expect(bytesOf(past)).toBeLessThanOrEqual(TOTAL);
    expect(bytesOf(past)).toBeGreaterThan(TOTAL - 8);
    expect(past.unanswered).toMatch(/^ü+and that\?$/);
  });

  it('leaves the oldest of very many notes out', () => {
    const notes = Array.from({ length: 2_000 }, (_, i) =>
      turn('system', `Note ${i} of something that was seen.`),
    );
    const past = pastConversation([turn('user', 'Hi'), turn('assistant', 'Hello.'), ...notes], LIMITS);
    expect(bytesOf(past)).toBeLessThanOrEqual(TOTAL);
    expect(past.notes.at(-1)).toBe('[Note 1999 of something that was seen.]');
    expect(past.notes.length).toBeGreaterThan(800);
    expect(past.blocks).toHaveLength(2);
  });

  it('holds for a turn of the caller with a long result that was answered', () => {
    const past = pastConversation(
      [turn('user', 'What is in it?'), result('first', 60_000), turn('assistant', 'Very much.')],
      LIMITS,
    );
    expect(bytesOf(past)).toBeLessThanOrEqual(TOTAL);
    expect(past.blocks).toEqual([
      { role: 'USER', text: expect.stringMatching(/^What is in it\?\n\[The function first .*…\]$/) },
      { role: 'ASSISTANT', text: 'Very much.' },
    ]);
  });

  it('is kept on the wire', async () => {
    const line = await open({
      history: [turn('user', 'Hi'), turn('assistant', 'Hello.'), turn('user', 'So?'), result('slow', 90_000)],
    });
    await line.sent();
    const bytes = line.peer
      .all('textInput')
      .map((body) => Buffer.byteLength(String(body['content'])))
      .reduce((sum, one) => sum + one, 0);
    // The instructions are no part of it.
    expect(bytes).toBeLessThan(TOTAL + 2_000);
    expect(bytes).toBeGreaterThan(TOTAL / 2);
  });
});

it('the beginning of a text never ends within a character', () => {
  expect(utf8Head('abc', 16)).toBe('abc');
  expect(utf8Head('a€€', 5)).toBe('a€');
  expect(utf8Head('😀', 3)).toBe('');
});
