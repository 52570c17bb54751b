import { describe, expect, it } from 'vitest';
import { leftovers } from '../src/commands/fixture/leftovers.ts';
import { recordAgent } from '../src/recording/agent-record.ts';
import type { Line } from '../src/recording/format.ts';
import { redactCall } from '../src/recording/redact.ts';
import type { RecordingRedaction } from '../src/recording-terms.ts';
import { AGENT } from './support/call-kit.ts';
import { CallMaker } from './support/small-call.ts';

/** Places in which something was once left over. */

const NOTHING: RecordingRedaction = { numbers: false, fields: [], speech: 'none', words: false, keys: false };
const PASSPORT = 'XJ7744181Q';
const TOLD: Line = {
  t: 0,
  on: 'tool',
  dir: 'in',
  msg: { id: 1, returned: { passport: PASSPORT }, done: true },
};

function redacted(lines: readonly Line[], rules: Partial<RecordingRedaction>) {
  const maker = new CallMaker({ agent: recordAgent(AGENT, { mode: 'report' }) });
  for (const { t, ...body } of lines) maker.line(t, body);
  return redactCall(maker.stored(), { ...NOTHING, ...rules });
}

describe('what a field held', () => {
  it.each(['reason', 'status', 'code', 'kind', 'id', 'customer_id', 'type', 'voice'])(
    'goes from what functions are given, also from a field called %s',
    (name) => {
      const args = { [name]: `refused ${PASSPORT}, ring 415-987-0163` };
      const line: Line = { t: 1, on: 'tool', dir: 'out', msg: { id: 2, run: 'x', toolCallId: 'c', args } };
      const text = JSON.stringify(redacted([TOLD, line], { fields: ['passport'], numbers: true }).lines);
      expect(text).not.toContain(PASSPORT);
      expect(text).not.toContain('987-0163');
      expect(text).toContain('refused ');
    },
  );

  it('goes from sentences of services and libraries', () => {
    const said = `the guest ${PASSPORT} is not known`;
    const { lines } = redacted(
      [
        TOLD,
        { t: 1, on: 'provider', dir: 'in', conn: 1, msg: { type: 'error', error: { message: said } } },
        { t: 2, on: 'provider', dir: 'in', conn: 1, ctl: { type: 'close', code: 1011, reason: said } },
      ],
      { fields: ['passport'] },
    );
    expect(JSON.stringify(lines)).not.toContain(PASSPORT);
  });

  it('may be as long as it likes, and what comes behind it is redacted still', () => {
    const notes = `${'About the guest. '.repeat(4000)}${PASSPORT}`;
    const returned = { notes, again: notes, passport: PASSPORT, other: `see ${PASSPORT}` };
    const line: Line = { t: 1, on: 'tool', dir: 'in', msg: { id: 2, returned, done: true } };
    const text = JSON.stringify(redacted([line], { fields: ['notes', 'passport'] }).lines);
    expect(text).not.toContain('guest');
    expect(text).not.toContain(PASSPORT);
    const many = Object.fromEntries(
      Array.from({ length: 900 }, (_, i) => [`k${i}`, { notes: `guest-${i} `.repeat(12) }]),
    );
    const all: Line = { t: 1, on: 'tool', dir: 'in', msg: { id: 2, returned: many, done: true } };
    expect(JSON.stringify(redacted([all], { fields: ['notes'] }).lines)).not.toContain('guest');
  });
});

describe('an address in an address in an address', () => {
  it('is looked into, and one without an end does no harm', () => {
    const inner = `https://a.example/?passport=${PASSPORT}`;
    const outer = `https://b.example/?next=${encodeURIComponent(`https://c.example/?next=${encodeURIComponent(inner)}`)}`;
    const endless = `${'?a=1'.repeat(10_000)}&to=+14159870163`;
    const returned = { outer, endless };
    const line: Line = { t: 1, on: 'tool', dir: 'in', msg: { id: 2, returned, done: true } };
    const text = JSON.stringify(redacted([line], { fields: ['passport'], numbers: true }).lines);
    expect(text).not.toContain(PASSPORT);
    expect(text).not.toContain('4159870163');
  });
});

describe('numbers', () => {
  it.each([
    '4 1 5 9 8 7 0 1 6 3',
    '4, 1, 5, 9, 8, 7, 0, 1, 6, 3',
    '415\u2013987\u20130163',
    '415\u00a0987\u00a00163',
  ])('that are said as %s are found', (text) => {
    const { lines } = redacted(
      [
        {
          t: 0,
          on: 'call',
          dir: 'out',
          msg: {
            type: 'transcript',
            role: 'user',
            text: `It is ${text}.`,
            final: true,
            atMs: 0,
            itemId: '',
          },
        },
      ],
      { numbers: true },
    );
    const said = JSON.stringify(lines);
    expect(said).not.toContain(text);
    expect(said.replace(/\D/g, '')).not.toContain('4159870163');
  });
});

describe('words', () => {
  it('go from what providers were wanted with, and from settings', () => {
    const maker = new CallMaker({ agent: recordAgent(AGENT, { mode: 'report' }) });
    const wanted = {
      name: 'openai',
      model: undefined,
      voice: undefined,
      overrides: { instructions: 'Quillfeather' },
    };
    const stored = maker.stored();
    const call = {
      ...stored.call,
      providers: [{ name: 'openai', level: 'wire', model: 'gpt-realtime', wanted }],
      settings: { OPENAI_MODEL: 'gpt-realtime', OPENAI_SESSION: '{"instructions":"Quillfeather"}' },
    } as const;
    const { call: found } = redactCall({ ...stored, call }, { ...NOTHING, words: true });
    expect(JSON.stringify(found)).not.toContain('Quillfeather');
    expect(found.settings).toMatchObject({ OPENAI_MODEL: 'gpt-realtime' });
    expect(found.providers).toMatchObject([{ name: 'openai', level: 'wire', model: 'gpt-realtime' }]);
  });
});

describe('whoever looks for leftovers', () => {
  it.each(['1.', 'a_', 'sip:', 'eyJ-', '%'])('is through soon with a long text of %s', (piece) => {
    // Each letter once, and not once for each letter before it: that would take minutes.
    expect(leftovers({ text: `${piece.repeat(400_000 / piece.length)}!` }).length).toBeLessThan(3);
  });
});
