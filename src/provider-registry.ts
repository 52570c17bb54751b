import { foundWords, meant } from './agents-file/words.ts';
import { BridgeError } from './errors.ts';
import type { ProviderFacts, RealtimeProvider } from './provider.ts';
import { type ProviderHooks, withHooks } from './provider-hooks.ts';

/** One provider that a service can be asked for by name. Nothing is made, or loaded, before somebody asks. */
export interface ProviderEntry {
  /** As `PROVIDER` and agents files have it: letters a-z, digits and `-`, at most 32. */
  readonly name: string;
  /** For people: `Gemini Live`. */
  readonly title: string;
  /** What it lacks to be used, such as the name of a variable of the environment; undefined: nothing. */
  readonly lacks: string | undefined;
  facts(): Promise<ProviderFacts>;
  create(): RealtimeProvider | Promise<RealtimeProvider>;
}

/** A provider of one's own, for `createBridge({ providers })`. */
export interface ProviderDefinition {
  /** That of a built-in provider takes its place. Its sessions go by this name in reports, prices and logs. */
  readonly name: string;
  /** Called at most once per service, when the first agent needs it. A `close()` that it has is called at the end. */
  readonly create: () => RealtimeProvider | Promise<RealtimeProvider>;
  /** Default: the name. */
  readonly title?: string | undefined;
  /** What it lacks to be used; undefined: nothing. */
  readonly lacks?: string | undefined;
  /** Default: what the provider itself says. */
  readonly facts?: Partial<ProviderFacts> | undefined;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** Makes an entry for `createBridge({ providers })`. Throws BAD_CONFIG for a name that cannot be one. */
export function defineProvider(definition: ProviderDefinition): ProviderEntry {
  const { name, create, lacks, facts = {} } = definition;
  if (!NAME.test(name)) {
    throw new BridgeError(
      'BAD_CONFIG',
      `defineProvider: name is ${foundWords(name, false)}, wanted up to 32 of a-z, 0-9 and -, not - at first`,
    );
  }
  const title = definition.title ?? facts.title ?? name;
  return Object.freeze({
    name,
    title,
    lacks,
    create,
    async facts() {
      const { capabilities } = facts;
      const said = capabilities === undefined ? await askOnce(create) : { ...NOTHING_SAID, capabilities };
      return { ...said, ...facts, title };
    },
  });
}

const NOTHING_SAID = {
  defaultModel: undefined,
  models: [],
  voices: [],
  languages: '',
  onBargeIn: '',
  limits: [],
} as const;

/** As much as a provider says of itself. */
function ownWords(provider: RealtimeProvider): Omit<ProviderFacts, 'title'> {
  return { ...NOTHING_SAID, capabilities: provider.capabilities, defaultModel: provider.model };
}

async function askOnce(create: ProviderDefinition['create']): Promise<Omit<ProviderFacts, 'title'>> {
  const provider = await create();
  const said = ownWords(provider);
  await provider.close?.();
  return said;
}

/** The entry of a provider that is there already. */
function entryOf(provider: RealtimeProvider): ProviderEntry {
  const { name } = provider;
  return {
    name,
    title: name,
    lacks: undefined,
    facts: async () => ({ ...ownWords(provider), title: name }),
    create: () => provider,
  };
}

export interface RegistryOptions {
  readonly builtIn: readonly ProviderEntry[];
  /** Those of the program; one with the name of a built-in one takes its place. */
  readonly own?: readonly ProviderEntry[] | undefined;
  /** Those that the program has made, and also closes. */
  readonly given?: RealtimeProvider | readonly RealtimeProvider[] | undefined;
  /** Told of all sessions, whoever holds them. */
  readonly hooks?: readonly ProviderHooks[] | undefined;
}

/** The providers of a service by name, each made when somebody first asks for it: all of them would cost start-up time. */
export class ProviderRegistry {
  readonly #entries: ReadonlyMap<string, ProviderEntry>;
  readonly #given: ReadonlyMap<string, RealtimeProvider>;
  readonly #hooks: readonly ProviderHooks[];
  readonly #made = new Map<string, Promise<RealtimeProvider>>();

  /** Throws BAD_CONFIG when the program brings two of one name. */
  constructor({ builtIn, own = [], given = [], hooks = [] }: RegistryOptions) {
    const made = 'connect' in given ? [given] : given;
    const brought = [...made.map(entryOf), ...own];
    const names = brought.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) {
      throw new BridgeError('BAD_CONFIG', `found two providers ${twice}, wanted each name once`);
    }
    const rest = builtIn.filter(({ name }) => !names.includes(name));
    this.#entries = new Map([...brought, ...rest].map((entry) => [entry.name, entry]));
    this.#given = new Map(made.map((one) => [one.name, withHooks(one, ...hooks)]));
    this.#hooks = hooks;
  }

  /** Own ones first. */
  get known(): readonly ProviderEntry[] {
    return [...this.#entries.values()];
  }

  /** Throws BAD_CONFIG, with the names that there are, for one that is not known. */
  entry(name: string): ProviderEntry {
    const found = this.#entries.get(name);
    if (found !== undefined) return found;
    const names = [...this.#entries.keys()];
    const near = meant(name, names);
    const known = near === undefined ? '; known are' : `, did you mean ${near}? Known are`;
    throw new BridgeError(
      'BAD_CONFIG',
      `there is no provider ${foundWords(name, false)}${known} ${names.join(', ')}`,
    );
  }

  /**
   * The provider of that name, always the same one. Rejects with BAD_CONFIG for one that is not known, that lacks
   * something, or that cannot be made.
   */
  async named(name: string): Promise<RealtimeProvider> {
    const entry = this.entry(name);
    const given = this.#given.get(name);
    if (given !== undefined) return given;
    if (entry.lacks !== undefined) throw new BridgeError('BAD_CONFIG', notSet(entry.lacks));
    let made = this.#made.get(name);
    if (made === undefined) {
      made = make(entry, this.#hooks);
      this.#made.set(name, made);
      // The next version of an agents file may find it working.
      made.catch(() => this.#made.delete(name));
    }
    return await made;
  }

  /**
   * Has those that have been made load what their first session would wait for, one after the other: whoever calls
   * meanwhile is answered in between. Never rejects.
   */
  async prepare(): Promise<void> {
    for (const one of [...this.#given.values(), ...this.#made.values()]) {
      await Promise.resolve(one).then(
        (provider) => provider.prepare?.(),
        () => undefined,
      );
    }
  }

  /** Closes those that have been made. Never rejects. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#made.values()].map(async (made) => (await made).close?.()));
  }
}

function notSet(lacks: string): string {
  return `${lacks} ${lacks.includes(' and ') ? 'are' : 'is'} not set`;
}

async function make(entry: ProviderEntry, hooks: readonly ProviderHooks[]): Promise<RealtimeProvider> {
  try {
    return withHooks(underName(entry.name, await entry.create()), ...hooks);
  } catch (thrown) {
    throw BridgeError.from(thrown, 'BAD_CONFIG');
  }
}

/**
 * Agents, prices and reports know a provider by the name of its entry: two entries may hold the same kind of provider
 * with different settings.
 */
function underName(name: string, provider: RealtimeProvider): RealtimeProvider {
  if (provider.name === name) return provider;
  return {
    name,
    model: provider.model,
    capabilities: provider.capabilities,
    usesNetwork: provider.usesNetwork,
    connect: (request, sink, signal) => provider.connect(request, sink, signal),
    async prepare() {
      await provider.prepare?.();
    },
    async close() {
      await provider.close?.();
    },
  };
}
