import type { CallEvent } from '../call-events.ts';
import { modelName } from '../cost/call-bill.ts';
import type { Metrics } from '../metrics.ts';
import type { Session } from '../session.ts';

/** Counts what happens in a call while it is up. @param session undefined: it is not known any more */
export function countEvent(metrics: Metrics, session: Session | undefined, event: CallEvent): void {
  switch (event.type) {
    case 'usage':
      metrics.tokensUsed(modelName(event), event.usage);
      break;
    case 'tool':
      metrics.functionCalled(hasTool(session, event.name) ? event.name : '[unknown]', event.outcome);
      break;
    case 'firstAudio':
      if (session !== undefined)
        metrics.latencies(session.carrier.name, session.provider).firstAudio.observe(event.atMs);
      break;
    case 'turn':
      if (session !== undefined) countTurn(metrics, session.carrier.name, event);
      break;
    case 'providerReady':
      metrics.providerReady(event);
      break;
    case 'providerFailed':
      metrics.providerFailed(event);
      break;
    case 'failover':
      metrics.failedOver(event);
      break;
    default:
  }
}

/** Whether there is such a function: names that a model makes up may be anything. */
export function hasTool(session: Session | undefined, name: string): boolean {
  return session?.agent.tools.some(({ definition }) => definition.name === name) === true;
}

/** Stages whose end or beginning nobody has told are left out; a commit that nobody has told is part of the next one. */
function countTurn(metrics: Metrics, carrier: string, event: Extract<CallEvent, { type: 'turn' }>): void {
  const { commitMs, firstDeltaMs, firstFrameMs, firstMarkMs } = event;
  const { turn } = metrics.latencies(carrier, event.provider);
  // The provider's word for the end of speech is that of the turn: how long it thought is not known then.
  if (event.heardBy === 'bridge' && commitMs !== undefined) turn.commit.observe(commitMs);
  if (firstDeltaMs === undefined) return;
  turn.firstDelta.observe(firstDeltaMs - (commitMs ?? 0));
  if (firstFrameMs === undefined) return;
  turn.firstFrame.observe(firstFrameMs - firstDeltaMs);
  if (firstMarkMs !== undefined) turn.firstMark.observe(firstMarkMs - firstFrameMs);
  turn.whole.observe(firstMarkMs ?? firstFrameMs);
}
