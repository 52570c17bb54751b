import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { PROVIDERS } from '../src/config/provider-settings.ts';
import { type Env, loadConfig } from '../src/config.ts';
import { BridgeError } from '../src/errors.ts';
import { type Bridge, type BridgeOptions, createBridge, createLocalProvider } from '../src/index.ts';
import type { ProviderFacts } from '../src/provider.ts';
import { defineProvider, type ProviderEntry, ProviderRegistry } from '../src/provider-registry.ts';
import { LOCAL } from '../src/providers/local/facts.ts';
import { builtInProviders } from '../src/server/providers.ts';
import { startExchange } from '../src/sim/phone.ts';
import { makeFolder } from './support/agents-folder.ts';
import { BuiltCommands, SERVE } from './support/loaded-modules.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { requestOf } from './support/provider-line.ts';

/** An entry that writes down what is done with it. */
function counted(name: string, own: Partial<ProviderEntry> = {}) {
  const seen = { made: 0, closed: 0 };
  const create = async () => {
    seen.made++;
    const { capabilities } = LOCAL;
    return {
      name,
      capabilities,
      connect: () => Promise.reject(new BridgeError('PROVIDER_UNAVAILABLE', 'not today')),
      close: async () => {
        seen.closed++;
      },
    };
  };
  return { seen, entry: { ...defineProvider({ name, create }), ...own } };
}

describe('a provider registry', () => {
  it('tells hooks of the sessions of every provider, whoever made it, and still closes it', async () => {
    const used = counted('used');
    const given = new ManualProvider();
    const told: string[] = [];
    const hooks = [{ onError: ({ code }: BridgeError) => told.push(code) }];
    const registry = new ProviderRegistry({ builtIn: [used.entry], given, hooks });
    const { signal } = new AbortController();
    const request = requestOf();
    const made = await registry.named('used');
    await expect(made.connect(request, () => undefined, signal)).rejects.toThrow('not today');
    const opening = (await registry.named('manual')).connect(request, () => undefined, signal);
    await given.ready();
    given.emit({ type: 'error', error: new BridgeError('PROVIDER_REJECTED', 'no'), fatal: false });
    expect(told).toEqual(['PROVIDER_UNAVAILABLE', 'PROVIDER_REJECTED']);
    expect([made.name, (await registry.named('manual')).name]).toEqual(['used', 'manual']);
    await (await opening).close('over');
    await registry.close();
    expect(used.seen.closed).toBe(1);
  });

  it('makes a provider when it is first asked for, once, and closes it at the end', async () => {
    const used = counted('used');
    const unused = counted('unused');
    const registry = new ProviderRegistry({ builtIn: [used.entry, unused.entry] });
    expect(registry.known.map(({ name }) => name)).toEqual(['used', 'unused']);
    expect(used.seen.made).toBe(0);
    const [first, second] = await Promise.all([registry.named('used'), registry.named('used')]);
    expect(first).toBe(second);
    await registry.close();
    expect([used.seen, unused.seen]).toEqual([
      { made: 1, closed: 1 },
      { made: 0, closed: 0 },
    ]);
  });

  it('says of an unknown name what was probably meant, and what there is', async () => {
    const registry = new ProviderRegistry({ builtIn: [counted('openai').entry, counted('gemini').entry] });
    await expect(registry.named('gemni')).rejects.toThrow(
      'BAD_CONFIG: there is no provider "gemni", did you mean gemini? Known are openai, gemini',
    );
    await expect(registry.named('parrot')).rejects.toThrow(
      'BAD_CONFIG: there is no provider "parrot"; known are openai, gemini',
    );
    await expect(registry.named('sk-1234567890abcdef')).rejects.not.toThrow('1234');
  });

  it('names the setting that one lacks, without making it', async () => {
    const { entry, seen } = counted('openai', { lacks: 'OPENAI_API_KEY' });
    const registry = new ProviderRegistry({ builtIn: [entry] });
    await expect(registry.named('openai')).rejects.toThrow('BAD_CONFIG: OPENAI_API_KEY is not set');
    const two = counted('azure', { lacks: 'AZURE_A and AZURE_B' });
    await expect(new ProviderRegistry({ builtIn: [two.entry] }).named('azure')).rejects.toThrow(
      'AZURE_A and AZURE_B are not set',
    );
    expect(seen.made).toBe(0);
  });

  it('lets an own one take the place of a built-in one of its name, and refuses two own ones', async () => {
    const own = counted('local');
    const registry = new ProviderRegistry({
      builtIn: [counted('openai').entry, counted('local').entry],
      own: [own.entry],
    });
    expect(registry.known.map(({ name }) => name)).toEqual(['local', 'openai']);
    await registry.named('local');
    expect(own.seen.made).toBe(1);
    const twice = { builtIn: [], own: [own.entry, counted('local').entry] };
    expect(() => new ProviderRegistry(twice)).toThrow('found two providers local, wanted each name once');
    const given = new ManualProvider();
    const both = { builtIn: [], own: [counted('manual').entry], given };
    expect(() => new ProviderRegistry(both)).toThrow('found two providers manual');
  });

  it('hands a given one out as it is, and does not close it', async () => {
    const given = Object.assign(new ManualProvider(), { closed: 0, close: async () => void given.closed++ });
    const registry = new ProviderRegistry({ builtIn: [], given });
    expect(await registry.named('manual')).toBe(given);
    expect((await registry.entry('manual').facts()).capabilities).toBe(given.capabilities);
    await registry.close();
    expect(given.closed).toBe(0);
  });

  it('lets its sessions go by the name of the entry, with the provider’s own methods', async () => {
    const inner = new ManualProvider();
    const entry = defineProvider({ name: 'second', create: () => inner });
    const registry = new ProviderRegistry({ builtIn: [], own: [entry] });
    const provider = await registry.named('second');
    expect(provider).toMatchObject({ name: 'second', capabilities: inner.capabilities });
    const request = { instructions: 'Hi' };
    const gone = new AbortController();
    const connecting = provider.connect(
      request as Parameters<typeof provider.connect>[0],
      () => undefined,
      gone.signal,
    );
    gone.abort(new BridgeError('CANCELLED', 'enough'));
    await expect(connecting).rejects.toThrow('CANCELLED');
    expect(inner.request).toBe(request);
  });

  it('asks again for one that could not be made, and takes any failure for a bad configuration', async () => {
    let times = 0;
    const entry = defineProvider({
      name: 'late',
      create: () => {
        if (times++ === 0) throw new Error('the model file is not there');
        return new ManualProvider();
      },
    });
    const registry = new ProviderRegistry({ builtIn: [], own: [entry] });
    await expect(registry.named('late')).rejects.toThrow('BAD_CONFIG: the model file is not there');
    expect((await registry.named('late')).name).toBe('late');
    await registry.close();
  });
});

describe('defineProvider', () => {
  it.each(['', 'My', '-x', 'a_b', 'a'.repeat(33), 'sk-ABC'])('refuses the name %j', (name) => {
    const make = () => defineProvider({ name, create: () => new ManualProvider() });
    expect(make).toThrow('BAD_CONFIG: defineProvider: name is ');
  });

  it('takes facts from the provider where none are given, and closes the one it asked', async () => {
    const { entry, seen } = counted('mine');
    expect(await entry.facts()).toEqual({
      title: 'mine',
      capabilities: LOCAL.capabilities,
      defaultModel: undefined,
      models: [],
      voices: [],
      languages: '',
      onBargeIn: '',
      limits: [],
    });
    expect(seen).toEqual({ made: 1, closed: 1 });
  });

  it('makes nothing when the facts are given', async () => {
    const facts: Partial<ProviderFacts> = { capabilities: LOCAL.capabilities, voices: ['anna'] };
    const create = () => {
      throw new Error('nobody should ask');
    };
    const entry = defineProvider({ name: 'mine', title: 'My model', facts, create, lacks: 'MY_KEY' });
    expect(entry).toMatchObject({ name: 'mine', title: 'My model', lacks: 'MY_KEY' });
    expect(await entry.facts()).toMatchObject({ title: 'My model', voices: ['anna'], models: [] });
  });
});

describe('the built-in providers', () => {
  const entries = builtInProviders(loadConfig({}));

  it('are all there, in their order', () => {
    expect(entries.map(({ name }) => name)).toEqual(PROVIDERS);
  });

  it.each(entries)('$name has facts under its title, all of them whole sentences', async (entry) => {
    const facts = await entry.facts();
    expect(facts.title).toBe(entry.title);
    for (const sentence of [facts.languages, facts.onBargeIn, ...facts.limits])
      expect(sentence).toMatch(/^[A-Z0-9].{10,}\.$/s);
    expect(facts.capabilities.inputs.length * facts.capabilities.outputs.length).toBeGreaterThan(0);
    if (facts.defaultModel !== undefined) expect(facts.models).toContain(facts.defaultModel);
  });

  it.each(entries.filter(({ lacks }) => lacks !== undefined))(
    '$name names the variables that it lacks',
    ({ lacks }) => {
      expect(lacks).toMatch(/^[A-Z][A-Z_]+((, [A-Z][A-Z_]+)* and [A-Z][A-Z_]+)?$/);
    },
  );
});

/** A bridge on the loopback, closed with the test. */
async function bridgeWith(options: Omit<BridgeOptions, 'config'>, env: Env = {}): Promise<Bridge> {
  const config = loadConfig({ PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'silent', ...env });
  const bridge = await createBridge({ config, ...options });
  onTestFinished(() => bridge.close());
  return bridge;
}

/** The names of the providers that took a call, in order. */
async function providersOfCall(options: Omit<BridgeOptions, 'config'>, env: Env = {}): Promise<string[]> {
  const ready: string[] = [];
  const bridge = await bridgeWith(
    {
      ...options,
      observe: (_callId, event) => {
        if (event.type === 'providerReady') ready.push(event.provider);
      },
    },
    env,
  );
  const url = await bridge.listen();
  await using exchange = await startExchange();
  const call = exchange.placeCall({ webhookUrl: `${url}/voice/twilio`, authToken: bridge.localAuthToken });
  expect(await call.untilHeard(60)).toBe(true);
  await call.hangUp();
  await bridge.close();
  return ready;
}

/** A line check under another name, which counts how often it is closed. */
function lineCheck(name: string) {
  const seen = { closed: 0 };
  const create = () => {
    const inner = createLocalProvider();
    return {
      ...inner,
      close: () => {
        seen.closed++;
        return inner.close();
      },
    };
  };
  return { seen, entry: defineProvider({ name, create }) };
}

describe('a bridge with providers of its own', () => {
  it('gives calls to the one that it is told by name, and closes it', async () => {
    const { entry, seen } = lineCheck('parrot');
    expect(await providersOfCall({ provider: 'parrot', providers: [entry] })).toEqual(['parrot']);
    expect(seen.closed).toBe(1);
  });

  it('lets agents of a file name it beside the built-in ones', async () => {
    using folder = makeFolder({
      'agents.yaml': 'agents: { a: { greeting: "Hello there.", providers: [openai, parrot, local] } }',
    });
    const { entry, seen } = lineCheck('parrot');
    const env = { AGENTS_FILE: folder.at('agents.yaml'), DATA_DIR: folder.at('data') };
    expect(await providersOfCall({ providers: [entry] }, env)).toEqual(['parrot']);
    expect(seen.closed).toBe(1);
  });

  it('replaces a built-in one', async () => {
    const { entry, seen } = lineCheck('local');
    expect(await providersOfCall({ providers: [entry] })).toEqual(['local']);
    expect(seen.closed).toBe(1);
  });

  it('does not start with the name of one that there is not, in code or in the file', async () => {
    const { entry } = lineCheck('parrot');
    await expect(bridgeWith({ provider: 'parot', providers: [entry] })).rejects.toThrow(
      'BAD_CONFIG: there is no provider "parot", did you mean parrot? Known are parrot, openai,',
    );
    using folder = makeFolder({ 'agents.yaml': 'agents: { a: { providers: [parot] } }' });
    const env = { AGENTS_FILE: folder.at('agents.yaml'), DATA_DIR: folder.at('data') };
    await expect(bridgeWith({ providers: [entry] }, env)).rejects.toThrow(
      'found "parot", which is no provider, did you mean "parrot"?',
    );
  });
});

describe('patchcord', () => {
  let built: BuiltCommands;

  beforeAll(() => {
    built = new BuiltCommands();
  });

  afterAll(() => built[Symbol.dispose]());

  /** What a command in this environment has loaded: when it listens, if it does, else when it is done. */
  async function loadedBy(command: string, env: Record<string, string> = {}): Promise<readonly string[]> {
    return (await built.loadedBy(command === 'serve' ? SERVE : [command], env)).before;
  }

  /** The providers whose modules are among them. */
  function providersIn(urls: readonly string[]): readonly string[] {
    const found = urls.flatMap((url) => /\/src\/providers\/([\w-]+)/.exec(url)?.[1] ?? []);
    return [...new Set(found)].filter((name) => name !== 'common').toSorted();
  }

  const sdks = (urls: readonly string[]) => urls.filter((url) => /\/@(aws-sdk|smithy|google)\//.test(url));

  it.each([
    [{ PROVIDER: 'local' }, ['local']],
    [{ OPENAI_API_KEY: 'sk-x' }, ['openai']],
    [{ XAI_API_KEY: 'xai-x' }, ['openai', 'openai-relatives']],
    [{ GEMINI_API_KEY: 'AIza' }, ['gemini']],
    [{ PROVIDER: 'openai-live', OPENAI_API_KEY: 'sk-x' }, ['openai-live']],
    [{ NOVA_MODEL: 'm', AWS_REGION: 'us-east-1' }, ['nova']],
  ])(
    'serve with %j loads that provider and no other, and no SDK',
    { timeout: 30_000 },
    async (env, wanted) => {
      const loaded = await loadedBy('serve', env);
      expect(providersIn(loaded)).toEqual(wanted);
      expect(sdks(loaded)).toEqual([]);
      expect(loaded.some((url) => url.endsWith('/src/server.js'))).toBe(true);
    },
  );

  it('lists all providers without loading what they connect with', { timeout: 30_000 }, async () => {
    const loaded = await loadedBy('providers');
    expect(providersIn(loaded)).toEqual(expect.arrayContaining(['local', 'openai']));
    expect(loaded.filter((url) => /\/src\/providers\/[\w-]+\.js$/.test(url))).toEqual([]);
    expect(sdks(loaded)).toEqual([]);
  });
});
