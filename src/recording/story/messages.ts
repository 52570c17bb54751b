import { isRecord } from '../../is-record.ts';
import { isAudioRef } from '../audio-refs.ts';
import type { AudioRef, Message } from '../format.ts';

/** What a message of a media stream says, whichever carrier speaks. */
export type MediaFact =
  | { readonly kind: 'audio'; readonly ref: AudioRef; readonly atMs: number | undefined }
  /** Sent: it is asked for. Received: everything before it was played. */
  | { readonly kind: 'mark'; readonly name: string }
  | { readonly kind: 'clear' }
  | { readonly kind: 'cleared' }
  | { readonly kind: 'keys'; readonly keys: string }
  | { readonly kind: 'start'; readonly codec: string }
  | { readonly kind: 'stop' }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'other'; readonly name: string };

type Fields = Readonly<Record<string, unknown>>;

/** Reads a message of any carrier, in either direction. Never throws: what is not understood is `other`. */
export function mediaFact(message: Message): MediaFact {
  if (!isRecord(message)) return { kind: 'other', name: 'no object' };
  const event = textOf(message['event']) ?? 'no event';
  switch (event) {
    case 'media':
    case 'playAudio':
      return audioFact(inner(message, 'media'), event);
    case 'mark':
      return { kind: 'mark', name: textOf(inner(message, 'mark')['name']) ?? '' };
    case 'checkpoint':
    case 'playedStream':
    case 'played':
      return { kind: 'mark', name: textOf(message['name']) ?? '' };
    case 'clear':
    case 'clearAudio':
      return { kind: 'clear' };
    case 'clearedAudio':
      return { kind: 'cleared' };
    case 'dtmf':
      return { kind: 'keys', keys: textOf(inner(message, 'dtmf')['digit']) ?? '' };
    case 'sendDTMF':
      return { kind: 'keys', keys: textOf(message['dtmf']) ?? '' };
    case 'start':
      return { kind: 'start', codec: codecOf(inner(message, 'start')) };
    case 'stop':
      return { kind: 'stop' };
    case 'error':
    case 'playFailed':
      return { kind: 'error', text: errorText(message) };
    default:
      return { kind: 'other', name: event };
  }
}

function audioFact(media: Fields, event: string): MediaFact {
  const payload = media['payload'];
  // The agent's own voice comes back where somebody asked for both tracks.
  if (!isAudioRef(payload) || media['track'] === 'outbound') return { kind: 'other', name: event };
  const stamp = media['timestamp'];
  const atMs = typeof stamp === 'string' || typeof stamp === 'number' ? Number(stamp) : Number.NaN;
  return { kind: 'audio', ref: payload, atMs: Number.isFinite(atMs) ? atMs : undefined };
}

function codecOf(start: Fields): string {
  const format = isRecord(start['mediaFormat']) ? start['mediaFormat'] : inner(start, 'media_format');
  const rate = textOf(format['sampleRate'] ?? format['sample_rate']);
  return [textOf(format['encoding']) ?? 'codec not said', rate]
    .filter((part) => part !== undefined)
    .join('/');
}

function errorText(message: Fields): string {
  const error = isRecord(message['error']) ? message['error'] : inner(message, 'payload');
  const parts = [error['title'], error['detail'] ?? error['code'], message['reason'], message['message']];
  return parts.flatMap((part) => textOf(part) ?? []).join(': ') || 'no reason was given';
}

function inner(fields: Fields, name: string): Fields {
  const value = fields[name];
  return isRecord(value) ? value : {};
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : undefined;
}
