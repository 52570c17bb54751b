import type { Agent } from './agents.ts';
import type { MachinePolicy } from './answering-machine.ts';
import type { ReportTerms } from './call-accounts.ts';
import type { AfterStream, CarrierName, IncomingCall } from './carrier.ts';
import { type Candidate, soleCandidate } from './fallback/candidate.ts';
import type { StartAnswer, StartRequest } from './hooks/start-hook.ts';
import type { RealtimeProvider } from './provider.ts';
import { type RecordedBy, type RecordingPlan, withRecording } from './recording-terms.ts';
import type { CallTerms } from './session-manager.ts';

/** Whom a call leads to before anybody was asked. */
export interface Assignment {
  /** Undefined: to nobody. */
  readonly agent: string | undefined;
  readonly variables: Readonly<Record<string, string>>;
  /** Of these, the ones that whoever placed the call has set: they stay, whatever anybody answers. */
  readonly ordered: Readonly<Record<string, string>>;
  /** Who records the call, if whoever placed it has said so: that stays as well. */
  readonly recording?: RecordedBy | undefined;
  /** Has the last word on agent and variables; undefined: nobody is asked. Never rejects. */
  readonly ask: ((request: StartRequest, signal: AbortSignal) => Promise<StartAnswer>) | undefined;
}

/** Whom a call was placed for. */
export interface PlacedFor {
  readonly agent: string;
  readonly carrier: CarrierName;
  readonly from: string;
}

/** Who may take calls: the agents that there are, and which number leads to whom. */
export interface Roster {
  /** Names, in the order of the file. */
  readonly agents: readonly string[];
  route(carrier: CarrierName, call: IncomingCall): Assignment;
  knows(agent: string): boolean;
  /** Who is told of a call that was placed and came to nothing, and of what; undefined: nobody. */
  reportOf(placed: PlacedFor, ordered: Readonly<Record<string, string>> | undefined): ReportTerms | undefined;
  /** Why no call of this one's number may begin any more today; undefined: it may. */
  spent(call: IncomingCall): 'busy' | 'rejected' | undefined;
  /** Undefined: there is no agent of that name. */
  outlook(agent: string): Outlook | undefined;
  /** What a call is treated by; undefined: there is no agent of that name. */
  termsFor(
    agent: string,
    carrier: CarrierName,
    call: IncomingCall,
    variables: Readonly<Record<string, string>>,
    recording?: RecordedBy,
  ): CallTerms | undefined;
}

/** Who holds the calls of an agent, for whoever starts the service. */
export interface Outlook {
  /** In the order in which they are tried. `model`: undefined where the agent names none. */
  readonly providers: readonly { readonly name: string; readonly model: string | undefined }[];
  /** What the caller gets when none of them is left. */
  readonly lastResort: AfterStream['type'];
}

/** Makes an `Outlook`. */
export function outlookOf(
  candidates: readonly Candidate[],
  { lastResort }: Pick<Agent, 'lastResort'>,
): Outlook {
  return {
    providers: candidates.map(({ provider, wanted }) => ({ name: provider.name, model: wanted?.model })),
    lastResort: lastResort.type,
  };
}

/** What else is said of the calls of the only agent. */
export interface SoleTerms {
  /** Has a call wait to be let in; undefined: nobody does. */
  readonly ask?: Assignment['ask'];
  /** Undefined: nobody has said anything. */
  readonly plan?: RecordingPlan | undefined;
  /** Of whoever placed a call. */
  readonly wishFor?: ((call: IncomingCall) => RecordedBy | undefined) | undefined;
}

/** A service with one agent, who takes all calls and costs nothing that is known. `providers`: in the order in which they are tried. */
export function soleAgent(
  agent: Agent,
  providers: RealtimeProvider | readonly Candidate[],
  machineFor: (call: IncomingCall) => MachinePolicy,
  terms: SoleTerms = {},
): Roster {
  const candidates = 'connect' in providers ? soleCandidate(providers) : providers;
  return {
    agents: [agent.name],
    route: (_carrier, call) => ({
      agent: agent.name,
      variables: {},
      ordered: {},
      recording: terms.wishFor?.(call),
      ask: terms.ask,
    }),
    knows: (name) => name === agent.name,
    reportOf: () => undefined,
    spent: () => undefined,
    outlook: (name) => (name === agent.name ? outlookOf(candidates, agent) : undefined),
    termsFor(_name, _carrier, call, variables, wish) {
      const own = {
        agent: { ...agent, variables: { ...agent.variables, ...variables } },
        providers: candidates,
        machine: machineFor(call),
      };
      return withRecording(own, terms.plan, wish);
    },
  };
}
