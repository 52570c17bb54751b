import type { Converter } from './methods.ts';

/** What one frame cost with each method, in the same rounds. */
export interface Cost {
  /** Nanoseconds of CPU time, one value per round. */
  readonly ns: readonly number[];
  /** Bytes of heap and of array buffers, the median of several batches. */
  readonly bytes: number;
}

export interface Plan {
  readonly rounds: number;
  /** CPU time of one method in one round. */
  readonly roundMs: number;
}

export const WHOLE: Plan = { rounds: 21, roundMs: 8 };
export const QUICK: Plan = { rounds: 7, roundMs: 3 };

/** Frames between two looks at the clock. */
const BATCH = 200;
const MEMORY_BATCHES = 41;
/** So few that garbage is not collected in every batch. */
const MEMORY_FRAMES = 20;

/** Microseconds of CPU time of this process: what other programs do makes little difference to it. */
function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Different 20 ms of noise that swells, so that no branch learns one frame by heart. */
export function frames(bytes: number): readonly Uint8Array[] {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  return Array.from({ length: 16 }, () => Uint8Array.from({ length: bytes }, random));
}

/** Frame after frame through the converters in turn: with many of them, as a service with as many calls meets them. */
function work(converters: readonly Converter[], input: readonly Uint8Array[], count: number): void {
  const calls = converters.length;
  for (let i = 0; i < count; i++) converters[i % calls]?.convert(input[i % input.length] as Uint8Array);
}

/**
 * The cost of each of several ways to do the same, round by round in turn, so that whatever slows the machine slows them
 * all. Each way is a list of converters that are used in turn.
 */
export function measure(
  ways: readonly (readonly Converter[])[],
  input: readonly Uint8Array[],
  plan: Plan,
): readonly Cost[] {
  for (const way of ways) spend(way, input, 4 * plan.roundMs);
  const ns: number[][] = ways.map(() => []);
  for (let round = 0; round < plan.rounds; round++) {
    for (const [i, way] of ways.entries()) ns[i]?.push(spend(way, input, plan.roundMs));
  }
  return ways.map((way, i) => ({ ns: ns[i] ?? [], bytes: bytesPerFrame(way, input) }));
}

/** Converts for that long; returns nanoseconds per frame. */
function spend(way: readonly Converter[], input: readonly Uint8Array[], ms: number): number {
  const from = cpuUs();
  let done = 0;
  let used = 0;
  do {
    work(way, input, BATCH);
    done += BATCH;
    used = cpuUs() - from;
  } while (used < ms * 1000);
  return (used * 1000) / done;
}

function bytesPerFrame(way: readonly Converter[], input: readonly Uint8Array[]): number {
  const batch = (count: number): number => {
    const before = process.memoryUsage();
    work(way, input, count);
    const after = process.memoryUsage();
    return after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers;
  };
  const costs = Array.from(
    { length: MEMORY_BATCHES },
    // What looking costs is in both.
    () => (batch(MEMORY_FRAMES) - batch(0)) / MEMORY_FRAMES,
  );
  // Less than nothing: garbage was collected in between.
  const seen = costs.filter((bytes) => bytes >= 0);
  return seen.length === 0 ? 0 : Math.round(median(seen));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** How far the middle half of the values strays, as a share of the median. */
export function spread(values: readonly number[]): number {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / median(values);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN;
}
