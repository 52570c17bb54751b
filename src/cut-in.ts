import type { BargeInPolicy } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import { OnsetDetector } from './audio/onset.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { Cancel, Clock } from './clock.ts';
import { PlayedLevel } from './cut-in-echo.ts';
import type { CallLeg } from './leg.ts';
import type { PlayoutLeg } from './playout-options.ts';
import type { ProviderCapabilities } from './provider.ts';

export interface CutInOptions {
  readonly policy: BargeInPolicy;
  readonly clock: Clock;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  /** The caller hears the agent, or is about to. */
  agentSpeaks(): boolean;
  /** The caller has begun to speak, and has stopped. */
  onSpeech(): void;
  onQuiet(): void;
  /** The caller speaks while the agent does. */
  onCutIn(): void;
}

/** What the detector works on. */
const HEARD: AudioFormat = { encoding: 'pcm16', rate: 8000 };
/** An echo is at least this much weaker than the loudest of what it is the echo of: 20 dB, less 3 for doubt. */
const ECHO_MARGIN_DB = 17;
/** "Hello?" said into the greeting is shorter. */
const GUARDED_SPEECH_MS = 600;
/** A carrier that sends nothing for so long while the caller speaks has stopped sending: the speech is over. */
const STALLED_MS = 1000;

/** Whether the bridge listens for the caller's voice itself: asked to, or because such a provider tells late or never. */
export function listensLocally(policy: BargeInPolicy, { bargeIn }: ProviderCapabilities): boolean {
  return policy.detector === 'auto' ? bargeIn !== 'speech-started' : policy.detector === 'local';
}

/** Whether what it hears silences the agent: one that speaks in real time stops by itself, and may say "mhm". */
function silencesAgent(policy: BargeInPolicy, { speech }: ProviderCapabilities): boolean {
  return policy.detector === 'local' || speech === 'turns';
}

/**
 * Hears that the caller begins to speak, for providers that say so too late for a caller who wants the agent to stop.
 * Knows what the agent says, so that it does not take the echo for the caller. It follows the call's legs and providers;
 * while it is off it costs nothing.
 */
export class CutIn {
  readonly #options: CutInOptions;
  readonly #agentSpeaks: () => boolean;
  readonly #samples = new Int16Array(160);
  #on = false;
  #silences = false;
  #leg: CallLeg | undefined;
  #detector: OnsetDetector | undefined;
  #decoder: Transcoder | undefined;
  #played: PlayedLevel | undefined;
  #heardAt = 0;
  #voiceAt: number | undefined;
  /** The caller speaks, and it was told. */
  #open = false;
  #agentSpoke = false;
  /** Speech that began into the greeting counts from then on. */
  #countsFrom: number | undefined;
  #cancel: Cancel | undefined;

  constructor(options: CutInOptions) {
    this.#options = options;
    this.#agentSpeaks = options.agentSpeaks;
  }

  /** Whether what the bridge hears itself counts. */
  get on(): boolean {
    return this.#on;
  }

  /** When the caller's voice was heard last, of the clock; undefined: never, or nobody listens. */
  get voiceAt(): number | undefined {
    return this.#on ? this.#voiceAt : undefined;
  }

  /** The caller hears the agent, or is about to. */
  get agentSpeaks(): boolean {
    return this.#agentSpeaks();
  }

  /** Whoever speaks from now on has these capabilities. A caller who speaks on is told anew. */
  connect(capabilities: ProviderCapabilities): void {
    const { policy } = this.#options;
    this.#turn(listensLocally(policy, capabilities), silencesAgent(policy, capabilities));
  }

  /**
   * There is no provider that could hear the caller: whatever the policy, the bridge does.
   * @param noise of the line, as `hear` takes it: whoever begins to listen in the middle of a word would take the voice
   * for noise. Not asked for by one that listens already
   */
  disconnect(noise: () => Uint8Array): void {
    const listened = this.#on;
    this.#turn(true, true);
    if (listened || this.#detector === undefined || this.#decoder === undefined) return;
    this.#push(this.#detector, this.#decoder.push(noise()));
  }

  /** What is played is to go through the leg that this returns. */
  attach(leg: CallLeg): PlayoutLeg {
    this.#leg = leg;
    this.#played = new PlayedLevel(this.#options.createTranscoder(leg.output, HEARD));
    this.#listen();
    return this.#tapped(leg, this.#played);
  }

  detach(): void {
    this.#leg = undefined;
    this.#played = undefined;
    this.#onQuiet();
    this.#listen();
  }

  /** One media message of the caller, cut anywhere. */
  hear(bytes: Uint8Array): void {
    if (this.#detector === undefined || this.#decoder === undefined) return;
    const { clock, agentSpeaks } = this.#options;
    const now = clock.now();
    this.#heardAt = now;
    const speaks = agentSpeaks();
    // What was said before the agent began was no answer to it.
    if (speaks && !this.#agentSpoke) this.#detector.forgetVoice();
    this.#agentSpoke = speaks;
    const loudest = this.#played?.loudestDbm0(now, this.#leg?.roundTripMs ?? 0) ?? Number.NEGATIVE_INFINITY;
    this.#detector.leastDbm0 = loudest - ECHO_MARGIN_DB;
    this.#push(this.#detector, this.#decoder.push(bytes));
    if (this.#open && this.#detector.hears) this.#voiceAt = now;
  }

  /** Whoever is on the line is not listened to any more; if they spoke, they have stopped. */
  abandon(): void {
    this.#detector?.abandon();
    this.#onQuiet();
  }

  close(): void {
    this.#on = false;
    this.#forget();
    this.detach();
  }

  #turn(on: boolean, silences: boolean): void {
    const was = this.#on;
    this.#on = on;
    this.#silences = silences;
    if (was && on) {
      if (this.#open) this.#options.onSpeech();
    } else if (this.#open) {
      this.#onQuiet();
    }
    if (was !== on) this.#listen();
  }

  #listen(): void {
    this.#forget();
    const wanted = this.#on && this.#leg !== undefined;
    this.#decoder = wanted && this.#leg ? this.#options.createTranscoder(this.#leg.input, HEARD) : undefined;
    this.#detector = wanted
      ? new OnsetDetector({
          minSpeechMs: this.#options.policy.minSpeechMs,
          listener: { onVoice: () => this.#onVoice(), onQuiet: () => this.#onQuiet() },
        })
      : undefined;
  }

  #push(detector: OnsetDetector, bytes: Uint8Array): void {
    const samples = this.#samples;
    let filled = 0;
    for (let i = 0; i + 1 < bytes.length; i += 2) {
      samples[filled] = (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8);
      filled += 1;
      if (filled < samples.length) continue;
      detector.push(samples, filled);
      filled = 0;
    }
    if (filled > 0) detector.push(samples, filled);
  }

  #onVoice(): void {
    const { clock, agentSpeaks, onSpeech, onCutIn } = this.#options;
    if (!this.#open) {
      const now = clock.now();
      if (!this.#counts(now)) return;
      this.#open = true;
      this.#watch();
      onSpeech();
    }
    if (this.#silences && agentSpeaks()) onCutIn();
  }

  /** Callers say "hello?" into the greeting, and echo cancellers have not heard enough to be of use. */
  #counts(now: number): boolean {
    const since = this.#played?.since;
    const guarded = since !== undefined && now < since + this.#options.policy.guardMs;
    if (guarded) this.#countsFrom ??= now + GUARDED_SPEECH_MS;
    return this.#countsFrom === undefined || now >= this.#countsFrom;
  }

  #onQuiet(): void {
    const open = this.#open;
    this.#forget();
    if (open) this.#options.onQuiet();
  }

  /** A carrier that stops to send lets nobody hear that the caller has stopped. */
  #watch(): void {
    const { clock } = this.#options;
    const left = this.#heardAt + STALLED_MS - clock.now();
    this.#cancel = clock.after(Math.max(left, 1), () => {
      if (clock.now() - this.#heardAt < STALLED_MS) {
        this.#watch();
        return;
      }
      this.#detector?.abandon();
      this.#onQuiet();
    });
  }

  #forget(): void {
    this.#open = false;
    this.#countsFrom = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tapped(leg: CallLeg, played: PlayedLevel): PlayoutLeg {
    const { clock } = this.#options;
    return {
      output: leg.output,
      get roundTripMs() {
        return leg.roundTripMs;
      },
      play: (bytes) => {
        if (this.#on) played.play(bytes, clock.now());
        leg.play(bytes);
      },
      mark: (name) => leg.mark(name),
      clear: () => {
        played.clear(clock.now());
        leg.clear();
      },
    };
  }
}
