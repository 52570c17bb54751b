import { BridgeError } from '../../errors.ts';
import type { Usage } from '../../provider.ts';
import { countOf, type Fields, fieldsOf, isFields, textOf } from '../common/fields.ts';
import { KnownForm } from '../common/known-form.ts';
import { MOST_ID } from '../common/limits.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';

export interface WireError {
  readonly code: string | undefined;
  readonly kind: string | undefined;
  readonly message: string;
  /** Event id of the client message that it is about. */
  readonly eventId: string | undefined;
}

export interface WireCall {
  readonly callId: string;
  readonly name: string;
  readonly args: string;
}

/** What the Responses backend of a session says; `run` tells apart what it does at the same time. */
export type BackendEvent =
  | { readonly type: 'runStarted'; readonly run: string; readonly responseId: string | undefined }
  | { readonly type: 'called'; readonly run: string; readonly call: WireCall }
  /** It only shows that the run is alive. */
  | { readonly type: 'progress'; readonly run: string }
  | {
      readonly type: 'runEnded';
      readonly run: string;
      readonly status: 'completed' | 'failed' | 'incomplete' | 'cancelled';
      readonly error: WireError | undefined;
      readonly usage: Usage | undefined;
      readonly model: string | undefined;
    };

/** What the provider says, as far as it matters here. */
export type ServerEvent =
  | { readonly type: 'started'; readonly session: Fields }
  | { readonly type: 'audio'; readonly bytes: Uint8Array }
  | {
      readonly type: 'words';
      readonly role: 'user' | 'assistant';
      readonly text: string;
      /** Time of the session, in ms; undefined when it is not told. */
      readonly startMs: number | undefined;
      readonly endMs: number | undefined;
    }
  /** What was appended has been taken in. */
  | { readonly type: 'appended'; readonly eventId: string | undefined }
  | { readonly type: 'delegated'; readonly id: string; readonly target: string | undefined }
  | { readonly type: 'backend'; readonly event: BackendEvent }
  /** All seconds so far. */
  | { readonly type: 'usage'; readonly seconds: number }
  | { readonly type: 'info'; readonly code: string; readonly message: string }
  | { readonly type: 'ended'; readonly reason: string; readonly seconds: number | undefined }
  | { readonly type: 'error'; readonly error: WireError };

type Parse = (message: Fields) => ServerEvent | undefined;

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function required(message: Fields, name: string): string {
  const value = textOf(message[name]);
  if (value !== undefined) return value;
  throw new BridgeError('BAD_FRAME', `a message of type ${String(message['type'])} has no ${name}`);
}

/** A name that is kept. */
function shortId(value: unknown): string | undefined {
  const id = textOf(value);
  return id !== undefined && id.length <= MOST_ID ? id : undefined;
}

/** The error object of an event, or of an HTTP answer. */
export function wireError(value: unknown, eventId?: unknown): WireError {
  const error = fieldsOf(value);
  return {
    code: textOf(error['code']),
    kind: textOf(error['type']),
    message: textOf(error['message']) ?? 'no reason given',
    eventId: textOf(error['client_event_id']) ?? textOf(eventId),
  };
}

function secondsOf(message: Fields): number | undefined {
  const usage = message['usage'];
  return isFields(usage) ? countOf(usage['seconds']) : undefined;
}

const words =
  (role: 'user' | 'assistant'): Parse =>
  (message) => ({
    type: 'words',
    role,
    text: required(message, 'delta'),
    startMs: numberOf(message['start_ms']),
    endMs: numberOf(message['end_ms']),
  });

const appended: Parse = (message) => ({ type: 'appended', eventId: textOf(message['client_event_id']) });

const ignored: Parse = () => undefined;

const delegated: Parse = (message) => {
  const delegation = fieldsOf(message['delegation']);
  const id = shortId(delegation['id']);
  if (id === undefined) throw new BridgeError('BAD_FRAME', 'a delegation has no id that can be used');
  return { type: 'delegated', id, target: textOf(delegation['target']) };
};

function usageOf(value: unknown): Usage | undefined {
  if (!isFields(value)) return undefined;
  return {
    inputTextTokens: countOf(value['input_tokens']),
    inputAudioTokens: 0,
    cachedTextTokens: countOf(fieldsOf(value['input_tokens_details'])['cached_tokens']),
    cachedAudioTokens: 0,
    outputTextTokens: countOf(value['output_tokens']),
    outputAudioTokens: 0,
  };
}

const ENDS = {
  'response.completed': 'completed',
  'response.failed': 'failed',
  'response.incomplete': 'incomplete',
  'response.cancelled': 'cancelled',
} as const;

function isEnd(type: string): type is keyof typeof ENDS {
  return Object.hasOwn(ENDS, type);
}

function backendEvent(run: string, event: Fields): BackendEvent {
  const type = textOf(event['type']) ?? '';
  if (type === 'response.created') {
    return { type: 'runStarted', run, responseId: shortId(fieldsOf(event['response'])['id']) };
  }
  if (type === 'response.output_item.done') {
    // The response at the end repeats no items, so this is where calls are read (aplisay/llm-agent#306).
    const item = fieldsOf(event['item']);
    const callId = shortId(item['call_id']);
    const name = shortId(item['name']);
    const isWhole = item['status'] === undefined || item['status'] === 'completed';
    if (item['type'] !== 'function_call' || !isWhole || callId === undefined || name === undefined) {
      return { type: 'progress', run };
    }
    return { type: 'called', run, call: { callId, name, args: textOf(item['arguments']) ?? '' } };
  }
  if (!isEnd(type)) return { type: 'progress', run };
  const response = fieldsOf(event['response']);
  return {
    type: 'runEnded',
    run,
    status: ENDS[type],
    error: isFields(response['error']) ? wireError(response['error']) : undefined,
    usage: usageOf(response['usage']),
    model: textOf(response['model']),
  };
}

const backend: Parse = (message) => {
  const event = backendEvent(shortId(message['delegation_id']) ?? '', fieldsOf(message['event']));
  return { type: 'backend', event };
};

/** Every event that the provider is known to send. What is not in here is ignored as well: events are added. */
export const SERVER_EVENTS: ReadonlyMap<string, Parse> = new Map<string, Parse>([
  ['session.started', (message) => ({ type: 'started', session: fieldsOf(message['session']) })],
  ['session.updated', ignored],
  [
    'session.output_audio.delta',
    (message) => ({ type: 'audio', bytes: Buffer.from(required(message, 'delta'), 'base64') }),
  ],
  ['session.input_transcript.delta', words('user')],
  ['session.output_transcript.delta', words('assistant')],
  ['session.instructions.appended', appended],
  ['session.thinking.appended', appended],
  ['session.commentary.appended', appended],
  ['session.delegation.created', delegated],
  ['response.event', backend],
  [
    'session.usage.updated',
    (message) => {
      const seconds = secondsOf(message);
      return seconds === undefined ? undefined : { type: 'usage', seconds };
    },
  ],
  [
    'session.closed',
    (message) => ({
      type: 'ended',
      reason: textOf(message['reason']) ?? 'no reason given',
      seconds: secondsOf(message),
    }),
  ],
  [
    'info',
    (message) => ({
      type: 'info',
      code: textOf(message['code']) ?? 'info',
      message: textOf(message['message']) ?? '',
    }),
  ],
  ['error', (message) => ({ type: 'error', error: wireError(message['error'], message['client_event_id']) })],
  ['session.input_audio.muted', ignored],
  ['session.input_audio.unmuted', ignored],
  ['session.output_audio.fixture.playing', ignored],
  ['session.output_audio.fixture.played', ignored],
  // Only where somebody listens beside the one connection that carries the audio.
  ['session.input_audio.append', ignored],
  ['decision.event', ignored],
  ['decision.item.created', ignored],
  ['decision.item.deleted', ignored],
  ['transport.dtmf.received', ignored],
  ['transport.dtmf.send', ignored],
  ['transport.dtmf.sent', ignored],
  ['transport.ringing', ignored],
  ['transport.answered', ignored],
  ['transport.failed', ignored],
]);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BridgeError('BAD_FRAME', `a message of ${text.length} characters is not JSON`, { cause });
  }
}

/** Reads the messages of one session. */
export class ServerEventReader {
  readonly #form: KnownForm<undefined> | undefined;
  #last: unknown;

  /** @param decoder undefined: every message is read as JSON, which gives the same, and costs more */
  constructor(decoder?: SpeechDecoder) {
    this.#form = decoder && new KnownForm(decoder);
  }

  /**
   * One message; undefined for news that nobody needs, or told just before. Bytes of audio are lent, see `SpeechDecoder`.
   * Throws BAD_FRAME for nonsense.
   */
  read(text: string): ServerEvent | undefined {
    const bytes = this.#form?.speechIn(text)?.[0];
    return bytes === undefined ? this.#any(text) : { type: 'audio', bytes };
  }

  #any(text: string): ServerEvent | undefined {
    const message = parseJson(text);
    if (!isFields(message)) throw new BridgeError('BAD_FRAME', 'a message is not an object');
    const type = required(message, 'type');
    const eventId = message['event_id'];
    // Audio has no id: there two messages that are alike are two pieces of silence.
    if (eventId !== undefined && eventId === this.#last) return undefined;
    if (eventId !== undefined) this.#last = eventId;
    const event = SERVER_EVENTS.get(type)?.(message);
    if (event?.type === 'audio' && eventId === undefined) {
      const { type: _type, delta, ...free } = message;
      this.#form?.learn(text, undefined, [String(delta)], free);
    }
    return event;
  }
}
