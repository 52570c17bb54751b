import { expect } from 'vitest';
import { type AudioFormat, bytesPerMs, silenceByte } from '../../src/audio/format.ts';
import { createTranscoder } from '../../src/audio/transcode.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import { BridgeError } from '../../src/errors.ts';
import type {
  ConnectRequest,
  HeardItem,
  ProviderEvent,
  ProviderSession,
  RealtimeProvider,
} from '../../src/provider.ts';
import { Transcript } from '../../src/transcript.ts';
import { kept, requestOf as plainRequest } from './provider-request.ts';

/** A session with any provider, as a call holds it: it hears, speaks, and writes down what happens. */

type Of<T extends ProviderEvent['type']> = Extract<ProviderEvent, { type: T }>;

const LOOKUP = {
  name: 'lookup',
  description: 'Looks something up.',
  parameters: { type: 'object', properties: { what: { type: 'string' } }, required: ['what'] },
} as const;

/** What a call with one function would ask for. */
export function requestOf(over: Partial<ConnectRequest> = {}): ConnectRequest {
  return plainRequest({ tools: [LOOKUP], ...over });
}

/** Vowel-like sound, as everybody's detector of voice takes it for speech: 8 kHz PCM16. */
export function voiced(ms: number): Uint8Array {
  const pcm = Buffer.alloc(ms * 16);
  for (let i = 0; i < ms * 8; i++) {
    const t = i / 8000;
    const envelope = 0.6 + 0.4 * Math.sin(2 * Math.PI * 4 * t);
    let sample = 0;
    for (let k = 1; k <= 12; k++) sample += Math.sin(2 * Math.PI * 140 * k * t) / k;
    pcm.writeInt16LE(Math.round(7000 * envelope * sample), i * 2);
  }
  return pcm;
}

export class ProviderLine {
  readonly session: ProviderSession;
  readonly events: ProviderEvent[];
  readonly transcript: Transcript;
  readonly #state: State;

  private constructor(session: ProviderSession, state: State) {
    this.session = session;
    this.#state = state;
    this.events = state.events;
    this.transcript = state.transcript;
  }

  /** Rejects as the provider does; nothing of what it told by then may contradict that. */
  static async open(
    provider: RealtimeProvider,
    over: Partial<ConnectRequest> = {},
    signal = new AbortController().signal,
  ): Promise<ProviderLine> {
    const state = new State();
    const session = await provider.connect(requestOf(over), (event) => state.take(event), signal);
    const line = new ProviderLine(session, state);
    state.react = (event) => line.#react(event);
    return line;
  }

  /** The error that connecting fails with. */
  static async refused(
    provider: RealtimeProvider,
    over: Partial<ConnectRequest> = {},
    signal?: AbortSignal,
  ): Promise<BridgeError> {
    const state = new State();
    let session: ProviderSession;
    try {
      session = await provider.connect(
        requestOf(over),
        (event) => state.take(event),
        signal ?? new AbortController().signal,
      );
    } catch (thrown) {
      expect(state.events.filter(({ type }) => type === 'closed')).toEqual([]);
      expect(thrown).toBeInstanceOf(BridgeError);
      return thrown as BridgeError;
    }
    await session.close('it should not be open');
    throw new Error('the session was opened');
  }

  /** Sends speech and then silence in the format of the session, as fast as it goes. */
  callerSays(ms: number, silenceMs: number): void {
    this.sendVoice(ms);
    this.sendSilence(silenceMs);
  }

  sendVoice(ms: number): void {
    const transcoder = createTranscoder({ encoding: 'pcm16', rate: 8000 }, this.session.input);
    const frames = voiced(ms);
    for (let at = 0; at < frames.length; at += 320) {
      this.session.sendAudio(transcoder.push(frames.subarray(at, at + 320)).slice());
    }
    this.session.sendAudio(transcoder.flush());
  }

  sendSilence(ms: number): void {
    const { input } = this.session;
    const frame = new Uint8Array(20 * bytesPerMs(input)).fill(silenceByte(input));
    for (let at = 0; at < ms; at += 20) this.session.sendAudio(frame);
  }

  /** The caller cuts in, and this is what was heard: what the bridge does, whoever noticed it. */
  cut(playedMs: number): readonly HeardItem[] {
    const heard = this.#state.unheard(this.session.output, playedMs);
    for (const item of heard) this.transcript.interrupted(item);
    this.session.interrupt(heard);
    return heard;
  }

  /** The first event of this type that no earlier call returned, from now on or before. */
  next<T extends ProviderEvent['type']>(type: T, accept?: (event: Of<T>) => boolean): Promise<Of<T>> {
    return this.#state.next(type, accept);
  }

  of<T extends ProviderEvent['type']>(type: T): Of<T>[] {
    return this.events.filter((event): event is Of<T> => event.type === type);
  }

  /** Audio that came, in ms; of one response when it is named. */
  audioMs(responseId?: string): number {
    return Math.round(this.#state.bytes(responseId) / bytesPerMs(this.session.output));
  }

  /** Resolves when so much audio has come, of all responses together. */
  async untilAudio(ms: number): Promise<void> {
    while (this.audioMs() < ms) await this.#state.moved();
  }

  /** Who said what, in order, as the transcript of a call has it. */
  get said(): string[] {
    return this.transcript.turns.map(({ role, text }) => `${role}: ${text.trim()}`);
  }

  async untilSaid(text: string): Promise<void> {
    while (!this.said.includes(text)) await this.#state.moved();
  }

  #react(event: ProviderEvent): void {
    // A provider that knows at once is believed at once; one that tells late has been cut by the bridge before.
    if (event.type === 'speechStarted' || event.type === 'interrupted') this.cut(0);
  }
}

class State {
  readonly events: ProviderEvent[] = [];
  readonly transcript = new Transcript();
  react: (event: ProviderEvent) => void = () => undefined;
  readonly #taken = new Set<ProviderEvent>();
  readonly #bytes = new Map<string, number>();
  /** Items that were not heard to their end. */
  readonly #items = new Map<string, { responseId: string; bytes: number }>();
  #waiting: (() => void)[] = [];

  take(event: ProviderEvent): void {
    if (this.events.some(({ type }) => type === 'closed')) throw new Error(`${event.type} came after closed`);
    if (event.type === 'audio') {
      const { responseId, itemId, bytes } = event;
      if (!this.#items.has(itemId)) this.transcript.open('assistant', itemId, this.events.length);
      this.#bytes.set(responseId, this.bytes(responseId) + bytes.length);
      const before = this.#items.get(itemId)?.bytes ?? 0;
      this.#items.set(itemId, { responseId, bytes: before + bytes.length });
    }
    if (event.type === 'speechStarted' && event.itemId !== undefined) {
      this.transcript.open('user', event.itemId, this.events.length);
    }
    if (event.type === 'transcript') {
      this.transcript.text(event.role, event.itemId, event.text, event.final, this.events.length);
    }
    this.events.push(kept(event));
    this.react(event);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  bytes(responseId?: string): number {
    if (responseId !== undefined) return this.#bytes.get(responseId) ?? 0;
    return [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  unheard(format: AudioFormat, playedMs: number): HeardItem[] {
    const heard = [...this.#items].map(([itemId, { bytes }]) => {
      const receivedMs = Math.floor(bytes / bytesPerMs(format));
      return { itemId, playedMs: Math.min(playedMs, receivedMs), receivedMs };
    });
    this.#items.clear();
    return heard;
  }

  /** Resolves with the next event of any kind. */
  moved(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async next<T extends ProviderEvent['type']>(type: T, accept?: (event: Of<T>) => boolean): Promise<Of<T>> {
    for (;;) {
      const found = this.events.find(
        (event): event is Of<T> =>
          event.type === type && !this.#taken.has(event) && (accept?.(event as Of<T>) ?? true),
      );
      if (found !== undefined) {
        this.#taken.add(found);
        return found;
      }
      await this.moved();
    }
  }
}

/** Time that goes faster than on the wall: a clock for what takes minutes. */
export function fastClock(factor: number, base: Clock = systemClock): Clock {
  const start = base.now();
  const epoch = base.epoch();
  const now = (): number => (base.now() - start) * factor;
  return {
    now,
    epoch: () => epoch + now(),
    after: (ms, run) => base.after(ms / factor, run),
  };
}
