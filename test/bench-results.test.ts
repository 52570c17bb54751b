import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Change, changes } from '../bench/compare/changes.ts';
import {
  columns,
  figure,
  finish,
  keep,
  machine,
  met,
  type Result,
  type ResultFile,
  readResults,
  table,
  verdict,
} from '../bench/results.ts';
import { missing, worstTable } from '../bench/run/figures.ts';

function result(more: Partial<Result> = {}): Result {
  return { bench: 'calls', name: 'CPU', value: 1.1, unit: 'x', better: 'lower', ...more };
}

function file(...runs: (readonly Result[])[]): ResultFile {
  return {
    bench: 'calls',
    takenAt: '2026-11-21T20:00:00.000Z',
    commit: 'abc1234',
    dirty: false,
    quick: false,
    machine: { cpu: 'a processor', cores: 2, node: 'v20.20.2', kernel: '6.1.0' },
    runs,
  };
}

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchcord-test-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('a figure', () => {
  it.each([
    [{ value: 1.15, limit: 1.15 }, true, 'met'],
    [{ value: 1.16, limit: 1.15 }, false, 'missed'],
    [{ value: 0.99, limit: 1.15, aim: 1 }, true, 'aim'],
    [{ value: 1.01, limit: 1.15, aim: 1 }, true, 'met'],
    [{ value: 0.9, limit: 0.9, better: 'higher' as const }, true, 'met'],
    [{ value: 0.89, limit: 0.9, aim: 1, better: 'higher' as const }, false, 'missed'],
    [{ value: 1.2, limit: 0.9, aim: 1, better: 'higher' as const }, true, 'aim'],
    [{ value: 99 }, undefined, ''],
  ])('%o reaches its limit: %s', (more, reached, word) => {
    expect(met(result(more))).toBe(reached);
    expect(verdict(result(more))).toBe(word);
  });

  it.each([
    [0, '0 x'],
    [0.0528, '0.0528 x'],
    [1.147, '1.15 x'],
    [21.66, '21.7 x'],
    [390.4, '390 x'],
    [12_345.6, '12346 x'],
    [-0.5, '-0.500 x'],
  ])('%d is shown as %s', (value, shown) => {
    expect(figure(value, 'x')).toBe(shown);
  });

  it('is a line of the table, with what it has to reach', () => {
    const lines = table([
      result({ limit: 1.15, aim: 1 }),
      result({ name: 'calls per core', value: 0.8, limit: 0.9, better: 'higher' }),
      result({ name: 'RSS', value: 7, unit: 'MB' }),
    ]).split('\n');
    expect(lines[1]).toMatch(/^calls: CPU +1\.10 x +≤ 1\.15 x +≤ 1\.00 x +met$/);
    expect(lines[2]).toMatch(/^calls: calls per core +0\.800 x +≥ 0\.900 x +missed$/);
    expect(lines[3]).toMatch(/^calls: RSS +7\.00 MB$/);
  });

  it('stands in its column', () => {
    expect(
      columns([
        ['a', '1', 'x'],
        ['long', '100', ''],
      ]),
    ).toBe('a       1  x\nlong  100');
  });
});

describe('kept results', () => {
  it('say on what they were taken, and are read back', () => {
    const runs = [[result()], [result({ value: 1.2 })]];
    const path = keep('calls', runs, true, folder);
    const found = readResults(path);
    expect(found).toMatchObject({ bench: 'calls', quick: true, runs, machine: machine() });
    expect(found.machine.node).toBe(process.version);
    expect(path).toContain(`${found.takenAt.slice(0, 10)}-${found.commit}`);
    expect(Object.keys(found.machine).sort()).toEqual(['cores', 'cpu', 'kernel', 'node']);
  });

  it('are never overwritten', () => {
    const paths = [1, 2, 3].map((value) => keep('calls', [[result({ value })]], false, folder));
    expect(new Set(paths).size).toBe(3);
    expect(paths.map((path) => readResults(path).runs[0]?.[0]?.value)).toEqual([1, 2, 3]);
  });

  it.each(['[]', 'null', '{"bench":"calls"}', '{"bench":"calls","commit":"a","runs":[]}'])(
    'are not %s',
    (text) => {
      const path = join(folder, 'other.json');
      writeFileSync(path, text);
      expect(() => readResults(path)).toThrow(/other\.json holds no results/);
    },
  );
});

describe('the end of a bench', () => {
  it('hands its figures to whoever started it, without judging them', () => {
    const path = join(folder, 'figures.json');
    const missed = result({ value: 2, limit: 1 });
    const before = process.exitCode;
    finish('calls', [missed], { results: path });
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual([missed]);
    expect(process.exitCode).toBe(before);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses a figure that is %d', (value) => {
    expect(() => finish('calls', [result({ value })], { results: join(folder, 'f.json') })).toThrow(
      `calls: CPU is ${value}, wanted a number`,
    );
  });
});

/** The verdicts on one figure that was `before` and is `after`. */
function compared(before: readonly Result[], after: readonly Result[], times = false): readonly Change[] {
  return changes(file(before), file(after), { threshold: 0.1, times });
}

describe('a comparison', () => {
  it.each([
    [1, 1.01, 'lower', 'same'],
    [1, 1.05, 'lower', 'worse'],
    [1, 1.2, 'lower', 'regression'],
    [1, 0.9, 'lower', 'better'],
    [1, 0.85, 'higher', 'regression'],
    [1, 1.2, 'higher', 'better'],
    [0, 0, 'lower', 'same'],
    [0, 1, 'lower', 'regression'],
    [3, 0, 'lower', 'better'],
  ] as const)('from %d to %d, where %s is better, says %s', (before, after, better, verdictWanted) => {
    const [change] = compared([result({ value: before, better })], [result({ value: after, better })]);
    expect(change?.verdict).toBe(verdictWanted);
  });

  it('takes for noise what a figure says that it strays, and what runs differ by', () => {
    const noisy = (value: number): Result => result({ value, noise: 0.08 });
    expect(compared([noisy(1)], [noisy(1.15)])[0]?.verdict).toBe('same');
    expect(compared([noisy(1)], [noisy(1.17)])[0]?.verdict).toBe('regression');
    const before = file([result({ value: 0.9 })], [result({ value: 1 })], [result({ value: 1.1 })]);
    const after = file([result({ value: 1.02 })], [result({ value: 1.12 })], [result({ value: 1.22 })]);
    const [change] = changes(before, after, { threshold: 0.1, times: false });
    expect(change).toMatchObject({ before: 1, after: 1.12, verdict: 'same' });
  });

  it('does not count times, unless it is asked to', () => {
    for (const unit of ['ns', 'ns/frame', 'ms', 's', 'µs']) {
      const [before, after] = [[result({ unit })], [result({ unit, value: 2 })]];
      expect(compared(before, after)[0]?.verdict).toBe('worse');
      expect(compared(before, after, true)[0]?.verdict).toBe('regression');
    }
    for (const unit of ['x', 'bytes', 'bytes/frame', 'calls', 'kB']) {
      expect(compared([result({ unit })], [result({ unit, value: 2 })])[0]?.verdict).toBe('regression');
    }
  });

  it('names what is new and what is gone', () => {
    const found = compared([result({ name: 'old' })], [result({ name: 'new' })]);
    expect(found.map(({ name, verdict: word }) => [name, word])).toEqual([
      ['new', 'new'],
      ['old', 'gone'],
    ]);
  });
});

describe('several runs', () => {
  const runs = [1, 1.2, 1.1].map((value) => [
    result({ value, limit: 1.15, aim: 1 }),
    result({ name: 'free' }),
  ]);

  it('are judged by the worst of them, figure by figure', () => {
    const lines = worstTable(runs).split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(
      /^calls: CPU +1\.00 x +1\.20 x +1\.10 x +1\.20 x +≤ 1\.15 x +≤ 1\.00 x +missed$/,
    );
    const higher = [0.9, 1.1].map((value) => [result({ value, limit: 1, better: 'higher' })]);
    expect(worstTable(higher).split('\n')[1]).toMatch(/0\.900 x +1\.10 x +0\.900 x +≥ 1\.00 x +missed$/);
  });

  it('say where a figure is missing in one of them', () => {
    const lines = worstTable([[], [result({ limit: 1.15 })]]).split('\n');
    expect(lines[1]).toMatch(/not in every run$/);
  });

  it('have every figure that is wanted of the benches that ran', () => {
    expect(missing([[]], ['start'], false)).toEqual(['run 1, start: to "listening on": not measured']);
    const start = result({ bench: 'start', name: 'one provider, to "listening on"', limit: 600 });
    expect(missing([[start]], ['start'], false)).toEqual([]);
    // One that has no limit is not what was wanted.
    const { limit: _, ...without } = start;
    expect(missing([[start], [without]], ['start'], false)).toHaveLength(1);
    expect(missing([[]], [], false)).toEqual([]);
    const slow = (quick: boolean): number => missing([[]], ['calls'], quick).length;
    expect(slow(false) - slow(true)).toBe(2);
  });
});
