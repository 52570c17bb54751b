import { describe, expect, it } from 'vitest';
import { readWav } from '../src/audio/wav.ts';
import type { Callee } from '../src/sim/phone/callee.ts';
import { signingKey, telnyxPublicKey, telnyxSignature } from '../src/sim/phone/telnyx/signature.ts';
import { parseTexml } from '../src/sim/phone/telnyx/texml.ts';
import type { CallOptions, SimulatedCall } from '../src/sim/phone.ts';
import { nextTurn, tone, until, xml } from './support/hand-bridge.ts';
import {
  ACCOUNT,
  isSigned,
  KEY,
  OURS,
  Place,
  PUBLIC_KEY,
  read,
  refusal,
  THEIRS,
} from './support/telnyx-place.ts';

const VOICE = '/voice/telnyx';

/** A TeXML call with a running stream. */
async function streaming(place: Place, options: Partial<CallOptions> = {}) {
  const connected = place.bridge.media();
  const call = place.callTexml(options);
  const media = await connected;
  await call.streaming;
  await media.count('start', 1);
  return { call, media };
}

function forms(place: Place, path: string): readonly Readonly<Record<string, string>>[] {
  return place.requestsTo(path).map(({ form }) => form);
}

function update(place: Place, call: SimulatedCall, fields: Record<string, string>) {
  return place.client.texml.accounts.calls.update(call.callId, { account_sid: ACCOUNT, ...fields });
}

describe('signatures of the simulated Telnyx', () => {
  const seed = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64');
  const key = signingKey('unused', seed);
  const V1 =
    '{"data":{"event_type":"call.initiated","id":"0ccc7b54-4df3-4bca-a65a-3da1ecc777f0","occurred_at":"2026-01-02T03:04:05.678901Z","payload":{"call_control_id":"v3:abc","connection_id":"7267xxxxxxxxxxxxxx","direction":"incoming","from":"+14155550100","state":"parked","to":"+14155550101"},"record_type":"event"},"meta":{"attempt":1,"delivered_to":"https://bridge.example.com/telnyx/webhook"}}';
  const V2 =
    'AccountSid=61bf923e-5e4d-4595-a110-56190ea18a1b&CallSid=v3%3Aabc&CallStatus=ringing&From=%2B14155550100&To=%2B14155550101';

  it.each([
    [
      'an event',
      V1,
      'cVWR6ylsBCEwZN26Y7MW9wEmEt+YLyrgxPIXkhtH6VhZu7L0ldlBKly9Ft5xcCVOzVDDNocmug7Phwrl3T7hAQ==',
    ],
    [
      'a form',
      V2,
      'j0l3F7IlTTaILN7zVOrCAmnT3QNKVG6/KYU73SXUH0u5AAwGNkqpGUOK64MOZVw03+pghR56Vhxr6yF93btFDQ==',
    ],
    [
      'nothing',
      '',
      'PqxisfUvsDuK/j48TFbeu55+za4N75bpHJ/f5l9fA9GMiFsVASW+AzBtKO1mzWugi8wVGHPJSoRUekk27HbqCA==',
    ],
  ])('have the vector of %s', (_name, body, signature) => {
    expect(telnyxSignature(key, 1_767_323_045, body)).toBe(signature);
  });

  it('belong to a public key that is made of the secret, or of a seed', () => {
    expect(telnyxPublicKey('unused', seed)).toBe('A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=');
    expect(telnyxPublicKey('a')).not.toBe(telnyxPublicKey('b'));
    expect(Buffer.from(telnyxPublicKey('a'), 'base64')).toHaveLength(32);
  });
});

describe('TeXML documents', () => {
  it('are read with their streams, targets and parameters', () => {
    const { verbs, warnings } = parseTexml(
      '<?xml version="1.0"?><Response><Connect><Stream url="wss://b/m" track="inbound_track" codec="PCMU" bidirectionalMode="rtp" bidirectionalCodec="L16" bidirectionalSamplingRate="16000" enableReconnect="false" statusCallback="/s"><Parameter name="ref" value="1"/></Stream></Connect><Say voice="alice" language="de-DE">Hallo</Say><Dial callerId="+1415" timeout="20" timeLimit="60" action="/after"><Number url="/announce" statusCallback="/leg" statusCallbackEvent="answered completed">+1416</Number><Sip>sip:a@b</Sip></Dial><Dial>+1417</Dial><Play digits="ww1"/><Redirect method="POST">/r</Redirect><Reject reason="busy"/><Hangup/><Pause length="2"/><Start><Stream url="wss://b/x"/></Start></Response>',
    );
    expect(warnings).toEqual([]);
    expect(verbs.map(({ type }) => type)).toEqual([
      'connect',
      'say',
      'dial',
      'dial',
      'play',
      'redirect',
      'reject',
      'hangup',
      'pause',
      'connect',
    ]);
    expect(verbs[0]).toMatchObject({
      wait: true,
      action: undefined,
      stream: {
        url: 'wss://b/m',
        parameters: { ref: '1' },
        settings: {
          codec: 'PCMU',
          bidirectionalMode: 'rtp',
          bidirectionalCodec: 'L16',
          bidirectionalSamplingRate: '16000',
          enableReconnect: 'false',
        },
      },
    });
    expect(verbs[2]).toMatchObject({
      targets: ['+1416', 'sip:a@b'],
      legs: [{ kind: 'Number', target: '+1416', settings: { url: '/announce' } }, { kind: 'Sip' }],
    });
    expect(verbs.at(-1)).toMatchObject({ wait: false, stream: { settings: { enableReconnect: 'true' } } });
  });

  it.each([
    ['an open element', '<Response><Say>hi</Response>', /invalid_texml/],
    ['no Response', '<Answer/>', /invalid_texml.*<Answer>/],
    ['nothing at all', '', /invalid_texml/],
    ['a Connect without Stream', '<Response><Connect/></Response>', /odd_texml.*<Stream>/],
    ['a Stream without url', '<Response><Start><Stream/></Start></Response>', /odd_texml.*url/],
  ])('are refused with %s', (_name, text, message) => {
    expect(() => parseTexml(text)).toThrow(message);
  });

  it.each([
    '<Connect action="/x"><Stream url="wss://b"/></Connect>',
    '<Connect><Stream url="wss://b" bidirectionalMode="RTP"/></Connect>',
    '<Connect><Stream url="wss://b" bidirectionalCodec="mulaw"/></Connect>',
    '<Connect><Stream url="wss://b" bidirectionalSamplingRate="44100"/></Connect>',
    '<Connect><Stream url="wss://b" track="both"/></Connect>',
    '<Connect><Stream url="wss://b" authToken="x"/></Connect>',
    '<Dial timeout="3">+1415</Dial>',
    '<Dial timeLimit="soon">+1415</Dial>',
    '<Dial><Client>bob</Client></Dial>',
    '<Dial><Number>bob</Number></Dial>',
    '<Dial><Sip>bob</Sip></Dial>',
    '<Dial><Number colour="red">+1415</Number></Dial>',
    '<Gather/>',
    '<say>hi</say>',
  ])('warn of what Telnyx has not: %s', (verbs) => {
    expect(parseTexml(`<Response>${verbs}</Response>`).warnings.length).toBeGreaterThan(0);
  });

  it('that do not ask for RTP have the caller hear nothing', async () => {
    await using place = await Place.open();
    place.bridge.answer = () => place.connect('', 'enableReconnect="false"');
    const { call, media } = await streaming(place);
    media.play(200);
    await read(media);
    place.clock.advance(200);
    expect((await call.hangUp()).heardBytes).toBe(0);
    expect([...call.warnings.keys()][0]).toContain('mp3_mode');
  });
});

describe('a call of TeXML', () => {
  it('asks by a signed form and goes on with the next verb when the stream is over', async () => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) =>
      target === VOICE ? place.connect('<Redirect>/after</Redirect>') : xml('<Say>Goodbye</Say>');
    const { call, media } = await streaming(place, { from: THEIRS, to: OURS });
    const [asked] = place.requestsTo(VOICE);
    expect(asked).toMatchObject({
      method: 'POST',
      form: {
        AccountSid: ACCOUNT,
        ApiVersion: '2010-04-01',
        CallSid: call.callId,
        CallSidLegacy: call.callId,
        CallStatus: 'ringing',
        From: THEIRS,
        To: OURS,
        Direction: 'inbound',
      },
    });
    expect(asked?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(asked && (await isSigned(asked))).toBe(true);
    // The published client checks the signature and then chokes on the form.
    const headers = asked?.headers as Record<string, string>;
    await expect(
      place.client.webhooks.unwrap(asked?.body ?? '', { headers, key: PUBLIC_KEY }),
    ).rejects.toThrow(SyntaxError);
    media.play(100);
    await read(media);
    place.clock.advance(100);
    media.socket.close(1000);
    const report = await call.ended;
    expect(report).toMatchObject({ endedBy: 'document', heardBytes: 800, warnings: new Map() });
    expect(forms(place, '/after')).toMatchObject([{ CallSid: call.callId, CallStatus: 'in-progress' }]);
    expect(call.eventsOf('say')).toMatchObject([{ text: 'Goodbye' }]);
  });

  it('tells the status callback how it goes on, in order, with numbers and causes', async () => {
    await using place = await Place.open();
    const call = place.callTexml({ statusCallbackUrl: place.at('/status') });
    await call.streaming;
    place.clock.advance(5000);
    await call.hangUp();
    const told = forms(place, '/status');
    expect(told.map((form) => [form['CallStatus'], form['SequenceNumber'], form['CallDuration']])).toEqual([
      ['initiated', '0', undefined],
      ['ringing', '1', undefined],
      ['in-progress', '2', undefined],
      ['completed', '3', '5'],
    ]);
    expect(told[3]).toMatchObject({
      CallbackSource: 'call-progress-events',
      HangupCause: 'normal_clearing',
      HangupSource: 'caller',
      Timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}Z$/),
    });
    for (const request of place.requestsTo('/status')) expect(await isSigned(request)).toBe(true);
  });

  it('may tell the voice address too how it ended and what it has cost', async () => {
    await using place = await Place.open();
    const { call } = await streaming(place, { settings: { voiceUrlCallbacks: 'yes' } });
    await call.hangUp();
    expect(forms(place, VOICE).map((form) => form['CallbackSource'])).toEqual([
      undefined,
      'call-progress-events',
      'call-cost-events',
    ]);
  });

  it.each(['form', 'json'] as const)('tells of its stream, as %s', async (streamCallbacks) => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) =>
      target === VOICE
        ? place.connect(
            '',
            'bidirectionalMode="rtp" enableReconnect="false" name="agent" statusCallback="/stream"',
          )
        : xml('');
    const { call } = await streaming(place, { settings: { streamCallbacks } });
    await call.hangUp();
    const told = place
      .requestsTo('/stream')
      .map(
        ({ form, body }) => (streamCallbacks === 'json' ? JSON.parse(body) : form) as Record<string, string>,
      );
    expect(told).toMatchObject([
      { StreamEvent: 'stream-started', StreamName: 'agent', StreamSid: call.streamId, CallSid: call.callId },
      { StreamEvent: 'stream-stopped' },
    ]);
    place.bridge.refuseUpgrade = 404;
    await place.callTexml().ended;
    expect(place.requestsTo('/stream').at(-1)?.body).toContain('upgrade_failed');
  });

  it('opens a stream again that broke, unless the document forbids it', async () => {
    await using place = await Place.open();
    for (const [attributes, streams] of [
      ['bidirectionalMode="rtp"', 2],
      ['bidirectionalMode="rtp" enableReconnect="false"', 1],
    ] as const) {
      place.bridge.answer = ({ target }) => (target === VOICE ? place.connect('', attributes) : xml(''));
      const { call, media } = await streaming(place);
      media.socket.terminate();
      await call.next('stream-ended');
      const again = place.bridge.media();
      if (streams === 2) {
        await place.pass(1000);
        const second = await again;
        await second.count('start', 1);
        second.socket.close(1000);
      }
      expect((await call.ended).streams).toHaveLength(streams);
    }
  });

  it('is asked by GET with its fields in the query, and nothing but the time is signed', async () => {
    await using place = await Place.open();
    const { call } = await streaming(place, { settings: { voiceMethod: 'GET' } });
    const [asked] = place.requestsTo(VOICE);
    expect(asked).toMatchObject({ method: 'GET', body: '' });
    expect(asked?.target).toContain(`CallSid=${encodeURIComponent(call.callId)}`);
    expect(asked && (await isSigned(asked))).toBe(true);
  });

  it.each(['bad', 'missing', 'stale'] as const)('can be signed wrongly: %s', async (webhookSignature) => {
    await using place = await Place.open();
    place.bridge.answer = () => ({ status: 403, body: '' });
    const report = await place.callTexml({ faults: { webhookSignature } }).ended;
    const [asked] = place.requestsTo(VOICE);
    expect(asked && (await isSigned(asked))).toBe(false);
    expect(report).toMatchObject({ outcome: 'failed', failure: expect.stringContaining('webhook_failed') });
  });

  it('asks twice when the answer was lost, tells in reverse, and goes to the fallback', async () => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) => (target === VOICE ? { status: 500, body: '' } : xml('<Hangup/>'));
    const call = place.callTexml({
      fallbackUrl: place.at('/fallback'),
      statusCallbackUrl: place.at('/status'),
      faults: { duplicateWebhook: 'concurrent', reverseProgress: true, duplicateCallbacks: true },
    });
    expect(await call.ended).toMatchObject({ outcome: 'completed' });
    expect(place.requestsTo(VOICE)).toHaveLength(2);
    expect(forms(place, '/fallback')).toMatchObject([{ ErrorUrl: place.at(VOICE) }, {}]);
    expect(forms(place, '/status').map((form) => form['CallStatus'])).toEqual(
      ['completed', 'in-progress', 'ringing', 'initiated'].flatMap((status) => [status, status]),
    );
  });

  it('can be refused, and is given up by the caller', async () => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) => (target === VOICE ? xml('<Reject reason="busy"/>') : xml(''));
    const refused = place.callTexml({ statusCallbackUrl: place.at('/status') });
    expect(await refused.ended).toMatchObject({ outcome: 'busy', durationMs: 0 });
    expect(forms(place, '/status').at(-1)).toMatchObject({ CallStatus: 'busy', HangupCause: 'user_busy' });
    const impatient = place.callTexml({ statusCallbackUrl: place.at('/gone') });
    await impatient.hangUp();
    expect(forms(place, '/gone').at(-1)).toMatchObject({
      CallStatus: 'canceled',
      HangupCause: 'originator_cancel',
    });
  });

  it('presses keys for the other side by a document, and goes on', async () => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) =>
      target === VOICE ? xml('<Play digits="w12"/><Redirect>/after</Redirect>') : xml('');
    const call = place.callTexml();
    await call.next('agent-keys');
    await place.pass(900);
    await call.ended;
    expect(call.eventsOf('agent-keys')).toMatchObject([{ digits: 'w12' }]);
    expect(forms(place, '/after')).toHaveLength(1);
  });
});

describe('a transfer by TeXML', () => {
  const DIAL =
    '<Dial action="/after" timeout="20" callerId="+14155550101"><Number url="/announce" statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed">+14155550199</Number></Dial>';

  function lead(place: Place, announcement = '<Say>A caller asks for you.</Say>'): void {
    place.bridge.answer = ({ target }) => {
      if (target === VOICE) return xml(DIAL);
      if (target === '/announce') return xml(announcement);
      return xml('');
    };
  }

  it('tells the other leg what it is about, connects the two, and asks what comes next', async () => {
    await using place = await Place.open();
    lead(place);
    const call = place.callTexml({ dialResult: { status: 'completed', ringMs: 3000, durationMs: 10_000 } });
    await call.next('leg');
    place.clock.advance(3000);
    await call.next('leg', ({ status }) => status === 'in-progress');
    place.clock.advance(10_000);
    expect(await call.ended).toMatchObject({ outcome: 'completed' });
    expect(call.eventsOf('leg-told')).toMatchObject([{ text: 'A caller asks for you.' }]);
    const legs = forms(place, '/leg');
    expect(legs.map((form) => form['CallStatus'])).toEqual([
      'initiated',
      'ringing',
      'in-progress',
      'completed',
    ]);
    const [first] = legs;
    expect(first).toMatchObject({
      ParentCallSid: call.callId,
      To: THEIRS,
      From: OURS,
      Direction: 'outbound',
    });
    expect(first?.['CallSid']).not.toBe(call.callId);
    expect(forms(place, '/announce')).toMatchObject([
      { CallSid: first?.['CallSid'], ParentCallSid: call.callId, CallStatus: 'in-progress' },
    ]);
    expect(forms(place, '/after')).toMatchObject([
      {
        CallSid: call.callId,
        DialCallSid: first?.['CallSid'],
        DialCallStatus: 'completed',
        DialCallDuration: '10',
      },
    ]);
    for (const request of place.requestsTo('/leg')) expect(await isSigned(request)).toBe(true);
  });

  it.each([
    [{ status: 'busy', ringMs: 500, durationMs: 0 }, 500, 'busy', 'user_busy'],
    [{ status: 'no-answer', durationMs: 0 }, 20_000, 'no-answer', 'timeout'],
    [{ status: 'failed', durationMs: 0 }, 0, 'failed', 'not_found'],
  ] as const)('that comes to nothing leads back to the bridge: %j', async (dialResult, ms, status, cause) => {
    await using place = await Place.open();
    lead(place);
    const call = place.callTexml({ dialResult });
    await call.next('leg');
    if (ms > 0) await place.pass(ms);
    await call.ended;
    expect(forms(place, '/after')).toMatchObject([{ DialCallStatus: status, CallStatus: 'in-progress' }]);
    expect(forms(place, '/leg').at(-1)).toMatchObject({ CallStatus: status, HangupCause: cause });
    expect(forms(place, '/announce')).toEqual([]);
  });

  it('is declined by a document that hangs up', async () => {
    await using place = await Place.open();
    lead(place, '<Say>No.</Say><Hangup/>');
    const call = place.callTexml();
    await call.ended;
    expect(forms(place, '/after')).toMatchObject([{ DialCallStatus: 'no-answer' }]);
  });

  it('ends with the caller, and the other leg is told so', async () => {
    await using place = await Place.open();
    lead(place);
    const call = place.callTexml({ dialResult: { status: 'completed', ringMs: 5000, durationMs: 0 } });
    await call.next('leg');
    await call.hangUp();
    await until(() => forms(place, '/leg').some((form) => form['CallStatus'] === 'canceled'));
    expect(forms(place, '/after')).toEqual([]);
    expect(place.clock.pending).toBe(0);
  });
});

describe('REST for calls of TeXML', () => {
  it('ends a call, gives it another document or address, and shows it', async () => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) => (target === VOICE ? place.connect() : xml('<Pause length="60"/>'));
    const { call, media } = await streaming(place);
    await update(place, call, { Url: place.at('/next'), Method: 'POST' });
    expect(await media.closed).toBe(1000);
    await call.next('pause');
    await update(place, call, { Texml: '<Response><Say>Hold</Say><Pause length="9"/></Response>' });
    await call.next('say');
    const shown = await place.client.texml.accounts.calls.retrieve(call.callId, { account_sid: ACCOUNT });
    expect(shown).toMatchObject({ sid: call.callId, status: 'in-progress', account_sid: ACCOUNT });
    expect(await refusal(update(place, call, {}))).toEqual({ status: 422, codes: ['10004'] });
    expect(
      await refusal(place.client.texml.accounts.calls.update(call.callId, { account_sid: 'another' })),
    ).toMatchObject({ status: 404 });
    await update(place, call, { Status: 'completed' });
    expect(await call.ended).toMatchObject({ endedBy: 'rest' });
    expect(await refusal(update(place, call, { Status: 'completed' }))).toEqual({
      status: 422,
      codes: ['90018'],
    });
  });

  it('takes some commands of Call Control: keys, recordings, hanging up, and a look', async () => {
    await using place = await Place.open();
    const { call, media } = await streaming(place, { statusCallbackUrl: place.at('/status') });
    const { actions } = place.client.calls;
    await actions.sendDtmf(call.callId, { digits: '1' });
    expect(call.eventsOf('agent-keys')).toMatchObject([{ digits: '1' }]);
    expect(await refusal(actions.sendDtmf(call.callId, { digits: 'x' }))).toEqual({
      status: 422,
      codes: ['10015'],
    });
    await actions.startRecording(call.callId, { format: 'wav', channels: 'dual' });
    media.play(1000);
    await read(media);
    place.clock.advance(1000);
    await actions.stopRecording(call.callId, {});
    await until(() => forms(place, '/status').some((form) => form['RecordingStatus'] !== undefined));
    const recording = forms(place, '/status').find((form) => form['RecordingStatus'] !== undefined);
    expect(recording).toMatchObject({
      RecordingStatus: 'completed',
      RecordingDuration: '1',
      CallSid: call.callId,
    });
    const file = await fetch(recording?.['RecordingUrl'] ?? '');
    expect(readWav(new Uint8Array(await file.arrayBuffer())).channel(1)).toHaveLength(8000);
    expect(await refusal(actions.stopRecording(call.callId, {}))).toMatchObject({ status: 404 });
    expect(await refusal(actions.speak(call.callId, { payload: 'x', voice: 'y' }))).toMatchObject({
      status: 422,
    });
    expect((await place.client.calls.retrieveStatus(call.callId)).data?.is_alive).toBe(true);
    await actions.hangup(call.callId, {});
    await call.ended;
    expect((await place.client.calls.retrieveStatus(call.callId)).data?.is_alive).toBe(false);
    expect(await refusal(actions.hangup(call.callId, {}))).toEqual({ status: 422, codes: ['90018'] });
  });

  it('records by its own resource too', async () => {
    await using place = await Place.open();
    const { call } = await streaming(place, { statusCallbackUrl: place.at('/status') });
    const { recordingsJson } = place.client.texml.accounts.calls;
    const { sid } = await recordingsJson.recordingsJson(call.callId, { account_sid: ACCOUNT });
    place.clock.advance(100);
    const path = `/texml/Accounts/${ACCOUNT}/Calls/${call.callId}/Recordings/${sid}.json`;
    await place.client.post(path, { body: { Status: 'stopped' } });
    await call.hangUp();
    expect(forms(place, '/status').filter((form) => form['RecordingSid'] === sid)).toHaveLength(1);
  });

  describe('places a call', () => {
    const ORDER = { ApplicationSid: '1', From: OURS, To: THEIRS };
    type Fields = Readonly<Record<string, unknown>>;

    async function order(place: Place, fields: Fields = {}) {
      const dialled = place.exchange.nextDialled();
      const body = {
        ...ORDER,
        Url: place.at('/voice?ref=r1'),
        StatusCallback: place.at('/status'),
        ...fields,
      };
      await place.client.texml.accounts.calls.calls(ACCOUNT, { body } as never);
      return await dialled;
    }

    it('that rings, is led by its address, and is told about as it was asked for', async () => {
      await using place = await Place.open({ callee: { kind: 'human', ringMs: 2000 } });
      const call = await order(place, { StatusCallbackEvent: 'initiated ringing answered completed' });
      await until(() => forms(place, '/status').length === 2);
      expect(place.requestsTo('/voice')).toEqual([]);
      await place.pass(2000);
      await call.streaming;
      expect(forms(place, '/voice')).toMatchObject([
        { Direction: 'outbound', CallStatus: 'in-progress', To: THEIRS },
      ]);
      await call.hangUp();
      expect(forms(place, '/status').map((form) => form['CallStatus'])).toEqual([
        'initiated',
        'ringing',
        'in-progress',
        'completed',
      ]);
    });

    it.each([
      [{ kind: 'busy', ringMs: 100 }, 100, 'busy', 'user_busy'],
      [{ kind: 'rejects', ringMs: 100 }, 100, 'busy', 'call_rejected'],
      [{ kind: 'no-answer' }, 10_000, 'no-answer', 'timeout'],
    ] as const)('that comes to nothing with %j', async (callee: Callee, ms, CallStatus, HangupCause) => {
      await using place = await Place.open({ callee });
      const call = await order(place, { Timeout: 10 });
      await nextTurn();
      await place.pass(ms);
      await call.ended;
      // Without a wish only the end is told.
      expect(forms(place, '/status')).toMatchObject([{ CallStatus, HangupCause }]);
      expect(place.requestsTo('/voice')).toEqual([]);
    });

    it('that is given up while it rings', async () => {
      await using place = await Place.open({ callee: { kind: 'human', ringMs: 4000 } });
      const call = await order(place);
      await update(place, call, { Status: 'completed' });
      expect(await call.ended).toMatchObject({ outcome: 'canceled' });
      expect(forms(place, '/status')).toMatchObject([{ CallStatus: 'canceled' }]);
    });

    it('that a machine takes, and is led when its greeting is over, or told of it meanwhile', async () => {
      const callee: Callee = { kind: 'machine', ringMs: 1000, greeting: tone(3000) };
      await using place = await Place.open({ callee });
      const call = await order(place, { MachineDetection: 'DetectMessageEnd' });
      for (const ms of [1000, 2000, 1500]) await place.pass(ms);
      await call.streaming;
      expect(forms(place, '/voice')).toMatchObject([{ AnsweredBy: 'machine_end_beep' }]);
      await call.hangUp();
      const other = await order(place, {
        MachineDetection: 'Enable',
        AsyncAmd: true,
        AsyncAmdStatusCallback: place.at('/machine'),
      });
      await place.pass(1000);
      await other.streaming;
      place.clock.advance(2000);
      await until(() => forms(place, '/machine').length === 1);
      expect(forms(place, '/machine')).toMatchObject([
        { AnsweredBy: 'machine_start', MachineDetectionDuration: '2000', CallSid: other.callId },
      ]);
    });

    it('that brings its document along', async () => {
      await using place = await Place.open();
      const call = await order(place, { Url: undefined, Texml: '<Response><Say>Hello</Say></Response>' });
      await place.pass(1000);
      await call.ended;
      expect(call.eventsOf('say')).toMatchObject([{ text: 'Hello' }]);
      expect(place.requestsTo('/voice')).toEqual([]);
    });

    it('only when it says who is rung: the published client sends nothing when it is used as of old', async () => {
      await using place = await Place.open();
      const calls = place.client.texml.accounts.calls;
      expect(await refusal(calls.calls(ACCOUNT, ORDER as never))).toEqual({
        status: 422,
        codes: ['10004', '10004', '10004'],
      });
      const form = new URLSearchParams({ ApplicationSid: '1', From: OURS });
      const response = await fetch(`${place.exchange.restBaseUrl}/v2/texml/Accounts/${ACCOUNT}/Calls`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEY}` },
        body: form,
      });
      expect(response.status).toBe(422);
    });
  });
});
