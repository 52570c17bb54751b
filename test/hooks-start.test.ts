import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { StartHook, type StartRequest, startHookSchema } from '../src/hooks/start-hook.ts';
import {
  type Answering,
  answering,
  breaking,
  HookClock,
  hanging,
  hookReceiver,
  SECRET,
  verified,
} from './support/hook-receiver.ts';

const REQUEST: StartRequest = {
  callId: 'CA1',
  carrier: 'twilio',
  from: '+15550123',
  to: '+15550100',
  direction: 'inbound',
  callerName: undefined,
  agent: 'booking',
  variables: { floor: 'ground' },
  at: Date.UTC(2026, 0, 2, 3, 4, 5),
};

interface Rig {
  readonly clock: HookClock;
  readonly receiver: Awaited<ReturnType<typeof hookReceiver>>;
  readonly hook: StartHook;
}

async function rig(script: readonly Answering[], settings: Record<string, unknown> = {}): Promise<Rig> {
  const clock = new HookClock();
  const receiver = await hookReceiver(...script);
  const config = startHookSchema.parse({ url: `${receiver.url}?key=s3cret`, secret: SECRET, ...settings });
  return { clock, receiver, hook: new StartHook(config, { clock }) };
}

const never = new AbortController().signal;

async function answerTo(...script: Answering[]) {
  const { hook, clock } = await rig(script);
  const answer = await hook.ask(REQUEST, never);
  expect(clock.pending).toBe(0);
  return answer;
}

/** Lets time pass when nothing but these pauses is left to wait for. */
async function passing(clock: HookClock, ...pauses: number[]): Promise<void> {
  for (const ms of pauses) {
    await clock.timerOf(ms);
    clock.advance(ms);
  }
}

describe('the settings of the start webhook', () => {
  it('have defaults', () => {
    const config = startHookSchema.parse({ url: 'https://example.com/', secret: SECRET });
    expect(config).toMatchObject({ timeoutMs: 2000, retries: 2, onFailure: 'answer' });
  });

  it.each([
    ['url', { url: 'http://example.com/' }, /https address/],
    ['secret', { secret: 'hunter2hunter2hunter2' }, /whsec_ and the base64/],
    ['timeoutMs', { timeoutMs: 4001 }, /a whole number from 100 to 4000/],
    ['retries', { retries: -1 }, /a whole number from 0 to 5/],
    ['onFailure', { onFailure: 'hang' }, /answer or reject/],
  ])('say what is wrong with %s, and show no secret', (field, wrong, wanted) => {
    const read = startHookSchema.safeParse({ url: 'https://example.com/', secret: SECRET, ...wrong });
    expect(read.error?.issues).toEqual([
      expect.objectContaining({ path: [field], message: expect.stringMatching(wanted) }),
    ]);
    expect(JSON.stringify(read.error?.issues)).not.toContain('hunter2');
  });

  it('may not have keys that nobody knows', () => {
    const read = startHookSchema.safeParse({ url: 'https://example.com/', secret: SECRET, retry: 1 });
    expect(read.error?.issues).toEqual([expect.objectContaining({ keys: ['retry'] })]);
  });
});

describe('the start webhook', () => {
  it('tells of the call in a signed request', async () => {
    const { hook, receiver } = await rig([answering(204)]);
    await hook.ask(REQUEST, never);
    const [request] = receiver.received;
    expect(request && verified(request)).toEqual({
      type: 'call.started',
      timestamp: expect.stringMatching(/^20\d\d-.*Z$/),
      data: {
        callId: 'CA1',
        carrier: 'twilio',
        from: '+15550123',
        to: '+15550100',
        direction: 'inbound',
        callerName: null,
        agent: 'booking',
        variables: { floor: 'ground' },
        startedAt: '2026-01-02T03:04:05.000Z',
      },
    });
    expect(request?.headers['content-type']).toBe('application/json');
    expect(request?.path).toBe('/hook?key=s3cret');
  });

  it.each([
    ['no content', answering(204)],
    ['an empty body', answering(200, '')],
    ['blanks', answering(200, ' \n')],
    ['an empty object', answering(200, {})],
  ])('takes %s as "go on"', async (_what, script) => {
    expect(await answerTo(script)).toEqual({
      type: 'answer',
      agent: undefined,
      variables: {},
      failed: undefined,
    });
  });

  it('may choose an agent and fill variables', async () => {
    const variables = { name: 'Ada', open: true, seats: 4, half: 0.5, 'menu.today': '' };
    expect(await answerTo(answering(200, { agent: 'sales-2', variables }))).toEqual({
      type: 'answer',
      agent: 'sales-2',
      variables: { name: 'Ada', open: 'true', seats: '4', half: '0.5', 'menu.today': '' },
      failed: undefined,
    });
  });

  it.each([
    [true, 'rejected'],
    ['rejected', 'rejected'],
    ['busy', 'busy'],
  ])('may reject the call with %s', async (reject, reason) => {
    expect(await answerTo(answering(200, { reject }))).toEqual({ type: 'reject', reason, failed: undefined });
  });

  it.each([
    ['no JSON', 'hello +15550123', /the answer is no JSON$/],
    ['no object', '[]', /the answer: wanted a JSON object$/],
    ['null', 'null', /the answer: wanted a JSON object$/],
    [
      'an unknown key',
      '{"agnet":"x"}',
      /the answer: found agnet, wanted only agent, variables, recording and reject$/,
    ],
    ['nobody who records', '{"recording":true}', /recording: wanted "off", "bridge", "carrier" or "both"$/],
    ['a key that may be a number', '{"+15550123":1}', /found a key of 9 characters/],
    ['an agent that is no name', '{"agent":"+15550123"}', /agent: wanted the name of an agent$/],
    ['false', '{"reject":false}', /reject: wanted true, "busy" or "rejected"$/],
    ['variables that are no object', '{"variables":["a"]}', /variables: wanted an object$/],
    [
      'a value that is none',
      '{"variables":{"a":{"b":"+15550123"}}}',
      /variables\.a: wanted text of at most 4000/,
    ],
    ['a number that is none', '{"variables":{"a":1e999}}', /variables\.a: wanted text of at most 4000/],
    [
      'a long value',
      JSON.stringify({ variables: { a: 'x'.repeat(4001) } }),
      /variables\.a: wanted text of at/,
    ],
    [
      'a name that is none',
      '{"variables":{"+15550123":1}}',
      /variables\.a key of 9 characters: wanted names of/,
    ],
    [
      'too many variables',
      JSON.stringify({ variables: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`v${i}`, 1])) }),
      /variables: wanted at most 64 variables$/,
    ],
    ['more than 64 KiB', JSON.stringify({ x: 'y'.repeat(70_000) }), /the answer is longer than 64 KiB$/],
  ])('answers the call by itself after %s, and says what was wrong', async (_what, body, problem) => {
    const { hook, receiver } = await rig([answering(200, body)]);
    const answer = await hook.ask(REQUEST, never);
    expect(answer).toMatchObject({ type: 'answer', agent: undefined, variables: {} });
    expect(answer.failed).toBeInstanceOf(BridgeError);
    expect(answer.failed?.message).toMatch(problem);
    expect(answer.failed?.message).toContain(`start webhook to ${receiver.host}`);
    expect(answer.failed?.message).not.toMatch(/5550123|s3cret|whsec/);
    expect(receiver.received).toHaveLength(1);
  });

  it('fills no prototype', async () => {
    const answer = await answerTo(answering(200, '{"variables":{"__proto__":"x","a":"b"}}'));
    expect(answer.type === 'answer' && Object.getPrototypeOf(answer.variables)).toBe(Object.prototype);
  });

  it('follows no redirect, and says so', async () => {
    const elsewhere = await hookReceiver(answering(204));
    const answer = await answerTo(answering(307, '', { location: elsewhere.url }));
    expect(answer.failed?.message).toMatch(/answered 307, a redirect, which is not followed/);
    expect(elsewhere.received).toEqual([]);
  });

  it.each([400, 401, 404, 410])('asks once where the answer is %i', async (status) => {
    const { hook, receiver } = await rig([answering(status), answering(204)]);
    const { failed } = await hook.ask(REQUEST, never);
    expect(failed?.message).toMatch(new RegExp(`answered ${status}$`));
    expect(receiver.received).toHaveLength(1);
  });
});

describe('the start webhook, when it fails', () => {
  it.each([
    ['a broken connection', breaking],
    ['a server error', answering(503)],
    ['a limit of requests', answering(429)],
  ])('asks again after %s, with the same id and a new pause', async (_what, trouble) => {
    const { hook, clock, receiver } = await rig([trouble, trouble, answering(200, { agent: 'late' })]);
    const asking = hook.ask(REQUEST, never);
    await passing(clock, 100, 300);
    expect(await asking).toMatchObject({ agent: 'late', failed: undefined });
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
    for (const request of receiver.received) verified(request);
  });

  it('asks no more often than it was told', async () => {
    const { hook, clock, receiver } = await rig([answering(500)], { retries: 1 });
    const asking = hook.ask(REQUEST, never);
    await passing(clock, 100);
    expect((await asking).failed?.message).toMatch(/answered 500$/);
    expect(receiver.received).toHaveLength(2);
  });

  it('gives up at once when it is asked to wait for longer than there is time', async () => {
    const { hook, clock, receiver } = await rig([answering(503, '', { 'retry-after': '5' })]);
    const { failed } = await hook.ask(REQUEST, never);
    expect(failed?.message).toMatch(/answered 503$/);
    expect([clock.now(), receiver.received.length]).toEqual([0, 1]);
  });

  it('waits as it is asked when there is time', async () => {
    const { hook, clock } = await rig([answering(429, '', { 'retry-after': '1' }), answering(204)]);
    const asking = hook.ask(REQUEST, never);
    await passing(clock, 1000);
    expect((await asking).failed).toBeUndefined();
  });

  it('lets nobody wait for longer than the whole time, whatever hangs', async () => {
    const { hook, clock, receiver } = await rig([hanging], { timeoutMs: 1500 });
    const asking = hook.ask(REQUEST, never);
    await receiver.nth(1);
    clock.advance(1499);
    clock.advance(1);
    const { failed } = await asking;
    expect(failed?.message).toBe(`TIMEOUT: the start webhook to ${receiver.host} took longer than 1500 ms`);
    expect(clock.pending).toBe(0);
  });

  it('does not wait for the rest of an answer that never ends', async () => {
    const { hook, clock, receiver } = await rig([
      ({ response }) => {
        response.writeHead(200);
        response.write('{"agent":');
      },
    ]);
    const asking = hook.ask(REQUEST, never);
    await receiver.nth(1);
    clock.advance(2000);
    expect((await asking).failed?.code).toBe('TIMEOUT');
  });

  it('rejects the call as busy where it was told to', async () => {
    const { hook } = await rig([answering(400)], { onFailure: 'reject' });
    const answer = await hook.ask(REQUEST, never);
    expect(answer).toMatchObject({ type: 'reject', reason: 'busy' });
    expect(answer.failed?.message).toMatch(/answered 400$/);
  });

  it('stops when the caller is gone', async () => {
    const { hook, clock, receiver } = await rig([hanging]);
    const gone = new AbortController();
    const asking = hook.ask(REQUEST, gone.signal);
    await receiver.nth(1);
    gone.abort(new BridgeError('CANCELLED', 'the caller hung up'));
    expect((await asking).failed?.code).toBe('CANCELLED');
    expect(clock.pending).toBe(0);
    expect((await hook.ask(REQUEST, gone.signal)).failed?.code).toBe('CANCELLED');
    expect(receiver.received).toHaveLength(1);
  });

  it('stops in a pause, too', async () => {
    const { hook, clock, receiver } = await rig([answering(500)]);
    const gone = new AbortController();
    const asking = hook.ask(REQUEST, gone.signal);
    await clock.timerOf(100);
    gone.abort();
    expect((await asking).failed?.code).toBe('CANCELLED');
    expect(clock.pending).toBe(0);
    expect(receiver.received).toHaveLength(1);
  });

  it('says where nobody listens, and no more of the address', async () => {
    const free = createServer();
    await new Promise<void>((done) => free.listen(0, '127.0.0.1', done));
    const address = free.address();
    const port = typeof address === 'object' ? address?.port : 0;
    await new Promise((done) => free.close(done));
    const clock = new HookClock();
    const url = `http://127.0.0.1:${port}/hook?key=s3cret`;
    const config = startHookSchema.parse({ url, secret: SECRET, retries: 0 });
    const { failed } = await new StartHook(config, { clock }).ask(REQUEST, never);
    expect(failed?.message).toMatch(
      new RegExp(`: the start webhook to 127.0.0.1:${port}: the connection failed: ECONNREFUSED$`),
    );
  });
});
