import type { AudioFormat } from './audio/format.ts';
import { createTranscoder, type Transcoder } from './audio/transcode.ts';
import { createTurnDetector, type TurnDetector } from './audio/turn.ts';
import type { MachineResult } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';

/** What is done when a call that the bridge placed is answered by a machine. */
export type MachinePolicy =
  /** It is only put down. */
  | { readonly mode: 'report' }
  | { readonly mode: 'hang-up' }
  /** Said after the beep, or after the greeting where the carrier hears no beep; then the call ends. */
  | { readonly mode: 'leave-message'; readonly message: string };

export interface AnsweringMachineOptions {
  readonly policy: MachinePolicy;
  readonly clock: Clock;
  /** The carrier says when the greeting is over. */
  readonly greetingEndTold: boolean;
  /** From now on the agent neither hears nor answers the greeting. */
  onMachine(): void;
  onHangUp(): void;
  onLeaveMessage(message: string): void;
}

const LISTEN_FORMAT: AudioFormat = { encoding: 'pcm16', rate: 8000 };
/** A greeting pauses for breath; the pause before and after the beep is longer. */
const GREETING_OVER_MS = 1500;
/** Nothing has been said since it is known that it is a machine: its greeting was over before that. */
const NO_GREETING_MS = 4000;
/** Where the carrier says when the greeting is over, silence counts for this much longer: it may be the pause before the beep. */
const PATIENCE_MS = 6000;
/** No greeting is longer than this; what speaks then is a loop or a radio. */
const LONGEST_GREETING_MS = 45_000;

/**
 * A call that was answered by a machine. Where the carrier tells of the beep or of the end of the greeting, that is
 * believed; where it only says that it is a machine, or does not keep its word, the greeting is listened to until it is
 * over.
 */
export class AnsweringMachine {
  readonly #options: AnsweringMachineOptions;
  #policy: MachinePolicy;
  #patienceMs: number;
  #state: 'unknown' | 'greeting' | 'done' = 'unknown';
  /** There was a line, and it is gone. */
  #paused = false;
  #format: AudioFormat | undefined;
  #transcoder: Transcoder | undefined;
  #turns: TurnDetector | undefined;
  #samples = new Int16Array(0);
  #limitAt = 0;
  #cancelLimit: Cancel | undefined;
  #cancelQuiet: Cancel | undefined;

  constructor(options: AnsweringMachineOptions) {
    this.#options = options;
    this.#policy = options.policy;
    this.#patienceMs = options.greetingEndTold ? PATIENCE_MS : 0;
  }

  /** The greeting is being played. */
  get listening(): boolean {
    return this.#state === 'greeting';
  }

  /** Format of the caller's side, as soon as it is known. */
  setFormat(format: AudioFormat): void {
    this.#format = format;
    this.#transcoder = undefined;
  }

  /** What the carrier has found out; a later word is more precise than an earlier one. */
  found(result: MachineResult, greetingOver: boolean): void {
    const policy = this.#policy;
    if (this.#state === 'done' || policy.mode === 'report') return;
    if (result === 'fax') {
      this.#finish(() => this.#options.onHangUp());
      return;
    }
    // A greeting that has been recognised does not become a human by a second opinion.
    const machine = result === 'machine' || result === 'machine-beep' || this.#state === 'greeting';
    if (!machine) return;
    if (policy.mode === 'hang-up') {
      this.#finish(() => this.#options.onHangUp());
      return;
    }
    if (this.#state === 'unknown') this.#listen();
    if (greetingOver || result === 'machine-beep') this.#speak();
  }

  /**
   * Somebody has found out by listening that it is a machine, and wants it to be told this: when nothing is heard of it
   * for a moment, its greeting and its beep are over.
   */
  leave(message: string): void {
    // A message that waits for the end of the greeting is not replaced, and comes when it was to come.
    if (this.#state !== 'unknown') return;
    this.#policy = { mode: 'leave-message', message };
    this.#patienceMs = 0;
    this.#listen();
    this.#awaitQuiet(GREETING_OVER_MS);
  }

  /** One message of the machine's side; cheap while nobody listens. */
  hear(bytes: Uint8Array): void {
    if (this.#state !== 'greeting' || this.#format === undefined) return;
    this.#transcoder ??= createTranscoder(this.#format, LISTEN_FORMAT);
    this.#turns ??= this.#makeTurns();
    const pcm = this.#transcoder.push(bytes);
    const count = pcm.length >> 1;
    if (this.#samples.length < count) this.#samples = new Int16Array(count);
    const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    for (let i = 0; i < count; i++) this.#samples[i] = view.getInt16(i * 2, true);
    this.#turns.push(this.#samples, count);
  }

  /** The line is gone: that nothing is heard now means nothing, and nothing can be said. */
  pause(): void {
    this.#paused = true;
    this.#cancelLimit?.();
    this.#cancelQuiet?.();
    // What was being said then has ended unheard.
    this.#turns = undefined;
  }

  /** The line is there again; how much of the greeting was missed is not known. */
  resume(): void {
    this.#paused = false;
    if (this.#state !== 'greeting') return;
    this.#awaitEnd();
  }

  close(): void {
    this.#state = 'done';
    this.#cancelLimit?.();
    this.#cancelQuiet?.();
  }

  #listen(): void {
    this.#state = 'greeting';
    this.#options.onMachine();
    this.#limitAt = this.#options.clock.now() + LONGEST_GREETING_MS;
    this.#awaitEnd();
  }

  #awaitEnd(): void {
    if (this.#paused) return;
    const { clock } = this.#options;
    this.#cancelLimit?.();
    this.#cancelLimit = clock.after(Math.max(0, this.#limitAt - clock.now()), () => this.#speak());
    this.#awaitQuiet(NO_GREETING_MS);
  }

  #makeTurns(): TurnDetector {
    return createTurnDetector({
      rate: 8000,
      listener: {
        onSpeechStart: () => this.#cancelQuiet?.(),
        onSpeechEnd: () => this.#awaitQuiet(GREETING_OVER_MS),
      },
    });
  }

  #awaitQuiet(ms: number): void {
    this.#cancelQuiet?.();
    if (this.#paused) return;
    this.#cancelQuiet = this.#options.clock.after(ms + this.#patienceMs, () => this.#speak());
  }

  #speak(): void {
    const policy = this.#policy;
    if (policy.mode === 'leave-message') this.#finish(() => this.#options.onLeaveMessage(policy.message));
  }

  #finish(then: () => void): void {
    if (this.#state === 'done') return;
    this.close();
    then();
  }
}
