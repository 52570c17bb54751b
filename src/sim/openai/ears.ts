import type { Cancel } from '../../clock.ts';
import type { JsonObject } from '../common/json.ts';
import { defaultTranscript } from '../common/plan.ts';
import type { Hearing } from './api.ts';
import type { Entry } from './conversation.ts';
import type { Core } from './core.ts';
import { type CommittedAudio, InputAudio, type InputListener } from './input-audio.ts';
import { audioFormat } from './session-config.ts';
import type { WireError } from './wire.ts';

/** How long the transcriber takes when no script says otherwise, in ms. */
const TRANSCRIBE_MS = 150;
/** Transcribers that are charged for by the length of the speech; the others count tokens. */
const BY_THE_SECOND: readonly unknown[] = ['whisper-1', 'gpt-realtime-whisper'];

const WORDS = 'conversation.item.input_audio_transcription';

/** What the ears ask of the rest of the session. */
export interface EarsHost {
  /** The caller began to speak; the active response may have to stop. */
  callerSpeaks(): void;
  /** The caller's turn is an item now; `answer`: the session wants a response to it. */
  turnEnded(kind: 'user-turn' | 'idle', answer: boolean): void;
  readonly isResponding: boolean;
}

/** What a session hears: the input buffer, the turns it finds in it, their items and their transcripts. */
export class Ears implements InputListener {
  readonly input: InputAudio;
  /** Speech in the last turn that was committed, in ms. */
  heardMs = 0;
  readonly #core: Core;
  readonly #host: EarsHost;
  readonly #kept: Uint8Array[] = [];
  #itemId: string | undefined;
  #turns = 0;
  #appends = 0;
  #simulatedStartMs: number | undefined;
  #idle: Cancel | undefined;
  #afterResponse: (() => void)[] = [];

  constructor(core: Core, host: EarsHost) {
    this.#core = core;
    this.#host = host;
    this.input = new InputAudio(this, audioFormat(core.config.audio.input.format), core.settings.keepAudio);
    this.reconfigure();
  }

  get appends(): number {
    return this.#appends;
  }

  /** Everything that was appended; only with `keepAudio`. */
  get kept(): readonly Uint8Array[] {
    return this.#kept;
  }

  /** Takes over format and turn detection of the session. */
  reconfigure(): void {
    const { format, turn_detection } = this.#core.config.audio.input;
    this.input.configure(audioFormat(format), turn_detection, this.#silenceMs());
    if (turn_detection?.type !== 'server_vad' || turn_detection.idle_timeout_ms === null) this.#stopIdle();
  }

  #silenceMs(): number {
    const detection = this.#core.config.audio.input.turn_detection;
    if (detection === null) return Number.POSITIVE_INFINITY;
    if (detection.type === 'server_vad') return detection.silence_duration_ms;
    const { eagerness } = detection;
    return this.#core.settings.semanticWaitsMs[eagerness === 'auto' ? 'medium' : eagerness];
  }

  append(audio: unknown): void {
    const bytes = this.input.append(audio);
    this.#appends++;
    if (this.#core.settings.keepAudio) this.#kept.push(bytes);
  }

  /** The client ends the turn itself; throws a Refusal when there is too little audio. */
  commit(): void {
    const audio = this.input.commit(false);
    this.heardMs = audio.loudMs;
    this.#addAudioItem(audio, this.#takeItemId());
  }

  clear(): void {
    this.input.clear();
    this.#itemId = undefined;
    this.#core.emit('input_audio_buffer.cleared', {});
  }

  speechStarted(audioStartMs: number): void {
    this.#stopIdle();
    const item_id = this.#core.dice.id('item');
    this.#itemId = item_id;
    this.#core.emit('input_audio_buffer.speech_started', {
      audio_start_ms: Math.round(audioStartMs),
      item_id,
    });
    if (this.#core.config.audio.input.turn_detection?.interrupt_response !== false) this.#host.callerSpeaks();
  }

  speechStopped(audioEndMs: number, heardMs: number): void {
    const item_id = this.#takeItemId();
    this.#core.emit('input_audio_buffer.speech_stopped', { audio_end_ms: Math.round(audioEndMs), item_id });
    this.heardMs = heardMs;
    this.#addAudioItem(this.input.commit(true), item_id);
    this.#host.turnEnded(
      'user-turn',
      this.#core.config.audio.input.turn_detection?.create_response !== false,
    );
  }

  /** Speech that the script says is there. */
  simulateStart(): void {
    if (this.#simulatedStartMs !== undefined || this.input.speaking) return;
    this.#simulatedStartMs = this.#core.scheduler.now();
    this.speechStarted(this.input.positionMs);
  }

  simulateStop(): void {
    const startMs = this.#simulatedStartMs;
    if (startMs === undefined) return;
    this.#simulatedStartMs = undefined;
    this.speechStopped(this.input.positionMs, this.#core.scheduler.now() - startMs);
  }

  /** A response is over that lasts `playbackMs` for the caller: from then on his silence is counted. */
  responseEnded(playbackMs: number): void {
    const late = this.#afterResponse;
    this.#afterResponse = [];
    for (const send of late) send();
    const detection = this.#core.config.audio.input.turn_detection;
    if (detection?.type !== 'server_vad' || detection.idle_timeout_ms === null || this.#itemId !== undefined)
      return;
    const startMs = this.input.positionMs;
    this.#stopIdle();
    this.#idle = this.#core.scheduler.after(playbackMs + detection.idle_timeout_ms, () =>
      this.#idleOver(startMs),
    );
  }

  close(): void {
    this.#stopIdle();
    this.#afterResponse = [];
  }

  #stopIdle(): void {
    this.#idle?.();
    this.#idle = undefined;
  }

  #idleOver(startMs: number): void {
    this.#idle = undefined;
    if (this.#host.isResponding || this.#itemId !== undefined) return;
    const item_id = this.#core.dice.id('item');
    this.#core.emit('input_audio_buffer.timeout_triggered', {
      audio_start_ms: Math.round(startMs),
      audio_end_ms: Math.round(this.input.positionMs),
      item_id,
    });
    this.heardMs = 0;
    this.#addAudioItem(this.input.commit(true), item_id, false);
    this.#host.turnEnded('idle', true);
  }

  #takeItemId(): string {
    const id = this.#itemId ?? this.#core.dice.id('item');
    this.#itemId = undefined;
    return id;
  }

  #addAudioItem(audio: CommittedAudio, id: string, transcribe = true): void {
    const core = this.#core;
    const item: JsonObject = {
      id,
      object: 'realtime.item',
      type: 'message',
      status: 'completed',
      role: 'user',
      content: [{ type: 'input_audio', transcript: null }],
    };
    const entry: Entry = {
      id,
      item,
      audioMs: audio.ms,
      sentMs: 0,
      isTruncated: false,
      audio: [...audio.chunks],
    };
    core.emit('input_audio_buffer.committed', { item_id: id, previous_item_id: core.conversation.lastId });
    core.addItem(entry);
    if (transcribe && core.config.audio.input.transcription !== null) this.#planTranscript(entry);
  }

  #planTranscript(entry: Entry): void {
    const heardMs = this.heardMs;
    const hearing = this.#core.settings.hear({ index: this.#turns++, heardMs }) ?? {};
    const send = (): void => this.#sendTranscript(entry, heardMs, hearing);
    if (hearing.after === 'response') this.#afterResponse.push(send);
    else this.#core.scheduler.after(hearing.after ?? TRANSCRIBE_MS, send);
  }

  #sendTranscript(entry: Entry, heardMs: number, hearing: Hearing): void {
    const place = { item_id: entry.id, content_index: 0 };
    if (hearing.error !== undefined) {
      this.#core.emit(`${WORDS}.failed`, {
        ...place,
        error: withParam(hearing.error),
      });
      return;
    }
    const transcript = hearing.transcript ?? defaultTranscript(heardMs);
    this.#sendPieces(place, transcript);
    entry.item = { ...entry.item, content: [{ type: 'input_audio', transcript }] };
    if (this.#core.dialect.rewritesHeard) {
      // Seen by livekit/agents: it comes several times, and not every one says that it is the last.
      this.#core.emit(`${WORDS}.completed`, { ...place, transcript, status: 'in_progress' });
      this.#core.emit(`${WORDS}.completed`, { ...place, transcript });
      return;
    }
    const usage = this.#transcriptUsage(entry.audioMs, transcript);
    this.#core.emit(`${WORDS}.completed`, { ...place, transcript, usage });
  }

  #sendPieces(place: JsonObject, whole: string): void {
    let transcript = '';
    for (const delta of whole.match(/\s*\S+\s*$|\s*\S+/g) ?? []) {
      transcript += delta;
      if (this.#core.dialect.rewritesHeard) this.#core.emit(`${WORDS}.updated`, { ...place, transcript });
      else this.#core.emit(`${WORDS}.delta`, { ...place, delta });
    }
  }

  #transcriptUsage(audioMs: number, transcript: string): JsonObject {
    if (BY_THE_SECOND.includes(this.#core.config.audio.input.transcription?.['model'])) {
      return { type: 'duration', seconds: Math.ceil(audioMs / 1000) };
    }
    const audio_tokens = Math.ceil(audioMs / 100);
    const output_tokens = Math.ceil(transcript.length / 4);
    return {
      type: 'tokens',
      total_tokens: audio_tokens + output_tokens,
      input_tokens: audio_tokens,
      input_token_details: { text_tokens: 0, audio_tokens },
      output_tokens,
    };
  }
}

function withParam(error: WireError): JsonObject {
  return { type: error.type, code: error.code, message: error.message, param: error.param ?? null };
}
