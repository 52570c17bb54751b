import { AnsweringMachine, type AnsweringMachineOptions } from './answering-machine.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { MachineResult } from './carrier.ts';
import type { CutIn } from './cut-in.ts';
import type { Unanswered } from './fallback/speech-ring.ts';
import type { CallLeg } from './leg.ts';
import type { Pacer } from './pacer.ts';
import type { PlayoutLeg } from './playout-options.ts';
import type { ProviderCapabilities, ProviderSession } from './provider.ts';
import type { EarTape } from './tape.ts';
import { type HandedOver, Uplink, type UplinkCounts } from './uplink.ts';

export interface HearingOptions extends AnsweringMachineOptions {
  readonly pacer: Pacer;
  /** The bridge's own ear for callers who cut in. */
  readonly cutIn: CutIn;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  /** Is told what the caller says, for a recording. */
  readonly ear?: EarTape | undefined;
  onFailed(error: unknown): void;
}

const NOTHING_SAID: Unanswered = { spokenMs: 0, speaking: false };
const NO_NOISE = new Uint8Array(0);
const NOTHING_HANDED_OVER: HandedOver = { replayedMs: 0, speaking: false };

/** What the agent hears of the other end of the line, over all the legs that the call has one after the other. */
export class Hearing {
  readonly #options: HearingOptions;
  // What every frame needs is at hand.
  readonly #ear: EarTape | undefined;
  readonly #cutIn: CutIn;
  readonly #machine: AnsweringMachine;
  /** Of legs that are gone. */
  readonly #past: UplinkCounts = { framesIn: 0, filledMs: 0, lostBeforeReadyMs: 0, refused: 0 };
  #uplink: Uplink | undefined;
  #input: AudioFormat | undefined;
  #provider: ProviderSession | undefined;
  /** There was a provider, and it is gone. */
  #orphaned = false;
  /** What is on the line is a machine's greeting, which is not for the provider. */
  #deaf = false;
  readonly #early: { readonly result: MachineResult; readonly greetingOver: boolean }[] = [];

  constructor(options: HearingOptions) {
    this.#options = options;
    this.#ear = options.ear;
    this.#cutIn = options.cutIn;
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
    const { clock, pacer, cutIn, ear, onFailed } = this.#options;
    ear?.stream(leg.input, leg.output, clock.now());
    const line = cutIn.attach(leg);
    this.#input = leg.input;
    this.#uplink = new Uplink({ format: leg.input, clock, pacer, onFailed });
    if (this.#orphaned) this.#uplink.disconnect();
    this.#machine.setFormat(leg.input);
    this.#join(undefined);
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

  /** Of the stream that is there now, in ms; 0 while there is none. */
  get positionMs(): number {
    return this.#uplink?.positionMs ?? 0;
  }

  /** See `Uplink`. */
  accountedFor(upToMs: number): void {
    this.#uplink?.accountedFor(upToMs);
  }

  /** See `Uplink`; nothing while there is no stream. */
  unanswered(): Unanswered {
    return this.#uplink?.unanswered() ?? NOTHING_SAID;
  }

  /**
   * A provider is ready. Without `options` it is the first one, which is given all that was kept; see `Uplink.connect`.
   * `replay` is obeyed for providers that take speech faster than it was spoken.
   */
  connect(
    provider: ProviderSession,
    capabilities: ProviderCapabilities,
    options?: { readonly replay: boolean },
  ): HandedOver {
    this.#provider = provider;
    this.#orphaned = false;
    this.#options.cutIn.connect(capabilities);
    return this.#join(options && { replay: options.replay && capabilities.catchUp });
  }

  /**
   * The provider is gone. What the caller says from now on is kept for the next one, and until it is there the bridge
   * hears for itself when they speak.
   */
  disconnect(): void {
    this.#provider = undefined;
    this.#orphaned = true;
    this.#uplink?.disconnect();
    this.#machine.pause();
    this.#options.cutIn.disconnect(() => this.#uplink?.noise() ?? NO_NOISE);
  }

  /** One media message of the caller. */
  hear(bytes: Uint8Array, atMs: number | undefined): void {
    this.#ear?.said(bytes, this.#options.clock.now(), atMs);
    this.#machine.hear(bytes);
    if (this.#deaf) {
      this.#uplink?.mute(bytes, atMs);
      return;
    }
    this.#uplink?.receive(bytes, atMs, this.#cutIn.agentSpeaks);
    this.#cutIn.hear(bytes);
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

  #join(options: { readonly replay: boolean } | undefined): HandedOver {
    if (this.#provider === undefined || this.#uplink === undefined || this.#input === undefined) {
      return NOTHING_HANDED_OVER;
    }
    this.#machine.resume();
    const transcoder = this.#options.createTranscoder(this.#input, this.#provider.input);
    const handedOver = this.#uplink.connect(this.#provider, transcoder, options);
    for (const { result, greetingOver } of this.#early.splice(0)) this.#machine.found(result, greetingOver);
    return handedOver;
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
