import { AnsweringMachine, type AnsweringMachineOptions } from './answering-machine.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { MachineResult } from './carrier.ts';
import type { CutIn } from './cut-in.ts';
import type { CallLeg } from './leg.ts';
import type { Pacer } from './pacer.ts';
import type { PlayoutLeg } from './playout.ts';
import type { ProviderCapabilities, ProviderSession } from './provider.ts';
import { Uplink, type UplinkCounts } from './uplink.ts';

export interface HearingOptions extends AnsweringMachineOptions {
  readonly pacer: Pacer;
  /** The bridge's own ear for callers who cut in. */
  readonly cutIn: CutIn;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  onFailed(error: unknown): void;
}

/** What the agent hears of the other end of the line, over all the legs that the call has one after the other. */
export class Hearing {
  readonly #options: HearingOptions;
  readonly #machine: AnsweringMachine;
  /** Of legs that are gone. */
  readonly #past: UplinkCounts = { framesIn: 0, filledMs: 0, lostBeforeReadyMs: 0, refused: 0 };
  #uplink: Uplink | undefined;
  #input: AudioFormat | undefined;
  #provider: ProviderSession | undefined;
  /** What is on the line is a machine's greeting, which is not for the provider. */
  #deaf = false;
  readonly #early: { readonly result: MachineResult; readonly greetingOver: boolean }[] = [];

  constructor(options: HearingOptions) {
    this.#options = options;
    this.#machine = new AnsweringMachine({
      ...options,
      onMachine: () => {
        this.#deaf = true;
        options.cutIn.abandon();
        options.onMachine();
      },
    });
  }

  /** What is on the line is not for the provider. */
  get deaf(): boolean {
    return this.#deaf;
  }

  get counts(): Readonly<UplinkCounts> {
    const now = this.#uplink?.counts;
    return now === undefined ? this.#past : sum(this.#past, now);
  }

  /** When the last media message came; undefined while there is no stream. */
  get lastMediaAt(): number | undefined {
    return this.#uplink?.lastMediaAt;
  }

  /** Returns the leg to play on. Throws BAD_AUDIO when the format cannot be converted. */
  attach(leg: CallLeg): PlayoutLeg {
    const { clock, pacer, cutIn, onFailed } = this.#options;
    const line = cutIn.attach(leg);
    this.#input = leg.input;
    this.#uplink = new Uplink({ format: leg.input, clock, pacer, onFailed });
    this.#machine.setFormat(leg.input);
    this.#machine.resume();
    this.#join();
    return line;
  }

  detach(): void {
    if (this.#uplink === undefined) return;
    Object.assign(this.#past, sum(this.#past, this.#uplink.counts));
    this.#uplink.close();
    this.#uplink = undefined;
    this.#options.cutIn.detach();
    this.#machine.pause();
  }

  connect(provider: ProviderSession, capabilities: ProviderCapabilities): void {
    this.#provider = provider;
    this.#options.cutIn.connect(capabilities);
    this.#join();
  }

  /** One media message of the caller. */
  hear(bytes: Uint8Array, atMs: number | undefined): void {
    this.#machine.hear(bytes);
    if (this.#deaf) {
      this.#uplink?.mute(bytes, atMs);
      return;
    }
    this.#uplink?.receive(bytes, atMs);
    this.#options.cutIn.hear(bytes);
  }

  /** What answering-machine detection has found. */
  machine(result: MachineResult, greetingOver: boolean): void {
    // Nothing can be said to a machine before there is a line and a voice.
    if (this.#joined) this.#machine.found(result, greetingOver);
    else this.#early.push({ result, greetingOver });
  }

  /** See `AnsweringMachine.leave`. */
  leaveMessage(message: string): void {
    this.#machine.leave(message);
  }

  speechStarted(): void {
    this.#uplink?.speechStarted();
  }

  speechStopped(): void {
    this.#uplink?.speechStopped();
  }

  close(): void {
    this.#machine.close();
    this.#options.cutIn.close();
    this.#uplink?.close();
  }

  get #joined(): boolean {
    return this.#provider !== undefined && this.#uplink !== undefined;
  }

  #join(): void {
    if (this.#provider === undefined || this.#uplink === undefined || this.#input === undefined) return;
    this.#uplink.connect(this.#provider, this.#options.createTranscoder(this.#input, this.#provider.input));
    for (const { result, greetingOver } of this.#early.splice(0)) this.#machine.found(result, greetingOver);
  }
}

function sum(a: UplinkCounts, b: UplinkCounts): UplinkCounts {
  return {
    framesIn: a.framesIn + b.framesIn,
    filledMs: a.filledMs + b.filledMs,
    lostBeforeReadyMs: a.lostBeforeReadyMs + b.lostBeforeReadyMs,
    refused: a.refused + b.refused,
  };
}
