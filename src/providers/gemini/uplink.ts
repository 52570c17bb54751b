import { type AudioFormat, bytesPerMs, bytesPerSample } from '../../audio/format.ts';
import type { Cancel, Clock } from '../../clock.ts';
import { AudioBacklog } from '../common/audio-backlog.ts';
import type { ProviderSocket } from '../common/socket.ts';
import { WholeSamples } from '../common/whole-samples.ts';

export interface UplinkOptions {
  readonly clock: Clock;
  readonly socket: Pick<ProviderSocket, 'sendAudio'>;
  /** Of what is sent. */
  readonly format: AudioFormat;
  /** Audio that is kept while the model stands still for a function; 0: nothing is held back. */
  readonly holdMs: number;
  /** A pause of this length is told to the service; 0: never. */
  readonly streamEndMs: number;
  streamEnd(): void;
  /** An episode of holding back is over, and it was too long for what may be kept. */
  dropped(ms: number): void;
}

/**
 * The caller's speech on its way to the service. While the model stands still for a function nothing may come in
 * (googleapis/js-genai#1236; 3.8 gives the function up for it), so what the caller says then is delivered afterwards.
 */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #samples = new WholeSamples();
  readonly #held: AudioBacklog;
  #holding = false;
  #droppedBytes = 0;
  #lastAt = 0;
  #pauseTimer: Cancel | undefined;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#held = new AudioBacklog(
      options.holdMs * bytesPerMs(options.format),
      bytesPerSample(options.format),
    );
  }

  /** False when audio had to be dropped. */
  send(bytes: Uint8Array): boolean {
    const whole = this.#samples.join(bytes);
    if (whole.length === 0) return true;
    this.#lastAt = this.#options.clock.now();
    if (this.#holding) {
      const dropped = this.#held.push(whole);
      this.#droppedBytes += dropped;
      return dropped === 0;
    }
    this.#watchPause(this.#options.streamEndMs);
    return this.#options.socket.sendAudio(whole);
  }

  /** Keeps what comes from now on, or delivers what was kept. */
  hold(on: boolean): void {
    if (on === this.#holding || this.#options.holdMs === 0) return;
    this.#holding = on;
    if (on) this.#stopWatch();
    else this.#deliver();
  }

  close(): void {
    this.#stopWatch();
    this.#held.clear();
  }

  // In one piece: the socket's own mark would let a second one wait, and drop some of it.
  #deliver(): void {
    const count = this.#held.bytes;
    if (count > 0) {
      const all = Buffer.allocUnsafe(count);
      let at = 0;
      while (at < count) {
        const piece = this.#held.take(count - at);
        all.set(piece, at);
        at += piece.length;
      }
      this.#options.socket.sendAudio(all);
      this.#watchPause(this.#options.streamEndMs);
    }
    this.#held.clear();
    const droppedMs = Math.round(this.#droppedBytes / bytesPerMs(this.#options.format));
    this.#droppedBytes = 0;
    if (droppedMs > 0) this.#options.dropped(droppedMs);
  }

  // One timer that looks at the time of the last frame, so that a frame costs one number and no timer.
  #watchPause(ms: number): void {
    if (this.#options.streamEndMs === 0 || this.#pauseTimer !== undefined) return;
    this.#pauseTimer = this.#options.clock.after(ms, () => {
      this.#pauseTimer = undefined;
      const left = this.#lastAt + this.#options.streamEndMs - this.#options.clock.now();
      if (left > 0) this.#watchPause(left);
      else this.#options.streamEnd();
    });
  }

  #stopWatch(): void {
    this.#pauseTimer?.();
    this.#pauseTimer = undefined;
  }
}
