import type { Callback, CallHandle, FormFields, Happening } from '../carrier-sim.ts';
import type { MachineResult } from '../events.ts';
import { hangupOf } from './hangup.ts';
import type { LegIds } from './identity.ts';
import type { Recording } from './recording.ts';

/** Form fields that come with every request about a call, and one that nobody knows yet. */
export function callFields(call: CallHandle, ids: LegIds): FormFields {
  const { identity, options, status } = call;
  const { accountId, callId, from, to, direction } = identity;
  return {
    AccountSid: accountId,
    ApiVersion: '2010-04-01',
    CallControlId: callId,
    CallLegId: ids.legId,
    CallSessionId: ids.sessionId,
    CallSid: callId,
    CallSidLegacy: callId,
    CallStatus: status,
    CallerId: "José  O'Neil",
    ConnectionId: ids.connectionId,
    Direction: direction,
    From: from,
    To: to,
    ShakenStirAttestation: 'A',
    ShakenStirValidated: 'true',
    FieldOfTomorrow: 'ü + a&b=c%20 "’"',
    ...options.extraFields,
  };
}

/** The words of the detection, which are Twilio's. */
export const ANSWERED_BY: Readonly<Record<MachineResult, string>> = {
  human: 'human',
  machine: 'machine_start',
  'greeting-ended-beep': 'machine_end_beep',
  'greeting-ended-silence': 'machine_end_silence',
};

/** What the status callback needs of its call. */
interface Report {
  readonly call: CallHandle;
  readonly ids: LegIds;
  readonly sequence: number;
  readonly initiatedMs: number;
  readonly answeredMs: number | undefined;
}

/** Form fields of a status callback. */
export function progressFields(
  { call, ids, sequence, initiatedMs, answeredMs }: Report,
  happening: Extract<Happening, { type: 'progress' }>,
): FormFields {
  const nowMs = call.clock.epoch();
  const fields: Record<string, string> = {
    CallbackSource: 'call-progress-events',
    CallInitiatedAt: stamp(initiatedMs),
    SequenceNumber: String(sequence),
    Timestamp: stamp(nowMs),
  };
  if (answeredMs !== undefined) fields['AnsweredTime'] = stamp(answeredMs);
  if (happening.durationS !== undefined) {
    const { cause, source, sip } = hangupOf(call, happening);
    fields['CallDuration'] = String(happening.durationS);
    fields['HangupCause'] = cause;
    fields['HangupSource'] = source;
    fields['SipHangupCause'] = sip;
    fields['EndTime'] = stamp(nowMs);
    fields['Codec'] = 'PCMU';
    fields['SamplingRate'] = '8000';
  }
  return { ...callFields(call, ids), ...fields };
}

/** Form fields of the news of a finished recording. */
export function recordingFields(call: CallHandle, ids: LegIds, recording: Recording): FormFields {
  return {
    AccountSid: call.identity.accountId,
    CallSid: call.identity.callId,
    CallSidLegacy: call.identity.callId,
    ConnectionId: ids.connectionId,
    From: call.identity.from,
    To: call.identity.to,
    RecordingChannels: recording.channels === 'dual' ? '2' : '1',
    RecordingDuration: String(Math.round((recording.endedMs - recording.startedMs) / 1000)),
    RecordingSid: recording.id,
    RecordingSource: 'StartCallRecordingAPI',
    RecordingStartTime: stamp(recording.startedMs),
    RecordingStatus: 'completed',
    RecordingUrl: recording.url,
    Timestamp: stamp(recording.endedMs),
  };
}

/** A form that asks for nothing. */
export function formCallback(
  kind: Callback['kind'],
  event: string,
  url: string,
  form: FormFields,
  method: 'GET' | 'POST' = 'POST',
): Callback {
  return { kind, event, url, method, payload: { form } };
}

/** A time as TeXML writes it. */
export function stamp(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('T', ' ').replace('Z', '000Z');
}
