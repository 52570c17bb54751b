import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { inspectPage } from '../src/inspect/page.ts';
import { readCall } from '../src/recording/stored-call.ts';
import { replay } from '../src/replay/replay.ts';
import { emitModules } from './support/emit-modules.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

describe('a service that is killed in the middle of a call', () => {
  let home = '';

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'recording-killed-'));
    emitModules(join(home, 'dist'), ['src/cli.ts']);
    for (const name of ['node_modules', 'fixtures', 'web', 'package.json']) {
      symlinkSync(join(ROOT, name), join(home, name));
    }
  }, 60_000);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** Runs a command in an environment of its own; `said` is what it has said until now. */
  function command(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): ChildProcess & { said(): string } {
    const child = spawn(process.execPath, [join(home, 'dist/src/cli.js'), ...args], { cwd: home, env });
    onTestFinished(() => void child.kill('SIGKILL'));
    let text = '';
    child.stdout.on('data', (data) => {
      text += String(data);
    });
    child.stderr.on('data', (data) => {
      text += String(data);
    });
    return Object.assign(child, { said: () => text });
  }

  /** Lines of the recording that is being written. */
  function linesIn(recordings: string): number {
    try {
      const [name = ''] = readdirSync(recordings);
      return readFileSync(join(recordings, name, 'events.jsonl'), 'utf8').split('\n').length;
    } catch {
      return 0;
    }
  }

  it('leaves a recording that can be read, looked at, and replayed with no difference', {
    timeout: 60_000,
  }, async () => {
    const data = join(home, 'data');
    const serve = command(['serve', '--port', '0'], { RECORDING: 'bridge', DATA_DIR: data });
    await expect.poll(serve.said, { timeout: 20_000 }).toMatch(/--secret \S+\n/);
    const [, to = '', secret = ''] = /call --to (\S+) --secret (\S+)/.exec(serve.said()) ?? [];
    command(['call', '--to', to, '--secret', secret], {});
    const recordings = join(data, 'recordings');
    await expect.poll(() => linesIn(recordings), { timeout: 20_000 }).toBeGreaterThan(400);
    const exit = once(serve, 'exit');
    serve.kill('SIGKILL');
    expect(await exit).toEqual([null, 'SIGKILL']);

    const [name = ''] = readdirSync(recordings);
    expect(name).toMatch(/\.partial$/);
    const stored = await readCall(join(recordings, name));
    expect(stored.damage.join()).toContain('there is no end, its process died');
    expect(stored.lines.length).toBeGreaterThan(400);
    expect((await replay(stored)).differences).toEqual([]);
    const page = join(home, 'page.html');
    writeFileSync(page, inspectPage(stored, { audio: true, maxAudioBytes: 10_000_000 }).html);
    expect(readFileSync(page, 'utf8')).toContain('</html>');
  });
});
