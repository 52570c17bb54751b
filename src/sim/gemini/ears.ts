import type { AudioFormat, Rate } from '../../audio/format.ts';
import type { JsonObject } from '../common/json.ts';
import { msOf, type SpeechListener, VoiceActivity } from '../common/voice-activity.ts';
import type { Core } from './core.ts';
import type { Detection } from './setup.ts';
import { duration, invalid, Refusal } from './wire.ts';

const DEFAULT_RATE = 16_000;
/** The detector itself waits for so much speech before it reports any. */
const ONSET_MS = 30;

/** What the ears ask of the rest of the session. */
export interface EarsHost {
  callerStarted(): void;
  /** `heardMs`: how long the speech was. */
  callerStopped(heardMs: number): void;
}

/** What a session hears: audio of any declared rate, and the caller's turns in it. */
export class Ears implements SpeechListener {
  receivedMs = 0;
  appends = 0;
  /** Only with `keepAudio`. */
  readonly kept: Uint8Array[] = [];
  readonly #core: Core;
  readonly #host: EarsHost;
  readonly #activity = new VoiceActivity(this);
  #mimeType = '';
  #format: AudioFormat = { encoding: 'pcm16', rate: DEFAULT_RATE };
  #detection: Detection | undefined;
  /** Speech was found, and is not long enough yet to count. */
  #candidateLoudMs: number | undefined;
  #startMs = 0;
  #state: 'silent' | 'speaking' | 'declared' | 'scripted' = 'silent';
  #scriptedAtMs = 0;

  constructor(core: Core, host: EarsHost) {
    this.#core = core;
    this.#host = host;
    this.#activity.format(this.#format);
  }

  get isSpeaking(): boolean {
    return this.#state !== 'silent';
  }

  configure(detection: Detection): void {
    this.#detection = detection;
    this.#activity.tune(detection.threshold, detection.silenceMs);
  }

  /** One chunk of audio; throws a Refusal when it is none. */
  audio(blob: JsonObject): void {
    const { mimeType, data } = blob;
    if (typeof mimeType !== 'string' || typeof data !== 'string')
      throw invalid('audio needs mimeType and data');
    if (mimeType !== this.#mimeType) this.#declare(mimeType);
    const bytes = Buffer.from(data, 'base64');
    const padding = data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0;
    if (bytes.length !== Math.floor(((data.length - padding) * 3) / 4)) {
      throw new Refusal(
        1007,
        "Invalid value at 'realtime_input.audio.data' (TYPE_BYTES), Base64 decoding failed",
      );
    }
    this.appends++;
    this.receivedMs += msOf(bytes.length, this.#format);
    if (this.#core.settings.keepAudio) this.kept.push(bytes);
    this.#activity.push(bytes);
    if (this.#candidateLoudMs !== undefined) this.#weigh();
  }

  #declare(mimeType: string): void {
    const match = /^audio\/(?:pcm|l16)(?:;\s*rate=(\d+))?$/i.exec(mimeType);
    const rate = Number(match?.[1] ?? DEFAULT_RATE);
    if (match === null || rate < 8_000 || rate > 48_000)
      throw invalid(`audio of type ${mimeType} is not taken`);
    this.#mimeType = mimeType;
    // The detector counts samples and knows no list of rates.
    this.#format = { encoding: 'pcm16', rate: rate as Rate };
    this.#activity.format(this.#format);
  }

  speechStarted(startMs: number): void {
    if (this.#detection?.automatic !== true || this.#state !== 'silent') return;
    this.#startMs = startMs;
    this.#activity.takeLoudMs();
    this.#candidateLoudMs = ONSET_MS;
    this.#weigh();
  }

  /** Speech counts when there was as much of it as `prefixPaddingMs` asks for. */
  #weigh(): void {
    const loudMs = (this.#candidateLoudMs ?? 0) + this.#activity.takeLoudMs();
    this.#candidateLoudMs = loudMs;
    if (loudMs < (this.#detection?.prefixMs ?? 0)) return;
    this.#candidateLoudMs = undefined;
    this.#begin('speaking');
  }

  speechStopped(_endMs: number, lastLoudMs: number): void {
    if (this.#candidateLoudMs !== undefined) this.#weigh();
    this.#candidateLoudMs = undefined;
    if (this.#state === 'speaking') this.#finish(lastLoudMs - this.#startMs);
  }

  /** The stream pauses: speech that is open is over. Throws a Refusal when the client itself marks the speech. */
  streamEnd(): void {
    if (this.#detection?.automatic !== true) {
      throw invalid('audioStreamEnd is for automatic activity detection');
    }
    this.#candidateLoudMs = undefined;
    this.#activity.forget();
    if (this.#state === 'speaking') this.#finish(this.#activity.positionMs - this.#startMs);
  }

  /** The client says where speech begins; throws a Refusal when the server finds out by itself. */
  activityStart(): void {
    this.#checkManual();
    if (this.#state !== 'silent') throw invalid('activityStart within an activity');
    this.#startMs = this.receivedMs;
    this.#begin('declared');
  }

  activityEnd(): void {
    this.#checkManual();
    if (this.#state !== 'declared') throw invalid('activityEnd without an activity');
    this.#finish(this.receivedMs - this.#startMs);
  }

  #checkManual(): void {
    if (this.#detection?.automatic !== true) return;
    throw new Refusal(
      1007,
      'Explicit activity control is not supported when automatic activity detection is enabled.',
    );
  }

  simulateStart(): void {
    if (this.#state !== 'silent') return;
    this.#scriptedAtMs = this.#core.scheduler.now();
    this.#startMs = this.#activity.positionMs;
    this.#begin('scripted');
  }

  simulateStop(): void {
    if (this.#state === 'scripted') this.#finish(this.#core.scheduler.now() - this.#scriptedAtMs);
  }

  #begin(state: 'speaking' | 'declared' | 'scripted'): void {
    this.#state = state;
    this.#signal('ACTIVITY_START', this.#startMs);
    this.#host.callerStarted();
  }

  #finish(heardMs: number): void {
    this.#state = 'silent';
    this.#signal('ACTIVITY_END', this.#startMs + heardMs);
    this.#host.callerStopped(heardMs);
  }

  #signal(voiceActivityType: string, atMs: number): void {
    if (!this.#core.settings.voiceActivity) return;
    this.#core.emit({ voiceActivity: { voiceActivityType, audioOffset: duration(atMs) } });
  }
}
