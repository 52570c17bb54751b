import { BridgeError } from '../../errors.ts';
import type { ResponseStatus, Usage } from '../../provider.ts';
import { type Fields, fieldsOf, isFields, textOf } from '../common/fields.ts';
import { MOST_ID } from '../common/limits.ts';
import { type HeardUsage, readHeardUsage, readUsage } from './usage.ts';

export interface WireError {
  readonly code: string | undefined;
  readonly kind: string | undefined;
  readonly message: string;
  /** Name of the field that it is about. */
  readonly param: string | undefined;
  /** Event id of the client message that it is about. */
  readonly eventId: string | undefined;
}

export interface WireCall {
  readonly callId: string;
  readonly name: string;
  readonly args: string;
}

interface OfItem {
  readonly responseId: string;
  readonly itemId: string;
  readonly outputIndex: number | undefined;
}

/** What the provider says, both dialects in one vocabulary. */
export type ServerEvent =
  | { readonly type: 'session'; readonly updated: boolean; readonly session: Fields }
  /** The conversation has an id that another session can go on with. */
  | { readonly type: 'conversation'; readonly id: string }
  | { readonly type: 'error'; readonly error: WireError }
  /** Nothing that stops anything. */
  | { readonly type: 'noted'; readonly code: string; readonly message: string }
  | { readonly type: 'itemAdded'; readonly itemId: string }
  | {
      readonly type: 'heard';
      readonly itemId: string;
      readonly text: string;
      /** `soFar`: all of it up to now, and the last words may still change. */
      readonly mode: 'piece' | 'soFar' | 'whole';
      readonly usage: HeardUsage | undefined;
    }
  | { readonly type: 'notHeard'; readonly message: string }
  | { readonly type: 'speechStarted'; readonly itemId: string | undefined }
  | { readonly type: 'speechStopped'; readonly itemId: string | undefined }
  /** The caller's turn became an item; comes also without a stop when the server gave up waiting. */
  | { readonly type: 'turnEnded' }
  | { readonly type: 'responseCreated'; readonly responseId: string; readonly token: string | undefined }
  | {
      readonly type: 'responseDone';
      readonly responseId: string;
      readonly token: string | undefined;
      readonly status: ResponseStatus;
      readonly reason: string | undefined;
      readonly error: WireError | undefined;
      readonly calls: readonly WireCall[];
      /** It repeats its items; otherwise `calls` says nothing. */
      readonly hasOutput: boolean;
      readonly usage: Usage | undefined;
    }
  | ({ readonly type: 'itemOpened' } & OfItem)
  | ({ readonly type: 'itemClosed' } & OfItem)
  /** `draft`: its item is not known to be whole. */
  | {
      readonly type: 'callWritten';
      readonly responseId: string;
      readonly call: WireCall;
      readonly draft: boolean;
    }
  | ({ readonly type: 'audio'; readonly contentIndex: number; readonly bytes: Uint8Array } & OfItem)
  | ({ readonly type: 'audioDone' } & OfItem)
  | ({
      readonly type: 'spoken';
      readonly text: string;
      readonly final: boolean;
      readonly contentIndex: number;
      /** False: the model writes instead of speaking. */
      readonly voiced: boolean;
    } & OfItem)
  /** An event that only shows that a response is alive. */
  | { readonly type: 'progress'; readonly responseId: string };

export type Done = Extract<ServerEvent, { readonly type: 'responseDone' }>;

type Parse = (message: Fields) => ServerEvent | undefined;

/** Real responses have less than ten of each. */
const MOST_OUTPUTS = 1_000;
const MOST_PARTS = 64;

/** Under this key of a response's metadata travels the event id of the `response.create` that asked for it. */
export const TOKEN_KEY = 'patchcord';

/** A field that has to be text. Throws BAD_FRAME for anything else. */
export function required(message: Fields, key: string): string {
  const value = message[key];
  if (typeof value === 'string') return value;
  throw new BridgeError(
    'BAD_FRAME',
    `${String(message['type'])} has ${key} of type ${typeof value}, wanted a string`,
  );
}

/** A name that is kept. */
function idOf(message: Fields, key: string): string {
  const id = required(message, key);
  if (id.length <= MOST_ID) return id;
  throw new BridgeError('BAD_FRAME', `${key} has ${id.length} characters, wanted at most ${MOST_ID}`);
}

function shortId(value: unknown): string | undefined {
  const id = textOf(value);
  return id !== undefined && id.length <= MOST_ID ? id : undefined;
}

/** A place in a list; what no list of a response is long enough for is no place. */
function placeOf(value: unknown, most: number): number | undefined {
  const isPlace = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
  return isPlace ? value : undefined;
}

function outputIndexOf(message: Fields): number | undefined {
  return placeOf(message['output_index'], MOST_OUTPUTS);
}

function contentIndexOf(message: Fields): number {
  return placeOf(message['content_index'], MOST_PARTS) ?? 0;
}

/** The error object of an `error` event, of a failed response or of an HTTP body. */
export function wireError(value: unknown): WireError {
  const error = fieldsOf(value);
  return {
    code: textOf(error['code']),
    kind: textOf(error['type']),
    message: textOf(error['message']) ?? 'no message',
    param: textOf(error['param']),
    eventId: textOf(error['event_id']),
  };
}

function ofItem(message: Fields): OfItem {
  return {
    responseId: idOf(message, 'response_id'),
    itemId: idOf(message, 'item_id'),
    outputIndex: outputIndexOf(message),
  };
}

const STATUSES: ReadonlyMap<unknown, ResponseStatus> = new Map<unknown, ResponseStatus>([
  // Some compatible servers leave the status out of a response that went well.
  [undefined, 'completed'],
  ['completed', 'completed'],
  ['cancelled', 'cancelled'],
  ['failed', 'failed'],
  ['incomplete', 'incomplete'],
]);

function call(item: Fields): WireCall | undefined {
  const callId = shortId(item['call_id']);
  const name = shortId(item['name']);
  if (item['type'] !== 'function_call' || callId === undefined || name === undefined) return undefined;
  // The `done` events also come for a call that was cut off in the middle of its arguments. `in_progress` says nothing:
  // some servers never change it, and only calls of a completed response are run.
  if (item['status'] === 'incomplete') return undefined;
  return { callId, name, args: textOf(item['arguments']) ?? '{}' };
}

function calls(output: unknown): readonly WireCall[] {
  if (!Array.isArray(output)) return [];
  return output.map((item) => call(fieldsOf(item))).filter((found) => found !== undefined);
}

function tokenOf(response: Fields): string | undefined {
  return textOf(fieldsOf(response['metadata'])[TOKEN_KEY]);
}

function responseDone(message: Fields): ServerEvent {
  const response = fieldsOf(message['response']);
  const details = fieldsOf(response['status_details']);
  return {
    type: 'responseDone',
    responseId: idOf({ type: message['type'], id: response['id'] }, 'id'),
    token: tokenOf(response),
    status: STATUSES.get(response['status']) ?? 'incomplete',
    reason: textOf(details['reason']),
    error: isFields(details['error']) ? wireError(details['error']) : undefined,
    calls: calls(response['output']),
    hasOutput: Array.isArray(response['output']) && response['output'].length > 0,
    usage: readUsage(response['usage'], true),
  };
}

function outputItem(type: 'itemOpened' | 'itemClosed'): Parse {
  return (message) => {
    const item = fieldsOf(message['item']);
    const responseId = idOf(message, 'response_id');
    const found = type === 'itemClosed' ? call(item) : undefined;
    if (found) return { type: 'callWritten', responseId, call: found, draft: false };
    const itemId = shortId(item['id']);
    if (item['type'] !== 'message' || itemId === undefined) return { type: 'progress', responseId };
    return { type, responseId, itemId, outputIndex: outputIndexOf(message) };
  };
}

const session =
  (updated: boolean): Parse =>
  (message) => ({ type: 'session', updated, session: fieldsOf(message['session']) });

const heardPiece: Parse = (message) => ({
  type: 'heard',
  itemId: idOf(message, 'item_id'),
  text: textOf(message['delta']) ?? '',
  mode: 'piece',
  usage: undefined,
});

/** `whole`: of a text that says nothing of itself. */
const heardAll =
  (whole: boolean): Parse =>
  (message) => ({
    type: 'heard',
    itemId: idOf(message, 'item_id'),
    text: required(message, 'transcript'),
    mode: whole && message['status'] !== 'in_progress' ? 'whole' : 'soFar',
    usage: readHeardUsage(message['usage']),
  });

const warning: Parse = (message) => {
  const { code, message: text } = wireError(message['warning']);
  return { type: 'noted', code: code ?? 'provider', message: text };
};

const conversation: Parse = (message) => {
  const id = shortId(fieldsOf(message['conversation'])['id']);
  return id === undefined ? undefined : { type: 'conversation', id };
};

const spoken =
  (key: string, final: boolean, voiced: boolean): Parse =>
  (message) => ({
    type: 'spoken',
    ...ofItem(message),
    contentIndex: contentIndexOf(message),
    text: textOf(message[key]) ?? '',
    final,
    voiced,
  });

const itemAdded: Parse = (message) => {
  const itemId = textOf(fieldsOf(message['item'])['id']);
  return itemId === undefined ? undefined : { type: 'itemAdded', itemId };
};

const audio: Parse = (message) => ({
  type: 'audio',
  ...ofItem(message),
  contentIndex: contentIndexOf(message),
  bytes: Buffer.from(required(message, 'delta'), 'base64'),
});

const audioDone: Parse = (message) => ({ type: 'audioDone', ...ofItem(message) });

const progress: Parse = (message) => {
  const responseId = shortId(message['response_id']);
  return responseId === undefined ? undefined : { type: 'progress', responseId };
};

const argumentsDone: Parse = (message) => {
  const responseId = shortId(message['response_id']);
  const found = call({ ...message, type: 'function_call' });
  if (responseId === undefined || found === undefined) return progress(message);
  return { type: 'callWritten', responseId, call: found, draft: true };
};

const ignored: Parse = () => undefined;

const WORDS = 'conversation.item.input_audio_transcription';

/**
 * Every event that the provider is known to send, newer and older names. What is not in here is ignored as well:
 * events are added without notice, and compatible servers have their own.
 */
export const SERVER_EVENTS: ReadonlyMap<string, Parse> = new Map<string, Parse>([
  ['session.created', session(false)],
  ['session.updated', session(true)],
  ['error', (message) => ({ type: 'error', error: wireError(message['error']) })],
  ['conversation.created', conversation],
  ['warning', warning],
  ['ping', ignored],
  ['conversation.item.added', itemAdded],
  ['conversation.item.created', itemAdded],
  ['conversation.item.done', ignored],
  ['conversation.item.retrieved', ignored],
  ['conversation.item.truncated', ignored],
  ['conversation.item.deleted', ignored],
  [`${WORDS}.delta`, heardPiece],
  [`${WORDS}.updated`, heardAll(false)],
  [`${WORDS}.completed`, heardAll(true)],
  [`${WORDS}.failed`, (message) => ({ type: 'notHeard', message: wireError(message['error']).message })],
  [`${WORDS}.segment`, ignored],
  [
    'input_audio_buffer.speech_started',
    (message) => ({ type: 'speechStarted', itemId: shortId(message['item_id']) }),
  ],
  [
    'input_audio_buffer.speech_stopped',
    (message) => ({ type: 'speechStopped', itemId: shortId(message['item_id']) }),
  ],
  ['input_audio_buffer.committed', () => ({ type: 'turnEnded' })],
  ['input_audio_buffer.timeout_triggered', () => ({ type: 'turnEnded' })],
  ['input_audio_buffer.cleared', ignored],
  ['input_audio_buffer.dtmf_event_received', ignored],
  ['output_audio_buffer.started', ignored],
  ['output_audio_buffer.stopped', ignored],
  ['output_audio_buffer.cleared', ignored],
  [
    'response.created',
    (message) => {
      const response = fieldsOf(message['response']);
      const responseId = idOf({ type: message['type'], id: response['id'] }, 'id');
      return { type: 'responseCreated', responseId, token: tokenOf(response) };
    },
  ],
  ['response.done', responseDone],
  ['response.output_item.added', outputItem('itemOpened')],
  ['response.output_item.done', outputItem('itemClosed')],
  ['response.content_part.added', progress],
  ['response.content_part.done', progress],
  ['response.output_audio.delta', audio],
  ['response.audio.delta', audio],
  ['response.output_audio.done', audioDone],
  ['response.audio.done', audioDone],
  ['response.output_audio_transcript.delta', spoken('delta', false, true)],
  ['response.audio_transcript.delta', spoken('delta', false, true)],
  ['response.output_audio_transcript.done', spoken('transcript', true, true)],
  ['response.audio_transcript.done', spoken('transcript', true, true)],
  ['response.output_text.delta', spoken('delta', false, false)],
  ['response.text.delta', spoken('delta', false, false)],
  ['response.output_text.done', spoken('text', true, false)],
  ['response.text.done', spoken('text', true, false)],
  ['response.function_call_arguments.delta', progress],
  ['response.function_call_arguments.done', argumentsDone],
  ['response.mcp_call_arguments.delta', progress],
  ['response.mcp_call_arguments.done', progress],
  ['response.mcp_call.in_progress', ignored],
  ['response.mcp_call.completed', ignored],
  ['response.mcp_call.failed', ignored],
  ['mcp_list_tools.in_progress', ignored],
  ['mcp_list_tools.completed', ignored],
  ['mcp_list_tools.failed', ignored],
  ['rate_limits.updated', ignored],
]);
