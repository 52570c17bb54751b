import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { Outbox } from '../src/hooks/outbox.ts';
import { createLog } from '../src/log.ts';
import { answering, hanging, hookReceiver, SECRET, verified } from './support/hook-receiver.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A process that accepts webhooks without end, and says which: its lines are written before it goes on. */
const PROGRAM = `
import { writeSync } from 'node:fs';
import { systemClock } from './dist/src/clock.js';
import { Outbox } from './dist/src/hooks/outbox.js';
import { createLog } from './dist/src/log.js';
const [folder, url, secret, holdMs] = process.argv.slice(2);
const log = createLog('silent');
const box = new Outbox({ clock: systemClock, folder, log, random: Math.random, secretFor: () => secret });
await box.start();
for (let n = 0; ; n += 1) {
  const id = 'call_' + n;
  const stored = await box.add({ id, url, holdMs: Number(holdMs), body: JSON.stringify({ id, text: 'x'.repeat(5000) }) });
  writeSync(1, id + ' ' + stored + '\\n');
}
`;

describe('a process that is killed', () => {
  let home = '';

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'outbox-crash-'));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(home, 'dist')], {
      cwd: ROOT,
    });
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
    writeFileSync(join(home, 'package.json'), '{"type":"module"}');
    writeFileSync(join(home, 'program.js'), PROGRAM);
  }, 60_000);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  /** Runs it until it has said so many lines, then kills it at once; gives what it said. */
  async function killed(args: readonly string[], count: number): Promise<string[]> {
    const child: ChildProcess = spawn(process.execPath, [join(home, 'program.js'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines: string[] = [];
    if (child.stdout === null) throw new Error('no output');
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (lines.length === count) child.kill('SIGKILL');
    }
    expect(await exit).toEqual([null, 'SIGKILL']);
    return lines;
  }

  it.each([
    ['between acceptance and delivery', 60_000, hanging],
    ['in the middle of deliveries', 0, hanging],
    ['while deliveries arrive', 0, answering(204)],
  ])('%s loses no webhook that it had accepted', { timeout: 60_000 }, async (_what, holdMs, first) => {
    const receiver = await hookReceiver(first);
    const folder = join(mkdtempSync(join(home, 'data-')), 'outbox');
    const lines = await killed([folder, receiver.url, SECRET, String(holdMs)], 60);
    const accepted = lines.map((line) => line.split(' ')[0]);
    expect(accepted.length).toBeGreaterThanOrEqual(60);
    expect(new Set(lines.map((line) => line.split(' ')[1]))).toEqual(new Set(['true']));
    receiver.answer(answering(204));

    // What is held is sent when the outbox is closed: nobody waits for its minute.
    const log = createLog('silent');
    const box = new Outbox({ clock: systemClock, folder, log, random: () => 0.5, secretFor: () => SECRET });
    await box.start();
    await box.close(20_000);
    const arrived = new Set(receiver.received.map((hook) => (verified(hook) as { id: string }).id));
    expect(accepted.filter((id) => !arrived.has(id ?? ''))).toEqual([]);
    const left = (await readdir(folder)).filter((name) => !name.endsWith('.writing'));
    expect(left).toEqual([]);
    for (const hook of receiver.received) {
      expect(hook.headers['webhook-id']).toBe((verified(hook) as { id: string }).id);
    }
  });
});
