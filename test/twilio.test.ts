import { createHash } from 'node:crypto';
import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';
import type {
  AfterStream,
  AnswerPlan,
  CarrierEvent,
  IncomingCall,
  WebhookRequest,
  WebhookRoute,
} from '../src/carrier.ts';
import { WEBHOOK_ROUTES } from '../src/carrier.ts';
import type { Headers } from './support/twilio.ts';
import {
  CALL,
  carrier,
  dice,
  form,
  formRequest,
  outcome,
  request,
  STREAM,
  scramble,
  sign,
  VOICE_FIELDS,
} from './support/twilio.ts';

function upgrade(target: string, signature: string): WebhookRequest {
  return request({ method: 'GET', target, headers: { 'x-twilio-signature': signature } });
}

const OK = { ok: true };
const BAD = { ok: false, reason: 'bad-signature' };

describe('signatures of webhooks', () => {
  const T1 = '60BfreWdPSv+W5cq5kBYJt7+rEI=';
  const T7_TARGET =
    '/twilio/json?bodySHA256=a10017d55a5cb777dedfab10d55e4768f7ff7bb1f37c5c758d56e3022be406ae';
  const T7_HEADERS = {
    'content-type': 'application/json',
    'x-twilio-signature': 'tp1O8pewveF8Z9u3ho2VWsDAfOc=',
  };

  it('accepts the vector of the documentation (T0)', () => {
    const one = carrier({ authToken: '12345', publicUrl: () => 'https://mycompany.com' });
    const fields = {
      CallSid: 'CA1234567890ABCDE',
      Caller: '+12349013030',
      Digits: '1234',
      From: '+12349013030',
      To: '+18005551212',
    };
    const target = '/myapp.php?foo=1&bar=2';
    expect(one.verify(formRequest(target, fields, '0/KCTR6DLpKmkAf8muzZqo1nDgQ='))).toEqual(OK);
    expect(
      one.verify(formRequest(target, { ...fields, Digits: '1235' }, '0/KCTR6DLpKmkAf8muzZqo1nDgQ=')),
    ).toEqual(BAD);
  });

  it.each([
    ['T1: a form', '/twilio/voice', VOICE_FIELDS, T1],
    ['T2: a query', '/twilio/voice?tenant=acme&x=a%20b', VOICE_FIELDS, 'PAff/6wJhAMwNiMgA7I5vnas018='],
    [
      'T5: spaces, accents and an empty value',
      '/twilio/voice',
      { CallerName: 'José  O\u2019Neil', Digits: '', Body: 'a b+c' },
      'Q0i9or7PiOZkcURSTiNHki+5ocA=',
    ],
    [
      'T6: a name that comes twice',
      '/twilio/status',
      { A: ['2', '1', '2'], B: 'x' },
      'nQABkRjkmBlOi1RjSU3hM4eXR68=',
    ],
  ])('accepts %s', (_name, target, fields, signature) => {
    expect(carrier().verify(formRequest(target, fields, signature))).toEqual(OK);
    expect(carrier().verify(formRequest(target, { ...fields, Extra: '1' }, signature))).toEqual(BAD);
    expect(carrier({ authToken: 'another' }).verify(formRequest(target, fields, signature))).toEqual(BAD);
  });

  it('accepts a GET, whose fields are in the query (T3)', () => {
    const target = '/twilio/voice?CallSid=CA1&From=%2B14155550100';
    const headers = { 'x-twilio-signature': 'Bv/ZWBXZsGTdo18e79jFZgUSzgs=' };
    expect(carrier().verify(request({ method: 'GET', target, headers }))).toEqual(OK);
    expect(carrier().verify(request({ method: 'get', target, headers }))).toEqual(OK);
    expect(carrier().verify(request({ method: 'GET', target: `${target}1`, headers }))).toEqual(BAD);
  });

  it('accepts a JSON body by its hash, and only that body (T7)', () => {
    const send = (body: string) =>
      carrier().verify(request({ target: T7_TARGET, headers: T7_HEADERS, body }));
    expect(send('{"hello":"wörld","n":1}')).toEqual(OK);
    expect(send('{"hello":"wörld","n":2}')).toEqual(BAD);
    expect(send('')).toEqual(BAD);
  });

  it('hashes the bytes of a body and not their text', () => {
    const body = Buffer.from([0x7b, 0xff, 0x7d]);
    const target = `/json?bodySHA256=${createHash('sha256').update(body).digest('hex')}`;
    const headers = { 'x-twilio-signature': sign(`https://bridge.example.com${target}`) };
    const send = (bytes: Uint8Array) => carrier().verify({ method: 'POST', target, headers, body: bytes });
    expect(send(body)).toEqual(OK);
    expect(send(Buffer.from('{\ufffd}'))).toEqual(BAD);
  });

  it('accepts what was signed with the standard port, and with a port of its own', () => {
    const signed443 = formRequest('/twilio/voice', VOICE_FIELDS, 'y3qJaPjueb0BZGYNh2zsf73ArN4=');
    const signed8443 = formRequest('/twilio/voice', VOICE_FIELDS, '08WfbSBxUiJYEAUV3gzHfq+GfzU=');
    const on8443 = carrier({ publicUrl: () => 'https://bridge.example.com:8443' });
    expect(carrier().verify(signed443)).toEqual(OK);
    expect(on8443.verify(signed8443)).toEqual(OK);
    expect(on8443.verify(formRequest('/twilio/voice', VOICE_FIELDS, T1))).toEqual(OK);
    expect(carrier().verify(signed8443)).toEqual(BAD);
  });

  it('refuses another scheme, host or slash', () => {
    const good = formRequest('/twilio/voice', VOICE_FIELDS, T1);
    expect(carrier({ publicUrl: () => 'http://bridge.example.com' }).verify(good)).toEqual(BAD);
    expect(carrier({ publicUrl: () => 'https://other.example.com' }).verify(good)).toEqual(BAD);
    expect(carrier().verify({ ...good, target: '/twilio/voice/' })).toEqual(BAD);
  });

  it('refuses what is no path, and survives a public URL that is none', () => {
    const longer = sign('https://bridge.example.com.example.org/v', { A: '1' });
    expect(carrier().verify(formRequest('.example.org/v', { A: '1' }, longer))).toEqual(BAD);
    const broken = carrier({ publicUrl: () => 'https://[bridge' });
    expect(broken.verify(formRequest('/v', { A: '1' }, longer))).toEqual(BAD);
    expect(broken.verifyUpgrade(upgrade('/v', longer))).toEqual(BAD);
  });

  it('asks for the public URL each time and never reads the Host header', () => {
    let url = 'https://elsewhere.example.com';
    const one = carrier({ publicUrl: () => url });
    const good = formRequest('/twilio/voice', VOICE_FIELDS, T1);
    const spoofed = { ...good, headers: { ...good.headers, host: 'bridge.example.com' } };
    expect(one.verify(spoofed)).toEqual(BAD);
    url = 'https://bridge.example.com';
    expect(one.verify(spoofed)).toEqual(OK);
  });

  it.each([
    ['passes the prefix on', 'https://h.example/tel', '/tel/voice?x=1', 'https://h.example/tel/voice?x=1'],
    ['takes the prefix off', 'https://h.example/tel', '/voice?x=1', 'https://h.example/tel/voice?x=1'],
    [
      'takes off a prefix like the route',
      'https://h.example/voice',
      '/voice/twilio',
      'https://h.example/voice/voice/twilio',
    ],
    ['passes on nothing but the prefix', 'https://h.example/tel/', '/tel?x=1', 'https://h.example/tel?x=1'],
    ['sees a longer first segment', 'https://h.example/tel', '/telephone', 'https://h.example/tel/telephone'],
  ])('knows a proxy that %s', (_name, publicUrl, target, url) => {
    const one = carrier({ publicUrl: () => publicUrl });
    expect(one.verify(formRequest(target, { A: '1' }, sign(url, { A: '1' })))).toEqual(OK);
  });

  it('names what is missing', () => {
    const unsigned = formRequest('/twilio/voice', VOICE_FIELDS);
    expect(carrier().verify(unsigned)).toEqual({ ok: false, reason: 'missing-signature' });
    expect(carrier().verify(formRequest('/twilio/voice', VOICE_FIELDS, ''))).toEqual({
      ok: false,
      reason: 'missing-signature',
    });
    for (const authToken of [undefined, '']) {
      expect(carrier({ authToken }).verify(unsigned)).toEqual({ ok: false, reason: 'not-configured' });
    }
    for (const publicUrl of ['', 'bridge.example.com', 'ftp://bridge.example.com']) {
      expect(carrier({ publicUrl: () => publicUrl }).verify(unsigned)).toEqual({
        ok: false,
        reason: 'not-configured',
      });
    }
    const early = carrier({
      publicUrl: () => {
        throw new Error('not listening yet');
      },
    });
    expect(early.verify(unsigned)).toEqual({ ok: false, reason: 'not-configured' });
    expect(early.verifyUpgrade(unsigned)).toEqual({ ok: false, reason: 'not-configured' });
  });

  it('reads a header that came as an array', () => {
    const good = formRequest('/twilio/voice', VOICE_FIELDS);
    const with_ = (signature: string[]) => ({
      ...good,
      headers: { ...good.headers, 'x-twilio-signature': signature },
    });
    expect(carrier().verify(with_([T1]))).toEqual(OK);
    expect(carrier().verify(with_(['x', T1]))).toEqual(BAD);
    expect(carrier().verify(with_([]))).toEqual({ ok: false, reason: 'missing-signature' });
  });

  it('refuses a body that no signature covers', () => {
    const url = 'https://bridge.example.com/twilio/voice';
    const headers = { 'content-type': 'application/json', 'x-twilio-signature': sign(url) };
    const bad = { ok: false, reason: 'bad-body' };
    expect(carrier().verify(request({ target: '/twilio/voice', headers, body: '{}' }))).toEqual(bad);
    expect(carrier().verify(request({ target: '/twilio/voice', headers, body: '' }))).toEqual(OK);
    const broken = formRequest('/twilio/voice', VOICE_FIELDS, T1);
    expect(carrier().verify({ ...broken, body: Buffer.from([0x41, 0x3d, 0xff]) })).toEqual(bad);
  });

  it('does not stumble over a field that is named like a part of every object', () => {
    const body = '__proto__=1&constructor=2&toString=3';
    const signature = sign('https://bridge.example.com/v', {
      ['__proto__']: '1',
      constructor: '2',
      toString: '3',
    });
    const headers = { 'x-twilio-signature': signature };
    expect(carrier().verify(request({ target: '/v', headers, body }))).toEqual(OK);
    expect(carrier().verify(request({ target: '/v', headers, body: 'constructor=2&toString=3' }))).toEqual(
      BAD,
    );
  });

  it('accepts everything when it was told to be insecure', () => {
    const open = carrier({ insecure: true, authToken: undefined });
    expect(open.verify(request({ target: '/x', body: '\u0000' }))).toEqual(OK);
    expect(open.verifyUpgrade(request({ target: '/x' }))).toEqual(OK);
  });
});

describe('signatures of media sockets', () => {
  it.each([
    ['T4', '/twilio/media', 'nYJMd3PyIlBkI+1rQ8x7zjbNQ4A='],
    ['T4b', '/twilio/media/tok_abc123', 'sMnYkuzhSJOFpasyct4l0T+34i0='],
    ['T4c', '/twilio/media/', 'kPnmfoMoiBa8azxWx06TXVbKqmk='],
    ['T4 with a slash added', '/twilio/media/', 'nYJMd3PyIlBkI+1rQ8x7zjbNQ4A='],
    ['T4c with its slash lost', '/twilio/media', 'kPnmfoMoiBa8azxWx06TXVbKqmk='],
    ['the standard port', '/twilio/media/t', sign('wss://bridge.example.com:443/twilio/media/t')],
    ['port and slash', '/twilio/media/t', sign('wss://bridge.example.com:443/twilio/media/t/')],
    ['a query', '/twilio/media?a=1', sign('wss://bridge.example.com/twilio/media?a=1')],
    ['a query after a slash', '/twilio/media?a=1', sign('wss://bridge.example.com/twilio/media/?a=1')],
  ])('accepts %s', (_name, target, signature) => {
    expect(carrier().verifyUpgrade(upgrade(target, signature))).toEqual(OK);
    expect(carrier().verifyUpgrade(upgrade(`${target}x`, signature))).toEqual(BAD);
  });

  it('follows the public URL: ws for http, its port, its prefix', () => {
    const local = carrier({ publicUrl: () => 'http://127.0.0.1:8080' });
    expect(local.verifyUpgrade(upgrade('/media/t', sign('ws://127.0.0.1:8080/media/t')))).toEqual(OK);
    expect(local.verifyUpgrade(upgrade('/media/t', sign('wss://127.0.0.1:8080/media/t')))).toEqual(BAD);
    const v6 = carrier({ publicUrl: () => 'https://[::1]' });
    expect(v6.verifyUpgrade(upgrade('/media/t', sign('wss://[::1]:443/media/t')))).toEqual(OK);
    const prefixed = carrier({ publicUrl: () => 'https://h.example/tel/' });
    const signature = sign('wss://h.example/tel/media/t');
    expect(prefixed.verifyUpgrade(upgrade('/media/t', signature))).toEqual(OK);
    expect(prefixed.verifyUpgrade(upgrade('/tel/media/t', signature))).toEqual(OK);
  });

  it('refuses the https form, another token and an upgrade without a signature', () => {
    const target = '/twilio/media/tok_abc123';
    const signature = sign(`https://bridge.example.com${target}`);
    expect(carrier().verifyUpgrade(upgrade(target, signature))).toEqual(BAD);
    expect(
      carrier({ authToken: 'x' }).verifyUpgrade(upgrade(target, 'sMnYkuzhSJOFpasyct4l0T+34i0=')),
    ).toEqual(BAD);
    expect(carrier().verifyUpgrade(request({ method: 'GET', target }))).toEqual({
      ok: false,
      reason: 'missing-signature',
    });
    expect(carrier().verifyUpgrade(upgrade('http://bridge.example.com/twilio/media', signature))).toEqual(
      BAD,
    );
  });
});

describe('webhooks', () => {
  const parse = (route: WebhookRoute, fields: Record<string, string>, headers: Headers = {}): CarrierEvent =>
    carrier().parse(request({ target: '/', headers, body: form(fields) }), route);
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
      call: {
        callId: CALL,
        from: '+14155550100',
        to: '+14155550101',
        direction: 'inbound',
        callerName: 'José O\u2019Neil',
      },
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
    });
    expect(parse('after', { CallSid: CALL, CallStatus: 'completed' })).toMatchObject({ ended: true });
  });

  it.each(WEBHOOK_ROUTES)('names the field when a %s webhook has no CallSid', (route) => {
    for (const fields of [{ From: '+1' }, { CallSid: '' }]) {
      expect(() => parse(route, fields)).toThrow(
        expect.objectContaining({ code: 'BAD_FRAME', message: expect.stringContaining('CallSid') }),
      );
    }
  });
});

interface Element {
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly children: (Element | string)[];
}

/** Reads a document with a strict parser, as a carrier does. */
function readXml(xml: string): Element {
  const parser = new SaxesParser();
  const root: Element = { name: '', attributes: {}, children: [] };
  const open = [root];
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', (tag) => {
    const element: Element = { name: tag.name, attributes: { ...tag.attributes }, children: [] };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on('text', (text) => open.at(-1)?.children.push(text));
  parser.on('closetag', () => open.pop());
  parser.write(xml).close();
  const [only] = root.children;
  if (typeof only !== 'object') throw new Error('no root element');
  return only;
}

const el = (
  name: string,
  attributes: Record<string, string> = {},
  ...children: (Element | string)[]
): Element => ({
  name,
  attributes,
  children,
});

describe('answer documents', () => {
  const call: IncomingCall = {
    callId: CALL,
    from: '+14155550100',
    to: '+14155550101',
    direction: 'inbound',
    callerName: undefined,
  };
  const plan: AnswerPlan = {
    mediaUrl: 'wss://bridge.example.com/media/twilio/tok_abc123',
    afterUrl: 'https://bridge.example.com/after/twilio/tok_abc123',
    streamStatusUrl: 'https://bridge.example.com/stream-status/twilio',
    params: { callRef: 'c_42', from: '+14155550100' },
    fallback: { type: 'say', text: 'Sorry, nobody is here.', language: 'en-GB' },
  };
  const accept = (change: Partial<AnswerPlan>) =>
    readXml(carrier().accept(call, { ...plan, ...change }).body);
  const documentAfter = (decision: AfterStream) => readXml(carrier().after(decision).body);

  it('connects the call to the stream, with the fallback behind it', () => {
    const answer = carrier().accept(call, plan);
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

  it('hangs up, says, or transfers', () => {
    const say = (text: string, language: string | undefined) =>
      documentAfter({ type: 'say', text, language });
    const transfer = (to: string, callerId?: string) => documentAfter({ type: 'transfer', to, callerId });
    const dial = (child: Element, more = {}) =>
      el('Response', {}, el('Dial', { answerOnBridge: 'true', ...more }, child));
    expect(documentAfter({ type: 'hang-up' })).toEqual(el('Response', {}, el('Hangup')));
    expect(say('Bye.', 'de')).toEqual(
      el('Response', {}, el('Say', { language: 'de-DE' }, 'Bye.'), el('Hangup')),
    );
    expect(say('  ', 'de')).toEqual(el('Response', {}, el('Hangup')));
    expect(transfer('+1 (415) 555-0100', '+14155550101')).toEqual(
      dial(el('Number', {}, '+14155550100'), { callerId: '+14155550101' }),
    );
    expect(transfer('sip:desk@example.com;transport=tls')).toEqual(
      dial(el('Sip', {}, 'sip:desk@example.com;transport=tls')),
    );
    expect(transfer('client:alice')).toEqual(dial(el('Client', {}, 'alice')));
  });

  it.each(['', 'nobody', '+1', '+1415555010x', 'https://example.com', 'sip:'])(
    'cannot transfer to %j',
    (to) => {
      expect(() => documentAfter({ type: 'transfer', to, callerId: undefined })).toThrow(
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
    const [say] = documentAfter({ type: 'say', text: 'Bye.', language }).children as [Element];
    expect(say.attributes['language']).toBe(tag);
  });

  it('rejects without answering', () => {
    for (const reason of ['busy', 'rejected'] as const) {
      expect(readXml(carrier().reject(reason).body)).toEqual(el('Response', {}, el('Reject', { reason })));
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

  it('makes parse give an event or BAD_FRAME, and nothing else', () => {
    const one = dice(2);
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const body = scramble(scramble(form({ ...VOICE_FIELDS, StreamEvent: 'stream-error' }), one), one);
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
      'ignored',
      'incoming',
      'progress',
      'stream',
    ]);
  });

  it('makes verify refuse and never throw', () => {
    const one = dice(3);
    const target = '/twilio/voice?tenant=acme&x=a%20b';
    const signature = 'PAff/6wJhAMwNiMgA7I5vnas018=';
    const good = formRequest(target, VOICE_FIELDS, signature);
    const text = Buffer.from(good.body).toString();
    expect(carrier().verify(good)).toEqual(OK);
    const meaning = (body: string): string =>
      [...new Set([...new URLSearchParams(body)].map(String))].sort().join('\n');
    let refused = 0;
    for (let round = 0; round < ROUNDS / 4; round++) {
      const body = scramble(text, one);
      const changes = [
        { target: scramble(target, one) },
        { body: Buffer.from(body) },
        { headers: { ...good.headers, 'x-twilio-signature': scramble(signature, one) } },
        { headers: { ...good.headers, 'content-type': one.text(40) }, body: Buffer.from(body) },
        { method: one.text(5), target: one.text(60) },
      ];
      const bad = { ...good, ...one.pick(changes) };
      const verdict = carrier().verify(bad);
      const same = meaning(Buffer.from(bad.body).toString()) === meaning(text) && bad.target === target;
      if (!verdict.ok) refused += 1;
      else if (!same) expect.unreachable(`accepted ${JSON.stringify(bad.target)} ${Buffer.from(bad.body)}`);
      expect(carrier().verifyUpgrade({ ...bad, target: one.text(30) }).ok).toBe(false);
    }
    expect(refused).toBeGreaterThan(ROUNDS / 5);
  });

  it('makes documents that a strict parser reads', () => {
    const one = dice(4);
    for (let round = 0; round < 500; round++) {
      const text = one.text(60);
      const { body } = carrier().after({ type: 'say', text, language: one.text(6) });
      const found = readXml(body).children[0];
      const wanted = text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, '').trim();
      if (wanted !== '') expect(found).toMatchObject({ name: 'Say', children: [wanted] });
    }
  });
});
