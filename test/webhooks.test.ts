import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import { LAST_RESORT } from '../src/agents.ts';
import type { Carrier, CarrierEvent, ControlResult, WebhookRoute } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { createWebhooks } from '../src/webhooks.ts';
import {
  COMMANDS,
  createKit,
  type Kit,
  type KitOptions,
  pending,
  refused,
  TRANSFER,
  tokenOf,
} from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';

/** Webhooks over HTTP, of a carrier whose requests are the events themselves as JSON. */

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** The event in the body of a request. */
function read(body: Uint8Array): CarrierEvent {
  return JSON.parse(new TextDecoder().decode(body));
}

async function serve(options: KitOptions = {}) {
  const routes: WebhookRoute[] = [];
  const parse: Carrier['parse'] = ({ body }, route) => {
    routes.push(route);
    return read(body);
  };
  const kit = createKit({ ...options, parts: { parse, ...options.parts } });
  const { manager, desk, reception, clock, log, metrics, carrier } = kit;
  const app = express();
  app.use(
    createWebhooks({
      carriers: new Map([[carrier.name, carrier]]),
      manager,
      desk,
      reception,
      clock,
      log,
      metrics,
    }),
  );
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const post = async (path: string, event: Partial<CarrierEvent> & { type: CarrierEvent['type'] }) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      body: JSON.stringify(event),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const incoming = (callId: string, more: Parameters<Kit['incoming']>[1] = {}) =>
    post('/voice/twilio', {
      type: 'incoming',
      call: kit.incoming(callId, more),
      machine: undefined,
      idempotencyKey: callId,
    });
  const answered = (callId: string, ref?: string) =>
    post('/events/twilio', {
      type: 'answered',
      call: { callId, control: 'command', data: { leg: 'L1' } },
      ref,
      idempotencyKey: callId,
    });
  const whats = (): string[] =>
    kit.carrier.calls.map((call) => (call.what === 'direct' ? `direct ${call.next.type}` : call.what));
  return { kit, post, incoming, answered, routes, whats };
}

const ORDER = {
  carrier: undefined,
  to: '+14155550111',
  from: '+14155550101',
  ringS: 30,
  maxS: 3600,
  machine: { mode: 'off' },
} as const;

describe('routes', () => {
  it('tell the carrier by which address a webhook came in', async () => {
    const { post, routes } = await serve();
    const ignored = { type: 'ignored', why: 'x' } as const;
    for (const path of [
      '/voice/twilio',
      '/events/twilio?ref=call_1',
      '/status/twilio',
      '/machine/twilio',
      '/stream-status/twilio',
      '/after/twilio/token',
      '/announce/twilio/token',
    ]) {
      expect((await post(path, ignored)).status).toBe(200);
    }
    expect(routes).toEqual(['voice', 'events', 'status', 'machine', 'stream-status', 'after', 'announce']);
  });

  it('refuse what is not verified before anything of it is read', async () => {
    const { post, routes } = await serve({
      parts: { verify: () => ({ ok: false, reason: 'bad-signature' }) },
    });
    expect((await post('/voice/twilio', { type: 'ignored' })).status).toBe(403);
    expect((await post('/voice/nobody', { type: 'ignored' })).status).toBe(404);
    expect(routes).toEqual([]);
  });
});

describe('a call in document style', () => {
  it('is answered, and answered the same when the webhook comes twice', async () => {
    const { kit, incoming } = await serve();
    expect((await incoming('CA1')).text).toContain('accept');
    expect((await incoming('CA1')).text).toContain('accept');
    expect(kit.manager.size).toBe(1);
  });

  it('that has ended is not a new one, and one that is too much is told so', async () => {
    const { kit, incoming } = await serve({ maxCalls: 1 });
    await incoming('CA1');
    expect((await incoming('CA2')).text).toContain('reject busy');
    await kit.manager.find('twilio', 'CA1')?.end('caller-hung-up');
    expect((await incoming('CA1')).text).toContain('hang-up');
  });

  it('that was given up and is answered after all is hung up', async () => {
    const { kit, incoming } = await serve();
    const record = await kit.desk.place(ORDER);
    await kit.desk.hangUp(record);
    const { text } = await incoming('CA-placed-1', { ref: record.view.id, direction: 'outbound' });
    expect(text).toContain('hang-up');
    expect(kit.manager.size).toBe(0);
    expect(kit.desk.records.list()).toHaveLength(1);
  });

  it('tells what is known about a machine when it asks', async () => {
    const { kit, post } = await serve();
    const record = await kit.desk.place({ ...ORDER, machine: { mode: 'hang-up' } });
    const call = kit.incoming('CA-placed-1', { ref: record.view.id });
    await post('/voice/twilio', { type: 'incoming', call, machine: 'machine', idempotencyKey: 'k' });
    expect(record.view.machine).toBe('machine');
    expect(kit.events.filter(({ type }) => type === 'machine')).toHaveLength(1);
  });

  it('that nobody knows has a caller on the line, who gets an apology', async () => {
    const { post } = await serve();
    const after = { type: 'after-stream', callId: 'CA9', ended: false, transfer: undefined } as const;
    expect((await post('/after/twilio/guess', after)).text).toContain(LAST_RESORT.type);
    expect((await post('/after/twilio/guess', { ...after, ended: true })).text).toContain('hang-up');
    expect((await post('/after/twilio/guess', { ...after, transfer: 'completed' })).text).toContain(
      'hang-up',
    );
    expect((await post('/after/twilio/guess', { ...after, transfer: 'busy' })).text).toContain(
      LAST_RESORT.type,
    );
  });

  it('whose next document cannot be written gets an apology instead of an error', async () => {
    const { kit, post } = await serve({
      agent: { lastResort: { type: 'transfer', ...TRANSFER, to: 'nobody' } },
      parts: {
        document: (next) => {
          if (next.type === 'transfer') throw new BridgeError('BAD_INPUT', 'no address');
          return { status: 200, contentType: 'text/xml', body: next.type };
        },
      },
    });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    const path = `/after/twilio/${tokenOf(call.plan.afterUrl)}`;
    const answer = await post(path, {
      type: 'after-stream',
      callId: 'CA1',
      ended: false,
      transfer: undefined,
    });
    expect(answer).toEqual({ status: 200, text: 'say' });
    expect(kit.logged('no document could be written')).toBe(1);
  });

  it('is put through, announced, and over, by webhooks alone', async () => {
    const { kit, post } = await serve();
    const call = await kit.talk();
    const after = { type: 'after-stream', callId: 'CA1', ended: false, transfer: undefined } as const;
    const token = tokenOf(call.plan.afterUrl);
    await call.session.transfer({ ...TRANSFER, announce: 'It is about the bill.' });
    expect((await post(`/after/twilio/${token}`, after)).text).toContain('transfer');
    call.stop();
    await post('/status/twilio', {
      type: 'transfer',
      callId: 'CA1',
      status: 'answered',
      outcome: undefined,
    });
    const announce = { type: 'announce', callId: 'CA1' } as const;
    expect((await post(`/announce/twilio/${token}`, announce)).text).toContain('announcement of 21');
    expect((await post('/announce/twilio/guess', announce)).text).toContain('acknowledge');
    expect((await post(`/after/twilio/${token}`, { ...after, transfer: 'completed' })).text).toContain(
      'hang-up',
    );
    expect(call.endReason).toBe('transferred');
    const record = kit.desk.records.byCall('twilio', 'CA1');
    await kit.pass(11_000, 1000);
    expect(record?.isOver).toBe(true);
  });

  it('is over when its status says so, with the outcome that it tells', async () => {
    const { kit, post } = await serve();
    const call = await kit.talk();
    await post('/status/twilio', {
      type: 'progress',
      callId: 'CA1',
      requestId: undefined,
      ref: undefined,
      status: 'ended',
      outcome: 'time-limit',
      sequence: undefined,
      durationS: 12,
    });
    expect(call.endReason).toBe('caller-hung-up');
    expect(kit.desk.records.byCall('twilio', 'CA1')?.view.outcome).toBe('time-limit');
  });

  it('gives its keys as webhooks too, which count once', async () => {
    const { kit, post } = await serve({
      agent: { digits: { endKey: undefined, timeoutMs: 1000, max: 1 } },
      capabilities: { digitsIn: 'socket-and-webhook' },
    });
    const call = await kit.talk();
    call.session.onLegEvent({ type: 'dtmf', digit: '4' });
    await post('/status/twilio', { type: 'digit', callId: 'CA1', digit: '4' });
    await post('/status/twilio', { type: 'digit', callId: 'CA1', digit: '2' });
    call.session.onLegEvent({ type: 'dtmf', digit: '2' });
    expect(kit.provider.texts.map(({ options }) => options.digits)).toEqual(['4', '2']);
    expect(kit.lines.join('')).not.toMatch(/"digits?"/);
  });

  it('tells of its recordings', async () => {
    const { kit, post } = await serve();
    await kit.talk();
    const url = 'https://carrier.test/recording.wav';
    await post('/status/twilio', { type: 'recording', callId: 'CA1', url, durationS: 7 });
    expect(kit.events.at(-1)).toMatchObject({ type: 'recording', url, durationS: 7 });
  });
});

describe('a call in command style', () => {
  const COMMAND: KitOptions = {
    control: 'command',
    capabilities: COMMANDS,
    parts: {
      accept: (_call) => ({
        answer: { status: 200, contentType: '', body: '' },
        action: () => Promise.resolve({ status: 'ok' }),
      }),
    },
  };

  it('that came in has its stream opened when it is answered, once', async () => {
    const { kit, incoming, answered, whats } = await serve(COMMAND);
    await incoming('CA1');
    expect(whats()).toEqual([]);
    await answered('CA1');
    await settled();
    const [order] = kit.carrier.calls;
    const plan = kit.planOf('CA1');
    expect(order).toMatchObject({ what: 'direct', next: { type: 'stream', plan } });
    const session = kit.manager.owner('twilio', tokenOf(plan?.mediaUrl ?? ''));
    expect(session?.callId).toBe('CA1');
  });

  it('is not opened a second stream by an event that comes again', async () => {
    const { kit, answered, whats } = await serve(COMMAND);
    const call = await kit.talk();
    await answered('CA1');
    await settled();
    expect(whats()).toEqual([]);
    expect(call.leg.closed).toBeUndefined();
  });

  it('that was placed is let in when it is answered, between those who were connected', async () => {
    const { kit, answered, whats } = await serve({ ...COMMAND, maxCalls: 1 });
    const record = await kit.desk.place(ORDER);
    expect((await answered('CA-placed-1', record.view.id)).status).toBe(200);
    await settled();
    expect(whats()).toEqual(['dial', 'direct stream']);
    expect(kit.manager.find('twilio', 'CA-placed-1')?.call).toMatchObject({
      from: ORDER.from,
      to: ORDER.to,
      direction: 'outbound',
      control: 'command',
      data: { leg: 'L1' },
      ref: record.view.id,
    });
    expect(record.view.status).toBe('in-progress');
  });

  it('that was given up and is answered after all is hung up, and so is one that nobody knows', async () => {
    const { kit, answered, whats } = await serve(COMMAND);
    const record = await kit.desk.place(ORDER);
    await kit.desk.hangUp(record);
    await answered('CA-placed-1', record.view.id);
    await settled();
    expect(whats()).toEqual(['dial', 'hangUp', 'hangUp']);
    await answered('CA7');
    await settled();
    expect(whats()).toHaveLength(4);
    expect(kit.manager.size).toBe(0);
  });

  it('that has just ended and is answered only now is led to its end as it was going to be', async () => {
    const { kit, incoming, answered, whats } = await serve(COMMAND);
    await incoming('CA1');
    await kit.provider.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    await answered('CA1');
    await settled();
    expect(whats()).toEqual([]);
    await kit.pass(3500);
    expect(whats()).toEqual(['direct say']);
  });

  it('has what the carrier does not take at first asked for again', async () => {
    const results: ControlResult[] = [refused('CARRIER_UNAVAILABLE')];
    const { kit, incoming, answered, whats } = await serve({
      ...COMMAND,
      parts: { ...COMMAND.parts, direct: () => Promise.resolve(results.shift() ?? { status: 'ok' }) },
    });
    await incoming('CA1');
    await answered('CA1');
    await settled();
    expect(whats()).toEqual(['direct stream']);
    await kit.pass(1500);
    expect(whats()).toEqual(['direct stream', 'direct stream']);
    expect(kit.logged('did not do its part')).toBe(0);
  });

  it('says in the log what was not done, and a request that throws harms nobody', async () => {
    const { kit, incoming, answered } = await serve({
      ...COMMAND,
      parts: { ...COMMAND.parts, direct: () => Promise.reject(new Error('broken')) },
    });
    await incoming('CA1');
    expect((await answered('CA1')).status).toBe(200);
    await settled();
    expect(kit.logged('the carrier did not do its part')).toBe(1);
    // Without a stream there is no conversation.
    expect(kit.events.at(-1)).toMatchObject({ type: 'ended', reason: 'failed' });
  });

  it('is not answered again when it is reported again, however late', async () => {
    let tries = 0;
    const answering = (): Promise<ControlResult> => {
      tries += 1;
      return Promise.resolve(tries === 1 ? { status: 'ok' } : refused('CARRIER_REFUSED'));
    };
    const accept = () => ({ answer: { status: 200, contentType: '', body: '' }, action: answering });
    const { kit, incoming } = await serve({ ...COMMAND, parts: { ...COMMAND.parts, accept } });
    await incoming('CA1');
    await kit.provider.ready();
    await kit.pass(25_000);
    expect((await incoming('CA1')).status).toBe(200);
    await settled();
    expect(tries).toBe(1);
    expect(kit.manager.size).toBe(1);
  });

  it('that cannot be answered is over', async () => {
    const accept = () => ({
      answer: { status: 200, contentType: '', body: '' },
      action: () => Promise.resolve(refused('CARRIER_REFUSED')),
    });
    const { kit, incoming } = await serve({ ...COMMAND, parts: { ...COMMAND.parts, accept } });
    await incoming('CA1');
    await settled();
    expect(kit.events.at(-1)).toMatchObject({ type: 'ended', reason: 'failed' });
    expect(kit.manager.size).toBe(0);
  });

  it('does what comes next by a command: another codec, and the way back', async () => {
    const { kit, post, whats } = await serve(COMMAND);
    const call = kit.admit('CA1');
    await kit.provider.ready();
    call.session.refuseCodec('G722/8000');
    const after = { type: 'after-stream', callId: 'CA1', ended: false, transfer: undefined } as const;
    await post('/events/twilio', after);
    await settled();
    expect(kit.carrier.calls).toMatchObject([
      { what: 'direct', next: { type: 'stream', plan: { plainCodec: true } } },
    ]);
    expect(whats()).toHaveLength(1);
  });

  it('whose caller has hung up leaves no error behind', async () => {
    const { kit, post, whats } = await serve({
      ...COMMAND,
      parts: { ...COMMAND.parts, hangUp: () => Promise.resolve({ status: 'already-ended' }) },
    });
    const call = await kit.talk();
    call.stop();
    await post('/events/twilio', {
      type: 'after-stream',
      callId: 'CA1',
      ended: false,
      transfer: undefined,
    });
    await settled();
    expect(whats()).toEqual(['hangUp']);
    expect(kit.lines.filter((line) => line.includes('"level":50'))).toEqual([]);
  });

  it('that nobody knows is told the last resort when its stream ends, and hung up after that', async () => {
    const { kit, post, whats } = await serve(COMMAND);
    const call = { callId: 'CA9', control: 'command', data: { leg: 'L9' } } as const;
    const after = { type: 'after-stream', callId: 'CA9', ended: false, transfer: undefined, call } as const;
    await post('/events/twilio', { ...after, error: 'connection_failed' });
    await settled();
    expect(kit.carrier.calls).toMatchObject([{ what: 'direct', call, next: LAST_RESORT }]);
    expect(kit.logged('connection_failed')).toBe(1);
    await post('/events/twilio', { ...after, spoken: true });
    await settled();
    expect(whats()).toEqual(['direct say', 'hangUp']);
  });

  it('is back with the agent when a step of its transfer fails for good', async () => {
    const failed = pending<void>();
    const { kit, post } = await serve({
      ...COMMAND,
      parts: {
        ...COMMAND.parts,
        parse: () => ({
          type: 'step',
          callId: 'CA1',
          perform: () => Promise.resolve(refused()),
          otherwise: () => {
            failed.resolve();
            return Promise.resolve({ status: 'ok' });
          },
        }),
      },
    });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    await post('/events/twilio', { type: 'step' });
    await failed.promise;
    expect(kit.events.at(-1)).toMatchObject({ type: 'transfer', status: 'failed' });
    expect(call.endReason).toBeUndefined();
  });

  it('has the steps of its carrier taken after the answer', async () => {
    const done = pending<void>();
    const { post } = await serve({
      ...COMMAND,
      parts: {
        ...COMMAND.parts,
        parse: () => ({
          type: 'step',
          callId: 'CA1',
          perform: () => {
            done.resolve();
            return Promise.resolve({ status: 'ok' });
          },
          otherwise: () => Promise.resolve({ status: 'ok' }),
        }),
      },
    });
    expect((await post('/events/twilio', { type: 'step' })).status).toBe(200);
    await done.promise;
  });
});
