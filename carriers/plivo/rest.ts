import type {
  CallControl,
  CallRef,
  CallUrls,
  ControlResult,
  DialRequest,
  DialResult,
  LiveResult,
} from '../../src/carrier.ts';
import type { Fetch, RestRequest, RestResponse, RestResult, RestVerdict } from '../../src/carrier-rest.ts';
import { askCarrier, cannotAsk, controlResult, judgeStatus, pathId } from '../../src/carrier-rest.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';

/** The account and the host that requests go to; `baseUrl` has no slash at its end. */
export interface RestOptions {
  readonly authId: string | undefined;
  readonly authToken: string | undefined;
  /** For a placed call, when the bridge has no answer. */
  readonly fallbackUrl?: string | undefined;
  readonly baseUrl: string;
  /** Undefined: the platform's own. */
  readonly fetch?: Fetch | undefined;
}

type Body = Readonly<Record<string, string | number>>;

/** One request about the account, or about what `id` names. */
interface Wish {
  /** For messages: `place a call`, `hang up call`. */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** A call, or the request for a call that has no id yet. */
  readonly about?: 'Call' | 'Request';
  readonly id?: string | undefined;
  /** After the id: `/Record/`. */
  readonly path?: string;
  readonly body?: Body;
  readonly repeatable: boolean;
}

/** The longest time that Plivo keeps any call up. */
const LONGEST_CALL_S = 86_400;

/** Control of calls by Plivo's REST interface. Nothing rejects. */
export function createControl(options: RestOptions): CallControl {
  const ask = async (wish: Wish, signal: AbortSignal): Promise<RestResult> => {
    try {
      const judge = wish.id === undefined && wish.about === undefined ? judgeAccount : judgeCall;
      return await askCarrier(restRequest(options, wish), judge, signal, options.fetch);
    } catch (thrown) {
      return cannotAsk(BridgeError.from(thrown));
    }
  };
  const change = async (wish: Wish, signal: AbortSignal): Promise<ControlResult> =>
    controlResult(await ask(wish, signal));
  const hangUp: CallControl['hangUp'] = async (call, signal) => {
    if (call.callId !== undefined || call.requestId === undefined) {
      return change(hangUpWish(call.callId), signal);
    }
    const cancelled = await change(cancelWish(call.requestId), signal);
    // A request that is gone was answered meanwhile, or is over. Plivo gives the call the id of its request, so a call
    // that is up is found by it; one that is not is over.
    return cancelled.status === 'already-ended' ? change(hangUpWish(call.requestId), signal) : cancelled;
  };
  return {
    dial: (request, signal) => placeCall(ask, request, options.fallbackUrl, signal),
    hangUp,
    direct: (call, next, urls, signal) => {
      switch (next.type) {
        case 'nothing':
          return Promise.resolve({ status: 'ok' });
        case 'hang-up':
          return hangUp(call, signal);
        case 'say':
        case 'message':
        case 'transfer':
        case 'digits':
        case 'stream':
          return change(redirection(call, urls), signal);
        default:
          return assertNever(next);
      }
    },
    sendDigits: (call, digits, signal) => sendDigits(change, call, digits, signal),
    startRecording: (call, urls, signal) => change(recordingStart(call, urls), signal),
    stopRecording: (call, signal) =>
      change(aboutCall('stop the recording of call', 'DELETE', call, '/Record/'), signal),
    isLive: (call, signal) => askLive(ask, call, signal),
  };
}

type Ask = (wish: Wish, signal: AbortSignal) => Promise<RestResult>;
type Change = (wish: Wish, signal: AbortSignal) => Promise<ControlResult>;

function aboutCall(what: string, method: Wish['method'], call: CallRef, path = '/'): Wish {
  return { what, method, about: 'Call', id: call.callId, path, repeatable: true };
}

function hangUpWish(id: string | undefined): Wish {
  return { what: 'hang up call', method: 'DELETE', about: 'Call', id, path: '/', repeatable: true };
}

function cancelWish(id: string): Wish {
  return { what: 'cancel call request', method: 'DELETE', about: 'Request', id, path: '/', repeatable: true };
}

function redirection(call: CallRef, { afterUrl }: CallUrls): Wish {
  const body = { legs: 'aleg', aleg_url: afterUrl, aleg_method: 'POST' };
  // A second one would cut short what the carrier was told after the first.
  return { ...aboutCall('redirect call', 'POST', call), body, repeatable: false };
}

/** Not made a second time: there would be two recordings. */
function recordingStart(call: CallRef, { statusUrl }: CallUrls): Wish {
  return {
    ...aboutCall('record call', 'POST', call, '/Record/'),
    body: {
      file_format: 'wav',
      // Without it Plivo stops after a minute.
      time_limit: LONGEST_CALL_S,
      callback_url: statusUrl,
      callback_method: 'POST',
    },
    repeatable: false,
  };
}

/** Not made a second time: the other end would hear the keys twice. */
function sendDigits(
  change: Change,
  call: CallRef,
  digits: string,
  signal: AbortSignal,
): Promise<ControlResult> {
  if (!/^[0-9A-D#*wW]{1,200}$/.test(digits)) {
    const found = `the keys to send are ${digits.length} characters that Plivo has not`;
    return Promise.resolve(
      cannotAsk(new BridgeError('BAD_INPUT', `${found}; wanted 1 to 200 of 0-9 A-D # * w W`)),
    );
  }
  const wish = aboutCall('send keys to call', 'POST', call, '/DTMF/');
  return change({ ...wish, body: { digits, leg: 'aleg' }, repeatable: false }, signal);
}

/** Throws CARRIER_REFUSED without credentials, BAD_INPUT for an id that is none. */
function restRequest({ authId, authToken, baseUrl }: RestOptions, wish: Wish): RestRequest {
  if (authId === undefined || authToken === undefined) {
    const missing = authId === undefined ? 'auth id' : 'auth token';
    throw new BridgeError('CARRIER_REFUSED', `cannot ask Plivo to ${wish.what}: no ${missing} is configured`);
  }
  const id = wish.about === undefined ? undefined : pathId(`cannot ask Plivo to ${wish.what}`, wish.id);
  const place = id === undefined ? 'Call' : `${wish.about}/${encodeURIComponent(id)}`;
  return {
    carrier: 'Plivo',
    what: id === undefined ? wish.what : `${wish.what} ${id}`,
    method: wish.method,
    url: `${baseUrl}/v1/Account/${encodeURIComponent(authId)}/${place}${wish.path ?? '/'}`,
    headers: {
      authorization: `Basic ${Buffer.from(`${authId}:${authToken}`).toString('base64')}`,
      ...(wish.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: wish.body === undefined ? undefined : JSON.stringify(wish.body),
    repeatable: wish.repeatable,
  };
}

/** For requests about one call, which may be over. */
function judgeCall(response: RestResponse): RestVerdict {
  // A 404 that is not JSON comes from something else on the way: the call may be up, and cost money.
  if (response.status === 404 && isRecord(response.body)) return { status: 'already-ended' };
  return judgeAccount(response);
}

function judgeAccount({ status, body }: RestResponse): RestVerdict {
  const error = isRecord(body) ? errorText(body['error']) : undefined;
  const found = `HTTP ${status}${error === undefined ? '' : `, ${error}`}`;
  if (status === 401)
    return { status: 'refused', why: `${found} (are the auth id and the auth token right?)` };
  return judgeStatus(status, found);
}

/** Plivo's own words say most, but often repeat the number that was dialled. */
function errorText(error: unknown): string | undefined {
  if (typeof error !== 'string' || error === '') return undefined;
  const words = error.replace(/sips?:\S+/gi, '…').replace(/\+?\d[\d\s().-]{3,}\d/g, '…');
  return words.slice(0, 160);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function placeCall(
  ask: Ask,
  request: DialRequest,
  fallbackUrl: string | undefined,
  signal: AbortSignal,
): Promise<DialResult> {
  let body: Body;
  try {
    const fallback: Body =
      fallbackUrl === undefined ? {} : { fallback_url: fallbackUrl, fallback_method: 'POST' };
    body = { ...dialBody(request), ...fallback };
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
  // Never repeated: whoever is rung twice hangs up.
  const result = await ask({ what: 'place a call', method: 'POST', body, repeatable: false }, signal);
  if (result.status === 'error') return result;
  const requestId = result.status === 'ok' ? requestIdOf(result.response.body) : undefined;
  if (requestId !== undefined)
    return { status: 'ok', call: { callId: undefined, requestId, control: 'document' } };
  // Not "unavailable", which may be tried again: somebody's telephone may be ringing.
  return cannotAsk(
    new BridgeError(
      'BAD_FRAME',
      "Plivo's answer to the wish to place a call has no id of the request; wanted request_uuid",
    ),
  );
}

/** A list where several were called at once. */
function requestIdOf(body: unknown): string | undefined {
  const found = isRecord(body) ? body['request_uuid'] : undefined;
  const id: unknown = Array.isArray(found) ? found[0] : found;
  return typeof id === 'string' && id !== '' ? id : undefined;
}

function dialBody(request: DialRequest): Body {
  const { voiceUrl, statusUrl, machineUrl, machineDetection } = request;
  const body: Body = {
    from: address('from', request.from),
    to: address('to', request.to),
    answer_url: voiceUrl,
    answer_method: 'POST',
    ring_url: statusUrl,
    ring_method: 'POST',
    hangup_url: statusUrl,
    hangup_method: 'POST',
    time_limit: seconds('longest duration', request.maxS, LONGEST_CALL_S),
    ring_timeout: seconds('ring time', request.ringS),
  };
  if (machineDetection === 'off') return body;
  // With an address of its own it does not hold the call up; the end of a greeting is nothing that Plivo tells.
  return {
    ...body,
    machine_detection: 'true',
    machine_detection_url: machineUrl,
    machine_detection_method: 'POST',
  };
}

/** As Plivo writes numbers: without the plus. It takes `<` for the beginning of one more number to call. */
function address(end: 'to' | 'from', text: string): string {
  const target = text.trim();
  if (/^sip:[^\s<>]{1,400}$/i.test(target)) return target;
  const number = target.replace(/[\s().-]/g, '');
  if (/^\+\d{3,20}$/.test(number)) return number.slice(1);
  throw new BridgeError(
    'BAD_INPUT',
    `'${end}' of a call to place has ${target.length} characters that are no address; wanted + and digits, or sip:…`,
  );
}

function seconds(what: string, found: number, most = Number.MAX_SAFE_INTEGER): number {
  if (found > 0 && found < Number.POSITIVE_INFINITY) return Math.min(Math.ceil(found), most);
  throw new BridgeError('BAD_INPUT', `the ${what} of a call to place is ${found}; wanted seconds above 0`);
}

const OVER: ReadonlySet<unknown> = new Set([
  'completed',
  'busy',
  'failed',
  'timeout',
  'no-answer',
  'cancel',
  'rejected',
]);

/** Of a call that has only the id of its request, only that it is live can be known: nothing found proves nothing. */
async function askLive(ask: Ask, call: CallRef, signal: AbortSignal): Promise<LiveResult> {
  const wish: Wish = {
    what: 'show call',
    method: 'GET',
    about: 'Call',
    id: call.callId ?? call.requestId,
    path: '?status=live',
    repeatable: true,
  };
  const result = await ask(wish, signal);
  if (result.status === 'error') return result;
  if (result.status === 'ok') {
    const { body } = result.response;
    return { status: 'ok', live: !OVER.has(isRecord(body) ? body['call_status'] : undefined) };
  }
  if (call.callId !== undefined) return { status: 'ok', live: false };
  return cannotAsk(
    new BridgeError(
      'CARRIER_REFUSED',
      'Plivo knows no live call by the id of its request; it may still be queued',
    ),
  );
}
