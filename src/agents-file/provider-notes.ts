import type { Agent } from '../agents.ts';
import type { AgentsFile } from '../agents-file.ts';
import { clipFor } from '../fallback/gap-filler.ts';
import type { AgentSpec } from './agent-spec.ts';
import type { AgentSummary, ProviderSummary } from './summary.ts';

/** What is allowed and probably not meant in the lists of providers, and in what holds when one of them fails. */
export function providerNotes(
  agents: readonly AgentSummary[],
  file: AgentsFile,
  base: Agent,
): readonly string[] {
  return [
    ...alone(agents),
    ...agents.flatMap(({ name, providers, failover }) => {
      const usable = providers.filter(({ lacks }) => lacks === undefined);
      const notes = [...lineCheck(usable), ...voices(usable), ...hedge(usable, failover), ...hasty(failover)];
      const spec = file.agents.get(name);
      if (spec !== undefined) notes.push(...clips(spec, base));
      return notes.map((note) => `agent ${name}: ${note}`);
    }),
  ];
}

/** Of agents on one line, so many. */
const MOST_NAMES = 8;

/** One note for all agents that have the same provider and no other: most services begin like that. */
function alone(agents: readonly AgentSummary[]): readonly string[] {
  const byProvider = new Map<string, string[]>();
  for (const { name, providers } of agents) {
    const [only, ...others] = providers.filter(({ lacks }) => lacks === undefined);
    if (only === undefined || others.length > 0 || only.name === 'local') continue;
    const names = byProvider.get(only.name) ?? [];
    names.push(name);
    byProvider.set(only.name, names);
  }
  return [...byProvider].map(([provider, names]) => {
    const shown = names.slice(0, MOST_NAMES).join(', ');
    const rest = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
    const many = names.length > 1;
    return `agent${many ? 's' : ''} ${shown}${rest}: no provider but ${provider}; a call that loses it is dialled anew at the same one`;
  });
}

function lineCheck(usable: readonly ProviderSummary[]): readonly string[] {
  if (usable.length < 2 || !usable.some(({ name }) => name === 'local')) return [];
  return [
    'local is the line check and no model: a caller who is handed to it talks with a measuring program',
  ];
}

/** The caller hears another voice than before where nobody has chosen one, or where two of one provider differ. */
function voices(usable: readonly ProviderSummary[]): readonly string[] {
  const models = usable.filter(({ name }) => name !== 'local');
  const chosen = models.find(({ voice }) => voice !== undefined);
  const without = models.find(({ voice }) => voice === undefined);
  if (chosen !== undefined && without !== undefined) {
    return [
      `${chosen.name} has a voice and ${without.name} none: whoever takes over there speaks with a voice that nobody has chosen`,
    ];
  }
  const again = models.find(({ name, voice }, i) =>
    models.slice(0, i).some((before) => before.name === name && before.voice !== voice),
  );
  return again === undefined
    ? []
    : [`its entries for ${again.name} have different voices, so that a caller hears the change`];
}

function hedge(
  usable: readonly ProviderSummary[],
  { connectSeconds, hedgeSeconds }: AgentSummary['failover'],
): readonly string[] {
  if (usable.length < 2 || hedgeSeconds === 0 || hedgeSeconds < connectSeconds) return [];
  return [
    `nobody is dialled beside a slow provider, because that would be after ${hedgeSeconds} s and it is given up after ${connectSeconds} s`,
  ];
}

/** A model that thinks, or is far away, takes two seconds now and then. */
const HASTY_S = 3;

function hasty({ answerSeconds }: AgentSummary['failover']): readonly string[] {
  if (answerSeconds === 0 || answerSeconds >= HASTY_S) return [];
  return [`a provider is given up that takes ${answerSeconds} s to answer, and good ones do so now and then`];
}

/** A sound for other languages than that of the agent. */
function clips(spec: AgentSpec, base: Agent): readonly string[] {
  const filler = spec.failover?.filler;
  const given = typeof filler === 'object' ? filler.clips : undefined;
  const language = spec.language ?? base.language;
  if (given === undefined || clipFor(given, language) !== undefined) return [];
  return [
    `failover.filler.clip has nothing for ${language ?? 'an agent without a language'} and no default, so that a soft tone is heard`,
  ];
}
