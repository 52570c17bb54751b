import { AgentBook, ownNumber } from './agent-book.ts';
import type { Agent, AgentProvider } from './agents.ts';
import type { CallFacts } from './agents-file/call-facts.ts';
import { plainNumber } from './agents-file/numbers.ts';
import type { AgentsFile } from './agents-file.ts';
import type { MachinePolicy } from './answering-machine.ts';
import type { ReportTerms } from './call-accounts.ts';
import { CARRIERS, type CarrierName, type IncomingCall } from './carrier.ts';
import type { Clock } from './clock.ts';
import type { Ledger, LedgerRules } from './cost/ledger.ts';
import { Edition } from './edition.ts';
import { BridgeError } from './errors.ts';
import type { Candidate } from './fallback/candidate.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { RealtimeProvider } from './provider.ts';
import { type RecordedBy, type RecordingPlan, withRecording } from './recording-terms.ts';
import { type Assignment, type Outlook, outlookOf, type PlacedFor, type Roster } from './roster.ts';
import type { CallTerms } from './session-manager.ts';
import { breathe } from './settle.ts';
import type { GuardedClient } from './tools/http/guarded-client.ts';
import { createHttpTool } from './tools/http.ts';
import type { McpPool } from './tools/mcp/pool.ts';
import type { Tool } from './tools.ts';

/** What an operator said of a call when it was ordered. */
export interface CallOrder {
  readonly agent?: string | undefined;
  readonly variables?: Readonly<Record<string, string>> | undefined;
  readonly recording?: RecordedBy | undefined;
}

export interface StaffDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** What an agent of the file has where it says nothing. */
  readonly base: Agent;
  /** Functions that the program brings. */
  readonly tools: readonly Tool[];
  readonly mcp: McpPool;
  readonly http: GuardedClient;
  readonly ledger: Ledger;
  /** How calls of agents that do not say are recorded; undefined: as `base` has it. */
  readonly recording?: RecordingPlan | undefined;
  readonly machineFor: (call: IncomingCall) => MachinePolicy;
  readonly orderFor: (call: IncomingCall) => CallOrder | undefined;
  /** Names of the providers that the service is configured for, in the order in which they are tried. */
  readonly usualProviders: readonly string[];
  /** Rejects with BAD_CONFIG when it cannot be had. */
  readonly providerNamed: (name: string) => Promise<RealtimeProvider>;
}

type Variables = Readonly<Record<string, string>>;

const NO_CALL: CallFacts = {
  callId: '…',
  carrier: CARRIERS[0],
  direction: 'inbound',
  from: '…',
  to: '…',
  callerName: '…',
  epochMs: 0,
};

/** The agents of the file that is in force, for calls that begin now. */
export class Staff implements Roster {
  readonly #deps: StaffDeps;
  #edition: Edition;

  private constructor(deps: StaffDeps, edition: Edition) {
    this.#deps = deps;
    this.#edition = edition;
  }

  /** Rejects with BAD_CONFIG when an agent of the file cannot work here. */
  static async begin(file: AgentsFile, deps: StaffDeps): Promise<Staff> {
    const edition = await editionOf(file, deps);
    deps.ledger.configure(rulesOf(edition.book));
    return new Staff(deps, edition);
  }

  get book(): AgentBook {
    return this.#edition.book;
  }

  get agents(): readonly string[] {
    return this.book.agents;
  }

  /** Calls that begin from now on are taken by the agents of this file; rejects, and changes nothing, like `begin`. */
  async change(file: AgentsFile): Promise<void> {
    const edition = await editionOf(file, this.#deps);
    const last = this.#edition;
    this.#edition = edition;
    this.#deps.ledger.configure(rulesOf(edition.book));
    last.retire();
  }

  route(carrier: CarrierName, call: IncomingCall): Assignment {
    const edition = this.#edition;
    const found = edition.book.route({ carrier, number: ownNumber(call) });
    const order = this.#deps.orderFor(call);
    const agent = order?.agent ?? found?.agent;
    const known = agent !== undefined && edition.book.has(agent) ? agent : undefined;
    const hook = edition.startHook(known);
    return {
      agent: known,
      variables: { ...found?.variables, ...order?.variables },
      ordered: order?.variables ?? {},
      recording: order?.recording,
      ask: hook === undefined ? undefined : (request, signal) => hook.ask(request, signal),
    };
  }

  knows(agent: string): boolean {
    return this.#edition.book.has(agent);
  }

  reportOf({ agent, carrier, from }: PlacedFor, ordered: Variables | undefined): ReportTerms | undefined {
    const { book } = this.#edition;
    const endHook = book.has(agent) ? book.endHook(agent) : undefined;
    if (endHook === undefined) return undefined;
    const given = { ...book.route({ carrier, number: from })?.variables, ...ordered };
    return { endHook, variables: book.variables(agent, given) };
  }

  spent(call: IncomingCall): 'busy' | 'rejected' | undefined {
    const may = this.#deps.ledger.mayBegin(accountOf(call));
    if (may === 'yes') return undefined;
    this.#deps.metrics.budgetRefused(may === 'day-spent' ? 'day' : 'number');
    return this.#edition.book.file.budget?.refusal ?? 'busy';
  }

  outlook(agent: string): Outlook | undefined {
    const { book } = this.#edition;
    const providers = this.#edition.providersOf(agent);
    if (providers === undefined) return undefined;
    // Of no call in particular: what it says depends on the call, and what it is does not.
    return outlookOf(providers, book.agentFor(agent, NO_CALL, {}, []));
  }

  termsFor(
    agent: string,
    carrier: CarrierName,
    call: IncomingCall,
    variables: Variables,
    recording?: RecordedBy,
  ): CallTerms | undefined {
    const edition = this.#edition;
    const providers = edition.providersOf(agent);
    if (providers === undefined) return undefined;
    const { callId, direction, from, to, callerName } = call;
    const epochMs = this.#deps.clock.epoch();
    const facts: CallFacts = { callId, carrier, direction, from, to, callerName, epochMs };
    const tools = edition.toolsFor(agent, facts, variables);
    const terms = {
      agent: edition.book.agentFor(agent, facts, variables, tools),
      providers,
      machine: this.#deps.machineFor(call),
      account: {
        number: accountOf(call),
        prices: edition.prices,
        budget: edition.book.budget(agent, facts, variables),
        endHook: edition.book.endHook(agent),
        variables: edition.book.variables(agent, variables),
        hold: () => edition.hold(),
      },
    };
    return withRecording(terms, edition.book.recordingPlan(agent) ?? this.#deps.recording, recording);
  }

  close(): void {
    this.#edition.retire();
  }
}

/** Carriers write one number, and even more so one address, in several ways. */
function accountOf(call: IncomingCall): string {
  return plainNumber(ownNumber(call));
}

async function editionOf(file: AgentsFile, deps: StaffDeps): Promise<Edition> {
  const book = new AgentBook(file, deps.base);
  const providers = await providersOf(file, deps);
  await breathe();
  const tools = await toolsOf(file, deps);
  // Last, because it starts programs that nobody would stop if something else failed.
  const mcp = deps.mcp.use(file.tools.mcp);
  await mcp.ready;
  return new Edition({ book, providers, tools, mcp, clock: deps.clock, log: deps.log });
}

/** Of every agent the providers that can be had. Rejects with BAD_CONFIG when one has none. */
async function providersOf(
  file: AgentsFile,
  deps: StaffDeps,
): Promise<ReadonlyMap<string, readonly Candidate[]>> {
  const found = new Map<string, readonly Candidate[]>();
  const bad: string[] = [];
  for (const { name, providers } of file.agents.values()) {
    const { candidates, failures } = await candidatesOf(providers, deps);
    if (candidates.length === 0) bad.push(`agent ${name} has no provider: ${failures.join('; ')}`);
    else found.set(name, candidates);
    if (candidates.length > 0 && failures.length > 0)
      deps.log.warn({ agent: name, failures }, 'a provider of an agent cannot be used');
  }
  if (bad.length > 0) throw new BridgeError('BAD_CONFIG', `${file.path}: ${bad.join('\n')}`);
  return found;
}

/** Those that can be had, and why others cannot. */
async function candidatesOf(listed: readonly AgentProvider[], deps: StaffDeps) {
  const failures: string[] = [];
  const candidates: Candidate[] = [];
  const usual = deps.usualProviders.map((name) => ({ name, wanted: undefined }));
  const wishes = listed.length === 0 ? usual : listed.map((wanted) => ({ name: wanted.name, wanted }));
  for (const { name, wanted } of wishes) {
    try {
      candidates.push({ provider: await deps.providerNamed(name), wanted });
    } catch (thrown) {
      failures.push(`${name}: ${BridgeError.from(thrown).plainMessage}`);
    }
  }
  return { candidates, failures };
}

async function toolsOf(file: AgentsFile, { tools, http }: StaffDeps): Promise<ReadonlyMap<string, Tool>> {
  const { hosts, redact, http: specs, handlers } = file.tools;
  const own: Tool[] = [];
  for (const [name, spec] of Object.entries(specs)) {
    own.push(createHttpTool(name, spec, { hosts, client: http, redact }));
    // Each compiles a schema, and calls are up meanwhile.
    await breathe();
  }
  return new Map([...tools, ...handlers, ...own].map((tool) => [tool.definition.name, tool]));
}

function rulesOf(book: AgentBook): LedgerRules {
  const { prices, timeZone, budget } = book.file;
  return {
    currency: prices?.currency,
    timeZone,
    perDay: budget?.perDay,
    perNumber: (number) => entryOf(book, number)?.budget?.perDay,
    patternOf(number) {
      const entry = entryOf(book, number);
      return entry && plainNumber(entry.number);
    },
  };
}

/** What the file says of a number: with a budget, if that of any carrier has one. */
function entryOf(book: AgentBook, number: string): AgentsFile['numbers'][number] | undefined {
  const entries = CARRIERS.map((carrier) => book.route({ carrier, number })?.entry);
  return entries.find((entry) => entry?.budget !== undefined) ?? entries.find((entry) => entry !== undefined);
}
