import type { AudioFormat } from '../audio/format.ts';
import { BridgeError } from '../errors.ts';
import type { CallClock } from './call-clock.ts';
import { makesTooDeep } from './depth.ts';
import type { AudioRef, Line } from './format.ts';
import type { Hide } from './secrets.ts';
import type { CallSink } from './sink.ts';

type WithoutTime<L> = L extends Line ? Omit<L, 't'> : never;
/** A line before its time is put on it. */
export type LineBody = WithoutTime<Line>;

export interface CallLinesOptions {
  readonly clock: CallClock;
  readonly sink: CallSink;
  readonly hide: Hide;
  /** Something could not be written down, for the first time. The call is not to notice. */
  readonly onTrouble: (thrown: unknown) => void;
}

/** The lines of one call as its taps write them. Nothing here throws. */
export class CallLines {
  readonly hide: Hide;
  readonly #clock: CallClock;
  readonly #sink: CallSink;
  readonly #onTrouble: (thrown: unknown) => void;
  /** ms of the newest line. */
  lastAt = 0;
  #isOver = false;
  #isTroubled = false;
  /** What is under way was caused from inside, so that nothing which happens in it has a time of its own. */
  #depth = 0;
  /** Nothing that waits has had its turn since the last thing came: what comes now came in the same packet. */
  #inOneGo = false;
  readonly #waits = (): void => {
    this.#inOneGo = false;
  };

  constructor({ clock, sink, hide, onTrouble }: CallLinesOptions) {
    this.#clock = clock;
    this.#sink = sink;
    this.hide = hide;
    this.#onTrouble = onTrouble;
  }

  /** Nothing is written any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Something has come from outside; `body` makes its line. It has a time of its own, unless it came in one go with what
   * came before, or somebody outside, asked for something by the call, answers before the question has returned.
   */
  arrived(body: () => LineBody): void {
    if (this.#isOver) return;
    const isNew = this.#depth === 0 && !this.#inOneGo;
    if (isNew) {
      this.#inOneGo = true;
      queueMicrotask(this.#waits);
    }
    this.#write(isNew ? this.#clock.stamp() : this.#clock.now(), body);
  }

  /** The call has done something. */
  left(body: () => LineBody): void {
    if (!this.#isOver) this.#write(this.#clock.now(), body);
  }

  /** At a time that was taken before. */
  at(now: number, body: () => LineBody): void {
    if (!this.#isOver) this.#write(now, body);
  }

  /** Somebody outside is asked; what they tell until that returns was caused by it. */
  asking<T>(ask: () => T): T {
    this.#depth += 1;
    try {
      return ask();
    } finally {
      this.#depth -= 1;
    }
  }

  /** Undefined: the audio stays in its message. */
  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined {
    return this.#isOver ? undefined : this.#sink.audio(wav, format, bytes);
  }

  finish(): void {
    this.#isOver = true;
  }

  /** Arguments and results of functions may well have a field called password: that is for redaction to say. */
  #hidden(body: LineBody): LineBody {
    const { on } = body;
    // Messages of the wire were looked at as texts. A line that no reader takes would take the whole recording with it.
    if (on === 'tool' && makesTooDeep(body.msg)) {
      throw new BridgeError('BAD_RECORDING', 'what a function was given or returned is nested too deep');
    }
    return on === 'carrier' || on === 'provider' || on === 'webhook'
      ? this.hide.message(body)
      : this.hide.known(body);
  }

  #write(t: number, body: () => LineBody): void {
    this.lastAt = Math.max(this.lastAt, t);
    try {
      this.#sink.line({ t, ...this.#hidden(body()) });
    } catch (thrown) {
      if (this.#isTroubled) return;
      this.#isTroubled = true;
      this.#onTrouble(thrown);
    }
  }
}
