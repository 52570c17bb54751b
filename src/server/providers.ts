import { PROVIDERS, type ProviderName } from '../config/provider-settings.ts';
import { lacksOf, type ProviderSections } from '../config/providers.ts';
import type { Config } from '../config.ts';
import type { ProviderFacts, RealtimeProvider } from '../provider.ts';
import { type ClosableProvider, type ProviderEntry, ProviderRegistry } from '../provider-registry.ts';

/** How one built-in provider is had. Both load its module, and that of no other. */
interface Maker {
  /** That of its facts, which need not be loaded for it. */
  readonly title: string;
  facts(): Promise<ProviderFacts>;
  create(config: ProviderSections): Promise<ClosableProvider>;
}

// A server on this machine may not ask for a key, but protocols want one to be sent.
const NO_KEY = 'no-key';

const MAKERS: Readonly<Record<string, Maker>> = {
  openai: {
    title: 'OpenAI Realtime',
    async facts() {
      const { createOpenAiProvider } = await import('../providers/openai.ts');
      const { capabilities } = createOpenAiProvider({ apiKey: NO_KEY, model: 'gpt-realtime-2.1' });
      return {
        title: 'OpenAI Realtime',
        capabilities,
        defaultModel: 'gpt-realtime-2.1',
        models: [],
        voices: [],
        languages: '',
        onBargeIn: '',
        limits: [],
      };
    },
    async create({ openai }) {
      const { createOpenAiProvider } = await import('../providers/openai.ts');
      return createOpenAiProvider({ ...openai, apiKey: openai.apiKey ?? NO_KEY });
    },
  },
  local: {
    title: 'Line check',
    facts: async () => (await import('../providers/local/facts.ts')).LOCAL,
    create: async () => (await import('../providers/local.ts')).createLocalProvider(),
  },
};

/** An entry of this program. */
export interface BuiltInProvider extends ProviderEntry {
  readonly name: ProviderName;
}

/** The providers of this program, with what the environment lacks for each. Loads none of them. */
export function builtInProviders(config: ProviderSections): readonly BuiltInProvider[] {
  return PROVIDERS.flatMap((name: ProviderName) => {
    const maker = MAKERS[name];
    if (maker === undefined) return [];
    const lacking = lacksOf(name, config);
    return {
      name,
      title: maker.title,
      lacks: lacking.length === 0 ? undefined : lacking.join(' and '),
      facts: () => maker.facts(),
      create: () => maker.create(config),
    };
  });
}

/** The providers of a service, and which of them takes the calls of agents that name none. */
export interface ServiceProviders {
  readonly registry: ProviderRegistry;
  readonly usual: string;
}

/**
 * `provider`: one that the program has made, or the name of a known one; else the one of the configuration. Throws
 * BAD_CONFIG for a name that is not known, and when the program brings two of one name.
 */
export function providersOf(
  config: Config,
  provider: RealtimeProvider | string | undefined,
  own: readonly ProviderEntry[] | undefined,
): ServiceProviders {
  const given = typeof provider === 'string' ? undefined : provider;
  const registry = new ProviderRegistry({ builtIn: builtInProviders(config), own, given });
  const usual = typeof provider === 'string' ? provider : (given?.name ?? config.provider);
  return { registry, usual: registry.entry(usual).name };
}
