import { type ChildProcess, spawn } from 'node:child_process';
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
import { emitModules } from './support/emit-modules.ts';
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

/** A process that delivers what lies in the folder, with others. */
const HELPER = `
import { systemClock } from './dist/src/clock.js';
import { Outbox } from './dist/src/hooks/outbox.js';
import { createLog } from './dist/src/log.js';
const [folder, secret] = process.argv.slice(2);
const log = createLog('silent');
const box = new Outbox({ clock: systemClock, folder, log, random: Math.random, secretFor: () => secret });
await box.start();
console.log(box.pending);
process.once('SIGTERM', () => void box.close(10000));
`;

describe('processes of their own', () => {
  let home = '';

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'outbox-crash-'));
    emitModules(join(home, 'dist'), ['src/clock.ts', 'src/hooks/outbox.ts', 'src/log.ts']);
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'));
    writeFileSync(join(home, 'package.json'), '{"type":"module"}');
    writeFileSync(join(home, 'program.js'), PROGRAM);
    writeFileSync(join(home, 'helper.js'), HELPER);
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
  ])(
    'that are killed %s lose no webhook that they had accepted',
    { timeout: 60_000 },
    async (_what, holdMs, first) => {
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
    },
  );

  it('share a folder: each webhook is delivered once, by one of them', { timeout: 60_000 }, async () => {
    const open = new Set<unknown>();
    const twice: unknown[] = [];
    const receiver = await hookReceiver(({ headers, response }) => {
      const id = headers['webhook-id'];
      if (open.has(id)) twice.push(id);
      open.add(id);
      setTimeout(() => {
        open.delete(id);
        response.writeHead(204).end();
      }, 5);
    });
    const folder = join(mkdtempSync(join(home, 'data-')), 'outbox');
    const log = createLog('silent');
    const writer = new Outbox({
      clock: systemClock,
      folder,
      log,
      random: () => 0.5,
      secretFor: () => undefined,
    });
    // Due at one moment, when all of them know of all.
    const due = Date.now() + 2500;
    for (let n = 0; n < 100; n += 1) {
      const holdMs = due - Date.now();
      await writer.add({ id: `call_${n}`, url: receiver.url, body: '{}', holdMs });
    }
    // It has no secret, so that it cannot deliver anything when it stops: it is one to put things back.
    const closing = writer.close(0);
    const helpers = Array.from({ length: 3 }, () =>
      spawn(process.execPath, [join(home, 'helper.js'), folder, SECRET], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    const exits = helpers.map((child) => once(child, 'exit'));
    onTestFinished(() => {
      for (const child of helpers) child.kill('SIGKILL');
    });
    await Promise.all(helpers.map((child) => once(child.stdout, 'data')));
    await closing;
    await receiver.nth(100);
    await expect.poll(() => open.size).toBe(0);
    for (const child of helpers) child.kill('SIGTERM');
    expect(await Promise.all(exits)).toEqual([
      [0, null],
      [0, null],
      [0, null],
    ]);
    expect(twice).toEqual([]);
    expect(receiver.received).toHaveLength(100);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(100);
    expect(await readdir(folder)).toEqual([]);
  });
});
