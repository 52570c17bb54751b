import type { Agent } from '../agents.ts';
import { PROVIDERS, type ProviderName } from '../config/provider-settings.ts';
import { lacksOf, type ProviderSections } from '../config/providers.ts';
import type { Config } from '../config.ts';
import { BridgeError } from '../errors.ts';
import type { Candidate } from '../fallback/candidate.ts';
import type { ProviderFacts, RealtimeProvider } from '../provider.ts';
import type { ProviderHooks } from '../provider-hooks.ts';
import { type ProviderEntry, ProviderRegistry } from '../provider-registry.ts';

/** How one built-in provider is had. Both load its module, and that of no other. */
interface Maker {
  /** That of its facts, which need not be loaded for it. */
  readonly title: string;
  facts(): Promise<ProviderFacts>;
  create(config: ProviderSections): Promise<RealtimeProvider>;
}

// A server on this machine may not ask for a key, but protocols want one to be sent.
const NO_KEY = 'no-key';

const openai: Maker = {
  title: 'OpenAI Realtime',
  facts: async () => (await import('../providers/openai/facts.ts')).OPENAI,
  async create(config) {
    const { createOpenAiProvider } = await import('../providers/openai.ts');
    return createOpenAiProvider({ ...config.openai, apiKey: config.openai.apiKey ?? NO_KEY });
  },
};

const xai: Maker = {
  title: 'xAI Grok Voice',
  facts: async () => (await import('../providers/openai/facts.ts')).XAI,
  async create(config) {
    const { createXaiProvider } = await import('../providers/openai-relatives.ts');
    return createXaiProvider({ ...config.xai, apiKey: config.xai.apiKey ?? NO_KEY });
  },
};

const azure: Maker = {
  title: 'Azure OpenAI',
  facts: async () => (await import('../providers/openai/facts.ts')).AZURE,
  async create(config) {
    const { createAzureOpenAiProvider } = await import('../providers/openai-relatives.ts');
    return createAzureOpenAiProvider({ ...config.azure, endpoint: config.azure.endpoint ?? '' });
  },
};

const azureVoiceLive: Maker = {
  title: 'Azure Voice Live',
  facts: async () => (await import('../providers/openai/facts.ts')).AZURE_VOICE_LIVE,
  async create(config) {
    const { createAzureVoiceLiveProvider } = await import('../providers/openai-relatives.ts');
    const { endpoint = '', ...rest } = config.azureVoiceLive;
    return createAzureVoiceLiveProvider({ ...rest, endpoint });
  },
};

const inworld: Maker = {
  title: 'Inworld Realtime',
  facts: async () => (await import('../providers/openai/facts.ts')).INWORLD_FACTS,
  async create(config) {
    const { createInworldProvider } = await import('../providers/openai-relatives.ts');
    return createInworldProvider({ ...config.inworld, apiKey: config.inworld.apiKey ?? NO_KEY });
  },
};

const openaiLive: Maker = {
  title: 'OpenAI Live',
  facts: async () => (await import('../providers/openai-live/facts.ts')).OPENAI_LIVE,
  async create(config) {
    const { createOpenAiLiveProvider } = await import('../providers/openai-live.ts');
    const { apiKey = NO_KEY, delegationModel, ...rest } = config.openaiLive;
    return createOpenAiLiveProvider({
      ...rest,
      apiKey,
      delegation: { type: 'responses', model: delegationModel },
    });
  },
};

const gemini: Maker = {
  title: 'Gemini Live',
  facts: async () => (await import('../providers/gemini/facts.ts')).GEMINI,
  async create(config) {
    const { createGeminiProvider } = await import('../providers/gemini.ts');
    const { apiKey = NO_KEY, accessToken, ...rest } = config.gemini;
    // Vertex AI takes no keys, and a key for something else may be there all the same.
    return rest.platform === 'vertex'
      ? createGeminiProvider({ ...rest, accessToken: accessToken ?? NO_KEY })
      : createGeminiProvider({ ...rest, apiKey, accessToken });
  },
};

const nova: Maker = {
  title: 'Amazon Nova 2 Sonic',
  facts: async () => (await import('../providers/nova/facts.ts')).NOVA,
  async create(config) {
    const { createNovaProvider } = await import('../providers/nova.ts');
    const { sensitivity, ...rest } = config.nova;
    return createNovaProvider({ ...rest, sensitivity: sensitivity && SENSITIVITY[sensitivity] });
  },
};

/** As the service spells it. */
const SENSITIVITY = { high: 'HIGH', medium: 'MEDIUM', low: 'LOW' } as const;

const local: Maker = {
  title: 'Line check',
  facts: async () => (await import('../providers/local/facts.ts')).LOCAL,
  create: async () => (await import('../providers/local.ts')).createLocalProvider(),
};

const MAKERS: Readonly<Record<ProviderName, Maker>> = {
  openai,
  'openai-live': openaiLive,
  gemini,
  nova,
  xai,
  azure,
  'azure-voice-live': azureVoiceLive,
  inworld,
  local,
};

/** An entry of this program. */
export interface BuiltInProvider extends ProviderEntry {
  readonly name: ProviderName;
}

/** The providers of this program, with what the environment lacks for each. Loads none of them. */
export function builtInProviders(config: ProviderSections): readonly BuiltInProvider[] {
  return PROVIDERS.map((name) => {
    const maker = MAKERS[name];
    const lacking = lacksOf(name, config);
    return {
      name,
      title: maker.title,
      lacks: lacking.length === 0 ? undefined : listed(lacking),
      facts: () => maker.facts(),
      create: () => maker.create(config),
    };
  });
}

function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

/** The providers of a service, and which of them take the calls of agents that name none. */
export interface ServiceProviders {
  readonly registry: ProviderRegistry;
  /** In the order in which they are tried, each once; at least one. */
  readonly usual: readonly [string, ...string[]];
}

/** One that the program has made, or the name of a known one. */
type Named = RealtimeProvider | string;

/** What a program says of providers; see `BridgeOptions`. */
export interface OwnProviders {
  readonly provider?: Named | readonly Named[] | undefined;
  readonly providers?: readonly ProviderEntry[] | undefined;
  readonly hooks?: readonly ProviderHooks[] | undefined;
}

/**
 * `provider`: those of the program, in the order in which they are tried, else those of the configuration. Throws
 * BAD_CONFIG for a name that is not known, for an empty list, for one that is in it twice, and when the program brings two
 * of one name.
 */
export function providersOf(config: Config, { provider, providers, hooks }: OwnProviders): ServiceProviders {
  const listed = asList(provider);
  const given = listed?.filter((one) => typeof one !== 'string');
  const registry = new ProviderRegistry({ builtIn: builtInProviders(config), own: providers, given, hooks });
  const names = (listed ?? config.providers).map((one) => (typeof one === 'string' ? one : one.name));
  const [first, ...others] = names.map((name) => registry.entry(name).name);
  if (first === undefined)
    throw new BridgeError('BAD_CONFIG', 'provider: found an empty list, wanted at least one');
  const twice = others.find((name, i) => name === first || others.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new BridgeError('BAD_CONFIG', `provider: found ${twice} twice, wanted each name once`);
  }
  return { registry, usual: [first, ...others] };
}

function asList(provider: OwnProviders['provider']): readonly Named[] | undefined {
  if (provider === undefined) return undefined;
  return typeof provider === 'string' || 'connect' in provider ? [provider] : provider;
}

/**
 * What calls of an agent outside of a file may be held with, in the order in which they are tried: those of `provider`, else
 * those that the agent lists, else those of the configuration. Rejects with BAD_CONFIG when one of them cannot be had.
 */
export async function candidatesFor(
  agent: Agent,
  { registry, usual }: ServiceProviders,
  { provider }: OwnProviders,
): Promise<readonly Candidate[]> {
  const own = provider === undefined ? agent.providers : [];
  const wishes =
    own.length > 0
      ? own.map((wanted) => ({ name: wanted.name, wanted }))
      : usual.map((name) => ({ name, wanted: agent.providers.find((one) => one.name === name) }));
  const candidates: Candidate[] = [];
  for (const { name, wanted } of wishes) candidates.push({ provider: await registry.named(name), wanted });
  return candidates;
}
