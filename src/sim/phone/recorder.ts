import { FRAME_BYTES } from './playout.ts';
import { TICK_MS } from './ticker.ts';
import { LOUD } from './voice.ts';

/** A frame with at least this many loud samples is speech; a single click is not. */
const LOUD_SAMPLES = 4;
/** Silence of this length ends a stretch of speech: 400 ms. */
const PAUSE_TICKS = 20;

/** One turn: the caller stopped speaking and the agent answered. Times in ms of media, 20 ms exact. */
export interface TurnFact {
  readonly callerStartMs: number;
  readonly callerEndMs: number;
  /** Start of the agent's answer, undefined when the caller spoke again or left before it came. */
  readonly agentStartMs: number | undefined;
  /** From the last loud frame of the caller to the first loud frame of the answer. */
  readonly latencyMs: number | undefined;
  /** The agent was being heard when the caller began. */
  readonly cutIn: boolean;
}

/** What the caller heard and said, tick by tick on one time line; both sides always have the same length. */
export class Recorder {
  readonly #keepAudio: boolean;
  readonly #onAgent: (speaking: boolean) => void;
  #heard = new Uint8Array(1 << 13);
  #sent = new Uint8Array(1 << 13);
  #loud = new Uint8Array(1 << 8);
  #ticks = 0;
  #quietTicks = PAUSE_TICKS;
  #agentSpeaking = false;
  #stretchTicks = 0;
  #stretchBytes = 0;
  #gapTicks = -1;
  #underruns = 0;
  #underrunMs = 0;
  #lateTicks = 0;
  #maxLateMs = 0;
  #spokenSinceCaller = false;
  #watchers: { readonly met: () => boolean; readonly done: (met: boolean) => void }[] = [];

  constructor(keepAudio: boolean, onAgent: (speaking: boolean) => void) {
    this.#keepAudio = keepAudio;
    this.#onAgent = onAgent;
  }

  /** Length of the recording in ms. */
  get lengthMs(): number {
    return this.#ticks * TICK_MS;
  }

  /** Agent audio of the present stretch of speech that was heard, in bytes. */
  get stretchBytes(): number {
    return this.#stretchBytes;
  }

  /** Loud frames of the present stretch of agent speech, in ms; 0 when the agent is quiet. */
  get stretchMs(): number {
    return this.#agentSpeaking ? this.#stretchTicks * TICK_MS : 0;
  }

  /** For how long the agent has not been heard, in ms. */
  get quietMs(): number {
    return this.#quietTicks * TICK_MS;
  }

  /** The agent was heard after the caller had last finished speaking. */
  get spokenSinceCaller(): boolean {
    return this.#spokenSinceCaller;
  }

  get timing(): {
    readonly underruns: number;
    readonly underrunMs: number;
    readonly lateTicks: number;
    readonly maxLateMs: number;
  } {
    return {
      underruns: this.#underruns,
      underrunMs: this.#underrunMs,
      lateTicks: this.#lateTicks,
      maxLateMs: this.#maxLateMs,
    };
  }

  /** What the caller heard, in mu-law, 160 bytes a tick with silence in the gaps. Empty unless audio is kept. */
  get heard(): Uint8Array {
    return this.#heard.subarray(0, this.#keepAudio ? this.#ticks * FRAME_BYTES : 0);
  }

  /** What the caller said, on the same time line. */
  get sent(): Uint8Array {
    return this.#sent.subarray(0, this.#keepAudio ? this.#ticks * FRAME_BYTES : 0);
  }

  /** One tick: `audioBytes` of `heard` came from the agent; `sent` counts only when `speaking`. */
  tick(heard: Uint8Array, audioBytes: number, sent: Uint8Array, speaking: boolean, lateMs: number): void {
    const agentLoud = audioBytes > 0 && isLoud(heard);
    const callerLoud = speaking && isLoud(sent);
    this.#store(heard, sent, speaking, (agentLoud ? 1 : 0) | (callerLoud ? 2 : 0));
    if (lateMs > TICK_MS) this.#lateTicks++;
    if (lateMs > this.#maxLateMs) this.#maxLateMs = lateMs;
    this.#countGap(audioBytes, heard.length);
    if (callerLoud) this.#spokenSinceCaller = false;
    if (agentLoud) this.#hearAgent();
    else this.#hearNothing();
    if (this.#agentSpeaking) this.#stretchBytes += audioBytes;
    if (this.#watchers.length > 0) this.#watch();
  }

  /** The bridge has cleared: what was heard so far is a stretch of its own, and a gap is meant. */
  cleared(): void {
    this.#gapTicks = -1;
    this.#endStretch();
  }

  /** The stream is over. */
  streamEnded(): void {
    this.cleared();
  }

  /** Resolves to true at the tick at which `met` becomes true, and to false when the call ends before. */
  until(met: () => boolean): Promise<boolean> {
    if (met()) return Promise.resolve(true);
    return new Promise((done) => {
      this.#watchers.push({ met, done });
    });
  }

  /** Ends every wait. */
  close(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.done(false);
  }

  /** Every turn of the call, from the level of both sides. */
  turns(): readonly TurnFact[] {
    const callers = stretches(this.#loud.subarray(0, this.#ticks), 2);
    const agents = stretches(this.#loud.subarray(0, this.#ticks), 1);
    return callers.map((caller, i) => {
      const nextStart = callers[i + 1]?.start ?? this.#ticks;
      const answer = agents.find((agent) => agent.start >= caller.end && agent.start < nextStart);
      return {
        callerStartMs: caller.start * TICK_MS,
        callerEndMs: caller.end * TICK_MS,
        agentStartMs: answer && answer.start * TICK_MS,
        latencyMs: answer && (answer.start - caller.end) * TICK_MS,
        cutIn: agents.some((agent) => agent.start < caller.start && agent.end > caller.start),
      };
    });
  }

  /** Media time of the first loud frame of the agent. */
  firstAgentMs(): number | undefined {
    const at = this.#loud.subarray(0, this.#ticks).findIndex((bits) => (bits & 1) !== 0);
    return at === -1 ? undefined : at * TICK_MS;
  }

  #store(heard: Uint8Array, sent: Uint8Array, speaking: boolean, loud: number): void {
    if (this.#ticks === this.#loud.length) this.#loud = doubled(this.#loud, 0);
    this.#loud[this.#ticks] = loud;
    if (this.#keepAudio) {
      const at = this.#ticks * FRAME_BYTES;
      if (at + FRAME_BYTES > this.#heard.length) {
        this.#heard = doubled(this.#heard, 0xff);
        this.#sent = doubled(this.#sent, 0xff);
      }
      this.#heard.set(heard, at);
      if (speaking) this.#sent.set(sent, at);
      else this.#sent.fill(0xff, at, at + FRAME_BYTES);
    }
    this.#ticks++;
  }

  // A hole counts when the agent's audio goes on within a pause: then it was meant to be one stretch.
  #countGap(audioBytes: number, frameBytes: number): void {
    if (audioBytes === 0) {
      if (this.#gapTicks >= 0) this.#gapTicks++;
      return;
    }
    if (this.#gapTicks > 0 && this.#gapTicks <= PAUSE_TICKS) {
      this.#underruns++;
      this.#underrunMs += this.#gapTicks * TICK_MS;
    }
    this.#gapTicks = audioBytes < frameBytes ? 1 : 0;
  }

  #hearAgent(): void {
    this.#quietTicks = 0;
    this.#stretchTicks++;
    this.#spokenSinceCaller = true;
    if (this.#agentSpeaking) return;
    this.#agentSpeaking = true;
    this.#onAgent(true);
  }

  #hearNothing(): void {
    this.#quietTicks++;
    if (this.#quietTicks >= PAUSE_TICKS) this.#endStretch();
  }

  #endStretch(): void {
    this.#stretchTicks = 0;
    this.#stretchBytes = 0;
    if (!this.#agentSpeaking) return;
    this.#agentSpeaking = false;
    this.#onAgent(false);
  }

  #watch(): void {
    const watching = this.#watchers;
    this.#watchers = [];
    for (const watcher of watching) {
      if (watcher.met()) watcher.done(true);
      else this.#watchers.push(watcher);
    }
  }
}

interface Stretch {
  readonly start: number;
  /** First tick after the last loud one. */
  end: number;
}

function stretches(loud: Uint8Array, bit: number): readonly Stretch[] {
  const found: Stretch[] = [];
  let current: Stretch | undefined;
  for (const [at, bits] of loud.entries()) {
    if ((bits & bit) === 0) continue;
    if (current === undefined || at - current.end >= PAUSE_TICKS) {
      current = { start: at, end: at + 1 };
      found.push(current);
    } else current.end = at + 1;
  }
  return found;
}

function isLoud(frame: Uint8Array): boolean {
  let loud = 0;
  for (let i = 0; i < frame.length; i++) loud += LOUD[frame[i] ?? 0xff] ?? 0;
  return loud >= LOUD_SAMPLES;
}

function doubled(bytes: Uint8Array<ArrayBuffer>, fill: number): Uint8Array<ArrayBuffer> {
  const bigger = new Uint8Array(bytes.length * 2).fill(fill, bytes.length);
  bigger.set(bytes);
  return bigger;
}
