import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import type { AnswerPlan, CarrierEvent, IncomingCall, Next, Transfer, WebhookRoute } from '../src/carrier.ts';
import { WEBHOOK_ROUTES } from '../src/carrier.ts';
import type { Headers } from './support/twilio.ts';
import {
  CALL,
  CALLER,
  carrier,
  dice,
  form,
  outcome,
  request,
  STREAM,
  scramble,
  VOICE_FIELDS,
} from './support/twilio.ts';
import type { Element } from './support/xml.ts';
import { el, readXml } from './support/xml.ts';

describe('what Twilio can do', () => {
  it('is data that nobody can change, the same for every carrier of an account', () => {
    const { capabilities, commandCapabilities } = carrier();
    expect(commandCapabilities).toBeUndefined();
    expect(capabilities).toEqual({
      webhookAuth: 'url-signature',
      upgradeAuth: 'signature',
      tokenUses: 1,
      orderedMedia: true,
      saysStopped: true,
      marksEchoedOnClear: true,
      needsSilenceWhenIdle: false,
      defaultFormat: MULAW_8K,
      inputs: [MULAW_8K],
      outputs: [MULAW_8K],
      digitsIn: 'socket',
      digitsOut: 'interrupts-stream',
      transfer: { endsStream: true, announced: true, wayBack: true },
      machineDetection: 'beep',
      dialGives: 'call-id',
    });
    const { inputs, outputs, transfer, defaultFormat } = capabilities;
    for (const part of [capabilities, inputs, outputs, transfer, defaultFormat]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe('webhooks', () => {
  const parse = (
    route: WebhookRoute,
    fields: Record<string, string>,
    headers: Headers = {},
    target = '/',
  ): CarrierEvent => carrier().parse(request({ target, headers, body: form(fields) }), route);
  const WITH_REF = '/hooks/twilio?x=1&ref=d%2F7';
  const CHILD = { CallSid: 'CA00000000000000000000000000000002', ParentCallSid: CALL };
  const call = (fields: Record<string, string>): IncomingCall => {
    const event = parse('voice', { ...VOICE_FIELDS, ...fields });
    if (event.type !== 'incoming') throw new Error(`expected incoming, got ${event.type}`);
    return event.call;
  };

  it('reads an incoming call, and ignores fields that it does not know', () => {
    const extra = {
      CallerName: 'José O\u2019Neil',
      FromCity: 'X',
      StirVerstat: 'TN-Validation-Passed-A',
      New: '1',
    };
    expect(parse('voice', { ...VOICE_FIELDS, ...extra })).toEqual({
      type: 'incoming',
      call: { ...CALLER, callerName: 'José O\u2019Neil' },
      machine: undefined,
      idempotencyKey: CALL,
    });
    expect(call({ CallerName: '' }).callerName).toBeUndefined();
  });

  it('takes the idempotency token when there is one', () => {
    const headers = { 'i-twilio-idempotency-token': 'f00d' };
    expect(parse('voice', VOICE_FIELDS, headers)).toMatchObject({ idempotencyKey: 'f00d' });
  });

  it.each([
    '+266696687',
    '+86282452253',
    '+7378742833',
    '+2562533',
    '+8656696',
    'anonymous',
    'Anonymous',
    'Restricted',
    'unknown',
    'sip:anonymous@anonymous.invalid',
    '',
    ' ',
  ])('calls the caller %j anonymous', (From) => {
    expect(call({ From }).from).toBe('anonymous');
  });

  it.each(['+14155550100', 'client:alice', 'sip:bob@example.com', '+26669668'])(
    'keeps the caller %j',
    (From) => {
      expect(call({ From }).from).toBe(From);
    },
  );

  it.each([
    ['inbound', 'inbound'],
    ['outbound-api', 'outbound'],
    ['outbound-dial', 'outbound'],
    ['trunking-originating', 'inbound'],
    ['trunking-terminating', 'outbound'],
    ['', 'inbound'],
  ])('reads direction %j as %s', (Direction, direction) => {
    expect(call({ Direction }).direction).toBe(direction);
  });

  it('answers a call from a client that dialled no number', () => {
    expect(call({ To: '', From: 'client:alice' })).toMatchObject({ to: '', from: 'client:alice' });
  });

  it('reads the query of a GET and never its body', () => {
    const target = `/voice?${form(VOICE_FIELDS)}`;
    const get = request({ method: 'GET', target, body: form({ ...VOICE_FIELDS, From: '+1999' }) });
    expect(carrier().parse(get, 'voice')).toMatchObject({ call: { from: '+14155550100' } });
  });

  it('does not take fields of a POST from its query', () => {
    const post = request({ target: `/voice?CallSid=${CALL}`, body: form({ From: '+1' }) });
    expect(() => carrier().parse(post, 'voice')).toThrow(/CallSid/);
  });

  it('does not answer a status callback that came in by the voice address', () => {
    const progress = { type: 'progress', callId: CALL, status: 'ended', outcome: 'completed' };
    expect(parse('voice', { ...VOICE_FIELDS, CallStatus: 'completed' })).toMatchObject(progress);
    const fields = { ...VOICE_FIELDS, CallbackSource: 'call-progress-events' };
    expect(parse('voice', fields)).toMatchObject({ type: 'progress', status: 'ringing' });
  });

  it('knows a message that was left, whose end is no end of a stream', () => {
    const fields = { CallSid: CALL, CallStatus: 'in-progress', RecordingUrl: 'https://api.twilio.com/r' };
    expect(parse('after', fields)).toMatchObject({ type: 'after-stream', messageLeft: true });
    expect(parse('after', { CallSid: CALL })).toMatchObject({ messageLeft: undefined, parties: undefined });
    expect(parse('after', { ...VOICE_FIELDS, CallStatus: 'in-progress' })).toMatchObject({
      parties: { from: '+14155550100', to: '+14155550101', direction: 'inbound' },
    });
  });

  it.each([
    ['queued', 'queued', undefined],
    ['initiated', 'queued', undefined],
    ['ringing', 'ringing', undefined],
    ['in-progress', 'in-progress', undefined],
    ['answered', 'in-progress', undefined],
    ['completed', 'ended', 'completed'],
    ['busy', 'ended', 'busy'],
    ['no-answer', 'ended', 'no-answer'],
    ['canceled', 'ended', 'canceled'],
    ['failed', 'ended', 'failed'],
  ])('reads status %s as %s, outcome %s', (CallStatus, status, outcome) => {
    const fields = { CallSid: CALL, CallStatus, SequenceNumber: '3', CallDuration: '17', Duration: '1' };
    expect(parse('status', fields)).toEqual({
      type: 'progress',
      callId: CALL,
      requestId: undefined,
      ref: undefined,
      status,
      outcome,
      sequence: 3,
      durationS: 17,
    });
  });

  it('leaves numbers that are missing or none undefined', () => {
    const fields = { CallSid: CALL, CallStatus: 'completed', SequenceNumber: '-1', CallDuration: '1e3' };
    expect(parse('status', fields)).toMatchObject({ sequence: undefined, durationS: undefined });
  });

  it('ignores a status that it does not know', () => {
    for (const CallStatus of ['', 'melting', 'constructor', 'x'.repeat(5000)]) {
      const event = parse('status', { CallSid: CALL, CallStatus });
      expect(event).toMatchObject({ type: 'ignored', why: expect.stringContaining('CallStatus') });
      expect(JSON.stringify(event).length).toBeLessThan(150);
    }
  });

  it.each([
    ['stream-started', '', { kind: 'started', error: undefined }],
    ['stream-stopped', 'x', { kind: 'stopped', error: undefined }],
    ['stream-error', '31920 - WebSocket', { kind: 'failed', error: '31920 - WebSocket' }],
    ['stream-error', '', { kind: 'failed', error: undefined }],
  ])('reads stream event %s with error %j', (StreamEvent, StreamError, wanted) => {
    const fields = { CallSid: CALL, StreamSid: STREAM, StreamEvent, StreamError };
    expect(parse('stream-status', fields)).toEqual({ type: 'stream', callId: CALL, ...wanted });
  });

  it('ignores a stream event that it does not know', () => {
    expect(parse('stream-status', { CallSid: CALL, StreamEvent: 'stream-paused' }).type).toBe('ignored');
  });

  it('reads the question of what comes after the stream', () => {
    expect(parse('after', { CallSid: CALL, CallStatus: 'in-progress' })).toEqual({
      type: 'after-stream',
      callId: CALL,
      ended: false,
      transfer: undefined,
    });
    expect(parse('after', { CallSid: CALL, CallStatus: 'completed' })).toMatchObject({ ended: true });
  });

  it.each([
    ['completed', 'completed'],
    ['answered', 'completed'],
    ['busy', 'busy'],
    ['no-answer', 'no-answer'],
    ['failed', 'failed'],
    ['canceled', 'canceled'],
    ['', undefined],
    ['in-progress', 'failed'],
    ['melted', 'failed'],
    ['constructor', 'failed'],
  ])('reads a transfer that became %j as %s', (DialCallStatus, transfer) => {
    const fields = { CallSid: CALL, CallStatus: 'in-progress', DialCallStatus, DialCallSid: CHILD.CallSid };
    expect(parse('after', fields)).toEqual({ type: 'after-stream', callId: CALL, ended: false, transfer });
  });

  it('knows a transfer that was refused by whoever heard why', () => {
    const fields = { CallSid: CALL, CallStatus: 'in-progress', DialCallStatus: 'completed' };
    const parsed = (DialBridged: string) => parse('after', { ...fields, DialBridged });
    expect(parsed('false')).toMatchObject({ transfer: 'rejected' });
    expect(parsed('true')).toMatchObject({ transfer: 'completed' });
  });

  it('knows a caller who hung up while the other end was rung', () => {
    const fields = { CallSid: CALL, CallStatus: 'completed', DialCallStatus: 'canceled' };
    expect(parse('after', fields)).toMatchObject({ ended: true, transfer: 'canceled' });
  });

  it.each([
    ['in-progress', { status: 'answered', outcome: undefined }],
    ['answered', { status: 'answered', outcome: undefined }],
    ['busy', { status: 'failed', outcome: 'busy' }],
    ['no-answer', { status: 'failed', outcome: 'no-answer' }],
    ['failed', { status: 'failed', outcome: 'failed' }],
    ['canceled', { status: 'failed', outcome: 'canceled' }],
  ])('reads status %s of the other end of a transfer as news for the caller', (CallStatus, wanted) => {
    const fields = { ...CHILD, CallStatus, CallbackSource: 'call-progress-events', SequenceNumber: '2' };
    expect(parse('status', fields)).toEqual({ type: 'transfer', callId: CALL, ...wanted });
  });

  it.each(['initiated', 'ringing', 'completed', 'melting'])(
    'does not take status %s of the other end for one of the caller',
    (CallStatus) => {
      expect(parse('status', { ...CHILD, CallStatus }).type).toBe('ignored');
    },
  );

  it('knows whose transfer it is when the other end asks what it is told', () => {
    expect(parse('announce', { ...CHILD, CallStatus: 'in-progress' })).toEqual({
      type: 'announce',
      callId: CALL,
    });
    expect(parse('announce', { CallSid: CALL, ParentCallSid: '' })).toEqual({
      type: 'announce',
      callId: CALL,
    });
  });

  it('finds a call that the bridge placed by the ref in its own address, and nowhere else', () => {
    const fields = { ...VOICE_FIELDS, Direction: 'outbound-api', ref: 'forged' };
    expect(parse('voice', fields, {}, WITH_REF)).toMatchObject({
      type: 'incoming',
      call: { ref: 'd/7', direction: 'outbound' },
    });
    expect(parse('status', fields, {}, WITH_REF)).toMatchObject({ type: 'progress', ref: 'd/7' });
    expect(parse('machine', fields, {}, WITH_REF)).toMatchObject({ type: 'machine', ref: 'd/7' });
    for (const target of ['/', '/?ref=', '/?REF=d']) {
      expect(parse('voice', fields, {}, target)).toMatchObject({ call: { ref: undefined } });
    }
    const get = request({ method: 'GET', target: `${WITH_REF}&${form(VOICE_FIELDS)}` });
    expect(carrier().parse(get, 'voice')).toMatchObject({ call: { ref: 'd/7', from: '+14155550100' } });
  });

  it.each([
    ['human', 'human', false],
    ['machine_start', 'machine', false],
    ['machine_end_beep', 'machine-beep', true],
    ['machine_end_silence', 'machine', true],
    ['machine_end_other', 'machine', true],
    ['fax', 'fax', false],
    ['unknown', 'unknown', false],
    ['', 'unknown', false],
    ['robot', 'unknown', false],
  ])('reads that %j picked up as %s', (AnsweredBy, result, greetingOver) => {
    const fields = { CallSid: CALL, AnsweredBy, MachineDetectionDuration: '2100' };
    expect(parse('machine', fields)).toEqual({
      type: 'machine',
      callId: CALL,
      ref: undefined,
      result,
      greetingOver,
    });
  });

  it('knows who picked up when Twilio found out before it asked', () => {
    expect(parse('voice', { ...VOICE_FIELDS, AnsweredBy: 'machine_end_beep' })).toMatchObject({
      machine: 'machine-beep',
    });
    expect(parse('voice', { ...VOICE_FIELDS, AnsweredBy: 'human' })).toMatchObject({ machine: 'human' });
    expect(parse('voice', { ...VOICE_FIELDS, AnsweredBy: '' })).toMatchObject({ machine: undefined });
  });

  it('reads the end of a recording, which comes by the address of the status', () => {
    const url = 'https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1';
    const fields = { CallSid: CALL, RecordingSid: 'RE1', RecordingUrl: url, RecordingDuration: '12' };
    const recording = { type: 'recording', callId: CALL };
    expect(parse('status', { ...fields, RecordingStatus: 'completed' })).toEqual({
      ...recording,
      url,
      durationS: 12,
    });
    const none = { ...recording, url: undefined, durationS: undefined };
    expect(parse('status', { ...fields, RecordingStatus: 'absent' })).toEqual(none);
    expect(parse('status', { ...fields, RecordingStatus: 'failed' })).toEqual(none);
    expect(parse('status', { ...fields, RecordingStatus: 'in-progress' }).type).toBe('ignored');
  });

  it('still hears that a recorded call has ended', () => {
    const fields = { RecordingSid: 'RE1', RecordingUrl: 'https://x.example/RE1', RecordingDuration: '12' };
    expect(parse('status', { CallSid: CALL, CallStatus: 'completed', ...fields })).toMatchObject({
      type: 'progress',
      status: 'ended',
    });
  });

  it('ignores what comes by the address for events', () => {
    expect(parse('events', VOICE_FIELDS).type).toBe('ignored');
  });

  it.each(WEBHOOK_ROUTES)('names the field when a %s webhook has no CallSid', (route) => {
    for (const fields of [{ From: '+1' }, { CallSid: '' }]) {
      expect(() => parse(route, fields)).toThrow(
        expect.objectContaining({ code: 'BAD_FRAME', message: expect.stringContaining('CallSid') }),
      );
    }
  });
});

describe('answer documents', () => {
  const urls = {
    afterUrl: 'https://bridge.example.com/after/twilio/tok_abc123',
    announceUrl: 'https://bridge.example.com/announce/twilio/tok_abc123?a=1&b=2',
    statusUrl: 'https://bridge.example.com/status/twilio',
  };
  const plan: AnswerPlan = {
    ...urls,
    mediaUrl: 'wss://bridge.example.com/media/twilio/tok_abc123',
    streamStatusUrl: 'https://bridge.example.com/stream-status/twilio',
    params: { callRef: 'c_42', from: '+14155550100' },
    fallback: { type: 'say', text: 'Sorry, nobody is here.', language: 'en-GB' },
    plainCodec: false,
  };
  const accept = (change: Partial<AnswerPlan>) =>
    readXml(carrier().accept(CALLER, { ...plan, ...change }).answer.body);
  const documentOf = (next: Next) => readXml(carrier().document(next, urls).body);
  const transferTo = (to: string, change: Partial<Transfer> = {}): Transfer & { type: 'transfer' } => ({
    type: 'transfer',
    to,
    callerId: undefined,
    ringS: 25,
    announce: undefined,
    language: undefined,
    ...change,
  });

  it('takes a message, and asks what comes then where it cannot be told to ask nobody', () => {
    const message = { type: 'message', text: 'After the tone.', language: 'en-GB', maxS: 90 } as const;
    const body = carrier().document(message, urls).body;
    const record =
      '<Record action="https://bridge.example.com/after/twilio/tok_abc123" method="POST" maxLength="90" timeout="10" finishOnKey="#" playBeep="true" ' +
      'recordingStatusCallback="https://bridge.example.com/status/twilio" recordingStatusCallbackMethod="POST" recordingStatusCallbackEvent="completed absent"/>';
    expect(body).toContain(`<Say language="en-GB">After the tone.</Say>${record}<Hangup/>`);
    const behind = carrier().accept(CALLER, { ...plan, fallback: message, standsAlone: true }).answer.body;
    expect(behind).toContain(`</Connect><Say language="en-GB">After the tone.</Say>${record}<Hangup/>`);
    const nobody = carrier().document(message, { afterUrl: '', announceUrl: '', statusUrl: '' }).body;
    expect(nobody).not.toMatch(/action|Callback/);
    expect(() => carrier().document({ ...message, maxS: 0 }, urls)).toThrow('longest message');
  });

  it('asks nobody behind a stream that stands alone, and does not lead back in a transfer', () => {
    const alone = {
      ...plan,
      standsAlone: true,
      fallback: transferTo('+14155550199', { announce: 'A caller.' }),
    };
    const { body } = carrier().accept(CALLER, alone).answer;
    expect(body).toContain('<Connect><Stream ');
    expect(body).toMatch(
      /<\/Connect><Dial answerOnBridge="true" timeout="25"><Number>\+14155550199<\/Number><\/Dial><\/Response>$/,
    );
    expect(body).not.toContain('/after/');
    expect(body).not.toContain('/announce/');
  });

  it('connects the call to the stream, with the fallback behind it', () => {
    const { answer, action } = carrier().accept(CALLER, plan);
    expect(action).toBeUndefined();
    expect(answer).toMatchObject({ status: 200, contentType: 'text/xml' });
    expect(answer.body).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?><Response>/);
    expect(readXml(answer.body)).toEqual(
      el(
        'Response',
        {},
        el(
          'Connect',
          { action: plan.afterUrl, method: 'POST' },
          el(
            'Stream',
            {
              url: plan.mediaUrl,
              name: 'patchcord',
              statusCallback: plan.streamStatusUrl,
              statusCallbackMethod: 'POST',
            },
            el('Parameter', { name: 'callRef', value: 'c_42' }),
            el('Parameter', { name: 'from', value: '+14155550100' }),
          ),
        ),
        el('Say', { language: 'en-GB' }, 'Sorry, nobody is here.'),
        el('Hangup'),
      ),
    );
  });

  it('brings hostile values through unchanged, except for what XML cannot hold', () => {
    const value = `"'<>&amp;]]> \t\n\r é 😀 </Parameter><Hangup/>`;
    const document = accept({
      params: { '<a b="c">': value, empty: '', bad: 'a\u0000b\u001bc\ud800d\uffffe' },
      fallback: { type: 'say', text: value, language: undefined },
    });
    const [connect, say] = document.children as [Element, Element];
    const [stream] = connect.children as [Element];
    expect(stream.children).toEqual([
      el('Parameter', { name: '<a b="c">', value }),
      el('Parameter', { name: 'empty', value: '' }),
      el('Parameter', { name: 'bad', value: 'abcde' }),
    ]);
    expect(say).toEqual(el('Say', {}, value));
  });

  it('refuses a parameter that Twilio would not carry, without showing its value', () => {
    expect(() => accept({ params: { ref: 'x'.repeat(496) } })).not.toThrow();
    expect(() => accept({ params: { ref: 'x'.repeat(497) } })).toThrow(
      'BAD_INPUT: stream parameter "ref" has 500 characters of name and value; wanted fewer than 500',
    );
    expect(() => accept({ params: { '': 'x' } })).toThrow('BAD_INPUT');
  });

  it.each([
    ['wss://bridge.example.com/media?token=1', 'has a query'],
    ['https://bridge.example.com/media', 'wanted wss://host/path'],
    ['/media/t', 'is not absolute'],
    ['wss://', 'is not absolute'],
    ['wss://h/media#x', 'wanted wss://host/path'],
  ])('refuses the media URL %s', (mediaUrl, message) => {
    expect(() => accept({ mediaUrl })).toThrow(
      expect.objectContaining({ code: 'BAD_INPUT', message: expect.stringContaining(message) }),
    );
  });

  it('hangs up or says', () => {
    const say = (text: string, language: string | undefined) => documentOf({ type: 'say', text, language });
    expect(documentOf({ type: 'hang-up' })).toEqual(el('Response', {}, el('Hangup')));
    expect(say('Bye.', 'de')).toEqual(
      el('Response', {}, el('Say', { language: 'de-DE' }, 'Bye.'), el('Hangup')),
    );
    expect(say('  ', 'de')).toEqual(el('Response', {}, el('Hangup')));
  });

  it('transfers to a number, a SIP address or a client, and is asked and told how it went', () => {
    const reports = {
      statusCallback: urls.statusUrl,
      statusCallbackMethod: 'POST',
      statusCallbackEvent: 'answered completed',
    };
    const dial = (child: Element, more = {}) => {
      const attributes = { answerOnBridge: 'true', timeout: '25', action: urls.afterUrl, method: 'POST' };
      return el('Response', {}, el('Dial', { ...attributes, ...more }, child));
    };
    expect(documentOf(transferTo('+1 (415) 555-0100', { callerId: '+14155550101' }))).toEqual(
      dial(el('Number', reports, '+14155550100'), { callerId: '+14155550101' }),
    );
    expect(documentOf(transferTo('sip:desk@example.com;transport=tls'))).toEqual(
      dial(el('Sip', reports, 'sip:desk@example.com;transport=tls')),
    );
    expect(documentOf(transferTo('client:alice'))).toEqual(dial(el('Client', reports, 'alice')));
    const announced = { url: urls.announceUrl, method: 'POST', ...reports };
    for (const [to, name, text] of [
      ['+14155550100', 'Number', '+14155550100'],
      ['sip:desk@example.com', 'Sip', 'sip:desk@example.com'],
      ['client:alice', 'Client', 'alice'],
    ] as const) {
      const change = { announce: 'A caller with a question.', ringS: 12.2 };
      expect(documentOf(transferTo(to, change))).toEqual(dial(el(name, announced, text), { timeout: '13' }));
    }
    expect(documentOf(transferTo('client:alice', { announce: ' ' }))).toEqual(
      dial(el('Client', reports, 'alice')),
    );
  });

  it('rings no longer than Twilio does, and not for no time', () => {
    const timeout = (ringS: number) =>
      (documentOf(transferTo('+14155550100', { ringS })).children[0] as Element).attributes['timeout'];
    expect(timeout(3600)).toBe('600');
    expect(timeout(0.1)).toBe('1');
    for (const ringS of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => timeout(ringS)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    }
  });

  it('transfers without the help of the bridge when the stream cannot be opened', () => {
    const change = { announce: 'A caller with a question.', callerId: '+14155550101' };
    const [connect, dial, ...more] = accept({ fallback: transferTo('+14155550100', change) }).children;
    expect(connect).toMatchObject({ name: 'Connect' });
    expect(dial).toEqual(
      el(
        'Dial',
        { answerOnBridge: 'true', timeout: '25', callerId: '+14155550101' },
        el('Number', {}, '+14155550100'),
      ),
    );
    expect(more).toEqual([]);
  });

  it('plays keys and asks again', () => {
    expect(documentOf({ type: 'digits', digits: 'ww12#*AwWD' })).toEqual(
      el(
        'Response',
        {},
        el('Play', { digits: 'ww12#*AwWD' }),
        el('Redirect', { method: 'POST' }, urls.afterUrl),
      ),
    );
    for (const digits of ['', '12a', '1 2', 'x'.repeat(5), '4915/55', '1'.repeat(201)]) {
      const play = () => documentOf({ type: 'digits', digits });
      expect(play).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
      expect(play).not.toThrow(/4915/);
    }
  });

  it('opens a stream again with the document that opened the first one', () => {
    const again = carrier().document({ type: 'stream', plan }, urls);
    expect(again).toEqual(carrier().accept(CALLER, plan).answer);
  });

  it('leaves a call alone with a document without a verb', () => {
    expect(documentOf({ type: 'nothing' })).toEqual(el('Response'));
  });

  it('tells the other end of a transfer why, and does not hang up on it', () => {
    const announcement = (text: string, language: string | undefined) =>
      readXml(carrier().announcement(text, language).body);
    expect(announcement('Ärger & <Rückfragen>', 'de')).toEqual(
      el('Response', {}, el('Say', { language: 'de-DE' }, 'Ärger & <Rückfragen>')),
    );
    expect(announcement('Hello.', undefined)).toEqual(el('Response', {}, el('Say', {}, 'Hello.')));
    expect(announcement(' ', 'de')).toEqual(el('Response'));
  });

  it.each(['', 'nobody', '+1', '+1415555010x', 'https://example.com', 'sip:'])(
    'cannot transfer to %j',
    (to) => {
      expect(() => documentOf(transferTo(to))).toThrow(
        expect.objectContaining({ code: 'BAD_INPUT', message: expect.stringContaining('wanted a number') }),
      );
    },
  );

  it.each([
    ['en', 'en-US'],
    ['EN', 'en-US'],
    ['pt-BR', 'pt-BR'],
    ['pt_BR', 'pt-BR'],
    ['zh', 'cmn-CN'],
    ['tlh', undefined],
    ['', undefined],
    ['"><x', undefined],
    ['constructor', undefined],
    [undefined, undefined],
    ['de-CH', 'de-DE'],
    ['es-CO', 'es-ES'],
    ['fr_ca', 'fr-CA'],
    ['xx-YY', undefined],
  ])('says language %j as %j', (language, tag) => {
    const [say] = documentOf({ type: 'say', text: 'Bye.', language }).children as [Element];
    expect(say.attributes['language']).toBe(tag);
  });

  it('rejects without answering', () => {
    for (const reason of ['busy', 'rejected'] as const) {
      const { answer, action } = carrier().reject(CALLER, reason);
      expect(action).toBeUndefined();
      expect(readXml(answer.body)).toEqual(el('Response', {}, el('Reject', { reason })));
    }
  });

  it('acknowledges with a document that is right at any address', () => {
    const answer = carrier().acknowledge();
    expect(answer).toMatchObject({ status: 200, contentType: 'text/xml' });
    expect(readXml(answer.body)).toEqual(el('Response'));
  });
});

describe('hostile webhooks', () => {
  const ROUNDS = 4000;
  const EXTRAS = [
    {},
    { AnsweredBy: 'machine_end_beep' },
    { ParentCallSid: 'CA2', CallStatus: 'busy' },
    { RecordingStatus: 'completed', RecordingDuration: '3' },
    { DialCallStatus: 'no-answer' },
  ];

  it('makes parse give an event or BAD_FRAME, and nothing else', () => {
    const one = dice(2);
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const body = scramble(
        scramble(form({ ...VOICE_FIELDS, StreamEvent: 'stream-error', ...one.pick(EXTRAS) }), one),
        one,
      );
      const webhook = {
        method: one.pick(['POST', 'GET', 'get', '']),
        target: one.pick(['', '?', '/x?', `/x?${body}`, one.text(20)]),
        headers: {},
        body: one.below(8) === 0 ? Buffer.from([0xc3, one.below(256)]) : Buffer.from(body),
      };
      const result = outcome(() => carrier().parse(webhook, one.pick(WEBHOOK_ROUTES)));
      seen.add(typeof result === 'string' ? result : result.type);
    }
    expect([...seen].sort()).toEqual([
      'BAD_FRAME',
      'after-stream',
      'announce',
      'ignored',
      'incoming',
      'machine',
      'progress',
      'recording',
      'stream',
      'transfer',
    ]);
  });

  it('makes documents that a strict parser reads', () => {
    const one = dice(4);
    for (let round = 0; round < 500; round++) {
      const text = one.text(60);
      const { body } = carrier().announcement(text, one.text(6));
      const found = readXml(body).children[0];
      const wanted = text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, '').trim();
      if (wanted !== '') expect(found).toMatchObject({ name: 'Say', children: [wanted] });
    }
  });
});
