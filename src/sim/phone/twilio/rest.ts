import type { CallHandle, RestExchange, RestReply, RestRequest, RestRules } from '../carrier-sim.ts';
import { refusal } from './codes.ts';
import { fieldsOf, isHttpUrl, readOrder, recordingOrder, TWIML_LIMIT, tooLong } from './orders.ts';
import type { Recording, RecordingOrder } from './recordings.ts';
import type { StatusTarget } from './webhooks.ts';

/** What the REST interface asks of Twilio's part of a call. */
export interface TwilioState {
  readonly recordings: readonly Recording[];
  record(order: RecordingOrder): Recording;
  /** Reports of the call go there from now on, and it ends so many seconds after it was answered. */
  retarget(target: StatusTarget): void;
  limit(seconds: number): void;
  /** As the REST interface shows it; without `status`, which an order shows in a way of its own. */
  describe(): Readonly<Record<string, unknown>>;
}

/** Calls and recordings that the interface knows, and where it is. */
export interface TwilioBook {
  readonly calls: WeakMap<CallHandle, TwilioState>;
  /** By their ids. */
  readonly recordings: Map<string, Recording>;
  /** `http://host:port`, as the latest request found it. */
  baseUrl: string;
}

const ACCOUNT_PATH = /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})\/(.+)$/;
const CALL_PATH = /^Calls\/(CA[0-9a-f]{32})(?:\/(.+))?$/;

const FAULT_CODES: Readonly<Record<number, readonly [number, string]>> = {
  400: [21220, 'Call is not in-progress. Cannot redirect.'],
  404: [20404, 'The requested resource was not found'],
  429: [20429, 'Too Many Requests'],
  503: [20503, 'Service unavailable'],
};

/** Recordings that are remembered, of all calls together. */
const REMEMBERED = 500;

/** Twilio's REST interface: to be used in the place of `https://api.twilio.com`. */
export function twilioRest(book: TwilioBook): RestRules {
  return {
    callId: ({ path }) => CALL_PATH.exec(resource(path)[1])?.[1],
    serve: (request, call, exchange) => serve(request, call, exchange, book),
    fault,
  };
}

/** The account and, without its ending, what is meant of it. */
function resource(path: string): readonly [account: string, what: string, ending: string] {
  const [, account = '', what = ''] = ACCOUNT_PATH.exec(path) ?? [];
  const ending = /\.(json|wav|mp3)$/.exec(what)?.[1] ?? '';
  return [account, ending === '' ? what : what.slice(0, -ending.length - 1), ending];
}

function serve(
  request: RestRequest,
  call: CallHandle | undefined,
  exchange: RestExchange,
  book: TwilioBook,
): RestReply {
  book.baseUrl = exchange.baseUrl;
  const owner = call?.identity ?? exchange.account;
  const wanted = `Basic ${Buffer.from(`${owner.accountId}:${owner.authToken}`).toString('base64')}`;
  if (request.headers.authorization !== wanted) return refusal(401, 20003, 'Authenticate');
  const [account, what, ending] = resource(request.path);
  if (account !== owner.accountId) return fault(404);
  if (what === 'Calls') return placeCall(request, exchange, book);
  const recordingSid = /^Recordings\/(RE[0-9a-f]{32})$/.exec(what)?.[1];
  if (recordingSid !== undefined) return serveRecording(request, recordingSid, ending, book);
  const state = call && book.calls.get(call);
  if (call === undefined || state === undefined) return fault(404);
  const below = CALL_PATH.exec(what)?.[2];
  if (below !== undefined) return serveBelow(request, below, { call, state });
  if (request.method === 'GET') return shown(200, call, state);
  return request.method === 'POST' ? update(new URLSearchParams(request.body), call, state) : notAllowed();
}

function placeCall(request: RestRequest, exchange: RestExchange, book: TwilioBook): RestReply {
  if (request.method !== 'POST') return notAllowed();
  const order = readOrder(new URLSearchParams(request.body), exchange.baseUrl);
  if ('body' in order) return order;
  const call = exchange.dial(order);
  const state = book.calls.get(call);
  return state === undefined ? fault(500) : shown(201, call, state, 'queued');
}

function update(form: URLSearchParams, call: CallHandle, state: TwilioState): RestReply {
  if (call.isOver) return fault(400);
  const refused = refuseUpdate(form, call);
  if (refused !== undefined) return refused;
  const target = form.get('StatusCallback');
  if (target !== null)
    state.retarget({ url: target, method: methodOf(form, 'StatusCallbackMethod'), events: ['completed'] });
  const limit = form.get('TimeLimit');
  if (limit !== null) state.limit(Number(limit));
  obey(form, call);
  return shown(200, call, state);
}

function obey(form: URLSearchParams, call: CallHandle): void {
  const status = form.get('Status');
  const twiml = form.get('Twiml');
  const url = form.get('Url');
  if (status === 'completed') call.hangUp('rest');
  // A call that somebody has taken cannot be cancelled any more, and goes on.
  else if (status === 'canceled' && !call.isAnswered) call.hangUp('rest');
  else if (status !== null) return;
  else if (url !== null) call.replaceDocument({ url, method: methodOf(form, 'Method') });
  else if (twiml !== null) call.replaceDocument({ text: twiml });
}

function refuseUpdate(form: URLSearchParams, call: CallHandle): RestReply | undefined {
  const twiml = form.get('Twiml');
  const url = form.get('Url');
  const status = form.get('Status');
  if (status !== null && status !== 'completed' && status !== 'canceled') {
    return refusal(400, 20001, 'Status must be completed or canceled');
  }
  const isRedirected = status === null && (twiml !== null || url !== null);
  if (isRedirected && !call.isAnswered) return fault(400);
  if (url !== null && !isHttpUrl(url)) return refusal(400, 21205, 'Url is not a valid URL.');
  if (twiml !== null && twiml.length > TWIML_LIMIT) return tooLong();
  const says = ['Status', 'Twiml', 'Url', 'StatusCallback', 'TimeLimit'].some((name) => form.has(name));
  return says ? undefined : refusal(400, 20001, 'Status, Twiml or Url is needed');
}

interface About {
  readonly call: CallHandle;
  readonly state: TwilioState;
}

function serveBelow(request: RestRequest, below: string, about: About): RestReply {
  if (below === 'Recordings') {
    if (request.method === 'GET') return listed(about.state);
    return request.method === 'POST' ? startRecording(request, about) : notAllowed();
  }
  const sid = /^Recordings\/(RE[0-9a-f]{32}|Twilio\.CURRENT)$/.exec(below)?.[1];
  const { recordings } = about.state;
  const recording =
    sid === 'Twilio.CURRENT'
      ? recordings.findLast((one) => !one.isOver)
      : recordings.find((one) => one.sid === sid);
  if (recording === undefined) return fault(404);
  if (request.method === 'GET') return { status: 200, body: recording.describe() };
  if (request.method !== 'POST') return notAllowed();
  return changeRecording(new URLSearchParams(request.body).get('Status'), recording, about.call);
}

function startRecording(request: RestRequest, { call, state }: About): RestReply {
  if (call.isOver || !call.isAnswered) {
    return refusal(400, 21220, 'Unable to create record: Requested resource is not eligible for recording');
  }
  const order = recordingOrder(fieldsOf(new URLSearchParams(request.body)), 'StartCallRecordingAPI');
  return { status: 201, body: state.record(order).describe() };
}

/** Has the interface know a recording. */
export function remember(recording: Recording, { recordings }: TwilioBook): void {
  recordings.set(recording.sid, recording);
  const [oldest] = recordings.keys();
  if (recordings.size > REMEMBERED && oldest !== undefined) recordings.delete(oldest);
}

function changeRecording(status: string | null, recording: Recording, call: CallHandle): RestReply {
  if (recording.isOver) return refusal(400, 21220, 'The recording is over');
  switch (status) {
    case 'stopped':
      call.callBack(recording.end());
      break;
    case 'paused':
      recording.pause();
      break;
    case 'in-progress':
      recording.resume();
      break;
    default:
      return refusal(400, 20001, 'Status must be stopped, paused or in-progress');
  }
  return { status: 200, body: recording.describe() };
}

function listed({ recordings }: TwilioState): RestReply {
  return {
    status: 200,
    body: {
      recordings: recordings.map((one) => one.describe()),
      page: 0,
      page_size: 50,
      next_page_uri: null,
    },
  };
}

function serveRecording(
  { method }: RestRequest,
  sid: string,
  ending: string,
  { recordings }: TwilioBook,
): RestReply {
  const recording = recordings.get(sid);
  if (recording === undefined) return fault(404);
  if (method === 'DELETE') {
    recordings.delete(sid);
    return { status: 204, body: undefined };
  }
  if (method !== 'GET') return notAllowed();
  if (ending === 'json') return { status: 200, body: recording.describe() };
  // No encoder for it is at hand.
  if (ending === 'mp3' || !recording.isOver) return fault(404);
  return { status: 200, body: recording.wav(), headers: { 'content-type': 'audio/x-wav' } };
}

function shown(status: number, call: CallHandle, state: TwilioState, as: string = call.status): RestReply {
  return { status, body: { ...state.describe(), status: as } };
}

function methodOf(form: URLSearchParams, name: string): 'GET' | 'POST' {
  return form.get(name) === 'GET' ? 'GET' : 'POST';
}

function notAllowed(): RestReply {
  return refusal(405, 20004, 'Method not allowed');
}

function fault(status: number): RestReply {
  const [code, message] = FAULT_CODES[status] ?? [20500, 'An internal server error has occurred'];
  return refusal(status, code, message);
}
