import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../src/call-events.ts';
import type { Line } from '../src/recording/format.ts';
import { MemorySink } from '../src/recording/memory-sink.ts';
import { redactingSink } from '../src/recording/redact.ts';
import { TranscriptFile, transcribingSink, transcriptOf } from '../src/recording/transcript-file.ts';
import { CallMaker } from './support/small-call.ts';

function said(
  atMs: number,
  role: 'user' | 'assistant',
  itemId: string,
  text: string,
  final = true,
): CallEvent {
  return { type: 'transcript', atMs, role, itemId, text, final };
}

/** The agent is cut off in its second sentence; what the caller says there comes as text after the answer to it. */
const EVENTS: readonly CallEvent[] = [
  { type: 'started', atMs: 0, callId: 'CA1', carrier: 'twilio', agent: 'desk' },
  said(1200, 'assistant', 'a', 'Good', false),
  said(1300, 'assistant', 'a', 'Good day, what can I do for you today?'),
  { type: 'bargeIn', atMs: 2600, by: 'provider', heard: [{ itemId: 'a', playedMs: 1000, receivedMs: 2000 }] },
  said(2600, 'user', 'u', '', false),
  said(5100, 'assistant', 'b', 'A table,\nof course.'),
  said(5200, 'user', 'u', 'A table for two.'),
  {
    type: 'tool',
    atMs: 5300,
    name: 'book',
    toolCallId: 't',
    idempotencyKey: 'k',
    args: {},
    ms: 12.4,
    outcome: 'done',
    isError: false,
  },
  { type: 'digit', atMs: 3_700_123, digit: '5' },
];
const TEXT = [
  '00:00.000  -       the call begins: twilio, agent desk',
  '00:01.200  agent   Good day, what can [cut off]',
  '00:02.600  caller  A table for two.',
  '00:05.100  agent   A table, of course.',
  '00:05.300  -       function book: done after 12 ms',
  '1:01:40.123  -       key 5',
  '',
].join('\n');

function lines(events: readonly CallEvent[]): Line[] {
  return events.map((msg) => ({ t: msg.atMs, on: 'call', dir: 'out', msg }));
}

describe('transcript.txt', () => {
  it('has what was heard, in the order in which people spoke, with times', () => {
    const maker = new CallMaker();
    for (const { t, ...body } of lines(EVENTS)) maker.line(t, body);
    expect(transcriptOf(maker.stored())).toBe(TEXT);
  });

  it('is the same when it is written while the call goes on, and what is settled is written at once', async () => {
    const memory = new MemorySink();
    const sink = transcribingSink(memory);
    const so: string[] = [];
    for (const line of lines(EVENTS)) {
      sink.line(line);
      so.push(memory.transcriptText);
    }
    expect(so[2]).toContain('the call begins');
    expect(so[3]).toContain('[cut off]');
    expect(so[5]).not.toContain('of course');
    expect(so[6]).toContain('A table for two.');
    await sink.finish({ t: 9999, complete: true });
    expect(memory.transcriptText).toBe(TEXT);
  });

  it('believes the end of the call of what was heard', () => {
    const written: string[] = [];
    const file = new TranscriptFile((text) => written.push(text));
    file.event(said(0, 'assistant', 'a', 'Good day to you.'));
    const turn = {
      role: 'assistant',
      itemId: 'a',
      atMs: 0,
      text: 'Good day to you.',
      heardText: 'Good day',
      interrupted: true,
      final: true,
    } as const;
    file.event({ type: 'ended', atMs: 900, reason: 'caller-hung-up', transcript: [turn] });
    file.event(said(1000, 'user', 'late', 'Too late.'));
    expect(written.join('')).toBe(
      '00:00.000  agent   Good day [cut off]\n00:00.900  -       the call ends: caller-hung-up\n',
    );
  });

  it('is not held up for ever by a turn whose text does not come', () => {
    const written: string[] = [];
    const file = new TranscriptFile((text) => written.push(text));
    file.event(said(0, 'user', 'u', 'Hel', false));
    for (let i = 1; i < 30; i += 1) file.event({ type: 'digit', atMs: i * 5000, digit: '1' });
    expect(written[0]).toBe('00:00.000  caller  Hel [not finished]\n');
    expect(written.length).toBeGreaterThan(20);
  });

  it('is a line for a turn, whatever is said in it', () => {
    const written: string[] = [];
    const file = new TranscriptFile((text) => written.push(text));
    file.event(said(0, 'user', 'u', 'Yes.\n00:00.100  agent   You owe nothing.\u2028\u202e'));
    file.end();
    expect(written.join('').split('\n').length).toBe(2);
    expect(written.join('')).not.toMatch(/[\u2028\u202e]/);
  });

  it('is redacted as the lines are', async () => {
    const memory = new MemorySink();
    const sink = redactingSink(transcribingSink(memory), {
      numbers: false,
      fields: [],
      speech: 'none',
      words: true,
      keys: true,
    });
    for (const line of lines(EVENTS)) sink.line(line);
    await sink.finish({ t: 9999, complete: true });
    expect(memory.transcriptText).toContain('00:01.200  agent   ▒▒▒▒ ▒▒▒, ▒▒▒▒ ▒▒▒ [cut off]');
    expect(memory.transcriptText).toContain('key 0');
    expect(memory.transcriptText).not.toMatch(/Good|table/);
  });
});
