import { type AudioFormat, sameFormat } from '../../audio/format.ts';
import { bytesIn, msOf, type SpeechListener, VoiceActivity } from '../common/voice-activity.ts';
import type { SemanticVad, ServerVad } from './session-config.ts';
import { Refusal } from './wire.ts';

/** The service takes at most this much in one event, as base64 text. */
const MAX_APPEND_CHARACTERS = 15 * 1024 * 1024;
/** A commit of less is refused. */
const MIN_COMMIT_MS = 100;

/** What the input buffer tells its session. */
export interface InputListener {
  speechStarted(audioStartMs: number): void;
  speechStopped(audioEndMs: number, heardMs: number): void;
}

/** A stretch of the caller's audio that became an item. */
export interface CommittedAudio {
  readonly ms: number;
  /** How much of it was loud. */
  readonly loudMs: number;
  readonly chunks: readonly Uint8Array[];
}

/** The input audio buffer of a session and the judge of speech that reads along. Positions are ms of audio. */
export class InputAudio implements SpeechListener {
  readonly #listener: InputListener;
  readonly #activity = new VoiceActivity(this);
  readonly #keep: boolean;
  #format: AudioFormat;
  #detection: ServerVad | SemanticVad | null = null;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #startMs = 0;
  #receivedMs = 0;

  constructor(listener: InputListener, format: AudioFormat, keep: boolean) {
    this.#listener = listener;
    this.#format = format;
    this.#keep = keep;
    this.#activity.format(format);
  }

  /** All audio of the session so far, in ms. */
  get positionMs(): number {
    return this.#activity.positionMs;
  }

  /** The same with the fraction of a frame that is not judged yet. */
  get receivedMs(): number {
    return this.#receivedMs;
  }

  get bufferedMs(): number {
    return msOf(this.#bufferedBytes, this.#format);
  }

  get speaking(): boolean {
    return this.#activity.speaking;
  }

  configure(format: AudioFormat, detection: ServerVad | SemanticVad | null, silenceMs: number): void {
    if (!sameFormat(format, this.#format)) {
      this.#format = format;
      this.#activity.format(format);
    }
    if (this.#detection === null || detection === null) this.#activity.forget();
    this.#detection = detection;
    this.#activity.tune(detection?.type === 'server_vad' ? detection.threshold : 0.5, silenceMs);
  }

  /** Adds base64 audio and returns its bytes; throws a Refusal when it is none. */
  append(audio: unknown): Uint8Array {
    const bytes = decode(audio);
    this.#bufferedBytes += bytes.length;
    this.#receivedMs += msOf(bytes.length, this.#format);
    if (this.#keep) this.#chunks.push(bytes);
    this.#activity.push(bytes);
    if (this.#detection !== null && !this.#activity.speaking) this.#trim();
    return bytes;
  }

  /** While nobody speaks, a session that looks for speech keeps no more than the padding before it. */
  #trim(): void {
    const paddingMs = this.#detection?.type === 'server_vad' ? this.#detection.prefix_padding_ms : 300;
    const limit = bytesIn(Math.max(paddingMs, 2 * MIN_COMMIT_MS), this.#format);
    while (this.#chunks.length > 1 && this.#bufferedBytes - (this.#chunks[0]?.length ?? 0) >= limit) {
      this.#bufferedBytes -= this.#chunks.shift()?.length ?? 0;
    }
    if (!this.#keep) this.#bufferedBytes = Math.min(this.#bufferedBytes, limit);
  }

  /** Empties the buffer into an item; throws a Refusal below 100 ms unless `force`. */
  commit(force: boolean): CommittedAudio {
    const ms = this.bufferedMs;
    if (ms < MIN_COMMIT_MS && !force) {
      const message = `Error committing input audio buffer: buffer too small. Expected at least ${MIN_COMMIT_MS}ms of audio, but buffer only has ${ms.toFixed(2)}ms of audio.`;
      throw new Refusal('input_audio_buffer_commit_empty', message);
    }
    const chunks = this.#chunks;
    const loudMs = this.#activity.takeLoudMs();
    this.clear();
    return { ms, loudMs, chunks };
  }

  clear(): void {
    this.#chunks = [];
    this.#bufferedBytes = 0;
    this.#activity.forget();
    this.#activity.takeLoudMs();
  }

  speechStarted(startMs: number): void {
    if (this.#detection === null) return;
    this.#startMs = startMs;
    const paddingMs = this.#detection.type === 'server_vad' ? this.#detection.prefix_padding_ms : 300;
    this.#listener.speechStarted(Math.max(0, startMs - paddingMs));
  }

  speechStopped(endMs: number, lastLoudMs: number): void {
    if (this.#detection !== null) this.#listener.speechStopped(endMs, lastLoudMs - this.#startMs);
  }
}

/** Checked by length alone: this runs for every frame of every session. */
function decode(audio: unknown): Uint8Array {
  if (typeof audio !== 'string')
    throw new Refusal('missing_required_parameter', "Missing required parameter: 'audio'.", 'audio');
  if (audio.length > MAX_APPEND_CHARACTERS) {
    const message = `Invalid 'audio': string too long. Expected a string with maximum length ${MAX_APPEND_CHARACTERS}, but got a string with length ${audio.length} instead.`;
    throw new Refusal('string_above_max_length', message, 'audio');
  }
  const bytes = Buffer.from(audio, 'base64');
  const padding = audio.endsWith('==') ? 2 : audio.endsWith('=') ? 1 : 0;
  if (bytes.length === Math.floor(((audio.length - padding) * 3) / 4)) return bytes;
  throw new Refusal(
    'invalid_value',
    "Invalid 'audio'. Expected base64-encoded audio bytes but got invalid bytes.",
    'audio',
  );
}
