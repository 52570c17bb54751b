import { randomUUID } from 'node:crypto';
import type { RestReply, RestRequest } from '../carrier-sim.ts';
import { httpMethod, seconds as secondsOf } from '../xml.ts';
import type { LiveStream, PlivoCall } from './call.ts';
import { readExtraHeaders, XML_WARNING } from './documents.ts';
import { statusWord } from './hangup-causes.ts';
import { accepted, type Body, badRequest, errorReply, notFound, readBody, text } from './rest-replies.ts';
import { timeOfDay } from './webhooks.ts';

const GONE: RestReply = { status: 204, body: undefined };
/** Plivo stops a recording after a minute unless it is told otherwise. */
const RECORD_LIMIT_S = 60;

/** Requests about one call. */
export function aboutCall(
  request: RestRequest,
  part: PlivoCall,
  action: string | undefined,
  id: string | undefined,
): RestReply {
  if (action === undefined) return aboutItself(request, part);
  const body = readBody(request);
  if (body === undefined) return badRequest('the body is not JSON');
  // Nothing can be done with a call that rings, or is over.
  if (part.call.isOver || !part.call.isAnswered) return notFound();
  switch (action) {
    case 'Record':
      return record(request, part, body);
    case 'DTMF':
      return sendKeys(request, part, body);
    case 'Speak':
      return speak(request, part, body);
    case 'Play':
      return play(request, part, body);
    case 'Stream':
      return stream(request, part, body, id);
    default:
      return notFound();
  }
}

function aboutItself(request: RestRequest, part: PlivoCall): RestReply {
  const { call } = part;
  switch (request.method) {
    case 'GET':
      return describe(request, part);
    case 'DELETE':
      if (call.isOver) return notFound();
      call.hangUp('rest');
      return GONE;
    case 'POST':
      return transfer(request, part);
    default:
      return errorReply(405, 'method not allowed');
  }
}

/** A live call is asked for as such; without that only calls that are over are known. */
function describe({ query }: RestRequest, part: PlivoCall): RestReply {
  const { call, requestId } = part;
  const { callId, from, to, direction, accountId } = call.identity;
  if (query.get('status') === 'live') {
    if (call.isOver) return notFound();
    const body = {
      api_id: randomUUID(),
      call_uuid: callId,
      request_uuid: requestId ?? callId,
      direction,
      from,
      to,
      call_status: statusWord(call),
      caller_name: from,
      session_start: timeOfDay(part.beganMs),
      stir_verification: 'Verified',
    };
    return { status: 200, body };
  }
  if (!call.isOver || query.has('status') || part.cause === undefined) return notFound();
  const body = {
    api_id: randomUUID(),
    call_uuid: callId,
    call_direction: direction,
    from_number: from,
    to_number: to,
    answer_time: part.answeredMs === undefined ? null : timeOfDay(part.answeredMs),
    initiation_time: timeOfDay(part.beganMs),
    hangup_cause_code: Number(part.cause.code),
    hangup_cause_name: part.cause.name,
    hangup_source: part.cause.source,
    parent_call_uuid: null,
    resource_uri: `/v1/Account/${accountId}/Call/${callId}/`,
  };
  return { status: 200, body };
}

function transfer(request: RestRequest, part: PlivoCall): RestReply {
  const { call } = part;
  const body = readBody(request);
  if (body === undefined) return badRequest('the body is not JSON');
  if (call.isOver || !call.isAnswered) return notFound();
  const legs = text(body, 'legs') || 'aleg';
  if (!['aleg', 'bleg', 'both'].includes(legs)) return badRequest('legs must be aleg, bleg or both');
  if (legs !== 'aleg') return badRequest('the simulated phone can transfer the aleg only');
  const url = text(body, 'aleg_url');
  if (url === '') return badRequest('aleg_url parameter not present');
  if (!/^https?:\/\/\S+$/i.test(url)) return badRequest('aleg_url is not a valid URL');
  part.transfer(url, httpMethod(text(body, 'aleg_method')));
  return accepted(202, 'call transferred', { call_uuids: [call.identity.callId] });
}

function record({ method }: RestRequest, { call, recordings }: PlivoCall, body: Body): RestReply {
  if (method === 'DELETE') {
    if (!recordings.isRunning) return notFound();
    call.callBack(recordings.stop());
    return GONE;
  }
  if (method !== 'POST') return errorReply(405, 'method not allowed');
  const format = text(body, 'file_format') || 'mp3';
  if (format !== 'mp3' && format !== 'wav') return badRequest('file_format must be mp3 or wav');
  const limit = text(body, 'time_limit') || String(RECORD_LIMIT_S);
  if (!/^[1-9]\d{0,6}$/.test(limit)) return badRequest('time_limit must be a positive integer');
  const callbackUrl = text(body, 'callback_url');
  if (callbackUrl !== '' && !/^https?:\/\/\S+$/i.test(callbackUrl)) {
    return badRequest('callback_url is not a valid URL');
  }
  const { id, url, apiId } = recordings.start({
    fileFormat: format,
    limitS: Number(limit),
    callbackUrl: callbackUrl === '' ? undefined : callbackUrl,
    callbackMethod: httpMethod(text(body, 'callback_method')),
    style: 'rest',
  });
  return accepted(202, 'call recording started', { api_id: apiId, recording_id: id, url });
}

function sendKeys({ method }: RestRequest, { call }: PlivoCall, body: Body): RestReply {
  if (method !== 'POST') return errorReply(405, 'method not allowed');
  const digits = text(body, 'digits');
  if (digits === '') return badRequest('digits parameter not present');
  if (!/^[0-9A-D#*wW]+$/.test(digits)) return badRequest('digits holds characters that are no keys');
  if (!['', 'aleg', 'bleg'].includes(text(body, 'leg'))) return badRequest('leg must be aleg or bleg');
  call.log.add({ type: 'agent-keys', digits });
  return accepted(202, 'digits sent');
}

function speak({ method }: RestRequest, { call }: PlivoCall, body: Body): RestReply {
  if (method === 'DELETE') return GONE;
  if (method !== 'POST') return errorReply(405, 'method not allowed');
  const words = text(body, 'text');
  if (words === '') return badRequest('text parameter not present');
  call.log.add({ type: 'say', text: words, language: text(body, 'language') || undefined });
  return accepted(202, 'speak started');
}

function play({ method }: RestRequest, { call }: PlivoCall, body: Body): RestReply {
  if (method === 'DELETE') return GONE;
  if (method !== 'POST') return errorReply(405, 'method not allowed');
  const url = text(body, 'urls');
  if (url === '') return badRequest('urls parameter not present');
  call.log.add({ type: 'play', url, digits: undefined });
  return accepted(202, 'play started');
}

function stream(request: RestRequest, part: PlivoCall, body: Body, id: string | undefined): RestReply {
  const wanted = part.streams.filter(({ streamId }) => id === undefined || streamId === id);
  switch (request.method) {
    case 'POST':
      return startStream(part, body);
    case 'DELETE':
      if (wanted.length === 0) return notFound();
      for (const one of wanted) one.stop();
      return GONE;
    case 'GET': {
      const objects = wanted.map((one) => streamFields(part, one));
      if (id === undefined) return { status: 200, body: { api_id: randomUUID(), objects } };
      const [object] = objects;
      return object === undefined ? notFound() : { status: 200, body: { api_id: randomUUID(), ...object } };
    }
    default:
      return errorReply(405, 'method not allowed');
  }
}

function streamFields({ call }: PlivoCall, { streamId, url }: LiveStream): Body {
  const { accountId, callId } = call.identity;
  return {
    stream_id: streamId,
    call_uuid: callId,
    service_url: url,
    plivo_auth_id: accountId,
    resource_uri: `/v1/Account/${accountId}/Call/${callId}/Stream/${streamId}/`,
  };
}

/** By REST the settings of a stream are written in small letters. */
function startStream(part: PlivoCall, body: Body): RestReply {
  const url = text(body, 'service_url');
  if (!/^wss?:\/\/\S+$/i.test(url)) return badRequest('service_url is not a valid websocket URL');
  if (part.streams.some((one) => one.url === url))
    return badRequest('a stream to this service_url is active');
  const given = {
    bidirectional: text(body, 'bidirectional'),
    audioTrack: text(body, 'audio_track'),
    contentType: text(body, 'content_type'),
    streamTimeout: text(body, 'stream_timeout'),
  };
  const settings = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
  if (given.streamTimeout !== '' && secondsOf(given.streamTimeout) < 1) {
    return badRequest('stream_timeout must be a positive integer');
  }
  const streamId = part.startStream({
    url,
    name: undefined,
    track: settings['audioTrack'],
    statusCallback: text(body, 'status_callback_url') || undefined,
    statusCallbackMethod: httpMethod(text(body, 'status_callback_method')),
    parameters: readExtraHeaders(text(body, 'extra_headers'), (warning) =>
      part.call.log.warn(XML_WARNING, warning),
    ),
    settings,
  });
  return accepted(202, 'audio streaming started', { stream_id: streamId });
}
