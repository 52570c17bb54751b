import { describe, expect, it } from 'vitest';
import type { Terminal } from '../src/commands/command.ts';
import { providers } from '../src/commands/providers.ts';
import { PROVIDERS } from '../src/config/provider-settings.ts';
import type { Env } from '../src/config.ts';

/** Runs `patchcord providers` in this environment. */
async function run(argv: readonly string[] = [], env: Env = {}) {
  const written = { out: '', err: '' };
  const terminal: Terminal = {
    env,
    isTty: false,
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    onInterrupt: () => () => undefined,
    onStray: () => undefined,
  };
  return { status: await providers.run(argv, terminal), ...written };
}

/** The cells of each row of each table. */
function tablesOf(out: string): string[][][] {
  return out
    .split('\n\n')
    .filter((block) => !block.startsWith('*'))
    .map((block) => block.trimEnd().split('\n'))
    .map((lines) => lines.map((line) => line.split(/ {2,}/)));
}

describe('patchcord providers', () => {
  it('prints three tables with a row for every provider, which fit into 110 columns', async () => {
    const { status, out, err } = await run();
    expect([status, err]).toEqual([0, '']);
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(110);
    const tables = tablesOf(out);
    expect(tables).toHaveLength(3);
    for (const [, ...rows] of tables) {
      const names = rows.map(([name = '']) => name.replace(' *', '')).filter((name) => name !== '');
      expect(names).toEqual(PROVIDERS);
    }
    // Every cell has something to say.
    for (const [header = [], ...rows] of tables.slice(1))
      for (const row of rows) expect(row, row.join()).toHaveLength(header.length);
  });

  it('says of each what it lacks here, and which one takes the calls', async () => {
    const env = { GEMINI_API_KEY: 'AIza-secret', GEMINI_MODEL: 'gemini-x', AZURE_OPENAI_API_KEY: 'k' };
    const { out } = await run([], env);
    expect(out).toMatch(/^openai +OpenAI Realtime +gpt-realtime-2\.1 +lacks OPENAI_API_KEY$/m);
    expect(out).toMatch(/^gemini \* +Gemini Live +gemini-x +can be used$/m);
    expect(out).toMatch(/^azure +Azure OpenAI +- +lacks AZURE_OPENAI_ENDPOINT\n +AZURE_OPENAI_DEPLOYMENT$/m);
    expect(out).toMatch(/^local +Line check +- +can be used$/m);
    expect(out).not.toContain('secret');
  });

  it('says what the * means, and of Nova that its credentials are looked for with the first call', async () => {
    const footnotes = async (env: Env) => (await run([], env)).out.split('\n\n')[1]?.split('\n');
    const star = '* takes the calls of agents that name no provider';
    const later = 'nova: credentials are looked for at the first call';
    expect(await footnotes({})).toEqual([star, later]);
    expect(await footnotes({ AWS_REGION: 'us-east-1', AWS_PROFILE: 'phones' })).toEqual([star, later]);
    const keys = { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: 'x' };
    expect(await footnotes({ AWS_REGION: 'us-east-1', ...keys })).toEqual([star]);
    const { providers: all } = JSON.parse((await run(['--json'])).out);
    const said = all.filter((one: { later?: string }) => one.later !== undefined);
    expect(said).toMatchObject([{ name: 'nova', later: 'credentials are looked for at the first call' }]);
  });

  it('says in which order several are tried', async () => {
    const env = { PROVIDER: 'gemini,openai', GEMINI_API_KEY: 'k', OPENAI_API_KEY: 'k', XAI_API_KEY: 'k' };
    const { out } = await run([], env);
    expect(out).toMatch(/^gemini \* +Gemini Live/m);
    expect(out).toMatch(/^openai \*2 +OpenAI Realtime/m);
    expect(out).toMatch(/^xai +xAI/m);
    expect(out).toContain('\n*2 and so on take over when those before it fail\n');
    const { usual, order } = JSON.parse((await run(['--json'], env)).out);
    expect({ usual, order }).toEqual({ usual: 'gemini', order: ['gemini', 'openai'] });
  });

  it('prints the same as JSON, from the data', async () => {
    const { out, status } = await run(['--json'], { XAI_API_KEY: 'xai-secret' });
    expect(status).toBe(0);
    const { usual, mistakes, providers: all } = JSON.parse(out);
    expect({ usual, mistakes }).toEqual({ usual: 'xai', mistakes: [] });
    expect(all.map(({ name }: { name: string }) => name)).toEqual(PROVIDERS);
    expect(all[0]).toMatchObject({
      name: 'openai',
      title: 'OpenAI Realtime',
      lacks: 'OPENAI_API_KEY',
      model: 'gpt-realtime-2.1',
      capabilities: { truncate: true, bargeIn: 'speech-started', maxSessionMs: 3_600_000 },
      voices: expect.arrayContaining(['marin']),
    });
    const xai = all.find(({ name }: { name: string }) => name === 'xai');
    expect(xai.lacks).toBeUndefined();
    expect(out).not.toContain('secret');
  });

  it('shows the tables in a bad environment all the same, and what is wrong with it', async () => {
    const env = { PROVIDER: 'gemni', GEMINI_SESSION: 'x', NOVA_SENSITIVITY: 'hi', PORT: 'not asked for' };
    const { status, out, err } = await run([], env);
    expect(status).toBe(0);
    expect(tablesOf(out)).toHaveLength(3);
    expect(err.trim().split('\n')).toEqual([
      'mistake: GEMINI_SESSION: found 1 characters that are no JSON object, wanted one such as {"key":"value"}',
      'mistake: NOVA_SENSITIVITY: found "hi", wanted one of high, medium, low',
      'mistake: PROVIDER: found "gemni", did you mean "gemini"?',
    ]);
    expect((await run([], { PROVIDER: 'gemini' })).err).toBe(
      'mistake: GEMINI_API_KEY: found nothing, wanted a key because PROVIDER is gemini\n',
    );
  });

  it('takes no arguments but --json', async () => {
    await expect(run(['openai'])).rejects.toThrow('BAD_INPUT');
    await expect(run(['--yaml'])).rejects.toThrow('BAD_INPUT');
  });
});
