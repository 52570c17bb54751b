import { LONGEST_TIMER_MS } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { Usage } from '../../provider.ts';
import { type Fields, fieldsOf, isFields, textOf } from '../common/fields.ts';
import { KnownForm } from '../common/known-form.ts';
import { codeWord, MOST_ID } from '../common/limits.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { readUsage } from './usage.ts';

export interface WireCall {
  /** Vertex AI may leave it out. */
  readonly id: string | undefined;
  readonly name: string;
  /** JSON. */
  readonly args: string;
}

/** What one message says, taken apart: it may say several things at once. */
export type ServerEvent =
  | { readonly type: 'ready' }
  | { readonly type: 'error'; readonly words: string }
  /** `rate` in Hz; undefined: not said. */
  | { readonly type: 'audio'; readonly bytes: Uint8Array; readonly rate: number | undefined }
  /** The model writes instead of speaking. */
  | { readonly type: 'written' }
  | { readonly type: 'words'; readonly role: 'user' | 'assistant'; readonly text: string }
  | { readonly type: 'generated' }
  | { readonly type: 'interrupted' }
  | { readonly type: 'turnComplete'; readonly reason: string | undefined }
  | { readonly type: 'toolCall'; readonly calls: readonly WireCall[] }
  | { readonly type: 'toolCallsCancelled'; readonly ids: readonly string[] }
  | { readonly type: 'usage'; readonly usage: Usage }
  | { readonly type: 'goAway'; readonly leftMs: number }
  | { readonly type: 'resumption'; readonly handle: string | undefined }
  | { readonly type: 'activity'; readonly started: boolean }
  | { readonly type: 'unknown'; readonly names: string };

/** When the announcement of the end cannot be read: soon. */
const SOON_MS = 10_000;

/** A protobuf Duration in JSON, `50s` or `9.500s`, in ms, as far as a timer can count; undefined for anything else. */
export function durationMs(value: unknown): number | undefined {
  const [, seconds] = /^(\d+(?:\.\d+)?)s$/.exec(textOf(value) ?? '') ?? [];
  return seconds === undefined ? undefined : Math.min(Math.round(Number(seconds) * 1000), LONGEST_TIMER_MS);
}

function rateOf(mimeType: string): number | undefined {
  const [, rate] = /;\s*rate=(\d+)/i.exec(mimeType) ?? [];
  return rate === undefined ? undefined : Number(rate);
}

function readPart(part: Fields, events: ServerEvent[], speech: string[]): void {
  // What the model thinks is neither said nor heard.
  if (part['thought'] === true) return;
  const blob = part['inlineData'];
  if (isFields(blob)) {
    const mimeType = textOf(blob['mimeType']) ?? 'audio/pcm';
    if (!mimeType.startsWith('audio/')) return;
    const delta = blob['data'];
    if (typeof delta !== 'string') throw new BridgeError('BAD_FRAME', 'a part has audio without data');
    speech.push(delta);
    events.push({ type: 'audio', bytes: Buffer.from(delta, 'base64'), rate: rateOf(mimeType) });
  } else if (textOf(part['text']) !== undefined && part['text'] !== '') {
    events.push({ type: 'written' });
  }
}

function readWords(role: 'user' | 'assistant', value: unknown, events: ServerEvent[]): void {
  const text = textOf(fieldsOf(value)['text']);
  if (text !== undefined && text !== '') events.push({ type: 'words', role, text });
}

function readParts(value: unknown, events: ServerEvent[], speech: string[]): void {
  if (value === undefined || value === null) return;
  const parts: unknown = fieldsOf(value)['parts'];
  if (parts === undefined) return;
  if (!Array.isArray(parts)) throw new BridgeError('BAD_FRAME', 'modelTurn has parts that are no list');
  for (const part of parts) readPart(fieldsOf(part), events, speech);
}

// What the caller said comes before the answer to it, and what ends a turn after all that belongs to it.
function readContent(content: Fields, events: ServerEvent[], ends: ServerEvent[], speech: string[]): void {
  readWords('user', content['inputTranscription'], events);
  readParts(content['modelTurn'], events, speech);
  readWords('assistant', content['outputTranscription'], events);
  if (content['generationComplete'] === true) ends.push({ type: 'generated' });
  if (content['interrupted'] === true) ends.push({ type: 'interrupted' });
  if (content['turnComplete'] === true) {
    const reason = textOf(content['turnCompleteReason']);
    ends.push({ type: 'turnComplete', reason: reason === undefined ? undefined : codeWord(reason, 'OTHER') });
  }
}

function readCalls(value: unknown, events: ServerEvent[]): void {
  const list: unknown = fieldsOf(value)['functionCalls'];
  const calls: WireCall[] = [];
  for (const item of Array.isArray(list) ? list : []) {
    const { id, name, args } = fieldsOf(item);
    if (typeof name !== 'string' || name.length > MOST_ID) {
      throw new BridgeError('BAD_FRAME', 'a function call has no name, or one that is none');
    }
    const callId = textOf(id) || undefined;
    if (callId !== undefined && callId.length > MOST_ID) {
      throw new BridgeError('BAD_FRAME', 'a function call has an id that is none');
    }
    calls.push({ id: callId, name, args: JSON.stringify(args ?? {}) });
  }
  if (calls.length > 0) events.push({ type: 'toolCall', calls });
}

function readCancellation(value: unknown, events: ServerEvent[]): void {
  const list: unknown = fieldsOf(value)['ids'];
  const ids = (Array.isArray(list) ? list : []).filter((id) => typeof id === 'string');
  if (ids.length > 0) events.push({ type: 'toolCallsCancelled', ids });
}

function readResumption(value: unknown, events: ServerEvent[]): void {
  const { newHandle, resumable } = fieldsOf(value);
  const handle = resumable === true ? textOf(newHandle) || undefined : undefined;
  events.push({ type: 'resumption', handle });
}

function readActivity(value: unknown, events: ServerEvent[]): void {
  const kind = fieldsOf(value)['voiceActivityType'];
  if (kind === 'ACTIVITY_START') events.push({ type: 'activity', started: true });
  else if (kind === 'ACTIVITY_END') events.push({ type: 'activity', started: false });
}

/** Everything that the service is known to send beside `serverContent`. */
const MESSAGES: ReadonlyMap<string, (value: unknown, events: ServerEvent[]) => void> = new Map([
  ['setupComplete', (_value: unknown, events: ServerEvent[]): void => void events.push({ type: 'ready' })],
  ['toolCall', readCalls],
  ['toolCallCancellation', readCancellation],
  [
    'usageMetadata',
    (value: unknown, events: ServerEvent[]): void => {
      const usage = readUsage(value);
      if (usage !== undefined) events.push({ type: 'usage', usage });
    },
  ],
  [
    'goAway',
    (value: unknown, events: ServerEvent[]): void => {
      events.push({ type: 'goAway', leftMs: durationMs(fieldsOf(value)['timeLeft']) ?? SOON_MS });
    },
  ],
  ['sessionResumptionUpdate', readResumption],
  ['voiceActivity', readActivity],
  ['voiceActivityDetectionSignal', () => undefined],
  [
    'error',
    (value: unknown, events: ServerEvent[]): void => {
      const { message, status } = fieldsOf(value);
      const words = [textOf(message), textOf(status)].filter((word) => word !== undefined).join(', ');
      events.push({ type: 'error', words: words === '' ? 'no message' : words });
    },
  ],
]);

function parseJson(text: string): Fields {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (cause) {
    throw new BridgeError('BAD_FRAME', `a message of ${text.length} characters is not JSON`, { cause });
  }
  if (isFields(message)) return message;
  throw new BridgeError('BAD_FRAME', 'a message is not an object');
}

/** What the speech of a message is, piece by piece. */
interface Known {
  readonly rates: readonly (number | undefined)[];
}

/** Reads the messages of one session. */
export class MessageReader {
  readonly #form: KnownForm<Known> | undefined;

  /** @param decoder undefined: every message is read as JSON, which gives the same, and costs more */
  constructor(decoder?: SpeechDecoder) {
    this.#form = decoder && new KnownForm(decoder);
  }

  /**
   * One message, in the order in which it is to be taken; empty for news that nobody needs. Bytes of audio are lent, see
   * `SpeechDecoder`. Throws BAD_FRAME for nonsense.
   */
  read(text: string): readonly ServerEvent[] {
    const speech = this.#form?.speechIn(text);
    const rates = this.#form?.says?.rates;
    if (speech === undefined || rates === undefined) return this.#any(text);
    return speech.map((bytes, i) => ({ type: 'audio', bytes, rate: rates[i] }));
  }

  #any(text: string): readonly ServerEvent[] {
    const message = parseJson(text);
    const events: ServerEvent[] = [];
    const ends: ServerEvent[] = [];
    const strange: string[] = [];
    const speech: string[] = [];
    const content = message['serverContent'];
    if (content !== undefined && content !== null) readContent(fieldsOf(content), events, ends, speech);
    for (const key of Object.keys(message)) {
      const value = message[key];
      if (key === 'serverContent' || value === undefined || value === null) continue;
      const read = MESSAGES.get(key);
      if (read === undefined) strange.push(key);
      else read(value, events);
    }
    for (const end of ends) events.push(end);
    if (strange.length > 0) events.push({ type: 'unknown', names: namesOf(strange) });
    if (speech.length > 0) this.#learn(text, events, speech);
    return events;
  }

  /** Only what brings speech and nothing else comes so often. */
  #learn(text: string, events: readonly ServerEvent[], speech: readonly string[]): void {
    const rates = events.flatMap((event) => (event.type === 'audio' ? [event.rate] : []));
    if (rates.length === events.length) this.#form?.learn(text, { rates }, speech, {});
  }
}

/** Names out of a message may be anything; only what looks like one is repeated. */
function namesOf(keys: readonly string[]): string {
  return keys
    .slice(0, 4)
    .map((key) => (/^\w{1,40}$/.test(key) ? key : '?'))
    .join(', ');
}
