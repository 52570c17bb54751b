import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi, test as vitestTest } from 'vitest';
import { replayFixture, replayFixtures, type TestFunction } from '../src/testing.ts';
import { emitModules } from './support/emit-modules.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FIXTURES = join(ROOT, 'fixtures');
const [ONE, OTHER] = ['twilio-function-too-slow', 'telnyx-barge-in'];
/** What the function of `ONE` tells the model; changed, the call is another one. */
const SAID = 'function look_up took longer than 600 ms';

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'patchcord-testing-'));
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

let copies = 0;

/** A folder with copies of fixtures. */
function folderWith(...names: readonly string[]): string {
  copies += 1;
  const folder = join(home, `fixtures-${copies}`);
  for (const name of names) cpSync(join(FIXTURES, name), join(folder, name), { recursive: true });
  return folder;
}

/** Makes what the service sent in `ONE` another thing than it sends. */
function spoil(folder: string): void {
  const file = join(folder, ONE, 'events.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"dir":"out"') && line.includes('function_call_output'));
  if (at < 0) throw new Error('no function result goes out');
  lines[at] = lines[at]?.replace(SAID, 'nobody knows why') ?? '';
  writeFileSync(file, lines.join('\n'));
}

/** A `test` that only takes down what it is given. */
function collector() {
  const tests: { name: string; timeout: number; run: () => Promise<void> }[] = [];
  const test: TestFunction = (name, { timeout }, run) => tests.push({ name, timeout, run });
  return { tests, test };
}

describe('replayFixtures', () => {
  it('makes one test for each fixture, named after its folder', () => {
    const { tests, test } = collector();
    replayFixtures(folderWith(ONE, OTHER), { test });
    expect(tests.map(({ name, timeout }) => [name, timeout])).toEqual([
      [OTHER, 30_000],
      [ONE, 30_000],
    ]);
  });

  it('takes a single fixture, and an address in the place of a path', async () => {
    const { tests, test } = collector();
    replayFixtures(new URL(`../fixtures/${ONE}`, import.meta.url), { test, timeoutMs: 5000 });
    expect(tests.map(({ name, timeout }) => [name, timeout])).toEqual([[ONE, 5000]]);
    await expect(tests[0]?.run()).resolves.toBeUndefined();
  });

  it.each([
    ['a part of the name', 'barge'],
    ['a pattern, also a global one', /^telnyx-/g],
    ['a function', (name: string) => name === OTHER],
  ])('leaves out what the filter does: %s', (_what, filter) => {
    const { tests, test } = collector();
    replayFixtures(folderWith(ONE, OTHER), { test, filter });
    expect(tests.map(({ name }) => name)).toEqual([OTHER]);
  });

  it('fails with the first difference, as people read it, and without a stack of its own', async () => {
    const folder = folderWith(ONE);
    spoil(folder);
    const { tests, test } = collector();
    replayFixtures(folder, { test });
    const failure = await tests[0]?.run().catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(Error);
    const { message, stack } = failure as Error;
    expect(message).toMatch(/^\d\.\d{3} s {2}to openai: conversation\.item\.create: msg\.item\.output/);
    expect(message).toContain('nobody knows why');
    expect(message).toContain('around it, found');
    expect(message).toContain('The call proves: A function that takes longer');
    expect(stack).toBe(`ReplayDiffers: ${message}`);
  });

  it('accepts what differs with PATCHCORD_UPDATE=1, and only then', async () => {
    const folder = folderWith(ONE);
    spoil(folder);
    const before = readFileSync(join(folder, ONE, 'events.jsonl'), 'utf8');
    expect(await replayFixture(join(folder, ONE))).toMatchObject({ status: 'different', accepted: false });
    expect(readFileSync(join(folder, ONE, 'events.jsonl'), 'utf8')).toBe(before);
    vi.stubEnv('PATCHCORD_UPDATE', '1');
    const { tests, test } = collector();
    replayFixtures(folder, { test });
    await tests[0]?.run();
    vi.unstubAllEnvs();
    expect(await replayFixture(join(folder, ONE))).toMatchObject({ status: 'same', text: '' });
    // To the byte what it was before it was spoilt.
    const kept = readFileSync(join(FIXTURES, ONE, 'events.jsonl'), 'utf8');
    expect(readFileSync(join(folder, ONE, 'events.jsonl'), 'utf8')).toBe(kept);
  });

  it('lets as much pass as the tolerance says', async () => {
    const folder = folderWith(ONE);
    const file = join(folder, ONE, 'events.jsonl');
    const later = (line: string): string =>
      line.includes('"type":"firstAudio"')
        ? line.replace(/"atMs":([\d.]+)/, (_all, ms) => `"atMs":${Number(ms) + 40}`)
        : line;
    writeFileSync(file, readFileSync(file, 'utf8').split('\n').map(later).join('\n'));
    const path = join(folder, ONE);
    expect(await replayFixture(path)).toMatchObject({ status: 'different' });
    expect(await replayFixture(path, { tolerance: { timeMs: 60 } })).toMatchObject({ status: 'same' });
  });

  it('fails when the agent of the agents file does something else', async () => {
    const folder = folderWith(ONE);
    const { agent } = JSON.parse(readFileSync(join(folder, ONE, 'call.json'), 'utf8'));
    const agents = join(folder, 'agents.yaml');
    writeFileSync(agents, JSON.stringify({ agents: { [agent.name]: { instructions: 'Say nothing.' } } }));
    for (const file of [agents, pathToFileURL(agents)]) {
      const { status, text } = await replayFixture(join(folder, ONE), { agents: file });
      expect(status).toBe('different');
      expect(text).toContain('session.update: msg.session.instructions');
      expect(text).toContain('Say nothing.');
    }
  });

  it('says what is wrong with a fixture that cannot be replayed', async () => {
    const folder = folderWith(ONE);
    writeFileSync(join(folder, ONE, 'call.json'), '{"format":1}');
    const { status, text, differences } = await replayFixture(join(folder, ONE));
    expect({ status, differences }).toEqual({ status: 'broken', differences: [] });
    expect(text).toMatch(new RegExp(`^${ONE} cannot be replayed: BAD_RECORDING: `));
    const { tests, test } = collector();
    replayFixtures(folder, { test });
    await expect(tests[0]?.run()).rejects.toThrow('cannot be replayed');
  });

  it('does not take a folder without fixtures for a success', () => {
    const { test } = collector();
    expect(() => replayFixtures(join(home, 'nowhere'), { test })).toThrow('found no such folder');
    expect(() => replayFixtures(folderWith(ONE), { test, filter: 'hal' })).toThrow('found no fixture');
    mkdirSync(join(home, 'empty'));
    expect(() => replayFixtures(join(home, 'empty'), { test })).toThrow('found no call');
  });

  it('asks for the `test` of vitest where there is no global one', () => {
    expect(() => replayFixtures(folderWith(ONE))).toThrow("import { test } from 'vitest'");
  });
});

// As a program of one's own has it.
replayFixtures(new URL('../fixtures', import.meta.url), { test: vitestTest, filter: OTHER });

describe('the samples of docs/recordings.md, in a project that has the package', () => {
  let project: string;

  beforeAll(() => {
    project = join(home, 'project');
    const installed = join(project, 'node_modules/patchcord');
    mkdirSync(installed, { recursive: true });
    emitModules(join(installed, 'dist'), ['src/index.ts', 'src/testing.ts'], { types: true });
    cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'), 'dir');
    for (const name of ['vitest', '@types', 'typescript']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name), 'dir');
    }
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    for (const [path, text] of samples()) {
      mkdirSync(dirname(join(project, path)), { recursive: true });
      writeFileSync(join(project, path), text);
    }
    for (const name of [ONE, OTHER]) {
      cpSync(join(FIXTURES, name), join(project, 'test/calls', name), { recursive: true });
    }
  }, 60_000);

  it('are three files', () => {
    expect(samples().map(([path]) => path)).toEqual([
      'test/calls.test.ts',
      'test/calls.test.js',
      'test/greeting.test.ts',
    ]);
  });

  it('are what the types of the package allow', { timeout: 60_000 }, async () => {
    const config = {
      compilerOptions: {
        module: 'nodenext',
        target: 'es2023',
        lib: ['es2023', 'esnext.disposable'],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ['node'],
      },
      include: ['test/*.ts'],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
    expect(await inProject(['node_modules/typescript/bin/tsc', '-p', '.'])).toMatchObject({
      status: 0,
      out: '',
    });
  });

  it('pass with vitest', { timeout: 60_000 }, async () => {
    const { status, out } = await inProject([
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=verbose',
      '.test.ts',
    ]);
    expect(out).toContain(ONE);
    expect(out).toMatch(/Tests {2}3 passed/);
    expect(status).toBe(0);
  });

  it('pass with node:test, and fail with the first difference', { timeout: 60_000 }, async () => {
    const argv = ['--test', '--test-reporter=tap', 'test/calls.test.js'];
    const good = await inProject(argv);
    expect(good.out).toContain(`ok 2 - ${ONE}`);
    expect(good.status).toBe(0);
    spoil(join(project, 'test/calls'));
    const bad = await inProject(argv);
    expect(bad.out).toContain(`not ok 2 - ${ONE}`);
    expect(bad.out).toContain('to openai: conversation.item.create: msg.item.output');
    expect(bad.status).toBe(1);
    const accepted = await inProject(argv, { PATCHCORD_UPDATE: '1' });
    expect(accepted.status).toBe(0);
    expect((await inProject(argv)).status).toBe(0);
  });

  function inProject(
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; out: string }> {
    return new Promise((resolve) => {
      const options = { cwd: project, env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env } };
      execFile(process.execPath, [...argv], options, (error, stdout, stderr) => {
        resolve({ status: typeof error?.code === 'number' ? error.code : 0, out: stdout + stderr });
      });
    });
  }
});

/** Code of the section that begins with the name of its file. */
function samples(): readonly (readonly [path: string, text: string])[] {
  const docs = readFileSync(join(ROOT, 'docs/recordings.md'), 'utf8');
  return [...docs.matchAll(/^```[jt]s\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(
    ([, path = '', text = '']) => [path, text] as const,
  );
}
