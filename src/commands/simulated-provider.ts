import { readFile } from 'node:fs/promises';
import { BridgeError } from '../errors.ts';
import type { Terminal } from './command.ts';

/** What all simulated providers tell of an event. */
interface ShownEvent {
  readonly direction: 'received' | 'sent';
  readonly atMs: number;
  readonly event: { readonly type: string };
}

/** Shows events on standard error: connection, seconds, direction and type. */
export function showEvents(
  terminal: Terminal,
): (connection: { readonly index: number }, shown: ShownEvent) => void {
  return ({ index }, { direction, atMs, event }) => {
    const arrow = direction === 'received' ? '▶' : '◀';
    const time = (atMs / 1000).toFixed(3).padStart(8);
    terminal.err(`${String(index).padStart(3)} ${time} ${arrow} ${event.type}\n`);
  };
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
