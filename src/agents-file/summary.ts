import { AgentBook } from '../agent-book.ts';
import type { Agent } from '../agents.ts';
import type { AgentsFile, NumberEntry } from '../agents-file.ts';
import { type AfterStream, CARRIERS, type CarrierName } from '../carrier.ts';
import { GOODBYE_MARGIN_MS } from '../goodbye.ts';
import type { AgentSpec } from './agent-spec.ts';
import type { CallFacts } from './call-facts.ts';
import { type ProviderKnowledge, unknownNames } from './known-names.ts';
import type { KnownProvider } from './references.ts';
import { fill } from './template.ts';
import type { ToolEntry } from './tool-entries.ts';

/** What an agents file does, for whoever wants to know before the first call: the JSON of `patchcord check --json`. */
export interface Summary {
  readonly file: string;
  readonly numbers: readonly NumberSummary[];
  readonly agents: readonly AgentSummary[];
  /** Of all calls together; undefined: none. */
  readonly budget: AgentsFile['budget'];
  /** What is allowed and probably not meant. */
  readonly notes: readonly string[];
}

export interface NumberSummary {
  /** As it is in the file. */
  readonly number: string;
  /** Undefined: any. */
  readonly carrier: CarrierName | undefined;
  readonly agent: string;
  /** Undefined: the agent waits for the caller. */
  readonly greeting: string | undefined;
  readonly perDay: number | undefined;
}

export interface AgentSummary {
  readonly name: string;
  /** In order of preference: the first that lacks nothing has all calls. */
  readonly providers: readonly {
    readonly name: string;
    readonly model: string | undefined;
    /** What the environment lacks for it. */
    readonly lacks: string | undefined;
  }[];
  readonly functions: readonly string[];
  readonly turnDetection: Agent['turnDetection'];
  /** Host, with its port, of who is asked and who is told; undefined: nobody. */
  readonly webhooks: { readonly start: string | undefined; readonly end: string | undefined };
  readonly language: string | undefined;
  readonly audio: Agent['audio'];
  readonly recording: boolean;
  /** What the agent may talk, or less: a call is not gone on with in a second session of its provider. */
  readonly maxCallSeconds: number;
  /** Why it is less; undefined: it is not. */
  readonly maxCallReason: string | undefined;
  readonly perCall: number | undefined;
  /** What the caller gets when no provider is left. */
  readonly lastResort: AfterStream['type'];
}

interface Setting extends ProviderKnowledge {
  readonly providers: readonly KnownProvider[];
  /** The provider of agents that name none. */
  readonly usual: string;
  /** Has what agents leave out. */
  readonly base: Agent;
}

/** Says what becomes of the calls of every number. */
export function summarize(file: AgentsFile, setting: Setting): Summary {
  const book = new AgentBook(file, setting.base);
  const agents = [...file.agents.values()].map((spec) => agentSummary(spec, book, setting));
  return {
    file: file.path,
    numbers: file.numbers.map((entry) => numberSummary(entry, book)),
    agents,
    budget: file.budget,
    notes: [
      ...unreached(file),
      ...unlisted(file),
      ...unpriced(file, setting),
      ...namedTwice(file),
      ...unknownNames(file, setting.usual, setting),
      ...lacking(agents),
      ...spokenLiterally(file),
    ],
  };
}

/** Stands for a call that nobody has made; what is not known of it shows as the name of the variable. */
function factsOf(entry: NumberEntry | undefined): CallFacts {
  return {
    callId: '…',
    carrier: entry?.carrier ?? CARRIERS[0],
    direction: 'inbound',
    from: '…',
    to: entry?.number ?? '…',
    callerName: '…',
    epochMs: 0,
  };
}

function numberSummary(entry: NumberEntry, book: AgentBook): NumberSummary {
  const { greeting } = book.spec(entry.agent);
  const { agent, number, carrier } = entry;
  return {
    number,
    carrier,
    agent,
    greeting:
      typeof greeting === 'string'
        ? // What is known before the call; the rest stays as it is written.
          fill(greeting, withValue(book.variables(agent, entry.variables)), 'keep')
        : book.agentFor(agent, factsOf(entry), entry.variables, []).greeting,
    perDay: entry.budget?.perDay,
  };
}

/** Without those that are declared and get their value with the call. */
function withValue(variables: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

function agentSummary(spec: AgentSpec, book: AgentBook, setting: Setting): AgentSummary {
  const agent = book.agentFor(spec.name, factsOf(undefined), {}, []);
  const named = agent.providers.length > 0 ? agent.providers : [{ name: setting.usual, model: undefined }];
  const providers = named.map(({ name, model }) => ({
    name,
    model,
    lacks: setting.providers.find((known) => known.name === name)?.lacks,
  }));
  const chosen = providers.find(({ lacks }) => lacks === undefined)?.name;
  return {
    name: spec.name,
    providers,
    functions: spec.tools.map(functionWords),
    turnDetection: agent.turnDetection,
    webhooks: { start: hostOf(book.startHook(spec.name)), end: hostOf(book.endHook(spec.name)) },
    language: agent.language,
    audio: agent.audio,
    recording: agent.recording,
    ...longestCall(agent, chosen, setting),
    perCall: spec.budget?.perCall,
    lastResort: agent.lastResort.type,
  };
}

function longestCall(
  { maxCallMs }: Agent,
  provider: string | undefined,
  { facts }: Setting,
): Pick<AgentSummary, 'maxCallSeconds' | 'maxCallReason'> {
  const sessionMs = provider === undefined ? undefined : facts.get(provider)?.capabilities.maxSessionMs;
  if (sessionMs === undefined || sessionMs - GOODBYE_MARGIN_MS >= maxCallMs) {
    return { maxCallSeconds: maxCallMs / 1000, maxCallReason: undefined };
  }
  return {
    maxCallSeconds: (sessionMs - GOODBYE_MARGIN_MS) / 1000,
    maxCallReason: `a session of ${provider} lasts ${sessionMs / 60_000} min, and the last minute is for the goodbye`,
  };
}

/** Not the rest of the address, in which there may be a key. */
function hostOf(hook: { readonly url: string } | undefined): string | undefined {
  return hook && new URL(hook.url).host;
}

/** One function of an agent, as it would be listed. */
function functionWords(entry: ToolEntry): string {
  if (entry.type === 'mcp') return `${entry.server}/${entry.pattern}`;
  if (entry.type === 'built-in' && entry.name === 'transfer_call') {
    return `transfer_call (${entry.destinations.map(({ name }) => name).join(', ')})`;
  }
  return entry.name;
}

function unreached(file: AgentsFile): readonly string[] {
  const reached = new Set(file.numbers.map(({ agent }) => agent));
  return [...file.agents.keys()]
    .filter((name) => !reached.has(name))
    .map((name) => `agent ${name}: no number leads to it; only a start webhook or POST /calls can`);
}

/** Functions that are described and that no agent may call. */
function unlisted(file: AgentsFile): readonly string[] {
  const entries = [...file.agents.values()].flatMap(({ tools }) => tools);
  const named = new Set(entries.flatMap((entry) => (entry.type === 'named' ? [entry.name] : [])));
  const servers = new Set(entries.flatMap((entry) => (entry.type === 'mcp' ? [entry.server] : [])));
  const names = [
    ...Object.keys(file.tools.http),
    ...file.tools.handlers.map(({ definition }) => definition.name),
  ];
  return [
    ...names.filter((name) => !named.has(name)).map((name) => `function ${name}: no agent lists it`),
    ...Object.keys(file.tools.mcp)
      .filter((name) => !servers.has(name))
      .map((name) => `MCP server ${name}: no agent lists a function of it`),
  ];
}

/** A budget that is never spent, because what its calls use has no price. */
function unpriced(file: AgentsFile, { usual }: Setting): readonly string[] {
  if (file.prices === undefined) return [];
  const priced = Object.keys(file.prices.providers);
  const counts = file.budget !== undefined || file.numbers.some(({ budget }) => budget !== undefined);
  const used = new Set<string>();
  for (const { budget, providers } of file.agents.values()) {
    if (!counts && budget === undefined) continue;
    for (const { name } of providers.length > 0 ? providers : [{ name: usual }]) used.add(name);
  }
  return [...used]
    .filter((name) => name !== 'local' && !priced.some((key) => key === name || key.startsWith(`${name}/`)))
    .map((name) => `prices: ${name} has none, so that what it costs is in no budget`);
}

/** Of an agent's entries for one provider, the first one holds whatever happens. */
function namedTwice(file: AgentsFile): readonly string[] {
  return [...file.agents.values()].flatMap((agent) => {
    const names = agent.providers.map(({ name }) => name);
    const again = new Set(names.filter((name, i) => names.indexOf(name) !== i));
    return [...again].map(
      (name) => `agent ${agent.name}: names the provider ${name} more than once; only the first is ever used`,
    );
  });
}

function lacking(agents: readonly AgentSummary[]): readonly string[] {
  return agents
    .filter(({ providers }) => providers.every(({ lacks }) => lacks !== undefined))
    .map(
      ({ name }) =>
        `agent ${name}: none of its providers can be used in this environment; \`serve\` will not start here`,
    );
}

const FROM_ENVIRONMENT = /(?<!\$)\$\{[A-Za-z_][A-Za-z0-9_]*\}/;

/** Somebody expects the environment where nobody looks into it. */
function spokenLiterally({ variables, agents, numbers }: AgentsFile): readonly string[] {
  const texts: (readonly [place: string, text: string])[] = [
    ...valuesOf('variables', variables),
    ...[...agents.values()].flatMap((agent) => {
      const at = `agents.${agent.name}`;
      const { instructions = '', greeting } = agent;
      return [
        [`${at}.instructions`, instructions] as const,
        [`${at}.greeting`, typeof greeting === 'string' ? greeting : ''] as const,
        ...valuesOf(`${at}.variables`, agent.variables),
      ];
    }),
    ...numbers.flatMap((entry, i) => valuesOf(`numbers.${i}.variables`, entry.variables)),
  ];
  return texts.flatMap(([place, text]) => {
    const piece = FROM_ENVIRONMENT.exec(text)?.[0];
    if (piece === undefined) return [];
    return [
      `${place}: ${piece} is no variable of the environment here, only below tools and webhooks; it stays as it is written`,
    ];
  });
}

function valuesOf(place: string, variables: Readonly<Record<string, string>>) {
  return Object.entries(variables).map(([name, value]) => [`${place}.${name}`, value] as const);
}
