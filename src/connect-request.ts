import { type Agent, preferredFormats } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Clock } from './clock.ts';
import type { ConnectRequest, RealtimeProvider } from './provider.ts';

/** The model that a session of this agent is held with; undefined: not known. */
export function modelFor(agent: Agent, provider: RealtimeProvider): string | undefined {
  return agent.providers.find(({ name }) => name === provider.name)?.model ?? provider.model;
}

/** What a provider is told of an agent that is to speak on a line of this format. */
export function connectRequest(
  agent: Agent,
  provider: RealtimeProvider,
  line: AudioFormat,
  clock: Clock,
): ConnectRequest {
  const own = agent.providers.find(({ name }) => name === provider.name);
  return {
    instructions: agent.instructions,
    model: own?.model,
    voice: own?.voice ?? agent.voice,
    language: agent.language,
    tools: agent.tools.map((tool) => tool.definition),
    turnDetection: agent.turnDetection,
    transcribeCaller: agent.transcribeCaller,
    preferredFormats: preferredFormats(agent, line),
    history: [],
    overrides: own?.overrides ?? {},
    clock,
  };
}
