import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import plivo from 'plivo';
import { describe, expect, it } from 'vitest';
import type { PlivoOptions } from '../carriers/plivo.ts';
import type {
  CallRef,
  Carrier,
  ControlResult,
  DialRequest,
  DialResult,
  LiveResult,
  Next,
} from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { AUTH_ID, CALL, CALLER, carrier, HOST, PLAN, TOKEN, URLS } from './support/plivo.ts';
import type { Answering, Seen } from './support/rest-host.ts';
import { answers, breaks, restHost } from './support/rest-host.ts';

const ACCOUNT = `/v1/Account/${AUTH_ID}`;
const NO_CALL = { api_id: '07abfd94-58c0-11e1-86da-adf28403fe48', error: 'call not found' };
const REQUEST_ID = '9834029e-58b6-11e1-b8b7-a5bd0e4e126f';
/** A call that was placed and has not rung yet. */
const PLACED: CallRef = { callId: undefined, requestId: REQUEST_ID, control: 'document' };

const DIAL: DialRequest = {
  ref: 'd_7',
  to: '+14155550100',
  from: '+1 (415) 555-0101',
  ringS: 24.5,
  maxS: 1800,
  machineDetection: 'off',
  voiceUrl: `${HOST}/voice/plivo?ref=d_7`,
  eventsUrl: `${HOST}/events/plivo?ref=d_7`,
  statusUrl: `${HOST}/status/plivo?ref=d_7`,
  machineUrl: `${HOST}/machine/plivo?ref=d_7`,
};
const DIAL_BODY = {
  from: '14155550101',
  to: '14155550100',
  answer_url: DIAL.voiceUrl,
  answer_method: 'POST',
  ring_url: DIAL.statusUrl,
  ring_method: 'POST',
  hangup_url: DIAL.statusUrl,
  hangup_method: 'POST',
  time_limit: 1800,
  ring_timeout: 25,
};
const FIRED = { message: 'call fired', request_uuid: REQUEST_ID, api_id: 'x' };

const NEXTS: readonly Next[] = [
  { type: 'say', text: 'Bye.', language: undefined },
  { type: 'digits', digits: '12#' },
  { type: 'stream', plan: PLAN },
  {
    type: 'transfer',
    to: '+14155550102',
    callerId: undefined,
    ringS: 20,
    announce: undefined,
    language: undefined,
  },
];

type Outcome = ControlResult | DialResult | LiveResult;
type Operation = (one: Carrier, call: CallRef, signal: AbortSignal) => Promise<Outcome>;

const hangsUp: Operation = (one, call, signal) => one.hangUp(call, signal);
const directs: Operation = (one, call, signal) =>
  one.direct(call, { type: 'say', text: 'Bye.', language: undefined }, URLS, signal);
const sendsKeys: Operation = (one, call, signal) => one.sendDigits(call, '12#', signal);
const records: Operation = (one, call, signal) => one.startRecording(call, URLS, signal);
const stopsRecording: Operation = (one, call, signal) => one.stopRecording(call, signal);
const looks: Operation = (one, call, signal) => one.isLive(call, signal);
const dials =
  (change: Partial<DialRequest> = {}): Operation =>
  (one, _call, signal) =>
    one.dial({ ...DIAL, ...change }, signal);

interface OurRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly body: unknown;
}

interface Case {
  readonly name: string;
  readonly run: Operation;
  readonly repeatable: boolean;
  readonly wanted: OurRequest;
  readonly theirs: (client: plivo.Client) => Promise<unknown>;
}

const recording = {
  file_format: 'wav',
  time_limit: 86_400,
  callback_url: URLS.statusUrl,
  callback_method: 'POST',
};

const ABOUT_A_CALL: readonly Case[] = [
  {
    name: 'hangUp',
    run: hangsUp,
    repeatable: true,
    wanted: { method: 'DELETE', url: `${ACCOUNT}/Call/${CALL}/`, body: undefined },
    theirs: (client) => client.calls.hangup(CALL),
  },
  {
    name: 'direct',
    run: directs,
    repeatable: false,
    wanted: {
      method: 'POST',
      url: `${ACCOUNT}/Call/${CALL}/`,
      body: { legs: 'aleg', aleg_url: URLS.afterUrl, aleg_method: 'POST' },
    },
    theirs: (client) =>
      client.calls.transfer(CALL, { legs: 'aleg', alegUrl: URLS.afterUrl, alegMethod: 'POST' } as Parameters<
        typeof client.calls.transfer
      >[1]),
  },
  {
    name: 'sendDigits',
    run: sendsKeys,
    repeatable: false,
    wanted: { method: 'POST', url: `${ACCOUNT}/Call/${CALL}/DTMF/`, body: { digits: '12#', leg: 'aleg' } },
    theirs: (client) => client.calls.sendDigits(CALL, '12#', { leg: 'aleg' }),
  },
  {
    name: 'startRecording',
    run: records,
    repeatable: false,
    wanted: { method: 'POST', url: `${ACCOUNT}/Call/${CALL}/Record/`, body: recording },
    theirs: (client) =>
      client.calls.record(CALL, {
        fileFormat: 'wav',
        timeLimit: 86_400,
        callbackUrl: URLS.statusUrl,
        callbackMethod: 'POST',
      }),
  },
  {
    name: 'stopRecording',
    run: stopsRecording,
    repeatable: true,
    wanted: { method: 'DELETE', url: `${ACCOUNT}/Call/${CALL}/Record/`, body: undefined },
    theirs: (client) => client.calls.stopRecording(CALL, {}),
  },
  {
    name: 'isLive',
    run: looks,
    repeatable: true,
    wanted: { method: 'GET', url: `${ACCOUNT}/Call/${CALL}?status=live`, body: undefined },
    theirs: (client) => client.calls.getLiveCall(CALL),
  },
];
const EVERY: readonly Case[] = [
  ...ABOUT_A_CALL,
  {
    name: 'dial',
    run: dials(),
    repeatable: false,
    wanted: { method: 'POST', url: `${ACCOUNT}/Call/`, body: DIAL_BODY },
    theirs: (client) =>
      client.calls.create(DIAL_BODY.from, DIAL_BODY.to, DIAL.voiceUrl, {
        answerMethod: 'POST',
        ringUrl: DIAL.statusUrl,
        ringMethod: 'POST',
        hangupUrl: DIAL.statusUrl,
        hangupMethod: 'POST',
        timeLimit: 1800,
        ringTimeout: 25,
      }),
  },
];

/** The outcome of an operation at a host that answers like this, and what the host saw. */
async function ask(run: Operation, call: CallRef, ...script: Answering[]) {
  const host = await restHost(...script);
  const result = await run(carrier({ baseUrl: host.baseUrl }), call, new AbortController().signal);
  return { ...host, result };
}

function ours({ method, url, body }: Seen): OurRequest {
  return { method, url, body: body === '' ? undefined : JSON.parse(body) };
}

const refused = (code: string, message: unknown = expect.any(String)) => ({
  status: 'error',
  error: { code, message },
});

interface TheirRequest {
  readonly method: string;
  readonly url: string;
  readonly data?: string;
  readonly headers: { get(name: string): unknown };
}

/** What the package of Plivo would ask for. It knows one host only, so its requests are caught before they leave. */
async function theirs(way: Case['theirs']): Promise<TheirRequest> {
  const fromHere = createRequire(import.meta.url);
  const axios = createRequire(fromHere.resolve('plivo'))('axios') as { defaults: { adapter: unknown } };
  const { adapter } = axios.defaults;
  const asked: TheirRequest[] = [];
  axios.defaults.adapter = (config: TheirRequest) => {
    asked.push(config);
    return Promise.resolve({ status: 200, statusText: 'OK', data: {}, headers: {}, config });
  };
  try {
    await way(new plivo.Client(AUTH_ID, TOKEN));
  } finally {
    axios.defaults.adapter = adapter;
  }
  const [request] = asked;
  if (request === undefined) throw new Error('the package of Plivo asked for nothing');
  return request;
}

describe('a request to Plivo', () => {
  it.each(EVERY)('$name is the one that the package of Plivo makes', async ({ run, wanted, theirs: way }) => {
    const { seen } = await ask(run, CALLER, answers(202, FIRED));
    expect(seen.map(ours)).toEqual([wanted]);
    const request = await theirs(way);
    const { method, url, data } = request;
    expect(`https://api.plivo.com${wanted.url}`).toBe(url);
    expect(wanted.method).toBe(method.toUpperCase());
    // It sends an empty object where there is nothing to say.
    expect(wanted.body ?? {}).toEqual(JSON.parse(data ?? '{}'));
    expect(seen[0]?.headers.authorization).toBe(request.headers.get('Authorization'));
    expect(seen[0]?.headers['content-type']).toBe(wanted.body === undefined ? undefined : 'application/json');
  });

  it.each(EVERY)('$name is made again only where that changes nothing', async ({ run, repeatable }) => {
    for (const first of [breaks, answers(500), answers(503, '<html>')]) {
      const { seen, result } = await ask(run, CALLER, first, answers(202, FIRED));
      expect(seen).toHaveLength(repeatable ? 2 : 1);
      expect(result).toMatchObject(repeatable ? { status: 'ok' } : refused('CARRIER_UNAVAILABLE'));
    }
    const { seen, result } = await ask(run, CALLER, answers(429));
    expect(seen).toHaveLength(1);
    expect(result).toMatchObject(refused('CARRIER_UNAVAILABLE', expect.stringContaining('HTTP 429')));
  });

  it.each(EVERY)('$name is not made without credentials', async ({ run }) => {
    const host = await restHost(answers(200));
    const signal = new AbortController().signal;
    const without: Partial<PlivoOptions>[] = [{ authId: undefined }, { authId: '' }, { authToken: '' }];
    for (const missing of without) {
      const result = await run(carrier({ baseUrl: host.baseUrl, ...missing }), CALLER, signal);
      expect(result).toMatchObject(
        refused('CARRIER_REFUSED', expect.stringMatching(/no auth (id|token) is configured/)),
      );
    }
    expect(host.seen).toEqual([]);
  });

  it.each(EVERY)('$name says why Plivo refused it, without a number', async ({ run }) => {
    const error = 'from parameter +91 80412 34567 or sip:alice@x.example is not associated with your account';
    const { result } = await ask(run, CALLER, answers(400, { api_id: 'x', error }));
    expect(result).toMatchObject(
      refused(
        'CARRIER_REFUSED',
        expect.stringContaining('HTTP 400, from parameter … or … is not associated'),
      ),
    );
    const unknown = await ask(run, CALLER, answers(401, 'Could not verify your access level'));
    expect(unknown.result).toMatchObject(
      refused('CARRIER_REFUSED', expect.stringContaining('(are the auth id and the auth token right?)')),
    );
    for (const one of [result, unknown.result]) {
      expect(inspect(one, { depth: 9 })).not.toMatch(new RegExp(`${TOKEN}|41555501|80412`));
    }
  });

  it.each(EVERY)('$name is given up with its signal', async ({ run }) => {
    const host = await restHost(() => {});
    const leave = new AbortController();
    const result = run(carrier({ baseUrl: host.baseUrl }), CALLER, leave.signal);
    leave.abort(new BridgeError('TIMEOUT', 'late'));
    expect(await result).toMatchObject(refused('CARRIER_UNAVAILABLE', expect.stringContaining('in time')));
    const gone = await run(carrier({ baseUrl: host.baseUrl }), CALLER, AbortSignal.abort());
    expect(gone).toMatchObject(refused('CANCELLED'));
  });

  it.each(ABOUT_A_CALL)('$name finds the call over', async ({ name, run }) => {
    const { seen, result } = await ask(run, CALLER, answers(404, NO_CALL));
    expect(seen).toHaveLength(1);
    expect(result).toEqual(name === 'isLive' ? { status: 'ok', live: false } : { status: 'already-ended' });
  });

  it.each(EVERY)(
    '$name does not take the 404 of something on the way for the end of the call',
    async ({ run }) => {
      const { result } = await ask(run, CALLER, answers(404, '<html>no such page</html>'));
      expect(result).toMatchObject(refused('CARRIER_REFUSED', expect.stringContaining('HTTP 404')));
    },
  );

  it.each(ABOUT_A_CALL)('$name is not made for what is no id', async ({ run }) => {
    const host = await restHost(answers(200));
    for (const callId of ['', '..', 'a/b', 'a?b', 'a b', undefined]) {
      const call = { callId, control: 'document' } as const;
      const result = await run(carrier({ baseUrl: host.baseUrl }), call, new AbortController().signal);
      expect(result).toMatchObject(refused('BAD_INPUT'));
    }
    expect(host.seen).toEqual([]);
  });

  it('goes to a base URL with a path', async () => {
    const host = await restHost(answers(204, ''));
    const one = carrier({ baseUrl: `${host.baseUrl}/plivo//` });
    expect(await one.hangUp(CALLER, new AbortController().signal)).toEqual({ status: 'ok' });
    expect(host.seen[0]?.url).toBe(`/plivo${ACCOUNT}/Call/${CALL}/`);
  });
});

describe('placing a call', () => {
  it('says where Plivo goes on when nobody answers here', async () => {
    const { seen, baseUrl } = await restHost(answers(201, FIRED));
    const one = carrier({ baseUrl, fallbackUrl: 'https://files.example.com/sorry.xml' });
    await one.dial(DIAL, new AbortController().signal);
    expect(JSON.parse(seen[0]?.body ?? '')).toMatchObject({
      fallback_url: 'https://files.example.com/sorry.xml',
      fallback_method: 'POST',
    });
  });

  it('gives the id of the request, alone or as a list', async () => {
    for (const request_uuid of [REQUEST_ID, [REQUEST_ID]]) {
      const { result } = await ask(dials(), CALLER, answers(201, { ...FIRED, request_uuid }));
      expect(result).toEqual({ status: 'ok', call: PLACED });
    }
  });

  it('asks who picked up, without making anybody wait', async () => {
    const machine = {
      machine_detection: 'true',
      machine_detection_url: DIAL.machineUrl,
      machine_detection_method: 'POST',
    };
    for (const machineDetection of ['detect', 'greeting-end'] as const) {
      const { seen } = await ask(dials({ machineDetection }), CALLER, answers(201, FIRED));
      expect(seen.map(ours)).toMatchObject([{ body: { ...DIAL_BODY, ...machine } }]);
    }
  });

  it('reaches a SIP address, and cuts what is longer than Plivo allows', async () => {
    const { seen } = await ask(
      dials({ to: ' sip:desk@phone.plivo.com ', maxS: 1e9 }),
      CALLER,
      answers(201, FIRED),
    );
    expect(seen.map(ours)).toMatchObject([{ body: { to: 'sip:desk@phone.plivo.com', time_limit: 86_400 } }]);
  });

  it('rings nobody when something is wrong with the wish', async () => {
    const wrong: Partial<DialRequest>[] = [
      { to: '' },
      { to: '14155550100' },
      { to: '+12' },
      { to: '+14155550100<14155550199' },
      { to: 'sip:a@b<14155550199' },
      { to: 'client:alice' },
      { from: 'Acme' },
      { ringS: 0 },
      { maxS: Number.NaN },
      { maxS: Number.POSITIVE_INFINITY },
    ];
    for (const change of wrong) {
      const { seen, result } = await ask(dials(change), CALLER, answers(201, FIRED));
      expect(result).toMatchObject(refused('BAD_INPUT'));
      expect(inspect(result)).not.toMatch(/41555501/);
      expect(seen).toEqual([]);
    }
  });

  it('is not tried again when the answer cannot be read: a telephone may be ringing', async () => {
    for (const body of [
      '',
      'ok',
      {},
      { request_uuid: '' },
      { request_uuid: [] },
      { request_uuid: 7 },
      [],
      null,
    ]) {
      const { seen, result } = await ask(dials(), CALLER, answers(201, body));
      expect(result).toMatchObject(refused('BAD_FRAME'));
      expect(seen).toHaveLength(1);
    }
  });
});

describe('a call that has only the id of its request', () => {
  it('is cancelled while it is queued or rings', async () => {
    const { seen, result } = await ask(hangsUp, PLACED, answers(204, ''));
    expect(result).toEqual({ status: 'ok' });
    expect(seen.map(ours)).toEqual([
      { method: 'DELETE', url: `${ACCOUNT}/Request/${REQUEST_ID}/`, body: undefined },
    ]);
    const request = await theirs((client) => client.calls.cancel(REQUEST_ID));
    expect(request).toMatchObject({
      method: 'delete',
      url: `https://api.plivo.com${ACCOUNT}/Request/${REQUEST_ID}/`,
    });
  });

  it('is hung up when it was answered meanwhile', async () => {
    const { seen, result } = await ask(hangsUp, PLACED, answers(404, NO_CALL), answers(204, ''));
    expect(result).toEqual({ status: 'ok' });
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `DELETE ${ACCOUNT}/Request/${REQUEST_ID}/`,
      `DELETE ${ACCOUNT}/Call/${REQUEST_ID}/`,
    ]);
  });

  it('is over when it is found nowhere, and not when nobody answers', async () => {
    expect((await ask(hangsUp, PLACED, answers(404, NO_CALL))).result).toEqual({ status: 'already-ended' });
    const { seen, result } = await ask(hangsUp, PLACED, answers(503));
    expect(result).toMatchObject(refused('CARRIER_UNAVAILABLE'));
    expect(seen).toHaveLength(2);
  });

  it('is known to be live, but never known to be over', async () => {
    expect((await ask(looks, PLACED, answers(200, { call_status: 'ringing' }))).result).toEqual({
      status: 'ok',
      live: true,
    });
    const { seen, result } = await ask(looks, PLACED, answers(404, NO_CALL));
    expect(result).toMatchObject(refused('CARRIER_REFUSED'));
    expect(seen[0]?.url).toBe(`${ACCOUNT}/Call/${REQUEST_ID}?status=live`);
  });

  it('cannot be told anything else yet', async () => {
    for (const run of [directs, sendsKeys, records, stopsRecording]) {
      const { seen, result } = await ask(run, PLACED, answers(202));
      expect(result).toMatchObject(refused('BAD_INPUT'));
      expect(seen).toEqual([]);
    }
  });
});

describe('directing a call', () => {
  it.each(NEXTS)('to $type has it ask what comes next', async (next) => {
    const run: Operation = (one, call, signal) => one.direct(call, next, URLS, signal);
    const { seen, result } = await ask(run, CALLER, answers(202, { message: 'call transferred' }));
    expect(result).toEqual({ status: 'ok' });
    expect(seen.map(ours)).toMatchObject([{ method: 'POST', body: { aleg_url: URLS.afterUrl } }]);
  });

  it('to its end hangs it up, and to nothing asks for nothing', async () => {
    const end: Operation = (one, call, signal) => one.direct(call, { type: 'hang-up' }, URLS, signal);
    const ended = await ask(end, CALLER, answers(204, ''));
    expect(ended.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `DELETE ${ACCOUNT}/Call/${CALL}/`,
    ]);
    const nothing: Operation = (one, call, signal) => one.direct(call, { type: 'nothing' }, URLS, signal);
    const left = await ask(nothing, CALLER, answers(500));
    expect(left.result).toEqual({ status: 'ok' });
    expect(left.seen).toEqual([]);
  });

  it('sends no keys that Plivo has not, and does not show them', async () => {
    for (const digits of ['', '1 2', '4711x', '1'.repeat(201)]) {
      const { seen, result } = await ask(
        (one, call, signal) => one.sendDigits(call, digits, signal),
        CALLER,
        answers(202),
      );
      expect(result).toMatchObject(refused('BAD_INPUT'));
      expect(inspect(result)).not.toContain('4711');
      expect(seen).toEqual([]);
    }
  });
});

describe('asking whether a call is live', () => {
  it.each([
    [{ call_status: 'in-progress', direction: 'inbound' }, true],
    [{ call_status: 'ringing' }, true],
    [{}, true],
    [{ call_status: 'completed' }, false],
    [{ call_status: 'busy' }, false],
  ])('%o: %s', async (body, live) => {
    expect((await ask(looks, CALLER, answers(200, body))).result).toEqual({ status: 'ok', live });
  });
});
