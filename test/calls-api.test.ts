import { describe, expect, it } from 'vitest';
import { API_TOKEN, FROM, operatedService, sidOf, TO } from './support/operator.ts';
import { type Answering, answers, breaks } from './support/rest-host.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const ORDER = { to: TO, from: FROM };
/** Every operation on calls, with a body that would do. */
const REQUESTS = [
  ['POST', '/calls', ORDER],
  ['GET', '/calls', undefined],
  ['GET', '/calls/call_1', undefined],
  ['GET', '/calls/call_1/events', undefined],
  ['POST', '/calls/call_1/hang-up', undefined],
  ['POST', '/calls/call_1/transfer', { to: TO }],
  ['POST', '/calls/call_1/digits', { digits: '1' }],
  ['POST', '/calls/call_1/recording', undefined],
  ['DELETE', '/calls/call_1/recording', undefined],
] as const;

function fault(body: Readonly<Record<string, unknown>>) {
  return body['error'] as { code: string; message: string; retry: boolean };
}

describe('who may ask', () => {
  it.each([...REQUESTS, ['GET', '/calls/nothing/here', undefined]] as const)(
    'nobody while no token is set, and is told so: %s %s',
    async (method, path, body) => {
      const on = await operatedService({ API_TOKEN: '' });
      const { status, body: answer } = await on.ask(method, path, { body });
      expect(status).toBe(404);
      expect(fault(answer)).toEqual({
        code: 'API_OFF',
        message: 'calls cannot be controlled here: API_TOKEN is not set',
        retry: false,
      });
      expect(on.rest()).toEqual([]);
    },
  );

  it.each(REQUESTS)('nobody without the token: %s %s', async (method, path, body) => {
    const on = await operatedService();
    const wrong = [
      '',
      'Bearer',
      `Basic ${API_TOKEN}`,
      'Bearer operators-onlY',
      `Bearer ${API_TOKEN}x`,
      `Bearer  `,
    ];
    for (const authorization of wrong) {
      const {
        status,
        headers,
        body: answer,
      } = await on.ask(method, path, { body, headers: { authorization } });
      expect([authorization, status]).toEqual([authorization, 401]);
      expect(headers.get('www-authenticate')).toMatch(/^Bearer realm="patchcord"/);
      expect(fault(answer).code).toBe('UNAUTHORIZED');
    }
    expect(on.rest()).toEqual([]);
    const log = on.log.join('');
    expect(log).toContain('a request of an operator was refused');
    expect(log).not.toContain('operators-onlY');
    const figures = await fetch(`${on.url}/metrics`, { headers: { authorization: `bearer ${API_TOKEN}` } });
    expect(await figures.text()).toContain('patchcord_refused_requests_total{what="api",reason="wrong"} 2');
  });

  it('whoever has it, also where the word before it is written small', async () => {
    const on = await operatedService();
    const { status } = await on.ask('GET', '/calls', { headers: { authorization: `bearer ${API_TOKEN}` } });
    expect(status).toBe(200);
  });
});

describe('a call that is placed', () => {
  it('is ordered from the carrier, in its words', async () => {
    const on = await operatedService({ MAX_CALL_SECONDS: '900' });
    const { status, headers, body } = await on.ask('POST', '/calls', { body: ORDER });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      carrier: 'twilio',
      carrierCallId: sidOf(1),
      direction: 'outbound',
      ...ORDER,
      agent: 'line-check',
      status: 'queued',
    });
    expect(body['createdAt']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(headers.get('location')).toBe(`/calls/${body['id']}`);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(on.rest()).toEqual([
      {
        what: 'POST /Calls.json',
        fields: expect.objectContaining({
          To: TO,
          From: FROM,
          Timeout: '40',
          TimeLimit: '900',
          Url: `${on.url}/voice/twilio?ref=${body['id']}`,
        }),
      },
    ]);
    expect(on.rest()[0]?.fields).not.toHaveProperty('MachineDetection');
  });

  it.each([
    [
      { 'bad name': '2' },
      'variables.bad name: found the name "bad name", wanted a name of letters, digits, _ and ., at most 64 characters, not beginning with a digit',
    ],
    [
      { caller: '+15550199' },
      expect.stringMatching(
        /^variables\.caller: found the name "caller", wanted another name than those that the bridge fills in itself \(caller, /,
      ),
    ],
  ])('is not ordered with variables of such names: %j', async (variables, message) => {
    const on = await operatedService();
    const { status, body } = await on.ask('POST', '/calls', { body: { ...ORDER, variables } });
    expect([status, fault(body).code]).toEqual([400, 'BAD_INPUT']);
    expect(fault(body).message).toEqual(message);
    expect(on.rest()).toEqual([]);
  });

  it('rings, lasts and listens for machines as the order says', async () => {
    const on = await operatedService();
    const machineDetection = { mode: 'leave-message', message: 'Please call back.' };
    await on.place({ carrier: 'twilio', ringSeconds: 12, maxSeconds: 60, machineDetection });
    expect(on.rest()[0]?.fields).toMatchObject({
      Timeout: '12',
      TimeLimit: '60',
      MachineDetection: 'DetectMessageEnd',
    });
  });

  it('lasts no longer than calls may last', async () => {
    const on = await operatedService({ MAX_CALL_SECONDS: '300' });
    await on.place({ maxSeconds: 86_400 });
    expect(on.rest()[0]?.fields).toMatchObject({ TimeLimit: '300' });
  });

  it.each([
    [
      {},
      'to: found nothing, wanted + and 3 to 15 digits, or sip:…; from: found nothing, wanted + and 3 to 15',
    ],
    [
      { ...ORDER, to: '14155550123' },
      'to: found text of 11 characters, wanted + and 3 to 15 digits, or sip:…',
    ],
    [{ ...ORDER, from: 5 }, 'from: found 5, wanted + and'],
    [{ ...ORDER, to: 'sip:a b' }, 'to: found text of 7 characters'],
    [{ ...ORDER, carrier: 'twillio' }, 'carrier: found "twillio", wanted one of twilio, telnyx, plivo'],
    [{ ...ORDER, carrier: 'plivo' }, 'carrier: found plivo, which is not configured; there is twilio'],
    [{ ...ORDER, ringSeconds: 4 }, 'ringSeconds: found 4, wanted a whole number from 5 to 600'],
    [{ ...ORDER, ringSeconds: 5.5 }, 'ringSeconds: found 5.5, wanted a whole number from 5 to 600'],
    [{ ...ORDER, ringSeconds: '40' }, 'ringSeconds: found text of 2 characters, wanted a whole'],
    [{ ...ORDER, maxSeconds: 0 }, 'maxSeconds: found 0, wanted a whole number from 1 to 86400'],
    [
      { ...ORDER, machineDetection: 'on' },
      'machineDetection: found text of 2 characters, wanted "off", {"mode"',
    ],
    [
      { ...ORDER, machineDetection: { mode: 'leave-message' } },
      'machineDetection: found an object with mode, wanted "off"',
    ],
    [{ ...ORDER, ring: 3 }, 'ring: found a field that nobody knows'],
    [[ORDER], 'the body: found a list, wanted a JSON object'],
    [
      { ...ORDER, ringSeconds: 1, maxSeconds: null, x: 1 },
      /^ringSeconds: .*; maxSeconds: found null.*; x: found/,
    ],
  ])('is refused with all that is wrong with it: %j', async (body, message) => {
    const on = await operatedService();
    const { status, body: answer } = await on.ask('POST', '/calls', { body });
    expect(status).toBe(400);
    expect(fault(answer).code).toBe('BAD_INPUT');
    if (typeof message === 'string') expect(fault(answer).message).toContain(message);
    else expect(fault(answer).message).toMatch(message);
    expect(on.rest()).toEqual([]);
  });

  it('is refused when the body is missing, no JSON, too large, of another type or packed', async () => {
    const on = await operatedService();
    const ask = async (text: string, headers: Record<string, string> = {}) => {
      const { status, body } = await on.ask('POST', '/calls', { text, headers });
      return [status, fault(body).code, fault(body).message];
    };
    expect((await on.ask('POST', '/calls')).status).toBe(400);
    expect(await ask('{"to": +14155550123}')).toEqual([
      400,
      'BAD_INPUT',
      expect.not.stringContaining('4155'),
    ]);
    expect(await ask('"text"')).toEqual([400, 'BAD_INPUT', expect.any(String)]);
    expect(await ask(JSON.stringify({ ...ORDER, x: 'x'.repeat(70_000) }))).toEqual([
      413,
      'TOO_LARGE',
      'the body: found more than 64kb, wanted less',
    ]);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(await ask('to=%2B1', form)).toEqual([415, 'UNSUPPORTED_TYPE', expect.any(String)]);
    expect(await ask('{}', { 'content-encoding': 'odd' })).toEqual([
      415,
      'UNSUPPORTED_TYPE',
      expect.any(String),
    ]);
    expect(on.rest()).toEqual([]);
  });

  it.each([
    ['refuses', [answers(400, { code: 21211, message: 'no' })], 502, 'CARRIER_REFUSED'],
    ['does not know the account', [answers(401)], 502, 'CARRIER_REFUSED'],
    ['is out of order', [answers(503)], 502, 'CARRIER_UNAVAILABLE'],
    ['hangs up on us', [breaks], 502, 'CARRIER_UNAVAILABLE'],
    ['answers nonsense', [answers(201, 'hello')], 502, 'BAD_FRAME'],
  ] as const)(
    'fails when the carrier %s, is not placed again, and is not to be',
    async (_how, script, status, code) => {
      const on = await operatedService({}, {}, ...script);
      const answer = await on.ask('POST', '/calls', { body: ORDER });
      expect(answer.status).toBe(status);
      expect(fault(answer.body)).toMatchObject({ code, retry: false });
      expect(on.rest()).toHaveLength(1);
      const { body } = await on.ask('GET', '/calls');
      expect(body['calls']).toMatchObject([{ status: 'ended', outcome: 'failed' }]);
    },
  );

  it('fails as late when the carrier does not answer in time', async () => {
    const clock = new VirtualClock();
    const on = await operatedService({}, { clock }, () => undefined);
    const answer = on.ask('POST', '/calls', { body: ORDER });
    await expect.poll(() => on.rest().length).toBe(1);
    clock.advance(10_001);
    const { status, body } = await answer;
    expect([status, fault(body).code]).toEqual([504, 'CARRIER_UNAVAILABLE']);
  });

  it('is not placed when there is no room, or the service is stopping', async () => {
    const on = await operatedService({ MAX_CALLS: '1' });
    await on.place();
    const full = await on.ask('POST', '/calls', { body: ORDER });
    expect([full.status, fault(full.body).code]).toEqual([503, 'OVER_CAPACITY']);
    expect(on.rest()).toHaveLength(1);
  });
});

describe('an Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'order-17' };

  it('makes the same order the same call, however the call goes on', async () => {
    const on = await operatedService();
    const first = await on.ask('POST', '/calls', { body: ORDER, headers });
    const again = await on.ask('POST', '/calls', { body: ORDER, headers });
    expect([again.status, again.body['id']]).toEqual([201, first.body['id']]);
    expect([first, again].map((answer) => answer.headers.get('idempotent-replayed'))).toEqual([null, 'true']);
    await on.webhook('status', String(first.body['id']), { CallStatus: 'busy' });
    const later = await on.ask('POST', '/calls', { body: ORDER, headers });
    expect(later.body).toMatchObject({ id: first.body['id'], status: 'ended', outcome: 'busy' });
    expect(on.rest()).toHaveLength(1);
  });

  it('holds while the first order is under way', async () => {
    let release: () => void = () => undefined;
    const slowly: Answering = (request, response) => {
      release = () => answers(201, { sid: sidOf(1) })(request, response);
    };
    const on = await operatedService({}, {}, slowly, answers(200));
    const first = on.ask('POST', '/calls', { body: ORDER, headers });
    await expect.poll(() => on.rest().length).toBe(1);
    const second = on.ask('POST', '/calls', { body: ORDER, headers });
    // Another request that was sent later and has been answered: the second order has come in too.
    await on.ask('GET', '/calls');
    release();
    expect((await second).body['id']).toBe((await first).body['id']);
    expect(on.rest()).toHaveLength(1);
  });

  it('holds after the service has forgotten the call', async () => {
    const clock = new VirtualClock();
    const on = await operatedService({}, { clock });
    const { body } = await on.ask('POST', '/calls', { body: ORDER, headers });
    const id = String(body['id']);
    await on.webhook('status', id, { CallStatus: 'no-answer' });
    clock.advance(3_600_000);
    expect((await on.ask('GET', `/calls/${id}`)).status).toBe(404);
    const again = await on.ask('POST', '/calls', { body: ORDER, headers });
    expect(again.body).toMatchObject({ id, outcome: 'no-answer' });
    clock.advance(86_400_000);
    const next = await on.ask('POST', '/calls', { body: ORDER, headers });
    expect(next.body['id']).not.toBe(id);
  });

  it('is for one order only', async () => {
    const on = await operatedService();
    await on.ask('POST', '/calls', { body: ORDER, headers });
    const other = await on.ask('POST', '/calls', { body: { ...ORDER, to: '+14155550199' }, headers });
    expect([other.status, fault(other.body).code]).toEqual([422, 'KEY_REUSED']);
    expect(on.rest()).toHaveLength(1);
  });

  it('is free again after an order that certainly reached nobody, and not after one that was lost', async () => {
    const script = [answers(400, { code: 21211 }), answers(201, { sid: sidOf(1) })];
    const on = await operatedService({}, {}, ...script);
    expect((await on.ask('POST', '/calls', { body: ORDER, headers })).status).toBe(502);
    expect((await on.ask('POST', '/calls', { body: ORDER, headers })).status).toBe(201);
    const lost = await operatedService({}, {}, breaks);
    for (const _ of [1, 2]) {
      const { status, body } = await lost.ask('POST', '/calls', { body: ORDER, headers });
      expect([status, fault(body).code]).toEqual([502, 'CARRIER_UNAVAILABLE']);
    }
    expect(lost.rest()).toHaveLength(1);
  });

  it.each(['', 'two words', 'x'.repeat(201)])('is refused when it is %j', async (key) => {
    const on = await operatedService();
    const answer = await on.ask('POST', '/calls', { body: ORDER, headers: { 'idempotency-key': key } });
    expect(answer.status).toBe(400);
    expect(fault(answer.body).message).toContain(`Idempotency-Key: found text of ${key.length} characters`);
  });
});

describe('the list of calls', () => {
  it('has the newest first, by their state and as many as wanted', async () => {
    const on = await operatedService();
    const ids = [await on.place(), await on.place(), await on.place()];
    await on.webhook('status', ids[1] ?? '', { CallStatus: 'busy' });
    const list = async (query: string) => {
      const { body } = await on.ask('GET', `/calls${query}`);
      return (body['calls'] as { id: string }[]).map(({ id }) => ids.indexOf(id));
    };
    expect(await list('')).toEqual([2, 1, 0]);
    expect(await list('?status=live')).toEqual([2, 0]);
    expect(await list('?status=ended')).toEqual([1]);
    expect(await list('?status=all&limit=2')).toEqual([2, 1]);
  });

  it.each([
    ['status=dead', 'status: found "dead", wanted one of live, ended, all'],
    ['limit=0', 'limit: found 0, wanted a whole number from 1 to 1000'],
    ['limit=many', 'limit: found text of 4 characters, wanted a whole number'],
    ['limit=1&limit=2', 'limit: found a list, wanted'],
    ['page=2', 'page: found a field that nobody knows'],
  ])('refuses ?%s', async (query, message) => {
    const on = await operatedService();
    const { status, body } = await on.ask('GET', `/calls?${query}`);
    expect(status).toBe(400);
    expect(fault(body).message).toContain(message);
  });
});

describe('control of a call', () => {
  it('ends one that rings', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.webhook('status', id, { CallStatus: 'ringing' });
    expect((await on.ask('GET', `/calls/${id}`)).body).toMatchObject({ status: 'ringing' });
    const done = await on.ask('POST', `/calls/${id}/hang-up`);
    expect([done.status, done.body]).toEqual([202, { status: 'ok' }]);
    expect(on.rest()[1]).toEqual({ what: `POST /Calls/${sidOf(1)}.json`, fields: { Status: 'completed' } });
    expect((await on.ask('GET', `/calls/${id}`)).body).toMatchObject({
      status: 'ended',
      outcome: 'canceled',
    });
    const again = await on.ask('POST', `/calls/${id}/hang-up`);
    expect([again.status, again.body['status'], fault(again.body).code]).toEqual([
      409,
      'already-ended',
      'ALREADY_ENDED',
    ]);
  });

  it('ends one that is up', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    expect((await on.ask('POST', `/calls/${id}/hang-up`)).status).toBe(202);
    expect((await on.ask('GET', `/calls/${id}`)).body).toMatchObject({
      status: 'ended',
      outcome: 'completed',
      endReason: 'operator-hung-up',
    });
  });

  it('does not end one whose order is still under way, and says to try again', async () => {
    const on = await operatedService({}, {}, () => undefined);
    on.ask('POST', '/calls', { body: ORDER }).catch(() => undefined);
    await expect.poll(() => on.rest().length).toBe(1);
    const [call] = (await on.ask('GET', '/calls')).body['calls'] as [{ id: string }];
    const { status, body } = await on.ask('POST', `/calls/${call.id}/hang-up`);
    expect([status, fault(body)]).toMatchObject([409, { code: 'NOT_READY', retry: true }]);
  });

  it('says why when the carrier does not end it', async () => {
    const on = await operatedService({}, {}, answers(201, { sid: sidOf(1) }), answers(403));
    const id = await on.place();
    const { status, body } = await on.ask('POST', `/calls/${id}/hang-up`);
    expect([status, fault(body)]).toMatchObject([502, { code: 'CARRIER_REFUSED', retry: false }]);
    expect((await on.ask('GET', `/calls/${id}`)).body['status']).toBe('queued');
  });

  it('puts the caller through', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    const order = {
      to: 'sip:desk@example.com',
      callerId: FROM,
      ringSeconds: 15,
      announce: 'A guest.',
      language: 'en',
    };
    const done = await on.ask('POST', `/calls/${id}/transfer`, { body: order });
    expect([done.status, done.body]).toEqual([202, { status: 'ok' }]);
    const { what, fields } = on.rest()[1] ?? { what: '', fields: {} };
    expect(what).toBe(`POST /Calls/${sidOf(1)}.json`);
    const asked = new URL(fields['Url'] ?? '').pathname;
    expect(asked).toMatch(/^\/after\/twilio\//);
    const twice = await on.ask('POST', `/calls/${id}/transfer`, { body: order });
    expect([twice.status, fault(twice.body).code]).toEqual([409, 'CONFLICT']);
  });

  it('ends one that was put through, in which the agent has no part any more', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    await on.ask('POST', `/calls/${id}/transfer`, { body: { to: TO } });
    const after = on.rest()[1]?.fields['Url'] ?? '';
    const fields = { CallSid: sidOf(1), CallStatus: 'in-progress' };
    expect(await on.signed(after, fields)).toContain('<Dial');
    await on.signed(after, { ...fields, DialCallStatus: 'completed' });
    const call = (await on.ask('GET', `/calls/${id}`)).body;
    expect(call).toMatchObject({ status: 'in-progress', endReason: 'transferred' });
    const late = await on.ask('POST', `/calls/${id}/digits`, { body: { digits: '1' } });
    expect([late.status, fault(late.body).code]).toEqual([409, 'NOT_CONNECTED']);
    expect((await on.ask('POST', `/calls/${id}/hang-up`)).status).toBe(202);
    expect(on.rest()[2]).toEqual({ what: `POST /Calls/${sidOf(1)}.json`, fields: { Status: 'completed' } });
    expect((await on.ask('GET', `/calls/${id}`)).body).toMatchObject({
      status: 'ended',
      outcome: 'completed',
    });
  });

  it('presses keys', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    expect((await on.ask('POST', `/calls/${id}/digits`, { body: { digits: '12w#' } })).status).toBe(202);
    expect(on.rest()[1]?.what).toBe(`POST /Calls/${sidOf(1)}.json`);
    expect(on.log.join('')).not.toContain('12w#');
  });

  it('starts and stops a recording', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    expect((await on.ask('POST', `/calls/${id}/recording`)).status).toBe(200);
    expect((await on.ask('POST', `/calls/${id}/recording`)).status).toBe(200);
    expect((await on.ask('DELETE', `/calls/${id}/recording`)).status).toBe(200);
    // There is nothing to stop any more, and the call is not over for that.
    const again = await on.ask('DELETE', `/calls/${id}/recording`);
    expect([again.status, fault(again.body).code]).toEqual([409, 'CONFLICT']);
    expect(on.rest().slice(1)).toMatchObject([
      { what: `POST /Calls/${sidOf(1)}/Recordings.json` },
      { what: `POST /Calls/${sidOf(1)}/Recordings/Twilio.CURRENT.json`, fields: { Status: 'stopped' } },
    ]);
  });

  it.each(REQUESTS.slice(5))(
    '%s %s waits for somebody to pick up, and is late afterwards',
    async (method, path, body) => {
      const on = await operatedService();
      const id = await on.place();
      const there = path.replace('call_1', id);
      const early = await on.ask(method, there, { body });
      expect([early.status, fault(early.body)]).toMatchObject([409, { code: 'NOT_READY', retry: true }]);
      expect(early.body).not.toHaveProperty('status');
      await on.webhook('status', id, { CallStatus: 'no-answer' });
      const late = await on.ask(method, there, { body });
      expect([late.status, late.body['status'], fault(late.body).code]).toEqual([
        409,
        'already-ended',
        'ALREADY_ENDED',
      ]);
      expect(on.rest()).toHaveLength(1);
    },
  );

  it.each([
    ['transfer', {}, 'to: found nothing, wanted +'],
    ['transfer', { to: '+1', ringSeconds: 700 }, 'to: found text of 2 characters, wanted + and 3 to 15'],
    ['transfer', { to: TO, ringSeconds: 700 }, 'ringSeconds: found 700, wanted a whole number from 5 to 600'],
    [
      'transfer',
      { to: TO, language: 'english please' },
      'language: found text of 14 characters, wanted a language',
    ],
    ['transfer', { to: TO, announce: ' ' }, 'announce: found text of 1 characters, wanted text of 1 to 1000'],
    ['digits', { digits: '4111x' }, 'digits: found text of 5 characters, wanted 1 to 64 of 0-9 A-D * # w W'],
    ['digits', {}, 'digits: found nothing'],
  ])('refuses %s with %j', async (what, body, message) => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    const { status, body: answer } = await on.ask('POST', `/calls/${id}/${what}`, { body });
    expect([status, fault(answer).message]).toEqual([400, expect.stringContaining(message)]);
    expect(fault(answer).message).not.toContain('4111');
  });

  it.each(REQUESTS.slice(2))('%s %s knows only calls that there are', async (method, path, body) => {
    const on = await operatedService();
    const { status, body: answer } = await on.ask(method, path, { body });
    expect([status, fault(answer).code]).toEqual([404, 'NOT_FOUND']);
  });

  it('is not had by another method or at another address', async () => {
    const on = await operatedService();
    const wrong = await on.ask('PUT', '/calls/call_1/recording');
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, DELETE']);
    expect(fault((await on.ask('GET', '/calls/call_1/elsewhere')).body).code).toBe('NOT_FOUND');
    expect((await on.ask('GET', '/calls/%ff')).status).toBe(404);
  });
});

describe('the log', () => {
  it('has what operators did, without numbers', async () => {
    const on = await operatedService();
    const id = await on.place();
    await on.answer(id);
    await on.ask('POST', `/calls/${id}/transfer`, { body: { to: '+14155550177' } });
    await on.ask('POST', `/calls/${id}/hang-up`);
    const log = on.log.join('');
    expect(log).toContain('"operation":"transfer"');
    expect(log).toContain(id);
    for (const secret of ['4155550123', '4155550100', '4155550177', API_TOKEN])
      expect(log).not.toContain(secret);
  });
});
