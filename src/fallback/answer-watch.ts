import type { AudioFormat } from '../audio/format.ts';
import { TurnLevel } from '../audio/turn-level.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { ProviderCapabilities, ProviderEvent, ResponseStatus } from '../provider.ts';

/*
 * What the provider owes, and when its silence is too long:
 *
 *   nothing ──asked / speechStopped──▶ answer ──responseStarted──▶ response ──responseDone──▶ nothing
 *      ▲        (own ear: doubtful)      │                            │ failed, and nothing of it was heard: answer
 *      └───────the caller speaks─────────┴────────────────────────────┘
 *
 * Owed and kept still for `limitMs`: of no use. What is a step forward (a response, audio, a function call) lets the time
 * begin anew; text only prolongs it, once. While the caller hears the agent, while somebody else is waited for
 * (`waiting`) and while the caller speaks, nothing is due. What only we have heard is doubted: it takes longer, longer still
 * each time it proves wrong, and what only the level says takes two turns or a long wait.
 */

export interface AnswerWatchOptions {
  readonly clock: Clock;
  /** See `FailoverPolicy.answerMs`: in ms, 0: never. */
  readonly limitMs: number;
  /** The caller hears the agent, or is about to. */
  agentSpeaks(): boolean;
  /** The session in use is of no use: it has kept still for so many ms. Told once; `begin` starts anew. */
  onStill(forMs: number): void;
}

type Owed = 'nothing' | 'answer' | 'doubtful';

/**
 * From when our ear hears the caller until it does not any more, which it says 600 ms after the last of it. What is shorter
 * may be a cough or an "mhm", to which nobody has to answer.
 */
const LEAST_HEARD_MS = 900;
/** For what only the bridge has heard. */
const DOUBTFUL_FACTOR = 1.5;
/** For a single turn that only the level speaks for, and for what follows speech that was told to be whole. */
const PATIENT_FACTOR = 2;
/** Times that our ear was wrong and that are held against it. */
const MOST_DOUBT = 3;
/** Pause of a caller who has said something a second time and waits. */
const SETTLED_MS = 1500;
/** How often is looked whether the caller has heard all, once the time is up otherwise. */
const LOOK_AGAIN_MS = 500;
/** A timer that comes later than this: the process was held up, and what has come meanwhile was not read yet. */
const HELD_UP_MS = 500;

/** An agent that speaks does so for longer than this, of which three frames of the caller's may be lost. */
const LOOK_MS = 60;

/** Decides that a session which is open is of no use, because it keeps still when it is its turn. */
export class AnswerWatch {
  readonly #options: AnswerWatchOptions;
  readonly #agentSpeaks: () => boolean;
  readonly #clock: Clock;
  /** The agent speaks, and whether it still does is looked for only then. */
  #deafUntil = 0;
  #inUse = false;
  #waiting = false;
  /** The provider answers each turn; one that speaks in real time may choose to say nothing. */
  #answersTurns = true;
  /** Who says that the caller speaks; undefined: nobody. */
  #callerBy: 'provider' | 'local' | undefined;
  #callerSince = 0;
  #owed: Owed = 'nothing';
  readonly #open = new Set<string>();
  /** The last response of which something was to be heard, and whether that was all of it. */
  #spoken: string | undefined;
  #spokenWhole = false;
  /** When what is due became due, or went a step forward; and when its time began, which text moves. */
  #dueAt = 0;
  #from = 0;
  #timer: Cancel | undefined;
  #level: TurnLevel | undefined;
  #firstTurnAt = 0;
  #voiceAt = 0;
  #levelTimer: Cancel | undefined;
  #doubt = 0;

  constructor(options: AnswerWatchOptions) {
    this.#options = options;
    this.#agentSpeaks = options.agentSpeaks;
    this.#clock = options.clock;
  }

  /** A session is in use from now on: what the one before it owed is no matter any more. */
  begin({ speech }: Pick<ProviderCapabilities, 'speech'>): void {
    this.#forget();
    this.#answersTurns = speech === 'turns';
    this.#inUse = this.#options.limitMs > 0;
  }

  /** No session is in use; nothing is told until `begin`. */
  end(): void {
    this.#forget();
    this.#inUse = false;
  }

  /** What `hear` is given from now on; undefined: there is no line. */
  setFormat(format: AudioFormat | undefined): void {
    this.#forgetVoice();
    this.#level = format === undefined ? undefined : new TurnLevel(format);
  }

  /** Somebody else is waited for (functions, no stream, a transfer, a machine): nothing is due. */
  waiting(on: boolean): void {
    if (this.#waiting === on) return;
    this.#waiting = on;
    this.#forgetVoice();
    this.#step();
  }

  /** Our own ear hears the caller; what the provider says of it comes by `sign`. */
  callerSpeaks(): void {
    if (this.#callerBy === undefined) this.#caller('local');
  }

  /** Our own ear does not hear the caller any more. */
  callerStopped(): void {
    if (this.#callerBy !== 'local') return;
    this.#callerBy = undefined;
    const heardMs = this.#clock.now() - this.#callerSince;
    // What was due before a cough still is, and who may choose to say nothing owes no more than before.
    if (this.#answersTurns && heardMs >= LEAST_HEARD_MS) {
      this.#open.clear();
      this.#owe('doubtful');
    } else {
      this.#step();
    }
  }

  /** The bridge has asked the model to speak. */
  asked(): void {
    this.#owe('answer');
  }

  /** Every event of the session in use. */
  sign(event: ProviderEvent): void {
    if (!this.#inUse) return;
    this.#heardOf();
    switch (event.type) {
      case 'audio':
        this.#onAudio(event.responseId);
        break;
      case 'audioDone':
        this.#spokenWhole = event.responseId === this.#spoken;
        break;
      case 'responseStarted':
        this.#onStarted(event.responseId, event.asked);
        break;
      case 'responseDone':
        this.#onDone(event.responseId, event.status);
        break;
      case 'toolCall':
        this.#step();
        break;
      case 'transcript':
        this.#onText(event.role, event.final);
        break;
      case 'speechStarted':
        this.#caller('provider');
        break;
      case 'speechStopped':
        this.#callerBy = undefined;
        this.#owe(this.#answersTurns ? 'answer' : 'nothing');
        break;
      case 'interrupted':
        this.#open.clear();
        this.#step();
        break;
      case 'closed':
        this.end();
        break;
      default:
        break;
    }
  }

  /** When `hear` was given something that may be voice last, of the clock; undefined: never. */
  get voiceAt(): number | undefined {
    return this.#voiceAt === 0 ? undefined : this.#voiceAt;
  }

  /** Every message of the caller, in the format that was set. Only for calls in which our own ear is off: see `CutIn.on`. */
  hear(bytes: Uint8Array): void {
    const level = this.#level;
    if (level === undefined || !this.#inUse || this.#waiting) return;
    const now = this.#clock.now();
    if (now < this.#deafUntil) return;
    // What comes back of the agent's own speech is no turn of the caller's.
    if (this.#agentSpeaks()) {
      level.forget();
      this.#deafUntil = now + LOOK_MS;
      return;
    }
    const before = level.turns;
    if (level.push(bytes)) this.#voiceAt = now;
    if (level.turns > before) this.#onTurn(level);
  }

  get #isDue(): boolean {
    if (!this.#inUse || this.#waiting || this.#callerBy !== undefined) return false;
    return this.#owed !== 'nothing' || this.#open.size > 0;
  }

  get #patienceMs(): number {
    const { limitMs } = this.#options;
    if (this.#owed === 'doubtful' && this.#open.size === 0) return this.#doubtfulMs(DOUBTFUL_FACTOR);
    if (this.#owed === 'nothing' && this.#spokenWhole) return limitMs * PATIENT_FACTOR;
    return limitMs;
  }

  #doubtfulMs(factor: number): number {
    return this.#options.limitMs * factor * (1 + this.#doubt);
  }

  #caller(by: 'provider' | 'local'): void {
    if (this.#callerBy === undefined) this.#callerSince = this.#clock.now();
    this.#callerBy = by;
    // Whether the end of what they cut off will be told or not.
    if (by === 'provider') this.#open.clear();
    this.#step();
  }

  #owe(owed: Owed): void {
    this.#owed = owed;
    this.#step();
  }

  #onStarted(responseId: string, asked: boolean): void {
    this.#owed = 'nothing';
    // Whoever answers the caller takes the turn as ended, told or not.
    if (!asked) this.#callerBy = undefined;
    this.#open.add(responseId);
    this.#spokenWhole = false;
    this.#step();
  }

  #onDone(responseId: string, status: ResponseStatus): void {
    this.#open.delete(responseId);
    const mute = this.#spoken !== responseId;
    // A model may choose to say nothing; one that failed at it still owes its answer.
    if (status === 'failed' && mute && this.#callerBy === undefined) this.#owed = 'answer';
    this.#step();
  }

  #onAudio(responseId: string): void {
    this.#spoken = responseId;
    this.#spokenWhole = false;
    // It may be the rest of what the caller has just cut off.
    if (this.#callerBy === undefined) this.#open.add(responseId);
    this.#dueAt = this.#clock.now();
    this.#from = this.#dueAt;
    if (this.#timer === undefined) this.#arm();
  }

  /** More audio of the response of which the last event brought some. */
  more(now: number): void {
    this.#dueAt = now;
    this.#from = now;
  }

  #onText(role: 'user' | 'assistant', final: boolean): void {
    // What the provider has heard as well is no doubt of ours any more.
    if (role === 'user' && final && this.#owed === 'doubtful') {
      this.#owe('answer');
      return;
    }
    this.#from = Math.min(this.#clock.now(), this.#dueAt + this.#options.limitMs);
  }

  /** Something has changed: the time begins anew, if anything is due. */
  #step(): void {
    this.#dueAt = this.#clock.now();
    this.#from = this.#dueAt;
    this.#timer?.();
    this.#timer = undefined;
    this.#arm();
  }

  #arm(): void {
    if (this.#isDue) this.#lookAfter(this.#from + this.#patienceMs - this.#clock.now());
  }

  #lookAfter(ms: number): void {
    this.#timer = this.#after(Math.max(1, ms), (lateMs) => this.#look(lateMs));
  }

  #after(ms: number, run: (lateMs: number) => void): Cancel {
    const clock = this.#clock;
    const at = clock.now() + ms;
    return clock.after(ms, () => run(clock.now() - at));
  }

  /** For how long nothing is concluded: whoever could not be heard for a while has that time once more, or half of its own. */
  #graceMs(lateMs: number): number {
    return lateMs > HELD_UP_MS ? Math.min(lateMs, this.#options.limitMs / 2) : 0;
  }

  // Audio only moves the time, so that it costs no timer of its own.
  #look(lateMs: number): void {
    this.#timer = undefined;
    if (!this.#isDue) return;
    const now = this.#clock.now();
    const leftMs = Math.max(this.#from + this.#patienceMs - now, this.#graceMs(lateMs));
    if (leftMs > 0) {
      this.#lookAfter(leftMs);
    } else if (this.#options.agentSpeaks()) {
      this.#dueAt = now;
      this.#from = now;
      this.#lookAfter(Math.min(LOOK_AGAIN_MS, this.#patienceMs));
    } else {
      this.#tell(now - this.#dueAt);
    }
  }

  #tell(forMs: number): void {
    this.end();
    this.#options.onStill(Math.round(forMs));
  }

  /** The provider is there. */
  #heardOf(): void {
    if (this.#level === undefined || this.#level.turns === 0) return;
    const { limitMs } = this.#options;
    const clock = this.#clock;
    // It was there all the time, and had a reason not to answer what we took for speech.
    if (clock.now() - this.#firstTurnAt > limitMs / 2) this.#doubt = Math.min(MOST_DOUBT, this.#doubt + 1);
    this.#forgetVoice();
  }

  #onTurn(level: TurnLevel): void {
    if (level.turns === 1) this.#firstTurnAt = this.#clock.now();
    this.#levelTimer?.();
    this.#lookAtLevel(0);
  }

  /** When the turns that only the level speaks for have waited too long for an answer. */
  #levelDueAt(turns: number): number {
    // It has heard the caller begin, and a caller who speaks may think for a while.
    if (this.#callerBy === 'provider') return this.#voiceAt + this.#doubtfulMs(DOUBTFUL_FACTOR);
    if (turns === 1) return this.#voiceAt + this.#doubtfulMs(PATIENT_FACTOR);
    return Math.max(this.#firstTurnAt + this.#doubtfulMs(DOUBTFUL_FACTOR), this.#voiceAt + SETTLED_MS);
  }

  #lookAtLevel(lateMs: number): void {
    this.#levelTimer = undefined;
    const turns = this.#level?.turns ?? 0;
    if (!this.#inUse || turns === 0) return;
    const now = this.#clock.now();
    const leftMs = Math.max(this.#levelDueAt(turns) - now, this.#graceMs(lateMs));
    if (leftMs > 0) {
      this.#levelTimer = this.#after(leftMs, (late) => this.#lookAtLevel(late));
    } else {
      this.#tell(now - this.#firstTurnAt);
    }
  }

  #forgetVoice(): void {
    this.#levelTimer?.();
    this.#levelTimer = undefined;
    this.#level?.forget();
  }

  #forget(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#owed = 'nothing';
    this.#open.clear();
    this.#callerBy = undefined;
    this.#spoken = undefined;
    this.#spokenWhole = false;
    this.#doubt = 0;
    this.#forgetVoice();
  }
}
