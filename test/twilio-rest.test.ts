import { inspect } from 'node:util';
import twilio from 'twilio';
import RequestClient from 'twilio/lib/base/RequestClient.js';
import { describe, expect, it } from 'vitest';
import type {
  CallRef,
  CallUrls,
  Carrier,
  ControlResult,
  DialRequest,
  DialResult,
  LiveResult,
  Next,
} from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import type { Answering, Seen } from './support/rest-host.ts';
import { answers, breaks, restHost } from './support/rest-host.ts';
import { ACCOUNT, CALL, CALLER, carrier, TOKEN } from './support/twilio.ts';

const CALLS = `/2010-04-01/Accounts/${ACCOUNT}/Calls`;
const GONE = [
  [404, { code: 20404, message: 'not found', status: 404 }],
  [400, { code: 21220, message: 'Call is not in-progress. Cannot redirect.', status: 400 }],
] as const;

const URLS: CallUrls = {
  afterUrl: 'https://bridge.example.com/after/twilio/tok?a=1&b=ä',
  announceUrl: 'https://bridge.example.com/announce/twilio/tok',
  statusUrl: 'https://bridge.example.com/status/twilio?ref=d_7',
};

const DIAL: DialRequest = {
  ref: 'd_7',
  to: '+14155550100',
  from: '+14155550101',
  ringS: 25,
  maxS: 1800,
  machineDetection: 'off',
  voiceUrl: 'https://bridge.example.com/voice/twilio?ref=d_7',
  eventsUrl: 'https://bridge.example.com/events/twilio?ref=d_7',
  statusUrl: URLS.statusUrl,
  machineUrl: 'https://bridge.example.com/machine/twilio?ref=d_7',
};

const NEXTS: Readonly<Record<Exclude<Next['type'], 'nothing' | 'hang-up'>, Next>> = {
  say: { type: 'say', text: 'Bye.', language: undefined },
  message: { type: 'message', text: 'Leave a message.', language: undefined, maxS: 60 },
  digits: { type: 'digits', digits: '12#' },
  transfer: {
    type: 'transfer',
    to: '+14155550102',
    callerId: undefined,
    ringS: 20,
    announce: undefined,
    language: undefined,
  },
  stream: {
    type: 'stream',
    plan: {
      ...URLS,
      mediaUrl: 'wss://bridge.example.com/media/twilio/tok',
      streamStatusUrl: 'https://bridge.example.com/stream-status/twilio',
      params: {},
      fallback: { type: 'hang-up' },
      plainCodec: false,
    },
  },
};

type Outcome = ControlResult | DialResult | LiveResult;
type Operation = (one: Carrier, call: CallRef, signal: AbortSignal) => Promise<Outcome>;

const hangsUp: Operation = (one, call, signal) => one.hangUp(call, signal);
const directs: Operation = (one, call, signal) => one.direct(call, NEXTS.say, URLS, signal);
const records: Operation = (one, call, signal) => one.startRecording(call, URLS, signal);
const stopsRecording: Operation = (one, call, signal) => one.stopRecording(call, signal);
const looks: Operation = (one, call, signal) => one.isLive(call, signal);
const dials =
  (change: Partial<DialRequest> = {}): Operation =>
  (one, _call, signal) =>
    one.dial({ ...DIAL, ...change }, signal);

const ABOUT_A_CALL: readonly [name: string, run: Operation, repeatable: boolean, body: unknown][] = [
  ['hangUp', hangsUp, true, {}],
  ['direct', directs, false, {}],
  ['startRecording', records, false, {}],
  ['stopRecording', stopsRecording, true, {}],
  ['isLive', looks, true, { status: 'in-progress' }],
];
const EVERY = [...ABOUT_A_CALL, ['dial', dials(), false, { sid: CALL }] as const];

/** The outcome of an operation at a host that answers like this, and what the host saw. */
async function ask(run: Operation, ...script: Answering[]) {
  const host = await restHost(...script);
  const result = await run(carrier({ baseUrl: host.baseUrl }), CALLER, new AbortController().signal);
  return { ...host, result };
}

const refused = (code: string, message: unknown = expect.any(String)) => ({
  status: 'error',
  error: { code, message },
});

type TheirWay = (client: ReturnType<typeof twilio>) => Promise<unknown>;

/** What the package of Twilio would ask for. */
async function theirs(way: TheirWay): Promise<RequestClient.RequestOptions> {
  const asked: RequestClient.RequestOptions[] = [];
  const httpClient = new RequestClient();
  httpClient.request = (options) => {
    asked.push(options);
    return Promise.reject(new Error('recorded'));
  };
  await expect(way(twilio(ACCOUNT, TOKEN, { httpClient }))).rejects.toThrow('recorded');
  const [only] = asked;
  if (only === undefined) throw new Error('nothing was asked');
  return only;
}

/** Pairs in order of their names; a field that comes several times keeps the order of its values. */
function pairs(data: object): [string, string][] {
  return Object.entries(data)
    .flatMap(([name, value]: [string, unknown]) =>
      [value].flat().map((one): [string, string] => [name, String(one)]),
    )
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function formPairs(body: string): [string, string][] {
  const names = new URLSearchParams(body);
  return pairs(Object.fromEntries([...new Set(names.keys())].map((name) => [name, names.getAll(name)])));
}

/** `ours` asks what the package asks, with the same credentials. */
function expectSame(ours: Seen | undefined, theirOptions: RequestClient.RequestOptions): void {
  if (ours === undefined) throw new Error('nothing was asked');
  expect(theirOptions).toMatchObject({
    method: ours.method?.toLowerCase(),
    uri: `https://api.twilio.com${ours.url}`,
    username: ACCOUNT,
    password: TOKEN,
  });
  expect(ours.headers.authorization).toBe(`Basic ${Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64')}`);
  expect(formPairs(ours.body)).toEqual(pairs(theirOptions.data ?? {}));
  expect(ours.headers['content-type']).toBe(theirOptions.headers?.['Content-Type']);
}

describe('hanging up', () => {
  it('asks for what the package of Twilio asks for', async () => {
    const { seen, result } = await ask(hangsUp, answers(200, { sid: CALL, status: 'completed' }));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: `${CALLS}/${CALL}.json`,
      body: 'Status=completed',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    });
    expectSame(seen[0], await theirs((client) => client.calls(CALL).update({ status: 'completed' })));
  });

  it('keeps the path of a base URL', async () => {
    const host = await restHost(answers(200));
    const one = carrier({ baseUrl: `${host.baseUrl}/twilio/` });
    await expect(one.hangUp(CALLER, new AbortController().signal)).resolves.toEqual({ status: 'ok' });
    expect(host.seen[0]?.url).toBe(`/twilio${CALLS}/${CALL}.json`);
  });

  it.each([
    [401, { code: 20003 }, 'CARRIER_REFUSED', 'HTTP 401, error 20003 (are the account SID', 1],
    [403, '', 'CARRIER_REFUSED', 'HTTP 403', 1],
    [404, '<html>nginx</html>', 'CARRIER_REFUSED', 'HTTP 404', 1],
    [404, { code: '20404' }, 'CARRIER_REFUSED', 'HTTP 404', 1],
    [400, { code: 20001 }, 'CARRIER_REFUSED', 'HTTP 400, error 20001', 1],
    [302, '', 'CARRIER_REFUSED', 'HTTP 302', 1],
    [429, { code: 20429 }, 'CARRIER_UNAVAILABLE', 'HTTP 429, error 20429', 1],
    [500, { code: '7' }, 'CARRIER_UNAVAILABLE', 'HTTP 500', 2],
    [503, 'null', 'CARRIER_UNAVAILABLE', 'HTTP 503', 2],
  ])('answers %i %j with %s', async (status, body, code, message, requests) => {
    const { result, seen } = await ask(hangsUp, answers(status, body));
    expect(result).toMatchObject(refused(code, expect.stringContaining(message)));
    expect(seen).toHaveLength(requests);
  });

  it('takes a call that the lost first request ended for ended', async () => {
    const { result } = await ask(hangsUp, breaks, answers(404, { code: 20404 }));
    expect(result).toEqual({ status: 'already-ended' });
  });

  it('names the trouble and the host when nobody listens', async () => {
    const host = await restHost(answers(200));
    await new Promise((done) => host.server.close(done));
    const result = await carrier({ baseUrl: host.baseUrl }).hangUp(CALLER, new AbortController().signal);
    const address = new URL(host.baseUrl).host;
    expect(result).toMatchObject(
      refused(
        'CARRIER_UNAVAILABLE',
        expect.stringContaining(`hang up call ${CALL}: ECONNREFUSED at ${address}`),
      ),
    );
  });

  it.each([
    ['nonsense', 'not an http or https URL'],
    ['ftp://api.twilio.com', 'not an http or https URL'],
    ['https://user:SECRET@api.twilio.com', 'holds a user name or password'],
  ])('does not start with the base URL %s', (baseUrl, message) => {
    expect(() => carrier({ baseUrl })).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringContaining(message) }),
    );
    expect(() => carrier({ baseUrl })).not.toThrow('SECRET');
  });
});

describe('placing a call', () => {
  const PLACED = answers(201, { sid: CALL, status: 'queued' });
  const SDK_DIAL = {
    to: DIAL.to,
    from: DIAL.from,
    url: DIAL.voiceUrl,
    method: 'POST',
    statusCallback: DIAL.statusUrl,
    statusCallbackMethod: 'POST',
    statusCallbackEvent: ['initiated', 'ringing', 'answered', 'completed'],
    timeout: 25,
    timeLimit: 1800,
  };
  const AMD = {
    asyncAmd: 'true',
    asyncAmdStatusCallback: DIAL.machineUrl,
    asyncAmdStatusCallbackMethod: 'POST',
  };

  it('says where Twilio goes on when nobody answers here', async () => {
    const { seen, baseUrl } = await restHost(PLACED);
    const one = carrier({ baseUrl, fallbackUrl: 'https://handler.example.com/sorry?a=1' });
    await one.dial(DIAL, new AbortController().signal);
    const form = new URLSearchParams(seen[0]?.body);
    expect(form.get('FallbackUrl')).toBe('https://handler.example.com/sorry?a=1');
    expect(form.get('FallbackMethod')).toBe('POST');
  });

  it('sends this form, and knows the call by the answer', async () => {
    const { seen, result } = await ask(dials(), PLACED);
    expect(result).toEqual({ status: 'ok', call: { callId: CALL, control: 'document' } });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: `${CALLS}.json`,
      body:
        'To=%2B14155550100&From=%2B14155550101' +
        '&Url=https%3A%2F%2Fbridge.example.com%2Fvoice%2Ftwilio%3Fref%3Dd_7&Method=POST' +
        '&StatusCallback=https%3A%2F%2Fbridge.example.com%2Fstatus%2Ftwilio%3Fref%3Dd_7&StatusCallbackMethod=POST' +
        '&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing' +
        '&StatusCallbackEvent=answered&StatusCallbackEvent=completed' +
        '&Timeout=25&TimeLimit=1800',
    });
  });

  it.each([
    ['off', {}],
    ['detect', { machineDetection: 'Enable', ...AMD }],
    ['greeting-end', { machineDetection: 'DetectMessageEnd', ...AMD }],
  ] as const)(
    'asks for what the package asks for with machine detection %s',
    async (machineDetection, amd) => {
      const { seen } = await ask(dials({ machineDetection }), PLACED);
      expectSame(seen[0], await theirs((client) => client.calls.create({ ...SDK_DIAL, ...amd })));
    },
  );

  it('is not tried twice, whatever went wrong', async () => {
    for (const trouble of [breaks, answers(500), answers(503), answers(429, { code: 20429 })]) {
      const { seen, result } = await ask(dials(), trouble, PLACED);
      expect(result).toMatchObject(refused('CARRIER_UNAVAILABLE'));
      expect(seen).toHaveLength(1);
    }
  });

  it.each([
    [{}],
    [{ sid: null }],
    [{ sid: 'queued' }],
    [{ sid: `${CALL}/x` }],
    [{ sid: 'SM00000000000000000000000000000001' }],
    [[]],
    ['null'],
    ['<html>'],
    [''],
  ])('does not take %j for a call, nor for something to try again', async (body) => {
    const { result } = await ask(dials(), answers(201, body));
    expect(result).toMatchObject(refused('BAD_FRAME', expect.stringContaining('no id of a call')));
    expect((result as { error: BridgeError }).error.verdict.retry).toBe(false);
  });

  it('takes an unknown account for a refusal, and not for a call that is over', async () => {
    for (const [status, body] of GONE) {
      const { result } = await ask(dials(), answers(status, body));
      expect(result).toMatchObject(
        refused('CARRIER_REFUSED', expect.stringContaining(`HTTP ${status}, error ${body.code}`)),
      );
    }
  });

  it.each([
    ['+1 (415) 555-0100', '+14155550100'],
    ['sip:desk@example.com;transport=tls', 'sip:desk@example.com;transport=tls'],
    ['client:alice', 'client:alice'],
  ])('rings %s', async (to, wanted) => {
    const { seen } = await ask(dials({ to }), PLACED);
    expect(new URLSearchParams(seen[0]?.body).get('To')).toBe(wanted);
  });

  it.each([
    '',
    '4155550100',
    '+1',
    '+1415x550100',
    'sip:',
    'sip:a b',
    'https://4155550100.example',
    'anonymous',
  ])('asks nobody to ring %j, and does not repeat it', async (number) => {
    for (const change of [{ to: number }, { from: number }]) {
      const { seen, result } = await ask(dials(change), PLACED);
      const [end] = Object.keys(change);
      expect(result).toMatchObject(refused('BAD_INPUT', expect.stringContaining(`'${end}' of a call`)));
      expect(inspect(result)).not.toContain('415');
      expect(seen).toEqual([]);
    }
  });

  it('asks for whole seconds, and to ring no longer than Twilio does', async () => {
    const times = async (change: Partial<DialRequest>) => {
      const { seen, result } = await ask(dials(change), PLACED);
      const sent = new URLSearchParams(seen[0]?.body);
      return result.status === 'ok' ? [sent.get('Timeout'), sent.get('TimeLimit')] : result;
    };
    expect(await times({ ringS: 0.2, maxS: 59.5 })).toEqual(['1', '60']);
    expect(await times({ ringS: 86_400, maxS: 86_400 })).toEqual(['600', '86400']);
    for (const bad of [0, -5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await times({ ringS: bad })).toMatchObject(refused('BAD_INPUT'));
      expect(await times({ maxS: bad })).toMatchObject(refused('BAD_INPUT'));
    }
  });
});

describe('directing a call', () => {
  const directed = (next: Next, ...script: Answering[]) =>
    ask((one, call, signal) => one.direct(call, next, URLS, signal), ...script);

  it.each(Object.values(NEXTS).map((next) => [next.type, next] as const))(
    'makes Twilio ask again for %s',
    async (_type, next) => {
      const { seen, result } = await directed(next, answers(200, { sid: CALL }));
      expect(result).toEqual({ status: 'ok' });
      expect(seen).toHaveLength(1);
      expect(seen[0]).toMatchObject({
        method: 'POST',
        url: `${CALLS}/${CALL}.json`,
        body: 'Url=https%3A%2F%2Fbridge.example.com%2Fafter%2Ftwilio%2Ftok%3Fa%3D1%26b%3D%C3%A4&Method=POST',
      });
      const way: TheirWay = (client) => client.calls(CALL).update({ url: URLS.afterUrl, method: 'POST' });
      expectSame(seen[0], await theirs(way));
    },
  );

  it('ends a call that is to be hung up', async () => {
    const { seen, result } = await directed({ type: 'hang-up' }, answers(200));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toMatchObject([{ url: `${CALLS}/${CALL}.json`, body: 'Status=completed' }]);
  });

  it('asks nothing of Twilio when there is nothing to do', async () => {
    const { seen, result } = await directed({ type: 'nothing' }, answers(500));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toEqual([]);
  });

  it('presses no keys by request', async () => {
    const { seen, result } = await ask(
      (one, call, signal) => one.sendDigits(call, '4915', signal),
      answers(200),
    );
    expect(result).toMatchObject(refused('BAD_INPUT', expect.stringContaining('document')));
    expect(inspect(result)).not.toContain('4915');
    expect(seen).toEqual([]);
  });
});

describe('recording', () => {
  it('begins with what the package of Twilio asks for', async () => {
    const { seen, result } = await ask(records, answers(201, { sid: 'RE1', status: 'in-progress' }));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toMatchObject([
      {
        method: 'POST',
        url: `${CALLS}/${CALL}/Recordings.json`,
        body:
          'RecordingChannels=dual' +
          '&RecordingStatusCallback=https%3A%2F%2Fbridge.example.com%2Fstatus%2Ftwilio%3Fref%3Dd_7' +
          '&RecordingStatusCallbackEvent=completed',
      },
    ]);
    const options = {
      recordingChannels: 'dual',
      recordingStatusCallback: URLS.statusUrl,
      recordingStatusCallbackEvent: ['completed'],
    };
    expectSame(seen[0], await theirs((client) => client.calls(CALL).recordings.create(options)));
  });

  it('ends with what the package of Twilio asks for', async () => {
    const { seen, result } = await ask(stopsRecording, answers(200, { sid: 'RE1', status: 'stopped' }));
    expect(result).toEqual({ status: 'ok' });
    expect(seen).toMatchObject([
      {
        method: 'POST',
        url: `${CALLS}/${CALL}/Recordings/Twilio.CURRENT.json`,
        body: 'Status=stopped',
      },
    ]);
    const way: TheirWay = (client) =>
      client.calls(CALL).recordings('Twilio.CURRENT').update({ status: 'stopped' });
    expectSame(seen[0], await theirs(way));
  });
});

describe('looking whether a call is up', () => {
  it('asks for what the package of Twilio asks for, without a body', async () => {
    const { seen, result } = await ask(looks, answers(200, { sid: CALL, status: 'in-progress' }));
    expect(result).toEqual({ status: 'ok', live: true });
    expect(seen).toMatchObject([{ method: 'GET', url: `${CALLS}/${CALL}.json`, body: '' }]);
    expect(seen[0]?.headers['content-type']).toBeUndefined();
    const asked = await theirs((client) => client.calls(CALL).fetch());
    expectSame(seen[0], { ...asked, headers: {} });
  });

  it.each([
    ['queued', true],
    ['ringing', true],
    ['in-progress', true],
    ['completed', false],
    ['busy', false],
    ['failed', false],
    ['no-answer', false],
    ['canceled', false],
  ])('reads status %s as %j', async (status, live) => {
    const { result } = await ask(looks, answers(200, { sid: CALL, status }));
    expect(result).toEqual({ status: 'ok', live });
  });

  it('takes a call that Twilio does not know for one that is over', async () => {
    const { result } = await ask(looks, answers(404, { code: 20404 }));
    expect(result).toEqual({ status: 'ok', live: false });
  });

  it.each([[{}], [{ status: 'melting' }], [{ status: 1 }], ['<html>'], ['null'], ['']])(
    'does not take %j for a call that is over',
    async (body) => {
      const { result } = await ask(looks, answers(200, body));
      expect(result).toMatchObject(refused('BAD_FRAME'));
    },
  );

  it('does not take an answer of something else on the way for a call that is over', async () => {
    const { result } = await ask(looks, answers(404, '<html>nginx</html>'));
    expect(result).toMatchObject(refused('CARRIER_REFUSED'));
  });
});

describe('every request', () => {
  it.each(ABOUT_A_CALL.filter(([name]) => name !== 'isLive'))(
    '%s: takes a call that is over for a success',
    async (_name, run) => {
      for (const [status, body] of GONE) {
        const { result, seen } = await ask(run, answers(status, body));
        expect(result).toEqual({ status: 'already-ended' });
        expect(seen).toHaveLength(1);
      }
    },
  );

  it.each(EVERY)(
    '%s: is made again only where that changes nothing',
    async (_name, run, repeatable, body) => {
      for (const trouble of [breaks, answers(502)]) {
        const { result, seen } = await ask(run, trouble, answers(200, body));
        expect(result).toMatchObject(repeatable ? { status: 'ok' } : refused('CARRIER_UNAVAILABLE'));
        expect(seen).toHaveLength(repeatable ? 2 : 1);
        if (repeatable) expect(seen[1]).toEqual({ ...seen[0], headers: seen[1]?.headers });
      }
      const { result, seen } = await ask(run, breaks);
      expect(result).toMatchObject(refused('CARRIER_UNAVAILABLE'));
      expect(seen).toHaveLength(repeatable ? 2 : 1);
    },
  );

  it.each(EVERY)('%s: does not hurry after "too many requests"', async (_name, run) => {
    const { result, seen } = await ask(run, answers(429, { code: 20429 }));
    expect(result).toMatchObject(refused('CARRIER_UNAVAILABLE', expect.stringContaining('HTTP 429')));
    expect(seen).toHaveLength(1);
  });

  it.each(EVERY)(
    '%s: does not follow a redirect, which would take the credentials along',
    async (_name, run) => {
      const elsewhere = await restHost(answers(200));
      for (const status of [301, 307]) {
        const { result } = await ask(run, (_request, response) => {
          response.writeHead(status, { location: elsewhere.baseUrl }).end();
        });
        expect(result).toMatchObject(refused('CARRIER_REFUSED'));
      }
      expect(elsewhere.seen).toEqual([]);
    },
  );

  it.each(
    EVERY.flatMap(([name, run]) => [
      [name, 'a deadline', run, new BridgeError('TIMEOUT', 'too long'), 'CARRIER_UNAVAILABLE'] as const,
      [
        name,
        'a deadline of the platform',
        run,
        new DOMException('late', 'TimeoutError'),
        'CARRIER_UNAVAILABLE',
      ] as const,
      [name, 'the end of the process', run, undefined, 'CANCELLED'] as const,
    ]),
  )('%s: stops at once for %s and does not try again', async (_name, _why, run, why, code) => {
    let wasAsked = (): void => {};
    const asked = new Promise<void>((done) => {
      wasAsked = done;
    });
    const host = await restHost(() => wasAsked());
    const abort = new AbortController();
    const pending = run(carrier({ baseUrl: host.baseUrl }), CALLER, abort.signal);
    await asked;
    abort.abort(why);
    expect(await pending).toMatchObject(refused(code));
    expect(host.seen).toHaveLength(1);
  });

  it.each(EVERY)('%s: asks nobody when the signal has aborted already', async (_name, run) => {
    const host = await restHost(answers(200));
    const result = await run(carrier({ baseUrl: host.baseUrl }), CALLER, AbortSignal.abort());
    expect(result).toMatchObject(refused('CANCELLED'));
    expect(host.seen).toEqual([]);
  });

  it.each(
    EVERY.flatMap(([name, run]) => [
      [name, 'no account', run, { accountSid: undefined }, 'no account SID is configured'] as const,
      [name, 'no token', run, { authToken: undefined }, 'no auth token is configured'] as const,
      [name, 'an empty token', run, { authToken: '' }, 'no auth token is configured'] as const,
    ]),
  )('%s: is refused without asking when there is %s', async (_name, _what, run, options, message) => {
    const host = await restHost(answers(200));
    const { signal } = new AbortController();
    const result = await run(carrier({ ...options, baseUrl: host.baseUrl }), CALLER, signal);
    expect(result).toMatchObject(refused('CARRIER_REFUSED', expect.stringContaining(message)));
    expect(host.seen).toEqual([]);
  });

  it.each(ABOUT_A_CALL)('%s: never leaves its part of the path', async (_name, run) => {
    const host = await restHost(answers(200));
    const one = carrier({ baseUrl: host.baseUrl });
    const { signal } = new AbortController();
    await run(one, { ...CALLER, callId: '%2e%2e&x=1' }, signal);
    expect(host.seen[0]?.url).toMatch(/\/Calls\/%252e%252e%26x%3D1[/.]/);
    const bad = [undefined, '', '.', '..', '../../x?y#z', 'a b', '\ud800', 'a\\b', 'x'.repeat(500)];
    for (const callId of bad) {
      expect(await run(one, { callId, control: 'document' }, signal)).toMatchObject(refused('BAD_INPUT'));
    }
    expect(host.seen).toHaveLength(1);
  });

  it.each(EVERY)('%s: never shows its secrets', async (_name, run) => {
    const basic = Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64');
    const echo: Answering = (incoming, response) => {
      response.writeHead(500).end(JSON.stringify({ code: 1, message: incoming.headers.authorization }));
    };
    for (const script of [echo, breaks, answers(401, { message: TOKEN }), answers(200, { sid: TOKEN })]) {
      const { result } = await ask(run, script);
      const text = inspect(result, { depth: 20, showHidden: true });
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain(basic);
      expect(text).not.toContain(DIAL.to);
    }
  });
});
