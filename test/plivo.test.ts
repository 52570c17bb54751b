import plivo from 'plivo';
import { describe, expect, it } from 'vitest';
import type { Answer, CarrierEvent, Next, WebhookRoute } from '../src/carrier.ts';
import type { Fields } from './support/plivo.ts';
import { CALL, CALLER, carrier, HOST, PLAN, request, URLS, VOICE_FIELDS } from './support/plivo.ts';
import { dice, outcome, scramble } from './support/twilio.ts';
import type { Element } from './support/xml.ts';
import { el, readXml } from './support/xml.ts';

const parse = (route: WebhookRoute, fields: Fields, target = `/${route}/plivo`): CarrierEvent =>
  carrier().parse(request({ target, fields }), route);

describe('a webhook about a call', () => {
  it('asks for an answer, with numbers as they are dialled abroad', () => {
    expect(parse('voice', VOICE_FIELDS)).toEqual({
      type: 'incoming',
      call: CALLER,
      machine: undefined,
      idempotencyKey: CALL,
    });
  });

  it('may be a GET, whose body says nothing', () => {
    const query = new URLSearchParams(VOICE_FIELDS);
    const found = request({ method: 'get', target: `/voice/plivo?${query}&ref=r1`, body: 'CallUUID=other' });
    expect(carrier().parse(found, 'voice')).toMatchObject({ call: { ...CALLER, ref: 'r1' } });
  });

  it('of a call that the bridge placed has its ref, the id of the request and what picked up', () => {
    const fields = {
      ...VOICE_FIELDS,
      Direction: 'outbound',
      CallStatus: 'in-progress',
      RequestUUID: 'req-1',
      ALegRequestUUID: 'req-2',
      CallerName: 'Acme',
      ref: 'forged',
    };
    const placed = { direction: 'outbound', requestId: 'req-1', ref: 'r 1', callerName: 'Acme' };
    expect(parse('voice', fields, '/voice/plivo?ref=r%201')).toMatchObject({
      call: placed,
      machine: undefined,
    });
    const { RequestUUID: _, ...older } = fields;
    expect(parse('voice', older, '/voice/plivo')).toMatchObject({
      call: { requestId: 'req-2', ref: undefined },
    });
    expect(parse('voice', { ...fields, Machine: 'true' })).toMatchObject({
      type: 'incoming',
      machine: 'machine',
    });
    expect(parse('voice', { ...fields, Machine: 'false' })).toMatchObject({ machine: 'human' });
  });

  it.each([
    ['14155550100', '+14155550100'],
    ['+14155550100', '+14155550100'],
    [' 918041234567 ', '+918041234567'],
    ['6834000', '+6834000'],
    ['72345', '72345'],
    ['723456', '723456'],
    ['911', '911'],
    ['0123456789', '0123456789'],
    ['1234567890123456', '1234567890123456'],
    ['sip:alice@phone.plivo.com', 'sip:alice@phone.plivo.com'],
    ['sip:14155550100@phone.plivo.com', 'sip:14155550100@phone.plivo.com'],
    ['alice@phone.plivo.com', 'sip:alice@phone.plivo.com'],
    ['Anonymous', 'anonymous'],
    ['', 'anonymous'],
    ['266696687', 'anonymous'],
    ['+266696687', 'anonymous'],
    ['sip:anonymous@anonymous.invalid', 'anonymous'],
    ['anonymous@anonymous.invalid', 'anonymous'],
    ['Restricted', 'anonymous'],
  ])('from %o is from %o', (From, from) => {
    expect(parse('voice', { ...VOICE_FIELDS, From })).toMatchObject({ call: { from } });
  });

  it('that names no call is nonsense', () => {
    for (const route of ['voice', 'status', 'stream-status', 'after', 'machine', 'events'] as const) {
      for (const fields of [
        {},
        { CallUUID: '' },
        { From: '14155550100' },
        { response: '{' },
        { response: '[]' },
      ]) {
        expect(outcome(() => parse(route, fields))).toBe('BAD_FRAME');
      }
      const broken = request({ target: '/', body: Buffer.from([0x43, 0xff]) });
      expect(outcome(() => carrier().parse(broken, route))).toBe('BAD_FRAME');
    }
  });

  it('never shows what it holds when it is nonsense', () => {
    const secret = request({ target: '/voice/plivo', fields: { From: '14155550100', Digits: '4711' } });
    expect(() => carrier().parse(secret, 'voice')).toThrow(
      /^BAD_FRAME: field CallUUID of a Plivo voice webhook/,
    );
  });

  it('does what it should or says BAD_FRAME when it arrives damaged', () => {
    const body = `${new URLSearchParams(VOICE_FIELDS)}&HangupCause=USER_BUSY&DialAction=hangup&Event=Hangup`;
    const one = dice(11);
    for (let round = 0; round < 500; round++) {
      for (const route of ['voice', 'status', 'after', 'stream-status', 'machine', 'announce'] as const) {
        const found = request({ target: '/x', body: scramble(body, one) });
        const event = outcome(() => carrier().parse(found, route));
        if (event !== 'BAD_FRAME') expect(event).toHaveProperty('type');
      }
    }
  });
});

describe('news of a call', () => {
  const status = (fields: Fields, target?: string): CarrierEvent =>
    parse('status', { CallUUID: CALL, ...fields }, target);
  const progress = {
    type: 'progress',
    callId: CALL,
    requestId: undefined,
    ref: undefined,
    sequence: undefined,
    durationS: undefined,
  };

  it('tells that it rings', () => {
    const fields = { Event: 'Ring', CallStatus: 'ringing', RequestUUID: 'req-1' };
    expect(status(fields, '/status/plivo?ref=r1')).toEqual({
      ...progress,
      requestId: 'req-1',
      ref: 'r1',
      status: 'ringing',
      outcome: undefined,
    });
  });

  it('tells that it is over, and how long it was', () => {
    const fields = { Event: 'Hangup', CallStatus: 'completed', Duration: '42', BillDuration: '60' };
    expect(status(fields)).toEqual({ ...progress, status: 'ended', outcome: 'completed', durationS: 42 });
  });

  it.each([
    ['completed', '', '', 'completed'],
    ['busy', '', '', 'busy'],
    ['failed', '', '', 'failed'],
    ['timeout', '', '', 'no-answer'],
    ['no-answer', '', '', 'no-answer'],
    ['cancel', '', '', 'canceled'],
    ['rejected', '', '', 'rejected'],
    ['COMPLETED', '', '', 'completed'],
    // What the cause adds.
    ['failed', 'USER_BUSY', '', 'busy'],
    ['failed', 'USER_BUSY', '3010', 'busy'],
    ['failed', 'CALL_REJECTED', '3020', 'rejected'],
    ['no-answer', 'CALL_REJECTED', '', 'rejected'],
    ['no-answer', 'ORIGINATOR_CANCEL', '1000', 'canceled'],
    ['failed', 'NORMAL_CLEARING', '2020', 'failed'],
    ['failed', 'NORMAL_CLEARING', '', 'failed'],
    ['failed', 'NO_ANSWER', '6010', 'no-answer'],
    ['completed', 'NORMAL_CLEARING', '6000', 'time-limit'],
    ['completed', 'ALLOTTED_TIMEOUT', '', 'time-limit'],
    // What it must not add: the cause of a completed call is that of its last leg, or of the request that ended it.
    ['completed', 'USER_BUSY', '4010', 'completed'],
    ['completed', 'ORIGINATOR_CANCEL', '1000', 'completed'],
    ['busy', 'NORMAL_CLEARING', '4000', 'busy'],
    // No status that is known.
    ['', 'USER_BUSY', '', 'busy'],
    ['', 'NORMAL_CLEARING', '0', 'completed'],
    ['hung', '', '', 'failed'],
  ])(
    'with CallStatus %o, HangupCause %o and code %o the call was %s',
    (CallStatus, HangupCause, code, wanted) => {
      const fields = { Event: 'Hangup', CallStatus, HangupCause, HangupCauseCode: code };
      expect(status(fields)).toMatchObject({ status: 'ended', outcome: wanted });
    },
  );

  it('needs no Event to tell that it is over, and none of its words are case sensitive', () => {
    expect(status({ CallStatus: 'busy' })).toMatchObject({ status: 'ended', outcome: 'busy' });
    expect(status({ CallStatus: 'in-progress', Event: 'StartApp' })).toMatchObject({ status: 'in-progress' });
    expect(status({ CallStatus: 'queued' })).toMatchObject({ status: 'queued', outcome: undefined });
    expect(status({ event: 'HANGUP', call_status: 'busy' })).toMatchObject({
      status: 'ended',
      outcome: 'busy',
    });
    expect(status({ CallStatus: 'dreaming' })).toMatchObject({ type: 'ignored' });
  });

  it('of a call that never came to be has the id of its request only', () => {
    const fields = { Event: 'Hangup', CallStatus: 'failed', RequestUUID: 'req-1' };
    expect(parse('status', fields)).toMatchObject({ callId: 'req-1', requestId: 'req-1', outcome: 'failed' });
    expect(outcome(() => parse('voice', { ...fields, Event: 'StartApp' }))).toBe('BAD_FRAME');
  });

  it('that comes by the address for answers starts no second agent', () => {
    for (const fields of [
      { Event: 'Hangup', CallStatus: 'completed' },
      { CallStatus: 'no-answer' },
      { Event: 'Ring', CallStatus: 'ringing' },
      { Event: 'Hangup' },
    ]) {
      const all = { ...VOICE_FIELDS, Event: '', ...fields };
      expect(parse('voice', all)).toMatchObject({ type: 'progress' });
    }
    expect(parse('voice', { ...VOICE_FIELDS, Event: 'MachineDetection', Machine: 'true' })).toMatchObject({
      type: 'machine',
      result: 'machine',
    });
    expect(parse('voice', { ...VOICE_FIELDS, Event: 'Redirect' })).toMatchObject({ type: 'incoming' });
  });

  it('tells that a machine picked up, by either address', () => {
    const fields = { CallUUID: CALL, Machine: 'true', Event: 'MachineDetection', CallStatus: 'in-progress' };
    const wanted = { type: 'machine', callId: CALL, ref: 'r1', result: 'machine', greetingOver: false };
    expect(parse('machine', fields, '/machine/plivo?ref=r1')).toEqual(wanted);
    expect(parse('status', fields, '/status/plivo?ref=r1')).toEqual(wanted);
    expect(parse('machine', { CallUUID: CALL })).toMatchObject({ result: 'unknown' });
  });

  it('brings a recording, in each of the three forms', () => {
    const recording = {
      type: 'recording',
      callId: CALL,
      url: 'https://media.example.com/r.wav',
      durationS: 7,
    };
    const url = recording.url;
    const snake = {
      call_uuid: CALL,
      record_url: url,
      recording_duration: '7',
      api_id: 'a',
      recording_id: 'i',
    };
    expect(parse('status', snake)).toEqual(recording);
    expect(parse('status', { response: JSON.stringify({ ...snake, recording_duration: 7 }) })).toEqual(
      recording,
    );
    expect(
      status({ Event: 'RecordStop', RecordUrl: url, RecordingDuration: '7', CallStatus: 'completed' }),
    ).toEqual(recording);
    expect(status({ Event: 'Record', RecordUrl: url, RecordingDuration: '-1' })).toEqual({
      ...recording,
      durationS: undefined,
    });
    expect(status({ Event: 'RecordStart', RecordUrl: url })).toMatchObject({ type: 'ignored' });
    // The end of a recorded call is the end of a call.
    expect(status({ Event: 'Hangup', CallStatus: 'completed', RecordUrl: url })).toMatchObject({
      type: 'progress',
    });
  });

  it('by an address that Plivo is never given is ignored', () => {
    expect(parse('events', VOICE_FIELDS)).toMatchObject({ type: 'ignored' });
  });
});

describe('news of the other end of a transfer', () => {
  const dial = {
    CallUUID: CALL,
    Event: 'Dial',
    CallStatus: 'in-progress',
    DialALegUUID: CALL,
    DialBLegUUID: 'b',
  };

  it('tells that it answered, once picked up and once connected', () => {
    for (const DialAction of ['answer', 'connected']) {
      const fields = { ...dial, DialAction, DialBLegStatus: DialAction };
      const wanted = { type: 'transfer', callId: CALL, status: 'answered', outcome: undefined };
      expect(parse('status', fields)).toEqual(wanted);
      expect(parse('status', { ...fields, CallUUID: 'b' })).toEqual(wanted);
    }
  });

  it.each([
    ['USER_BUSY', '', 'busy'],
    ['CALL_REJECTED', '3020', 'rejected'],
    ['NO_ANSWER', '6010', 'no-answer'],
    ['NORMAL_CLEARING', '2020', 'failed'],
    ['ORIGINATOR_CANCEL', '', 'canceled'],
    ['UNALLOCATED_NUMBER', '3050', 'failed'],
  ])('that ends unanswered with %s %s has failed: %s', (cause, code, wanted) => {
    const fields = {
      ...dial,
      Event: 'DialHangup',
      DialAction: 'hangup',
      DialBLegHangupCause: cause,
      DialBLegHangupCauseCode: code,
      DialBLegDuration: '0',
    };
    expect(parse('status', fields)).toEqual({
      type: 'transfer',
      callId: CALL,
      status: 'failed',
      outcome: wanted,
    });
    const { DialAction: _, ...eventOnly } = fields;
    expect(parse('status', eventOnly)).toMatchObject({ type: 'transfer', outcome: wanted });
  });

  it('that hangs up after they talked is left to the question of what comes next', () => {
    const hangup = { ...dial, Event: 'DialHangup', DialAction: 'hangup' };
    const clear = { ...hangup, DialBLegHangupCause: 'NORMAL_CLEARING', DialBLegHangupCauseCode: '4000' };
    expect(parse('status', clear)).toMatchObject({ type: 'ignored' });
    const odd = { ...hangup, DialBLegHangupCause: 'RECOVERY_ON_TIMER_EXPIRE', DialBLegDuration: '11' };
    expect(parse('status', odd)).toMatchObject({ type: 'ignored' });
    expect(parse('status', { ...dial, DialAction: 'digits', DialDigitsMatch: '4711' })).toEqual({
      type: 'ignored',
      why: 'DialAction "digits" changes nothing',
    });
  });

  it('asks what it is told under the id of the caller, or under none', () => {
    expect(parse('announce', {})).toEqual({ type: 'announce', callId: '' });
    expect(parse('announce', { CallUUID: CALL })).toEqual({ type: 'announce', callId: CALL });
    expect(parse('announce', { CallUUID: 'b', ALegUUID: CALL })).toEqual({ type: 'announce', callId: CALL });
    expect(parse('announce', { DialALegUUID: CALL, DialBLegUUID: 'b' })).toEqual({
      type: 'announce',
      callId: CALL,
    });
  });
});

describe('what comes after the stream', () => {
  const asked = (fields: Fields): CarrierEvent => parse('after', { CallUUID: CALL, ...fields });
  const wanted = { type: 'after-stream', callId: CALL, ended: false, transfer: undefined };

  it('is asked while the caller is there', () => {
    expect(asked({ CallStatus: 'in-progress', Event: 'Redirect' })).toEqual(wanted);
  });

  it('is asked although the call is over', () => {
    expect(asked({ CallStatus: 'completed', Event: 'Redirect' })).toEqual({ ...wanted, ended: true });
    expect(asked({ CallStatus: 'in-progress', Event: 'Hangup' })).toEqual({ ...wanted, ended: true });
  });

  it.each([
    ['completed', '', 'completed'],
    ['busy', 'USER_BUSY', 'busy'],
    ['failed', '', 'failed'],
    ['failed', 'CALL_REJECTED', 'rejected'],
    ['timeout', '', 'no-answer'],
    ['no-answer', 'NO_ANSWER', 'no-answer'],
    ['cancel', '', 'canceled'],
    ['sip_something', '', 'failed'],
  ])('is asked when a transfer ended with %s %s: %s', (DialStatus, DialHangupCause, transfer) => {
    const fields = { CallStatus: 'in-progress', DialStatus, DialHangupCause, DialRingStatus: 'true' };
    expect(asked(fields)).toEqual({ ...wanted, transfer });
  });
});

describe('news of a stream', () => {
  const stream = (fields: Fields): CarrierEvent => parse('stream-status', { CallUUID: CALL, ...fields });

  it.each([
    ['StartStream', 'started'],
    ['startstream', 'started'],
    ['started', 'started'],
    ['StopStream', 'stopped'],
    ['stopped', 'stopped'],
    ['DroppedStream', 'failed'],
    ['DROPPEDSTREAM', 'failed'],
    ['failed', 'failed'],
    ['DegradedStream', 'degraded'],
  ])('%s: %s', (Event, kind) => {
    expect(stream({ Event, StreamID: 's' })).toEqual({
      type: 'stream',
      callId: CALL,
      kind,
      error: undefined,
    });
  });

  it('has its names written in several ways', () => {
    const error = 'connection disconnected with the remote service';
    const wanted = { type: 'stream', callId: CALL, kind: 'failed', error };
    expect(stream({ Event: 'DroppedStream', Error: error })).toEqual(wanted);
    expect(parse('stream-status', { call_uuid: CALL, event: 'DroppedStream', error })).toEqual(wanted);
    expect(parse('stream-status', { callUuid: CALL, EVENT: 'failed', StatusReason: error })).toEqual(wanted);
  });

  it('is ignored where the media socket tells the same, or nobody knows it', () => {
    for (const Event of ['PlayedStream', 'ClearedAudio', 'Dreaming', '']) {
      expect(stream({ Event })).toMatchObject({ type: 'ignored' });
    }
  });
});

describe('a document', () => {
  const read = (answer: Answer): Element => {
    expect(answer).toMatchObject({ status: 200, contentType: 'application/xml' });
    return readXml(answer.body);
  };
  const next = (one: Next): Element => read(carrier().document(one, URLS));
  const response = (...children: Element[]): Element => el('Response', {}, ...children);
  const redirect = el('Redirect', { method: 'POST' }, URLS.afterUrl);
  const STREAM_ATTRIBUTES = {
    bidirectional: 'true',
    keepCallAlive: 'true',
    contentType: 'audio/x-mulaw;rate=8000',
    audioTrack: 'inbound',
    streamTimeout: '86400',
    statusCallbackUrl: PLAN.streamStatusUrl,
    statusCallbackMethod: 'POST',
    extraHeaders: 'agent=frontdesk',
  };

  it('that accepts a call opens the stream, and asks when that is over', () => {
    const { answer, action } = carrier().accept(CALLER, PLAN);
    expect(action).toBeUndefined();
    expect(read(answer)).toEqual(response(el('Stream', STREAM_ATTRIBUTES, PLAN.mediaUrl), redirect));
    expect(answer.body).toContain('tok?a=1&amp;b=2');
  });

  it('that accepts a call has the attributes that the package of Plivo knows, in the same shape', () => {
    const builder = plivo.Response();
    builder.addStream(PLAN.mediaUrl, {
      bidirectional: true,
      keepCallAlive: true,
      contentType: 'audio/x-mulaw;rate=8000',
      audioTrack: 'inbound',
      streamTimeout: 86_400,
      statusCallbackUrl: PLAN.streamStatusUrl,
      statusCallbackMethod: 'POST',
      extraHeaders: 'agent=frontdesk',
    });
    builder.addRedirect(URLS.afterUrl, { method: 'POST' });
    expect(readXml(carrier().accept(CALLER, PLAN).answer.body)).toEqual(readXml(builder.toXML()));
  });

  it.each([
    ['mulaw', 'audio/x-mulaw;rate=8000'],
    ['l16-8000', 'audio/x-l16;rate=8000'],
    ['l16-16000', 'audio/x-l16;rate=16000'],
  ] as const)(
    'asks for the audio of the setting %s, and for mu-law when that could not be used',
    (audio, wanted) => {
      const one = carrier({ audio });
      const of = (plainCodec: boolean): unknown => {
        const [stream] = read(one.accept(CALLER, { ...PLAN, plainCodec }).answer).children;
        return typeof stream === 'object' ? stream.attributes['contentType'] : stream;
      };
      expect(of(false)).toBe(wanted);
      expect(of(true)).toBe('audio/x-mulaw;rate=8000');
    },
  );

  it('gives Plivo only parameters that it promises to bring back whole', () => {
    const headers = (params: Record<string, string>): unknown => {
      const [stream] = read(carrier().accept(CALLER, { ...PLAN, params }).answer).children;
      return typeof stream === 'object' ? stream.attributes['extraHeaders'] : stream;
    };
    expect(headers({ call: CALL })).toBeUndefined();
    expect(headers({})).toBeUndefined();
    expect(headers({ a: '1', b: 'x y', c: 'x,d=1', 'e-f': '1', g: '', h: 'Z9' })).toBe('a=1,h=Z9');
    const long = headers({ a: 'x'.repeat(500), b: 'y'.repeat(20), c: '1234567' });
    expect(long).toBe(`a=${'x'.repeat(500)},c=1234567`);
    expect(long).toHaveLength(512);
  });

  it('opens no media URL that Plivo would not open', () => {
    for (const mediaUrl of [
      '',
      '/media',
      'https://a/b',
      'wss://',
      'wss://a/#b',
      `wss://a/${'x'.repeat(2048)}`,
    ]) {
      expect(outcome(() => carrier().accept(CALLER, { ...PLAN, mediaUrl }))).toBe('BAD_INPUT');
    }
    const mediaUrl = 'wss://a.example.com/media?x=1&y=2';
    expect(read(carrier().accept(CALLER, { ...PLAN, mediaUrl }).answer).children[0]).toMatchObject({
      children: [mediaUrl],
    });
  });

  it('refuses a call', () => {
    for (const reason of ['busy', 'rejected'] as const) {
      expect(read(carrier().reject(CALLER, reason).answer)).toEqual(response(el('Hangup', { reason })));
    }
  });

  it('hangs up, or says something first', () => {
    expect(next({ type: 'hang-up' })).toEqual(response(el('Hangup')));
    const text = ' Grüße & <Tschüss> \0';
    expect(next({ type: 'say', text, language: 'de' })).toEqual(
      response(el('Speak', { language: 'de-DE' }, 'Grüße & <Tschüss>'), el('Hangup')),
    );
    for (const silence of ['', ' ', '\0', '\ud800\n']) {
      expect(next({ type: 'say', text: silence, language: 'de' })).toEqual(response(el('Hangup')));
    }
  });

  it('takes a message, and goes on with the next element when it was left', () => {
    const message = { type: 'message', text: 'After the tone.', language: 'en-GB', maxS: 90 } as const;
    const record = {
      maxLength: '90',
      timeout: '10',
      finishOnKey: '#',
      playBeep: 'true',
      redirect: 'false',
      callbackUrl: URLS.statusUrl,
      callbackMethod: 'POST',
    };
    const words = el('Speak', { language: 'en-GB' }, 'After the tone.');
    expect(next(message)).toEqual(response(words, el('Record', record), el('Hangup')));
    expect(next({ ...message, maxS: 0.5 })).toEqual(
      response(words, el('Record', { ...record, maxLength: '2' }), el('Hangup')),
    );
    expect(() => next({ ...message, maxS: Number.NaN })).toThrow('longest message');
  });

  it.each([
    [undefined, {}],
    ['', {}],
    ['en', { language: 'en-US' }],
    ['en-GB', { language: 'en-GB' }],
    ['EN_gb', { language: 'en-GB' }],
    ['en-ZA', { language: 'en-US' }],
    ['de-AT', { language: 'de-DE' }],
    ['pt', { language: 'pt-PT', voice: 'MAN' }],
    ['pt-BR', { language: 'pt-BR' }],
    ['ja', { voice: 'Polly.Mizuki' }],
    ['zh-CN', { voice: 'Polly.Zhiyu' }],
    ['tlh', {}],
    ['constructor', {}],
    ['__proto__', {}],
  ] as const)('speaks the language %o with %o', (language, attributes) => {
    expect(next({ type: 'say', text: 'x', language })).toEqual(
      response(el('Speak', attributes, 'x'), el('Hangup')),
    );
  });

  const transfer = {
    type: 'transfer',
    to: '+14155550199',
    callerId: '+14155550101',
    ringS: 19.2,
    announce: undefined,
    language: undefined,
  } as const;
  const dialled = {
    action: URLS.afterUrl,
    method: 'POST',
    timeout: '20',
    callerId: '14155550101',
    callbackUrl: URLS.statusUrl,
    callbackMethod: 'POST',
  };

  it('connects the caller with a number, in the form of Plivo', () => {
    const found = next(transfer);
    expect(found).toEqual(response(el('Dial', dialled, el('Number', {}, '14155550199'))));
    const builder = plivo.Response();
    builder.addDial({ ...dialled, timeout: 20 }).addNumber('14155550199');
    expect(found).toEqual(readXml(builder.toXML()));
    expect(next({ ...transfer, to: '+1 (415) 555-0199' })).toEqual(found);
  });

  it('connects the caller with a SIP address, under the number that is usual', () => {
    const { callerId: _, ...usual } = dialled;
    const to = 'sip:desk@phone.plivo.com';
    expect(next({ ...transfer, to, callerId: undefined })).toEqual(
      response(el('Dial', usual, el('User', {}, to))),
    );
  });

  it('of a call that nobody knows any more names no address', () => {
    const nowhere = { afterUrl: '', announceUrl: '', statusUrl: '' };
    const { timeout, callerId } = dialled;
    expect(read(carrier().document({ ...transfer, announce: 'x' }, nowhere))).toEqual(
      response(el('Dial', { timeout, callerId }, el('Number', {}, '14155550199'))),
    );
    expect(read(carrier().document({ type: 'digits', digits: '1' }, nowhere))).toEqual(
      response(el('DTMF', { async: 'false' }, '1')),
    );
  });

  it('has the other end told why, before it is connected and without a key to press', () => {
    const wanted = { ...dialled, confirmSound: URLS.announceUrl };
    expect(next({ ...transfer, announce: 'A call from Acme.' })).toEqual(
      response(el('Dial', wanted, el('Number', {}, '14155550199'))),
    );
    expect(next({ ...transfer, announce: ' ' })).toEqual(next(transfer));
    expect(read(carrier().announcement('A call from Acme.', 'en'))).toEqual(
      response(el('Speak', { language: 'en-US' }, 'A call from Acme.')),
    );
  });

  it('connects nobody with what is no address', () => {
    for (const to of ['', 'alice', '12', 'client:alice', 'sip:', 'sip:a b', 'tel:+14155550199', '1<2']) {
      expect(outcome(() => next({ ...transfer, to }))).toBe('BAD_INPUT');
    }
    expect(outcome(() => next({ ...transfer, callerId: 'sip:a@b' }))).toBe('BAD_INPUT');
    for (const ringS of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(outcome(() => next({ ...transfer, ringS }))).toBe('BAD_INPUT');
    }
    expect(() => next({ ...transfer, to: '14155550199x' })).toThrow(/has 12 characters that are no address/);
  });

  it('plays keys to their end, and asks again', () => {
    const found = next({ type: 'digits', digits: '1w2W#*' });
    expect(found).toEqual(response(el('DTMF', { async: 'false' }, '1w2W#*'), redirect));
    const builder = plivo.Response();
    builder.addDTMF('1w2W#*', { async: false });
    builder.addRedirect(URLS.afterUrl, { method: 'POST' });
    expect(found).toEqual(readXml(builder.toXML()));
    for (const digits of ['', 'A', '1,2', ' 1', '1'.repeat(201)]) {
      expect(outcome(() => next({ type: 'digits', digits }))).toBe('BAD_INPUT');
    }
  });

  it('opens a stream in place of another', () => {
    const plan = { ...PLAN, plainCodec: true, params: {} };
    const { extraHeaders: _, ...attributes } = STREAM_ATTRIBUTES;
    const stream = el('Stream', attributes, PLAN.mediaUrl);
    expect(read(carrier({ audio: 'l16-16000' }).document({ type: 'stream', plan }, URLS))).toEqual(
      response(stream, redirect),
    );
  });

  it('changes nothing', () => {
    expect(read(carrier().acknowledge())).toEqual(response());
    expect(next({ type: 'nothing' })).toEqual(response());
  });
});

describe('the carrier', () => {
  it('says what it can do', () => {
    expect(carrier().capabilities).toMatchObject({
      webhookAuth: 'url-signature',
      upgradeAuth: 'signature-if-present',
      tokenUses: 3,
      saysStopped: false,
      marksEchoedOnClear: false,
      digitsOut: 'socket',
      transfer: { endsStream: true, announced: true, wayBack: true },
      machineDetection: 'machine',
      dialGives: 'request-id',
      defaultFormat: { encoding: 'mulaw', rate: 8000 },
    });
    expect(carrier({ audio: 'l16-16000' }).capabilities.defaultFormat).toEqual({
      encoding: 'pcm16',
      rate: 16000,
    });
    expect(Object.isFrozen(carrier().capabilities)).toBe(true);
  });

  it('takes no base URL that is none', () => {
    for (const baseUrl of ['', 'api.plivo.com', 'ftp://a', 'https://user:pass@api.plivo.com']) {
      expect(outcome(() => carrier({ baseUrl }))).toBe('BAD_CONFIG');
    }
    expect(HOST).toMatch(/^https:/);
  });
});
