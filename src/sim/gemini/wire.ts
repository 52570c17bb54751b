import type { TypedEvent } from '../common/event-log.ts';
import { isObject, type JsonObject } from '../common/json.ts';

/** A close frame cannot hold more than this, in bytes of UTF-8; the service cuts its longer sentences off. */
const MAX_REASON_BYTES = 123;

/** What the service says when it does not say what was wrong. */
export const INVALID_ARGUMENT = 'Request contains an invalid argument.';

/**
 * Thrown while a client message is handled: this protocol has no error event, the service answers with a close frame.
 * `why` says in our own words what `reason` leaves open.
 */
export class Refusal extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, why = reason) {
    super(why);
    this.name = 'Refusal';
    this.code = code;
    this.reason = reason;
  }
}

/** The refusal that names no reason on the wire; `why` is for the test. */
export function invalid(why: string): Refusal {
  return new Refusal(1007, INVALID_ARGUMENT, why);
}

/** As much of `reason` as fits into a close frame, cut between two letters. */
export function fitReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString();
}

/** A protobuf Duration as JSON has it: `60s`, `9.500s`. */
export function duration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  return whole % 1000 === 0 ? `${whole / 1000}s` : `${(whole / 1000).toFixed(3)}s`;
}

/** Members of a message that are known by the names of their own members. */
const NESTED: Readonly<Record<string, string>> = { serverContent: '', realtimeInput: 'realtimeInput.' };

/**
 * What a message is called in logs and fault scripts: one name for each thing in it, as in `modelTurn`, `turnComplete`,
 * `toolCall`, `setup` or `realtimeInput.audio`.
 */
export function namesOf(message: JsonObject): readonly string[] {
  const names: string[] = [];
  for (const [key, value] of Object.entries(message)) {
    const prefix = NESTED[key];
    if (prefix === undefined || !isObject(value)) names.push(key);
    else for (const name of Object.keys(value)) names.push(prefix + name);
  }
  return names;
}

/** The message without the things called `names`; undefined when nothing is left. */
export function without(message: JsonObject, names: ReadonlySet<string>): JsonObject | undefined {
  if (names.size === 0) return message;
  const left: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(message)) {
    if (key !== 'serverContent' || !isObject(value)) {
      if (!names.has(key)) left[key] = value;
      continue;
    }
    const content = Object.entries(value).filter(([name]) => !names.has(name));
    if (content.length > 0) left[key] = Object.fromEntries(content);
  }
  return Object.keys(left).length === 0 ? undefined : left;
}

/** The message for the log: audio is replaced by the number of its bytes. */
export function logged(type: string, message: JsonObject): TypedEvent {
  const { bytes, view } = withoutAudio(message);
  return bytes === 0 ? { type, ...view } : { type, bytes, ...view };
}

/** The same for the one message that comes fifty times a second. */
export function loggedAudio(type: string, body: JsonObject): TypedEvent {
  const audio = isObject(body['audio']) ? body['audio'] : {};
  const { data, mimeType } = audio;
  const bytes = typeof data === 'string' ? Buffer.byteLength(data, 'base64') : 0;
  return { type, bytes, realtimeInput: { audio: { mimeType, bytes } } };
}

function withoutAudio(message: JsonObject): { readonly bytes: number; readonly view: JsonObject } {
  let bytes = 0;
  const strip = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(strip);
    if (!isObject(value)) return value;
    const { data, ...rest } = value;
    if (typeof data !== 'string' || !('mimeType' in value || 'mime_type' in value)) {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, strip(inner)]));
    }
    const size = Buffer.byteLength(data, 'base64');
    bytes += size;
    return { ...rest, bytes: size };
  };
  const view = strip(message) as JsonObject;
  return { bytes, view };
}
