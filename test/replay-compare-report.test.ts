import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { type Line, TOLERANCE } from '../src/recording/format.ts';
import type { StoredCall } from '../src/recording/stored-call.ts';
import { EXIT_CODES, exitCodeOf, type ReplayOutcome, reportOf } from '../src/replay/compare/report.ts';
import { type CallFigures, summarise } from '../src/replay/compare/summary.ts';
import { tellSummary } from '../src/replay/compare/tell-summary.ts';
import { compareCalls, tellDifference } from '../src/replay/compare.ts';
import { babble, CallMaker, smallCall } from './support/small-call.ts';

function edited(call: StoredCall, edit: (text: string) => string): StoredCall {
  return { ...call, lines: call.lines.map((line) => JSON.parse(edit(JSON.stringify(line))) as Line) };
}

function withoutLine(call: StoredCall, text: string): StoredCall {
  return { ...call, lines: call.lines.filter((line) => !JSON.stringify(line).includes(text)) };
}

describe('a difference for people', () => {
  it('says when, what, both sides and what happened around it', () => {
    const call = smallCall();
    const found = withoutLine(call, '"clear"');
    const [first] = compareCalls(call, found, TOLERANCE);
    expect(first && tellDifference(first, call, found).split('\n')).toEqual([
      '2.600 s  to the carrier: clear: is missing',
      '  expected  {"event":"clear","streamSid":"MZ1"}',
      '  found     nothing',
      '  around it, expected (line 261 of events.jsonl)',
      '      2.500 s  to the carrier: mark  {"event":"mark","streamSid":"MZ1","mark":{"name":"g0.m8…',
      '      2.600 s  from openai: input_audio_buffer.speech_started  {"type":"input_audio_buffer.speech_started","item_id":"…',
      '    > 2.600 s  to the carrier: clear  {"event":"clear","streamSid":"MZ1"}',
      '      2.600 s  to openai: response.cancel  {"event_id":"pc_cancel_3","type":"response.cancel","res…',
      '      2.600 s  to openai: conversation.item.truncate  {"event_id":"pc_truncate_4","type":"conversation.item.t…',
      '  around it, found',
      expect.stringContaining('2.600 s'),
      expect.stringContaining('2.600 s'),
      '    > 2.600 s  nothing',
      expect.stringContaining('s  '),
      expect.stringContaining('s  '),
    ]);
  });

  it('shows of long texts the place where they part', () => {
    const text = (word: string): StoredCall =>
      new CallMaker()
        .line(5, {
          on: 'provider',
          dir: 'out',
          conn: 1,
          msg: {
            type: 'session.update',
            instructions: `${'Be kind. '.repeat(90)}${word} ${'And so on. '.repeat(90)}`,
          },
        })
        .stored();
    const [a, b] = [text('Never shout.'), text('Always shout.')];
    const [first] = compareCalls(a, b, TOLERANCE);
    const told = first === undefined ? '' : tellDifference(first, a, b);
    expect(told).toContain('msg.instructions differs');
    expect(told).toMatch(/expected {2}…".*Never shout/);
    expect(told).toMatch(/found {5}…".*Always shout/);
    expect(told.length).toBeLessThan(1500);
  });
});

describe('the report for machines', () => {
  const outcome = (status: ReplayOutcome['status'], more: Partial<ReplayOutcome> = {}): ReplayOutcome => ({
    folder: 'fixtures/x',
    status,
    accepted: false,
    proves: '',
    differences: [],
    error: undefined,
    callMs: 4000,
    realMs: 8,
    ...more,
  });

  it('holds every folder with its first differences and how many there are', () => {
    const call = smallCall();
    const found = withoutLine(withoutLine(call, '"clear"'), '"run"');
    const differences = compareCalls(call, found, TOLERANCE);
    const broken = outcome('broken', { error: new BridgeError('BAD_RECORDING', 'no call.json'), realMs: 0 });
    const report = reportOf([outcome('same'), outcome('different', { differences }), broken]);
    expect(report).toMatchObject({ format: 1, same: 1, different: 1, broken: 1, callMs: 12_000, realMs: 16 });
    expect(report.folders[1]).toMatchObject({
      status: 'different',
      speed: 500,
      counts: { all: 2, byKind: { missing: 2 }, byEdge: { carrier: 1, tool: 1 } },
      differences: [
        { text: '1.500 s  function get_weather: run: is missing', t: 1500, edge: 'tool' },
        { text: '2.600 s  to the carrier: clear: is missing', t: 2600, edge: 'carrier' },
      ],
    });
    expect(report.folders[2]).toMatchObject({
      error: { code: 'BAD_RECORDING', message: expect.any(String) },
      speed: 0,
    });
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ different: 1 });
  });

  it('stays small however much differs', () => {
    const call = smallCall();
    const late = { ...call, lines: call.lines.map((line) => ({ ...line, t: line.t + 500 })) };
    const many = [1, 2, 3, 4].flatMap(() => compareCalls(call, late, TOLERANCE));
    const [folder] = reportOf([outcome('different', { differences: many })]).folders;
    expect(folder?.counts.all).toBe(many.length);
    expect(many.length).toBeGreaterThan(80);
    expect(folder?.differences).toHaveLength(50);
  });

  it('names the place of audio', () => {
    const [a, b] = [smallCall(), smallCall({ agent: babble(1600).fill(0, 800) })];
    const differences = compareCalls(a, b, TOLERANCE);
    const [folder] = reportOf([outcome('different', { differences })]).folders;
    expect(folder?.differences[0]?.text).toMatch(
      /silent where there should be sound \(agent\.wav, sample 80\d\)/,
    );
  });

  it('has the exit code of the worst folder', () => {
    const same = outcome('same');
    const different = outcome('different');
    expect(exitCodeOf(reportOf([same, same]))).toBe(EXIT_CODES.same);
    expect(exitCodeOf(reportOf([same, different]))).toBe(1);
    expect(exitCodeOf(reportOf([different, outcome('broken')]))).toBe(2);
    expect(exitCodeOf(reportOf([{ ...different, accepted: true }]))).toBe(0);
    expect(exitCodeOf(reportOf([]))).toBe(2);
  });
});

describe('two calls side by side', () => {
  it('are short where they are the same', () => {
    const summary = summarise(smallCall(), smallCall());
    expect(summary.rows.every(({ same }) => same)).toBe(true);
    expect(summary.expected).toEqual(summary.found);
    const [heading, , ...lines] = tellSummary(summary).split('\n');
    expect(heading).toMatch(/^recorded +│ now$/);
    expect(lines.filter((line) => line !== '').every((line) => line.endsWith('│ ='))).toBe(true);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(70);
  });

  it('tell what was said, called and cut off, and how it ended', () => {
    const { rows, expected } = summarise(smallCall(), smallCall());
    expect(rows.map(({ expected: moment }) => moment?.kind)).toEqual(
      expect.arrayContaining(['provider', 'agent', 'caller', 'function', 'cut-in', 'end']),
    );
    const call = rows.find((row) => row.expected?.kind === 'function')?.expected;
    expect(call).toMatchObject({ t: 1500, ms: 200, text: 'get_weather({"city":"Oslo"}) → {"degrees":7}' });
    expect(expected).toMatchObject({
      turns: { caller: 1, agent: 1 },
      functions: 1,
      cutIns: 1,
      providers: ['openai'],
      end: 'caller-hung-up',
    } satisfies Partial<CallFigures>);
  });

  it('show what went differently on both sides', () => {
    const found = edited(smallCall(), (text) =>
      text.replaceAll('seven degrees', 'eight degrees').replaceAll('caller-hung-up', 'failed'),
    );
    const summary = summarise(smallCall(), found);
    const others = summary.rows.filter(({ same }) => !same);
    expect(others.map((row) => [row.expected?.text, row.found?.text])).toEqual([
      [expect.stringContaining('seven'), expect.stringContaining('eight')],
      ['caller-hung-up', 'failed'],
    ]);
    const text = tellSummary(summary);
    expect(text).toMatch(/It is seven degrees.*│.*It is eight degrees/);
    expect(text).toMatch(/end: caller-hung-up.*│.*end: failed/);
  });

  it('show what happened in one of them only', () => {
    const found = withoutLine(withoutLine(withoutLine(smallCall(), '"run"'), '"returned"'), '"type":"tool"');
    const summary = summarise(smallCall(), found);
    expect(summary.rows.filter(({ same }) => !same)).toMatchObject([
      { expected: { kind: 'function' }, found: undefined },
    ]);
    expect(tellSummary(summary, { expected: 'before', found: 'after' })).toContain('(nothing)');
    expect(summarise(found, smallCall()).rows.filter(({ same }) => !same)).toMatchObject([
      { expected: undefined, found: { kind: 'function' } },
    ]);
  });

  it('can be calls of which nothing is known', () => {
    const nothing = new CallMaker().stored();
    expect(summarise(nothing, nothing).rows).toEqual([]);
    expect(tellSummary(summarise(nothing, smallCall()))).toContain('end: not known');
  });

  it('wrap long words', () => {
    const long = edited(smallCall(), (text) =>
      text.replaceAll('And tomorrow?', `And ${'x'.repeat(300)} tomorrow?`),
    );
    const text = tellSummary(summarise(smallCall(), long));
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(110);
  });
});
