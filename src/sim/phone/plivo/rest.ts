import { randomUUID } from 'node:crypto';
import { BridgeError } from '../../../errors.ts';
import type {
  CallHandle,
  DialOrder,
  RestExchange,
  RestFaultStatus,
  RestReply,
  RestRequest,
  RestRules,
} from '../carrier-sim.ts';
import type { PlivoCall } from './call.ts';
import { aboutCall } from './rest-call.ts';
import { accepted, type Body, badRequest, errorReply, notFound, readBody, text } from './rest-replies.ts';

/** What a path names: `/v1/Account/{id}/Call/{uuid}/Record/{part}`. */
const PATH = /^\/v1\/Account\/([^/]+)\/(Call|Request)(?:\/([^/]+))?(?:\/([A-Za-z]+)(?:\/([^/]+))?)?\/?$/;
/** Files are fetched without credentials. */
const FILE = /^\/recordings\/([^/]+)\/([^/]+)$/;

interface Named {
  readonly account: string;
  readonly kind: string;
  readonly id: string | undefined;
  readonly action: string | undefined;
  readonly part: string | undefined;
}

const NUMBER = /^\+?\d{3,20}$/;
const SIP = /^sips?:[^\s<>]+$/i;
const DEFAULT_RING_S = 120;
/** A machine is listened to for so long, in ms. */
const DETECTION_MS = [2000, 10_000] as const;
const REMEMBERED = 500;

/** Plivo's REST interface: to be used in the place of `https://api.plivo.com`. */
export function plivoRest(
  partOf: (call: CallHandle) => PlivoCall | undefined,
  live: ReadonlySet<PlivoCall>,
): RestRules {
  const callIds = new Map<string, string>();
  const rules: RestRules = {
    callId: ({ path }) => {
      const named = namedBy(path);
      const id = named?.id ?? FILE.exec(path)?.[1];
      return named?.kind === 'Request' && id !== undefined ? callIds.get(id) : id;
    },
    serve: (request, call, exchange) => {
      const part = call && partOf(call);
      if (part !== undefined) part.recordings.baseUrl = exchange.baseUrl;
      const file = FILE.exec(request.path)?.[2];
      if (file !== undefined) return fileReply(part?.recordings.file(file));
      return serveNamed(request, call?.identity ?? exchange.account, part, exchange);
    },
    fault: faultReply,
  };
  return rules;

  function serveNamed(
    request: RestRequest,
    account: RestExchange['account'],
    part: PlivoCall | undefined,
    exchange: RestExchange,
  ): RestReply {
    const named = namedBy(request.path);
    if (named === undefined) return notFound();
    if (!isAllowed(request, named.account, account)) return unauthorized();
    if (named.id === undefined) return aboutNone(request, exchange);
    if (part === undefined) return notFound();
    if (named.kind === 'Request') return aboutRequest(request, part);
    return aboutCall(request, part, named.action, named.part);
  }

  function aboutNone(request: RestRequest, exchange: RestExchange): RestReply {
    if (request.method === 'POST') return order(request, exchange);
    if (request.method !== 'GET') return errorReply(405, 'method not allowed');
    const calls = [...live].filter(({ call }) => !call.isOver).map(({ call }) => call.identity.callId);
    return { status: 200, body: { api_id: randomUUID(), calls } };
  }

  function order(request: RestRequest, exchange: RestExchange): RestReply {
    const body = readBody(request);
    if (body === undefined) return badRequest('the body is not JSON');
    const fault = orderFault(body);
    if (fault !== undefined) return badRequest(fault);
    const ids = text(body, 'to')
      .split('<')
      .map((to) => {
        const requestId = randomUUID();
        const call = exchange.dial(dialOrder(body, to, requestId));
        if (callIds.size >= REMEMBERED) callIds.clear();
        callIds.set(requestId, call.identity.callId);
        return requestId;
      });
    const isOne = ids.length === 1;
    const message = isOne ? 'call fired' : 'calls fired';
    return accepted(201, message, { request_uuid: isOne ? ids[0] : ids });
  }
}

function namedBy(path: string): Named | undefined {
  const [, account, kind, id, action, part] = PATH.exec(path) ?? [];
  if (account === undefined || kind === undefined) return undefined;
  return { account, kind, id: id && decodeURIComponent(id), action, part };
}

function isAllowed(
  { headers }: RestRequest,
  account: string,
  { accountId, authToken }: RestExchange['account'],
): boolean {
  const wanted = `Basic ${Buffer.from(`${accountId}:${authToken}`).toString('base64')}`;
  return headers.authorization === wanted && account === accountId;
}

function unauthorized(): RestReply {
  const body = Buffer.from(
    'Could not verify your access level for that URL.\nYou have to login with proper credentials',
  );
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'www-authenticate': 'Basic realm="Login Required"',
  };
  return { status: 401, body, headers };
}

/** Only a call that still rings can be given up by the id of its request. */
function aboutRequest({ method }: RestRequest, { call }: PlivoCall): RestReply {
  if (method !== 'DELETE') return errorReply(405, 'method not allowed');
  if (call.isOver || call.isAnswered) return notFound();
  call.hangUp('rest');
  return { status: 204, body: undefined };
}

function fileReply(file: Uint8Array | undefined): RestReply {
  return file === undefined
    ? notFound()
    : { status: 200, body: file, headers: { 'content-type': 'audio/x-wav' } };
}

function orderFault(body: Body): string | undefined {
  for (const name of ['from', 'to', 'answer_url']) {
    if (text(body, name) === '') return `${name} parameter not present`;
  }
  for (const address of [text(body, 'from'), ...text(body, 'to').split('<')]) {
    if (!NUMBER.test(address) && !SIP.test(address)) return 'from or to is no number and no sip address';
  }
  return urlFault(body) ?? methodFault(body) ?? timeFault(body);
}

function urlFault(body: Body): string | undefined {
  const names = ['answer_url', 'ring_url', 'hangup_url', 'fallback_url', 'machine_detection_url'];
  const bad = names.find((name) => text(body, name) !== '' && !/^https?:\/\/\S+$/i.test(text(body, name)));
  return bad === undefined ? undefined : `${bad} is not a valid URL`;
}

function methodFault(body: Body): string | undefined {
  const names = [
    'answer_method',
    'ring_method',
    'hangup_method',
    'fallback_method',
    'machine_detection_method',
  ];
  const bad = names.find((name) => !['', 'GET', 'POST'].includes(text(body, name)));
  if (bad !== undefined) return `${bad} must be GET or POST`;
  const detection = text(body, 'machine_detection');
  return ['', 'true', 'false', 'hangup'].includes(detection)
    ? undefined
    : 'machine_detection must be true or hangup';
}

function timeFault(body: Body): string | undefined {
  const names = ['time_limit', 'ring_timeout', 'hangup_on_ring'];
  const bad = names.find((name) => text(body, name) !== '' && !/^[1-9]\d{0,6}$/.test(text(body, name)));
  if (bad !== undefined) return `${bad} must be a positive integer`;
  const listening = text(body, 'machine_detection_time');
  const [least, most] = DETECTION_MS;
  return listening === '' || (Number(listening) >= least && Number(listening) <= most)
    ? undefined
    : `machine_detection_time must be between ${least} and ${most}`;
}

function dialOrder(body: Body, to: string, requestId: string): DialOrder {
  const detection = text(body, 'machine_detection');
  const isOn = detection === 'true' || detection === 'hangup';
  const ringS = Number(text(body, 'ring_timeout') || DEFAULT_RING_S);
  return {
    from: text(body, 'from'),
    to,
    url: text(body, 'answer_url'),
    // Plivo has an address for each event; they are in `fields`.
    statusCallbackUrl: undefined,
    detection: !isOn ? 'off' : text(body, 'machine_detection_url') === '' ? 'sync' : 'async',
    untilGreetingEnds: false,
    timeoutMs: ringS * 1000,
    fields: { ...body, request_uuid: requestId },
  };
}

function faultReply(status: RestFaultStatus): RestReply {
  switch (status) {
    case 404:
      return notFound();
    case 400:
      return badRequest('the request cannot be understood');
    case 422:
      return errorReply(422, 'the request cannot be processed');
    case 429:
      return errorReply(429, 'too many requests');
    case 500:
    case 503:
      return errorReply(status, 'an internal error has occurred');
    default:
      throw new BridgeError('INTERNAL', `no answer for HTTP ${String(status)}`);
  }
}
