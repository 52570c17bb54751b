import { createHmac } from 'node:crypto';
import plivo from 'plivo';
import { describe, expect, it } from 'vitest';
import { createNonceCache } from '../carriers/plivo/nonces.ts';
import type { WebhookRequest } from '../src/carrier.ts';
import type { Fields } from './support/plivo.ts';
import { CALLER, carrier, HOST, NONCE, request, sign, signed, TOKEN, VOICE_FIELDS } from './support/plivo.ts';

const OK = { ok: true };
const BAD = { ok: false, reason: 'bad-signature' };
const MISSING = { ok: false, reason: 'missing-signature' };
const REPLAYED = { ok: false, reason: 'replayed' };

interface Vector {
  readonly id: string;
  readonly method: 'GET' | 'POST';
  readonly origin?: string;
  readonly target: string;
  readonly fields?: Fields;
  readonly signature: string;
}

const VECTORS: readonly Vector[] = [
  {
    id: 'P1',
    method: 'POST',
    target: '/plivo/answer',
    fields: VOICE_FIELDS,
    signature: 'EMHKE+p4cLiRXhOcRzc/GpjVtw1SNUNvKpR2ICnybSw=',
  },
  {
    id: 'P2',
    method: 'POST',
    target: '/plivo/answer?tenant=acme&a=1',
    fields: VOICE_FIELDS,
    signature: 'O+OLL8Bwro93pAuKSpzsufIG56FLGNOgMO0G30v+gW8=',
  },
  {
    id: 'P3',
    method: 'GET',
    target: '/plivo/answer?To=14155550101&From=14155550100',
    signature: 'hzQNjTcT9kjZWKgIzdDU8OP/42jTzmg0ju+ggKjJs8k=',
  },
  {
    id: 'P4',
    method: 'POST',
    target: '/plivo/answer',
    fields: {},
    signature: '/psz6wx1tAMn15Zw6P+JijzROcOdPVMDtJTZcyqtW/A=',
  },
  {
    id: 'P6',
    method: 'GET',
    target: '/plivo/answer?name=a%20b%2Bc',
    signature: 'SIF2TtLZKmm3sHj/QkaRIvqxi4RLll9du/F+eLo7nP8=',
  },
  {
    id: 'P7',
    method: 'POST',
    target: '/plivo/answer',
    fields: { CallerName: 'José', X: 'a b+c' },
    signature: 'bUR1yp4rNDLUaWR+RvKq3VVaNEWBgDFMTAGkd4dG1yA=',
  },
  {
    id: 'P8',
    method: 'POST',
    origin: 'https://bridge.example.com:8443',
    target: '/plivo/answer',
    fields: VOICE_FIELDS,
    signature: '0/nqiCZYIQEc19WhX4iq3XmMryv3fbIftqrlO20Uivs=',
  },
  {
    id: 'P9',
    method: 'POST',
    target: '/plivo/answer',
    fields: { A: ['2', '1'], B: 'x' },
    signature: 'vXP1qo0aMFIywCDZ7LNtGm46KSemFI30rpqDT5/yj+U=',
  },
];

const [P1] = VECTORS as [Vector, ...Vector[]];

function vectorRequest({ method, target, fields, signature }: Vector): WebhookRequest {
  return request({
    method,
    target,
    ...(fields === undefined ? {} : { fields }),
    headers: signed(signature),
  });
}

const p1 = (headers: Record<string, string | string[] | undefined>): WebhookRequest =>
  request({ target: P1.target, fields: VOICE_FIELDS, headers });

describe('the signature of a webhook', () => {
  it.each(VECTORS)(
    '$id is accepted, by the package of Plivo too, and made by the signer of these tests',
    (vector) => {
      const { method, origin = HOST, target, fields = {}, signature } = vector;
      const url = origin + target;
      expect(sign(method, url, fields)).toBe(signature);
      expect(plivo.validateV3Signature(method, url, NONCE, TOKEN, signature, structuredClone(fields))).toBe(
        true,
      );
      expect(carrier({ publicUrl: () => origin }).verify(vectorRequest(vector))).toEqual(OK);
    },
  );

  it.each(VECTORS)('$id is refused with another token, nonce, host, path, method or field', (vector) => {
    const { method, origin = HOST, target, fields = {}, signature } = vector;
    const found = vectorRequest(vector);
    const one = carrier({ publicUrl: () => origin });
    expect(carrier({ publicUrl: () => origin, authToken: 'other' }).verify(found)).toEqual(BAD);
    expect(carrier({ publicUrl: () => 'https://other.example.com' }).verify(found)).toEqual(BAD);
    expect(carrier({ publicUrl: () => origin.replace('https', 'http') }).verify(found)).toEqual(BAD);
    expect(one.verify({ ...found, headers: { ...found.headers, ...signed(signature, '1') } })).toEqual(BAD);
    expect(one.verify({ ...found, target: target.replace('answer', 'other') })).toEqual(BAD);
    const more = request({
      method,
      target: `${target}${target.includes('?') ? '&' : '?'}z=1`,
      headers: found.headers,
      fields,
    });
    expect(one.verify(more)).toEqual(BAD);
    if (method === 'POST') {
      expect(one.verify({ ...found, body: Buffer.from('From=14155550199') })).toEqual(BAD);
    } else {
      expect(one.verify({ ...found, method: 'POST', body: Buffer.from('a=1') })).toEqual(BAD);
    }
  });

  it('is not that of Plivo without the question mark, or with a dot in its place', () => {
    const glued = Object.entries(VOICE_FIELDS)
      .map(([name, value]) => name + value)
      .sort()
      .join('');
    const made = (text: string): string => createHmac('sha256', TOKEN).update(text).digest('base64');
    const url = `${HOST}${P1.target}`;
    expect(made(`${url}?${glued}.${NONCE}`)).toBe(P1.signature);
    for (const text of [`${url}${glued}.${NONCE}`, `${url}.${glued}.${NONCE}`, `${url}?${glued}${NONCE}`]) {
      expect(carrier().verify(p1(signed(made(text))))).toEqual(BAD);
    }
  });

  it('may be one of several in its header, with and without blanks', () => {
    for (const list of [
      `AAAA,${P1.signature}`,
      `AAAA, ${P1.signature}`,
      `${P1.signature} ,AAAA`,
      ` ${P1.signature}`,
    ]) {
      expect(carrier().verify(p1(signed(list)))).toEqual(OK);
    }
    const headers = { ...signed(''), 'x-plivo-signature-v3': ['AAAA', P1.signature] };
    expect(carrier().verify(p1(headers))).toEqual(OK);
    expect(carrier().verify(p1(signed('AAAA,BBBB')))).toEqual(BAD);
  });

  it('may be that of the main account alone', () => {
    const nonce = { 'x-plivo-signature-v3-nonce': NONCE };
    expect(carrier().verify(p1({ ...nonce, 'x-plivo-signature-ma-v3': P1.signature }))).toEqual(OK);
    expect(carrier().verify(p1({ ...signed('AAAA'), 'x-plivo-signature-ma-v3': P1.signature }))).toEqual(OK);
    expect(carrier().verify(p1({ ...nonce, 'x-plivo-signature-ma-v3': 'AAAA' }))).toEqual(BAD);
  });

  it('of the second version is not accepted, because it covers neither query nor body', () => {
    const v2 = 'AY+P28faQCW5YlLLvqFC3DP1Mquy1slThGimeIjHgCc=';
    const url = `${HOST}/plivo/answer`;
    expect(plivo.validateSignature(url, NONCE, v2, TOKEN)).toBe(true);
    const old = {
      'x-plivo-signature-v2': v2,
      'x-plivo-signature-v2-nonce': NONCE,
      'x-plivo-signature-ma-v2': v2,
    };
    expect(carrier().verify(p1(old))).toEqual(MISSING);
    expect(carrier().verify(p1(signed(v2)))).toEqual(BAD);
  });

  it('that is missing is said to be missing, whatever is there of it', () => {
    for (const headers of [
      {},
      { 'x-plivo-signature-v3': P1.signature },
      { 'x-plivo-signature-v3-nonce': NONCE },
      signed(''),
      signed(' , ,'),
      signed(P1.signature, ''),
      { 'x-plivo-signature-v3': undefined, 'x-plivo-signature-v3-nonce': [] },
    ]) {
      expect(carrier().verify(p1(headers))).toEqual(MISSING);
    }
  });

  it('is checked whatever the case of the method, and never when Plivo would not make such a request', () => {
    const found = p1(signed(P1.signature));
    expect(carrier().verify({ ...found, method: 'post' })).toEqual(OK);
    for (const method of ['PUT', 'HEAD', 'DELETE', '', 'póst']) {
      expect(carrier().verify({ ...found, method })).toEqual(BAD);
    }
  });

  it('never throws, whatever the request looks like', () => {
    const targets = [
      '',
      '/',
      '*',
      'x',
      '//',
      '/%',
      '/%ff?%ff=%zz',
      'https://a/b',
      '/?',
      '/??&&=&',
      '/\ud800?\ud800',
    ];
    const bodies = ['', '%', '%ff', '{"a":1}', '\0', Buffer.from([0xff, 0xfe])];
    const types = [undefined, 'application/json', 'multipart/form-data; boundary=x', ['a', 'b']];
    for (const target of targets) {
      for (const body of bodies) {
        for (const type of types) {
          const headers = { ...signed(P1.signature), 'content-type': type };
          for (const method of ['GET', 'POST', 'x']) {
            const found = request({ method, target, body, headers });
            expect(carrier().verify(found)).toMatchObject({ ok: false });
            expect(carrier().verifyUpgrade(found, CALLER)).toMatchObject({ ok: false });
          }
        }
      }
    }
  });

  it('covers no body but a form, so any other is refused', () => {
    const headers = { ...signed(P1.signature), 'content-type': 'application/json' };
    expect(carrier().verify(request({ target: P1.target, body: '{}', headers }))).toEqual({
      ok: false,
      reason: 'bad-body',
    });
    const broken = request({
      target: P1.target,
      body: Buffer.from([0x61, 0x3d, 0xff]),
      headers: signed(P1.signature),
    });
    expect(carrier().verify(broken)).toEqual({ ok: false, reason: 'bad-body' });
  });

  it('cannot be checked without a token or a public URL', () => {
    const found = p1(signed(P1.signature));
    const reason = { ok: false, reason: 'not-configured' };
    expect(carrier({ authToken: undefined }).verify(found)).toEqual(reason);
    expect(carrier({ authToken: '' }).verify(found)).toEqual(reason);
    expect(carrier({ publicUrl: () => 'bridge.example.com' }).verify(found)).toEqual(reason);
    const broken = carrier({
      publicUrl: () => {
        throw new Error('no tunnel yet');
      },
    });
    expect(broken.verify(found)).toEqual(reason);
  });

  it('is not asked for when the bridge was told so', () => {
    const open = carrier({ insecure: true, authToken: undefined, requireUpgradeSignature: true });
    expect(open.verify(p1({}))).toEqual(OK);
    expect(open.verifyUpgrade(request({ method: 'GET', target: '/media/plivo/t' }), CALLER)).toEqual(OK);
  });

  it('is over the public URL with its prefix, whether a proxy passes the prefix on or takes it off', () => {
    const one = (): ReturnType<typeof carrier> =>
      carrier({ publicUrl: () => 'https://edge.example.com/phone/' });
    const signature = sign('POST', 'https://edge.example.com/phone/voice/plivo?ref=r', VOICE_FIELDS);
    const parts = { fields: VOICE_FIELDS, headers: signed(signature) };
    expect(one().verify(request({ target: '/voice/plivo?ref=r', ...parts }))).toEqual(OK);
    expect(one().verify(request({ target: '/phone/voice/plivo?ref=r', ...parts }))).toEqual(OK);
    expect(one().verify(request({ target: '/other/voice/plivo?ref=r', ...parts }))).toEqual(BAD);
    expect(one().verify(request({ target: '/voice/plivo?ref=s', ...parts }))).toEqual(BAD);
  });

  it('is over the prefix and the path where a route begins like the prefix', () => {
    const one = carrier({ publicUrl: () => 'https://edge.example.com/voice' });
    for (const path of ['/voice/voice/plivo', '/voice/plivo']) {
      const nonce = path;
      const signature = sign('POST', `https://edge.example.com${path}`, VOICE_FIELDS, { nonce });
      const parts = { target: '/voice/plivo', fields: VOICE_FIELDS, headers: signed(signature, nonce) };
      expect(one.verify(request(parts))).toEqual(OK);
    }
  });

  it('agrees with the package of Plivo on seeded forms and queries', () => {
    const words = ['a', 'A', 'b c', 'é', '+1', '', 'x=y', 'a&b', '漢', '%', '~', "'", 'Z'];
    let state = 7;
    const pick = (): string => {
      state = (state * 48_271) % 2_147_483_647;
      return words[state % words.length] ?? '';
    };
    for (let round = 0; round < 200; round++) {
      const fields = Object.fromEntries([0, 1, 2].map((at) => [`f${pick()}${at}`, [pick(), pick()]]));
      const query = new URLSearchParams([0, 1].map((at): [string, string] => [`q${pick()}${at}`, pick()]));
      const method = round % 2 === 0 ? 'POST' : 'GET';
      const target = round % 3 === 0 ? '/voice/plivo' : `/voice/plivo?${query}`;
      const sent = method === 'POST' ? fields : {};
      const signature = sign(method, HOST + target, sent);
      const copy = structuredClone(sent);
      expect(plivo.validateV3Signature(method, HOST + target, NONCE, TOKEN, signature, copy)).toBe(true);
      expect(carrier().verify(request({ method, target, fields: sent, headers: signed(signature) }))).toEqual(
        OK,
      );
    }
  });
});

describe('the nonce of a webhook', () => {
  const at = (start = 1_700_000_000_000) => {
    const time = { ms: start };
    return { time, one: carrier({ epochMs: () => time.ms }) };
  };
  const found = p1(signed(P1.signature));

  it('may come again for a minute with the same request, because Plivo repeats what got lost', () => {
    const { time, one } = at();
    expect(one.verify(found)).toEqual(OK);
    time.ms += 1000;
    expect(one.verify(found)).toEqual(OK);
    time.ms += 59_000;
    expect(one.verify(found)).toEqual(OK);
    time.ms += 1;
    expect(one.verify(found)).toEqual(REPLAYED);
  });

  it('may come again when the fields of the same request stand in another order', () => {
    const { one } = at();
    expect(one.verify(found)).toEqual(OK);
    const turned = Object.fromEntries(Object.entries(VOICE_FIELDS).reverse());
    expect(one.verify(request({ target: P1.target, fields: turned, headers: signed(P1.signature) }))).toEqual(
      OK,
    );
  });

  it('is refused at once for other fields that happen to have the same signature', () => {
    const { one } = at();
    expect(one.verify(found)).toEqual(OK);
    const { To: _to, From: _from, ...rest } = VOICE_FIELDS;
    const moved = { ...rest, From14155550100To: '14155550101' };
    const copy = request({ target: P1.target, fields: moved, headers: signed(P1.signature) });
    expect(one.verify(copy)).toEqual(REPLAYED);
    expect(carrier().verify(copy)).toEqual(OK); // the signature alone cannot tell
  });

  it('is refused at once for another webhook of the same call', () => {
    const { one } = at();
    expect(one.verify(found)).toEqual(OK);
    const fields = { ...VOICE_FIELDS, Event: 'Hangup' };
    const signature = sign('POST', `${HOST}${P1.target}`, fields);
    expect(one.verify(request({ target: P1.target, fields, headers: signed(signature) }))).toEqual(REPLAYED);
    const next = sign('POST', `${HOST}${P1.target}`, fields, { nonce: '2' });
    expect(one.verify(request({ target: P1.target, fields, headers: signed(next, '2') }))).toEqual(OK);
  });

  it('is refused for ten minutes, and forgotten then', () => {
    const { time, one } = at();
    one.verify(found);
    time.ms += 600_000;
    expect(one.verify(found)).toEqual(REPLAYED);
    time.ms += 1;
    expect(one.verify(found)).toEqual(OK);
  });

  it('is remembered only of requests with a good signature', () => {
    const { one } = at();
    const forged = request({ target: P1.target, fields: { CallUUID: 'x' }, headers: signed('AAAA') });
    expect(one.verify(forged)).toEqual(BAD);
    expect(one.verify(found)).toEqual(OK);
  });

  it('takes no harm from a clock that is set back', () => {
    const { time, one } = at();
    expect(one.verify(found)).toEqual(OK);
    time.ms -= 3_600_000;
    expect(one.verify(found)).toEqual(OK);
  });

  it('is the first to be forgotten when the memory is full', () => {
    const cache = createNonceCache(() => 0, 3);
    for (const nonce of ['a', 'b', 'c', 'd']) expect(cache.isReplay(nonce, 'x')).toBe(false);
    expect(['b', 'c', 'd'].map((nonce) => cache.isReplay(nonce, 'y'))).toEqual([true, true, true]);
    expect(cache.isReplay('a', 'y')).toBe(false);
  });
});

describe('the upgrade of a media socket', () => {
  const target = '/plivo/media/tok_abc123';
  const upgrade = (headers: Record<string, string | string[] | undefined>, path = target): WebhookRequest =>
    request({ method: 'GET', target: path, headers });

  const CANDIDATES = [
    ['W1', 'https', 'CUsqDP3uZ1Mu0nx2ktlhZo1cIM8P7PoVpLTDMTTSkpc='],
    ['W2', 'http', '1xXRirWvql59Se4Zvhz6QugJzntvKHvEx0f9fN9IfCs='],
    ['W3', 'wss', 'gy8wauTfbyUo3Hn81zjVt80h1QexJq5W8YgzzUiiLJU='],
    ['W4', 'http/websocket', 'Hn4JRYeEIaQga2BiI5GqoS/5oELOJr7wKmowS8KYrFI='],
  ] as const;

  it.each(CANDIDATES)('%s is accepted, and %s told', (_id, candidate, signature) => {
    const told: string[] = [];
    const one = carrier({ onUpgradeSignature: (found) => told.push(found) });
    expect(one.verifyUpgrade(upgrade(signed(signature)), CALLER)).toEqual({ ok: true });
    expect(told).toEqual([candidate]);
    const [scheme = '', ending] = candidate.split('/');
    const url = `${scheme}://bridge.example.com${target}${ending === undefined ? '' : `/${ending}`}`;
    expect(sign('GET', url)).toBe(signature);
  });

  it.each(['https', 'http', 'wss', 'ws'])(
    'is accepted with the scheme %s, with and without /websocket',
    (scheme) => {
      for (const ending of ['', '/websocket']) {
        const signature = sign('GET', `${scheme}://bridge.example.com${target}${ending}`);
        expect(carrier().verifyUpgrade(upgrade(signed(signature)), CALLER)).toEqual(OK);
        const headers = {
          'x-plivo-signature-ma-v3': `AAAA, ${signature}`,
          'x-plivo-signature-v3-nonce': NONCE,
        };
        expect(carrier().verifyUpgrade(upgrade(headers), CALLER)).toEqual(OK);
      }
    },
  );

  it('is accepted again with the same nonce, because a failed connection is tried twice more', () => {
    const one = carrier();
    for (let time = 0; time < 3; time++) {
      expect(one.verifyUpgrade(upgrade(signed(CANDIDATES[2][2])), CALLER)).toEqual(OK);
    }
  });

  it('is accepted below a path prefix, with a query', () => {
    const one = carrier({ publicUrl: () => 'https://edge.example.com:8443/phone' });
    const signature = sign('GET', 'wss://edge.example.com:8443/phone/media/plivo/t?b=2&a=1');
    expect(one.verifyUpgrade(upgrade(signed(signature), '/media/plivo/t?b=2&a=1'), CALLER)).toEqual(OK);
    expect(one.verifyUpgrade(upgrade(signed(signature), '/media/plivo/t?b=3&a=1'), CALLER)).toEqual(BAD);
  });

  it('is refused when what is there of a signature is not good', () => {
    const told: string[] = [];
    const one = carrier({ onUpgradeSignature: (found) => told.push(found) });
    for (const headers of [
      signed('AAAA'),
      signed(CANDIDATES[0][2], 'other'),
      { 'x-plivo-signature-v3': CANDIDATES[0][2] },
      { 'x-plivo-signature-v3-nonce': NONCE },
    ]) {
      expect(one.verifyUpgrade(upgrade(headers), CALLER)).toEqual(BAD);
    }
    expect(one.verifyUpgrade(upgrade(signed(CANDIDATES[0][2]), '/plivo/media/other'), CALLER)).toEqual(BAD);
    expect(told).toEqual([]);
  });

  it('needs no signature unless the bridge was told so', () => {
    expect(carrier().verifyUpgrade(upgrade({}), CALLER)).toEqual(OK);
    expect(carrier({ requireUpgradeSignature: true }).verifyUpgrade(upgrade({}), CALLER)).toEqual(MISSING);
    const strict = carrier({ requireUpgradeSignature: true });
    expect(strict.verifyUpgrade(upgrade(signed(CANDIDATES[2][2])), CALLER)).toEqual(OK);
  });

  it('with a signature cannot be checked without a token', () => {
    const reason = { ok: false, reason: 'not-configured' };
    expect(carrier({ authToken: undefined }).verifyUpgrade(upgrade(signed('AAAA')), CALLER)).toEqual(reason);
  });
});
