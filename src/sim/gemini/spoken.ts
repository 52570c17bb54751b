import { PCM16_24K } from '../../audio/format.ts';
import type { JsonObject } from '../common/json.ts';
import { babbleMs, type PlannedMessage } from '../common/plan.ts';
import { cut, type Track } from '../common/voice.ts';
import { bytesIn, msOf } from '../common/voice-activity.ts';
import type { Core } from './core.ts';

const MIME_TYPE = 'audio/pcm;rate=24000';
/** How far the words may be ahead of their audio, or behind it. */
const LEAD = { mixed: 1, ahead: 1.5, behind: 0 } as const;

/** Pieces that, put together, are the text. */
export function words(text: string): readonly string[] {
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
}

/** One message of the model while it is spoken: audio, and around it the words. */
export class Spoken {
  readonly transcript: string;
  readonly totalMs: number;
  sentMs = 0;
  readonly #core: Core;
  readonly #words: readonly string[];
  readonly #track: Track;
  readonly #stepBytes: number;
  #said = 0;
  #sentBytes = 0;

  constructor(core: Core, message: PlannedMessage, deltaMs: number, maxMs: number) {
    this.#core = core;
    this.transcript = message.transcript ?? '';
    this.#words = words(this.transcript);
    const track =
      message.audio === undefined
        ? core.voice.babble(babbleMs(message), PCM16_24K)
        : core.voice.samples(message.audio, PCM16_24K);
    const totalBytes = Math.min(track.totalBytes, bytesIn(Math.max(0, maxMs), PCM16_24K));
    this.#track = { ...track, totalBytes };
    this.totalMs = msOf(totalBytes, PCM16_24K);
    this.#stepBytes = Math.max(2, bytesIn(deltaMs, PCM16_24K));
  }

  get isDone(): boolean {
    return this.#sentBytes >= this.#track.totalBytes;
  }

  /** Sends the next piece; returns its bytes. */
  step(): Uint8Array {
    const to = Math.min(this.#track.totalBytes, this.#sentBytes + this.#stepBytes);
    const bytes = cut(this.#track, this.#sentBytes, to);
    const fragment = this.#due(to);
    this.#sentBytes = to;
    this.sentMs = msOf(to, PCM16_24K);
    if (bytes.length > 0) this.#send(bytes, fragment);
    else if (fragment !== '') this.#core.content(transcription(fragment));
    return bytes;
  }

  #due(toBytes: number): string {
    const share = this.#track.totalBytes === 0 ? 1 : toBytes / this.#track.totalBytes;
    const { words } = this.#core.settings;
    const jitter = words === 'mixed' ? 0.6 + 0.8 * this.#core.dice.roll() : 1;
    const count = Math.min(this.#words.length, Math.ceil(this.#words.length * share * LEAD[words] * jitter));
    return this.#take(count);
  }

  #take(count: number): string {
    if (count <= this.#said) return '';
    const fragment = this.#words.slice(this.#said, count).join('');
    this.#said = count;
    return fragment;
  }

  #send(bytes: Uint8Array, fragment: string): void {
    const { generation, transcribesModel } = this.#core.config;
    const words = transcribesModel && fragment !== '' ? transcription(fragment) : {};
    if (generation.packs) {
      this.#core.content({ modelTurn: speech(halves(bytes)), ...words });
      return;
    }
    const isFirst = fragment !== '' && this.#core.dice.roll() < 0.5;
    if (isFirst && transcribesModel) this.#core.content(words);
    this.#core.content({ modelTurn: speech([bytes]) });
    if (!isFirst && transcribesModel && fragment !== '') this.#core.content(words);
  }

  /** The words that have not been sent, now that the audio has. */
  flush(): void {
    const fragment = this.#take(this.#words.length);
    if (!this.#core.config.transcribesModel) return;
    const finished = this.#core.settings.finishedTranscripts ? { finished: true } : {};
    if (fragment === '' && !('finished' in finished && this.#words.length > 0)) return;
    this.#core.content({
      outputTranscription: { ...(fragment === '' ? {} : { text: fragment }), ...finished },
    });
  }

  /** Audio that nobody asked for any more: it repeats the beginning. */
  late(): Uint8Array {
    const bytes = cut(this.#track, 0, Math.min(this.#stepBytes, this.#track.bytes.length));
    this.#core.content({ modelTurn: speech([bytes]) });
    return bytes;
  }

  /** The words that were heard by the time that `ms` of the audio were. */
  heard(ms: number): string {
    if (ms >= this.totalMs) return this.transcript;
    return this.#words.slice(0, Math.floor((this.#words.length * Math.max(0, ms)) / this.totalMs)).join('');
  }
}

function transcription(text: string): JsonObject {
  return { outputTranscription: { text } };
}

/** From 3.1 on, one event has several parts. */
function halves(bytes: Uint8Array): readonly Uint8Array[] {
  const middle = (bytes.length >> 2) << 1;
  return middle === 0 ? [bytes] : [bytes.subarray(0, middle), bytes.subarray(middle)];
}

function speech(pieces: readonly Uint8Array[]): JsonObject {
  const parts = pieces.map((bytes) => {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
    return { inlineData: { mimeType: MIME_TYPE, data } };
  });
  return { role: 'model', parts };
}
