import type { Cancel } from '../../clock.ts';
import type { Core } from './core.ts';
import type { Ears } from './ears.ts';
import { type Mouth, WORDS_MS } from './mouth.ts';

/**
 * The time of a session: frame by frame, input is taken in and output goes out. Never faster than real time (times the
 * speed factor), and, with the clock of the input, never ahead of it.
 */
export class Stream {
  readonly #core: Core;
  readonly #ears: Ears;
  readonly #mouth: Mouth;
  readonly #audioSent: (spokenMs: number) => void;
  readonly #beforeFrame: () => void;
  readonly #kept: Uint8Array[] = [];
  readonly #tick = (): void => {
    this.#timer = undefined;
    this.pump();
  };
  #steps: ((startMs: number, endMs: number) => void)[] = [];
  #frames = 0;
  #nextMs = 0;
  #timer: Cancel | undefined;
  #running = false;
  #pumping = false;

  constructor(parts: {
    readonly core: Core;
    readonly ears: Ears;
    readonly mouth: Mouth;
    /** Told of each frame that went out, and how much of it was speech. */
    readonly audioSent: (spokenMs: number) => void;
    readonly beforeFrame: () => void;
  }) {
    this.#core = parts.core;
    this.#ears = parts.ears;
    this.#mouth = parts.mouth;
    this.#audioSent = parts.audioSent;
    this.#beforeFrame = parts.beforeFrame;
  }

  /** How far the session has come, in ms. */
  get positionMs(): number {
    return this.#frames * this.#core.settings.deltaMs;
  }

  /** All output; only when it is kept. */
  get kept(): readonly Uint8Array[] {
    return this.#kept;
  }

  /** Runs `step` when the session goes on: what is appended is taken in with the next audio, not before. */
  atNextStep(step: (startMs: number, endMs: number) => void): void {
    this.#steps.push(step);
  }

  start(): void {
    this.#running = true;
    this.#nextMs = this.#core.scheduler.now();
    if (!this.#core.settings.inputClock) this.#nextMs += this.#stepMs;
    this.pump();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.();
    this.#timer = undefined;
  }

  /** As many frames as are due; to be called when input has come. */
  pump(): void {
    // What a frame sets off may append input again.
    if (this.#pumping) return;
    this.#pumping = true;
    // A frame that is late is made up for; what was lost because nothing came is not.
    const now = this.#core.scheduler.now();
    if (this.#nextMs < now - this.#stepMs) this.#nextMs = now;
    while (this.#running && this.#hasInput && this.#nextMs <= this.#core.scheduler.now()) this.#frame();
    this.#pumping = false;
    if (!this.#running || !this.#hasInput || this.#timer !== undefined) return;
    this.#timer = this.#core.scheduler.after(this.#nextMs - this.#core.scheduler.now(), this.#tick);
  }

  get #stepMs(): number {
    const { deltaMs, speedFactor } = this.#core.settings;
    return deltaMs / speedFactor;
  }

  get #hasInput(): boolean {
    const { inputClock, deltaMs } = this.#core.settings;
    return !inputClock || this.#ears.queuedMs >= deltaMs;
  }

  #frame(): void {
    const { deltaMs, silentFrames, keepAudio } = this.#core.settings;
    const startMs = this.positionMs;
    this.#frames++;
    this.#nextMs += this.#stepMs;
    this.#ears.take(deltaMs, this.#mouth.playsFixture);
    this.#takeSteps(startMs);
    this.#beforeFrame();
    const { bytes, spokenMs } = this.#mouth.frame(startMs, this.positionMs);
    if (spokenMs === 0 && !silentFrames) return;
    if (keepAudio) this.#kept.push(bytes);
    this.#core.emit('session.output_audio.delta', {
      delta: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
    });
    this.#audioSent(spokenMs);
  }

  #takeSteps(atMs: number): void {
    if (this.#steps.length === 0) return;
    const startMs = Math.floor(atMs / WORDS_MS) * WORDS_MS;
    for (const step of this.#steps.splice(0)) step(startMs, startMs + WORDS_MS);
  }
}
