import { TelnyxWebhook } from 'telnyx/lib/webhooks';
import { describe, expect, it } from 'vitest';
import { Seen } from '../carriers/telnyx/seen.ts';
import { TELNYX_CODECS } from '../carriers/telnyx.ts';
import type { Next } from '../src/carrier.ts';
import { capabilitiesFor } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import type { Headers } from './support/telnyx-carrier.ts';
import {
  COMMAND_CALL,
  DOCUMENT_CALL,
  event,
  form,
  LEG,
  PLAN,
  PUBLIC_KEY,
  parseForm,
  SENT_S,
  signature,
  telnyx,
  URLS,
  VOICE_FIELDS,
  webhook,
} from './support/telnyx-carrier.ts';

const OK = { ok: true };
const refused = (reason: string) => ({ ok: false, reason });

const V1 =
  '{"data":{"event_type":"call.initiated","id":"0ccc7b54-4df3-4bca-a65a-3da1ecc777f0","occurred_at":"2026-01-02T03:04:05.678901Z","payload":{"call_control_id":"v3:abc","connection_id":"7267xxxxxxxxxxxxxx","direction":"incoming","from":"+14155550100","state":"parked","to":"+14155550101"},"record_type":"event"},"meta":{"attempt":1,"delivered_to":"https://bridge.example.com/telnyx/webhook"}}';
const V2 =
  'AccountSid=61bf923e-5e4d-4595-a110-56190ea18a1b&CallSid=v3%3Aabc&CallStatus=ringing&From=%2B14155550100&To=%2B14155550101';
const VECTORS = [
  ['V1', V1, 'cVWR6ylsBCEwZN26Y7MW9wEmEt+YLyrgxPIXkhtH6VhZu7L0ldlBKly9Ft5xcCVOzVDDNocmug7Phwrl3T7hAQ=='],
  ['V2', V2, 'j0l3F7IlTTaILN7zVOrCAmnT3QNKVG6/KYU73SXUH0u5AAwGNkqpGUOK64MOZVw03+pghR56Vhxr6yF93btFDQ=='],
  ['V3', '', 'PqxisfUvsDuK/j48TFbeu55+za4N75bpHJ/f5l9fA9GMiFsVASW+AzBtKO1mzWugi8wVGHPJSoRUekk27HbqCA=='],
] as const;

describe('the signature of a webhook', () => {
  it.each(VECTORS)('%s of the known vectors is right', (_name, body, signed) => {
    expect(signature(body)).toBe(signed);
    const request = webhook('/events/telnyx', body, { headers: { 'telnyx-signature-ed25519': signed } });
    expect(telnyx().verify(request)).toEqual(OK);
  });

  it('is one that the package of Telnyx takes', async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const body of [V1, V2, '']) {
      const headers = { 'telnyx-timestamp': String(now), 'telnyx-signature-ed25519': signature(body, now) };
      await expect(new TelnyxWebhook(PUBLIC_KEY).verify(body, headers)).resolves.toBeUndefined();
      expect(telnyx({ epochMs: Date.now }).verify(webhook('/x', body, { sentS: now }))).toEqual(OK);
      await expect(new TelnyxWebhook(PUBLIC_KEY).verify(`${body} `, headers)).rejects.toThrow();
    }
  });

  it.each([
    [-300, OK],
    [300, OK],
    [-301, refused('stale')],
    [301, refused('stale')],
  ])('sent %i s from now gives %j', (offset, verdict) => {
    expect(telnyx().verify(webhook('/events/telnyx', V1, { sentS: SENT_S + offset }))).toEqual(verdict);
  });

  it('counts whole seconds, so that the last one is as long as the others', () => {
    const late = telnyx({ epochMs: () => (SENT_S + 300) * 1000 + 999 });
    expect(late.verify(webhook('/x', V1))).toEqual(OK);
  });

  const [, , V1_SIGNATURE] = VECTORS[0];
  const bad: [string, string, Headers, string][] = [
    [
      'a body that is one space longer',
      `${V1} `,
      { 'telnyx-signature-ed25519': V1_SIGNATURE },
      'bad-signature',
    ],
    ['another time', V1, { 'telnyx-timestamp': String(SENT_S + 1) }, 'bad-signature'],
    ['no time', V1, { 'telnyx-timestamp': undefined }, 'missing-signature'],
    ['no signature', V1, { 'telnyx-signature-ed25519': undefined }, 'missing-signature'],
    ['an empty signature', V1, { 'telnyx-signature-ed25519': '' }, 'missing-signature'],
    ['two signatures', V1, { 'telnyx-signature-ed25519': [V1_SIGNATURE, V1_SIGNATURE] }, 'missing-signature'],
    ['no padding', V1, { 'telnyx-signature-ed25519': V1_SIGNATURE.slice(0, -2) }, 'bad-signature'],
    ['half a padding', V1, { 'telnyx-signature-ed25519': V1_SIGNATURE.slice(0, -1) }, 'bad-signature'],
    [
      'another spelling of the same bytes',
      V1,
      { 'telnyx-signature-ed25519': V1_SIGNATURE.replace('AQ==', 'AR==') },
      'bad-signature',
    ],
    ['a space at the end', V1, { 'telnyx-signature-ed25519': `${V1_SIGNATURE} ` }, 'bad-signature'],
    ['63 bytes', V1, { 'telnyx-signature-ed25519': Buffer.alloc(63).toString('base64') }, 'bad-signature'],
    [
      '64 bytes of zero',
      V1,
      { 'telnyx-signature-ed25519': Buffer.alloc(64).toString('base64') },
      'bad-signature',
    ],
    ['a time that is no number', V1, { 'telnyx-timestamp': `${SENT_S}.0` }, 'bad-signature'],
    ['a time with a sign', V1, { 'telnyx-timestamp': `+${SENT_S}` }, 'bad-signature'],
    ['a signature without the time', V1, { 'telnyx-signature-ed25519': signature(V1, '') }, 'bad-signature'],
  ];
  it.each(bad)('is refused with %s', (_name, body, headers, reason) => {
    expect(telnyx().verify(webhook('/events/telnyx', body, { headers }))).toEqual(refused(reason));
  });

  it('is found under header names of any case', () => {
    const request = webhook('/x', V1);
    const headers = {
      'Telnyx-Timestamp': request.headers['telnyx-timestamp'],
      'TELNYX-SIGNATURE-ED25519': request.headers['telnyx-signature-ed25519'],
    };
    expect(telnyx().verify({ ...request, headers })).toEqual(OK);
  });

  it('covers bytes that are no text', () => {
    const body = Buffer.from([0x61, 0xff, 0xfe, 0x00]);
    expect(telnyx().verify(webhook('/x', body))).toEqual(OK);
    const changed = { ...webhook('/x', body), body: Buffer.from([0x61, 0xfe, 0xfe, 0x00]) };
    expect(telnyx().verify(changed)).toEqual(refused('bad-signature'));
  });

  it('cannot be checked without a key, and need not be with --insecure', () => {
    expect(telnyx({ publicKey: '' }).verify(webhook('/x', V1))).toEqual(refused('not-configured'));
    expect(telnyx({ publicKey: undefined }).verify(webhook('/x', V1))).toEqual(refused('not-configured'));
    const unsigned = webhook('/x', V1, { headers: { 'telnyx-timestamp': undefined } });
    expect(telnyx({ publicKey: undefined, insecure: true }).verify(unsigned)).toEqual(OK);
  });
});

describe('a webhook that comes again', () => {
  it('is refused when it is a form, for as long as its time would pass', () => {
    let now = SENT_S - 300;
    const carrier = telnyx({ epochMs: () => now * 1000 });
    const request = webhook('/voice/telnyx', V2);
    expect(carrier.verify(request)).toEqual(OK);
    for (const at of [SENT_S - 300, SENT_S, SENT_S + 300]) {
      now = at;
      expect(carrier.verify(request)).toEqual(refused('replayed'));
    }
    now = SENT_S + 301;
    expect(carrier.verify(request)).toEqual(refused('stale'));
  });

  it('is refused at another address and under another content type', () => {
    const carrier = telnyx();
    expect(carrier.verify(webhook('/status/telnyx', V2))).toEqual(OK);
    const again = webhook('/voice/telnyx', V2, { headers: { 'content-type': 'application/json' } });
    expect(carrier.verify(again)).toEqual(refused('replayed'));
  });

  it('is another question, when what comes after a stream is asked twice within a second', () => {
    let now = SENT_S * 1000;
    const carrier = telnyx({ epochMs: () => now });
    const request = webhook('/after/telnyx/t0ken', V2);
    expect(carrier.verify(request)).toEqual(OK);
    now += 5000;
    expect(carrier.verify(request)).toEqual(OK);
    now += 1;
    expect(carrier.verify(request)).toEqual(refused('replayed'));
    expect(carrier.verify(webhook('/voice/telnyx', V2))).toEqual(refused('replayed'));
  });

  it('is refused when it had no body', () => {
    const carrier = telnyx();
    expect(carrier.verify(webhook('/voice/telnyx', ''))).toEqual(OK);
    expect(carrier.verify(webhook('/voice/telnyx', ''))).toEqual(refused('replayed'));
  });

  it('passes as a form when Telnyx sends it anew, since the time of sending is signed too', () => {
    const carrier = telnyx();
    expect(carrier.verify(webhook('/voice/telnyx', V2))).toEqual(OK);
    expect(carrier.verify(webhook('/voice/telnyx', V2, { sentS: SENT_S + 1 }))).toEqual(OK);
  });

  it('passes as an event, and has the key of the first one', () => {
    const carrier = telnyx();
    const request = webhook('/events/telnyx', V1);
    expect([carrier.verify(request), carrier.verify(request)]).toEqual([OK, OK]);
    const [first, second] = [carrier.parse(request, 'events'), carrier.parse(request, 'events')];
    expect(first).toEqual(second);
    expect(first).toMatchObject({ type: 'incoming', idempotencyKey: '0ccc7b54-4df3-4bca-a65a-3da1ecc777f0' });
  });

  it('does not spend its one time on a wrong signature', () => {
    const carrier = telnyx();
    const forged = { ...webhook('/voice/telnyx', V2), body: Buffer.from(`${V2}&x=1`) };
    expect(carrier.verify(forged)).toEqual(refused('bad-signature'));
    expect(carrier.verify(webhook('/voice/telnyx', V2))).toEqual(OK);
  });

  it('is remembered within bounds', () => {
    const seen = new Seen(3);
    for (let i = 0; i < 10; i++) seen.add(`key ${i}`, 1000, 0);
    expect(seen.size).toBe(3);
    expect([seen.has('key 6', 0), seen.has('key 7', 0), seen.has('key 9', 1000)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(seen.has('key 9', 1001)).toBe(false);
    seen.add('late', 5000, 2000);
    expect(seen.size).toBe(1);
  });
});

describe('settings', () => {
  it.each([
    ['not base64!', 'characters that are no base64'],
    ['AAAA', 'base64 of 3 bytes'],
    [Buffer.alloc(64, 7).toString('base64'), 'base64 of 64 bytes'],
    [PUBLIC_KEY.slice(0, -1), 'characters that are no base64'],
  ])('a public key that is none is refused without being shown', (publicKey, found) => {
    const make = () => telnyx({ publicKey });
    expect(make).toThrow(BridgeError);
    expect(make).toThrow(`BAD_CONFIG: the Telnyx public key is`);
    expect(make).toThrow(found);
    expect(make).not.toThrow(publicKey);
  });

  it('a base URL that is none is refused', () => {
    expect(() => telnyx({ baseUrl: 'ftp://x' })).toThrow('BAD_CONFIG: the Telnyx base URL');
  });

  it.each(TELNYX_CODECS)('%s is what the carrier says it takes', (codec) => {
    const carrier = telnyx({ codec });
    const [encoding, rate] = { PCMU: ['mulaw', 8000], PCMA: ['alaw', 8000] }[codec as string] ?? [
      'pcm16',
      Number(codec.split('/')[1]),
    ];
    // TeXML has no L16.
    const wanted = encoding === 'pcm16' ? { encoding: 'mulaw', rate: 8000 } : { encoding, rate };
    expect(carrier.capabilities.outputs).toContainEqual(wanted);
    expect(carrier.commandCapabilities?.outputs).toContainEqual({ encoding, rate });
  });

  it('the two styles differ in the stream after a transfer and in the proof of the socket', () => {
    const carrier = telnyx();
    const [document, command] = [
      capabilitiesFor(carrier, DOCUMENT_CALL),
      capabilitiesFor(carrier, COMMAND_CALL),
    ];
    expect(document).toEqual({
      ...command,
      upgradeAuth: 'path',
      outputs: command.outputs.filter(({ encoding }) => encoding !== 'pcm16'),
      transfer: { ...command.transfer, endsStream: true },
    });
    expect(command).toMatchObject({ upgradeAuth: 'token-header', transfer: { endsStream: false } });
  });
});

describe('TeXML', () => {
  const HEAD = '<?xml version="1.0" encoding="UTF-8"?>';

  it('connects the call with the media socket and asks what comes after it', () => {
    const { answer, action } = telnyx().accept(DOCUMENT_CALL, PLAN);
    expect(action).toBeUndefined();
    expect(answer).toEqual({
      status: 200,
      contentType: 'text/xml',
      body:
        `${HEAD}<Response><Connect><Stream url="wss://bridge.example.com/media/telnyx/tok_abc123" track="inbound_track" ` +
        'bidirectionalMode="rtp" bidirectionalCodec="PCMU" bidirectionalSamplingRate="8000" enableReconnect="false" ' +
        'statusCallback="https://bridge.example.com/stream-status/telnyx" statusCallbackMethod="POST">' +
        '<Parameter name="call" value="v3:abc"/><Parameter name="agent" value="a &amp; b"/></Stream></Connect>' +
        '<Redirect method="POST">https://bridge.example.com/after/telnyx/tok?a=1&amp;b=2</Redirect></Response>',
    });
  });

  it('asks for G.711 where the caller speaks something else, and sends it, because it knows no L16', () => {
    const plan = { ...PLAN, params: {}, plainCodec: true };
    const { body } = telnyx({ codec: 'L16/16000' }).accept(DOCUMENT_CALL, plan).answer;
    expect(body).toContain(
      'track="inbound_track" codec="PCMU" bidirectionalMode="rtp" bidirectionalCodec="PCMU" bidirectionalSamplingRate="8000"',
    );
    expect(body).toContain('statusCallbackMethod="POST"/></Connect>');
  });

  it('refuses a media address that Telnyx would cut', () => {
    const accept = (mediaUrl: string) => () => telnyx().accept(DOCUMENT_CALL, { ...PLAN, mediaUrl });
    expect(accept('wss://bridge.example.com/media/x?y=1')).toThrow('BAD_INPUT');
    expect(accept('/media/x')).toThrow('BAD_INPUT');
  });

  it.each(['busy', 'rejected'] as const)('refuses a call as %s', (reason) => {
    expect(telnyx().reject(DOCUMENT_CALL, reason)).toEqual({
      answer: {
        status: 200,
        contentType: 'text/xml',
        body: `${HEAD}<Response><Reject reason="${reason}"/></Response>`,
      },
    });
  });

  const to = { callerId: undefined, ringS: 20, announce: undefined, language: undefined } as const;
  const number =
    'statusCallback="https://bridge.example.com/status/telnyx" statusCallbackMethod="POST" statusCallbackEvent="answered completed"';
  const action = 'action="https://bridge.example.com/after/telnyx/tok?a=1&amp;b=2" method="POST"';
  const documents: [string, Next, string][] = [
    ['hang up', { type: 'hang-up' }, '<Hangup/>'],
    [
      'say goodbye',
      { type: 'say', text: ' Auf <Wiederhören> ', language: 'de' },
      '<Say voice="alice" language="de-DE">Auf &lt;Wiederhören&gt;</Say><Hangup/>',
    ],
    ['say nothing', { type: 'say', text: ' ', language: 'de' }, '<Hangup/>'],
    [
      'speak a language that Telnyx has not',
      { type: 'say', text: 'Sveiki', language: 'lv-LV' },
      '<Say voice="alice" language="en-US">Sveiki</Say><Hangup/>',
    ],
    [
      'take a message',
      { type: 'message', text: 'Nach dem Ton.', language: 'de', maxS: 89.5 },
      '<Say voice="alice" language="de-DE">Nach dem Ton.</Say><Record maxLength="90" finishOnKey="#" playBeep="true" channels="single" recordingStatusCallback="https://bridge.example.com/status/telnyx" recordingStatusCallbackMethod="POST"/><Hangup/>',
    ],
    [
      'press keys',
      { type: 'digits', digits: '1w2W#' },
      '<Play digits="1w2ww#"/><Redirect method="POST">https://bridge.example.com/after/telnyx/tok?a=1&amp;b=2</Redirect>',
    ],
    ['do nothing', { type: 'nothing' }, ''],
    [
      'transfer',
      { type: 'transfer', ...to, to: '+1 (415) 555-0199', callerId: '+14155550101' },
      `<Dial callerId="+14155550101" timeout="20" ${action}><Number ${number}>+14155550199</Number></Dial>`,
    ],
    [
      'transfer to a SIP address',
      { type: 'transfer', ...to, to: 'sip:sales@example.com', ringS: 1, callerId: 'sip:x@y' },
      `<Dial timeout="5" ${action}><Sip ${number}>sip:sales@example.com</Sip></Dial>`,
    ],
    [
      'announce a transfer',
      { type: 'transfer', ...to, to: '+14155550199', ringS: 500, announce: 'A caller' },
      `<Dial timeout="120" ${action}><Number url="https://bridge.example.com/announce/telnyx/tok" method="POST" ${number}>+14155550199</Number></Dial>`,
    ],
  ];
  it.each(documents)('can %s', (_name, next, verbs) => {
    const body = verbs === '' ? '<Response/>' : `<Response>${verbs}</Response>`;
    expect(telnyx().document(next, URLS)).toEqual({
      status: 200,
      contentType: 'text/xml',
      body: HEAD + body,
    });
  });

  it('opens the stream again', () => {
    expect(telnyx().document({ type: 'stream', plan: PLAN }, URLS)).toEqual(
      telnyx().accept(DOCUMENT_CALL, PLAN).answer,
    );
  });

  it.each(['client:ann', '911', '+1415555,200', 'sip:a@b,1', 'sip:a b', ''])(
    'refuses a transfer target that Telnyx has not, without showing it: %j',
    (target) => {
      const dial = () => telnyx().document({ type: 'transfer', ...to, to: target }, URLS);
      expect(dial).toThrow(`BAD_INPUT: the transfer target has ${target.length} characters`);
    },
  );

  it('refuses keys and ring times that are none', () => {
    expect(() => telnyx().document({ type: 'digits', digits: '1;2' }, URLS)).toThrow('BAD_INPUT');
    expect(() => telnyx().document({ type: 'transfer', ...to, to: '+14155550199', ringS: 0 }, URLS)).toThrow(
      'BAD_INPUT',
    );
  });

  it('tells the other end, and says nothing to callbacks', () => {
    expect(telnyx().announcement('A caller is on the line', 'en-GB').body).toBe(
      `${HEAD}<Response><Say voice="alice" language="en-GB">A caller is on the line</Say></Response>`,
    );
    expect(telnyx().acknowledge()).toEqual({
      status: 200,
      contentType: 'text/xml',
      body: `${HEAD}<Response/>`,
    });
  });
});

describe('a TeXML webhook', () => {
  it('of an incoming call', () => {
    expect(parseForm('voice', { CallerName: 'ANN' })).toEqual({
      type: 'incoming',
      call: { ...DOCUMENT_CALL, callerName: 'ANN' },
      machine: undefined,
      idempotencyKey: LEG,
    });
  });

  it.each([
    ['+14155550100', '+14155550100'],
    ['14155550100', '+14155550100'],
    ['Anonymous', 'anonymous'],
    ['', 'anonymous'],
    ['sip:anonymous@anonymous.invalid', 'anonymous'],
    ['sip:ann@example.com', 'sip:ann@example.com'],
    ['ann@sip.telnyx.com', 'sip:ann@sip.telnyx.com'],
    ['1042', '1042'],
  ])('from %j is from %j', (From, from) => {
    expect(parseForm('voice', { From })).toMatchObject({ call: { from } });
  });

  it('of a call that was placed has the ref of its address', () => {
    const fields = { Direction: 'outbound-api', AnsweredBy: 'machine_start', CallControlId: 'v3:abc2' };
    expect(parseForm('voice', fields, '/voice/telnyx?ref=r%201')).toMatchObject({
      type: 'incoming',
      machine: 'machine',
      call: { direction: 'outbound', ref: 'r 1', data: { callControlId: 'v3:abc2' } },
    });
  });

  it.each(['call-progress-events', 'call-cost-events'])(
    'that reports (%s) to the voice address does not start a second agent',
    (CallbackSource) => {
      expect(parseForm('voice', { CallbackSource, CallStatus: 'in-progress' }).type).not.toBe('incoming');
    },
  );

  it.each([
    ['initiated', '', 'queued', undefined],
    ['ringing', '', 'ringing', undefined],
    ['in-progress', '', 'in-progress', undefined],
    ['completed', '', 'ended', 'completed'],
    ['completed', 'normal_clearing', 'ended', 'completed'],
    ['completed', 'unspecified', 'ended', 'completed'],
    ['completed', 'time_limit', 'ended', 'time-limit'],
    ['completed', 'user_busy', 'ended', 'busy'],
    ['busy', '', 'ended', 'busy'],
    ['no-answer', 'timeout', 'ended', 'no-answer'],
    ['canceled', '', 'ended', 'canceled'],
    ['failed', '', 'ended', 'failed'],
  ])('with status %s (%s) says that the call is %s: %s', (CallStatus, HangupCause, status, outcome) => {
    const fields = { CallStatus, HangupCause, SequenceNumber: '3', CallDuration: '15' };
    expect(parseForm('status', fields, '/status/telnyx?ref=r1')).toEqual({
      type: 'progress',
      callId: LEG,
      requestId: undefined,
      ref: 'r1',
      status,
      outcome,
      sequence: 3,
      durationS: 15,
    });
  });

  it.each([
    ['in-progress', '', { type: 'transfer', callId: 'v3:a', status: 'answered', outcome: undefined }],
    ['busy', '', { type: 'transfer', callId: 'v3:a', status: 'failed', outcome: 'busy' }],
    ['completed', 'no_answer', { type: 'transfer', callId: 'v3:a', status: 'failed', outcome: 'no-answer' }],
    ['completed', 'normal_clearing', { type: 'ignored' }],
    ['ringing', '', { type: 'ignored' }],
  ])('of the other end of a transfer (%s %s) is about the caller', (CallStatus, HangupCause, found) => {
    const fields = { CallSid: 'v3:b', ParentCallSid: 'v3:a', CallStatus, HangupCause };
    expect(parseForm('status', fields)).toMatchObject(found);
  });

  it.each([
    [{ CallStatus: 'in-progress' }, false, undefined],
    [{ CallStatus: 'completed' }, true, undefined],
    [{ CallStatus: 'in-progress', DialCallStatus: 'no-answer' }, false, 'no-answer'],
    [{ CallStatus: 'completed', DialCallStatus: 'busy' }, false, 'busy'],
    [{ CallStatus: 'completed', DialCallStatus: 'canceled' }, true, 'canceled'],
    [{ CallStatus: 'in-progress', DialCallStatus: 'answered' }, false, 'completed'],
    [{ CallStatus: 'in-progress', DialCallStatus: 'odd' }, false, 'failed'],
  ])('that asks what comes next, with %j', (fields, ended, transfer) => {
    expect(parseForm('after', fields as Record<string, string>)).toEqual({
      type: 'after-stream',
      callId: LEG,
      ended,
      transfer,
      parties: { from: VOICE_FIELDS.From, to: VOICE_FIELDS.To, direction: 'inbound' },
    });
  });

  it.each([
    ['stream-started', 'started', undefined],
    ['stream-stopped', 'stopped', undefined],
    ['stream-failed', 'failed', 'connection_failed'],
    ['stream-error', 'failed', 'connection_failed'],
  ])('about a stream (%s), as a form and as JSON', (StreamEvent, kind, error) => {
    const fields = { CallSid: LEG, StreamEvent, StreamError: error ?? '' };
    const found = { type: 'stream', callId: LEG, kind, error };
    expect(parseForm('stream-status', fields)).toEqual(found);
    const json = webhook('/stream-status/telnyx', JSON.stringify({ ...fields, SequenceNumber: 1, x: null }));
    expect(telnyx().parse(json, 'stream-status')).toEqual(found);
  });

  it('that asks what the other end hears is about the caller', () => {
    expect(parseForm('announce', { CallSid: 'v3:b', ParentCallSid: 'v3:a' })).toEqual({
      type: 'announce',
      callId: 'v3:a',
    });
    expect(parseForm('announce', { CallSid: 'v3:b' })).toEqual({ type: 'announce', callId: 'v3:b' });
  });

  it.each([
    ['human', 'human', false],
    ['machine_start', 'machine', false],
    ['machine_end_beep', 'machine-beep', true],
    ['machine_end_silence', 'machine', true],
    ['fax', 'fax', false],
    ['not_sure', 'unknown', false],
  ])('with an answer by %s', (AnsweredBy, result, greetingOver) => {
    expect(parseForm('machine', { AnsweredBy }, '/machine/telnyx?ref=r')).toEqual({
      type: 'machine',
      callId: LEG,
      ref: 'r',
      result,
      greetingOver,
    });
  });

  it('of a recording', () => {
    const fields = { RecordingStatus: 'completed', RecordingUrl: 'https://x/y.wav', RecordingDuration: '5' };
    expect(parseForm('status', fields)).toEqual({
      type: 'recording',
      callId: LEG,
      url: 'https://x/y.wav',
      durationS: 5,
    });
    expect(parseForm('status', { RecordingStatus: 'in-progress' }).type).toBe('ignored');
    expect(parseForm('status', { RecordingStatus: 'absent' })).toMatchObject({
      type: 'recording',
      url: undefined,
    });
  });

  it.each(['voice', 'status', 'stream-status', 'after', 'announce', 'machine', 'events'] as const)(
    'to %s without a call is nonsense',
    (route) => {
      const parse =
        (body: string | Uint8Array, target = '/x') =>
        () =>
          telnyx().parse(webhook(target, body), route);
      expect(parse('From=%2B14155550100')).toThrow('BAD_FRAME: field CallSid of a Telnyx');
      expect(parse(Buffer.from('CallSid=\xff', 'latin1'))).toThrow('is not UTF-8');
      // What is in the query of a GET is not signed.
      expect(parse('', `/x?${form(VOICE_FIELDS)}`)).toThrow('in the body of a POST');
    },
  );

  it('of Call Control is understood at any address', () => {
    const request = webhook('/voice/telnyx', event('call.initiated', { direction: 'incoming' }));
    expect(telnyx().parse(request, 'voice')).toMatchObject({
      type: 'incoming',
      call: { control: 'command' },
    });
  });
});

describe('the upgrade of a media socket', () => {
  const request = (token: string | undefined, target = '/media/telnyx/tok_abc123') => ({
    method: 'GET',
    target,
    headers: token === undefined ? {} : { 'x-telnyx-streaming-auth-token': token },
    body: new Uint8Array(0),
  });

  it('of a TeXML call is known by its path, and must not show a wrong token', () => {
    expect(telnyx().verifyUpgrade(request(undefined), DOCUMENT_CALL)).toEqual(OK);
    expect(telnyx().verifyUpgrade(request('x'), DOCUMENT_CALL)).toEqual(refused('bad-signature'));
  });

  it('of a Call Control call must show its token', () => {
    expect(telnyx().verifyUpgrade(request(undefined), COMMAND_CALL)).toEqual(refused('missing-signature'));
    expect(telnyx().verifyUpgrade(request('x'.repeat(43)), COMMAND_CALL)).toEqual(refused('bad-signature'));
    expect(telnyx({ insecure: true }).verifyUpgrade(request(undefined), COMMAND_CALL)).toEqual(OK);
  });
});
