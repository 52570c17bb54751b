import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type CallRecord, CallRecords } from '../src/call-records.ts';
import { EventStream } from '../src/calls-api/event-stream.ts';
import { API_TOKEN, type OperatedService, operatedService } from './support/operator.ts';
import { VirtualClock } from './support/virtual-clock.ts';

interface Told {
  readonly id?: string;
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly comment?: string;
}

/** Server-sent events as they come; `ended` resolves with all of them, or with those before the connection broke. */
function listen(response: IncomingMessage) {
  const told: Told[] = [];
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    text += piece;
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    told.push(...parts.map(readPart));
  });
  const ended = new Promise<'whole' | 'broken'>((resolve) => {
    response.on('close', () => resolve(response.complete ? 'whole' : 'broken'));
    response.on('error', () => undefined);
  });
  return { told, ended, types: () => told.flatMap(({ event }) => (event === undefined ? [] : [event])) };
}

function readPart(part: string): Told {
  if (part.startsWith(':')) return { comment: part };
  const fields = Object.fromEntries(part.split('\n').map((line) => line.split(/: (.*)/s)));
  return { ...fields, data: JSON.parse(fields.data) };
}

async function get(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const request = httpRequest(url, {
    agent: false,
    headers: { authorization: `Bearer ${API_TOKEN}`, ...headers },
  });
  onTestFinished(() => {
    request.destroy();
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

async function follow(on: OperatedService, id: string, query = '', headers: Record<string, string> = {}) {
  const response = await get(`${on.url}/calls/${id}/events${query}`, headers);
  expect(response.statusCode).toBe(200);
  return { headers: response.headers, ...listen(response) };
}

describe('the events of a call', () => {
  it('are told from the first on, as they come, and end with the call', async () => {
    const on = await operatedService();
    const id = await on.place();
    const { headers, told, ended } = await follow(on, id);
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    await on.webhook('status', id, { CallStatus: 'ringing' });
    await expect.poll(() => told.length).toBe(1);
    expect(told[0]).toEqual({
      id: '1',
      event: 'progress',
      data: { number: 1, type: 'progress', at: expect.stringMatching(/Z$/), data: { status: 'ringing' } },
    });
    await on.answer(id);
    await on.ask('POST', `/calls/${id}/hang-up`);
    expect(await ended).toBe('whole');
    expect(told.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['progress', 'answered', 'started', 'ended', 'over']),
    );
    expect(told.map((one) => one.id).slice(0, -1)).toEqual(
      told.slice(1).map((_, index) => String(index + 1)),
    );
    expect(told.at(-1)).toEqual({
      event: 'end',
      data: expect.objectContaining({
        id,
        status: 'ended',
        outcome: 'completed',
        endReason: 'operator-hung-up',
      }),
    });
  });

  it('are told again after the end, all or from a number on', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.webhook('status', id, { CallStatus: 'ringing' });
    await on.webhook('status', id, { CallStatus: 'busy' });
    const types = async (query = '', headers: Record<string, string> = {}) => {
      const stream = await follow(on, id, query, headers);
      await stream.ended;
      return stream.types();
    };
    expect(await types()).toEqual(['progress', 'over', 'end']);
    expect(await types('?after=1')).toEqual(['over', 'end']);
    expect(await types('?after=0', { 'last-event-id': '2' })).toEqual(['end']);
    expect(await types('?after=99')).toEqual(['end']);
  });

  it.each([
    ['?after=last', {}, /^after: found text of 4 characters, wanted a whole number from 0/],
    ['?after=-1', {}, /^after: found/],
    ['', { 'last-event-id': 'x1' }, /^Last-Event-ID: found text of 2 characters/],
  ])('are not told from %j %j on', async (query, headers, message) => {
    const on = await operatedService();
    const id = await on.place();
    const { status, body } = await on.ask('GET', `/calls/${id}/events${query}`, { headers });
    expect(status).toBe(400);
    expect(body['error']).toMatchObject({ message: expect.stringMatching(message) });
  });

  it('are the same to everybody who asks, and one who goes away is missed by nobody', async () => {
    const on = await operatedService();
    const id = await on.place();
    const first = await follow(on, id);
    const gone = await get(`${on.url}/calls/${id}/events`);
    gone.destroy();
    await once(gone, 'close');
    await on.webhook('status', id, { CallStatus: 'ringing' });
    await on.webhook('status', id, { CallStatus: 'busy' });
    expect(await first.ended).toBe('whole');
    expect(first.types()).toEqual(['progress', 'over', 'end']);
  });

  it('keep the connection alive when nothing happens', async () => {
    const clock = new VirtualClock();
    const on = await operatedService({}, { clock });
    const id = await on.place();
    const { told } = await follow(on, id);
    clock.advance(14_999);
    clock.advance(1);
    await expect.poll(() => told).toEqual([{ comment: ': alive' }]);
    clock.advance(15_000);
    await expect.poll(() => told.length).toBe(2);
  });

  it('are asked for by HEAD without keeping anybody', async () => {
    const on = await operatedService();
    const id = await on.place();
    const headers = { authorization: `Bearer ${API_TOKEN}` };
    const response = await fetch(`${on.url}/calls/${id}/events`, { method: 'HEAD', headers });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('');
  });

  it('end with the call when the service stops in the middle of it', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    const { ended, types } = await follow(on, id);
    await on.bridge.close();
    await ended;
    // It is hung up before the service goes.
    expect(types().at(-1)).toBe('end');
  });
});

/** A record whose events one client follows, and the server's side of that. */
async function stream() {
  const clock = new VirtualClock();
  const records = new CallRecords(clock);
  const record: CallRecord = records.add(
    {
      id: 'call_1',
      carrier: 'twilio',
      carrierCallId: 'CA1',
      direction: 'outbound',
      from: '+14155550100',
      to: '+14155550123',
      agent: 'agent',
      status: 'in-progress',
      outcome: undefined,
      endReason: undefined,
      machine: undefined,
      answeredAt: undefined,
      endedAt: undefined,
    },
    { callId: 'CA1', control: 'document' },
  );
  const closed: string[] = [];
  const server = createServer((request, response) => {
    response.on('close', () => closed.push('closed'));
    new EventStream(clock, record, response).start(0, request.method === 'HEAD');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    records.close();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { clock, records, record, url, closed };
}

/** Two thousand of them are more than any kernel keeps for a connection. */
const LONG = 'x'.repeat(16_000);

describe('a client of the events', () => {
  it('that asks late gets everything that is kept, at its own pace', async () => {
    const { records, record, url } = await stream();
    for (let i = 0; i < 2000; i++) record.add('transcript', { text: LONG });
    const response = await get(url);
    const { told, ended } = listen(response);
    records.end(record, 'completed');
    expect(await ended).toBe('whole');
    expect(told.filter(({ event }) => event === 'transcript')).toHaveLength(2000);
    expect(told.at(-1)?.event).toBe('end');
    const numbers = told.slice(0, -1).map(({ id }) => Number(id));
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
  });

  it('that does not read is dropped when too much waits for it, and the call goes on', async () => {
    const { clock, record, url, closed } = await stream();
    const response = await get(url);
    response.pause();
    let count = 0;
    while (closed.length === 0 && count < 50_000) {
      for (let i = 0; i < 500; i++) record.add('transcript', { text: LONG });
      count += 500;
      await new Promise(setImmediate);
    }
    expect(closed).toEqual(['closed']);
    expect(count).toBeGreaterThanOrEqual(4000);
    expect(clock.pending).toBe(0);
    record.add('digit', {});
    response.on('error', () => undefined);
  });

  it('that does not read for half a minute is dropped', async () => {
    const { clock, record, url, closed } = await stream();
    const response = await get(url);
    response.pause();
    response.on('error', () => undefined);
    for (let i = 0; i < 2000; i++) record.add('transcript', { text: LONG });
    await new Promise(setImmediate);
    clock.advance(15_000);
    expect(closed).toEqual([]);
    clock.advance(15_000);
    await expect.poll(() => closed).toEqual(['closed']);
    expect(clock.pending).toBe(0);
  });

  it('that is gone is not written to any more', async () => {
    const { clock, record, url, closed } = await stream();
    const response = await get(url);
    response.destroy();
    await expect.poll(() => closed).toEqual(['closed']);
    expect(clock.pending).toBe(0);
    record.add('transcript', { text: LONG });
  });

  it('is dropped by an event that cannot be told, and the call goes on', async () => {
    const { record, url, closed } = await stream();
    await get(url);
    expect(() => record.add('odd', { big: 1n })).not.toThrow();
    await expect.poll(() => closed).toEqual(['closed']);
  });
});
