import { describe, expect, it } from 'vitest';
import { type Line, TOLERANCE } from '../src/recording/format.ts';
import type { StoredCall } from '../src/recording/stored-call.ts';
import type { Difference } from '../src/replay/compare/difference.ts';
import { compareCalls, tellDifference } from '../src/replay/compare.ts';
import { smallCall } from './support/small-call.ts';

function compare(expected: StoredCall, found: StoredCall): readonly Difference[] {
  return compareCalls(expected, found, TOLERANCE);
}

/** The small call with its lines changed. */
function changed(change: (line: Line, at: number) => Line | readonly Line[]): StoredCall {
  const call = smallCall();
  return { ...call, lines: call.lines.flatMap(change) };
}

describe('a call and its replay', () => {
  it('are the same if nothing was changed', () => {
    expect(compare(smallCall(), smallCall())).toEqual([]);
  });

  it('are the same however the audio was cut into messages', () => {
    expect(compare(smallCall(), smallCall({ cutMs: 20 }))).toEqual([]);
    expect(compare(smallCall({ cutMs: 20 }), smallCall())).toEqual([]);
  });

  it.each(smallCall().lines.flatMap((line, at) => (line.dir === 'out' ? [at] : [])))(
    'without line %i, that line is missed',
    (missing) => {
      const [first, ...others] = compare(
        smallCall(),
        changed((line, at) => (at === missing ? [] : line)),
      );
      const line = smallCall().lines[missing];
      expect(first?.t).toBe(line?.t);
      expect(first?.edge).toBe(line?.on);
      expect(others.length).toBeLessThan(3);
      if (first?.audio === undefined) expect(first).toMatchObject({ kind: 'missing', expectedLine: missing });
      expect(first && tellDifference(first, smallCall(), smallCall())).toContain('around it');
    },
  );
});
