import type {
  CallControl,
  CallRef,
  ControlResult,
  DialRequest,
  DialResult,
  LiveResult,
} from '../../src/carrier.ts';
import type { Fetch, RestRequest, RestResponse, RestVerdict } from '../../src/carrier-rest.ts';
import { askCarrier, cannotAsk, controlResult, judgeStatus, pathId } from '../../src/carrier-rest.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';

/** The account and the host that requests go to; `baseUrl` has no slash at its end. */
export interface RestOptions {
  readonly accountSid: string | undefined;
  readonly authToken: string | undefined;
  /** For a placed call, when the bridge has no answer. */
  readonly fallbackUrl?: string | undefined;
  readonly baseUrl: string;
  /** Undefined: the platform's own. */
  readonly fetch?: Fetch | undefined;
}

type Fields = readonly (readonly [name: string, value: string])[];

/** One request about the account or, where `call` is given, about a call. */
interface Wish {
  /** For messages: `place a call`, `hang up call`. */
  readonly what: string;
  readonly method: 'GET' | 'POST';
  readonly call?: CallRef;
  /** After `/Calls`, or after the id of the call: `/Recordings`. */
  readonly path?: string;
  readonly fields?: Fields;
  readonly repeatable: boolean;
}

/** Control of calls by Twilio's REST interface. Nothing rejects. */
export function createControl(options: RestOptions): CallControl {
  const change = async (wish: Wish, signal: AbortSignal): Promise<ControlResult> => {
    try {
      return controlResult(await askCarrier(restRequest(options, wish), judgeCall, signal, options.fetch));
    } catch (thrown) {
      return cannotAsk(BridgeError.from(thrown));
    }
  };
  const hangUp: CallControl['hangUp'] = (call, signal) =>
    change(update('hang up call', call, [['Status', 'completed']]), signal);
  return {
    dial: (request, signal) => placeCall(options, request, signal),
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
        case 'stream': {
          const fields: Fields = [
            ['Url', urls.afterUrl],
            ['Method', 'POST'],
          ];
          // A second redirect would cut short what the carrier was told after the first.
          return change({ ...update('redirect call', call, fields), repeatable: false }, signal);
        }
        default:
          return assertNever(next);
      }
    },
    sendDigits: () => Promise.resolve(cannotAsk(noDigits())),
    startRecording: (call, urls, signal) => change(recordingStart(call, urls.statusUrl), signal),
    stopRecording: (call, signal) => change(recordingStop(call), signal),
    isLive: (call, signal) => askLive(options, call, signal),
  };
}

function update(what: string, call: CallRef, fields: Fields): Wish {
  return { what, method: 'POST', call, fields, repeatable: true };
}

/** Not made a second time: there would be two recordings. */
function recordingStart(call: CallRef, statusUrl: string): Wish {
  return {
    what: 'record call',
    method: 'POST',
    call,
    path: '/Recordings',
    fields: [
      ['RecordingChannels', 'dual'],
      ['RecordingStatusCallback', statusUrl],
      ['RecordingStatusCallbackEvent', 'completed'],
    ],
    repeatable: false,
  };
}

function recordingStop(call: CallRef): Wish {
  return {
    what: 'stop the recording of call',
    method: 'POST',
    call,
    path: '/Recordings/Twilio.CURRENT',
    fields: [['Status', 'stopped']],
    repeatable: true,
  };
}

function noDigits(): BridgeError {
  return new BridgeError(
    'BAD_INPUT',
    'Twilio sends no keys by request: it plays them from a document, which interrupts the stream',
  );
}

/** Throws CARRIER_REFUSED without credentials, BAD_INPUT for an id that is none. */
function restRequest({ accountSid, authToken, baseUrl }: RestOptions, wish: Wish): RestRequest {
  if (accountSid === undefined || authToken === undefined) {
    const missing = accountSid === undefined ? 'account SID' : 'auth token';
    throw new BridgeError(
      'CARRIER_REFUSED',
      `cannot ask Twilio to ${wish.what}: no ${missing} is configured`,
    );
  }
  const id =
    wish.call === undefined ? undefined : pathId(`cannot ask Twilio to ${wish.what}`, wish.call.callId);
  const callPath = id === undefined ? '' : `/${encodeURIComponent(id)}`;
  const account = `${baseUrl}/2010-04-01/Accounts/${encodeURIComponent(accountSid)}`;
  return {
    carrier: 'Twilio',
    what: id === undefined ? wish.what : `${wish.what} ${id}`,
    method: wish.method,
    url: `${account}/Calls${callPath}${wish.path ?? ''}.json`,
    headers: {
      authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`,
      ...(wish.fields === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    body: wish.fields === undefined ? undefined : formOf(wish.fields),
    repeatable: wish.repeatable,
  };
}

function formOf(fields: Fields): string {
  const form = new URLSearchParams();
  for (const [name, value] of fields) form.append(name, value);
  return form.toString();
}

/** For requests about one call, which may be over. */
function judgeCall(response: RestResponse): RestVerdict {
  const code = errorCode(response.body);
  // A 404 without Twilio's code comes from something else on the way: the call may be up, and cost money.
  if ((response.status === 404 && code === 20404) || (response.status === 400 && code === 21220)) {
    return { status: 'already-ended' };
  }
  return judge(response);
}

function judge({ status, body }: RestResponse): RestVerdict {
  const code = errorCode(body);
  const found = `HTTP ${status}${code === undefined ? '' : `, error ${code}`}`;
  if (status === 401 || status === 403) {
    return { status: 'refused', why: `${found} (are the account SID and the auth token right?)` };
  }
  return judgeStatus(status, found);
}

function errorCode(body: unknown): number | undefined {
  const code = fieldOf(body, 'code');
  return typeof code === 'number' ? code : undefined;
}

function fieldOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null
    ? (body as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

async function placeCall(
  options: RestOptions,
  request: DialRequest,
  signal: AbortSignal,
): Promise<DialResult> {
  try {
    const wish: Wish = {
      what: 'place a call',
      method: 'POST',
      fields: dialFields(request, options.fallbackUrl),
      repeatable: false,
    };
    const result = await askCarrier(restRequest(options, wish), judge, signal, options.fetch);
    if (result.status === 'error') return result;
    const sid = result.status === 'ok' ? fieldOf(result.response.body, 'sid') : undefined;
    if (typeof sid === 'string' && /^CA[0-9a-f]{32}$/i.test(sid)) {
      return { status: 'ok', call: { callId: sid, control: 'document' } };
    }
    // Not "unavailable", which may be tried again: somebody's telephone may be ringing.
    return cannotAsk(
      new BridgeError(
        'BAD_FRAME',
        "Twilio's answer to the wish to place a call has no id of a call; wanted CA…",
      ),
    );
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}

/** The longest time that Twilio lets a telephone ring. */
const LONGEST_RING_S = 600;

function dialFields(request: DialRequest, fallbackUrl: string | undefined): Fields {
  const { voiceUrl, statusUrl } = request;
  return [
    ['To', address('to', request.to)],
    ['From', address('from', request.from)],
    ['Url', voiceUrl],
    ['Method', 'POST'],
    ...fallbackFields(fallbackUrl),
    ['StatusCallback', statusUrl],
    ['StatusCallbackMethod', 'POST'],
    ['StatusCallbackEvent', 'initiated'],
    ['StatusCallbackEvent', 'ringing'],
    ['StatusCallbackEvent', 'answered'],
    ['StatusCallbackEvent', 'completed'],
    ['Timeout', seconds('ring time', request.ringS, LONGEST_RING_S)],
    ['TimeLimit', seconds('longest duration', request.maxS)],
    ...machineFields(request),
  ];
}

function fallbackFields(url: string | undefined): Fields {
  if (url === undefined) return [];
  return [
    ['FallbackUrl', url],
    ['FallbackMethod', 'POST'],
  ];
}

/** Asynchronous: a person who picks up must not wait in silence until Twilio is sure that it is one. */
function machineFields({ machineDetection, machineUrl }: DialRequest): Fields {
  if (machineDetection === 'off') return [];
  return [
    ['MachineDetection', machineDetection === 'detect' ? 'Enable' : 'DetectMessageEnd'],
    ['AsyncAmd', 'true'],
    ['AsyncAmdStatusCallback', machineUrl],
    ['AsyncAmdStatusCallbackMethod', 'POST'],
  ];
}

function address(end: 'to' | 'from', text: string): string {
  const target = text.trim();
  if (/^(?:sips?|client):[\x21-\x7e]{1,400}$/i.test(target)) return target;
  const number = target.replace(/[\s().-]/g, '');
  if (/^\+\d{3,20}$/.test(number)) return number;
  throw new BridgeError(
    'BAD_INPUT',
    `'${end}' of a call to place has ${target.length} characters that are no address; ` +
      'wanted + and digits, sip:… or client:…',
  );
}

function seconds(what: string, found: number, most = Number.MAX_SAFE_INTEGER): string {
  if (found > 0 && found < Number.POSITIVE_INFINITY) return String(Math.min(Math.ceil(found), most));
  throw new BridgeError('BAD_INPUT', `the ${what} of a call to place is ${found}; wanted seconds above 0`);
}

const LIVE: ReadonlySet<unknown> = new Set(['queued', 'initiated', 'ringing', 'in-progress']);
const OVER: ReadonlySet<unknown> = new Set(['completed', 'busy', 'failed', 'no-answer', 'canceled']);

async function askLive(options: RestOptions, call: CallRef, signal: AbortSignal): Promise<LiveResult> {
  try {
    const wish: Wish = { what: 'show call', method: 'GET', call, repeatable: true };
    const result = await askCarrier(restRequest(options, wish), judgeCall, signal, options.fetch);
    if (result.status === 'error') return result;
    if (result.status === 'already-ended') return { status: 'ok', live: false };
    const status = fieldOf(result.response.body, 'status');
    if (LIVE.has(status)) return { status: 'ok', live: true };
    if (OVER.has(status)) return { status: 'ok', live: false };
    // An answer that nobody can read must not end a call.
    return cannotAsk(
      new BridgeError(
        'BAD_FRAME',
        'the status of a call at Twilio is none that is known; wanted such as in-progress',
      ),
    );
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}
