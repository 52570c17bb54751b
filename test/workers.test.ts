import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { SimulatedCall } from '../src/sim/phone.ts';
import { STYLES, type Style } from './support/carrier-styles.ts';
import {
  AGENTS,
  LAST_RESORT,
  makeHome,
  type WorkersOptions,
  WorkersService,
} from './support/workers-service.ts';

/** `serve --workers`, with processes of its own: every one of them is really killed. */

const SLOW = { timeout: 60_000 } as const;
const PATIENT = { timeout: 20_000 } as const;
let home = '';

beforeAll(() => {
  home = makeHome();
}, 60_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

async function start(options: Partial<WorkersOptions> = {}): Promise<WorkersService> {
  const service = await WorkersService.start({ home, agents: AGENTS, ...options });
  onTestFinished(() => service[Symbol.asyncDispose]());
  return service;
}

function styleNamed(name: string): Style {
  const style = STYLES.find((one) => one.name === name);
  if (style === undefined) throw new Error(`there is no ${name}`);
  return style;
}

const TWILIO = styleNamed('Twilio');
const CONTROL = styleNamed('Telnyx Call Control');
const PLIVO = styleNamed('Plivo');
const SPEECH = new Int16Array(8 * 300).map((_, i) =>
  Math.round(9000 * Math.sin(i * 0.35) * Math.sin(i / 300)),
);

async function calls(on: WorkersService, ...styles: readonly Style[]): Promise<SimulatedCall[]> {
  return await Promise.all(styles.map((style) => on.heard(style)));
}

describe('a service with two workers', () => {
  it('spreads calls evenly, and shows them as one service does', SLOW, async () => {
    const on = await start();
    const six = await calls(on, TWILIO, CONTROL, PLIVO, TWILIO, CONTROL, PLIVO);
    const workers = await Promise.all(six.map((call) => on.workerOf(call)));
    expect([...workers].sort()).toEqual([1, 1, 1, 2, 2, 2]);
    expect((await on.api('GET', '/readyz')).body).toMatchObject({
      status: 'ready',
      calls: 6,
      maxCalls: 200,
      workers: { wanted: 2, up: 2, restarts: 0 },
    });
    expect(await on.figure('patchcord_calls_active')).toBe(6);
    expect(await on.figure('patchcord_worker_calls{worker="1"}')).toBe(3);

    const { calls: listed } = (await on.api('GET', '/calls')).body as {
      calls: { id: string; carrierCallId: string }[];
    };
    expect(listed.map(({ carrierCallId }) => carrierCallId).sort()).toEqual(
      six.map(({ callId }) => callId).sort(),
    );
    for (const { id } of listed) expect((await on.api('GET', `/calls/${id}`)).body['id']).toBe(id);
    // What callers say gets through, too: it is transcribed.
    for (const call of six) await call.speak(SPEECH);
    const [first] = listed;
    const events = await fetch(`${on.url}/calls/${first?.id}/events`, {
      headers: { authorization: 'Bearer operator' },
    });
    for (const { id } of listed) expect((await on.api('POST', `/calls/${id}/hang-up`)).status).toBe(202);
    expect(await events.text()).toMatch(/event: bargeIn[\s\S]*event: end\n/);
    for (const call of six) expect((await call.ended).outcome).toBe('completed');
    await expect.poll(() => on.figure('patchcord_calls_active'), PATIENT).toBe(0);
  });

  it(
    'loses only the calls of a worker that is killed, and these go on with their last resort',
    SLOW,
    async () => {
      const on = await start();
      const all = await calls(on, TWILIO, TWILIO, CONTROL, CONTROL, PLIVO, PLIVO);
      const workers = await Promise.all(all.map((call) => on.workerOf(call)));
      const lost = all.filter((_, index) => workers[index] === 1);
      const kept = all.filter((_, index) => workers[index] === 2);
      expect([lost.length, kept.length]).toEqual([3, 3]);
      await on.kill(1);
      for (const call of lost) {
        await call.ended;
        expect(call.eventsOf('say').map(({ text }) => text)).toEqual([LAST_RESORT]);
      }
      for (const call of kept) expect(call.eventsOf('stream-ended')).toEqual([]);
      for (const call of kept) await call.speak(SPEECH);
      expect(await on.figure('patchcord_worker_restarts_total')).toBe(1);
      expect((await on.api('GET', '/readyz')).body['workers']).toEqual({ wanted: 2, up: 2, restarts: 1 });
      // The new one has room, and takes them.
      const more = await calls(on, TWILIO, PLIVO);
      expect(await Promise.all(more.map((call) => on.workerOf(call)))).toEqual([1, 1]);
      for (const call of [...kept, ...more]) expect((await call.hangUp()).endedBy).toBe('caller');
      // What the dead one has counted is not forgotten, and it did not count the ends of its calls.
      await expect.poll(() => on.figure('patchcord_calls_active'), PATIENT).toBe(0);
    },
  );

  it(
    'keeps to the limits of the whole service, and takes leave of nobody when it is told to stop',
    SLOW,
    async () => {
      const on = await start({ env: { MAX_CALLS: '2' } });
      const [first, second] = await calls(on, TWILIO, PLIVO);
      expect(
        new Set([await on.workerOf(first as SimulatedCall), await on.workerOf(second as SimulatedCall)]).size,
      ).toBe(2);
      expect((await on.api('GET', '/readyz')).body).toMatchObject({ status: 'full', calls: 2, maxCalls: 2 });
      const third = on.dial(TWILIO);
      expect((await third.ended).outcome).toBe('busy');
      await first?.hangUp();
      await expect.poll(() => on.figure('patchcord_calls_active'), PATIENT).toBe(1);
      const fourth = await on.heard(CONTROL);

      on.child.kill('SIGTERM');
      await on.logged('draining');
      const ready = await on.api('GET', '/readyz');
      expect([ready.status, ready.body['status']]).toEqual([503, 'draining']);
      expect((await on.dial(PLIVO).ended).outcome).toBe('busy');
      for (const call of [second, fourth]) expect(call?.eventsOf('stream-ended')).toEqual([]);
      await second?.hangUp();
      await fourth.hangUp();
      expect(await on.exit()).toEqual([0, null]);
    },
  );

  it('adds up what is spent, wherever that is', SLOW, async () => {
    const on = await start({ agents: `${AGENTS}${BUDGET}` });
    const first = await on.heard(TWILIO);
    const second = await on.heard(TWILIO);
    expect([await on.workerOf(first), await on.workerOf(second)].sort()).toEqual([1, 2]);
    // Each of them alone has cost less than that.
    for (const call of [first, second]) expect((await call.ended).endedBy).toBe('rest');
    expect(await on.figure('patchcord_budget_ends_total{budget="day"}')).toBe(2);
    expect((await on.dial(TWILIO).ended).outcome).toBe('busy');
  });

  it('places calls once by their key, and leads them to whoever has placed them', SLOW, async () => {
    const on = await start();
    const order = { carrier: 'twilio', to: '+14155550123', from: '+15550100200' };
    const key = { 'idempotency-key': 'once' };
    const [one, other] = await Promise.all([
      on.api('POST', '/calls', order, key),
      on.api('POST', '/calls', order, key),
    ]);
    expect([one.status, other.status]).toEqual([201, 201]);
    expect(other.body['id']).toBe(one.body['id']);
    expect([one, other].filter(({ headers }) => headers.has('idempotent-replayed')).length).toBe(1);
    const path = `/calls/${one.body['id']}`;
    await expect.poll(async () => (await on.api('GET', path)).body['status'], PATIENT).toBe('in-progress');
    expect((await on.api('POST', `${path}/hang-up`)).status).toBe(202);
    await expect.poll(async () => (await on.api('GET', path)).body['status'], PATIENT).toBe('ended');
    expect((await on.api('GET', '/calls/call_000000000000000000000000')).status).toBe(404);
    const list = await fetch(`${on.url}/calls`);
    expect([list.status, (await fetch(`${on.url}/metrics`)).status]).toEqual([401, 401]);

    // The second signal ends what is up.
    const call = await on.heard(PLIVO);
    on.child.kill('SIGTERM');
    await on.logged('draining');
    on.child.kill('SIGTERM');
    expect((await call.ended).endedBy).toBe('rest');
    expect(await on.exit()).toEqual([0, null]);
    expect([1, 2].filter((worker) => isThere(on.pidOf(worker)))).toEqual([]);
  });

  it('loses no byte of streams whose first messages come with the requests for them', SLOW, async () => {
    const on = await start({ args: ['--insecure'] });
    const begun = Array.from({ length: CALLS_AT_ONCE }, (_, index) => `CA${String(index).padStart(32, '0')}`);
    const paths = await Promise.all(begun.map((callSid) => answered(on, callSid)));
    const media = Array.from({ length: 200 }, (_, index) => framed(mediaMessage(index)));
    // No client should, before it has an answer; and none may be the worse for it. All at once, so that sockets wait for each other.
    const sockets = begun.map((callSid, index) => {
      const socket = connect({ port: Number(new URL(on.url).port), host: '127.0.0.1' });
      onTestFinished(() => void socket.destroy());
      socket.write(
        Buffer.concat([Buffer.from(upgradeRequest(paths[index] ?? '')), framed(startMessage(callSid))]),
      );
      return socket;
    });
    const open = Promise.all(sockets.map((socket) => once(socket, 'data')));
    for (const frame of media) {
      for (const socket of sockets) socket.write(frame);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await open;
    // In order behind everything else: a mark of the caller's side, so to speak.
    for (const socket of sockets) socket.write(framed({ event: 'stop', streamSid: 'MZ1', stop: {} }));
    const ended = (): Promise<number> => on.figure('patchcord_calls_ended_total');
    await expect.poll(ended, PATIENT).toBe(CALLS_AT_ONCE);
    expect(await on.figure('patchcord_media_frames_in_total')).toBe(CALLS_AT_ONCE * media.length);

    // Nobody could reach the workers of a process that is gone.
    on.child.kill('SIGKILL');
    await expect.poll(() => [1, 2].filter((worker) => isThere(on.pidOf(worker))), PATIENT).toEqual([]);
  });
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const CALLS_AT_ONCE = 12;

/** A call comes in; gives the path of its media stream. */
async function answered(on: WorkersService, callSid: string): Promise<string> {
  const form = { CallSid: callSid, From: '+15550100123', To: '+15550100200', Direction: 'inbound' };
  const answer = await fetch(`${on.url}/voice/twilio`, { method: 'POST', body: new URLSearchParams(form) });
  const [, path = ''] = /ws:\/\/[^/]+(\/media\/twilio\/[\w-]+)/.exec(await answer.text()) ?? [];
  return path;
}

const BUDGET = `
prices:
  currency: EUR
  carriers:
    twilio: { inboundPerMinute: 1, outboundPerMinute: 1, streamPerMinute: 0, roundUpSeconds: 60 }
budget: { perDay: 1.5 }
`;

function upgradeRequest(path: string): string {
  const key = Buffer.alloc(16, 7).toString('base64');
  return `GET ${path} HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;
}

function startMessage(callSid: string): unknown {
  const mediaFormat = { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 };
  const start = {
    accountSid: 'AC1',
    callSid,
    streamSid: 'MZ1',
    tracks: ['inbound'],
    mediaFormat,
    customParameters: {},
  };
  return { event: 'start', sequenceNumber: '1', streamSid: 'MZ1', start };
}

function mediaMessage(index: number): unknown {
  const payload = Buffer.alloc(160, index % 256).toString('base64');
  const media = { track: 'inbound', chunk: String(index + 1), timestamp: String(index * 20), payload };
  return { event: 'media', sequenceNumber: String(index + 2), streamSid: 'MZ1', media };
}

/** A text message of a client; a mask of zeros leaves it as it is. */
function framed(message: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 0xff, 0, 0, 0, 0]), text]);
}
