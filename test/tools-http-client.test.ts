import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type LookupFunction,
  type Socket,
} from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { BridgeError } from '../src/errors.ts';
import { createGuardedClient, type GuardedRequest } from '../src/tools/http/guarded-client.ts';
import { httpHostSchema } from '../src/tools/http.ts';
import { VirtualClock } from './support/virtual-clock.ts';

// Made for this test, good for nothing else: service.test, *.service.test, other.test, 127.0.0.1, ::1.
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXINrS7FjM3qw4QMN
/7hVqJfz6/4jfftAQpEqSkCa0mGhRANCAASIP2bGZDzZOPMSsVI3eCNuhKAgXiBh
KJSnbm32T87PwDHKN64pYYpwEES5g87lKIhxZjvWfd/uhTwH32VIBm63
-----END PRIVATE KEY-----`;
const CERT = `-----BEGIN CERTIFICATE-----
MIIB0zCCAXqgAwIBAgIUFe4//FeO4G8pr8nYaaDUUwhIitMwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMc2VydmljZS50ZXN0MCAXDTI2MTEyMTEwMzQ0M1oYDzIxMjYx
MDI4MTAzNDQzWjAXMRUwEwYDVQQDDAxzZXJ2aWNlLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAASIP2bGZDzZOPMSsVI3eCNuhKAgXiBhKJSnbm32T87PwDHK
N64pYYpwEES5g87lKIhxZjvWfd/uhTwH32VIBm63o4GhMIGeMB0GA1UdDgQWBBRJ
mMUK6t2uqb+aqhmPYhGAzNkQ6TAfBgNVHSMEGDAWgBRJmMUK6t2uqb+aqhmPYhGA
zNkQ6TAPBgNVHRMBAf8EBTADAQH/MEsGA1UdEQREMEKCDHNlcnZpY2UudGVzdIIO
Ki5zZXJ2aWNlLnRlc3SCCm90aGVyLnRlc3SHBH8AAAGHEAAAAAAAAAAAAAAAAAAA
AAEwCgYIKoZIzj0EAwIDRwAwRAIgCCEkOUSmV5yaRaOj7PprJiNEjhhAFzBMiqD+
c/gz1BkCIERzdrLl/vqBW6/GHkwhKVaGbC0GLeX8DbUdmShfyXuY
-----END CERTIFICATE-----`;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

/** A service; `requests` are the lines `METHOD path` that it got. */
async function service(handler: Handler, tls = false) {
  const requests: string[] = [];
  const listener: Handler = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    handler(request, response);
  };
  const server = tls ? createHttpsServer({ key: KEY, cert: CERT }, listener) : createHttpServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

/** A service that says what it is told, byte for byte, to every connection that has sent something. */
async function rawService(answer: (socket: Socket, count: number) => void) {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    count += 1;
    const mine = count;
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket, mine));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => count };
}

/** Every name is at these addresses, one answer after the other; the last one stays. */
function resolver(...answers: readonly (readonly string[])[]) {
  const asked: string[] = [];
  const lookup: LookupFunction = (hostname, options, callback) => {
    const addresses = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    asked.push(hostname);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    process.nextTick(() => {
      if (options.all) callback(null, found);
      else callback(null, found[0]?.address ?? '', found[0]?.family);
    });
  };
  return { lookup, asked };
}

function client(options: { lookup?: LookupFunction; clock?: VirtualClock } = {}) {
  const made = createGuardedClient({
    clock: options.clock ?? systemClock,
    userAgent: 'patchcord/test',
    lookup: options.lookup ?? resolver(['127.0.0.1']).lookup,
    ca: CERT,
  });
  closers.push(() => made.close());
  return made;
}

type Entry = string | { host: string; private: boolean };

function request(
  url: string,
  hosts: readonly Entry[],
  own: Partial<Omit<GuardedRequest, 'url' | 'hosts'>> = {},
): GuardedRequest {
  return {
    method: 'GET',
    url: new URL(url),
    headers: {},
    body: undefined,
    hosts: hosts.map((entry) => httpHostSchema.parse(entry)),
    timeoutMs: 10_000,
    maxBytes: 1000,
    signal: new AbortController().signal,
    ...own,
  };
}

/** A promise, and how it comes true. */
function moment<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const inside = (host: string): Entry => ({ host, private: true });

async function failure(work: Promise<unknown>): Promise<BridgeError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof BridgeError) return thrown;
  throw new Error(`wanted a BridgeError, found ${String(thrown)}`);
}

describe('the guarded client', () => {
  it('asks a service that is on the list, and says who asks', async () => {
    let head: IncomingMessage['headers'] = {};
    const { port } = await service((asked, response) => {
      head = asked.headers;
      response.setHeader('content-type', 'text/plain').end('here');
    });
    const answer = await client().request(
      request(`http://Service.Test.:${port}/a?b=c#d`, [inside(`service.test:${port}`)]),
    );
    expect(answer).toMatchObject({ status: 200, contentType: 'text/plain', cut: false });
    expect(String(answer.body)).toBe('here');
    expect(head).toMatchObject({
      'user-agent': 'patchcord/test',
      'accept-encoding': 'identity',
      host: `service.test:${port}`,
    });
  });

  it('checks the certificate against the name, of private hosts too', async () => {
    const { port } = await service((_request, response) => response.end('secret'), true);
    const asked = client();
    const good = await asked.request(
      request(`https://api.service.test:${port}/`, [inside(`*.service.test:${port}`)]),
    );
    expect(String(good.body)).toBe('secret');
    const error = await failure(
      asked.request(request(`https://wrong.test:${port}/`, [inside(`wrong.test:${port}`)])),
    );
    expect(error.message).toBe('TOOL_FAILED: the service could not be reached: ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('keeps connections for reading and makes a new one for writing', async () => {
    const ports = new Set<number | undefined>();
    const { port } = await service((asked, response) => {
      ports.add(asked.socket.remotePort);
      asked.resume().on('end', () => response.end('ok'));
    });
    const asked = client();
    const hosts = [inside(`service.test:${port}`)];
    for (let count = 0; count < 3; count += 1)
      await asked.request(request(`http://service.test:${port}/`, hosts));
    expect(ports.size).toBe(1);
    for (let count = 0; count < 2; count += 1) {
      await asked.request(request(`http://service.test:${port}/`, hosts, { method: 'POST', body: '{}' }));
    }
    expect(ports.size).toBe(3);
  });

  it('sends a body with its length in bytes', async () => {
    let got = '';
    let length: string | undefined;
    const { port } = await service((asked, response) => {
      length = asked.headers['content-length'];
      asked.on('data', (chunk) => {
        got += String(chunk);
      });
      asked.on('end', () => response.writeHead(204).end());
    });
    const answer = await client().request(
      request(`http://service.test:${port}/`, [inside(`service.test:${port}`)], {
        method: 'POST',
        body: '{"name":"Jürgen"}',
      }),
    );
    expect(answer).toMatchObject({ status: 204, cut: false });
    expect([got, length]).toEqual(['{"name":"Jürgen"}', '18']);
  });
});

describe('an attacker who has a say in the address', () => {
  it.each([
    ['127.0.0.1'],
    ['169.254.169.254'],
    ['10.1.2.3'],
    ['::1'],
    ['fd00:ec2::254'],
    ['::ffff:169.254.169.254'],
    ['64:ff9b::a9fe:a9fe'],
  ])('does not reach %s by a name that leads there', async (address) => {
    const { port, requests } = await service((_request, response) => response.end('secret'), true);
    const { lookup } = resolver([address]);
    const error = await failure(
      client({ lookup }).request(request(`https://service.test:${port}/`, [`service.test:${port}`])),
    );
    expect(error.message).toContain('an address that is not public');
    expect(error.message).not.toContain(address);
    expect(requests).toEqual([]);
  });

  it('does not hide an inside address among public ones', async () => {
    const { lookup, asked } = resolver(['8.8.8.8', '127.0.0.1']);
    const error = await failure(
      client({ lookup }).request(request('https://service.test/', ['service.test'])),
    );
    expect(error.message).toContain('an address that is not public');
    // A refusal is not asked for again.
    expect(asked).toHaveLength(1);
  });

  it('gains nothing by a resolver that changes its mind: what was checked is what is connected to', async () => {
    const { port, requests } = await service((_request, response) => response.end('secret'), true);
    const { lookup, asked } = resolver(['127.0.0.1'], ['8.8.8.8'], ['127.0.0.1']);
    const error = await failure(
      client({ lookup }).request(request(`https://service.test:${port}/`, [`service.test:${port}`])),
    );
    expect(error.message).toContain('an address that is not public');
    expect(asked).toEqual(['service.test']);
    expect(requests).toEqual([]);
  });

  it('does not use a connection that was made for a private entry', async () => {
    const { port, requests } = await service((_request, response) => response.end('secret'), true);
    const asked = client();
    const url = `https://service.test:${port}/`;
    await asked.request(request(url, [inside(`service.test:${port}`)]));
    // The entry lost its privilege when the list was reloaded.
    const error = await failure(asked.request(request(url, [`service.test:${port}`])));
    expect(error.message).toContain('an address that is not public');
    expect(requests).toHaveLength(1);
  });

  it('gets no address without a resolver past the list, whatever the entry says', async () => {
    const entry = { host: '127.0.0.1', below: false, port: undefined, private: false };
    const asked = { ...request('https://127.1/', []), hosts: [entry] };
    expect((await failure(client().request(asked))).message).toContain('not public');
  });

  it.each([
    ['https://user@service.test/', 'user name'],
    ['https://:pass@service.test/', 'user name'],
    ['https://service.test:8443/', 'port'],
    ['http://service.test/', 'https'],
    ['https://service.test.evil.test/', 'not one of those'],
    ['https://2852039166/', 'that address'],
    ['https://0xa9.0xfe.0xa9.0xfe/', 'that address'],
    ['https://0251.0376.0251.0376/', 'that address'],
    ['https://[::ffff:a9fe:a9fe]/', 'that address'],
  ])('does not reach %s', async (url, why) => {
    const { lookup, asked } = resolver(['8.8.8.8']);
    const error = await failure(client({ lookup }).request(request(url, ['service.test'])));
    expect(error.code).toBe('TOOL_FAILED');
    expect(error.message).toContain(why);
    expect(error.message).not.toMatch(/169|:pass/);
    expect(asked).toEqual([]);
  });

  it.each([
    ['http://169.254.169.254/latest/meta-data/', 'redirected to where functions may not go'],
    ['http://[::ffff:169.254.169.254]/', 'redirected to where functions may not go'],
    ['//metadata.test/latest', 'redirected to where functions may not go'],
    ['https://user:pw@service.test/', 'user name'],
    ['https://public.test/', 'not public'],
    ['file:///etc/passwd', 'redirected'],
    ['gopher://service.test/', 'redirected'],
  ])('does not reach %s by a redirect', async (location, why) => {
    const { port, requests } = await service((_request, response) =>
      response.writeHead(302, { location }).end('see there'),
    );
    const hosts = [inside(`service.test:${port}`), inside('service.test'), 'public.test'];
    const error = await failure(client().request(request(`http://service.test:${port}/start`, hosts)));
    expect(error.code).toBe('TOOL_FAILED');
    expect(error.message).toContain(why);
    expect(error.message).not.toMatch(/169|metadata|etc/);
    expect(requests).toEqual(['GET /start']);
  });
});

describe('a redirect', () => {
  /** Two services: the first redirects to whatever the path says. */
  async function two(status: number) {
    const heads: IncomingMessage['headers'][] = [];
    const second = await service((asked, response) => {
      heads.push(asked.headers);
      response.end('second');
    });
    const first = await service((asked, response) => {
      heads.push(asked.headers);
      if (asked.url === '/end') response.end('first');
      else {
        const same = asked.url === '/same';
        response
          .writeHead(status, { location: same ? '/end' : `http://other.test:${second.port}/end` })
          .end();
      }
    });
    const hosts = [inside(`service.test:${first.port}`), inside(`other.test:${second.port}`)];
    return { first, second, heads, hosts, base: `http://service.test:${first.port}` };
  }

  const headers = {
    authorization: 'Bearer key',
    cookie: 'a=b',
    'x-api-key': 'key',
    'idempotency-key': 'k',
    accept: 'application/json',
  };

  it.each([301, 302, 303, 307, 308])('%i is followed when reading', async (status) => {
    const { hosts, base, heads } = await two(status);
    const answer = await client().request(request(`${base}/same`, hosts, { headers }));
    expect(String(answer.body)).toBe('first');
    expect(heads[1]).toMatchObject(headers);
  });

  it('tells another origin no keys', async () => {
    const { hosts, base, heads } = await two(302);
    const answer = await client().request(request(`${base}/other`, hosts, { headers }));
    expect(String(answer.body)).toBe('second');
    expect(Object.keys(heads[1] ?? {}).sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'user-agent',
    ]);
  });

  it.each([307, 308])('%i repeats a write at the same origin, with its body', async (status) => {
    const { hosts, base, first } = await two(status);
    const answer = await client().request(request(`${base}/same`, hosts, { method: 'POST', body: '{}' }));
    expect(String(answer.body)).toBe('first');
    expect(first.requests).toEqual(['POST /same', 'POST /end']);
  });

  it.each([
    [301, '/same'],
    [302, '/same'],
    [303, '/same'],
    [307, '/other'],
    [308, '/other'],
  ])('%i to %s is not followed when writing', async (status, path) => {
    const { hosts, base, first, second } = await two(status);
    const answer = await client().request(request(base + path, hosts, { method: 'POST', body: '{}' }));
    expect(answer).toMatchObject({ status, cut: true });
    expect([first.requests, second.requests]).toEqual([[`POST ${path}`], []]);
  });

  it('is not followed from https to http', async () => {
    const { port: plain, requests } = await service((_request, response) => response.end('in the clear'));
    const location = `http://service.test:${plain}/`;
    const { port } = await service((_request, response) => response.writeHead(302, { location }).end(), true);
    const hosts = [inside(`service.test:${port}`), inside(`service.test:${plain}`)];
    const error = await failure(client().request(request(`https://service.test:${port}/`, hosts)));
    expect(error.message).toBe('TOOL_FAILED: the service redirected to where functions may not go');
    expect(requests).toEqual([]);
  });

  it('is followed three times and not four', async () => {
    const { port, requests } = await service((asked, response) => {
      const left = Number(asked.url?.slice(1));
      if (left === 0) response.end('arrived');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });
    const hosts = [inside(`service.test:${port}`)];
    const answer = await client().request(request(`http://service.test:${port}/3`, hosts));
    expect(String(answer.body)).toBe('arrived');
    const error = await failure(client().request(request(`http://service.test:${port}/9`, hosts)));
    expect(error.message).toBe('TOOL_FAILED: the service redirected more than 3 times');
    expect(requests).toHaveLength(8);
  });

  it.each(['http://', 'http://[', '//'])('to %j is an answer like any other', async (location) => {
    const { port } = await service((_request, response) => response.writeHead(302, { location }).end());
    const answer = await client().request(
      request(`http://service.test:${port}/`, [inside(`service.test:${port}`)]),
    );
    expect(answer.status).toBe(302);
  });
});

describe('a service that does not behave', () => {
  const ask = (port: number, own: Parameters<typeof request>[2] = {}, clock?: VirtualClock) =>
    client(clock === undefined ? {} : { clock }).request(
      request(`http://service.test:${port}/`, [inside(`service.test:${port}`)], own),
    );

  it('is read up to the limit, to the byte', async () => {
    const { port } = await service((asked, response) =>
      response.end('x'.repeat(Number(asked.headers['x-n']))),
    );
    const whole = await ask(port, { maxBytes: 100, headers: { 'x-n': '100' } });
    expect([whole.body.length, whole.cut]).toEqual([100, false]);
    const cut = await ask(port, { maxBytes: 100, headers: { 'x-n': '101' } });
    expect([cut.body.length, cut.cut]).toEqual([100, true]);
  });

  it('is not read on when its body has no end', async () => {
    const ended = moment<void>();
    const { port } = await rawService((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = (): void => {
        while (socket.writable && socket.write('x'.repeat(16_384)));
      };
      socket.on('drain', more).on('close', () => ended.resolve());
      more();
    });
    expect(await ask(port)).toMatchObject({ cut: true, status: 200 });
    await ended.promise;
  });

  it('is given up at the deadline, however it drips', async () => {
    const clock = new VirtualClock();
    const gone = moment<void>();
    const dripping = moment<Socket>();
    const { port } = await rawService((socket) => {
      socket.on('close', () => gone.resolve());
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n', () => dripping.resolve(socket));
    });
    const asked = failure(ask(port, { timeoutMs: 5000 }, clock));
    const socket = await dripping.promise;
    for (let second = 0; second < 5; second += 1) {
      await new Promise<void>((resolve) => void socket.write('x', () => resolve()));
      clock.advance(1000);
    }
    expect((await asked).message).toBe('TIMEOUT: the request took longer than 5000 ms');
    await gone.promise;
    expect(clock.pending).toBe(0);
  });

  it('is given up with the call, with its reason', async () => {
    const call = new AbortController();
    const gone = moment<void>();
    const { port } = await rawService((socket) => {
      socket.on('close', () => gone.resolve());
      call.abort(new BridgeError('CANCELLED', 'the caller hung up'));
    });
    const error = await failure(ask(port, { signal: call.signal }));
    expect(error.message).toBe('CANCELLED: the caller hung up');
    await gone.promise;
  });

  it('is given up while its name is looked up', async () => {
    const clock = new VirtualClock();
    const asked = moment<void>();
    const silent: LookupFunction = () => asked.resolve();
    const work = failure(
      client({ clock, lookup: silent }).request(
        request('http://service.test/', [inside('service.test')], { timeoutMs: 3000 }),
      ),
    );
    await asked.promise;
    clock.advance(3000);
    expect((await work).message).toBe('TIMEOUT: the request took longer than 3000 ms');
  });

  it('is given up while it waits for a connection', async () => {
    const calls = Array.from({ length: 70 }, () => new AbortController());
    const full = moment<void>();
    let open = 0;
    const { port } = await rawService(() => {
      open += 1;
      if (open === 64) full.resolve();
    });
    const made = client();
    const hosts = [inside(`service.test:${port}`)];
    const all = calls.map(({ signal }) =>
      failure(made.request(request(`http://service.test:${port}/`, hosts, { signal }))),
    );
    await full.promise;
    // The last ones first: those before them would make room.
    for (const call of calls.reverse()) call.abort(new BridgeError('CANCELLED', 'the caller hung up'));
    const codes = await Promise.all(all);
    expect(new Set(codes.map(({ message }) => message))).toEqual(new Set(['CANCELLED: the caller hung up']));
    expect(open).toBe(64);
  });

  it('is not asked at all when the call is over', async () => {
    const { port, connections } = await rawService((socket) => socket.destroy());
    const error = await failure(ask(port, { signal: AbortSignal.abort('over') }));
    expect(error.code).toBe('CANCELLED');
    expect(connections()).toBe(0);
  });

  it('is given up when the client is closed, and no other is asked then', async () => {
    const { port } = await rawService(() => made.close());
    const made = client();
    const one = request(`http://service.test:${port}/`, [inside(`service.test:${port}`)]);
    expect((await failure(made.request(one))).message).toBe('CANCELLED: the service is being stopped');
    expect((await failure(made.request(one))).code).toBe('CANCELLED');
  });

  it.each([
    ['compressed', `content-encoding: gzip\r\ncontent-length: 9999999`, 'compressed'],
    ['compressed twice', 'Content-Encoding: gzip, br', 'compressed'],
    ['with a header too long', `x: ${'y'.repeat(20_000)}`, 'HPE_HEADER_OVERFLOW'],
    [
      'with too many headers',
      Array.from({ length: 200 }, (_, n) => `x${n}: y`).join('\r\n'),
      'too many headers',
    ],
    ['with two lengths', 'content-length: 1\r\ncontent-length: 2', 'HPE_'],
    ['with a length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked', 'HPE_'],
    ['with a header that is none', 'x\0y: z', 'HPE_'],
  ])('is refused when it answers %s', async (_how, head, why) => {
    const { port } = await rawService((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`);
      socket.write(gzipSync('x'.repeat(100_000)));
    });
    const error = await failure(ask(port));
    expect(error.code).toBe('TOOL_FAILED');
    expect(error.message).toContain(why);
  });

  it.each([
    [
      'nothing but preliminary answers',
      'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(50),
      'preliminary',
    ],
    [
      'another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      'protocol',
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'HPE_'],
    ['half an answer', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'ECONNRESET'],
    ['nothing', '', 'ECONNRESET'],
  ])('is refused when it says %s', async (_what, text, why) => {
    const { port } = await rawService((socket) => socket.end(text));
    const error = await failure(ask(port));
    expect(error.code).toBe('TOOL_FAILED');
    expect(error.message).toContain(why);
  });

  it('leaves open what became of a write whose answer was lost, and does not repeat it', async () => {
    const { port, connections } = await rawService((socket) => socket.destroy());
    const error = await failure(ask(port, { method: 'POST', body: '{}' }));
    expect(error.message).toBe(
      'TOOL_FAILED: the connection to the service broke: ECONNRESET; whether it did what was asked is not known',
    );
    expect(connections()).toBe(1);
  });

  it('is asked once more when it closed a kept connection meanwhile', async () => {
    // The first connection serves one request and is cut at the second; as if it had been idle for too long.
    const { port, connections } = await rawService((socket, count) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      if (count === 1) socket.once('data', () => socket.destroy());
    });
    const made = client();
    const one = request(`http://service.test:${port}/`, [inside(`service.test:${port}`)]);
    await made.request(one);
    expect(String((await made.request(one)).body)).toBe('ok');
    expect(connections()).toBe(2);
  });

  it('is asked once more when nothing could be sent, writes too', async () => {
    const closed = await service(() => undefined);
    closers.pop()?.();
    const { lookup, asked } = resolver(['127.0.0.1']);
    const error = await failure(
      client({ lookup }).request(
        request(`http://service.test:${closed.port}/`, [inside(`service.test:${closed.port}`)], {
          method: 'POST',
          body: '{}',
        }),
      ),
    );
    expect(error.message).toBe('TOOL_FAILED: the service could not be reached: ECONNREFUSED');
    expect(asked).toHaveLength(2);
  });
});
