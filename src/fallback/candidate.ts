import type { AgentProvider } from '../agents.ts';
import type { RealtimeProvider } from '../provider.ts';

/** One of the providers that a call may be held with. */
export interface Candidate {
  readonly provider: RealtimeProvider;
  /** What the agent wants of it; undefined: nothing in particular. */
  readonly wanted: AgentProvider | undefined;
  /** Dialled in its place, and judged as it: the same provider behind a recorder. */
  readonly dialled?: RealtimeProvider | undefined;
}

/** The model that a session with it is held with; undefined: not known. */
export function modelOf({ provider, wanted }: Candidate): string | undefined {
  return wanted?.model ?? provider.model;
}

/** For a service that has one provider. */
export function soleCandidate(provider: RealtimeProvider): readonly [Candidate] {
  return [{ provider, wanted: undefined }];
}
