import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { McpHost } from './support/mcp-host.ts';
import { connected, Listener, namesOf, run } from './support/mcp-kit.ts';
import { VirtualClock } from './support/virtual-clock.ts';

describe.concurrent('an MCP server that speaks streamable HTTP', () => {
  it('brings its functions, is told the key of the call, and is told when it is over', async () => {
    await using host = await McpHost.start();
    const { log, all } = kit();
    const server = connected(
      { url: host.url, headers: { authorization: 'Bearer hush' } },
      { clock: new VirtualClock(), log },
    );
    await server.ready;
    expect(namesOf(server.tools)).toEqual(['greet', 'meta', 'wait', 'gate', 'flood']);
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
    expect(await run(server, 'meta')).toEqual({
      'patchcord/callId': 'CA1',
      'patchcord/idempotencyKey': 'CA1:fc_1',
    });
    expect(host.requests.every(({ headers }) => headers.authorization === 'Bearer hush')).toBe(true);
    await listening(host);
    await server.close();
    expect(host.requests.at(-1)?.method).toBe('DELETE');
    expect(host.sessions.size).toBe(0);
    await host.until(() => host.open.size === 0);
    expect(all.warnings).toEqual([]);
  });

  it('may answer with plain JSON and have no news', async () => {
    await using host = await McpHost.start({ json: true, silent: true });
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
    const call = new AbortController();
    const waiting = run(server, 'wait', {}, call.signal).catch((error: unknown) => error);
    await host.until(() => host.notes.includes('waiting'));
    call.abort(new BridgeError('CANCELLED', 'the call has ended'));
    expect(await waiting).toBe(call.signal.reason);
    await host.until(() => host.notes.includes('cancelled') && host.open.size === 0);
  });

  it.each([404, 400])(
    'that has forgotten the session (%i) is asked once more in a new one',
    async (status) => {
      await using host = await McpHost.start();
      await using server = connected({ url: host.url }, deps());
      await server.ready;
      const early = run(server, 'gate');
      await host.until(() => host.notes.includes('at the gate'));
      const [old = ''] = [...host.sessions.keys()];
      host.forget(old, status);
      const [one, two] = await Promise.all([
        run(server, 'greet', { name: 'Ada' }),
        run(server, 'greet', { name: 'Bob' }),
      ]);
      expect([one, two]).toEqual(['Hello Ada', 'Hello Bob']);
      expect(host.requests.filter(({ body }) => body.includes('"initialize"'))).toHaveLength(2);
      // The call that was under way then is not given up.
      host.release();
      expect(await early).toBe('through');
      await host.until(() =>
        host.requests.some(({ method, headers }) => method === 'DELETE' && headers['mcp-session-id'] === old),
      );
    },
  );

  it('that forgets every session is not asked for ever', async () => {
    await using host = await McpHost.start();
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    host.refuse = { methods: 'POST', status: 404 };
    await expect(run(server, 'greet', { name: 'Ada' })).rejects.toThrow('not available');
  });

  it('that does not accept the credentials is reported so', async () => {
    await using host = await McpHost.start();
    host.refuse = { methods: 'POST', status: 401 };
    const { log, all } = kit();
    await using server = connected(
      { url: host.url, headers: { 'x-key': 'hush' } },
      { clock: new VirtualClock(), log },
    );
    await server.ready;
    expect(all.warnings).toMatchObject([
      {
        mcp: 'crm',
        reason: 'it does not accept the credentials (HTTP 401)',
        msg: 'mcp server does not come up',
      },
    ]);
    expect(JSON.stringify(all.lines)).not.toContain('hush');
  });

  it.each([
    [403, 'not available: it does not accept the credentials (HTTP 403)'],
    [503, 'not available: it answers with HTTP 503'],
  ])('that refuses a call with %i fails that call only', async (status, message) => {
    await using host = await McpHost.start();
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock: new VirtualClock(), log });
    await server.ready;
    host.refuse = { methods: 'POST', status };
    await expect(run(server, 'greet', { name: 'Ada' })).rejects.toThrow(message);
    expect(all.warnings).toHaveLength(status === 403 ? 1 : 0);
    host.refuse = undefined;
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
  });

  it('that is not there yet is waited for', async () => {
    const clock = new VirtualClock();
    const { log, all } = kit();
    const early = await McpHost.start();
    const { port, url } = early;
    await early[Symbol.asyncDispose]();
    await using server = connected({ url }, { clock, log });
    await server.ready;
    expect(all.warnings.map(({ reason }) => reason)).toEqual(['no connection (ECONNREFUSED)']);
    await using _host = await McpHost.start({ port });
    const changed = new Promise<void>((resolve) => server.onChange(resolve));
    while (clock.pending === 0) await turn();
    clock.advance(1000);
    await changed;
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
  });

  it('whose answer breaks off fails the call at once, and the next one goes through', async () => {
    await using host = await McpHost.start();
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    const waiting = run(server, 'wait').catch((error: unknown) => error);
    await host.until(() => host.notes.includes('waiting'));
    host.cut('POST');
    expect(await waiting).toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringMatching(/not available: the connection broke off, and nobody knows/),
    });
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
  });

  it('whose answer breaks off where it can be taken up again is heard to its end', async () => {
    await using host = await McpHost.start({ resumable: true });
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    const waiting = run(server, 'gate');
    await host.until(() => host.requests.some(({ headers }) => headers['last-event-id'] !== undefined));
    expect(host.notes).toEqual(['at the gate']);
    host.release();
    expect(await waiting).toBe('through');
  });

  it.each([false, true])(
    'closes the stream of a call that nobody needs (resumable: %s)',
    async (resumable) => {
      await using host = await McpHost.start({ resumable });
      await using server = connected({ url: host.url }, deps());
      await server.ready;
      await listening(host);
      const call = new AbortController();
      const waiting = run(server, 'wait', {}, call.signal).catch((error: unknown) => error);
      await host.until(() => host.notes.includes('waiting'));
      call.abort(new BridgeError('TIMEOUT', 'it took 5 s'));
      expect(await waiting).toBe(call.signal.reason);
      await host.until(() => host.notes.includes('cancelled') && host.open.size === 1);
      expect(host.requests.find(({ body }) => body.includes('notifications/cancelled'))?.body).toContain(
        'it took too long',
      );
      // The stream of this call is taken up again, and that of the other one would have been before it.
      const other = run(server, 'gate');
      await host.until(() => host.notes.includes('at the gate'));
      const resumed = (): number => host.requests.filter(({ headers }) => headers['last-event-id']).length;
      if (resumable) await host.until(() => resumed() > 0);
      host.release();
      expect(await other).toBe('through');
      expect(resumed()).toBe(resumable ? 1 : 0);
    },
  );

  it.each([true, false])('that says too much is not listened to (JSON: %s)', async (json) => {
    await using host = await McpHost.start({ json });
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    await expect(run(server, 'flood')).rejects.toThrow('its answer has more than 4 MiB');
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
  });

  it('that redirects to another host is not followed there with the credentials', async () => {
    await using host = await McpHost.start();
    await using other = await McpHost.start();
    host.refuse = { methods: 'POST', status: 307, to: other.url };
    const { log, all } = kit();
    const headers = { authorization: 'Bearer hush' };
    await using server = connected({ url: host.url, headers }, { clock: new VirtualClock(), log });
    await server.ready;
    expect(all.warnings.map(({ reason }) => reason)).toEqual(['it redirects to another host (HTTP 307)']);
    expect(other.requests).toEqual([]);
  });

  it('is not told that a call is not needed any more when it has been answered', async () => {
    await using host = await McpHost.start();
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    const call = new AbortController();
    await run(server, 'greet', { name: 'Ada' }, call.signal);
    call.abort(new BridgeError('CANCELLED', 'the call has ended'));
    await run(server, 'greet', { name: 'Bob' });
    await server.close();
    expect(host.requests.filter(({ body }) => body.includes('notifications/cancelled'))).toEqual([]);
  });

  it('tells of new functions', async () => {
    await using host = await McpHost.start();
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    await listening(host);
    const changed = new Promise<void>((resolve) => server.onChange(resolve));
    host.learn('learnt');
    await changed;
    expect(await run(server, 'learnt')).toBe('learnt');
  });

  it('that changes again and again is not listed again and again', async () => {
    await using host = await McpHost.start();
    const clock = new VirtualClock();
    await using server = connected({ url: host.url }, { clock, log: kit().log });
    await server.ready;
    await listening(host);
    for (let count = 0; count < 50; count += 1) {
      host.learn(`learnt_${count}`);
      await run(server, 'greet', { name: 'Ada' });
    }
    const listings = host.requests.filter(({ body }) => body.includes('tools/list'));
    expect(listings).toHaveLength(2);
    while (!namesOf(server.tools).includes('learnt_49')) {
      clock.advance(1000);
      await turn();
    }
  });

  it('whose news were away for a while is listed again', async () => {
    await using host = await McpHost.start();
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    await listening(host);
    const changed = new Promise<void>((resolve) => server.onChange(resolve));
    host.cut('GET');
    await host.until(() => host.open.size === 0);
    host.learn('learnt');
    await changed;
    expect(namesOf(server.tools)).toContain('learnt');
  });

  it('whose news do not come back is connected anew, and meanwhile fails calls at once', async () => {
    await using host = await McpHost.start();
    const clock = new VirtualClock();
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock, log });
    await server.ready;
    await listening(host);
    const waiting = run(server, 'wait').catch((error: unknown) => error);
    await host.until(() => host.notes.includes('waiting'));
    host.refuse = { methods: 'GET', status: 502 };
    host.cut('GET');
    const { reason } = await all.line('mcp server is lost');
    expect(reason).toBe('its stream broke off and cannot be taken up again (HTTP 502)');
    expect(await waiting).toMatchObject({
      message: expect.stringMatching(/not available: it went away in the middle/),
    });
    await expect(run(server, 'greet', { name: 'Ada' })).rejects.toThrow('not available');
    host.refuse = undefined;
    while (clock.pending === 0) await turn();
    clock.advance(1000);
    await all.line('mcp server is up', 2);
    expect(await run(server, 'greet', { name: 'Ada' })).toBe('Hello Ada');
  });

  it('whose news have no end is left, and connected anew after a while', async () => {
    await using host = await McpHost.start();
    const clock = new VirtualClock();
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock, log });
    await server.ready;
    await listening(host);
    const [news] = host.open;
    news?.res.write('data: ');
    // Much more than is read, in pieces: the pipe is full long before that.
    for (let i = 0; i < 32; i++) news?.res.write('x'.repeat(1024 * 1024));
    const { reason } = await all.line('mcp server is lost');
    expect(reason).toBe('its stream of news has an event of more than 4 MiB');
    await host.until(() => news === undefined || !host.open.has(news));
    while (clock.pending === 0) await turn();
    clock.advance(999);
    await turn();
    expect(host.requests.filter(({ body }) => body.includes('"initialize"'))).toHaveLength(1);
    clock.advance(1);
    await all.line('mcp server is up', 2);
  });

  it('may tell much news, one after the other', async () => {
    await using host = await McpHost.start();
    await using server = connected({ url: host.url }, deps());
    await server.ready;
    await listening(host);
    const [news] = host.open;
    const message = {
      jsonrpc: '2.0',
      method: 'notifications/message',
      params: { data: 'x'.repeat(2 ** 20) },
    };
    for (const end of ['\n', '\r\n', '\r']) {
      for (let i = 0; i < 3; i++) {
        news?.res.write(`data: ${JSON.stringify(message)}${end}: ${'y'.repeat(2 ** 20)}${end}${end}`);
      }
    }
    for (let i = 0; i < 6; i++) news?.res.write(`: ${'y'.repeat(2 ** 20)}\n`);
    news?.res.write('\n');
    const changed = new Promise<void>((resolve) => server.onChange(resolve));
    host.learn('learnt');
    await changed;
    expect(namesOf(server.tools)).toContain('learnt');
  });

  it('whose refusal has no end is not read to the end', async () => {
    await using host = await McpHost.start();
    host.refuse = { methods: 'POST', status: 503, endless: true };
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock: new VirtualClock(), log });
    await server.ready;
    expect(all.warnings).toMatchObject([{ reason: 'it answers with HTTP 503' }]);
    await host.until(() => host.open.size === 0);
  });

  it('that never answers is given up after 10 s', async () => {
    await using host = await McpHost.start();
    host.refuse = { methods: 'POST', status: 'hang' };
    const clock = new VirtualClock();
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock, log });
    await host.until(() => host.requests.length === 1);
    clock.advance(10_000);
    await server.ready;
    expect(all.warnings.map(({ reason }) => reason)).toEqual([
      'TIMEOUT: the start took longer than 10000 ms',
    ]);
    await host.until(() => host.open.size === 0);
  });

  it('has all its pages read, and what cannot be offered is said', async () => {
    const inputSchema = { type: 'object' };
    const many = Array.from({ length: 130 }, (_, index) => ({ name: `many_${index}`, inputSchema }));
    await using host = await McpHost.start({
      pages: [
        [
          { name: 'find.order', description: 'd'.repeat(2000), inputSchema },
          { name: 'find_order', inputSchema },
          { name: 'secret', inputSchema },
          { name: 'list', inputSchema: { type: 'array' } },
        ],
        [
          { name: 'big', inputSchema: { type: 'object', description: 'x'.repeat(70_000) } },
          { name: 'odd', inputSchema: { type: 'object', properties: { a: { $ref: '#/nowhere' } } } },
          { name: 'slow', inputSchema, execution: { taskSupport: 'required' } },
          { title: 'nameless' },
        ],
        many,
      ],
    });
    const { log, all } = kit();
    const spec = {
      url: host.url,
      tools: ['find*', 'list', 'big', 'odd', 'slow', 'many_*', 'gone'],
      prefix: 'x_',
    };
    await using server = connected(spec, { clock: new VirtualClock(), log });
    await server.ready;
    const names = namesOf(server.tools);
    expect(names.slice(0, 3)).toEqual(['x_find_order', 'x_odd', 'x_many_0']);
    expect(names).toHaveLength(128);
    const [find, odd] = server.tools;
    expect(find?.definition.description).toHaveLength(1024);
    expect(odd?.check({ a: 1 })).toEqual({ ok: true, args: { a: 1 } });
    await all.line('left to its server');
    expect(all.warnings.map((line) => line['function'] ?? line['left'] ?? line['pattern'])).toEqual([
      'find_order',
      'list',
      'big',
      'slow',
      'without a name',
      4,
      'gone',
    ]);
  });

  it.each([
    ['more than 1000 functions', 450, 100, 1000, 3],
    ['more than 2 MiB', 20, 50_000, 41, 3],
    ['more pages than anybody needs', 1, 100, 64, 64],
  ])('is read no further when it lists %s', async (_what, perPage, chars, read, pages) => {
    const description = 'd'.repeat(chars);
    const inputSchema = { type: 'object' };
    await using host = await McpHost.start({
      pages: Array.from({ length: 70 }, (_, page) =>
        Array.from({ length: perPage }, (__, at) => ({ name: `f_${page}_${at}`, description, inputSchema })),
      ),
    });
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock: new VirtualClock(), log });
    await server.ready;
    expect(host.requests.filter(({ body }) => body.includes('tools/list'))).toHaveLength(pages);
    expect(all.warnings[0]).toMatchObject({
      msg: 'mcp server lists more functions than are read',
      read,
      pages,
    });
    expect(server.tools).toHaveLength(Math.min(read, 128));
  });

  it('is not complained of without end', async () => {
    const pages = [Array.from({ length: 500 }, (_, at) => ({ name: `n${at}${'x'.repeat(2000)}` }))];
    await using host = await McpHost.start({ pages });
    const { log, all } = kit();
    await using server = connected({ url: host.url }, { clock: new VirtualClock(), log });
    await server.ready;
    expect(all.warnings).toHaveLength(21);
    expect(all.warnings.at(-1)).toMatchObject({ more: 480 });
    expect(String(all.warnings[0]?.['function'])).toHaveLength(100);
  });
});

function kit(): { readonly log: Listener['log']; readonly all: Listener } {
  const all = new Listener();
  return { log: all.log, all };
}

function deps(): { readonly clock: VirtualClock; readonly log: Listener['log'] } {
  return { clock: new VirtualClock(), log: kit().log };
}

/** Until the host has where to send its news, and nothing else is open. */
async function listening(host: McpHost): Promise<void> {
  while (!host.isListened) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
