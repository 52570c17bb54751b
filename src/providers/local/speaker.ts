import { type AudioFormat, bytesPerMs } from '../../audio/format.ts';
import type { Cancel, Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { ProviderEvent } from '../../provider.ts';
import { splitSentences } from './sentences.ts';

/** A piece of an utterance: an item of the conversation. */
export type Part =
  | { readonly type: 'words'; readonly text: string }
  /** `label` stands for it in the transcript; `tonal`: it is a steady tone. */
  | { readonly type: 'sound'; readonly label: string; readonly bytes: Uint8Array; readonly tonal: boolean };

/** What is said in one response. */
export interface Utterance {
  readonly parts: readonly Part[];
  /** Functions to be called when all of it was said. */
  readonly tools: readonly string[];
  /** The bridge asked for it; false: it answers what the caller said. */
  readonly asked: boolean;
  /** When the caller cuts in before it has begun, it waits instead of being dropped. */
  readonly waits: boolean;
}

export interface SpeakerPorts {
  readonly clock: Clock;
  readonly format: AudioFormat;
  emit(event: ProviderEvent): void;
  /** A new id that begins with `prefix`. */
  nextId(prefix: string): string;
  /** One sentence in `format`; never rejects. */
  render(sentence: string): Promise<Uint8Array>;
  /** This was sent and will be heard from now on. */
  onSound(bytes: Uint8Array, tonal: boolean): void;
  /** The response is complete but for its function calls, which belong before its end. */
  onTools(responseId: string, tools: readonly string[]): void;
}

/** What one audio event holds. */
const CHUNK_MS = 100;
/** Sent at once, so that the caller's side has something to play. */
const BURST_MS = 500;
/** Then this many times as fast as it is heard: like a cloud's model, and without filling anybody's memory. */
const SPEED = 4;
const TICK_MS = 100;

interface Running {
  readonly utterance: Utterance;
  readonly responseId: string;
  readonly startedAt: number;
  sentMs: number;
  over: boolean;
  /** Gives up the wait for the next tick. */
  stop: () => void;
}

function sentencesOf(part: Part): readonly string[] {
  return part.type === 'words' ? splitSentences(part.text) : [];
}

/** Says utterances one after the other, as responses of a provider. */
export class Speaker {
  readonly #ports: SpeakerPorts;
  #queue: Utterance[] = [];
  #running: Running | undefined;
  #held = false;
  #closed = false;

  constructor(ports: SpeakerPorts) {
    this.#ports = ports;
  }

  /** The response being said. */
  get responseId(): string | undefined {
    return this.#running?.responseId;
  }

  say(utterance: Utterance): void {
    if (this.#closed) return;
    this.#queue.push(utterance);
    this.#next();
  }

  /** While held, nothing new is begun: the caller has the floor. */
  hold(held: boolean): void {
    this.#held = held;
    this.#next();
  }

  /** Stops what is being said and drops the queue, except what is to wait. */
  cancel(reason: string): void {
    this.#queue = this.#queue.filter((utterance) => utterance.waits);
    const running = this.#running;
    if (running === undefined) return;
    this.#finish(running, 'cancelled', reason);
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    if (this.#running !== undefined) this.#finish(this.#running, 'cancelled', 'closed');
  }

  #next(): void {
    if (this.#closed || this.#held || this.#running !== undefined) return;
    const utterance = this.#queue.shift();
    if (utterance === undefined) return;
    const running: Running = {
      utterance,
      responseId: this.#ports.nextId('response'),
      startedAt: this.#ports.clock.now(),
      sentMs: 0,
      over: false,
      stop: () => undefined,
    };
    this.#running = running;
    const { responseId } = running;
    this.#ports.emit({ type: 'responseStarted', responseId, asked: utterance.asked });
    this.#perform(running).catch((thrown: unknown) => this.#failed(running, thrown));
  }

  async #perform(running: Running): Promise<void> {
    const { parts, tools } = running.utterance;
    // All at once, so that the next sentence is ready when the one before it has been sent.
    const rendered = parts.map((part) => sentencesOf(part).map((sentence) => this.#ports.render(sentence)));
    for (const [i, part] of parts.entries()) {
      if (running.over) return;
      await this.#performPart(running, part, rendered[i] ?? []);
    }
    if (running.over) return;
    this.#ports.onTools(running.responseId, tools);
    this.#finish(running, 'completed', undefined);
  }

  async #performPart(running: Running, part: Part, rendered: readonly Promise<Uint8Array>[]): Promise<void> {
    const itemId = this.#ports.nextId('item');
    const { responseId } = running;
    if (part.type === 'sound') {
      this.#text(itemId, part.label, false);
      await this.#stream(running, itemId, part.bytes, part.tonal);
    }
    for (const [i, sentence] of sentencesOf(part).entries()) {
      const bytes = await rendered[i];
      if (running.over || bytes === undefined) return;
      this.#text(itemId, i === 0 ? sentence : ` ${sentence}`, false);
      await this.#stream(running, itemId, bytes, false);
    }
    if (running.over) return;
    this.#text(itemId, part.type === 'sound' ? part.label : sentencesOf(part).join(' '), true);
    this.#ports.emit({ type: 'audioDone', responseId, itemId });
  }

  #text(itemId: string, text: string, final: boolean): void {
    this.#ports.emit({ type: 'transcript', role: 'assistant', itemId, text, final });
  }

  /** Resolves when all of it was sent, or the response is over. */
  #stream(running: Running, itemId: string, bytes: Uint8Array, tonal: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let at = 0;
      let cancel: Cancel = () => undefined;
      running.stop = () => {
        cancel();
        resolve();
      };
      const pour = (): void => {
        try {
          at = this.#pour(running, itemId, bytes, at, tonal);
        } catch (thrown) {
          reject(thrown);
          return;
        }
        if (running.over || at >= bytes.length) resolve();
        else cancel = this.#ports.clock.after(TICK_MS, pour);
      };
      pour();
    });
  }

  /** Sends what may be sent now, from `at` on; returns how far it came. */
  #pour(running: Running, itemId: string, bytes: Uint8Array, at: number, tonal: boolean): number {
    const { clock, format, emit, onSound } = this.#ports;
    const perMs = bytesPerMs(format);
    const allowedMs = BURST_MS + SPEED * (clock.now() - running.startedAt);
    let next = at;
    while (!running.over && next < bytes.length && running.sentMs < allowedMs) {
      const chunk = bytes.subarray(next, next + CHUNK_MS * perMs);
      next += chunk.length;
      running.sentMs += chunk.length / perMs;
      onSound(chunk, tonal);
      emit({ type: 'audio', responseId: running.responseId, itemId, bytes: chunk });
    }
    return next;
  }

  #failed(running: Running, thrown: unknown): void {
    if (running.over) return;
    const error = BridgeError.from(thrown);
    this.#ports.emit({ type: 'error', error, fatal: false });
    this.#finish(running, 'failed', error.code);
  }

  #finish(running: Running, status: 'completed' | 'cancelled' | 'failed', reason: string | undefined): void {
    if (running.over) return;
    running.over = true;
    this.#running = undefined;
    running.stop();
    this.#ports.emit({ type: 'responseDone', responseId: running.responseId, status, reason });
    this.#next();
  }
}
