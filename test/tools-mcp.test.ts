import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { Lines } from '../src/tools/mcp/lines.ts';
import { fitsPattern, type OfferTraits, offersOf } from '../src/tools/mcp/listing.ts';
import { callResultSchema, readResult } from '../src/tools/mcp/outcome.ts';
import { McpPool } from '../src/tools/mcp/pool.ts';
import { mcpServerSchema } from '../src/tools/mcp.ts';
import { McpHost } from './support/mcp-host.ts';
import { checked, Listener, namesOf, run, SUPPORT } from './support/mcp-kit.ts';
import { VirtualClock } from './support/virtual-clock.ts';

describe('an MCP server in the agents file', () => {
  it('is a command or a URL, with the rest filled in', () => {
    expect(
      checked({ command: 'node', args: ['crm.js'], env: { KEY: 'k' }, tools: ['find_*'], prefix: 'crm_' }),
    ).toEqual({
      command: 'node',
      args: ['crm.js'],
      env: { KEY: 'k' },
      tools: ['find_*'],
      prefix: 'crm_',
      timeoutMs: 10_000,
      redact: [],
      cancelOnInterrupt: false,
    });
    expect(checked({ url: 'https://mcp.example.com/mcp' })).toMatchObject({ tools: ['*'], prefix: '' });
  });

  it.each([
    [{}, ''],
    [{ command: 'node', url: 'https://example.com' }, 'url'],
    [{ command: 'node', headers: {} }, 'headers'],
    [{ url: 'https://example.com', args: [] }, 'args'],
    [{ url: 'https://example.com', env: {} }, 'env'],
    [{ url: 'https://example.com', cwd: '.' }, 'cwd'],
    [{ command: 'node', private: true }, 'private'],
    [{ url: 'ftp://example.com' }, 'url'],
    [{ url: 'http://mcp.example.com/mcp', headers: { authorization: 'Bearer x' } }, 'url'],
    [{ url: 'http://192.168.1.5/mcp', private: false }, 'url'],
    [{ url: 'http://localhost.example.com/mcp' }, 'url'],
    [{ url: 'http://127.0.0.1.example.com/mcp' }, 'url'],
    [{ url: 'https://user:pass@example.com' }, 'url'],
    [{ url: 'https://example.com', headers: { 'not a name': 'x' } }, 'headers.not a name'],
    [{ url: 'https://example.com', headers: { key: 'two\nlines' } }, 'headers.key'],
    [{ command: 'node', prefix: 'crm/' }, 'prefix'],
    [{ command: 'node', tools: [] }, 'tools'],
    [{ command: 'node', timeoutMs: 0 }, 'timeoutMs'],
    [{ command: 'node', timeout: 5 }, ''],
  ])('is not %j', (spec, path) => {
    const { error } = mcpServerSchema.safeParse(spec);
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
    expect(JSON.stringify(error?.issues)).not.toContain('two\\nlines');
  });

  it.each([
    { url: 'https://mcp.example.com/mcp' },
    { url: 'http://localhost:8080/mcp' },
    { url: 'http://127.0.0.1:8080/mcp' },
    { url: 'http://[::1]/mcp' },
    { url: 'http://crm.internal/mcp', private: true },
  ])('may be at %j', (spec) => {
    expect(checked(spec).url).toBe(spec.url);
  });

  it('has a JSON Schema for editors', () => {
    const schema = z.toJSONSchema(mcpServerSchema, { io: 'input' });
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(Object.keys(schema.properties ?? {})).toContain('cancelOnInterrupt');
  });
});

describe('the pattern of a name', () => {
  it.each([
    ['find_order', '*', true],
    ['find_order', 'find_order', true],
    ['find_order', 'find_*', true],
    ['find_order', '*order', true],
    ['find_order', 'f*_*r', true],
    ['find_order', 'find', false],
    ['find_order', 'order*', false],
    ['find_order', '*find', false],
    ['aba', 'ab*ba', false],
    ['abba', 'ab*ba', true],
    ['a.c', 'a?c', false],
    ['abc', 'a.c', false],
    ['a'.repeat(5000), `${'*a'.repeat(2000)}b`, false],
  ])('%.20s and %.20s: %s', (name, pattern, fits) => {
    expect(fitsPattern(name, pattern)).toBe(fits);
  });
});

describe('a function of an MCP server', () => {
  const traits: OfferTraits = {
    tools: ['*'],
    prefix: 'crm_',
    timeoutMs: 8000,
    fillerAfterMs: 500,
    redact: ['pin'],
    cancelOnInterrupt: true,
  };
  const nothing = (): Promise<unknown> => Promise.resolve();

  it('has a name that providers take, and the traits of its server', () => {
    const { log, lines } = new Listener();
    const schema = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      properties: { pin: { type: 'string' } },
    };
    const described = { name: 'kunden/suche ü', title: 'Finds customers', inputSchema: schema };
    const [offer] = offersOf([described], traits, nothing, log);
    expect(offer?.tool).toMatchObject({
      timeoutMs: 8000,
      fillerAfterMs: 500,
      redact: ['pin'],
      cancelOnInterrupt: true,
      definition: { name: 'crm_kunden_suche__', description: 'Finds customers' },
    });
    expect(offer?.tool.definition.parameters).toEqual({
      type: 'object',
      properties: { pin: { type: 'string' } },
    });
    expect(offer?.tool.check({ pin: 1 })).toMatchObject({
      problems: [expect.stringContaining('pin: must be string')],
    });
    expect(lines).toEqual([]);
  });

  it('whose schema takes too long to compile is checked by its server, and it is tried once', () => {
    const { log, lines } = new Listener();
    const many = { anyOf: Array.from({ length: 3500 }, () => ({ type: 'null' })) };
    const inputSchema = { type: 'object', properties: { many } };
    const [offer] = offersOf([{ name: 'many', inputSchema }], traits, nothing, log);
    for (const args of [{ many: 1 }, { many: 2 }]) {
      expect(offer?.tool.check(args)).toEqual({ ok: true, args });
    }
    expect(lines).toMatchObject([{ name: 'crm_many', reason: 'its schema takes too long to compile' }]);
  });

  it('that comes to the same name as another one is reported and left out', () => {
    const { log, lines } = new Listener();
    const inputSchema = { type: 'object' };
    const long = 'n'.repeat(80);
    const offers = offersOf(
      [
        { name: `${long}1`, inputSchema },
        { name: `${long}2`, inputSchema },
      ],
      traits,
      nothing,
      log,
    );
    expect(offers.map(({ tool }) => tool.definition.name.length)).toEqual([64]);
    expect(lines).toMatchObject([{ function: `${long}2`, other: `${long}1` }]);
  });

  it.each([
    [{ content: [] }, { ok: true }],
    [{ content: [{ type: 'text', text: 'a table' }] }, 'a table'],
    [
      {
        content: [
          { type: 'text', text: 'one' },
          { type: 'image', data: 'AAAA', mimeType: 'image/png' },
          { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
          { type: 'resource', resource: { uri: 'file:///menu.pdf', blob: 'AAAA' } },
          { type: 'resource_link', name: 'menu', uri: 'https://example.com/menu' },
          { type: 'hologram' },
        ],
      },
      [
        'one',
        '[image image/png, which cannot be shown here]',
        '[audio audio/wav, which cannot be shown here]',
        '[resource file:///menu.pdf, which cannot be shown here]',
        '[resource menu https://example.com/menu, which cannot be shown here]',
        '[hologram, which cannot be shown here]',
      ].join('\n'),
    ],
    [{ content: [{ type: 'text', text: '{"free":2}' }], structuredContent: { free: 2 } }, { free: 2 }],
  ])('that returns %.60j tells the model so', (result, told) => {
    expect(readResult(callResultSchema.parse(result))).toEqual(told);
  });

  it('that reports a mistake has failed', () => {
    const failed = { content: [{ type: 'text', text: 'MCP error -32602: no such customer' }], isError: true };
    expect(() => readResult(callResultSchema.parse(failed))).toThrow(
      'TOOL_FAILED: the function reports: no such customer',
    );
    const structured = { structuredContent: { why: 'closed' }, isError: true };
    expect(() => readResult(callResultSchema.parse(structured))).toThrow('{"why":"closed"}');
  });
});

describe('lines of a stream', () => {
  it('are whole, wherever the stream is cut, and no longer than allowed', () => {
    const text = `one\r\n\nzwölf\n${'x'.repeat(30)}\nend`;
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size += 1) {
      const lines: [string, boolean][] = [];
      const stream = new Lines(20, (line, cut) => lines.push([line, cut]));
      for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
      stream.end();
      expect(lines).toEqual([
        ['one', false],
        ['zwölf', false],
        ['x'.repeat(20), true],
        ['end', false],
      ]);
    }
  });
});

describe('the pool of MCP servers', () => {
  function pool(): McpPool & AsyncDisposable {
    const one = new McpPool({ clock: new VirtualClock(), log: new Listener().log, baseDir: SUPPORT });
    return Object.assign(one, { [Symbol.asyncDispose]: () => one.close() });
  }

  const starts = (host: McpHost): number =>
    host.requests.filter(({ body }) => body.includes('"initialize"')).length;

  it('keeps a server whose entry has not changed, until nobody has it', async () => {
    await using host = await McpHost.start();
    await using servers = pool();
    const before = servers.use({
      crm: checked({ url: host.url, prefix: 'p_', headers: { a: '1', b: '2' } }),
    });
    await before.ready;
    const after = servers.use({ crm: checked({ headers: { b: '2', a: '1' }, url: host.url, prefix: 'p_' }) });
    await after.ready;
    await before.close();
    await before.close();
    expect(starts(host)).toBe(1);
    expect(namesOf(after.tools('crm', 'g*'))).toEqual(['p_greet', 'p_gate']);
    expect(() => after.tools('cms', '*')).toThrow('there is no mcp server cms');
    await after.close();
    expect(servers.size).toBe(0);
    expect(host.sessions.size).toBe(0);
  });

  it('connects anew for an entry that has changed, while the calls of the old one finish', async () => {
    await using host = await McpHost.start();
    await using servers = pool();
    const before = servers.use({ crm: checked({ url: host.url }) });
    await before.ready;
    const old = { tools: before.tools('crm', '*') };
    const calling = run(old, 'gate');
    await host.until(() => host.notes.includes('at the gate'));
    const after = servers.use({ crm: checked({ url: host.url, prefix: 'new_' }) });
    await after.ready;
    expect(starts(host)).toBe(2);
    expect(namesOf(after.tools('crm', 'greet'))).toEqual(['new_greet']);
    expect(await run(old, 'greet', { name: 'Ada' })).toBe('Hello Ada');
    host.release();
    expect(await calling).toBe('through');
    await before.close();
    await expect(run(old, 'greet', { name: 'Ada' })).rejects.toThrow('not available');
    expect(await run({ tools: after.tools('crm', '*') }, 'new_greet', { name: 'Ada' })).toBe('Hello Ada');
    expect(host.sessions.size).toBe(1);
  });

  it('has servers of the same settings and different names apart', async () => {
    await using host = await McpHost.start();
    await using servers = pool();
    const spec = checked({ url: host.url });
    await servers.use({ one: spec, two: spec }).ready;
    expect(starts(host)).toBe(2);
    expect(servers.size).toBe(2);
  });

  it('closes everything when it is closed, and only once', async () => {
    await using host = await McpHost.start();
    const servers = pool();
    const lease = servers.use({ crm: checked({ url: host.url }) });
    await lease.ready;
    await Promise.all([servers.close(), servers.close(), lease.close()]);
    expect(host.sessions.size).toBe(0);
    expect(host.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
    const late = servers.use({ crm: checked({ url: host.url }) });
    await late.ready;
    expect(late.tools('crm', '*')).toEqual([]);
    expect(starts(host)).toBe(1);
  });
});
