import { AgentBook } from '../agent-book.ts';
import type { Agent, AgentProvider } from '../agents.ts';
import type { AgentsFile, NumberEntry } from '../agents-file.ts';
import { type AfterStream, CARRIERS, type CarrierName } from '../carrier.ts';
import type { RecordedBy, RecordingPlan } from '../recording-terms.ts';
import type { AgentSpec } from './agent-spec.ts';
import type { CallFacts } from './call-facts.ts';
import { type ProviderKnowledge, unknownNames } from './known-names.ts';
import { providerNotes } from './provider-notes.ts';
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
  /** In the order in which they are tried; one that lacks something is never dialled. */
  readonly providers: readonly ProviderSummary[];
  readonly failover: {
    readonly connectSeconds: number;
    /** 0: never. */
    readonly hedgeSeconds: number;
    /** 0: never. */
    readonly answerSeconds: number;
    readonly filler: 'none' | 'tone' | 'clip';
    readonly fillerAfterMs: number | undefined;
  };
  readonly functions: readonly string[];
  readonly turnDetection: Agent['turnDetection'];
  /** Host, with its port, of who is asked and who is told; undefined: nobody. */
  readonly webhooks: { readonly start: string | undefined; readonly end: string | undefined };
  readonly language: string | undefined;
  readonly audio: Agent['audio'];
  readonly recording: RecordingPlan;
  readonly maxCallSeconds: number;
  readonly perCall: number | undefined;
  /** What the caller gets when no provider is left. */
  readonly lastResort: AfterStream['type'];
  /** What the carrier says then; undefined: nothing to the caller. */
  readonly lastResortText: string | undefined;
}

/** One provider of an agent. */
export interface ProviderSummary {
  readonly name: string;
  readonly model: string | undefined;
  /** Undefined: the provider's own choice. */
  readonly voice: string | undefined;
  /** What the environment lacks for it. */
  readonly lacks: string | undefined;
}

interface Setting extends ProviderKnowledge {
  /** Who records the calls of agents that do not say; default: nobody. */
  readonly recording?: RecordedBy | undefined;
  readonly providers: readonly KnownProvider[];
  /** The providers of agents that name none, in the order in which they are tried. */
  readonly usual: readonly string[];
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
      ...providerNotes(agents, file, setting.base),
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
  const { connectMs, hedgeMs, answerMs, gapFiller } = agent.failover;
  const { lastResort } = agent;
  return {
    name: spec.name,
    providers: providersOf(agent, setting),
    failover: {
      connectSeconds: connectMs / 1000,
      hedgeSeconds: hedgeMs / 1000,
      answerSeconds: answerMs / 1000,
      filler: gapFiller === undefined ? 'none' : gapFiller.clips === undefined ? 'tone' : 'clip',
      fillerAfterMs: gapFiller?.afterMs,
    },
    functions: spec.tools.map(functionWords),
    turnDetection: agent.turnDetection,
    webhooks: { start: hostOf(book.startHook(spec.name)), end: hostOf(book.endHook(spec.name)) },
    language: agent.language,
    audio: agent.audio,
    recording: book.recordingPlan(spec.name) ?? { by: setting.recording ?? 'off', redact: undefined },
    maxCallSeconds: agent.maxCallMs / 1000,
    perCall: spec.budget?.perCall,
    lastResort: lastResort.type,
    lastResortText: 'text' in lastResort ? lastResort.text : undefined,
  };
}

function providersOf(agent: Agent, { providers, usual, usualOf }: Setting): readonly ProviderSummary[] {
  const wishes: readonly Pick<AgentProvider, 'name' | 'model' | 'voice'>[] =
    agent.providers.length > 0
      ? agent.providers
      : usual.map((name) => ({ name, model: undefined, voice: undefined }));
  return wishes.map(({ name, model, voice }) => ({
    name,
    model,
    voice: voice ?? agent.voice ?? usualOf(name).voice,
    lacks: providers.find((known) => known.name === name)?.lacks,
  }));
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
    for (const name of providers.length > 0 ? providers.map((one) => one.name) : usual) used.add(name);
  }
  return [...used]
    .filter((name) => name !== 'local' && !priced.some((key) => key === name || key.startsWith(`${name}/`)))
    .map((name) => `prices: ${name} has none, so that what it costs is in no budget`);
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
