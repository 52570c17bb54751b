import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { simulate } from '../src/commands/simulate.ts';
import { PROVIDER_SETTINGS, PROVIDERS } from '../src/config/provider-settings.ts';
import { readProviders } from '../src/config/providers.ts';
import { Reader } from '../src/config/reader.ts';
import { SETTINGS } from '../src/config/settings.ts';
import { loadConfig } from '../src/config.ts';
import { createBridge } from '../src/index.ts';
import type { ProviderEntry } from '../src/provider-registry.ts';
import { builtInProviders } from '../src/server/providers.ts';
import { startGeminiSimulator } from '../src/sim/gemini.ts';
import { startNovaSimulator } from '../src/sim/nova.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { startOpenAiLiveSimulator } from '../src/sim/openai-live.ts';
import { startExchange } from '../src/sim/phone.ts';
import { makeFolder } from './support/agents-folder.ts';
import { emitModules } from './support/emit-modules.ts';
import { filledPage } from './support/provider-page.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/providers.md'), 'utf8');

/** The part of the page below this heading. */
function sectionOf(heading: string): string {
  const [, section] = new RegExp(`\n## ${heading}\n(.*?)(?=\n## |$)`, 's').exec(PAGE) ?? [];
  if (section === undefined) throw new Error(`docs/providers.md has no section ${heading}`);
  return section;
}

describe('docs/providers.md', () => {
  it('has its data from the code', async () => {
    // Made anew by `npx vitest run test/provider-docs.test.ts --update`.
    await expect(await filledPage(PAGE)).toMatchFileSnapshot('../docs/providers.md');
  });

  it.each(PROVIDERS)('has a section for %s, with its data and how to start it', (name) => {
    const section = sectionOf(name);
    expect(section).toContain(`<!-- made from the code: ${name} -->`);
    expect(section).toMatch(/```sh\n.*patchcord serve/s);
  });

  it('shows commands that set variables which are read', () => {
    const known = new Set<string>([
      ...SETTINGS.map(({ name }) => name),
      ...Object.values(PROVIDER_SETTINGS).flatMap((rows) => rows.map(({ name }) => name)),
    ]);
    const scripts = [...PAGE.matchAll(/```sh\n(.*?)```/gs)].map(([, text = '']) => text);
    const used = scripts.flatMap((text) =>
      [...text.matchAll(/\b([A-Z][A-Z_]+)=/g)].map(([, name = '']) => name),
    );
    expect(used.length).toBeGreaterThan(10);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  });

  it('shows simulators that there are', async () => {
    const named = [...PAGE.matchAll(/patchcord simulate ([\w-]+)/g)].map(([, name = '']) => name);
    expect([...new Set(named)]).toEqual(['openai', 'openai-live', 'gemini', 'nova']);
    for (const name of named) expect(simulate.help, name).toContain(`patchcord simulate ${name} `);
  });
});

describe('the settings of a provider', () => {
  const entries = builtInProviders(loadConfig({}));

  it.each(entries)('of $name have the default model of its facts', async (entry) => {
    const { defaultModel } = await entry.facts();
    const row = PROVIDER_SETTINGS[entry.name].find(({ name }) => name.endsWith('_MODEL'));
    expect(row?.fallback ?? '').toBe(defaultModel ?? '');
  });

  it('are all read, and no others', () => {
    const seen = new Set<string>();
    const env = new Proxy<Record<string, string>>(
      {},
      {
        get: (_, name) => {
          seen.add(String(name));
          return undefined;
        },
      },
    );
    readProviders(new Reader(env));
    const rows = Object.values(PROVIDER_SETTINGS).flatMap((some) => some.map(({ name }) => name as string));
    expect([...seen].toSorted()).toEqual([...new Set(rows)].toSorted());
  });
});

/** Samples of a loud tone and of silence, as bytes of PCM16. */
function tone(loud: number, silent: number): Uint8Array {
  const samples = Int16Array.from({ length: loud + silent }, (_, i) =>
    i < loud ? Math.round(9000 * Math.sin(i / 9)) : 0,
  );
  return new Uint8Array(samples.buffer);
}

describe('the provider of the page', () => {
  const [parrot = '', service = '', second = ''] = [
    ...sectionOf('A provider of your own').matchAll(/```js\n(.*?)```/gs),
  ].map(([, text = '']) => text);
  const [ask = ''] = [...sectionOf('Using a provider without calls').matchAll(/```js\n(.*?)```/gs)].map(
    ([, text = '']) => text,
  );
  let folder: ReturnType<typeof makeFolder>;

  beforeAll(() => {
    folder = makeFolder({
      'package.json': '{ "type": "module" }',
      'parrot.js': parrot,
      'service.js': service,
      'cheap.js': second,
      'ask.js': ask,
      // A second of a loud tone, and a pause.
      'question.pcm': tone(24_000, 12_000),
      'node_modules/patchcord/package.json':
        '{ "name": "patchcord", "version": "0.0.0", "type": "module", "exports": "./src/index.js" }',
    });
    emitModules(folder.at('node_modules/patchcord'), ['src/index.ts']);
    symlinkSync(join(ROOT, 'node_modules'), folder.at('node_modules/patchcord/node_modules'));
  });

  afterAll(() => folder[Symbol.dispose]());

  it('takes a call: greets, hears, says back what it heard, and is closed', { timeout: 20_000 }, async () => {
    const module: { parrot: ProviderEntry } = await import(pathToFileURL(folder.at('parrot.js')).href);
    const said: string[] = [];
    const ended: string[] = [];
    const config = loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'silent',
      AGENT_GREETING: 'Hello!',
    });
    await using bridge = await createBridge({
      config,
      providers: [module.parrot],
      provider: 'parrot',
      observe: (_callId, event) => {
        if (event.type === 'transcript' && event.final) said.push(event.text);
        if (event.type === 'ended') ended.push(event.reason);
      },
    });
    const url = await bridge.listen();
    await using exchange = await startExchange();
    const call = exchange.placeCall({ webhookUrl: `${url}/voice/twilio`, authToken: bridge.localAuthToken });
    expect(await call.untilHeard(100)).toBe(true);
    await call.untilQuiet(300);
    await call.speak(Int16Array.from({ length: 8000 }, (_, i) => Math.round(9000 * Math.sin(i / 3))));
    await expect.poll(() => said.join(), { timeout: 8000 }).toMatch(/^Hello!,I heard 1[0-9]{3} ms\.$/);
    await call.hangUp();
    await expect.poll(() => ended).toEqual(['caller-hung-up']);
  });

  it('is in a service of its own that starts and stops', { timeout: 20_000 }, async () => {
    const env = { PATH: process.env['PATH'], PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'error' };
    const child = spawn(process.execPath, [folder.at('service.js')], { env });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    await expect.poll(() => out + err, { timeout: 10_000 }).toMatch(/^listening on http/);
    const [, url] = /listening on (\S+)/.exec(out) ?? [];
    expect((await fetch(`${url}/readyz`, { headers: { connection: 'close' } })).status).toBe(200);
    // It says itself how it is called.
    const command = /^patchcord call --to (\S+) --secret (\S+)$/m;
    await expect.poll(() => out).toMatch(command);
    const [, webhookUrl = '', authToken] = command.exec(out) ?? [];
    await using exchange = await startExchange();
    const call = exchange.placeCall({ webhookUrl, authToken });
    expect(await call.untilHeard(100)).toBe(true);
    await call.hangUp();
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  });

  /** What `ask.js` says and leaves behind, with its provider made in this way. */
  async function asked(made: string): Promise<{ out: string; err: string; status: unknown; bytes: number }> {
    const name = `ask-${made.replace(/\W.*/s, '')}.js`;
    const shown = 'createLocalProvider()';
    expect(ask.split(shown)).toHaveLength(2);
    const maker = made.replace(/\(.*/s, '');
    const text = ask.replace(shown, made).replace('createLocalProvider', maker);
    writeFileSync(folder.at(name), text);
    const env = { PATH: process.env['PATH'], AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' };
    const child = spawn(process.execPath, [name], { cwd: folder.path, env });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    const [status] = await once(child, 'exit');
    const bytes = status === 0 ? readFileSync(folder.at('answer.pcm')).length : 0;
    return { out, err, status, bytes };
  }

  // Each lives as long as its conversation.
  it.concurrent('needs no call: a recording goes in, and an answer comes out', {
    timeout: 30_000,
  }, async () => {
    const { out, err, status, bytes } = await asked('createLocalProvider()');
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^assistant: Hello!$/m);
    expect(bytes).toBeGreaterThan(48_000);
  });

  it.concurrent.each([
    ['createOpenAiProvider', startOpenAiSimulator, (url: string) => ({ apiKey: 'any', baseUrl: url })],
    [
      'createOpenAiLiveProvider',
      startOpenAiLiveSimulator,
      (url: string) => ({ apiKey: 'any', baseUrl: url }),
    ],
    ['createGeminiProvider', startGeminiSimulator, (url: string) => ({ apiKey: 'any', baseUrl: url })],
    [
      'createNovaProvider',
      startNovaSimulator,
      (url: string) => ({
        region: 'us-east-1',
        endpoint: url,
        credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
      }),
    ],
  ] as const)('does so with %s in its place', { timeout: 30_000 }, async (maker, start, options) => {
    await using simulator = await start();
    const { out, err, status, bytes } = await asked(`${maker}(${JSON.stringify(options(simulator.url))})`);
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^assistant: ./m);
    expect(bytes).toBeGreaterThan(10_000);
  });

  it('has beside it a built-in one under another name', async () => {
    const module: { cheap: ProviderEntry } = await import(pathToFileURL(folder.at('cheap.js')).href);
    expect(module.cheap).toMatchObject({ name: 'cheap', lacks: 'CHEAP_KEY' });
  });
});
