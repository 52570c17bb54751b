import { assertNever } from '../../../errors.ts';
import type { Happening } from '../carrier-sim.ts';
import type { MachineResult } from '../events.ts';
import type { ControlFact } from './control-events.ts';
import { occurredAt } from './dialect.ts';
import type { Body } from './params.ts';
import type { Recording } from './recording.ts';

/** What is told of a stream that has begun or ended. */
export function streamFact(
  happening: Extract<Happening, { type: 'stream-started' | 'stream-ended' }>,
): ControlFact {
  const { plan, verb } = happening;
  const url = { stream_url: plan.url };
  if (happening.type === 'stream-started') return { type: 'streaming.started', kind: 'stream', fields: url };
  const { end } = happening;
  if (end.how !== 'failed') return { type: 'streaming.stopped', kind: 'stream', fields: url };
  const track = verb.track ?? 'inbound_track';
  const fields = {
    ...url,
    failure_reason: end.errorCode,
    stream_id: plan.streamId,
    stream_type: 'websocket',
    stream_params: { ...url, track },
    track,
  };
  return { type: 'streaming.failed', kind: 'stream', fields };
}

/**
 * What is told of whoever took a call that was placed with `fields`; undefined where that kind of detection is silent.
 * `always` is the word for everybody, if there is one.
 */
export function machineFact(fields: Body, result: MachineResult, always?: string): ControlFact | undefined {
  const mode = fields['answering_machine_detection'];
  const isPremium = mode === 'premium';
  const names = isPremium ? 'call.machine.premium' : 'call.machine';
  const fact = (what: 'detection' | 'greeting', word: string): ControlFact => ({
    type: `${names}.${what}.ended`,
    kind: 'machine',
    fields: { result: always ?? word },
  });
  switch (result) {
    case 'human':
      return mode === 'detect_beep' ? undefined : fact('detection', isPremium ? 'human_residence' : 'human');
    case 'machine':
      return mode === 'detect_beep' ? undefined : fact('detection', 'machine');
    case 'greeting-ended-beep':
      return fact('greeting', 'beep_detected');
    case 'greeting-ended-silence':
      if (mode === 'detect_beep') return undefined;
      return fact('greeting', isPremium ? 'no_beep_detected' : 'ended');
    default:
      return assertNever(result);
  }
}

/** Fields of the news of a recording. The leg's own id for commands is not among them. */
export function recordingFields(recording: Recording): Body {
  const urls = { [recording.format]: recording.url };
  return {
    call_control_id: undefined,
    channels: recording.channels,
    format: recording.format,
    from: undefined,
    to: undefined,
    recording_urls: urls,
    public_recording_urls: {},
    recording_started_at: occurredAt(recording.startedMs),
    recording_ended_at: occurredAt(recording.endedMs),
  };
}
