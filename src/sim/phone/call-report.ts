import type { CallReport } from './call-terms.ts';
import type { CallOutcome } from './carrier-sim.ts';
import type { CallStatus, EndedBy, EventLog } from './events.ts';
import type { Line } from './line.ts';
import type { Recorder } from './recorder.ts';

/** What is left of a call: how it ended, and the figures of its streams, its recording and its log. */
export function callReport(
  end: Pick<CallReport, 'callId' | 'endedBy' | 'outcome' | 'failure' | 'durationMs' | 'firstStreamMs'>,
  line: Line,
  recorder: Recorder,
  log: EventLog,
): CallReport {
  return {
    ...end,
    streams: line.ends,
    heardBytes: line.streams.reduce((sum, stream) => sum + stream.heardBytes, 0),
    highWaterBytes: Math.max(0, ...line.streams.map((stream) => stream.highWaterBytes)),
    firstAgentMs: recorder.firstAgentMs(),
    turns: recorder.turns(),
    ...recorder.timing,
    warnings: log.warnings,
    events: log.events,
  };
}

/** The last status of a call. Once it was answered it is completed, even when its instructions turned out to be no good. */
export function finalStatus(
  by: EndedBy,
  outcome: CallOutcome,
  wasAnswered: boolean,
  isPlaced: boolean,
): CallStatus {
  if (wasAnswered) return 'completed';
  if (by === 'caller') return 'canceled';
  if (outcome !== 'rejected') return outcome;
  return isPlaced ? 'busy' : 'no-answer';
}
