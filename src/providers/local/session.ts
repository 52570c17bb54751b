import { type AudioFormat, sameFormat } from '../../audio/format.ts';
import type { TonePart } from '../../audio/tone.ts';
import { BridgeError } from '../../errors.ts';
import type {
  ConnectRequest,
  HeardItem,
  ProviderEvent,
  ProviderSession,
  TextOptions,
  ToolResult,
  TurnDetection,
} from '../../provider.ts';
import { openingMove } from '../common/told.ts';
import { Dialogue } from './dialogue.ts';
import { Ear, type HeardTurn } from './ear.ts';
import { FORMATS } from './facts.ts';
import { measurementLabel } from './sentences.ts';
import { Speaker } from './speaker.ts';
import { type Voice, type VoiceName, voiceFor } from './voice.ts';

/** Settings of a provider that hold for all its sessions. Times are in ms. */
export interface LocalSetup {
  readonly voice: Voice;
  readonly defaultVoice: string | undefined;
  readonly longestEchoMs: number;
  readonly bargeInMs: number;
  readonly onClosed: (session: LocalSession) => void;
}

const DEFAULT_FORMAT: AudioFormat = { encoding: 'mulaw', rate: 8000 };
const SILENCE_MS = 600;
const PREFIX_MS = 300;
/** A turn detection threshold of 0.5, the usual default, is the detector's own. */
const LIKELIHOOD_AT_ONE = 0.6;

function within(value: number | undefined, otherwise: number, least: number, most: number): number {
  return value === undefined || !Number.isFinite(value) ? otherwise : Math.max(least, Math.min(most, value));
}

function chooseFormat(preferred: readonly AudioFormat[]): AudioFormat {
  const wanted = preferred.find((format) => FORMATS.some((ours) => sameFormat(ours, format)));
  return wanted ?? DEFAULT_FORMAT;
}

function turnSettings(turn: TurnDetection): { threshold: number; prefixMs: number; hangoverMs: number } {
  return {
    threshold: LIKELIHOOD_AT_ONE * within(turn.threshold, 0.5, 0.05, 1),
    prefixMs: within(turn.prefixMs, PREFIX_MS, 0, 2000),
    hangoverMs: within(turn.silenceMs, SILENCE_MS, 100, 5000),
  };
}

/** One call of the line check: brings ear, dialogue and speaker together. */
export class LocalSession implements ProviderSession {
  readonly input: AudioFormat;
  readonly output: AudioFormat;
  readonly #setup: LocalSetup;
  readonly #request: ConnectRequest;
  readonly #sink: (event: ProviderEvent) => void;
  readonly #voiceName: VoiceName;
  readonly #ear: Ear;
  readonly #speaker: Speaker;
  readonly #dialogue: Dialogue;
  #ids = 0;
  #userItem: string | undefined;
  #speechBroken = false;
  /** The end has begun; until `#closed`, what it causes is still told. */
  #ending = false;
  #closed = false;

  constructor(setup: LocalSetup, request: ConnectRequest, sink: (event: ProviderEvent) => void) {
    const { clock } = request;
    const format = chooseFormat(request.preferredFormats);
    this.input = format;
    this.output = format;
    this.#setup = setup;
    this.#request = request;
    this.#sink = sink;
    this.#voiceName = voiceFor(request.voice ?? setup.defaultVoice);
    const emit = (event: ProviderEvent): void => this.#emit(event);
    const nextId = (prefix: string): string => this.#nextId(prefix);
    this.#ear = new Ear({
      format,
      clock,
      ...turnSettings(request.turnDetection),
      bargeInMs: setup.bargeInMs,
      longestEchoMs: setup.longestEchoMs,
      onSpeechStart: () => this.#speechStarted(),
      onSpeechEnd: (turn) => this.#speechEnded(turn),
    });
    this.#speaker = new Speaker({
      clock,
      format,
      emit,
      nextId,
      render: (sentence) => this.#render(sentence),
      onSound: (bytes, tonal) => this.#ear.speak(bytes, tonal),
      onTools: (responseId, tools) => this.#dialogue.callTools(responseId, tools),
    });
    this.#dialogue = new Dialogue({
      clock,
      tools: new Set(request.tools.map(({ name }) => name)),
      emit,
      nextId,
      say: (utterance) => this.#speaker.say(utterance),
      tone: (parts: readonly TonePart[], ms) => setup.voice.tone(parts, ms, format),
      noiseDbm0: () => this.#ear.noiseDbm0,
    });
  }

  /** It cannot know what was said before; whoever waits for an answer is told how to go on. */
  begin(): void {
    if (openingMove(this.#request) !== undefined) this.sendText('', { role: 'system', respond: true });
  }

  sendAudio(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    this.#ear.hear(bytes);
    return true;
  }

  sendText(text: string, options: TextOptions): void {
    if (this.#closed) return;
    if (options.digits !== undefined) this.#endOpenTurn();
    this.#dialogue.text(text, options);
  }

  say(text: string): void {
    if (!this.#closed) this.#dialogue.say(text);
  }

  sendToolResult(callId: string, result: ToolResult): void {
    if (!this.#closed) this.#dialogue.toolResult(callId, result);
  }

  interrupt(_heard: readonly HeardItem[]): void {
    if (this.#closed) return;
    this.#ear.hush();
    this.#dialogue.interrupted();
    this.#speaker.cancel('interrupted');
  }

  close(_reason: string): Promise<void> {
    this.#end(true, undefined);
    return Promise.resolve();
  }

  /** The provider itself is closed. */
  fail(error: BridgeError): void {
    if (this.#ending) return;
    this.#emit({ type: 'error', error, fatal: true });
    this.#end(false, error);
  }

  #end(expected: boolean, error: BridgeError | undefined): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#dialogue.close();
    this.#speaker.close();
    this.#closed = true;
    this.#setup.onClosed(this);
    this.#sink({ type: 'closed', expected, error });
  }

  #emit(event: ProviderEvent): void {
    if (!this.#closed) this.#sink(event);
  }

  #nextId(prefix: string): string {
    this.#ids += 1;
    return `${prefix}_${this.#ids}`;
  }

  #speechStarted(): void {
    this.#userItem = this.#nextId('user');
    this.#speaker.hold(true);
    this.#emit({ type: 'speechStarted', itemId: this.#userItem });
    // The bridge interrupts by itself when it hears of the speech; somebody else may not.
    if (this.#speaker.responseId !== undefined) this.interrupt([]);
  }

  #speechEnded(turn: HeardTurn): void {
    const itemId = this.#userItem ?? this.#nextId('user');
    this.#emit({ type: 'speechStopped', itemId });
    if (this.#request.transcribeCaller) {
      this.#emit({ type: 'transcript', role: 'user', itemId, text: measurementLabel(turn), final: true });
    }
    this.#dialogue.turn(turn);
    this.#speaker.hold(false);
  }

  /** A key says more than what was being said. */
  #endOpenTurn(): void {
    if (!this.#ear.abandon()) return;
    this.#emit({ type: 'speechStopped', itemId: this.#userItem });
    this.#speaker.hold(false);
  }

  async #render(sentence: string): Promise<Uint8Array> {
    const { voice } = this.#setup;
    try {
      return await voice.speech(sentence, this.#voiceName, this.output, this.#request.clock);
    } catch (thrown) {
      const { message } = BridgeError.from(thrown);
      if (!this.#speechBroken) this.#emit({ type: 'warning', code: 'speech_failed', message });
      // One warning for a call: every sentence fails for the same reason.
      this.#speechBroken = true;
      return voice.outOfOrder(this.output);
    }
  }
}
