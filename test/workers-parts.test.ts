import { describe, expect, it } from 'vitest';
import type { WebhookRequest } from '../src/carrier.ts';
import { Ledger } from '../src/cost/ledger.ts';
import { moneyOf } from '../src/cost/money.ts';
import { createLog } from '../src/log.ts';
import { callName, readName, recordName, subjectOf } from '../src/workers/call-names.ts';
import { Figures } from '../src/workers/figures.ts';
import { Owners } from '../src/workers/owners.ts';
import { RemoteDays } from '../src/workers/remote-days.ts';
import { SpendingDesk } from '../src/workers/spending-desk.ts';
import { callList, readiness } from '../src/workers/summaries.ts';
import type { WorkerProcess } from '../src/workers/worker-process.ts';
import { MemoryDays } from './support/memory-days.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** What the process that has the port of several knows and adds up. */

function request(
  target: string,
  body: unknown = '',
  headers: WebhookRequest['headers'] = {},
): WebhookRequest {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { method: 'POST', target, headers, body: Buffer.from(text) };
}

const state = (fields: object): string => Buffer.from(JSON.stringify(fields)).toString('base64');
const event = (payload: object): unknown => ({ data: { event_type: 'call.answered', payload } });

describe('what a request is about', () => {
  it.each<[string, WebhookRequest, readonly string[], string]>([
    ['a call that comes in', request('/voice/twilio', 'CallSid=CA1&From=%2B1'), ['call twilio CA1'], 'new'],
    [
      'a proxy that passes a prefix on',
      request('/a/b/voice/twilio', 'CallSid=CA1'),
      ['call twilio CA1'],
      'new',
    ],
    ['a GET', { ...request('/voice/twilio?CallSid=CA1'), method: 'GET' }, ['call twilio CA1'], 'new'],
    [
      'the other end of a transfer',
      request('/status/twilio', 'CallSid=CA2&ParentCallSid=CA1'),
      ['call twilio CA1', 'call twilio CA2'],
      'known',
    ],
    [
      'what comes after a stream',
      request('/after/twilio/TOKEN.keys', 'CallSid=CA1'),
      ['call twilio CA1', 'after twilio TOKEN'],
      'known',
    ],
    [
      'a call that was placed',
      request('/voice/twilio?ref=call_1', 'CallSid=CA1'),
      ['call twilio CA1', 'record call_1'],
      'known',
    ],
    [
      'an event of Call Control',
      request('/events/telnyx', event({ call_control_id: 'v3:a' })),
      ['call telnyx v3:a'],
      'new',
    ],
    [
      'one of a call that was placed',
      request('/events/telnyx', event({ call_control_id: 'v3:a', client_state: state({ ref: 'call_1' }) })),
      ['call telnyx v3:a', 'record call_1'],
      'known',
    ],
    [
      'one of the other end of a transfer',
      request(
        '/events/telnyx',
        event({ call_control_id: 'v3:b', client_state: state({ transferOf: 'v3:a' }) }),
      ),
      ['call telnyx v3:a', 'call telnyx v3:b'],
      'new',
    ],
    ['TeXML', request('/status/telnyx', 'CallSid=x'), ['call telnyx x'], 'known'],
    ['TeXML in JSON', request('/stream-status/telnyx', { CallSid: 'x' }), ['call telnyx x'], 'known'],
    [
      'Plivo',
      request('/voice/plivo', 'CallUUID=p1&RequestUUID=r1'),
      ['call plivo p1', 'call plivo r1'],
      'new',
    ],
    ['a recording of Plivo', request('/status/plivo', 'call_uuid=p1'), ['call plivo p1'], 'known'],
    [
      'an answer of Plivo that comes late',
      request('/status/plivo', `response=${encodeURIComponent('{"call_uuid":"p1"}')}`),
      ['call plivo p1'],
      'known',
    ],
    ['a stream', request('/media/twilio/TOKEN'), ['media twilio TOKEN'], 'known'],
    ['a call of an operator', request('/calls/call_1/hang-up'), ['record call_1'], 'known'],
    ['an order', request('/calls', '{}', { 'idempotency-key': 'k' }), ['order k'], 'order'],
    ['an order without a key', request('/Calls/'), [], 'order'],
    ['anything else', request('/openapi.json'), [], 'other'],
  ])('is found for %s', (_what, found, names, kind) => {
    expect(subjectOf(found)).toEqual({ names, kind });
  });

  it.each([
    ['no JSON', request('/events/telnyx', '{"data":')],
    ['JSON without an event', request('/events/telnyx', { data: { payload: [] } })],
    ['bytes', { ...request('/voice/plivo'), body: Buffer.from([0xff, 0xfe, 0x00, 0x25, 0x25, 0x7a]) }],
    ['nothing', request('/voice/twilio')],
    ['a name without end', request('/voice/twilio', `CallSid=${'x'.repeat(100_000)}`)],
    ['a torn address', request('/after/twilio/%E0%A4%A', '')],
    ['another carrier', request('/voice/nobody', 'CallSid=x')],
  ])('is nothing where there is %s', (_what, found) => {
    expect(subjectOf(found).names).toEqual([]);
  });

  it('can be read again, whatever an id holds', () => {
    for (const id of ['CA1', 'v3:a b', '', 'twilio x'])
      expect(readName(callName('telnyx', id))).toEqual({ kind: 'call', carrier: 'telnyx', id });
    expect(readName(recordName('call_1'))).toEqual({ kind: 'record', carrier: undefined, id: 'call_1' });
  });
});

describe('who has what', () => {
  const worker = (isGone = false): WorkerProcess => ({ isGone }) as WorkerProcess;

  it('is for live calls what workers say, before anything that was seen', () => {
    const owners = new Owners(new VirtualClock());
    const [one, other] = [worker(), worker()];
    owners.pin(one, ['call twilio CA1', 'call twilio CA2']);
    owners.begun(other, 'call twilio CA2');
    expect(owners.of(['call twilio CA1', 'call twilio CA2'])).toBe(other);
    owners.ended(other, 'call twilio CA2');
    expect([owners.of(['call twilio CA2']), owners.live]).toEqual([other, 0]);
  });

  it('is forgotten after its time, and the oldest when there is too much', () => {
    const clock = new VirtualClock();
    const owners = new Owners(clock, 1000, 3);
    const one = worker();
    owners.pin(one, ['a']);
    clock.advance(999);
    expect(owners.of(['a'])).toBe(one);
    clock.advance(1);
    expect(owners.of(['a'])).toBeUndefined();
    owners.pin(one, ['a', 'b', 'c']);
    owners.pin(one, ['a']);
    owners.pin(one, ['d']);
    expect(['a', 'b', 'c', 'd'].filter((name) => owners.of([name]) === one)).toEqual(['a', 'c', 'd']);
    owners.begun(one, 'x');
    for (let i = 0; i < 10; i += 1) owners.pin(one, [`flood ${i}`]);
    expect([owners.of(['x']), owners.remembered]).toEqual([one, 3]);
  });

  it('goes with the worker', () => {
    const owners = new Owners(new VirtualClock());
    const [one, other] = [worker(), worker()];
    owners.begun(one, 'a');
    owners.pin(one, ['b']);
    owners.begun(other, 'c');
    owners.drop(one);
    expect([owners.of(['a']), owners.of(['b']), owners.of(['c'])]).toEqual([undefined, undefined, other]);
    expect(owners.live).toBe(1);
  });
});

const told = (calls: number, active: number, opened: number): string => `# HELP calls_total Calls
# TYPE calls_total counter
calls_total{reason="a b} c"} ${calls}

# HELP active Up
# TYPE active gauge
active ${active}

# HELP patchcord_breaker_state State
# TYPE patchcord_breaker_state gauge
patchcord_breaker_state{provider="x"} ${opened}

# HELP ms Time
# TYPE ms histogram
ms_bucket{le="1"} ${calls}
ms_bucket{le="+Inf"} ${calls}
ms_sum ${calls / 2}
ms_count ${calls}

# HELP process_cpu_seconds_total CPU
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 7
`;

describe('figures', () => {
  const [one, other] = [{}, {}];

  it('are added up where they can be', () => {
    const figures = new Figures();
    figures.take(one, 1, told(2, 1, 0));
    figures.take(other, 2, told(3, 4, 2));
    const text = figures.text('own 1\n');
    const lines = text.split('\n').filter((line) => !line.startsWith('#') && line !== '');
    expect(lines).toEqual([
      'calls_total{reason="a b} c"} 5',
      'active 5',
      'patchcord_breaker_state{provider="x"} 2',
      'ms_bucket{le="1"} 5',
      'ms_bucket{le="+Inf"} 5',
      'ms_sum 2.5',
      'ms_count 5',
      'process_cpu_seconds_total{worker="1"} 7',
      'process_cpu_seconds_total{worker="2"} 7',
      'own 1',
    ]);
    expect(text.match(/# TYPE calls_total counter/g)).toHaveLength(1);
  });

  it('never fall when a worker dies, but for what it had', () => {
    const figures = new Figures();
    figures.take(one, 1, told(2, 1, 2));
    figures.take(other, 2, told(3, 4, 0));
    figures.drop(one);
    const text = figures.text('');
    expect(text).toContain('calls_total{reason="a b} c"} 5\n');
    expect(text).toContain('ms_count 5\n');
    expect(text).toContain('\nactive 4\n');
    expect(text).toContain('patchcord_breaker_state{provider="x"} 0\n');
    expect(text).not.toContain('worker="1"');
    figures.take(one, 1, told(1, 0, 0));
    expect(figures.text('')).toContain('calls_total{reason="a b} c"} 6\n');
    // Asking changes nothing.
    expect(figures.text('')).toContain('calls_total{reason="a b} c"} 6\n');
  });
});

describe('one answer of many', () => {
  const workers = { wanted: 2, up: 2, restarts: 0 };
  const said = (status: string, calls: number, state = 'closed') => ({
    status,
    calls,
    maxCalls: 2,
    providers: [{ provider: 'x', state, forMs: 1 }],
  });

  it.each([
    ['ready', [said('ready', 1), said('full', 2)], {}],
    ['full', [said('full', 2), said('full', 2)], {}],
    ['draining', [said('ready', 1)], { draining: true }],
    ['starting', [], { workers: { ...workers, up: 0 } }],
  ])('says %s', (status, answers, terms) => {
    expect(readiness(answers, { draining: false, maxCalls: 4, workers, ...terms }).status).toBe(status);
  });

  it('tells of every provider the worst', () => {
    const answers = [said('ready', 1, 'half-open'), said('ready', 2, 'open'), said('ready', 0)];
    expect(readiness(answers, { draining: false, maxCalls: 6, workers })).toMatchObject({
      calls: 3,
      providers: [{ provider: 'x', state: 'open' }],
    });
  });

  it('lists the newest calls of all', () => {
    const call = (createdAt: string) => ({ createdAt });
    const list = callList([{ calls: [call('3'), call('1')] }, { calls: [call('4'), call('2')] }, null], 3);
    expect(list.calls.map(({ createdAt }) => createdAt)).toEqual(['4', '3', '2']);
  });
});

describe('two ledgers of one service', () => {
  it('tell calls of both that a budget is spent, though neither has spent it alone', async () => {
    const clock = new VirtualClock();
    const log = createLog('silent');
    const desk = new SpendingDesk({ clock, log, files: new MemoryDays() });
    const stores: RemoteDays[] = [];
    const make = async (): Promise<Ledger> => {
      const days: RemoteDays = new RemoteDays(async (name, currency, own) => {
        if (own === undefined) return await desk.read(name);
        const day = await desk.add(name, currency, own);
        for (const other of stores) if (other !== days) other.told();
        return day;
      });
      stores.push(days);
      const rules = { currency: 'EUR', timeZone: 'UTC', perDay: 3, perNumber: () => undefined };
      return await Ledger.open({ clock, log, folder: undefined, days, rules });
    };
    const [one, other] = [await make(), await make()];
    one.add('+1', moneyOf(2));
    expect([one.mayBegin('+1'), other.mayBegin('+1')]).toEqual(['yes', 'yes']);
    clock.advance(250);
    await one.flush();
    await other.flush();
    expect(other.spentToday().total).toBe(2);
    other.add('+2', moneyOf(1));
    await other.flush();
    await one.flush();
    expect([one.mayBegin('+3'), other.mayBegin('+3')]).toEqual(['day-spent', 'day-spent']);
    expect([...one.spentToday().numbers]).toEqual([
      ['+1', 2],
      ['+2', 1],
    ]);
    await Promise.all([one.close(), other.close(), desk.close()]);
    expect(clock.pending).toBe(0);
  });
});

describe('what all workers spend', () => {
  const spent = (amount: bigint) => ({ total: amount, numbers: new Map([['+1', amount]]) });
  const make = () => {
    const clock = new VirtualClock();
    const files = new MemoryDays();
    return { clock, files, desk: new SpendingDesk({ clock, log: createLog('silent'), files }) };
  };

  it('is one sum, on the disk after two seconds, with what was there before', async () => {
    const { clock, files, desk } = make();
    files.days.set('2026-11-21', { currency: 'EUR', ...spent(5n) });
    expect(await desk.read('2026-11-20')).toBeUndefined();
    expect((await desk.add('2026-11-21', 'EUR', spent(2n))).total).toBe(7n);
    expect((await desk.add('2026-11-21', 'EUR', spent(1n))).numbers.get('+1')).toBe(8n);
    expect(files.writes).toBe(0);
    clock.advance(2000);
    await desk.close();
    expect(files.days.get('2026-11-21')?.total).toBe(8n);
    expect(files.writes).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('takes in what another service on the same disk has spent', async () => {
    const { clock, files, desk } = make();
    await desk.add('2026-11-21', 'EUR', spent(2n));
    files.days.set('2026-11-21', { currency: 'EUR', ...spent(10n) });
    clock.advance(2000);
    await desk.close();
    expect(files.days.get('2026-11-21')?.total).toBe(12n);
    expect((await desk.read('2026-11-21'))?.total).toBe(12n);
  });

  it('begins at 0 in another currency', async () => {
    const { desk } = make();
    await desk.add('2026-11-21', 'EUR', spent(2n));
    expect(await desk.add('2026-11-21', 'USD', spent(1n))).toMatchObject({ currency: 'USD', total: 1n });
  });

  it('is kept in memory while the disk is full, and puts aside what cannot be read', async () => {
    const { clock, files, desk } = make();
    files.broken = 'unreadable';
    await desk.add('2026-11-21', 'EUR', spent(2n));
    expect(files.aside).toBe(1);
    files.broken = 'full';
    clock.advance(2000);
    await desk.add('2026-11-21', 'EUR', spent(1n));
    await new Promise((resolve) => setImmediate(resolve));
    expect(files.days.size).toBe(0);
    files.broken = undefined;
    clock.advance(30_000);
    await desk.close();
    expect(files.days.get('2026-11-21')?.total).toBe(3n);
  });
});
