import type { Callback, CallHandle, StreamPlan } from '../carrier-sim.ts';
import type { StreamEnd } from '../events.ts';
import { streamAddressFault } from '../stream-address.ts';
import { resolveUrl, type StreamVerb } from '../verbs.ts';
import { WIRE_MULAW } from '../wire-audio.ts';
import { CODES } from './codes.ts';
import { OneWayDialect, TwilioDialect } from './dialect.ts';
import { newSid } from './sid.ts';
import { twilioSignature } from './signature.ts';
import { ONE_WAY } from './twiml.ts';

/** How a stream is opened. Under `<Start>` it only listens. */
export function planStream(call: CallHandle, verb: StreamVerb, baseUrl: string): StreamPlan {
  // Relative addresses are meant relative to the document; what is absolute is signed letter by letter.
  const absolute = resolveUrl(verb.url, baseUrl.replace(/^http/i, 'ws'), CODES);
  const url = absolute.replace(/[?#].*$/s, '');
  const isOneWay = verb.settings[ONE_WAY] !== undefined;
  const failure = findFailure(url, isOneWay ? undefined : verb.track);
  if (failure === undefined && verb.url.includes('?')) {
    call.log.warn('31922', 'the query of the stream address is not used');
  }
  const streamId = newSid('MZ');
  return {
    url,
    streamId,
    failure,
    headers: () => upgradeHeaders(call, url),
    subprotocol: undefined,
    sends: WIRE_MULAW,
    takes: WIRE_MULAW,
    marksOnClear: 'echoed',
    reopen: { times: 0, delayMs: 0 },
    dialect: () =>
      isOneWay
        ? new OneWayDialect(call, streamId, verb.parameters)
        : new TwilioDialect(call, streamId, verb.parameters),
  };
}

function upgradeHeaders({ faults, identity }: CallHandle, url: string): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'Twilio.TmeWs/1.0' };
  if (faults.upgradeSignature === 'missing') return headers;
  const signed = faults.upgradeSignature === 'bad' ? `${url}/another` : url;
  headers['x-twilio-signature'] = twilioSignature(identity.authToken, signed);
  return headers;
}

function findFailure(url: string, track: string | undefined): readonly [string, string] | undefined {
  switch (streamAddressFault(url)) {
    case 'malformed':
      return ['31923', 'the stream address is malformed'];
    case 'not-secure':
      return ['31922', 'the scheme of the stream address must be wss'];
    case undefined:
      break;
  }
  if (track !== undefined && track !== 'inbound_track') return ['31941', `track ${track} under <Connect>`];
  return undefined;
}

/** The stream status callback, when the document wants one. */
export function streamReport(
  call: CallHandle,
  { verb, plan, url }: { readonly verb: StreamVerb; readonly plan: StreamPlan; readonly url: string },
  event: 'stream-started' | 'stream-stopped' | 'stream-error',
  error: string | undefined,
): Callback {
  const form: Record<string, string> = {
    AccountSid: call.identity.accountId,
    CallSid: call.identity.callId,
    StreamSid: plan.streamId,
    StreamName: verb.name ?? plan.streamId,
    StreamEvent: event,
    Timestamp: new Date(call.clock.epoch()).toISOString(),
  };
  if (error !== undefined) form['StreamError'] = error;
  return { kind: 'stream', event, url, method: verb.statusCallbackMethod, payload: { form } };
}

/** What Twilio calls the end of a stream, and why. A close by the bridge is 31921 even when that was meant. */
export function streamEnding(
  call: CallHandle,
  end: StreamEnd,
): readonly [event: 'stream-stopped' | 'stream-error', error?: string] {
  if (end.how === 'carrier-stopped') return ['stream-stopped'];
  if (end.how === 'failed') return ['stream-error', `${end.errorCode}: ${end.text}`];
  const text = `the server closed (${end.code})`;
  call.log.warn('31921', text);
  return call.faults.reportCloseAsError ? ['stream-error', `31921: ${text}`] : ['stream-stopped'];
}
