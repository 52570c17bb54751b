import type { EndReason } from './call-events.ts';
import type { Clock } from './clock.ts';
import { Goodbye } from './goodbye.ts';
import { type SilencePolicy, SilenceWatch } from './silence.ts';

export interface FloorOptions {
  readonly clock: Clock;
  readonly silence: SilencePolicy;
  /** The agent is there and nothing that it said waits to be heard. */
  agentQuiet(): boolean;
  /** For whoever waits for a pause while functions run. */
  readonly meanwhile: Meanwhile;
  /** Functions run, and a caller who waits is to hear something after so many ms, 0: never; undefined: none runs. */
  working(): number | undefined;
  /** Speech of the agent that is still to be heard. */
  aheadMs(): number;
  /** Have the agent say this, unasked. */
  say(text: string): void;
  onSilent(goodbye: string): void;
  /** See `GoodbyeOptions.onOver`. */
  onGoodbyeOver(reason: EndReason, whole: boolean): void;
}

export interface Meanwhile {
  /** Nobody speaks. @param fillerAfterMs see `FloorOptions.working` */
  quiet(fillerAfterMs: number): void;
  busy(): void;
}

/**
 * Why nobody is asked whether they are there: they are put through, there is no stream, nobody who could ask, or it is a
 * machine.
 */
export type HoldReason = 'transfer' | 'no-stream' | 'no-provider' | 'machine';

/** A goodbye that is being said waits for these to pass. */
const PASSING: readonly HoldReason[] = ['no-stream', 'no-provider'];

/** Who has the floor: whether the caller speaks, which responses are open, and what follows when all is quiet. */
export class Floor {
  readonly #options: FloorOptions;
  readonly #silence: SilenceWatch;
  /** How the call ends, if it is about to. */
  readonly goodbye: Goodbye;
  readonly #open = new Set<string>();
  /** Of these, the ones that the bridge asked for. */
  readonly #asked = new Set<string>();
  #callerSpeaks = false;
  readonly #held = new Set<HoldReason>();
  #onQuiet: (() => void)[] = [];

  constructor(options: FloorOptions) {
    this.#options = options;
    this.#silence = new SilenceWatch(
      options.clock,
      options.silence,
      (text) => options.say(text),
      (goodbye) => options.onSilent(goodbye),
    );
    this.goodbye = new Goodbye({
      clock: options.clock,
      aheadMs: () => options.aheadMs(),
      speaking: () => this.#asked.size > 0,
      onOver: (reason, whole) => options.onGoodbyeOver(reason, whole),
    });
  }

  /** Responses that the provider has not finished. */
  get openResponses(): ReadonlySet<string> {
    return this.#open;
  }

  /** The call is about to end, and the caller cannot call it off. */
  get leavingForGood(): boolean {
    return this.goodbye.final;
  }

  /** See `Goodbye.begin`. */
  leave(reason: EndReason, final: boolean, text: string | undefined): void {
    this.#busy();
    this.goodbye.begin(reason, final, text);
  }

  /** The agent has said all that it wanted to, and its goodbye was the last of it. */
  get goodbyeSaid(): boolean {
    return this.goodbye.said && this.#open.size === 0;
  }

  /** There is a reason for which nothing is expected of the agent. */
  get isHeld(): boolean {
    return this.#held.size > 0;
  }

  holds(reason: HoldReason): boolean {
    return this.#held.has(reason);
  }

  /** Silence is not asked about as long as there is a reason for it. */
  hold(reason: HoldReason, on: boolean): void {
    if (on) {
      this.#held.add(reason);
      this.#busy();
      // Whoever is put through is not said goodbye to, nor is a machine before it has its message.
      if (!PASSING.includes(reason)) this.goodbye.callOff();
      // Nobody is needed to say what was said.
      else if (reason !== 'no-provider' || !this.goodbyeSaid) this.goodbye.hold(true);
    } else if (this.#held.delete(reason)) {
      if (PASSING.includes(reason) && !PASSING.some((other) => this.#held.has(other)))
        this.goodbye.hold(false);
      this.check();
    }
  }

  /** The bridge asked for this response, which is not done. */
  wasAsked(responseId: string): boolean {
    return this.#asked.has(responseId);
  }

  /** @param asked the response was asked for by the bridge, so it may be the goodbye */
  responseStarted(responseId: string, asked: boolean): void {
    if (asked) this.#asked.add(responseId);
    this.#open.add(responseId);
    this.#busy();
  }

  agentSpeaks(responseId: string): void {
    this.#open.add(responseId);
    this.#busy();
    // An answer to what the caller has just said is not yet the goodbye.
    if (this.#asked.has(responseId)) this.goodbye.spoken(responseId);
  }

  /** @param whole the provider has said all that it wanted to */
  responseDone(responseId: string, whole: boolean): void {
    if (!whole) this.goodbye.cutShort(responseId);
    this.#open.delete(responseId);
    this.#asked.delete(responseId);
    this.check();
  }

  toolStarted(): void {
    this.#busy();
  }

  callerSpeaks(): void {
    this.#callerSpeaks = true;
    this.callerActive();
  }

  callerStopped(): void {
    this.#callerSpeaks = false;
    this.check();
  }

  /** The caller is there, by voice or by key. */
  callerActive(): void {
    this.#busy();
    this.#silence.callerActive();
    this.goodbye.callOff();
  }

  /** Something has come to its end: if it was the last thing under way, the line is quiet. */
  check(): void {
    if (!this.quiet) return;
    const { meanwhile, working } = this.#options;
    const fillerAfterMs = working();
    const waits = !this.goodbye.leaving && this.#held.size === 0;
    if (fillerAfterMs === undefined) {
      if (waits) this.#silence.quiet();
      this.goodbye.quiet();
    } else if (waits) {
      meanwhile.quiet(fillerAfterMs);
    }
    for (const resolve of this.#onQuiet.splice(0)) resolve();
  }

  /** Nobody speaks and nothing is under way but functions. */
  get quiet(): boolean {
    return !this.#callerSpeaks && this.#open.size === 0 && this.#options.agentQuiet();
  }

  /** Resolves when nobody speaks, also when it is now. */
  untilQuiet(): Promise<void> {
    return this.quiet ? Promise.resolve() : new Promise((resolve) => this.#onQuiet.push(resolve));
  }

  close(): void {
    this.#busy();
    this.goodbye.close();
    for (const resolve of this.#onQuiet.splice(0)) resolve();
  }

  #busy(): void {
    this.#silence.busy();
    this.#options.meanwhile.busy();
  }
}
