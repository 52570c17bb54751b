import { basename, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BridgeError } from '../errors.ts';
import type { RealtimeProvider } from '../provider.ts';
import type { Tolerance } from '../recording/format.ts';
import { callFolders } from './call-folders.ts';
import type { AgentChoice } from './changed-agent.ts';
import { type CheckedCall, checkCall, tellChecked } from './check-call.ts';

/** The part of `test` of vitest and of node:test that is needed. */
export type TestFunction = (
  name: string,
  options: { readonly timeout: number },
  run: () => Promise<void>,
) => unknown;

export interface ReplayFixtureOptions {
  /** In the place of what the fixture says of itself, and of the defaults. */
  readonly tolerance?: Partial<Tolerance> | undefined;
  /**
   * An agents file whose agent of the same name takes the call, in the place of the one in the fixture: what it does
   * otherwise is a difference. Results of functions come from the fixture by name and arguments.
   */
  readonly agents?: string | URL | undefined;
  /** Providers of your own, in the place of built-in ones of the same names; they dial by `ConnectRequest.network`. */
  readonly providers?: readonly RealtimeProvider[] | undefined;
  /** What differs is accepted: it is written into the folder. Default: `PATCHCORD_UPDATE=1` is set. */
  readonly update?: boolean | undefined;
}

export interface ReplayFixturesOptions extends ReplayFixtureOptions {
  /**
   * `test` of vitest or of node:test. Default: the global one if there is one, else that of node:test; vitest has a global
   * one only with `globals: true`.
   */
  readonly test?: TestFunction | undefined;
  /** Which fixtures: a part of their names, a pattern, or a function that is given the name of the folder. */
  readonly filter?: string | RegExp | ((name: string) => boolean) | undefined;
  /** Longest replay of one fixture; default 30 s. */
  readonly timeoutMs?: number | undefined;
}

/** What came of one fixture. */
export type ReplayReport = Pick<
  CheckedCall,
  'folder' | 'status' | 'accepted' | 'differences' | 'callMs' | 'realMs'
> & {
  /** The first difference, or why it cannot be replayed, for people; empty when it is the same. */
  readonly text: string;
};

const TIMEOUT_MS = 30_000;

/** Replays the fixture in a folder. Never rejects: `status` and `text` say what is wrong. */
export async function replayFixture(
  folder: string | URL,
  options: ReplayFixtureOptions = {},
): Promise<ReplayReport> {
  const path = pathOf(folder);
  const { tolerance, agents, providers, update = isUpdate() } = options;
  const checked = await checkCall(path, {
    tolerance,
    update,
    agent: choiceOf(agents),
    replay: { providers },
  });
  const { status, accepted, differences, callMs, realMs } = checked;
  return { folder: path, status, accepted, differences, callMs, realMs, text: tellChecked(checked) };
}

/**
 * Makes a test of every fixture in and below a folder: it fails with the first difference when the call does not go as it
 * did. To be called where tests are made, such as at the top of a test file. Throws BAD_INPUT when there is no fixture, so
 * that a wrong path is not taken for a success, and when vitest runs and its `test` was not handed over.
 */
export function replayFixtures(folder: string | URL, options: ReplayFixturesOptions = {}): void {
  const path = pathOf(folder);
  const { filter, timeoutMs = TIMEOUT_MS, ...each } = options;
  const test = options.test ?? usualTest();
  const folders = callFolders([path]).folders.filter((one) => isWanted(basename(one), filter));
  if (folders.length === 0) {
    throw new BridgeError('BAD_INPUT', `${path}: found no fixture that \`filter\` lets through, wanted one`);
  }
  for (const one of folders) {
    test(relative(path, one) || basename(one), { timeout: timeoutMs }, async () => {
      const { status, accepted, text } = await replayFixture(one, each);
      if (status !== 'same' && !accepted) throw new ReplayDiffers(text);
    });
  }
}

/** Its stack would only show this module, and hide what it says. */
class ReplayDiffers extends Error {
  constructor(text: string) {
    super(text);
    this.name = 'ReplayDiffers';
    this.stack = `${this.name}: ${text}`;
  }
}

function isWanted(name: string, filter: ReplayFixturesOptions['filter']): boolean {
  if (filter === undefined) return true;
  if (typeof filter === 'string') return name.includes(filter);
  return typeof filter === 'function'
    ? filter(name)
    : new RegExp(filter.source, filter.flags.replace(/[gy]/g, '')).test(name);
}

function pathOf(place: string | URL): string {
  return typeof place === 'string' ? place : fileURLToPath(place);
}

function choiceOf(file: string | URL | undefined): AgentChoice | undefined {
  // biome-ignore lint/style/noProcessEnv: what an agents file refers to
  return file === undefined ? undefined : { file: pathOf(file), env: process.env };
}

function isUpdate(): boolean {
  // biome-ignore lint/style/noProcessEnv: test runners hand nothing else over
  return process.env['PATCHCORD_UPDATE'] === '1';
}

function usualTest(): TestFunction {
  const { test } = globalThis as { readonly test?: unknown };
  if (typeof test === 'function') return test as TestFunction;
  // biome-ignore lint/style/noProcessEnv: it is how vitest tells that it is there
  if (process.env['VITEST'] !== undefined) {
    throw new BridgeError(
      'BAD_INPUT',
      "replayFixtures: found no `test`, wanted that of vitest: `import { test } from 'vitest'` and hand it over as `{ test }`",
    );
  }
  return process.getBuiltinModule('node:test').test as TestFunction;
}
