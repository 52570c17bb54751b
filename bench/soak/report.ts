import type { Result } from '../results.ts';
import { slopeOf } from './slope.ts';

const LIMIT_BYTES = 200;

/** Amounts of things by their names. */
export type Amounts = Readonly<Record<string, number>>;

/**
 * What calls leave behind, as figures: bytes of each, with the upper end of what it may be, and things of which there are
 * more at any look than at the first.
 */
export function leakResults(
  where: string,
  looks: readonly { readonly x: number; readonly y: number }[],
  things: readonly object[],
): readonly Result[] {
  const { perUnit, margin, points } = slopeOf(looks);
  const calls = (looks.at(-1)?.x ?? 0) - (looks[0]?.x ?? 0);
  return [
    {
      bench: 'soak',
      name: `leak per call, ${where}`,
      value: round(perUnit),
      unit: 'bytes',
      limit: LIMIT_BYTES,
      better: 'lower',
      detail: { calls, looks: points, margin95: round(margin) },
    },
    {
      bench: 'soak',
      name: `leak per call at most (95 %), ${where}`,
      value: Number.isFinite(margin) ? round(perUnit + margin) : LIMIT_BYTES * 1000,
      unit: 'bytes',
      limit: LIMIT_BYTES,
      better: 'lower',
    },
    {
      bench: 'soak',
      name: `sessions, sockets, timers left, ${where}`,
      value: excess(things),
      unit: 'things',
      limit: 0,
      better: 'lower',
      detail: Object.fromEntries(
        Object.entries(things.at(-1) ?? {}).map(([name, count]) => [name, Number(count)]),
      ),
    },
  ];
}

function excess(things: readonly object[]): number {
  const [first = {}, ...later] = things.map((one) => one as Amounts);
  let most = 0;
  for (const one of later) {
    let more = 0;
    for (const [name, count] of Object.entries(one)) more += Math.max(0, count - (first[name] ?? 0));
    most = Math.max(most, more);
  }
  return most;
}

/** Bytes that one call takes, with what is to be reached. */
export function memoryResult(name: string, bytes: number, isLimited: boolean, detail: Amounts): Result {
  const reach = isLimited ? { limit: 200_000, aim: 100_000 } : {};
  return { bench: 'soak', name, value: round(bytes), unit: 'bytes', better: 'lower', ...reach, detail };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
