import type { Env } from '../config.ts';
import type { KnownProvider } from './references.ts';

/** The providers that an agents file can name, and what each lacks in this environment to be used. */
export function knownProviders(env: Env): readonly KnownProvider[] {
  const has = (name: string): boolean => (env[name]?.trim() ?? '') !== '';
  const openai = has('OPENAI_API_KEY') || has('OPENAI_BASE_URL') ? undefined : 'OPENAI_API_KEY';
  return [
    { name: 'openai', lacks: openai },
    { name: 'local', lacks: undefined },
  ];
}
