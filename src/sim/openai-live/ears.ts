import { type AudioFormat, silenceByte } from '../../audio/format.ts';
import { defaultTranscript } from '../common/plan.ts';
import { bytesIn, msOf, type SpeechListener, VoiceActivity } from '../common/voice-activity.ts';
import type { Hearing } from './api.ts';
import { WORDS_MS } from './mouth.ts';
import { Refusal } from './wire.ts';

/** The service takes at most this much in one event, as base64 text. */
const MAX_APPEND_CHARACTERS = 15 * 1024 * 1024;

/** What the ears tell the rest of the session. */
export interface EarsHost {
  callerStarted(): void;
  /** The caller's turn is over. `transcript`: what there is to know of it. */
  callerStopped(heardMs: number): void;
  /** A piece of what the caller has said from `startMs` to `endMs` of the session. */
  words(words: string, startMs: number, endMs: number): void;
  /** The whole of what the caller said in one turn. */
  heard(transcript: string): void;
}

interface Waiting {
  /** Undefined: after the answer. */
  readonly dueMs: number | undefined;
  readonly send: () => void;
}

/** What a session hears: input that waits to be taken in, the speech in it, and the words of that. */
export class Ears implements SpeechListener {
  readonly #format: AudioFormat;
  readonly #host: EarsHost;
  readonly #hear: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly #keep: boolean;
  readonly #activity = new VoiceActivity(this);
  readonly #kept: Uint8Array[] = [];
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #receivedBytes = 0;
  #appends = 0;
  #turns = 0;
  #startMs: number | undefined;
  /** Loud audio since the caller began to speak. */
  #loudMs = 0;
  #simulatedMs: number | undefined;
  #nowMs = 0;
  #waiting: Waiting[] = [];
  muted = false;

  constructor(parts: {
    readonly format: AudioFormat;
    readonly host: EarsHost;
    readonly endOfTurnMs: number;
    readonly keep: boolean;
    readonly hear: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  }) {
    this.#format = parts.format;
    this.#host = parts.host;
    this.#hear = parts.hear;
    this.#keep = parts.keep;
    this.#activity.format(parts.format);
    this.#activity.tune(0.5, parts.endOfTurnMs);
  }

  get appends(): number {
    return this.#appends;
  }

  get receivedMs(): number {
    return msOf(this.#receivedBytes, this.#format);
  }

  /** Everything that was appended; only when it is kept. */
  get kept(): readonly Uint8Array[] {
    return this.#kept;
  }

  /** Input that was not taken in yet, in ms. */
  get queuedMs(): number {
    return msOf(this.#queuedBytes, this.#format);
  }

  /** How long the caller has been talking, in ms without the pauses; undefined while nobody does. */
  get talkedMs(): number | undefined {
    if (this.#simulatedMs !== undefined) return this.#nowMs - this.#simulatedMs;
    return this.#startMs === undefined ? undefined : this.#loudMs;
  }

  /** Adds base64 audio; throws a Refusal when it is none. */
  append(audio: unknown): void {
    const bytes = decode(audio);
    this.#appends++;
    this.#receivedBytes += bytes.length;
    if (this.#keep) this.#kept.push(bytes);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  /** Takes in what came for the next `ms`; what did not come, or is not to be heard, is silence. */
  take(ms: number, isDeaf: boolean): void {
    const piece = this.#shift(bytesIn(ms, this.#format));
    this.#nowMs += ms;
    this.#activity.push(isDeaf || this.muted ? piece.fill(silenceByte(this.#format)) : piece);
    this.#loudMs += this.#activity.takeLoudMs();
    this.#tellDue();
  }

  speechStarted(startMs: number): void {
    this.#startMs = startMs;
    this.#loudMs = 0;
    if (this.#simulatedMs === undefined) this.#host.callerStarted();
  }

  speechStopped(_endMs: number, lastLoudMs: number): void {
    const startMs = this.#startMs ?? lastLoudMs;
    this.#startMs = undefined;
    if (this.#simulatedMs === undefined) this.#turnOver(startMs, lastLoudMs);
  }

  /** Speech that the script says is there. */
  simulateStart(): void {
    if (this.talkedMs !== undefined) return;
    this.#simulatedMs = this.#nowMs;
    this.#host.callerStarted();
  }

  simulateStop(): void {
    const startMs = this.#simulatedMs;
    if (startMs === undefined) return;
    this.#simulatedMs = undefined;
    this.#turnOver(startMs, this.#nowMs);
  }

  /** The answer to the caller was said, or cut off. */
  answered(): void {
    const late = this.#waiting.filter(({ dueMs }) => dueMs === undefined);
    this.#waiting = this.#waiting.filter(({ dueMs }) => dueMs !== undefined);
    for (const { send } of late) send();
  }

  #turnOver(startMs: number, endMs: number): void {
    const heardMs = endMs - startMs;
    const hearing = this.#hear({ index: this.#turns++, heardMs }) ?? {};
    const transcript = hearing.transcript ?? defaultTranscript(heardMs);
    const send = (): void => this.#tell(transcript, startMs, endMs);
    if (hearing.after === undefined || hearing.after === 0) send();
    else if (hearing.after === 'response') this.#waiting.push({ dueMs: undefined, send });
    else this.#waiting.push({ dueMs: this.#nowMs + hearing.after, send });
    this.#host.heard(transcript);
    this.#host.callerStopped(heardMs);
  }

  /** Word by word, spread evenly over the time in which they were said. */
  #tell(transcript: string, startMs: number, endMs: number): void {
    const words = transcript.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
    for (const [at, word] of words.entries()) {
      const wordMs = startMs + ((endMs - startMs) * at) / words.length;
      const fromMs = Math.floor(wordMs / WORDS_MS) * WORDS_MS;
      this.#host.words(word, fromMs, fromMs + WORDS_MS);
    }
  }

  #tellDue(): void {
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter(({ dueMs }) => dueMs !== undefined && dueMs <= this.#nowMs);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((one) => !due.includes(one));
    for (const { send } of due) send();
  }

  #shift(count: number): Uint8Array {
    const piece = new Uint8Array(count).fill(silenceByte(this.#format));
    let at = 0;
    for (let first = this.#queue[0]; first !== undefined && at < count; first = this.#queue[0]) {
      const part = first.subarray(0, count - at);
      piece.set(part, at);
      at += part.length;
      if (part.length === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(part.length);
    }
    this.#queuedBytes -= at;
    return piece;
  }
}

/** Checked by length alone: this runs for every frame of every session. */
function decode(audio: unknown): Uint8Array {
  if (typeof audio !== 'string') {
    throw new Refusal('missing_required_parameter', "Missing required parameter: 'audio'.", 'audio');
  }
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
