import type { KnownProvider } from '../agents-file/references.ts';
import type { Config } from '../config.ts';
import { BridgeError } from '../errors.ts';
import type { RealtimeProvider } from '../provider.ts';

type ClosableProvider = RealtimeProvider & { close?(): Promise<void> };

/** The providers of a service, each made when somebody first asks for it: all of them would cost start-up time. */
export class ProviderPool {
  readonly #config: Config;
  readonly #given: RealtimeProvider | undefined;
  readonly #made = new Map<string, Promise<ClosableProvider>>();

  /** `given` is the program's own, which it also closes. */
  constructor(config: Config, given: RealtimeProvider | undefined) {
    this.#config = config;
    this.#given = given;
  }

  /** The one that the service is configured for. */
  get defaultName(): string {
    return this.#given?.name ?? this.#config.provider;
  }

  get known(): readonly KnownProvider[] {
    const own = this.#given === undefined ? [] : [{ name: this.#given.name, lacks: undefined }];
    return [...own, ...knownProviders(this.#config).filter(({ name }) => name !== this.#given?.name)];
  }

  /** Rejects with BAD_CONFIG for one that is not known, or that lacks something. */
  async named(name: string): Promise<RealtimeProvider> {
    if (this.#given?.name === name) return this.#given;
    const known = this.known.find((one) => one.name === name);
    if (known === undefined) throw new BridgeError('BAD_CONFIG', `there is no provider ${name}`);
    if (known.lacks !== undefined) throw new BridgeError('BAD_CONFIG', `${known.lacks} is not set`);
    let made = this.#made.get(name);
    if (made === undefined) {
      made = make(name, this.#config);
      this.#made.set(name, made);
    }
    return await made;
  }

  /** Never rejects. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#made.values()].map(async (made) => (await made).close?.()));
  }
}

/** Providers that this program knows, and what each still needs. */
export function knownProviders({ openai }: Pick<Config, 'openai'>): readonly KnownProvider[] {
  const reachable = openai.apiKey !== undefined || openai.baseUrl !== undefined;
  return [
    { name: 'openai', lacks: reachable ? undefined : 'OPENAI_API_KEY' },
    { name: 'local', lacks: undefined },
  ];
}

async function make(name: string, { openai }: Config): Promise<ClosableProvider> {
  if (name === 'local') {
    const { createLocalProvider } = await import('../providers/local.ts');
    return createLocalProvider();
  }
  const { createOpenAiProvider } = await import('../providers/openai.ts');
  const { apiKey, ...settings } = openai;
  // A server on this machine may not ask for a key, but the protocol wants one to be sent.
  return createOpenAiProvider({ ...settings, apiKey: apiKey ?? 'no-key' });
}
