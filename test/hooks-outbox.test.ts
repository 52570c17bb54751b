import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BACK_OFF_MS, type DeliveryOutcome, GIVE_UP_MS, Outbox } from '../src/hooks/outbox.ts';
import { CLAIM_MS } from '../src/hooks/outbox-files.ts';
import { createLog } from '../src/log.ts';
import {
  answering,
  breaking,
  HookClock,
  hanging,
  hookReceiver,
  type ReceivedHook,
  SECRET,
  verified,
} from './support/hook-receiver.ts';

const BODY = JSON.stringify({ type: 'call.ended', data: { from: '+15550123' } });
const HOUR_MS = 3_600_000;

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'outbox-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return join(made, 'data', 'outbox');
}

interface Settings {
  readonly folder?: string;
  readonly clock?: HookClock;
  readonly secret?: () => string | undefined;
  readonly random?: () => number;
  readonly maxBytes?: number;
  readonly adopts?: boolean;
}

/** An outbox with what it has said; must be called within a test, which closes it. */
async function outbox(settings: Settings = {}) {
  const clock = settings.clock ?? new HookClock();
  const path = settings.folder ?? (await folder());
  const outcomes: DeliveryOutcome[] = [];
  const lines: string[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const box = new Outbox({
    clock,
    folder: path,
    secretFor: settings.secret ?? (() => SECRET),
    random: settings.random ?? (() => 0.5),
    maxBytes: settings.maxBytes,
    adopts: settings.adopts,
    log: createLog('trace', { write: (line: string) => void lines.push(line) }),
    count(outcome) {
      outcomes.push(outcome);
      for (const one of waiting) if (one.count === outcomes.length) one.resolve();
    },
  });
  onTestFinished(async () => {
    const closing = box.close(0);
    clock.advance(0);
    await closing;
    // Of a clock that is shared the others still have timers.
    if (settings.clock === undefined) expect(clock.pending).toBe(0);
  });
  return {
    box,
    clock,
    folder: path,
    outcomes,
    /** Everything that was logged. */
    log: () => lines.join(''),
    /** Resolves once so many attempts have come to an end. */
    attempts(count: number): Promise<void> {
      if (outcomes.length >= count) return Promise.resolve();
      return new Promise((resolve) => waiting.push({ count, resolve }));
    },
  };
}

function ids(received: readonly ReceivedHook[]): (string | string[] | undefined)[] {
  return received.map(({ headers }) => headers['webhook-id']);
}

describe('an outbox', () => {
  it('delivers what it is given, signed, and keeps nothing of it', async () => {
    const receiver = await hookReceiver(answering(200, 'thanks'));
    const { box, outcomes, attempts, folder } = await outbox();
    await box.start();
    expect(await box.add({ id: 'call_1', url: receiver.url, body: BODY })).toBe(true);
    await attempts(1);
    expect(outcomes).toEqual(['delivered']);
    expect(verified(await receiver.nth(1))).toEqual(JSON.parse(BODY));
    expect(ids(receiver.received)).toEqual(['call_1']);
    expect(await readdir(folder)).toEqual([]);
    expect(box.pending).toBe(0);
  });

  it('has it on the disk, for nobody else to read and without the secret, before it is accepted', async () => {
    const receiver = await hookReceiver(hanging);
    const { box, folder } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 1000 });
    expect(await readdir(folder)).toEqual(['call_1.delivery.json']);
    const path = join(folder, 'call_1.delivery.json');
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ id: 'call_1', body: BODY, attempts: 0 });
    expect(await readFile(path, 'utf8')).not.toContain('whsec_');
    expect([(await stat(folder)).mode & 0o777, (await stat(path)).mode & 0o777]).toEqual([0o700, 0o600]);
  });

  it('tries again after the waits of the table, with the same id and a fresh time and signature', async () => {
    const receiver = await hookReceiver(answering(500));
    const { box, clock, attempts, log } = await outbox();
    await box.add({ id: 'call_1', url: `${receiver.url}?key=s3cret`, body: BODY });
    const waits = [...BACK_OFF_MS, 2 * HOUR_MS, 2 * HOUR_MS];
    for (const [index, ms] of waits.entries()) {
      await attempts(index + 1);
      clock.advance(ms - 1);
      expect(receiver.received).toHaveLength(index + 1);
      clock.advance(1);
    }
    await attempts(waits.length + 1);
    const headers = receiver.received.map((hook) => hook.headers);
    expect(new Set(headers.map((one) => one['webhook-id']))).toEqual(new Set(['call_1']));
    expect(new Set(headers.map((one) => one['webhook-timestamp'])).size).toBe(waits.length + 1);
    expect(new Set(headers.map((one) => one['webhook-signature'])).size).toBe(waits.length + 1);
    expect(log()).toContain('answered 500');
    expect(log()).not.toMatch(/5550123|whsec_|s3cret/);
  });

  it('spreads its waits by a tenth to either side', async () => {
    for (const [random, ms] of [
      [0, 4500],
      [1, 5500],
    ] as const) {
      const receiver = await hookReceiver(answering(500), answering(200));
      const { box, clock, attempts } = await outbox({ random: () => random });
      await box.add({ id: 'call_1', url: receiver.url, body: BODY });
      await attempts(1);
      clock.advance(ms - 1);
      expect(receiver.received).toHaveLength(1);
      clock.advance(1);
      await attempts(2);
    }
  });

  it.each([
    ['a redirect', answering(302, '', { location: 'https://example.com/' })],
    ['a refusal', answering(401)],
    ['a missing page', answering(404)],
    ['a broken connection', breaking],
  ])('tries again after %s', async (_what, trouble) => {
    const receiver = await hookReceiver(trouble, answering(204));
    const { box, clock, attempts, outcomes } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    clock.advance(5000);
    await attempts(2);
    expect(outcomes).toEqual(['retried', 'delivered']);
  });

  it('takes a receiver that says nothing for 15 s for gone', async () => {
    const receiver = await hookReceiver(hanging, answering(204));
    const { box, clock, attempts, log } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await receiver.nth(1);
    clock.advance(15_000);
    await attempts(1);
    expect(log()).toContain('took longer than 15000 ms');
    clock.advance(5000);
    await attempts(2);
    expect(ids(receiver.received)).toEqual(['call_1', 'call_1']);
  });

  it('counts an answer as soon as its status is known', async () => {
    const receiver = await hookReceiver(({ response }) => {
      response.writeHead(200);
      response.write('and so on');
    });
    const { box, attempts, outcomes } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    expect(outcomes).toEqual(['delivered']);
  });

  it.each([
    ['seconds', () => '600', 600_000],
    ['a date', (clock: HookClock) => new Date(clock.epoch() + 900_000).toUTCString(), 900_000],
    ['less than its own wait', () => '1', 5000],
    ['more than two hours', () => '86400', 2 * HOUR_MS],
    ['nonsense', () => 'soon', 5000],
  ])('waits as it is asked: %s', async (_what, header, ms) => {
    const clock = new HookClock();
    const receiver = await hookReceiver(answering(503, '', { 'retry-after': header(clock) }), answering(204));
    const { box, attempts } = await outbox({ clock });
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    // A date has no fraction of a second.
    clock.advance(ms - 1000);
    expect(receiver.received).toHaveLength(1);
    clock.advance(1000);
    await attempts(2);
  });

  it('gives up at once what nobody wants any more', async () => {
    const receiver = await hookReceiver(answering(410));
    const { box, attempts, outcomes, folder, log } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    expect(outcomes).toEqual(['failed']);
    expect(await readdir(folder)).toEqual(['failed']);
    const kept = await readFile(join(folder, 'failed', 'call_1.delivery.json'), 'utf8');
    expect(JSON.parse(kept)).toMatchObject({
      body: BODY,
      attempts: 1,
      lastFailure: expect.stringMatching(/410/),
    });
    expect(log()).toContain('a webhook was given up');
    expect((await stat(join(folder, 'failed'))).mode & 0o777).toBe(0o700);
  });

  it('gives up after three days, with a last attempt at their end', async () => {
    const receiver = await hookReceiver(answering(500));
    const { box, clock, attempts, outcomes, folder } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    let count = 1;
    for (let left = GIVE_UP_MS; left > 0; count += 1) {
      await attempts(count);
      const ms = Math.min(left, BACK_OFF_MS[count - 1] ?? 2 * HOUR_MS);
      left -= ms;
      clock.advance(ms);
    }
    await attempts(count);
    expect(outcomes.at(-1)).toBe('failed');
    expect(outcomes.filter((one) => one === 'retried')).toHaveLength(count - 1);
    expect(count).toBe(43);
    expect(await readdir(join(folder, 'failed'))).toEqual(['call_1.delivery.json']);
  });

  it('takes an id once, however often it is given', async () => {
    const receiver = await hookReceiver(answering(204));
    const { box, attempts } = await outbox();
    const delivery = { id: 'call_1', url: receiver.url, body: BODY };
    expect(await Promise.all([box.add(delivery), box.add(delivery)])).toEqual([true, true]);
    await attempts(1);
    expect(receiver.received).toHaveLength(1);
  });

  it('refuses an id that cannot be the name of a file', async () => {
    const { box } = await outbox();
    await expect(box.add({ id: '../x', url: 'https://example.com/', body: BODY })).rejects.toThrow(
      /BAD_INPUT: the id of a delivery/,
    );
  });

  it('sends nothing unsigned, and goes on once there is a secret', async () => {
    const receiver = await hookReceiver(answering(204));
    let secret: string | undefined;
    const { box, clock, attempts, log } = await outbox({ secret: () => secret });
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    expect(receiver.received).toEqual([]);
    expect(log()).toMatch(/no secret for the end webhook to 127\.0\.0\.1/);
    secret = SECRET;
    clock.advance(5000);
    await attempts(2);
    verified(await receiver.nth(1));
  });

  it('signs with the secret of the moment', async () => {
    const fresh = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    let secret = SECRET;
    const receiver = await hookReceiver(answering(500), answering(204));
    const { box, clock, attempts } = await outbox({ secret: () => secret });
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    secret = fresh;
    clock.advance(5000);
    await attempts(2);
    verified(await receiver.nth(1));
    verified(await receiver.nth(2), fresh);
  });
});

describe('a delivery that is held', () => {
  it('goes out when its time is over', async () => {
    const receiver = await hookReceiver(answering(204));
    const { box, clock, attempts } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 60_000 });
    clock.advance(59_999);
    expect(receiver.received).toEqual([]);
    clock.advance(1);
    await attempts(1);
  });

  it('goes out with what was added, at once and only then', async () => {
    const receiver = await hookReceiver(answering(204));
    const { box, clock, attempts } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 60_000 });
    expect(await box.amend('call_1', '{"more":true}')).toBe(true);
    await attempts(1);
    expect(verified(await receiver.nth(1))).toEqual({ more: true });
    expect(await box.amend('call_1', '{}')).toBe(false);
    clock.advance(60_000);
    expect(receiver.received).toHaveLength(1);
  });

  it('takes no more once it was sent', async () => {
    const receiver = await hookReceiver(answering(500));
    const { box, clock, attempts } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 60_000 });
    clock.advance(60_000);
    await attempts(1);
    expect(await box.amend('call_1', '{}')).toBe(false);
  });
});

describe('a wall clock that somebody sets', () => {
  const DAY_MS = 24 * HOUR_MS;

  it.each([
    ['back by a day', -DAY_MS],
    ['back by ninety days', -90 * DAY_MS],
    ['ahead by ninety days', 90 * DAY_MS],
  ])('%s neither delays an attempt nor ends them', async (_what, byMs) => {
    const receiver = await hookReceiver(answering(500));
    const { box, clock, attempts, outcomes } = await outbox();
    await box.start();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    clock.set(byMs);
    clock.advance(5000);
    await attempts(2);
    expect(outcomes).toEqual(['retried', 'retried']);
    clock.advance(30_000);
    await attempts(3);
    expect(receiver.received).toHaveLength(3);
  });

  it.each([
    ['a host that rests', breaking, 4000],
    ['what is held', answering(204), 0],
  ])('does not hold up %s', async (_what, first, ms) => {
    const receiver = await hookReceiver(first, answering(204));
    const { box, clock, attempts } = await outbox();
    if (ms > 0) {
      await box.add({ id: 'call_0', url: receiver.url, body: BODY });
      await attempts(1);
    }
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: ms > 0 ? 0 : 60_000 });
    clock.set(-DAY_MS);
    clock.advance(ms > 0 ? ms : 60_000);
    await attempts(ms > 0 ? 2 : 1);
    expect(ids(receiver.received).at(ms > 0 ? 1 : 0)).toBe('call_1');
  });
});

describe('deliveries to a host that is down', () => {
  it('wait behind one at a time, and all go once one goes well', async () => {
    const receiver = await hookReceiver(answering(503));
    const { box, clock, attempts, outcomes } = await outbox();
    await box.add({ id: 'first', url: receiver.url, body: BODY });
    await attempts(1);
    for (let n = 0; n < 30; n += 1) await box.add({ id: `more_${n}`, url: receiver.url, body: BODY });
    // The host has its rest, then one is tried, then it has a longer one.
    expect(receiver.received).toHaveLength(1);
    clock.advance(4000);
    await attempts(2);
    expect(ids(receiver.received)).toEqual(['first', 'more_0']);
    clock.advance(7999);
    expect(receiver.received).toHaveLength(2);
    receiver.answer(answering(204));
    clock.advance(1);
    await attempts(2 + 31);
    expect(outcomes.filter((one) => one === 'delivered')).toHaveLength(31);
    expect(new Set(ids(receiver.received)).size).toBe(31);
  });

  it('do not hold up those to others', async () => {
    const down = await hookReceiver(answering(503));
    const well = await hookReceiver(answering(204));
    const { box, attempts, outcomes } = await outbox();
    await box.add({ id: 'a', url: down.url, body: BODY });
    await attempts(1);
    await box.add({ id: 'b', url: down.url, body: BODY });
    await box.add({ id: 'c', url: well.url, body: BODY });
    await attempts(2);
    expect(outcomes).toEqual(['retried', 'delivered']);
  });

  it('are not tried more often because others arrive that it does not refuse', async () => {
    const receiver = await hookReceiver(({ response, headers }) => {
      response.writeHead(headers['webhook-id'] === 'poison' ? 500 : 204).end();
    });
    const { box, attempts } = await outbox();
    await box.add({ id: 'poison', url: receiver.url, body: BODY });
    await attempts(1);
    for (let n = 0; n < 5; n += 1) await box.add({ id: `more_${n}`, url: receiver.url, body: BODY });
    await attempts(6);
    expect(ids(receiver.received).filter((id) => id === 'poison')).toHaveLength(1);
  });

  it('are at most four at once where nothing is wrong', async () => {
    const receiver = await hookReceiver(hanging);
    const { box, attempts } = await outbox();
    for (let n = 0; n < 9; n += 1) await box.add({ id: `call_${n}`, url: receiver.url, body: BODY });
    await receiver.nth(4);
    receiver.answer(answering(204));
    expect(receiver.received).toHaveLength(4);
    receiver.received[2]?.response.writeHead(204).end();
    await attempts(6);
    expect(receiver.received).toHaveLength(9);
    for (const { response } of receiver.received) response.writableEnded || response.writeHead(204).end();
    await attempts(9);
  });
});

describe('what an earlier process left', () => {
  it('is delivered, at the time that it had set and not from the beginning', async () => {
    const receiver = await hookReceiver(answering(500));
    const first = await outbox();
    await first.box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await first.attempts(1);
    first.clock.advance(5000);
    await first.attempts(2);
    await first.box.close(0);
    const second = await outbox({ folder: first.folder, clock: first.clock });
    await second.box.start();
    expect(second.box.pending).toBe(1);
    first.clock.advance(29_999);
    expect(receiver.received).toHaveLength(2);
    receiver.answer(answering(204));
    first.clock.advance(1);
    await second.attempts(1);
    expect(second.outcomes).toEqual(['delivered']);
    expect(second.log()).toContain('"attempts":3');
  });

  it('is left to others by one that delivers only its own', async () => {
    const receiver = await hookReceiver(answering(500));
    const first = await outbox();
    await first.box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await first.attempts(1);
    await first.box.close(0);
    receiver.answer(answering(204));
    const worker = await outbox({ folder: first.folder, clock: first.clock, adopts: false });
    await worker.box.start();
    await worker.box.add({ id: 'call_2', url: receiver.url, body: BODY, holdMs: 70_000 });
    first.clock.advance(60_000);
    expect(worker.box.pending).toBe(1);
    const keeper = await outbox({ folder: first.folder, clock: first.clock });
    await keeper.box.start();
    // What is another's, and waits, is known to both, and delivered once.
    expect(keeper.box.pending).toBe(2);
    first.clock.advance(10_000);
    await keeper.attempts(1);
    await receiver.nth(3);
    expect(receiver.received).toHaveLength(3);
  });

  it('follows at once when it only waited for a host that is there again', async () => {
    const receiver = await hookReceiver(breaking);
    const first = await outbox();
    await first.box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await first.attempts(1);
    await first.box.close(0);
    receiver.answer(answering(204));
    const second = await outbox({ folder: first.folder, clock: first.clock });
    await second.box.start();
    await second.box.add({ id: 'call_2', url: receiver.url, body: BODY });
    await second.attempts(2);
    expect(ids(receiver.received)).toEqual(['call_1', 'call_2', 'call_1']);
  });

  it('is not waited for longer than two hours, whatever became of the clock', async () => {
    const receiver = await hookReceiver(answering(500), answering(204));
    const first = await outbox();
    first.clock.advance(1000 * HOUR_MS);
    await first.box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await first.attempts(1);
    await first.box.close(0);
    const second = await outbox({ folder: first.folder });
    await second.box.start();
    second.clock.advance(2.2 * HOUR_MS);
    await second.attempts(1);
    expect(second.outcomes).toEqual(['delivered']);
  });

  it('is put aside when it cannot be read, and foreign files stay where they are', async () => {
    const { box, folder: path, log } = await outbox();
    await mkdir(path, { recursive: true });
    const stored = { format: 1, id: 'other', url: 'https://example.com/', body: BODY };
    const broken = {
      'cut.delivery.json': '{"format":1,"id":"cu',
      'wrong.delivery.json': JSON.stringify(stored),
    };
    const foreign = { 'notes.json': '{', 'x.delivery.json.bak': '{', '.hidden': '' };
    for (const [name, text] of Object.entries({ ...broken, ...foreign }))
      await writeFile(join(path, name), text);
    await box.start();
    expect((await readdir(path)).sort()).toEqual(['.hidden', 'failed', 'notes.json', 'x.delivery.json.bak']);
    expect((await readdir(join(path, 'failed'))).sort()).toEqual(['cut.corrupt.json', 'wrong.corrupt.json']);
    expect(log().match(/cannot be read and was put into failed/g)).toHaveLength(2);
    expect(box.pending).toBe(0);
  });

  it('is taken up at once when the process that was sending it is gone, and after a while otherwise', async () => {
    const receiver = await hookReceiver(hanging);
    const first = await outbox();
    await first.box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await receiver.nth(1);
    const [claim = ''] = await readdir(first.folder);
    expect(claim).toMatch(/^call_1\.\d+\.[0-9a-f]{8}\.\d+\.[0-9a-f]{16}\.sending$/);
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    const copy = async (name: string, to: string): Promise<void> => {
      await mkdir(to, { recursive: true });
      await writeFile(join(to, name), await readFile(join(first.folder, claim)));
    };
    // A claim of a process of this machine that is gone.
    const mine = await outbox({ clock: first.clock });
    await copy(claim.replace(`.${process.pid}.`, `.${gone}.`), mine.folder);
    await mine.box.start();
    await receiver.nth(2);
    // One of another machine, where that says nothing.
    const [id, since, , , instance] = claim.split('.');
    const other = await outbox({ clock: first.clock });
    await copy(`${id}.${since}.00000000.${gone}.${instance}.sending`, other.folder);
    await other.box.start();
    expect(other.box.pending).toBe(0);
    first.clock.advance(CLAIM_MS);
    await receiver.nth(3);
    expect(ids(receiver.received)).toEqual(['call_1', 'call_1', 'call_1']);
  });

  it('is not kept twice when it was stopped between two steps', async () => {
    const receiver = await hookReceiver(answering(204));
    const held = await outbox();
    await held.box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 60_000 });
    await rm(join(held.folder, 'nothing'), { force: true });
    const text = await readFile(join(held.folder, 'call_1.delivery.json'));
    await writeFile(join(held.folder, 'call_1.1.00000000.1.0000000000000000.sending'), text);
    await writeFile(join(held.folder, 'call_1.1.0000000000000000.writing'), '{"form');
    const fresh = `call_2.${Math.floor(held.clock.epoch())}.0000000000000000.writing`;
    await writeFile(join(held.folder, fresh), '{"form');
    const second = await outbox({ folder: held.folder, clock: held.clock });
    await second.box.start();
    expect((await readdir(held.folder)).sort()).toEqual(['call_1.delivery.json', fresh]);
  });
});

describe('two processes with one folder', () => {
  it('never deliver the same thing at the same time', async () => {
    const open = new Set<unknown>();
    const twice: unknown[] = [];
    const receiver = await hookReceiver(({ headers, response }) => {
      const id = headers['webhook-id'];
      if (open.has(id)) twice.push(id);
      open.add(id);
      setImmediate(() => {
        open.delete(id);
        response.writeHead(204).end();
      });
    });
    const clock = new HookClock();
    const path = await folder();
    const writer = await outbox({ folder: path, clock });
    for (let n = 0; n < 40; n += 1) {
      await writer.box.add({ id: `call_${n}`, url: receiver.url, body: BODY, holdMs: 1000 });
    }
    const others = [await outbox({ folder: path, clock }), await outbox({ folder: path, clock })];
    await Promise.all(others.map(({ box }) => box.start()));
    expect(others.map(({ box }) => box.pending)).toEqual([40, 40]);
    const all = [writer, ...others];
    clock.advance(1000);
    await expect.poll(() => all.reduce((sum, { outcomes }) => sum + outcomes.length, 0)).toBe(40);
    await expect.poll(() => all.map(({ box }) => box.pending)).toEqual([0, 0, 0]);
    expect(twice).toEqual([]);
    expect(receiver.received).toHaveLength(40);
  });

  it('share one wait: what one has tried in vain is not tried at once by the other', async () => {
    const receiver = await hookReceiver(answering(500));
    const clock = new HookClock();
    const first = await outbox({ clock });
    await first.box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 1000 });
    const second = await outbox({ folder: first.folder, clock });
    await second.box.start();
    clock.advance(1000);
    await expect.poll(() => first.outcomes.length + second.outcomes.length).toBe(1);
    // The one that found nothing to take finds it again later, and its time with it.
    clock.advance(4999);
    expect(receiver.received).toHaveLength(1);
  });
});

describe('a disk that takes nothing', () => {
  it('does not keep anybody from delivering', async () => {
    const receiver = await hookReceiver(answering(500), answering(204));
    const path = await folder();
    // A file where the folder should be fails for every user, root among them.
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, '');
    const { box, clock, attempts, outcomes, log } = await outbox({ folder: path });
    await box.start();
    expect(await box.add({ id: 'call_1', url: receiver.url, body: BODY })).toBe(false);
    expect(log()).toContain('a webhook could not be stored and is tried from memory');
    await attempts(1);
    clock.advance(5000);
    await attempts(2);
    expect(outcomes).toEqual(['retried', 'delivered']);
    expect(JSON.parse((await receiver.nth(2)).body)).toEqual(JSON.parse(BODY));
  });

  it('is tried again, and takes what waits in memory', async () => {
    const receiver = await hookReceiver(answering(503));
    const path = await folder();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, '');
    const { box, clock, attempts } = await outbox({ folder: path });
    await box.start();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: HOUR_MS });
    await rm(path);
    clock.advance(60_000);
    await expect.poll(() => existsSync(join(path, 'call_1.delivery.json'))).toBe(true);
    // To the very moment at which it is due: time that jumps on would make its own claim look left behind.
    clock.advance(HOUR_MS - 60_000);
    await attempts(1);
  });

  it('may fail between two attempts', async () => {
    const receiver = await hookReceiver(hanging);
    const { box, clock, attempts, outcomes, folder: path, log } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await receiver.nth(1);
    await rename(path, `${path}.gone`);
    await writeFile(path, '');
    receiver.received[0]?.response.writeHead(500).end();
    await attempts(1);
    expect(log()).toContain('the state of a webhook could not be stored');
    receiver.answer(answering(204));
    clock.advance(5000);
    await attempts(2);
    expect(outcomes).toEqual(['retried', 'delivered']);
    expect(JSON.parse((await receiver.nth(2)).body)).toEqual(JSON.parse(BODY));
    expect(log()).toContain('a webhook could not be claimed and is sent all the same');
  });

  it('gets no more memory than there is for it', async () => {
    const receiver = await hookReceiver(hanging);
    const path = await folder();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, '');
    const { box, outcomes, log } = await outbox({ folder: path });
    const body = 'x'.repeat(12 * 1024 * 1024);
    for (const id of ['a', 'b', 'c']) {
      expect(await box.add({ id, url: receiver.url, body, holdMs: HOUR_MS })).toBe(false);
    }
    expect([box.pending, outcomes]).toEqual([2, ['failed']]);
    expect(log()).toContain('neither disk nor memory has room for a webhook');
    expect(await box.amend('a', '{}')).toBe(true);
    expect(await box.add({ id: 'd', url: receiver.url, body, holdMs: HOUR_MS })).toBe(false);
    expect(outcomes.filter((one) => one === 'failed')).toHaveLength(1);
  });

  it('may have no place for what was given up: it is not tried again, and put there once it can', async () => {
    const receiver = await hookReceiver(answering(410));
    const { box, clock, attempts, folder: path, log } = await outbox();
    await box.start();
    await writeFile(join(path, 'failed'), '');
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    expect(log()).toContain('a webhook that was given up could not be put into failed/');
    clock.advance(60_000);
    await clock.timerOf(60_000);
    expect((await readdir(path)).sort()).toEqual(['call_1.delivery.json', 'failed']);
    await rm(join(path, 'failed'));
    await clock.timerOf(60_000);
    clock.advance(60_000);
    await expect.poll(() => existsSync(join(path, 'failed', 'call_1.given-up.json'))).toBe(true);
    expect(receiver.received).toHaveLength(1);
  });

  it('loses with the process what it did not take, and says so', async () => {
    const path = await folder();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, '');
    const { box, log } = await outbox({ folder: path, secret: () => undefined });
    await box.add({ id: 'call_1', url: 'https://example.invalid/', body: BODY });
    await box.close(1000);
    expect(log()).toContain('"deliveries":1,"msg":"webhooks are lost with the process"');
  });

  it('cannot make a delivery that has arrived go out again in the same process', async () => {
    const receiver = await hookReceiver(hanging);
    const { box, clock, attempts, folder: path, log } = await outbox();
    await box.start();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await receiver.nth(1);
    // Its claim turns into a folder with something in it, which cannot be removed like a file.
    const [claim = ''] = await readdir(path);
    await rename(join(path, claim), join(path, 'call_1.delivery.json'));
    await mkdir(join(path, claim, 'x'), { recursive: true });
    receiver.received[0]?.response.writeHead(204).end();
    await attempts(1);
    expect(log()).toContain('a delivered webhook cannot be removed');
    clock.advance(60_000);
    await expect.poll(() => existsSync(join(path, 'call_1.delivery.json'))).toBe(false);
    expect(receiver.received).toHaveLength(1);
  });
});

describe('an outbox that fills', () => {
  it('takes no more than there is room for, says what is lost, and goes on once there is room', async () => {
    const receiver = await hookReceiver(answering(500), answering(204));
    const path = await folder();
    const maxBytes = 3 * 20_000;
    const body = 'x'.repeat(15_000);
    const first = await outbox({ folder: path, maxBytes });
    for (const id of ['a', 'b']) {
      expect(await first.box.add({ id, url: receiver.url, body, holdMs: HOUR_MS })).toBe(true);
    }
    // What an earlier process has left counts.
    const { box, clock, attempts, outcomes, log } = await outbox({ folder: path, maxBytes });
    await box.start();
    expect(await box.add({ id: 'c', url: receiver.url, body, holdMs: 1000 })).toBe(true);
    expect(await box.add({ id: 'd', url: receiver.url, body })).toBe(false);
    expect([outcomes, box.pending]).toEqual([['failed'], 3]);
    expect(log()).toContain('the outbox is full: a webhook is lost');
    expect((await readdir(path)).sort()).toEqual(['a', 'b', 'c'].map((id) => `${id}.delivery.json`));
    clock.advance(1000);
    await attempts(2);
    clock.advance(5000);
    await attempts(3);
    expect(outcomes).toEqual(['failed', 'retried', 'delivered']);
    expect(await box.add({ id: 'e', url: receiver.url, body, holdMs: HOUR_MS })).toBe(true);
  });

  it('counts what a delivery that is amended has now', async () => {
    const { box } = await outbox({ maxBytes: 20_000, secret: () => undefined });
    const url = 'https://example.invalid/';
    expect(await box.add({ id: 'a', url, body: '{}', holdMs: HOUR_MS })).toBe(true);
    expect(await box.amend('a', 'x'.repeat(12_000))).toBe(true);
    expect(await box.add({ id: 'b', url, body: '{}', holdMs: HOUR_MS })).toBe(false);
  });
});

describe('what was given up', () => {
  const DAY_MS = 24 * HOUR_MS;

  /** Two files that were given up, one of them so long ago, and one of somebody else's. */
  async function withFailed(ageMs: number) {
    const made = await outbox();
    const failed = join(made.folder, 'failed');
    await mkdir(failed, { recursive: true });
    for (const name of ['new.delivery.json', 'old.delivery.json', 'old.corrupt.json', 'notes.txt']) {
      await writeFile(join(failed, name), '{}');
      const at = (made.clock.epoch() - (name.startsWith('new') ? 0 : ageMs)) / 1000;
      await utimes(join(failed, name), at, at);
    }
    await made.box.start();
    await made.clock.timerOf(60_000);
    return { ...made, names: async () => (await readdir(failed)).sort() };
  }

  /** One look at the folder after the other. */
  async function hours(clock: HookClock, count: number): Promise<void> {
    for (let minute = 0; minute < count * 60; minute += 1) {
      clock.advance(60_000);
      await clock.timerOf(60_000);
    }
  }

  it('is removed after thirty days, and nothing else is', async () => {
    const { clock, names } = await withFailed(30 * DAY_MS - HOUR_MS / 2);
    await hours(clock, 1);
    expect(await names()).toEqual(['new.delivery.json', 'notes.txt']);
  });

  it('stays for less', async () => {
    const { clock, names } = await withFailed(30 * DAY_MS - 2 * HOUR_MS);
    await hours(clock, 1);
    expect(await names()).toHaveLength(4);
  });

  it('stays when the clock is wrong for a while', async () => {
    const { clock, names } = await withFailed(DAY_MS);
    clock.set(90 * DAY_MS);
    await hours(clock, 1);
    expect(await names()).toHaveLength(4);
    clock.set(-90 * DAY_MS);
    await hours(clock, 2);
    expect(await names()).toHaveLength(4);
  });
});

describe('the end of an outbox', () => {
  it('tries what is held or fresh, and waits for it', async () => {
    const receiver = await hookReceiver(answering(204));
    const { box, outcomes, clock } = await outbox();
    await box.start();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY, holdMs: 60_000 });
    for (let n = 0; n < 9; n += 1) await box.add({ id: `more_${n}`, url: receiver.url, body: BODY });
    await box.close(5000);
    expect(outcomes).toHaveLength(10);
    expect([clock.pending, box.pending]).toEqual([0, 0]);
  });

  it('breaks off what takes longer, and leaves it on the disk as it was', async () => {
    const receiver = await hookReceiver(hanging);
    const { box, clock, folder: path } = await outbox();
    await box.start();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await receiver.nth(1);
    const closing = box.close(5000);
    await clock.timerOf(5000);
    clock.advance(5000);
    await closing;
    expect(await readdir(path)).toEqual(['call_1.delivery.json']);
    expect(JSON.parse(await readFile(join(path, 'call_1.delivery.json'), 'utf8'))).toMatchObject({
      attempts: 0,
    });
    expect(clock.pending).toBe(0);
  });

  it('does not try again what has failed', async () => {
    const receiver = await hookReceiver(answering(500));
    const { box, attempts, clock } = await outbox();
    await box.add({ id: 'call_1', url: receiver.url, body: BODY });
    await attempts(1);
    await box.close(5000);
    clock.advance(HOUR_MS);
    expect(receiver.received).toHaveLength(1);
  });

  it('still stores what comes after it', async () => {
    const { box, folder: path } = await outbox();
    await box.close(0);
    expect(await box.add({ id: 'call_1', url: 'https://example.invalid/', body: BODY })).toBe(true);
    expect(await readdir(path)).toEqual(['call_1.delivery.json']);
  });

  it('is the same for everybody who asks', async () => {
    const { box } = await outbox();
    await box.start();
    expect(box.close(0)).toBe(box.close(10));
    await box.close(0);
  });

  it('leaves a folder that cannot be read alone', async () => {
    const { box, folder: path, log } = await outbox();
    await mkdir(path, { recursive: true });
    await chmod(path, 0o700);
    await rm(path, { recursive: true });
    await writeFile(path, '');
    await box.start();
    expect(log()).toContain('the folder of the outbox cannot be read');
  });
});
