import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { RestRequest, RestResponse, RestVerdict } from '../src/carrier-rest.ts';
import { askCarrier, cannotAsk, controlResult, judgeStatus, pathId, restBase } from '../src/carrier-rest.ts';
import { BridgeError } from '../src/errors.ts';
import type { Answering } from './support/rest-host.ts';
import { answers, breaks, restHost } from './support/rest-host.ts';

const judge = ({ status, body }: RestResponse): RestVerdict =>
  status === 410 ? { status: 'already-ended' } : judgeStatus(status, `HTTP ${status} ${inspect(body)}`);

const request = (baseUrl: string, change: Partial<RestRequest> = {}): RestRequest => ({
  carrier: 'Carrier',
  what: 'ring a bell',
  method: 'POST',
  url: `${baseUrl}/bell?x=1`,
  headers: { authorization: 'Bearer SECRET', 'content-type': 'application/json' },
  body: '{"ring":"ä"}',
  repeatable: true,
  ...change,
});

async function ask(change: Partial<RestRequest>, ...script: Answering[]) {
  const host = await restHost(...script);
  const result = await askCarrier(request(host.baseUrl, change), judge, new AbortController().signal);
  return { ...host, result };
}

const failure = (code: string, message: unknown = expect.any(String)) => ({
  status: 'error',
  error: { code, message },
});

describe('a request to a carrier', () => {
  it('goes out as it was given, and comes back with the answer', async () => {
    const { seen, result } = await ask({}, answers(201, { id: 'b1' }));
    expect(result).toEqual({ status: 'ok', response: { status: 201, body: { id: 'b1' } } });
    expect(seen).toMatchObject([
      {
        method: 'POST',
        url: '/bell?x=1',
        body: '{"ring":"ä"}',
        headers: {
          authorization: 'Bearer SECRET',
          'content-type': 'application/json',
          accept: 'application/json',
          'user-agent': 'patchcord',
        },
      },
    ]);
  });

  it.each(['GET', 'DELETE'] as const)('%s has no body when it is given none', async (method) => {
    const { seen } = await ask({ method, body: undefined, headers: { accept: 'text/plain' } }, answers(200));
    expect(seen).toMatchObject([{ method, body: '', headers: { accept: 'text/plain' } }]);
    expect(seen[0]?.headers['content-type']).toBeUndefined();
  });

  it.each(['', '<html>', '{', '{"a":1}x'])('gives the answer %j no body', async (text) => {
    const { result } = await ask({}, answers(200, text));
    expect(result).toEqual({ status: 'ok', response: { status: 200, body: undefined } });
  });

  it.each([
    ['null', null],
    ['7', 7],
    ['"x"', 'x'],
    ['[1]', [1]],
  ])('gives the answer %s as it is, for the carrier to judge', async (text, body) => {
    const { result } = await ask({}, answers(200, text));
    expect(result).toEqual({ status: 'ok', response: { status: 200, body } });
  });

  it('is done when the status came, whatever becomes of the body', async () => {
    const { seen, result } = await ask({}, (incoming, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"id":', () => incoming.socket.destroy());
    });
    expect(result).toEqual({ status: 'ok', response: { status: 200, body: undefined } });
    expect(seen).toHaveLength(1);
  });

  it('finds a call over that the carrier says is over', async () => {
    const { seen, result } = await ask({}, answers(410));
    expect(result).toEqual({ status: 'already-ended' });
    expect(seen).toHaveLength(1);
  });

  it.each([
    [400, 'CARRIER_REFUSED', 'Carrier refused to ring a bell: HTTP 400', 1],
    [302, 'CARRIER_REFUSED', 'Carrier refused to ring a bell: HTTP 302', 1],
    [304, 'CARRIER_REFUSED', 'HTTP 304', 1],
    [429, 'CARRIER_UNAVAILABLE', 'Carrier did not ring a bell: HTTP 429', 1],
    [500, 'CARRIER_UNAVAILABLE', 'HTTP 500', 2],
    [599, 'CARRIER_UNAVAILABLE', 'HTTP 599', 2],
  ])('that met HTTP %i fails with %s', async (status, code, message, requests) => {
    const { seen, result } = await ask({}, answers(status, status === 304 ? '' : {}));
    expect(result).toMatchObject(failure(code, expect.stringContaining(message)));
    expect(seen).toHaveLength(requests);
  });

  it.each([401, 403])('that met HTTP %i asks about the credentials', async (status) => {
    const { result } = await ask({}, answers(status));
    expect(result).toMatchObject(
      failure('CARRIER_REFUSED', expect.stringContaining('(are the credentials right?)')),
    );
  });

  it('is made again at once, and the second answer counts', async () => {
    for (const trouble of [breaks, answers(502)]) {
      const better = await ask({}, trouble, answers(200, { id: 'b2' }));
      expect(better.result).toMatchObject({ status: 'ok', response: { body: { id: 'b2' } } });
      expect(better.seen).toHaveLength(2);
      const other = await ask({}, trouble, answers(410));
      expect(other.result).toEqual({ status: 'already-ended' });
      const worse = await ask({}, trouble, answers(400));
      expect(worse.result).toMatchObject(failure('CARRIER_REFUSED'));
      expect(worse.seen).toHaveLength(2);
    }
    const { seen, result } = await ask({}, breaks, breaks, answers(200));
    expect(result).toMatchObject(failure('CARRIER_UNAVAILABLE'));
    expect(seen).toHaveLength(2);
  });

  it('is made once when that would change something', async () => {
    for (const trouble of [breaks, answers(502)]) {
      const { seen, result } = await ask({ repeatable: false }, trouble, answers(200));
      expect(result).toMatchObject(failure('CARRIER_UNAVAILABLE'));
      expect(seen).toHaveLength(1);
    }
  });

  it('names the trouble and the host, and neither path nor secret, when nobody listens', async () => {
    const host = await restHost(answers(200));
    await new Promise((done) => host.server.close(done));
    const result = await askCarrier(request(host.baseUrl), judge, new AbortController().signal);
    expect(result).toMatchObject(
      failure(
        'CARRIER_UNAVAILABLE',
        `CARRIER_UNAVAILABLE: Carrier could not be asked to ring a bell: ECONNREFUSED at ${new URL(host.baseUrl).host}`,
      ),
    );
  });

  it.each([
    ['the deadline of the bridge', new BridgeError('TIMEOUT', 'too long'), 'CARRIER_UNAVAILABLE', 'in time'],
    [
      'the deadline of the platform',
      new DOMException('late', 'TimeoutError'),
      'CARRIER_UNAVAILABLE',
      'in time',
    ],
    ['an end without a word', undefined, 'CANCELLED', 'was given up'],
    ['another reason of the bridge', new BridgeError('CANCELLED', 'over'), 'CANCELLED', 'was given up'],
    ['something that is no error', 'over', 'CANCELLED', 'was given up'],
  ])('stops at once for %s', async (_name, why, code, message) => {
    let wasAsked = (): void => {};
    const asked = new Promise<void>((done) => {
      wasAsked = done;
    });
    const host = await restHost(() => wasAsked());
    const abort = new AbortController();
    const pending = askCarrier(request(host.baseUrl), judge, abort.signal);
    await asked;
    abort.abort(why);
    const result = await pending;
    expect(result).toMatchObject(failure(code, expect.stringContaining(message)));
    expect(result).toMatchObject({ error: { cause: why ?? { name: 'AbortError' } } });
    expect(host.seen).toHaveLength(1);
  });

  it('asks nobody after the end, and not a second time when the end comes between', async () => {
    const host = await restHost(answers(200));
    const early = await askCarrier(request(host.baseUrl), judge, AbortSignal.abort());
    expect(early).toMatchObject(failure('CANCELLED'));
    expect(host.seen).toEqual([]);

    const abort = new AbortController();
    const between = await restHost((incoming, response) => {
      abort.abort();
      breaks(incoming, response);
    });
    const late = await askCarrier(request(between.baseUrl), judge, abort.signal);
    expect(late).toMatchObject(failure('CANCELLED'));
    expect(between.seen).toHaveLength(1);
  });

  it('does not follow a redirect, and takes no secret there', async () => {
    const elsewhere = await restHost(answers(200));
    for (const status of [301, 303, 307, 308]) {
      const { result } = await ask({}, (_incoming, response) => {
        response.writeHead(status, { location: elsewhere.baseUrl }).end();
      });
      expect(result).toMatchObject(failure('CARRIER_REFUSED'));
    }
    expect(elsewhere.seen).toEqual([]);
  });

  it.each([
    ['a line break', { authorization: 'Bearer SECRET\nx' }],
    ['a character that is no byte', { authorization: 'Bearer SECRET\u20ac' }],
    ['a name that is none', { 'SECRET name': 'x' }],
  ])('is not made with %s in a header, and does not show the header', async (_name, headers) => {
    const { seen, result } = await ask({ headers }, answers(200));
    expect(result).toMatchObject(failure('CARRIER_REFUSED', expect.stringContaining('credentials')));
    expect(inspect(result, { depth: 9, showHidden: true })).not.toContain('SECRET');
    expect(seen).toEqual([]);
  });
});

describe('results', () => {
  it('leave the answer behind', () => {
    const ok = { status: 'ok', response: { status: 200, body: { token: 1 } } } as const;
    expect(controlResult(ok)).toEqual({ status: 'ok' });
    expect(controlResult({ status: 'already-ended' })).toEqual({ status: 'already-ended' });
    const error = cannotAsk(new BridgeError('BAD_INPUT', 'x'));
    expect(controlResult(error)).toBe(error);
  });
});

describe('base URLs', () => {
  it.each([
    ['https://api.example.com', 'https://api.example.com'],
    ['https://api.example.com/', 'https://api.example.com'],
    ['http://127.0.0.1:8080/v2//', 'http://127.0.0.1:8080/v2'],
    ['HTTPS://API.example.com/V2', 'https://api.example.com/V2'],
    ['https://api.example.com/v2?x=1#y', 'https://api.example.com/v2'],
  ])('reads %s as %s', (url, wanted) => {
    expect(restBase('Carrier', url)).toBe(wanted);
  });

  it.each([
    ['', 'not an http or https URL'],
    ['api.example.com', 'not an http or https URL'],
    ['wss://api.example.com', 'not an http or https URL'],
    ['https://user:SECRET@api.example.com', 'holds a user name or password'],
    ['https://SECRET@api.example.com', 'holds a user name or password'],
  ])('refuses %j without showing it', (url, message) => {
    const read = () => restBase('Carrier', url);
    expect(read).toThrow(
      expect.objectContaining({
        code: 'BAD_CONFIG',
        message: expect.stringContaining(`the Carrier base URL`),
      }),
    );
    expect(read).toThrow(message);
    expect(read).not.toThrow('SECRET');
  });
});

describe('ids in a path', () => {
  it.each(['CA1', 'v3:abc_-=+', 'a.b', '...x', '%2e'])('takes %s', (id) => {
    expect(pathId('hang up', id)).toBe(id);
  });

  it.each([
    undefined,
    '',
    '.',
    '..',
    '...',
    'a/b',
    'a?b',
    'a#b',
    'a\\b',
    'a b',
    'ä',
    '\u0000',
    'x'.repeat(401),
  ])('refuses %j without showing it', (id) => {
    const message = `BAD_INPUT: hang up: the id has ${id?.length ?? 0} characters that are no id`;
    expect(() => pathId('hang up', id)).toThrow(expect.objectContaining({ code: 'BAD_INPUT', message }));
  });
});
