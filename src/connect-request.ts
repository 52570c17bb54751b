import { type Agent, preferredFormats } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Clock } from './clock.ts';
import type { Candidate } from './fallback/candidate.ts';
import type { ConnectRequest, HistoryItem } from './provider.ts';

/** Where in the conversation a session begins. */
export interface Beginning {
  /** Empty: at its start. */
  readonly history: readonly HistoryItem[];
  /** See `ConnectRequest`. */
  readonly resume?: string | undefined;
}

/** What a provider is told of an agent that is to speak on a line of this format. */
export function connectRequest(
  agent: Agent,
  { wanted }: Candidate,
  line: AudioFormat,
  clock: Clock,
  { history, resume }: Beginning,
): ConnectRequest {
  return {
    instructions: agent.instructions,
    model: wanted?.model,
    voice: wanted?.voice ?? agent.voice,
    language: agent.language,
    tools: agent.tools.map((tool) => tool.definition),
    turnDetection: agent.turnDetection,
    transcribeCaller: agent.transcribeCaller,
    preferredFormats: preferredFormats(agent, line),
    history,
    // Whoever goes on is asked to speak when it is known what the caller waits for.
    respond: history.length === 0 ? undefined : false,
    resume,
    overrides: wanted?.overrides ?? {},
    clock,
  };
}
