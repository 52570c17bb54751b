import { PROVIDER_SETTINGS, PROVIDERS, type ProviderName } from './provider-settings.ts';
import { lacksOf, type ProviderSections } from './providers.ts';
import { type Env, Reader } from './reader.ts';

/** Which of the providers that the environment has takes the calls of agents that name none. */

/** Who takes the calls of a service that does not say it, if the environment has all that it needs. */
const USUAL_ORDER: readonly ProviderName[] = [
  'openai',
  'gemini',
  'xai',
  'azure',
  'azure-voice-live',
  'nova',
  'inworld',
  'openai-live',
];

/** A provider that somebody has begun to configure. */
export interface BegunProvider {
  readonly name: ProviderName;
  /** Variables that it lacks still; at least one. */
  readonly lacks: readonly string[];
}

/** Variables that many machines have for something else. */
const FOR_ANYTHING: readonly string[] = [
  'AWS_REGION',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
];

/** Providers of which a variable is set that no other one has, and that lack something all the same. */
export function begunProviders(env: Env, config: ProviderSections): readonly BegunProvider[] {
  return ownVariablesSet(env)
    .map((name) => ({ name, lacks: lacksOf(name, config) }))
    .filter(({ lacks }) => lacks.length > 0);
}

function ownVariablesSet(env: Env): readonly ProviderName[] {
  const read = new Reader(env);
  const rows = PROVIDERS.flatMap((name) => PROVIDER_SETTINGS[name].map((row) => row.name));
  const isOwn = (variable: (typeof rows)[number]): boolean =>
    !FOR_ANYTHING.includes(variable) && rows.filter((row) => row === variable).length === 1;
  return PROVIDERS.filter((name) =>
    PROVIDER_SETTINGS[name].some((row) => isOwn(row.name) && read.text(row.name) !== undefined),
  );
}

/** The provider of a service that names none. */
export function usualProvider(config: ProviderSections): ProviderName {
  const { model, endpoint } = config.nova;
  // Many machines have a region and credentials of AWS, for something else.
  const hasNova = model !== undefined || endpoint !== undefined;
  const usable = (name: ProviderName): boolean =>
    (name !== 'nova' || hasNova) && lacksOf(name, config).length === 0;
  return USUAL_ORDER.find(usable) ?? 'local';
}

/**
 * The providers that `PROVIDER` names, in that order, or else the usual one alone: a key that is there for something else
 * is not used, because calls would cost money that nobody has agreed to. What a named one lacks is a mistake.
 */
export function readProviderList(
  read: Reader,
  config: ProviderSections,
): readonly [ProviderName, ...ProviderName[]] {
  const named = read.listOf('PROVIDER', PROVIDERS) ?? [];
  const [first = usualProvider(config), ...others] = named;
  const told = new Set<string>();
  for (const name of named) {
    for (const lacking of lacksOf(name, config)) {
      if (told.has(lacking)) continue;
      told.add(lacking);
      const why = others.length === 0 ? `PROVIDER is ${name}` : `PROVIDER names ${name}`;
      read.bad.push(`${lacking}: found nothing, wanted ${kindOf(lacking)} because ${why}`);
    }
  }
  return [first, ...others];
}

/** Providers of which a variable is set that no other one has, that lack nothing, and that are not among `used`. */
export function unusedProviders(
  env: Env,
  config: ProviderSections,
  used: readonly string[],
): readonly ProviderName[] {
  return ownVariablesSet(env).filter((name) => !used.includes(name) && lacksOf(name, config).length === 0);
}

function kindOf(variable: string): string {
  if (variable.endsWith('_KEY')) return 'a key';
  if (variable.endsWith('_TOKEN')) return 'a token';
  return variable.endsWith('_ENDPOINT') ? 'an address' : 'a name';
}
