import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { systemClock } from '../src/clock.ts';
import { BridgeError } from '../src/errors.ts';
import { ToolRunner } from '../src/tool-runner.ts';
import { createGuardedClient, type GuardedClient } from '../src/tools/http/guarded-client.ts';
import { compileRequest } from '../src/tools/http/request-template.ts';
import { createHttpTool, httpHostSchema, httpToolSchema } from '../src/tools/http.ts';
import type { Tool, ToolContext } from '../src/tools.ts';
import { callStub } from './support/call-stub.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Reply {
  readonly status?: number;
  readonly type?: string;
  readonly body?: string | Buffer;
  readonly location?: string;
}

/** A service that writes down what it is asked and answers with `reply`. */
async function service(reply: Reply = { type: 'application/json', body: '{"done":true}' }) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      const { method, url, headers } = request;
      asked.push({ method, url, headers, body });
      if (reply.type !== undefined) response.setHeader('content-type', reply.type);
      if (reply.location !== undefined) response.setHeader('location', reply.location);
      response.writeHead(reply.status ?? 200).end(reply.body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = createGuardedClient({ clock: systemClock, userAgent: 'patchcord/1.2.3' });
  closers.push(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return { asked, client, server, base: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}` };
}

type Service = Awaited<ReturnType<typeof service>>;
type Spec = z.input<typeof httpToolSchema>;

function toolOf(client: GuardedClient, host: string, spec: Omit<Spec, 'description'>): Tool {
  const checked = httpToolSchema.parse({ description: 'a function', ...spec });
  return createHttpTool('fn', checked, {
    hosts: [httpHostSchema.parse({ host, private: true })],
    client,
    redact: ['pin'],
  });
}

const context: ToolContext = {
  ...callStub({ variables: { floor: 'ground', caller: 'somebody else' } }),
  signal: new AbortController().signal,
  idempotencyKey: 'CA1:fc_1',
};

/** Runs the function; the spec's url is the path at the service. */
async function run(
  { client, host, base }: Service,
  { url, ...spec }: Omit<Spec, 'description'>,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  return toolOf(client, host, { url: base + url, ...spec }).run(args, context);
}

async function failure(work: Promise<unknown>): Promise<string> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof BridgeError && thrown.code === 'TOOL_FAILED') return thrown.message;
  throw new Error(`wanted TOOL_FAILED, found ${String(thrown)}`);
}

/** Parameters of these names; those that end in `?` are optional. */
function takes(...names: string[]) {
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name.replace('?', ''), {}])),
    required: names.filter((name) => !name.endsWith('?')),
  };
}

describe('the request of a function', () => {
  it('fills url, query, headers and body', async () => {
    const place = await service();
    const result = await run(
      place,
      {
        parameters: takes('id', 'language', 'tag', 'note'),
        method: 'POST',
        url: '/orders/{id}/lines?verbose=true&l={language}',
        query: { q: 'tag:{tag}', page: 2, caller: '{{caller}}' },
        headers: { authorization: 'Bearer abc', 'X-Tag': 't-{tag}' },
        body: { order: '{id}', text: 'Note: {note}', from: '{{ floor }}', list: ['{id}', 1, null, true] },
      },
      { id: 7, language: 'de', tag: 'a b', note: 'grüße' },
    );
    expect(result).toEqual({ done: true });
    expect(place.asked).toMatchObject([
      {
        method: 'POST',
        url: '/orders/7/lines?verbose=true&l=de&q=tag%3Aa%20b&page=2&caller=%2B15550100001',
        headers: {
          authorization: 'Bearer abc',
          'x-tag': 't-a b',
          'content-type': 'application/json',
          'idempotency-key': 'CA1:fc_1',
          'user-agent': 'patchcord/1.2.3',
          accept: 'application/json, text/plain;q=0.9',
        },
      },
    ]);
    expect(JSON.parse(place.asked[0]?.body ?? '')).toEqual({
      order: 7,
      text: 'Note: grüße',
      from: 'ground',
      list: [7, 1, null, true],
    });
  });

  it('keeps the type of an argument that stands alone, and leaves out what is missing', async () => {
    const place = await service();
    const spec = {
      parameters: takes('a?', 'b?', 'c?', 'd?'),
      method: 'PUT',
      url: '/',
      query: { a: '{a}', b: 'x{b}', c: '{c}' },
      headers: { 'x-b': '{b}', 'x-c': '{c}' },
      body: { a: '{a}', b: 'b is {b}', c: '{c}', d: { e: ['{d}', '{b}', 'z'] }, nobody: '{{nobody}}' },
    } as const;
    await run(place, spec, { a: { deep: [1] }, c: null, d: false });
    await run(place, spec, {});
    expect(place.asked.map(({ url }) => url)).toEqual(['/?a=%7B%22deep%22%3A%5B1%5D%7D', '/']);
    expect(place.asked[0]?.headers).not.toHaveProperty('x-b');
    expect(place.asked[0]?.headers).not.toHaveProperty('x-c');
    expect(place.asked.map(({ body }) => JSON.parse(body))).toEqual([
      { a: { deep: [1] }, c: null, d: { e: [false, 'z'] } },
      { d: { e: ['z'] } },
    ]);
  });

  it('repeats a query entry for a list', async () => {
    const place = await service();
    await run(place, { parameters: takes('ids'), url: '/', query: { id: '{ids}' } }, { ids: ['a&b', 2] });
    expect(place.asked[0]?.url).toBe('/?id=a%26b&id=2');
  });

  it('sends the arguments that are used nowhere else as the body, but none that the model made up', async () => {
    const place = await service();
    const args = { id: 'x', note: 'n', count: 3, invented: 1 };
    await run(
      place,
      { parameters: takes('id', 'note', 'count', 'other?'), method: 'POST', url: '/{id}' },
      args,
    );
    await run(
      place,
      { parameters: { ...takes('id', 'note'), additionalProperties: true }, method: 'PATCH', url: '/{id}' },
      args,
    );
    await run(place, { method: 'POST', url: '/' });
    expect(place.asked.map(({ body }) => JSON.parse(body))).toEqual([
      { note: 'n', count: 3 },
      { note: 'n', count: 3, invented: 1 },
      {},
    ]);
  });

  it.each(['GET', 'HEAD', 'DELETE'] as const)('%s has no body of its own accord', async (method) => {
    const place = await service({ status: 204 });
    expect(await run(place, { method, url: '/' })).toEqual({ ok: true });
    expect(place.asked[0]?.headers).not.toHaveProperty('content-type');
    expect(place.asked[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  it('sends one argument as the whole body, and a form where the service wants one', async () => {
    const place = await service();
    await run(
      place,
      { parameters: takes('order'), method: 'POST', url: '/', body: '{order}' },
      { order: [1, { a: 2 }] },
    );
    await run(
      place,
      {
        parameters: takes('to', 'tags', 'none?'),
        method: 'POST',
        url: '/',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: { To: '{to}', Tag: '{tags}', None: '{none}', Call: '{{call_id}}' },
      },
      { to: 'a&b=c', tags: ['x', 'y'] },
    );
    expect(place.asked.map(({ body }) => body)).toEqual(['[1,{"a":2}]', 'To=a%26b%3Dc&Tag=x&Tag=y&Call=CA1']);
    expect(place.asked[1]?.headers['content-type']).toBe('application/x-www-form-urlencoded');
  });

  it('knows the call, and nobody passes for another caller', async () => {
    const place = await service();
    await run(place, {
      method: 'POST',
      url: '/',
      body: {
        a: '{{caller}}',
        b: '{{callee}}',
        c: '{{call_id}}',
        d: '{{carrier}} {{direction}} {{agent}} {{floor}}',
      },
    });
    expect(JSON.parse(place.asked[0]?.body ?? '')).toEqual({
      a: '+15550100001',
      b: '+15550100002',
      c: 'CA1',
      d: 'twilio inbound test ground',
    });
  });

  it('lets a function set its own accept, user agent and idempotency key', async () => {
    const place = await service();
    await run(
      place,
      {
        parameters: takes('id'),
        url: '/{id}',
        headers: { Accept: 'text/csv', 'User-Agent': 'shop', 'Idempotency-Key': 'o-{id}' },
      },
      { id: 5 },
    );
    expect(place.asked[0]?.headers).toMatchObject({
      accept: 'text/csv',
      'user-agent': 'shop',
      'idempotency-key': 'o-5',
    });
  });
});

describe('an argument that wants out of its place', () => {
  const byPath = { parameters: takes('id'), url: '/orders/{id}/lines' };

  it.each([
    ['a b', 'a%20b'],
    ['ümlaut', '%C3%BCmlaut'],
    ['?x=1', '%3Fx%3D1'],
    ['#frag', '%23frag'],
    ['%2e%2e', '%252e%252e'],
    ['%2F', '%252F'],
    ['a;b=c', 'a%3Bb%3Dc'],
    ['@evil.test', '%40evil.test'],
    ['..a', '..a'],
    ['...', '...'],
    ['{{caller}}', '%7B%7Bcaller%7D%7D'],
    ['{id}', '%7Bid%7D'],
    [0, '0'],
    [false, 'false'],
  ])('%j stays one part of the path', async (id, written) => {
    const place = await service();
    await run(place, byPath, { id });
    expect(place.asked[0]?.url).toBe(`/orders/${written}/lines`);
  });

  it.each([
    ['..', 'dots'],
    ['.', 'dots'],
    ['', 'empty'],
    ['../admin', 'slash'],
    ['17/refund', 'slash'],
    ['a\\b', 'slash'],
    ['a\r\nHost: evil', 'control'],
    ['a\0', 'control'],
    ['\ud800', 'surrogate'],
    [{ a: 1 }, 'list or an object'],
    [['..'], 'list or an object'],
    [null, 'missing'],
    [undefined, 'missing'],
  ])('%j is refused in the path', async (id, why) => {
    const place = await service();
    const message = await failure(run(place, byPath, { id }));
    expect(message).toMatch(/^TOOL_FAILED: id: /);
    expect(message).toContain(why);
    expect(place.asked).toEqual([]);
  });

  it('two of them do not make a step up', async () => {
    const place = await service();
    const spec = { parameters: takes('a', 'b'), url: '/x/{a}{b}/y' };
    expect(await failure(run(place, spec, { a: '.', b: '.' }))).toContain('dots');
    await run(place, spec, { a: '.', b: '%2e' });
    expect(place.asked[0]?.url).toBe('/x/.%252e/y');
  });

  it('is no other entry of the query', async () => {
    const place = await service();
    await run(
      place,
      { parameters: takes('q'), url: '/?a={q}', query: { b: 'x {q}' } },
      { q: '1&admin=true#x\r\ny' },
    );
    expect(place.asked[0]?.url).toBe('/?a=1%26admin%3Dtrue%23x%0D%0Ay&b=x%201%26admin%3Dtrue%23x%0D%0Ay');
  });

  it.each(['a\r\nx-admin: 1', 'a\nb', 'a\0b', 'grüße', '\u010a', ['a']])(
    '%j is refused in a header',
    async (tag) => {
      const place = await service();
      const spec = { parameters: takes('tag'), url: '/', headers: { 'x-tag': 'v{tag}' } };
      expect(await failure(run(place, spec, { tag }))).toMatch(/^TOOL_FAILED: tag: found (line ends|a list)/);
      expect(place.asked).toEqual([]);
    },
  );

  it('is text in JSON and nothing else, and no template', async () => {
    const place = await service();
    const args = { note: '","admin":true,"x":"{{caller}} {note}' };
    await run(
      place,
      { parameters: takes('note'), method: 'POST', url: '/', body: { a: '{note}', b: 'b: {note}' } },
      args,
    );
    expect(JSON.parse(place.asked[0]?.body ?? '')).toEqual({ a: args.note, b: `b: ${args.note}` });
  });

  it('is not found among what every object has', async () => {
    const place = await service();
    const names = ['constructor?', 'toString?', '__proto__?'];
    const body = JSON.parse('{"a":"{constructor}","b":"{toString}","__proto__":"{{hasOwnProperty}}","c":1}');
    const query = { a: '{constructor}', b: 'x{toString}', c: '{{hasOwnProperty}}' };
    await run(place, { parameters: takes(...names.slice(0, 2)), method: 'POST', url: '/', query, body });
    expect(place.asked[0]?.url).toBe('/');
    expect(place.asked[0]?.body).toBe('{"c":1}');
  });
});

describe('the answer', () => {
  const ask = async (reply: Reply, own: Partial<Spec> = {}) =>
    run(await service(reply), { url: '/', ...own });

  it.each<[string, Reply, unknown]>([
    ['JSON', { type: 'application/json; charset=utf-8', body: '{"a":[1,"ü"]}' }, { a: [1, 'ü'] }],
    ['another JSON', { type: 'application/problem+json', body: '[1]' }, [1]],
    ['JSON that calls itself text', { type: 'text/plain', body: ' {"a":1}' }, { a: 1 }],
    ['JSON without a name', { body: '{"a":1}' }, { a: 1 }],
    ['text', { type: 'text/plain', body: 'two tables' }, 'two tables'],
    ['text that begins like JSON', { type: 'text/plain', body: '[sic] two' }, '[sic] two'],
    ['text without a name', { body: 'grün' }, 'grün'],
    [
      'text in another charset',
      { type: 'text/plain; charset=iso-8859-1', body: Buffer.from('gr\xfcn', 'latin1') },
      'grün',
    ],
    [
      'text that does not say its charset',
      { type: 'text/plain', body: Buffer.from('gr\xfcn', 'latin1') },
      'grün',
    ],
    ['XML', { type: 'application/xml', body: '<a/>' }, '<a/>'],
    ['nothing', { status: 200 }, { ok: true }],
    ['created, without more', { status: 201 }, { ok: true }],
    ['no content', { status: 204 }, { ok: true }],
    ['null', { type: 'application/json', body: 'null' }, null],
    [
      'a long number, to its last digit',
      { type: 'application/json', body: '{"id":12345678901234567890}' },
      '{"id":12345678901234567890}',
    ],
  ])('%s', async (_what, reply, value) => {
    expect(await ask(reply)).toEqual(value);
  });

  it.each<[string, Reply, string]>([
    ['a picture', { type: 'image/png', body: 'PNG' }, 'image/png that is no text'],
    ['bytes', { type: 'application/octet-stream', body: 'x' }, 'application/octet-stream that is no text'],
    ['bytes without a name', { body: Buffer.from([0xff, 0xfe, 0]) }, 'something that is no text'],
    ['bytes that call themselves text', { type: 'text/plain', body: 'a\0b' }, 'text/plain that is no text'],
    ['broken JSON', { type: 'application/json', body: '{"a"' }, 'announced JSON'],
    ['an unknown charset', { type: 'application/json; charset=x-none', body: '{}' }, 'no text'],
    ['a redirect that leads nowhere', { status: 302, location: 'http://' }, '302, a redirect'],
    ['not modified', { status: 304 }, '304, a redirect'],
  ])('%s is an error that says so', async (_what, reply, why) => {
    expect(await failure(ask(reply))).toContain(why);
  });

  it('tells a refusal with its status and what the service says, cut', async () => {
    const no = await failure(
      ask({ status: 409, type: 'application/json', body: '{"error":"no table at 20:00"}' }),
    );
    expect(no).toBe('TOOL_FAILED: the service answered 409: {"error":"no table at 20:00"}');
    const long = await failure(ask({ status: 500, type: 'text/html', body: 'x'.repeat(5000) }));
    expect(long).toBe(`TOOL_FAILED: the service answered 500: ${'x'.repeat(600)} … [cut]`);
    const longer = await failure(
      ask({ status: 500, type: 'text/plain', body: 'é'.repeat(500) }, { maxResponseBytes: 21 }),
    );
    expect(longer).toBe(`TOOL_FAILED: the service answered 500: ${'é'.repeat(10)} … [cut]`);
    expect(await failure(ask({ status: 503 }))).toBe('TOOL_FAILED: the service answered 503');
    expect(await failure(ask({ status: 404, type: 'image/png', body: 'x' }))).toBe(
      'TOOL_FAILED: the service answered 404',
    );
  });

  it('that is too long is an error, not half a truth', async () => {
    const reply = { type: 'application/json', body: `{"a":"${'x'.repeat(100)}"}` };
    expect(await failure(ask(reply, { maxResponseBytes: 50 }))).toContain('more than 50 bytes');
    expect(await ask(reply, { maxResponseBytes: 108 })).toEqual({ a: 'x'.repeat(100) });
  });

  it('does not tell the model the keys that the service repeats', async () => {
    const headers = {
      authorization: 'Bearer sk-0123456789',
      'X-Api-Key': 'another-key',
      accept: 'text/plain',
    };
    const body = '{"got":"Bearer sk-0123456789 another-key query-token text/plain"}';
    const query = { access_token: 'query-token' };
    const value = { got: 'Bearer [removed] [removed] [removed] text/plain' };
    expect(await ask({ type: 'application/json', body }, { headers, query })).toEqual(value);
    const no = await failure(ask({ status: 401, type: 'application/json', body }, { headers, query }));
    expect(no).toBe(`TOOL_FAILED: the service answered 401: ${JSON.stringify(value)}`);
  });

  it('does not tell the model keys from other headers, the body and the address', async () => {
    const spec = {
      method: 'POST',
      url: '/hook/T00SECRETPATH/4f8a2c1e-1b2c-4d5e-8f90-123456789abc/orders?v=2026&sig=a1b2c3d4e5f6',
      parameters: takes('note'),
      headers: { 'x-account': 'ACCT/SECRET/123', cookie: 'sid=s1d2f3g4h5; a=b' },
      body: {
        text: '{note} by the phone',
        auth: { user: 'phone-bridge', api_key: 'BODYSECRET123', pin: 123456789 },
      },
    } as const;
    const said = [
      'T00SECRETPATH 4f8a2c1e-1b2c-4d5e-8f90-123456789abc a1b2c3d4e5f6',
      'ACCT/SECRET/123 ACCT%2FSECRET%2F123 ACCT\\/SECRET\\/123 s1d2f3g4h5',
      'BODYSECRET123 123456789 phone-bridge',
    ].join('\n');
    const told = await ask({ type: 'text/plain', body: `${said}\norders by the phone 2026` }, spec);
    expect(told).toBe(
      [
        '[removed] [removed] [removed]',
        '[removed] [removed] [removed] [removed]',
        '[removed] [removed] [removed]',
        'orders by the phone 2026',
      ].join('\n'),
    );
  });

  it('does not tell the model what the environment holds, wherever it was filled in', async () => {
    const place = await service({ type: 'text/plain', body: 'of tenant-of-ours, as short: abc' });
    const spec = httpToolSchema.parse({ description: 'd', url: `${place.base}/tenant-of-ours/abc` });
    const hosts = [httpHostSchema.parse({ host: place.host, private: true })];
    const deps = { hosts, client: place.client, redact: [], secrets: ['tenant-of-ours', 'abc'] };
    expect(await createHttpTool('fn', spec, deps).run({}, context)).toBe('of [removed], as short: abc');
  });

  it('that does not come is an error without address and key', async () => {
    const place = await service();
    closers.pop()?.();
    const client = createGuardedClient({ clock: systemClock, userAgent: 'x' });
    closers.push(() => client.close());
    const message = await failure(
      run({ ...place, client }, { url: '/orders?key=secret', headers: { authorization: 'secret' } }),
    );
    expect(message).toBe('TOOL_FAILED: the service could not be reached: ECONNREFUSED');
  });
});

describe('an entry of tools.http', () => {
  const url = 'https://api.example.com/orders/{id}';
  const parameters = takes('id');

  /** `path: message` of every mistake. */
  function mistakes(spec: object): string[] {
    const result = httpToolSchema.safeParse({ description: 'd', ...spec });
    return (result.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
  }

  it('has the defaults of a careful function', () => {
    expect(httpToolSchema.parse({ description: 'd', url, parameters })).toEqual({
      description: 'd',
      url,
      parameters,
      method: 'GET',
      query: {},
      headers: {},
      timeoutMs: 10_000,
      maxResponseBytes: 65_536,
      cancelOnInterrupt: false,
      redact: [],
    });
  });

  it.each<[string, object, string[]]>([
    [
      'a placeholder that is no parameter',
      { url: `${url}/{line}`, parameters },
      ['url: found {line}, which is none of'],
    ],
    [
      'a placeholder without parameters',
      { url },
      ['url: found {id}, which is none of the parameters (there are none)'],
    ],
    ['one in the query', { url, parameters, query: { a: '{b}' } }, ['query.a: found {b}']],
    ['one in a header', { url, parameters, headers: { 'x-a': '{b}' } }, ['headers.x-a: found {b}']],
    ['one in the body', { url, parameters, method: 'POST', body: { a: ['{b}'] } }, ['body: found {b}']],
    [
      'several',
      { url: `${url}/{a}`, parameters, query: { q: '{b}' } },
      ['url: found {a}', 'query.q: found {b}'],
    ],
    [
      'a parameter that nothing uses',
      { url, parameters: takes('id', 'note') },
      ['parameters.properties.note: nothing uses it'],
    ],
    [
      'one that the body does not use',
      { url, parameters: takes('id', 'note'), method: 'POST', body: {} },
      ['parameters.properties.note: nothing uses it'],
    ],
    [
      'a host to fill in',
      { url: 'https://{id}.example.com/', parameters },
      ['url: found an address that cannot be used, wanted https://host/path'],
    ],
    [
      'a scheme to fill in',
      { url: '{id}://example.com/', parameters },
      ['url: found an address that cannot be used, wanted https://host/path'],
    ],
    [
      'a part of an argument',
      { url, parameters, query: { q: '{id.name}' } },
      ['query.q: found {id.name}, which is none'],
    ],
    ['braces that hold no name', { url: 'https://example.com/{1}?a={', parameters }, ['url: found braces']],
    [
      'a host that a variable fills',
      { url: 'https://{{host}}/' },
      ['url: found an address that cannot be used, wanted https://host/path'],
    ],
    ['a port to fill in', { url: 'https://example.com:{id}/', parameters }, ['url: found an address']],
    ['another scheme', { url: 'ftp://example.com/' }, ['url: found an address']],
    ['no scheme', { url: 'example.com/orders' }, ['url: found an address']],
    ['a user name', { url: 'https://user:pass@example.com/' }, ['url: found an address']],
    ['a fragment', { url: 'https://example.com/#x' }, ['url: found an address']],
    ['a backslash', { url: 'https://example.com\\@evil.test/' }, ['url: found an address']],
    ['a port that is none', { url: 'https://example.com:99999/' }, ['url: found an address']],
    ['a step up', { url: 'https://example.com/a/../b' }, ['url: found ..']],
    ['a hidden step up', { url: 'https://example.com/a/%2E./b' }, ['url: found %2E.']],
    ['half an escape', { url: 'https://example.com/%2{id}', parameters }, ['url: found a %']],
    [
      'a name to fill in',
      { url: 'https://example.com/?{id}=1', parameters },
      ['url: found an {argument} as the name'],
    ],
    ['a body that cannot be', { url, parameters, body: { a: 1 } }, ['body: found a body in a GET']],
    ['a body of text', { url, parameters, method: 'POST', body: 'x {id}' }, ['body: found text']],
    [
      'a form of a list',
      {
        url,
        parameters,
        method: 'POST',
        body: [1],
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
      ['body: found a form'],
    ],
    [
      'another kind of body',
      { url, parameters, method: 'POST', body: {}, headers: { 'content-type': 'text/xml' } },
      ['body: found the content type'],
    ],
    [
      'a header of the connection',
      { url, parameters, headers: { Host: 'x' } },
      ['headers.Host: found a header that belongs'],
    ],
    ['a length', { url, parameters, headers: { 'Content-Length': '1' } }, ['headers.Content-Length: found']],
    [
      'a header twice',
      { url, parameters, headers: { 'x-a': '1', 'X-A': '2' } },
      ['headers.X-A: found this header twice'],
    ],
    ['no header name', { url, parameters, headers: { 'x a': '1' } }, ['headers.x a: found other characters']],
    [
      'a split header',
      { url, parameters, headers: { 'x-a': 'k\r\nx: y' } },
      ['headers.x-a: found characters'],
    ],
    [
      'a type of parameters',
      { url, parameters: { type: 'string' } },
      ['parameters: found parameters of type "string"'],
    ],
    [
      'parameters that are no schema',
      { url, parameters: { type: 'object', properties: { id: { type: 'strin' } } } },
      ['parameters: the parameters are no JSON Schema'],
    ],
    ['a key that nobody knows', { url, parameters, timeout: 5 }, [': Unrecognized key: "timeout"']],
    ['an empty description', { description: '', url, parameters }, ['description: ']],
    ['a method that nobody knows', { url, parameters, method: 'get' }, ['method: ']],
  ])('is refused with %s', (_what, spec, wanted) => {
    const found = mistakes(spec);
    expect(found).toHaveLength(wanted.length);
    for (const [index, start] of wanted.entries()) expect(found[index]).toContain(start);
  });

  it('never shows what may be a key', () => {
    const secret = 'sk-0123456789\r\n';
    const found = mistakes({
      url: 'https://user:sk-0123456789@example.com/',
      headers: { authorization: secret, host: secret },
    });
    expect(found).toHaveLength(3);
    expect(found.join()).not.toContain('sk-');
  });

  it.each(['{ id }', '{"id":1}', '{1}', '{}', '{{}}', '$id', '{id'])('takes %j as text', (text) => {
    expect(mistakes({ url, parameters, query: { q: text } })).toEqual([]);
  });

  it('tells which variables it needs', () => {
    const spec = httpToolSchema.parse({
      description: 'd',
      method: 'POST',
      url: 'https://api.example.com/{{tenant}}',
      query: { a: '{{caller}}' },
      body: { b: ['{{shop.name}}', '{{tenant}}'] },
    });
    expect(compileRequest(spec).request.variables).toEqual(['tenant', 'caller', 'shop.name']);
  });

  it('has a JSON Schema for editors', () => {
    const schema = z.toJSONSchema(z.object({ hosts: z.array(httpHostSchema), http: httpToolSchema }), {
      io: 'input',
    });
    expect(schema).toMatchObject({ properties: { http: { required: ['description', 'url'] } } });
  });
});

describe('a function by HTTP', () => {
  it('is built with what its entry says', async () => {
    const { client } = await service();
    const tool = toolOf(client, 'x.test', {
      url: 'https://x.test/{id}',
      parameters: takes('id'),
      timeoutMs: 700,
      cancelOnInterrupt: true,
      fillerAfterMs: 300,
      redact: ['id', 'pin'],
    });
    expect(tool).toMatchObject({
      definition: { name: 'fn', description: 'a function', parameters: takes('id') },
      timeoutMs: 700,
      cancelOnInterrupt: true,
      fillerAfterMs: 300,
      redact: ['pin', 'id'],
    });
    expect(tool.check({})).toMatchObject({ ok: false });
  });

  it('is a mistake at load time when its host is not on the list', async () => {
    const { client } = await service();
    expect(() => toolOf(client, 'other.test', { url: 'https://x.test/' })).toThrow(
      'BAD_CONFIG: function fn: url: the host x.test is not one of those that functions may reach; add it to tools.hosts',
    );
  });

  it('is a mistake for whoever goes around the schema', async () => {
    const { client } = await service();
    const spec = {
      ...httpToolSchema.parse({ description: 'd', url: 'https://x.test/' }),
      url: 'https://x.test/{id}',
    };
    expect(() => createHttpTool('fn', spec, { hosts: [], client, redact: [] })).toThrow(
      /^BAD_CONFIG: function fn: url: found \{id\}, which is none of the parameters/,
    );
  });

  it('is given up with its call', async () => {
    const { client, host, base } = await service();
    const tool = toolOf(client, host, { url: `${base}/` });
    const gone = new BridgeError('CANCELLED', 'the caller hung up');
    await expect(tool.run({}, { ...context, signal: AbortSignal.abort(gone) })).rejects.toBe(gone);
  });

  /** A runner with a function that asks this service. */
  function runnerOf({ host, base }: Service, clock: VirtualClock, call = new AbortController()) {
    const client = createGuardedClient({ clock, userAgent: 'x' });
    closers.push(() => client.close());
    const tool = toolOf(client, host, { url: `${base}/`, timeoutMs: 3000 });
    return new ToolRunner({ tools: [tool], clock, call: callStub(), signal: call.signal, atOnce: 4 });
  }

  it('tells the model through the runner what the service said, refusals too', async () => {
    const good = runnerOf(await service(), new VirtualClock());
    expect(await good.run('fc_1', 'fn', '{}')).toMatchObject({
      outcome: 'done',
      result: { output: '{"done":true}', isError: false },
    });
    const full = await service({ status: 409, type: 'text/plain', body: 'no table' });
    expect(await runnerOf(full, new VirtualClock()).run('fc_1', 'fn', '{}')).toMatchObject({
      outcome: 'failed',
      result: { output: '{"error":"the service answered 409: no table"}', isError: true },
    });
    expect(full.asked[0]?.headers['idempotency-key']).toBe('CA1:fc_1');
  });

  it('is one that took too long when the service is silent, and leaves nothing behind', async () => {
    const clock = new VirtualClock();
    const silent = await service();
    const arrived = new Promise<Socket>((resolve) => {
      silent.server.removeAllListeners('request').once('request', ({ socket }) => resolve(socket));
    });
    const run = runnerOf(silent, clock).run('fc_1', 'fn', '{}');
    const closed = once(await arrived, 'close');
    clock.advance(3000);
    expect(await run).toMatchObject({ outcome: 'timeout', result: { isError: true } });
    await closed;
    expect(clock.pending).toBe(0);
  });
});
