import type { AnswerOf } from '../calls-api/shapes.ts';
import { isRecord } from '../is-record.ts';

/** One answer that is made of those of all workers. */

type Readiness = AnswerOf<'Readiness'>;
type ProviderState = Readiness['providers'][number];
type WorkerCounts = NonNullable<Readiness['workers']>;

/** Worst last. */
const STATES: readonly ProviderState['state'][] = ['closed', 'half-open', 'open'];

/** Whether new calls are welcome. `answers`: what workers say of themselves. */
export function readiness(
  answers: readonly unknown[],
  terms: { readonly draining: boolean; readonly maxCalls: number; readonly workers: WorkerCounts },
): Readiness {
  const said = answers.filter(isRecord);
  const calls = said.reduce((sum, { calls: own }) => sum + (typeof own === 'number' ? own : 0), 0);
  const { draining, maxCalls, workers } = terms;
  const full = said.every(({ status }) => status === 'full') || calls >= maxCalls;
  const status = draining ? 'draining' : workers.up === 0 ? 'starting' : full ? 'full' : 'ready';
  return {
    status,
    calls,
    maxCalls,
    providers: worst(said.flatMap(({ providers }) => states(providers))),
    workers,
  };
}

/** Calls of all workers, the newest first. */
export function callList(answers: readonly unknown[], limit: number): AnswerOf<'CallList'> {
  const calls = answers.flatMap((answer) =>
    isRecord(answer) && Array.isArray(answer['calls']) ? (answer['calls'] as AnswerOf<'Call'>[]) : [],
  );
  // Those of one moment stay as they are.
  calls.sort((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0));
  return { calls: calls.slice(0, limit) };
}

function states(value: unknown): readonly ProviderState[] {
  return Array.isArray(value) ? (value as ProviderState[]) : [];
}

/** Of every provider, what the worker says that has the most trouble with it. */
function worst(all: readonly ProviderState[]): ProviderState[] {
  const found = new Map<string, ProviderState>();
  for (const state of all) {
    const known = found.get(state.provider);
    if (known === undefined || STATES.indexOf(state.state) > STATES.indexOf(known.state))
      found.set(state.provider, state);
  }
  return [...found.values()];
}
