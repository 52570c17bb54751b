import { readFile } from 'node:fs/promises';
import { BridgeError } from '../errors.ts';
import { shortText } from '../short-text.ts';
import type { Terminal } from './command.ts';

/** What all simulated providers tell of an event. */
interface ShownEvent {
  readonly direction: 'received' | 'sent';
  readonly atMs: number;
  readonly event: { readonly type: string };
}

interface Shown {
  readonly index: number;
}

/** Events of one type that come close to each other, of which the first was shown. */
interface Run {
  readonly direction: ShownEvent['direction'];
  /** When something was last told of it. */
  toldMs: number;
  lastMs: number;
  /** Those that were not told yet. */
  count: number;
}

/** Types that come many times a second are told once in so long. */
const COUNT_EVERY_MS = 1_000;

/** The types are the client's own words: they could be of any length, and control the terminal. */
const LONGEST_TYPE = 64;
const CONTROL = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Shows events on standard error: connection, seconds, direction and type. Of the types in `audio`, which would flood the
 * terminal, the first is shown, then once a second how many more there were.
 */
export function showEvents(
  terminal: Terminal,
  audio: readonly string[],
): (connection: Shown, shown: ShownEvent) => void {
  const write = ({ index }: Shown, direction: Run['direction'], atMs: number, what: string): void => {
    const arrow = direction === 'received' ? '▶' : '◀';
    terminal.err(`${String(index).padStart(3)} ${(atMs / 1000).toFixed(3).padStart(8)} ${arrow} ${what}\n`);
  };
  const running = new WeakMap<Shown, Map<string, Run>>();
  return (connection, { direction, atMs, event: { type } }) => {
    const runs = running.get(connection) ?? new Map<string, Run>();
    running.set(connection, runs);
    endSecond(runs, atMs, (run, what) => write(connection, run.direction, run.lastMs, what));
    if (isCounted(runs.get(type), atMs)) return;
    if (audio.includes(type)) runs.set(type, { direction, toldMs: atMs, lastMs: atMs, count: 0 });
    write(connection, direction, atMs, shortText(type.replace(CONTROL, '\uFFFD'), LONGEST_TYPE));
  };
}

/** Tells the numbers that are due; whatever comes does that, so that the end of a run is told. */
function endSecond(runs: Map<string, Run>, atMs: number, tell: (run: Run, what: string) => void): void {
  for (const [type, run] of runs) {
    if (atMs - run.toldMs < COUNT_EVERY_MS) continue;
    if (run.count > 0) tell(run, `${type} ×${run.count}`);
    run.toldMs = atMs;
    run.count = 0;
    if (atMs - run.lastMs >= COUNT_EVERY_MS) runs.delete(type);
  }
}

function isCounted(run: Run | undefined, atMs: number): boolean {
  if (run === undefined) return false;
  run.lastMs = atMs;
  run.count++;
  return true;
}

/** Reads names that are separated by commas, or `any`. Throws BAD_INPUT. */
export function readNames(option: string, text: string): readonly string[] | 'any' {
  if (text === 'any') return text;
  const names = text.split(',').map((name) => name.trim());
  if (!names.includes('')) return names;
  throw new BridgeError(
    'BAD_INPUT',
    `--${option}: found ${JSON.stringify(text)}, wanted names with commas between them, or any`,
  );
}

/** Says where the simulator listens and resolves, to the exit status, when the process is interrupted. */
export async function playUntilInterrupted(url: string, terminal: Terminal): Promise<number> {
  terminal.out(`listening on ${url}\n`);
  await new Promise<void>((resolve) => {
    terminal.onInterrupt(resolve);
  });
  return 0;
}

/** Reads a fault script; the simulator itself checks what its rules do. Throws BAD_INPUT. */
export async function readFaults<Rule>(file: string): Promise<readonly Rule[]> {
  const wrong = (what: string, cause?: unknown): BridgeError =>
    new BridgeError(
      'BAD_INPUT',
      `--faults ${file}: ${what}, wanted a JSON list of {"when":{"after":…},"do":…}`,
      { cause },
    );
  let rules: unknown;
  try {
    rules = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw wrong('cannot be read as JSON', cause);
  }
  if (!Array.isArray(rules)) throw wrong(`found a ${typeof rules}`);
  for (const [index, rule] of rules.entries()) {
    if (typeof rule?.do !== 'string' || typeof rule?.when?.after !== 'string') {
      throw wrong(`entry ${index} is not a fault`);
    }
  }
  return rules;
}
