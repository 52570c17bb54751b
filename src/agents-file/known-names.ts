import type { AgentsFile } from '../agents-file.ts';
import type { ProviderFacts } from '../provider.ts';
import type { AgentSpec } from './agent-spec.ts';
import { foundWords, meant } from './words.ts';

/** What can be known of providers without a session. */
export interface ProviderKnowledge {
  /** By name; those of the program itself are missing. */
  readonly facts: ReadonlyMap<string, ProviderFacts>;
  /** What the environment names for sessions of a provider that ask for nothing else. */
  usualOf(provider: string): { readonly model: string | undefined; readonly voice: string | undefined };
}

interface Choice {
  /** Who names it: `agent booking`, or `environment`. */
  readonly place: string;
  readonly provider: string;
  readonly kind: 'model' | 'voice';
  readonly value: string | undefined;
}

/** Models and voices that are in no list of their provider: often a voice of another one. Sentences, each once. */
export function unknownNames(
  file: AgentsFile,
  usual: readonly string[],
  known: ProviderKnowledge,
): readonly string[] {
  const choices = [...file.agents.values()].flatMap((spec) => choicesOf(spec, usual, known));
  return [...new Set(choices.flatMap((choice) => notesOn(choice, known.facts.get(choice.provider))))];
}

function choicesOf(spec: AgentSpec, usual: readonly string[], known: ProviderKnowledge): readonly Choice[] {
  const entries = spec.providers.length > 0 ? spec.providers : usual.map((name) => ({ name }));
  return entries.flatMap(
    (entry: { name: string; model?: string | undefined; voice?: string | undefined }) => {
      const { name: provider } = entry;
      const own = { model: entry.model, voice: entry.voice ?? spec.voice };
      const otherwise = known.usualOf(provider);
      return (['model', 'voice'] as const).map((kind) => ({
        place: own[kind] === undefined ? 'environment' : `agent ${spec.name}`,
        provider,
        kind,
        value: own[kind] ?? otherwise[kind],
      }));
    },
  );
}

function notesOn(
  { place, provider, kind, value }: Choice,
  facts: ProviderFacts | undefined,
): readonly string[] {
  // The line check says what it has to say in its own voice when it does not have the one that is asked for.
  const list = provider === 'local' ? [] : ((kind === 'model' ? facts?.models : facts?.voices) ?? []);
  if (value === undefined || list.length === 0 || isListed(value, list)) return [];
  const near = meant(value, list);
  const hint = near === undefined ? '' : `, did you mean ${JSON.stringify(near)}?`;
  return [
    `${place}: ${provider} is not known to have the ${kind} ${foundWords(value, false)}${hint} (lists age; docs/providers.md has the one of this version)`,
  ];
}

/** Also with a path before it: `models/…`, or the ARN of an inference profile. */
function isListed(value: string, list: readonly string[]): boolean {
  return list.includes(value) || list.includes(value.slice(value.lastIndexOf('/') + 1));
}
