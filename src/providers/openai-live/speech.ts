import type { AudioFormat } from '../../audio/format.ts';
import type { Clock } from '../../clock.ts';
import type { HeardItem, ProviderEvent } from '../../provider.ts';
import { WholeSamples } from '../common/whole-samples.ts';
import type { Asks } from './asks.ts';
import { Stretches } from './stretches.ts';
import { Words } from './words.ts';

/** A pause that ends a stretch when the model has something else to say: what comes next is that. */
const TURN_PAUSE_MS = 300;
/** The last words of a stretch come no later after it. */
const LAST_WORDS_MS = 400;

interface SpeechOptions {
  readonly format: AudioFormat;
  readonly clock: Clock;
  /** Leads every id, so that those of two sessions of one call differ. */
  readonly sessionId: string;
  readonly quietMs: number;
  readonly silenceLevel: number;
  readonly transcribeCaller: boolean;
  readonly asks: Asks;
  emit(event: ProviderEvent): void;
  /** More of something has come than is kept of it; what, in words. */
  excess(what: string): void;
}

interface Spoken {
  readonly responseId: string;
  readonly itemId: string;
  /** The caller was heard to cut in. */
  cut: boolean;
}

/** What both sides say: the one stream of the model as responses, and the words of both as items. */
export class Speech {
  readonly #options: SpeechOptions;
  readonly #stretches: Stretches;
  readonly #samples = new WholeSamples();
  readonly #own: Words;
  readonly #callers: Words;
  #open: Spoken | undefined;
  #responses = 0;
  #items = 0;

  constructor(options: SpeechOptions) {
    const { format, clock, quietMs, silenceLevel, asks } = options;
    this.#options = options;
    const emit = (event: ProviderEvent): void => options.emit(event);
    const newId = (): string => this.#newId();
    const excess = (what: string): void => options.excess(what);
    const both = { clock, newId, emit, excess };
    this.#own = new Words({ ...both, role: 'assistant', wholeAfterMs: LAST_WORDS_MS });
    this.#callers = new Words({ ...both, role: 'user', wholeAfterMs: quietMs });
    this.#stretches = new Stretches(
      {
        format,
        clock,
        silenceLevel,
        quietMs: () => (asks.due ? Math.min(TURN_PAUSE_MS, quietMs) : quietMs),
        mostQuietMs: quietMs,
      },
      {
        begun: () => this.#begin(),
        sound: (bytes) => this.#sound(bytes),
        over: () => this.#end(),
      },
    );
  }

  get speaking(): boolean {
    return this.#stretches.speaking;
  }

  audio(bytes: Uint8Array): void {
    const { encoding } = this.#options.format;
    this.#stretches.push(encoding === 'pcm16' ? this.#samples.join(bytes) : bytes);
  }

  words(
    role: 'user' | 'assistant',
    text: string,
    startMs: number | undefined,
    endMs: number | undefined,
  ): void {
    if (role === 'assistant') this.#own.add(text, startMs, endMs);
    else if (this.#options.transcribeCaller) this.#callers.add(text, startMs, endMs);
  }

  /** The caller was heard to cut in. Nothing stops the model; what it goes on saying in this stretch is not played. */
  interrupt(heard: readonly HeardItem[]): void {
    const open = this.#open;
    if (open !== undefined && heard.some(({ itemId }) => itemId === open.itemId)) open.cut = true;
  }

  /** Nothing more will come; what is open is brought to its end. */
  close(): void {
    this.#stretches.close();
    this.#own.close();
    this.#callers.close();
  }

  #newId(): string {
    this.#items += 1;
    return `${this.#options.sessionId}_item_${this.#items}`;
  }

  #begin(): void {
    const { sessionId, asks, emit } = this.#options;
    this.#responses += 1;
    const open = {
      responseId: `${sessionId}_resp_${this.#responses}`,
      itemId: this.#own.begin(),
      cut: false,
    };
    this.#open = open;
    emit({ type: 'responseStarted', responseId: open.responseId, asked: asks.take() });
  }

  #sound(bytes: Uint8Array): void {
    const open = this.#open;
    if (open === undefined || open.cut) return;
    const { responseId, itemId } = open;
    this.#options.emit({ type: 'audio', responseId, itemId, bytes });
  }

  #end(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { responseId, itemId, cut } = open;
    const { emit } = this.#options;
    emit({ type: 'audioDone', responseId, itemId });
    this.#own.end();
    const status = cut ? 'cancelled' : 'completed';
    emit({ type: 'responseDone', responseId, status, reason: cut ? 'the caller cut in' : undefined });
  }
}
