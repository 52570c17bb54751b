import type { CallHandle, DialOrder, RestExchange, RestReply, RestRequest } from '../carrier-sim.ts';
import { FAULTS, refuse } from './errors.ts';
import { type Body, missing, textOf } from './params.ts';
import type { TexmlCall } from './texml-call.ts';
import { stamp } from './texml-forms.ts';

const RING_S = 30;

/** The members of a request, which may be a form or JSON. Undefined for what is neither. */
export function readFields({ headers, body }: RestRequest): Body | undefined {
  const type = String(headers['content-type'] ?? '');
  if (!type.includes('json')) return Object.fromEntries(new URLSearchParams(body));
  try {
    return JSON.parse(body === '' ? '{}' : body) as Body;
  } catch {
    return undefined;
  }
}

/** `POST …/Calls`: places a call. */
export function createCall(fields: Body, exchange: RestExchange): RestReply {
  const from = textOf(fields, 'From');
  const to = textOf(fields, 'To');
  const lacking = ['ApplicationSid', 'From', 'To'].filter((name) => textOf(fields, name) === undefined);
  if (from === undefined || to === undefined || lacking.length > 0)
    return refuse(422, ...lacking.map(missing));
  const detection = textOf(fields, 'MachineDetection') ?? 'Disable';
  const isAsync = String(fields['AsyncAmd'] ?? 'false') === 'true';
  const order: DialOrder = {
    from,
    to,
    url: textOf(fields, 'Url'),
    statusCallbackUrl: textOf(fields, 'StatusCallback'),
    detection: detection === 'Disable' ? 'off' : isAsync ? 'async' : 'sync',
    untilGreetingEnds: detection === 'DetectMessageEnd',
    timeoutMs: 1000 * (Number(fields['Timeout']) || RING_S),
    fields,
  };
  const call = exchange.dial(order);
  return { status: 200, body: { from, to, status: 'queued', sid: call.identity.callId } };
}

/** `POST …/Calls/{sid}`: ends a call, or gives it another document. */
export function updateCall(call: CallHandle, texml: TexmlCall, fields: Body): RestReply {
  if (call.isOver || call.leaving.aborted) return refuse(422, FAULTS.ended);
  const url = textOf(fields, 'Url');
  const text = textOf(fields, 'Texml');
  const statusUrl = textOf(fields, 'StatusCallback');
  if (statusUrl !== undefined) texml.statusUrl = statusUrl;
  const status = textOf(fields, 'Status');
  if (status === 'completed' || status === 'canceled') call.hangUp('rest');
  else if (text !== undefined) call.replaceDocument({ text });
  else if (url !== undefined) {
    call.replaceDocument({ url, method: fields['Method'] === 'GET' ? 'GET' : 'POST' });
  } else return refuse(422, missing('Url'));
  return describeCall(call);
}

/** `GET …/Calls/{sid}`. */
export function describeCall(call: CallHandle): RestReply {
  const { accountId, callId, from, to, direction } = call.identity;
  const nowMs = call.clock.epoch();
  return {
    status: 200,
    body: {
      account_sid: accountId,
      sid: callId,
      from,
      to,
      direction,
      status: call.status,
      date_updated: stamp(nowMs),
      uri: `/v2/texml/Accounts/${accountId}/Calls/${callId}.json`,
    },
  };
}

/** `POST …/Recordings.json` and `POST …/Recordings/{sid}.json`. */
export function recordCall(
  call: CallHandle,
  texml: TexmlCall,
  recordingSid: string | undefined,
  fields: Body,
  baseUrl: string,
): RestReply {
  if (call.isOver) return refuse(422, FAULTS.ended);
  if (!call.isAnswered) return refuse(422, FAULTS.notAnswered);
  const { accountId: account_sid, callId: call_sid } = call.identity;
  if (recordingSid !== undefined) {
    if (fields['Status'] !== 'stopped') return refuse(422, missing('Status'));
    if (!texml.stopRecording()) return refuse(404, FAULTS.notFound);
    return { status: 200, body: { account_sid, call_sid, sid: recordingSid, status: 'stopped' } };
  }
  const channels = fields['RecordingChannels'] === 'single' ? 'single' : 'dual';
  const sid = texml.startRecording({ format: 'wav', channels, clientState: undefined }, baseUrl);
  return { status: 200, body: { account_sid, call_sid, sid, status: 'in-progress' } };
}

/**
 * Commands of Call Control to a call of TeXML, which are known to work for some: hanging up, keys, and recordings, whose
 * end the status callback is told.
 */
export function actOnTexml(
  call: CallHandle,
  texml: TexmlCall,
  name: string,
  body: Body,
  baseUrl: string,
): RestReply {
  if (call.isOver || call.leaving.aborted) return refuse(422, FAULTS.ended);
  if (name !== 'hangup' && !call.isAnswered) return refuse(422, FAULTS.notAnswered);
  switch (name) {
    case 'hangup':
      call.hangUp('rest');
      break;
    case 'send_dtmf':
      call.log.add({ type: 'agent-keys', digits: textOf(body, 'digits') ?? '' });
      break;
    case 'record_start': {
      const format = body['format'] === 'mp3' ? 'mp3' : 'wav';
      const channels = body['channels'] === 'single' ? 'single' : 'dual';
      texml.startRecording({ format, channels, clientState: undefined }, baseUrl);
      break;
    }
    case 'record_stop':
      if (!texml.stopRecording()) return refuse(404, FAULTS.notFound);
      break;
    default:
      call.log.warn('not_simulated', `${name} on a call of TeXML`);
      return refuse(422, FAULTS.invalidCall);
  }
  return { status: 200, body: { data: { result: 'ok' } } };
}
