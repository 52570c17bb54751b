import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { createLog } from '../src/log.ts';
import { isRecordingName } from '../src/recording/names.ts';
import { RecordingStore } from '../src/recording/store.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { emitModules } from './support/emit-modules.ts';
import { callFile, tempFolder } from './support/stored-sample.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A process that records two calls without end, and says how many bytes of them are on disk. */
const PROGRAM = `
import { writeSync } from 'node:fs';
import { systemClock } from './dist/src/clock.js';
import { createLog } from './dist/src/log.js';
import { RecordingStore } from './dist/src/recording/store.js';
const [folder, call] = process.argv.slice(2);
let total = 0;
const news = { wrote: (bytes) => writeSync(1, (total += bytes) + '\\n') };
const rules = { maxAgeMs: 86400000, maxBytes: 1e9 };
const log = createLog('silent');
const store = await RecordingStore.open({ folder, rules, minFreeBytes: 0, clock: systemClock, log, news });
const sinks = [1, 2].map(() => store.begin(JSON.parse(call)));
for (let n = 0; ; n += 1) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const format = { encoding: 'pcm16', rate: 24000 };
  for (const sink of sinks) {
    const audio = sink.audio('provider', format, new Uint8Array(2401).fill(n));
    sink.line({ t: n * 20, on: 'provider', dir: 'in', conn: 1, msg: { event: 'audio', audio } });
    sink.audio('caller', { encoding: 'mulaw', rate: 8000 }, new Uint8Array(160).fill(n));
    sink.stereo({ encoding: 'mulaw', rate: 8000 }, new Uint8Array(320));
    if (n % 7 === 0) sink.describe({ ...JSON.parse(call), seed: String(n + 1) });
    if (n % 11 === 0) sink.transcript('so many lines: ' + n + '\\n');
  }
}
`;

describe('a process that is killed', () => {
  let home = '';

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'recording-crash-'));
    emitModules(join(home, 'dist'), ['src/clock.ts', 'src/log.ts', 'src/recording/store.ts']);
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
    writeFileSync(join(home, 'package.json'), '{"type":"module"}');
    writeFileSync(join(home, 'program.js'), PROGRAM);
  }, 60_000);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** Runs it until it has said so much, calls `meanwhile`, then kills it; gives the bytes that were on disk at least. */
  async function killed(folder: string, says: number, meanwhile: () => Promise<void>): Promise<number> {
    const child: ChildProcess = spawn(
      process.execPath,
      [join(home, 'program.js'), folder, JSON.stringify(callFile())],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exit = once(child, 'exit');
    onTestFinished(() => void child.kill('SIGKILL'));
    if (child.stdout === null) throw new Error('no output');
    let said = 0;
    let bytes = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      bytes = Number(line);
      said += 1;
      if (said !== says) continue;
      await meanwhile();
      child.kill('SIGKILL');
    }
    expect(await exit).toEqual([null, 'SIGKILL']);
    return bytes;
  }

  async function opened(folder: string): Promise<{ store: RecordingStore; recovered: readonly number[] }> {
    const recovered: number[] = [];
    const store = await RecordingStore.open({
      folder,
      rules: { maxAgeMs: undefined, maxBytes: undefined },
      minFreeBytes: 0,
      clock: systemClock,
      log: createLog('silent'),
      news: { recovered: (count) => void recovered.push(count) },
    });
    onTestFinished(() => store.close());
    await store.settled();
    return { store, recovered };
  }

  function bytesOf({ wavs }: StoredCall, folder: string): number {
    const audio = [...wavs.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    const texts = ['events.jsonl', 'transcript.txt', 'call.wav'].map(
      (name) => statSync(join(folder, name)).size,
    );
    return audio + texts.reduce((sum, size) => sum + size, 0);
  }

  it.each([3, 4, 7, 10])(
    'leaves all that was on disk (%i writes), to be opened as it lies and as the next one finishes it',
    { timeout: 60_000 },
    async (says) => {
      const folder = tempFolder();
      const others: (readonly number[])[] = [];
      const bytes = await killed(folder, says, async () => {
        // Another process looks at the folder meanwhile, and finds nothing to do.
        const { store, recovered } = await opened(folder);
        others.push(recovered);
        await store.close();
      });
      expect(others).toEqual([[]]);
      const left = readdirSync(folder);
      expect(left.every((name) => name.endsWith('.partial'))).toBe(true);
      expect(left).toHaveLength(2);
      const before = await Promise.all(left.map((name) => readCall(join(folder, name))));
      for (const { damage } of before) expect(damage.join()).toContain('there is no end, its process died');

      const { recovered } = await opened(folder);
      expect(recovered).toEqual([2]);
      const names = readdirSync(folder);
      expect(names.every(isRecordingName)).toBe(true);
      const after = await Promise.all(names.map((name) => readCall(join(folder, name))));
      for (const [index, { lines, damage, call }] of after.entries()) {
        expect(damage).toEqual([]);
        expect(lines).toEqual(before[index]?.lines);
        expect(call.end).toEqual({ t: lines.at(-1)?.t ?? 0, complete: false, why: 'process-died' });
      }
      const found = after.map((stored, index) => bytesOf(stored, join(folder, names[index] ?? '')));
      expect(found.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(bytes);
    },
  );
});
