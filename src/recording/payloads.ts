import { CARRIERS } from '../carrier.ts';
import { isRecord } from '../is-record.ts';
import { isAudioRef } from './audio-refs.ts';
import type { AudioRef } from './format.ts';

/** Protocols whose messages may hold audio; `provider`: that of any realtime model whose family is not known. */
export const PAYLOAD_KINDS = [...CARRIERS, 'openai', 'openai-live', 'gemini', 'nova', 'provider'] as const;
export type PayloadKind = (typeof PAYLOAD_KINDS)[number];

/** Keeps audio that was taken out; undefined: it cannot be kept, and stays in the message. */
export type Keep = (bytes: Uint8Array) => AudioRef | undefined;

type Json = Readonly<Record<string, unknown>>;
/** The same message with its audio taken out, or the very same when it holds none. */
type Take = (message: Json, keep: Keep) => Json;

/**
 * A JSON message without its audio: base64 that `keep` has taken is replaced by where it lies. The keys stay in their
 * order, and what is not audio is left as it is; a message without audio is returned itself. `putAudio` undoes it.
 */
export function takeAudio(kind: PayloadKind, json: unknown, keep: Keep): unknown {
  return isRecord(json) ? TAKERS[kind](json, keep) : json;
}

/** A message with its audio put back as base64, wherever an `AudioRef` stands in it; the very same when there is none. */
export function putAudio(json: unknown, audio: (ref: AudioRef) => Uint8Array): unknown {
  if (typeof json !== 'object' || json === null) return json;
  if (isAudioRef(json)) return base64Of(audio(json));
  if (Array.isArray(json)) return putInList(json, audio);
  if (!isRecord(json)) return json;
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(json)) {
    const inner = json[key];
    const put = putAudio(inner, audio);
    if (put === inner) continue;
    // Of what it has itself, so that its keys stay in their order and one called `__proto__` is one.
    copy ??= { ...json };
    copy[key] = put;
  }
  return copy ?? json;
}

function putInList(list: readonly unknown[], audio: (ref: AudioRef) => Uint8Array): readonly unknown[] {
  const put = list.map((inner) => putAudio(inner, audio));
  return put.some((inner, index) => inner !== list[index]) ? put : list;
}

/** Something in this message looks like an `AudioRef` by itself, so that `putAudio` would take it for one. */
export function looksTaken(json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false;
  return isAudioRef(json) || Object.values(json).some(looksTaken);
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Undefined for what would not come back as it was: other alphabets, blanks, missing padding, no audio at all. */
function bytesOf(text: string): Uint8Array | undefined {
  if (text === '' || text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** The message with this field replaced, at its place among the others. */
function withField(message: Json, key: string, value: unknown): Json {
  return { ...message, [key]: value };
}

function takeField(message: Json, key: string, keep: Keep): Json {
  const text = message[key];
  if (typeof text !== 'string') return message;
  const bytes = bytesOf(text);
  const ref = bytes === undefined ? undefined : keep(bytes);
  return ref === undefined ? message : withField(message, key, ref);
}

function takeWithin(message: Json, key: string, keep: Keep, take: Take): Json {
  const inner = message[key];
  if (!isRecord(inner)) return message;
  const taken = take(inner, keep);
  return taken === inner ? message : withField(message, key, taken);
}

function takeEach(message: Json, key: string, keep: Keep, take: Take): Json {
  const list = message[key];
  if (!Array.isArray(list)) return message;
  const taken: unknown[] = list.map((one: unknown) => (isRecord(one) ? take(one, keep) : one));
  return taken.some((one, index) => one !== list[index]) ? withField(message, key, taken) : message;
}

const field =
  (key: string): Take =>
  (message, keep) =>
    takeField(message, key, keep);
const within =
  (key: string, take: Take): Take =>
  (message, keep) =>
    takeWithin(message, key, keep, take);
const each =
  (key: string, take: Take): Take =>
  (message, keep) =>
    takeEach(message, key, keep, take);

// All three carriers, and both ways.
const takeMedia = within('media', field('payload'));

/** A piece of a conversation may hold speech of its own, such as one that is shown again by the service. */
const takeContent = each('content', field('audio'));
const takeItem = within('item', takeContent);
const takeResponse = within('response', each('output', takeContent));

/** By the `type` of a message; the names of the beta and of the relatives beside today's. */
const OPENAI: ReadonlyMap<unknown, Take> = new Map<unknown, Take>([
  ['input_audio_buffer.append', field('audio')],
  ['response.output_audio.delta', field('delta')],
  ['response.audio.delta', field('delta')],
  ['conversation.item.create', takeItem],
  ['conversation.item.created', takeItem],
  ['conversation.item.added', takeItem],
  ['conversation.item.done', takeItem],
  ['conversation.item.retrieved', takeItem],
  ['response.output_item.added', takeItem],
  ['response.output_item.done', takeItem],
  ['response.content_part.added', within('part', field('audio'))],
  ['response.content_part.done', within('part', field('audio'))],
  ['response.done', takeResponse],
]);

const OPENAI_LIVE: ReadonlyMap<unknown, Take> = new Map<unknown, Take>([
  ['session.input_audio.append', field('audio')],
  ['session.output_audio.delta', field('delta')],
]);

const byType =
  (table: ReadonlyMap<unknown, Take>): Take =>
  (message, keep) =>
    table.get(message['type'])?.(message, keep) ?? message;

const takeBlob: Take = (blob, keep) => {
  const type = blob['mimeType'] ?? blob['mime_type'];
  return typeof type === 'string' && type.startsWith('audio/') ? takeField(blob, 'data', keep) : blob;
};
const takeParts = each('parts', within('inlineData', takeBlob));

const GEMINI: ReadonlyMap<string, Take> = new Map<string, Take>([
  [
    'realtimeInput',
    (input, keep) => takeEach(takeWithin(input, 'audio', keep, takeBlob), 'mediaChunks', keep, takeBlob),
  ],
  ['serverContent', within('modelTurn', takeParts)],
  ['clientContent', each('turns', takeParts)],
]);

const NOVA: ReadonlyMap<string, Take> = new Map<string, Take>([
  ['audioInput', field('content')],
  ['audioOutput', field('content')],
]);

/** By the names of fields. */
function byField(message: Json, keep: Keep, table: ReadonlyMap<string, Take>): Json {
  let taken = message;
  for (const [key, take] of table) if (key in taken) taken = takeWithin(taken, key, keep, take);
  return taken;
}

const takeGemini: Take = (message, keep) => byField(message, keep, GEMINI);
const takeNova: Take = within('event', (event, keep) => byField(event, keep, NOVA));
const takeOpenai = byType(OPENAI);
const takeLive = byType(OPENAI_LIVE);

const TAKERS: Readonly<Record<PayloadKind, Take>> = {
  twilio: takeMedia,
  telnyx: takeMedia,
  plivo: takeMedia,
  openai: takeOpenai,
  'openai-live': takeLive,
  gemini: takeGemini,
  nova: takeNova,
  provider: (message, keep) => {
    if (typeof message['type'] === 'string') return takeLive(takeOpenai(message, keep), keep);
    return 'event' in message ? takeNova(message, keep) : takeGemini(message, keep);
  },
};
