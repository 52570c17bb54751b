import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Telnyx from 'telnyx';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readClientState } from '../carriers/telnyx/client-state.ts';
import type { CallRef, Carrier, DialRequest, Next, Transfer } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import {
  COMMAND_CALL,
  COMMAND_REF,
  CONNECTION,
  DOCUMENT_CALL,
  event,
  LEG,
  PLAN,
  state,
  telnyx,
  URLS,
  webhook,
} from './support/telnyx-carrier.ts';

type Reply = (response: ServerResponse, request: IncomingMessage) => void;
interface Seen {
  readonly line: string;
  readonly authorization: string | undefined;
  readonly type: string | undefined;
  readonly body: unknown;
}
interface Host {
  readonly seen: Seen[];
  readonly baseUrl: string;
}

const answers =
  (status: number, body: unknown = { data: { result: 'ok' } }): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
const failure = (status: number, code: string): Reply =>
  answers(status, { errors: [{ code, title: 'No', detail: 'about +14155550100' }] });
const breaks: Reply = (_response, request) => request.socket.destroy();
const ENDED = failure(422, '90018');
const never = (): AbortSignal => new AbortController().signal;
const OK = { status: 'ok' };

function read(text: string, type: string | undefined): unknown {
  if (text === '') return undefined;
  return type === 'application/json' ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
}

/** Telnyx's REST host; answers with the replies in turn, the last one again and again. */
async function restHost(...replies: Reply[]): Promise<Host> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (piece: string) => {
      text += piece;
    });
    request.on('end', () => {
      const { authorization, 'content-type': type } = request.headers;
      seen.push({ line: `${request.method} ${request.url}`, authorization, type, body: read(text, type) });
      const reply = replies[Math.min(seen.length, replies.length) - 1] ?? answers(200);
      reply(response, request);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { seen, baseUrl: `http://127.0.0.1:${port}/v2` };
}

/** What the carrier asked for, with the ids of the commands by themselves. */
async function asked(run: (carrier: Carrier) => Promise<unknown> | undefined, ...replies: Reply[]) {
  const { seen, baseUrl } = await restHost(...replies);
  const result = await run(telnyx({ baseUrl }));
  const ids = seen.map(({ body }) => (body as Record<string, unknown> | undefined)?.['command_id']);
  return { seen, result, ids };
}

/** What the package of Telnyx asks for. */
async function packageAsks(run: (client: Telnyx) => Promise<unknown>): Promise<Seen[]> {
  const { seen, baseUrl } = await restHost(answers(200, { data: {} }));
  await run(new Telnyx({ apiKey: 'KEY0123', baseURL: baseUrl, maxRetries: 0 }));
  return seen;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const DIAL: DialRequest = {
  ref: 'r1',
  to: '+1 415 555 0199',
  from: '+14155550101',
  ringS: 25.2,
  maxS: 600,
  machineDetection: 'off',
  voiceUrl: 'https://bridge.example.com/voice/telnyx?ref=r1',
  eventsUrl: 'https://bridge.example.com/events/telnyx?ref=r1',
  statusUrl: 'https://bridge.example.com/status/telnyx?ref=r1',
  machineUrl: 'https://bridge.example.com/machine/telnyx?ref=r1',
};
const TRANSFER: Transfer & { readonly type: 'transfer' } = {
  type: 'transfer',
  to: '+14155550199',
  callerId: undefined,
  ringS: 20,
  announce: undefined,
  language: undefined,
};
const direct =
  (next: Next, call: CallRef = COMMAND_REF) =>
  (carrier: Carrier) =>
    carrier.direct(call, next, URLS, never());

describe('a request', () => {
  const id = { command_id: expect.stringMatching(UUID) };
  const cases: [
    string,
    (carrier: Carrier) => Promise<unknown> | undefined,
    (client: Telnyx, command_id: string) => Promise<unknown>,
  ][] = [
    [
      'answers a call',
      (carrier) => carrier.accept(COMMAND_CALL, PLAN).action?.(never()),
      (client, command_id) => client.calls.actions.answer(LEG, { command_id, send_silence_when_idle: true }),
    ],
    [
      'refuses a call as busy',
      (carrier) => carrier.reject(COMMAND_CALL, 'busy').action?.(never()),
      (client, command_id) => client.calls.actions.reject(LEG, { command_id, cause: 'USER_BUSY' }),
    ],
    [
      'refuses a call',
      (carrier) => carrier.reject(COMMAND_CALL, 'rejected').action?.(never()),
      (client, command_id) => client.calls.actions.reject(LEG, { command_id, cause: 'CALL_REJECTED' }),
    ],
    [
      'hangs up',
      (carrier) => carrier.hangUp(COMMAND_REF, never()),
      (client, command_id) => client.calls.actions.hangup(LEG, { command_id }),
    ],
    [
      'hangs up a call of TeXML, by the id of its leg',
      (carrier) => carrier.hangUp({ ...DOCUMENT_CALL, data: { callControlId: 'v3:leg' } }, never()),
      (client, command_id) => client.calls.actions.hangup('v3:leg', { command_id }),
    ],
    [
      'hangs up as the next thing',
      direct({ type: 'hang-up' }),
      (client, command_id) => client.calls.actions.hangup(LEG, { command_id }),
    ],
    [
      'hangs up when there is nothing to say',
      direct({ type: 'say', text: ' \n', language: 'de' }),
      (client, command_id) => client.calls.actions.hangup(LEG, { command_id }),
    ],
    [
      'speaks',
      direct({ type: 'say', text: ' Auf Wiederhören ', language: 'de' }),
      (client, command_id) =>
        client.calls.actions.speak(LEG, {
          command_id,
          payload: 'Auf Wiederhören',
          voice: 'female',
          language: 'de-DE',
        }),
    ],
    [
      'sends keys',
      (carrier) => carrier.sendDigits(COMMAND_REF, '1w2W#', never()),
      (client, command_id) => client.calls.actions.sendDtmf(LEG, { command_id, digits: '1w2W#' }),
    ],
    [
      'sends keys as the next thing',
      direct({ type: 'digits', digits: 'A' }),
      (client, command_id) => client.calls.actions.sendDtmf(LEG, { command_id, digits: 'A' }),
    ],
    [
      'starts a recording and sends the id along',
      (carrier) => carrier.startRecording({ ...COMMAND_REF, data: { ref: 'r1' } }, URLS, never()),
      (client, command_id) =>
        client.calls.actions.startRecording(LEG, {
          command_id,
          format: 'wav',
          channels: 'dual',
          client_state: state({ ref: 'r1', of: LEG }),
        }),
    ],
    [
      'stops a recording',
      (carrier) => carrier.stopRecording(COMMAND_REF, never()),
      (client, command_id) => client.calls.actions.stopRecording(LEG, { command_id }),
    ],
    [
      'transfers',
      direct(TRANSFER),
      (client, command_id) =>
        client.calls.actions.transfer(LEG, {
          command_id,
          to: '+14155550199',
          from: '+14155550101',
          timeout_secs: 20,
          target_leg_client_state: state({ transferOf: LEG }),
        }),
    ],
    [
      'transfers to a SIP address with another caller id',
      direct({ ...TRANSFER, to: 'sip:ann@example.com', callerId: '+14155550177', ringS: 1 }),
      (client, command_id) =>
        client.calls.actions.transfer(LEG, {
          command_id,
          to: 'sip:ann@example.com',
          from: '+14155550177',
          timeout_secs: 5,
          target_leg_client_state: state({ transferOf: LEG }),
        }),
    ],
    [
      'rings the other end of an announced transfer',
      direct({ ...TRANSFER, announce: ' A caller asks ', language: 'en-GB' }),
      (client, command_id) =>
        client.calls.dial({
          command_id,
          connection_id: CONNECTION,
          to: '+14155550199',
          from: '+14155550101',
          timeout_secs: 20,
          link_to: LEG,
          client_state: state({ transferOf: LEG, announce: 'A caller asks', language: 'en-GB' }),
          webhook_url: 'https://bridge.example.com/events/telnyx',
          webhook_url_method: 'POST',
        }),
    ],
  ];
  it.each(cases)('that %s is the one of the package of Telnyx', async (_name, ours, theirs) => {
    const { seen, result, ids } = await asked(ours, answers(200));
    expect(seen).toHaveLength(1);
    expect(seen[0]?.body).toMatchObject(id);
    expect(seen[0]?.authorization).toBe('Bearer KEY0123');
    expect(seen).toEqual(await packageAsks((client) => theirs(client, String(ids[0]))));
    expect(result).toEqual(OK);
  });

  it('for a message is said first; the recording has a tone, an end and the caller alone', async () => {
    // The last of them: the whole call is recorded already.
    const { baseUrl, seen } = await restHost(answers(200), answers(200), failure(422, '90015'), answers(200));
    const carrier = telnyx({ baseUrl });
    const message = { type: 'message', text: ' After the tone. ', language: 'en-GB', maxS: 89.5 } as const;
    expect(await carrier.direct(COMMAND_REF, message, URLS, never())).toEqual(OK);
    const spoken = seen[0]?.body as Record<string, string>;
    expect(spoken).toMatchObject({ payload: 'After the tone.', language: 'en-GB' });
    expect(readClientState(spoken['client_state'])).toEqual({ stage: 'message', maxS: '90' });
    const ended = event('call.speak.ended', { client_state: spoken['client_state'], status: 'completed' });
    const step = carrier.parse(webhook('/events/telnyx', ended), 'events');
    if (step.type !== 'step') throw new Error(step.type);
    expect(await step.perform(never())).toEqual(OK);
    expect(seen[1]?.line).toContain('record_start');
    const recording = seen[1]?.body as Record<string, unknown>;
    expect(recording).toMatchObject({ play_beep: true, max_length: 90, recording_track: 'inbound' });
    expect(recording).not.toHaveProperty('timeout_secs');
    expect(readClientState(recording['client_state'])).toEqual({ of: LEG, stage: 'recording' });
    await step.perform(never());
    expect(seen.slice(2).map(({ line }) => line.split('/').at(-1))).toEqual([
      'record_start',
      'record_stop',
      'record_start',
    ]);
  });

  it('that opens the stream is the one of the package, and its token opens the socket', async () => {
    const { baseUrl, seen } = await restHost();
    const carrier = telnyx({ baseUrl, codec: 'L16/24000' });
    await expect(carrier.direct(COMMAND_REF, { type: 'stream', plan: PLAN }, URLS, never())).resolves.toEqual(
      OK,
    );
    const body = seen[0]?.body as Record<string, string>;
    const theirs = await packageAsks((client) =>
      client.calls.actions.startStreaming(LEG, {
        stream_url: PLAN.mediaUrl,
        stream_track: 'inbound_track',
        stream_codec: 'default',
        stream_bidirectional_mode: 'rtp',
        stream_bidirectional_codec: 'L16',
        stream_bidirectional_sampling_rate: 24000,
        stream_bidirectional_target_legs: 'self',
        stream_auth_token: body['stream_auth_token'] ?? '',
        client_state: state({ agent: 'a & b' }),
        custom_parameters: [
          { name: 'call', value: LEG },
          { name: 'agent', value: 'a & b' },
          { name: 'sends', value: 'L16' },
        ],
        command_id: body['command_id'] ?? '',
      }),
    );
    expect(seen).toEqual(theirs);

    const upgrade = (target: string, token = body['stream_auth_token']) =>
      carrier.verifyUpgrade(
        {
          method: 'GET',
          target,
          headers: { 'x-telnyx-streaming-auth-token': token },
          body: new Uint8Array(0),
        },
        COMMAND_CALL,
      );
    expect(upgrade('/media/telnyx/tok_abc123')).toEqual({ ok: true });
    expect(upgrade('/a/prefix/media/telnyx/tok_abc123?x=1')).toEqual({ ok: true });
    expect(upgrade('/media/telnyx/tok_abc124')).toEqual({ ok: false, reason: 'bad-signature' });
    expect(upgrade('/media/telnyx/tok_abc123', `${body['stream_auth_token']}x`)).toEqual({
      ok: false,
      reason: 'bad-signature',
    });
    // The secret is of this carrier alone.
    const other = telnyx().verifyUpgrade(
      {
        method: 'GET',
        target: '/media/telnyx/tok_abc123',
        headers: { 'x-telnyx-streaming-auth-token': body['stream_auth_token'] },
        body: new Uint8Array(0),
      },
      DOCUMENT_CALL,
    );
    expect(other).toEqual({ ok: false, reason: 'bad-signature' });
  });

  it('that opens a stream in a public prefix has the token of the path without it', async () => {
    const { baseUrl, seen } = await restHost();
    const carrier = telnyx({ baseUrl });
    const plan = {
      ...PLAN,
      mediaUrl: 'wss://x.example/media/in/media/telnyx/t',
      params: {},
      plainCodec: true,
    };
    await carrier.direct(COMMAND_REF, { type: 'stream', plan }, URLS, never());
    const body = seen[0]?.body as Record<string, string>;
    expect(body).toMatchObject({ stream_codec: 'PCMU', stream_bidirectional_codec: 'PCMU' });
    expect(body).not.toHaveProperty('custom_parameters');
    const request = {
      method: 'GET',
      target: '/media/telnyx/t',
      headers: { 'X-Telnyx-Streaming-Auth-Token': body['stream_auth_token'] },
      body: new Uint8Array(0),
    };
    expect(carrier.verifyUpgrade(request, COMMAND_CALL)).toEqual({ ok: true });
  });

  it.each([
    [direct({ type: 'hang-up' }, DOCUMENT_CALL), { Status: 'completed' }],
    [direct({ type: 'digits', digits: '1' }, DOCUMENT_CALL), { Url: URLS.afterUrl, Method: 'POST' }],
    [direct(TRANSFER, DOCUMENT_CALL), { Url: URLS.afterUrl, Method: 'POST' }],
    [
      direct({ type: 'say', text: 'x', language: undefined }, DOCUMENT_CALL),
      { Url: URLS.afterUrl, Method: 'POST' },
    ],
    [direct({ type: 'stream', plan: PLAN }, DOCUMENT_CALL), { Url: URLS.afterUrl, Method: 'POST' }],
  ] as const)(
    'that has a call of TeXML do something else is the one of the package',
    async (ours, fields) => {
      const { seen, result } = await asked(ours, answers(200, { sid: LEG }));
      const account_sid = DOCUMENT_CALL.data?.['accountSid'] ?? '';
      const theirs = await packageAsks((client) =>
        client.texml.accounts.calls.update(LEG, { account_sid, ...fields }),
      );
      expect(seen).toEqual(theirs);
      expect(result).toEqual(OK);
    },
  );

  it('is not made for nothing', async () => {
    for (const call of [COMMAND_REF, DOCUMENT_CALL]) {
      const { seen, result } = await asked(direct({ type: 'nothing' }, call));
      expect([seen, result]).toEqual([[], OK]);
    }
  });

  it('that answers or opens a stream has the same id for the same call, every other one its own', async () => {
    const twice = (run: (carrier: Carrier) => Promise<unknown> | undefined) =>
      asked(async (carrier) => {
        await run(carrier);
        await run(carrier);
      });
    for (const run of [cases[0]?.[1], cases[1]?.[1], direct({ type: 'stream', plan: PLAN })]) {
      const { ids } = await twice(run ?? direct({ type: 'nothing' }));
      expect(ids).toHaveLength(2);
      expect(ids[0]).toBe(ids[1]);
    }
    for (const run of [
      direct(TRANSFER),
      direct({ type: 'digits', digits: '1' }),
      direct({ type: 'hang-up' }),
    ]) {
      const { ids } = await twice(run);
      expect(new Set(ids).size).toBe(2);
    }
    const other = { ...PLAN, mediaUrl: `${PLAN.mediaUrl}x` };
    const { ids } = await asked(async (carrier) => {
      await direct({ type: 'stream', plan: PLAN })(carrier);
      await direct({ type: 'stream', plan: other })(carrier);
    });
    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe('placing a call', () => {
  const placed = answers(200, { data: { call_control_id: 'v3:placed', call_leg_id: 'x', is_alive: false } });
  const dial =
    (request: Partial<DialRequest> = {}) =>
    (carrier: Carrier) =>
      carrier.dial({ ...DIAL, ...request }, never());

  it.each([
    ['off', undefined],
    ['detect', 'detect'],
    ['greeting-end', 'greeting_end'],
  ] as const)(
    'with machine detection %s asks for what the package asks for',
    async (machineDetection, wanted) => {
      const { seen, result, ids } = await asked(dial({ machineDetection }), placed);
      const theirs = await packageAsks((client) =>
        client.calls.dial({
          connection_id: CONNECTION,
          to: '+14155550199',
          from: '+14155550101',
          webhook_url: DIAL.eventsUrl,
          webhook_url_method: 'POST',
          client_state: state({ ref: 'r1' }),
          timeout_secs: 26,
          time_limit_secs: 600,
          ...(wanted === undefined ? {} : { answering_machine_detection: wanted }),
          send_silence_when_idle: true,
          command_id: String(ids[0]),
        }),
      );
      expect(seen).toEqual(theirs);
      expect(result).toEqual({
        status: 'ok',
        call: {
          callId: 'v3:placed',
          control: 'command',
          data: { connectionId: CONNECTION, number: '+14155550101', ref: 'r1' },
        },
      });
    },
  );

  it('keeps within what Telnyx takes', async () => {
    const { seen } = await asked(dial({ ringS: 1, maxS: 1e9 }), placed);
    expect(seen[0]?.body).toMatchObject({ timeout_secs: 5, time_limit_secs: 14_400 });
    const { seen: longer } = await asked(dial({ ringS: 1e9 }), placed);
    expect(longer[0]?.body).toMatchObject({ timeout_secs: 600 });
  });

  it.each([
    ['lost', breaks],
    ['met by an error', answers(500, 'x')],
  ])('is tried once when it is %s', async (_name, reply) => {
    const { seen, result } = await asked(dial(), reply, placed);
    expect(seen).toHaveLength(1);
    expect(result).toMatchObject({ status: 'error', error: { code: 'CARRIER_UNAVAILABLE' } });
  });

  it('says which setting is missing', async () => {
    const { baseUrl, seen } = await restHost();
    const result = await telnyx({ baseUrl, connectionId: '' }).dial(DIAL, never());
    expect(result).toMatchObject({ status: 'error', error: { code: 'CARRIER_REFUSED' } });
    expect(result.status === 'error' && result.error.message).toContain('TELNYX_CONNECTION_ID');
    const keyless = await telnyx({ baseUrl, apiKey: undefined }).dial(DIAL, never());
    expect(keyless.status === 'error' && keyless.error.message).toContain('no API key is configured');
    expect(seen).toEqual([]);
  });

  it.each([{ to: '911' }, { to: '+1415555,99' }, { from: 'A caller' }, { ringS: 0 }, { maxS: Number.NaN }])(
    'is refused for what is no call: %j',
    async (request) => {
      const { seen, result } = await asked(dial(request as Partial<DialRequest>), placed);
      expect(seen).toEqual([]);
      expect(result).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
    },
  );

  it.each(['{}', '{"data":{}}', '{"data":{"call_control_id":7}}', '<html>'])(
    'is not tried again when the answer has no id: %s',
    async (body) => {
      const { seen, result } = await asked(dial(), answers(200, body));
      expect(seen).toHaveLength(1);
      expect(result).toMatchObject({
        status: 'error',
        error: { code: 'BAD_FRAME', verdict: { retry: false } },
      });
    },
  );
});

describe('an announced transfer', () => {
  const B = 'v3:other';
  const answered = (more: object = { announce: 'A caller asks', language: 'de' }) =>
    event('call.answered', { call_control_id: B, client_state: state({ transferOf: LEG, ...more }) });
  const told = event('call.speak.ended', {
    call_control_id: B,
    status: 'completed',
    client_state: state({ transferOf: LEG, stage: 'told' }),
  });
  const live = answers(200, { data: { call_control_id: LEG, is_alive: true } });
  const gone = answers(200, { data: { call_control_id: LEG, is_alive: false } });

  const step = (body: string) => (carrier: Carrier) => {
    const parsed = carrier.parse(webhook('/events/telnyx', body), 'events');
    expect(parsed).toMatchObject({ type: 'step', callId: LEG });
    return parsed.type === 'step' ? parsed.perform(never()) : undefined;
  };
  const lines = (seen: readonly Seen[]) => seen.map(({ line }) => line);
  const LOOK = `GET /v2/calls/${LEG}`;
  const SPEAK = `POST /v2/calls/${B}/actions/speak`;
  const BRIDGE = `POST /v2/calls/${B}/actions/bridge`;
  const HANG_UP = `POST /v2/calls/${B}/actions/hangup`;

  it.each([
    [
      'the caller hangs up',
      (carrier: Carrier) => {
        const body = event('call.hangup', { call_control_id: LEG, hangup_cause: 'normal_clearing' });
        const parsed = carrier.parse(webhook('/events/telnyx', body), 'events');
        return parsed.type === 'progress' ? parsed.perform?.(never()) : undefined;
      },
      [],
    ],
    [
      'the call is hung up',
      (carrier: Carrier) => carrier.hangUp(COMMAND_REF, never()),
      [`POST /v2/calls/${LEG}/actions/hangup`],
    ],
  ] as const)('lets go of whoever rings when %s', async (_when, end, before) => {
    const placed = answers(200, { data: { call_control_id: B } });
    const { seen, baseUrl } = await restHost(placed, answers(200));
    const carrier = telnyx({ baseUrl });
    await direct({ ...TRANSFER, announce: 'A caller asks' })(carrier);
    await end(carrier);
    expect(lines(seen).sort()).toEqual(['POST /v2/calls', ...before, HANG_UP].sort());
    // Once is enough.
    await end(carrier);
    expect(lines(seen).filter((line) => line === HANG_UP)).toHaveLength(1);
  });

  it('does not let go of somebody who was connected', async () => {
    const { seen, baseUrl } = await restHost(answers(200, { data: { call_control_id: B } }), answers(200));
    const carrier = telnyx({ baseUrl });
    await direct({ ...TRANSFER, announce: 'A caller asks' })(carrier);
    const bridged = event('call.bridged', {
      call_control_id: B,
      client_state: state({ transferOf: LEG, stage: 'bridged' }),
    });
    carrier.parse(webhook('/events/telnyx', bridged), 'events');
    await carrier.hangUp(COMMAND_REF, never());
    expect(lines(seen)).toEqual(['POST /v2/calls', `POST /v2/calls/${LEG}/actions/hangup`]);
  });

  it('tells the other end, then connects it, as the package would', async () => {
    const first = await asked(step(answered()), live, answers(200));
    expect(first.result).toEqual(OK);
    const second = await asked(step(told), answers(200));
    expect(second.result).toEqual(OK);
    const theirs = await packageAsks(async (client) => {
      await client.calls.retrieveStatus(LEG);
      await client.calls.actions.speak(B, {
        payload: 'A caller asks',
        voice: 'female',
        language: 'de-DE',
        client_state: state({ transferOf: LEG, stage: 'told' }),
        command_id: String(first.ids[1]),
      });
      await client.calls.actions.bridge(B, {
        call_control_id_to_bridge_with: LEG,
        client_state: state({ transferOf: LEG, stage: 'bridged' }),
        command_id: String(second.ids[0]),
      });
    });
    expect([...first.seen, ...second.seen]).toEqual(theirs);
  });

  it('does it once for a webhook that came twice, also to another process', async () => {
    const [one, two] = [
      await asked(step(answered()), live, answers(200)),
      await asked(step(answered()), live, answers(200)),
    ];
    expect(one.ids[1]).toBe(two.ids[1]);
    const { seen, baseUrl } = await restHost();
    const carrier = telnyx({ baseUrl });
    await step(told)(carrier);
    expect(carrier.parse(webhook('/e', told), 'events').type).toBe('ignored');
    expect(lines(seen)).toEqual([BRIDGE]);
  });

  it('lets the other end go when the caller has given up', async () => {
    const { seen, result } = await asked(step(answered()), gone, answers(200));
    expect(lines(seen)).toEqual([LOOK, HANG_UP]);
    expect(result).toEqual(OK);
    const forgotten = await asked(step(answered()), failure(404, '10005'), answers(200));
    expect(lines(forgotten.seen)).toEqual([LOOK, HANG_UP]);
  });

  it('goes on when nobody can say whether the caller is there', async () => {
    const { seen } = await asked(step(answered()), answers(404, 'no such page'), answers(200));
    expect(lines(seen)).toEqual([LOOK, SPEAK]);
  });

  it('connects without a word when the word is refused', async () => {
    const { seen, result } = await asked(step(answered()), live, failure(422, '10015'), answers(200));
    expect(lines(seen)).toEqual([LOOK, SPEAK, BRIDGE]);
    expect(result).toEqual(OK);
    const silent = await asked(step(answered({ announce: '  ' })), live, answers(200));
    expect(lines(silent.seen)).toEqual([LOOK, BRIDGE]);
  });

  it('does nothing more when the other end has gone while it was told', async () => {
    const { seen, result } = await asked(step(answered()), live, ENDED);
    expect(lines(seen)).toEqual([LOOK, SPEAK]);
    expect(result).toEqual({ status: 'already-ended' });
  });

  it('hangs up the other end when the caller has gone while it was told', async () => {
    const { seen, result } = await asked(step(told), ENDED, answers(200));
    expect(lines(seen)).toEqual([BRIDGE, HANG_UP]);
    expect(result).toEqual(OK);
  });

  it('hangs up the other end when the two cannot be connected after all', async () => {
    const { seen, result } = await asked(step(told), failure(422, '90015'), answers(200));
    expect(result).toMatchObject({ status: 'error', error: { code: 'CARRIER_REFUSED' } });
    // It may be tried again, so nobody is hung up on for the first failure.
    expect(lines(seen)).toEqual([BRIDGE]);
    const otherwise = await asked((carrier) => {
      const parsed = carrier.parse(webhook('/events/telnyx', told), 'events');
      return parsed.type === 'step' ? parsed.otherwise(never()) : undefined;
    }, answers(200));
    expect(lines(otherwise.seen)).toEqual([HANG_UP]);
  });

  it('needs a number to call from and an application to call with', async () => {
    const next = { ...TRANSFER, announce: 'A caller' };
    const bare: CallRef = { callId: LEG, control: 'command' };
    const nameless = await asked(direct(next, bare));
    expect(nameless.seen).toEqual([]);
    expect(nameless.result).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
    const { baseUrl, seen } = await restHost();
    const homeless = await direct(
      { ...next, callerId: '+14155550101' },
      bare,
    )(telnyx({ baseUrl, connectionId: undefined }));
    expect(homeless).toMatchObject({ status: 'error', error: { code: 'CARRIER_REFUSED' } });
    await direct({ ...next, callerId: '+14155550101' }, bare)(telnyx({ baseUrl }));
    expect(seen).toMatchObject([{ body: { connection_id: CONNECTION, from: '+14155550101' } }]);
  });

  it('rings nobody twice', async () => {
    const { seen, result } = await asked(direct({ ...TRANSFER, announce: 'A caller' }), breaks, answers(200));
    expect(seen).toHaveLength(1);
    expect(result).toMatchObject({ status: 'error', error: { code: 'CARRIER_UNAVAILABLE' } });
  });
});

describe('whether a call is up', () => {
  const isLive = (call: CallRef) => (carrier: Carrier) => carrier.isLive(call, never());

  it.each([true, false])('is what the resource says: %s', async (is_alive) => {
    const { seen, result } = await asked(isLive(COMMAND_REF), answers(200, { data: { is_alive } }));
    expect(result).toEqual({ status: 'ok', live: is_alive });
    expect(seen).toEqual(await packageAsks((client) => client.calls.retrieveStatus(LEG)));
  });

  it('is no when it is forgotten, and unknown when nobody understands the answer', async () => {
    const forgotten = await asked(isLive(COMMAND_REF), failure(404, '10005'));
    expect(forgotten.result).toEqual({ status: 'ok', live: false });
    for (const reply of [
      answers(404, 'x'),
      answers(200, { data: { is_alive: 'yes' } }),
      answers(200, '[]'),
    ]) {
      const { result } = await asked(isLive(COMMAND_REF), reply);
      expect(result).toMatchObject({ status: 'error' });
    }
  });
});

describe('a request that fails', () => {
  const hangUp = (carrier: Carrier) => carrier.hangUp(COMMAND_REF, never());

  it('is a success when the call is over already', async () => {
    const { seen, result } = await asked(hangUp, ENDED);
    expect(result).toEqual({ status: 'already-ended' });
    expect(seen).toHaveLength(1);
    const number = await asked(hangUp, answers(422, { errors: [{ code: 90018 }] }));
    expect(number.result).toEqual({ status: 'already-ended' });
  });

  it.each([
    [failure(422, '90015'), 'CARRIER_REFUSED', 'HTTP 422, error 90015', 1],
    [failure(401, '10009'), 'CARRIER_REFUSED', 'are the credentials right?', 1],
    [failure(404, '10005'), 'CARRIER_REFUSED', 'HTTP 404, error 10005', 1],
    [answers(404, '<html>'), 'CARRIER_REFUSED', 'HTTP 404', 1],
    [answers(302, ''), 'CARRIER_REFUSED', 'HTTP 302', 1],
    [failure(429, '10011'), 'CARRIER_UNAVAILABLE', 'HTTP 429', 1],
    [answers(503, 'x'), 'CARRIER_UNAVAILABLE', 'HTTP 503', 2],
    [failure(500, '90018'), 'CARRIER_UNAVAILABLE', 'HTTP 500, error 90018', 2],
    [breaks, 'CARRIER_UNAVAILABLE', 'could not be asked to hang up call v3:abc', 2],
  ])('says why, and is made again only where that helps (%#)', async (reply, code, why, times) => {
    const { seen, result, ids } = await asked(hangUp, reply);
    expect(result).toMatchObject({ status: 'error', error: { code } });
    const { message } = (result as { error: BridgeError }).error;
    expect(message).toContain(why);
    expect(message).not.toMatch(/KEY0123|\+1415/);
    expect(seen).toHaveLength(times);
    // The second time with the same id, so that it is not done twice.
    expect(new Set(ids).size).toBe(1);
  });

  it('succeeds the second time', async () => {
    const { result } = await asked(hangUp, breaks, answers(200));
    expect(result).toEqual(OK);
  });

  it.each(['', 'a/b', '..', 'a b', undefined])('is not made for an id that is none: %j', async (callId) => {
    const call: CallRef = { callId, control: 'command' };
    const { seen, result } = await asked((carrier) => carrier.hangUp(call, never()));
    expect(seen).toEqual([]);
    expect(result).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
  });

  it('is not made for keys, targets and accounts that are none', async () => {
    const stray = { ...DOCUMENT_CALL, data: {} };
    for (const run of [
      direct({ type: 'digits', digits: '1;2' }),
      direct({ ...TRANSFER, to: '911' }),
      direct({ ...TRANSFER, ringS: -1 }),
      direct({ type: 'hang-up' }, stray),
    ]) {
      const { seen, result } = await asked(run);
      expect(seen).toEqual([]);
      expect(result).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
    }
  });

  it('ends with the signal, and says whether it was the deadline', async () => {
    const { baseUrl } = await restHost(() => {});
    const hangUpUntil = (reason: unknown) => {
      const abort = new AbortController();
      const result = telnyx({ baseUrl }).hangUp(COMMAND_REF, abort.signal);
      abort.abort(reason);
      return result;
    };
    await expect(hangUpUntil(new BridgeError('TIMEOUT', 'x'))).resolves.toMatchObject({
      error: { code: 'CARRIER_UNAVAILABLE' },
    });
    await expect(hangUpUntil(new Error('x'))).resolves.toMatchObject({ error: { code: 'CANCELLED' } });
  });
});
