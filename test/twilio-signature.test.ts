import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { WebhookRequest } from '../src/carrier.ts';
import {
  CALLER,
  carrier,
  dice,
  formRequest,
  request,
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
    expect(broken.verifyUpgrade(upgrade('/v', longer), CALLER)).toEqual(BAD);
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
    expect(early.verifyUpgrade(unsigned, CALLER)).toEqual({ ok: false, reason: 'not-configured' });
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
    expect(open.verifyUpgrade(request({ target: '/x' }), CALLER)).toEqual(OK);
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
    expect(carrier().verifyUpgrade(upgrade(target, signature), CALLER)).toEqual(OK);
    expect(carrier().verifyUpgrade(upgrade(`${target}x`, signature), CALLER)).toEqual(BAD);
  });

  it('follows the public URL: ws for http, its port, its prefix', () => {
    const local = carrier({ publicUrl: () => 'http://127.0.0.1:8080' });
    expect(local.verifyUpgrade(upgrade('/media/t', sign('ws://127.0.0.1:8080/media/t')), CALLER)).toEqual(OK);
    expect(local.verifyUpgrade(upgrade('/media/t', sign('wss://127.0.0.1:8080/media/t')), CALLER)).toEqual(
      BAD,
    );
    const v6 = carrier({ publicUrl: () => 'https://[::1]' });
    expect(v6.verifyUpgrade(upgrade('/media/t', sign('wss://[::1]:443/media/t')), CALLER)).toEqual(OK);
    const prefixed = carrier({ publicUrl: () => 'https://h.example/tel/' });
    const signature = sign('wss://h.example/tel/media/t');
    expect(prefixed.verifyUpgrade(upgrade('/media/t', signature), CALLER)).toEqual(OK);
    expect(prefixed.verifyUpgrade(upgrade('/tel/media/t', signature), CALLER)).toEqual(OK);
  });

  it('refuses the https form, another token and an upgrade without a signature', () => {
    const target = '/twilio/media/tok_abc123';
    const signature = sign(`https://bridge.example.com${target}`);
    expect(carrier().verifyUpgrade(upgrade(target, signature), CALLER)).toEqual(BAD);
    expect(
      carrier({ authToken: 'x' }).verifyUpgrade(upgrade(target, 'sMnYkuzhSJOFpasyct4l0T+34i0='), CALLER),
    ).toEqual(BAD);
    expect(carrier().verifyUpgrade(request({ method: 'GET', target }), CALLER)).toEqual({
      ok: false,
      reason: 'missing-signature',
    });
    expect(
      carrier().verifyUpgrade(upgrade('http://bridge.example.com/twilio/media', signature), CALLER),
    ).toEqual(BAD);
  });
});

describe('hostile signatures', () => {
  const ROUNDS = 4000;

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
      expect(carrier().verifyUpgrade({ ...bad, target: one.text(30) }, CALLER).ok).toBe(false);
    }
    expect(refused).toBeGreaterThan(ROUNDS / 5);
  });
});
