import { FRAME_BYTES } from './playout.ts';

interface Utterance {
  readonly bytes: Uint8Array;
  at: number;
  readonly done: (spoken: boolean) => void;
}

/** What the caller has yet to say, in mu-law; between utterances there is silence. */
export class Caller {
  readonly #utterances: Utterance[] = [];
  readonly #onSpeaking: (speaking: boolean) => void;
  #speaking = false;
  #gone = false;

  constructor(onSpeaking: (speaking: boolean) => void) {
    this.#onSpeaking = onSpeaking;
  }

  /** True from the first to the last frame of an utterance. */
  get speaking(): boolean {
    return this.#speaking;
  }

  /** Resolves to true when the last frame was sent, and to false when the caller left or fell silent before. */
  say(bytes: Uint8Array): Promise<boolean> {
    if (this.#gone || bytes.length === 0) return Promise.resolve(!this.#gone);
    return new Promise((done) => {
      this.#utterances.push({ bytes, at: 0, done });
    });
  }

  /** Fills `frame` with the next 20 ms; false when it is silence. */
  nextFrame(frame: Uint8Array): boolean {
    const current = this.#utterances[0];
    if (current === undefined) {
      if (this.#speaking) this.#setSpeaking(false);
      return false;
    }
    if (!this.#speaking) this.#setSpeaking(true);
    const length = Math.min(FRAME_BYTES, current.bytes.length - current.at);
    for (let i = 0; i < length; i++) frame[i] = current.bytes[current.at + i] ?? 0xff;
    if (length < FRAME_BYTES) frame.fill(0xff, length);
    current.at += length;
    return true;
  }

  /** To be called when the frame of `nextFrame` is on its way. */
  frameSent(): void {
    const current = this.#utterances[0];
    if (current === undefined || current.at < current.bytes.length) return;
    this.#utterances.shift();
    current.done(true);
  }

  /** Stops in mid-word. */
  fallSilent(): void {
    for (const utterance of this.#utterances.splice(0)) utterance.done(false);
  }

  /** The caller has left: nothing more will be said. */
  leave(): void {
    this.#gone = true;
    this.fallSilent();
  }

  #setSpeaking(speaking: boolean): void {
    this.#speaking = speaking;
    this.#onSpeaking(speaking);
  }
}
