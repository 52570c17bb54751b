import type { Caller } from './caller.ts';
import type { EventLog } from './events.ts';
import { FRAME_BYTES } from './playout.ts';
import type { Recorder } from './recorder.ts';
import { TICK_MS, type Ticker, type Ticking } from './ticker.ts';

/** What ends a message; undefined: nothing of that kind. */
export interface ListenTerms {
  readonly limitMs: number | undefined;
  readonly silenceMs: number | undefined;
  /** Silence counts only when something was said before. */
  readonly silenceAfterSpeech: boolean;
  /** Each of these keys. */
  readonly keys: string;
  readonly beep: boolean;
}

/** What the caller said after the tone. */
export interface Heard {
  readonly end: 'limit' | 'silence' | 'key' | 'gone';
  readonly key: string | undefined;
  readonly speechMs: number;
}

/** What a message is listened to with. */
export interface ListenContext {
  readonly ticker: Ticker;
  readonly caller: Caller;
  readonly recorder: Recorder;
  readonly log: EventLog;
}

const SILENCE = new Uint8Array(FRAME_BYTES).fill(0xff);

/** Listens to the caller where there is no stream: frame by frame, as into a recording. */
export class Listener implements Ticking {
  readonly #terms: ListenTerms;
  readonly #context: ListenContext;
  readonly #frame = Buffer.alloc(FRAME_BYTES, 0xff);
  #lengthMs = 0;
  #speechMs = 0;
  #quietMs = 0;
  #over = false;
  #resolve: (heard: Heard) => void = () => {};
  /** Never rejects. */
  readonly heard: Promise<Heard>;

  constructor(terms: ListenTerms, context: ListenContext, signal: AbortSignal) {
    this.#terms = terms;
    this.#context = context;
    this.heard = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    if (terms.beep) context.log.add({ type: 'beep' });
    context.ticker.add(this);
    const leave = (): void => this.#end('gone');
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
  }

  tick(lateMs: number): void {
    const { caller, recorder } = this.#context;
    const speaking = caller.nextFrame(this.#frame);
    if (!speaking) this.#frame.fill(0xff);
    recorder.tick(SILENCE, 0, this.#frame, speaking, lateMs);
    if (speaking) caller.frameSent();
    this.#lengthMs += TICK_MS;
    this.#speechMs += speaking ? TICK_MS : 0;
    this.#quietMs = speaking ? 0 : this.#quietMs + TICK_MS;
    const { limitMs, silenceMs, silenceAfterSpeech } = this.#terms;
    const counts = this.#speechMs > 0 || !silenceAfterSpeech;
    if (silenceMs !== undefined && counts && this.#quietMs >= silenceMs) this.#end('silence');
    else if (limitMs !== undefined && this.#lengthMs >= limitMs) this.#end('limit');
  }

  /** The caller presses a key; true when that was the end of it. */
  press(key: string): boolean {
    if (this.#over || !this.#terms.keys.includes(key)) return false;
    this.#end('key', key);
    return true;
  }

  get isOver(): boolean {
    return this.#over;
  }

  #end(end: Heard['end'], key?: string): void {
    if (this.#over) return;
    this.#over = true;
    const { ticker, log } = this.#context;
    ticker.remove(this);
    const speechMs = this.#speechMs;
    log.add({ type: 'message', end, speechMs });
    this.#resolve({ end, key, speechMs });
  }
}
