import type { Agent } from './agents.ts';
import type { MachinePolicy } from './answering-machine.ts';
import type { IncomingCall } from './carrier.ts';
import type { RealtimeProvider } from './provider.ts';
import type { Roster } from './reception.ts';

/** A service with one agent, who takes all calls and costs nothing that is known. */
export function soleAgent(
  agent: Agent,
  provider: RealtimeProvider,
  machineFor: (call: IncomingCall) => MachinePolicy,
): Roster {
  return {
    agents: [agent.name],
    route: () => ({ agent: agent.name, variables: {}, ordered: {}, ask: undefined }),
    knows: (name) => name === agent.name,
    reportOf: () => undefined,
    spent: () => undefined,
    termsFor: (_name, _carrier, call, variables) => ({
      agent: { ...agent, variables: { ...agent.variables, ...variables } },
      provider,
      machine: machineFor(call),
    }),
  };
}
