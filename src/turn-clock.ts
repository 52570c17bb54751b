import type { CallEventBody } from './call-events.ts';
import type { Clock } from './clock.ts';
import type { PlayoutLeg } from './playout-options.ts';
import type { ProviderEvent } from './provider.ts';

export interface TurnClockOptions {
  readonly clock: Clock;
  /** Ms since the call began. */
  atMs(): number;
  /** When the bridge itself heard the caller's voice last, of the clock; undefined: it does not listen, or has heard none. */
  voiceAt(): number | undefined;
  /** Who holds the call, or had it last. */
  provider(): string;
  /** Something that the agent said is still to be heard. */
  agentSpeaks(): boolean;
  /** Responses that have begun and are not done. */
  openResponses(): Iterable<string>;
  emit(event: CallEventBody): void;
}

/** An answer that is due or under way; all times of the clock. */
interface OpenTurn {
  readonly endAt: number;
  readonly openedAt: number;
  readonly heardBy: 'bridge' | 'provider';
  /** Responses that are older, and so no answer. */
  readonly older: readonly string[];
  committedAt: number | undefined;
  deltaAt: number | undefined;
  frameAt: number | undefined;
  markAt: number | undefined;
  provider: string | undefined;
  functions: number;
}

/** A provider says that the caller speaks when they have spoken for a while: our own ear may have heard it before. */
const NOTICED_MS = 2000;
/** What follows the end of a speech within this is its echo, or a breath. */
const SAME_MS = 100;

/**
 * How long the caller waits for each answer, and for what: from the end of their speech until the provider takes the turn
 * as over, its first speech comes, the first of that is handed to the carrier, and the carrier says that it plays. Tells
 * of every turn once, when its answer has been heard or cut off, or will not come any more.
 */
export class TurnClock {
  readonly #options: TurnClockOptions;
  #speaksSince: number | undefined;
  #turn: OpenTurn | undefined;
  /** Its echo says that the carrier has come as far as the answer. */
  #mark: string | undefined;

  constructor(options: TurnClockOptions) {
    this.#options = options;
  }

  /** The leg that the agent's speech is played on, looked at. */
  watch(leg: PlayoutLeg): PlayoutLeg {
    return new WatchedLeg(this, leg);
  }

  /** The caller has begun to speak, whoever has heard it. */
  callerSpeaks(): void {
    this.#speaksSince ??= this.#now;
  }

  /** The caller has stopped to speak, as the bridge or the provider has heard. */
  callerStopped(): void {
    if (this.#speaksSince === undefined) return;
    this.#open();
    this.#speaksSince = undefined;
  }

  /** Everything that the provider says, before it has any effect. */
  on(event: ProviderEvent): void {
    if (event.type === 'speechStopped') this.#committed();
    // Who answers takes the turn as over, told or not.
    else if (event.type === 'responseStarted' && !event.asked) this.callerStopped();
    else if (event.type === 'toolCall') this.#called();
  }

  /** Speech of the agent has come that the caller is to hear; none of it has been sent. */
  spoken(responseId: string): void {
    const turn = this.#turn;
    if (turn === undefined || turn.deltaAt !== undefined || turn.older.includes(responseId)) return;
    turn.deltaAt = this.#now;
    turn.provider = this.#options.provider();
  }

  /** Audio was handed to the carrier. */
  played(): void {
    const turn = this.#turn;
    if (turn?.deltaAt !== undefined) turn.frameAt ??= this.#now;
  }

  /** A mark was handed to the carrier, in front of what is played next. */
  marked(name: string): void {
    const turn = this.#turn;
    if (turn?.deltaAt !== undefined && turn.markAt === undefined) this.#mark ??= name;
  }

  /** The carrier returned a mark. */
  acknowledged(name: string): void {
    if (name !== this.#mark || this.#turn === undefined) return;
    this.#turn.markAt ??= this.#now;
    this.#mark = undefined;
  }

  /** The caller has heard all that the agent has said. */
  drained(): void {
    if (this.#turn?.frameAt !== undefined) this.#finish(false);
  }

  /** The caller has waited so long that they are asked whether they are there: what follows is no answer. */
  prompted(): void {
    if (this.#turn?.deltaAt === undefined) this.#finish(false);
  }

  /** The agent was cut off, or the line is gone. */
  cut(): void {
    if (this.#turn?.deltaAt !== undefined) this.#finish(true);
  }

  /** The conversation is over. */
  close(): void {
    this.#finish(this.#speaksSince !== undefined || this.#options.agentSpeaks());
    this.#speaksSince = undefined;
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  #committed(): void {
    if (this.#speaksSince !== undefined) this.#open();
    const turn = this.#turn;
    if (turn !== undefined && turn.deltaAt === undefined) turn.committedAt ??= this.#now;
  }

  #called(): void {
    if (this.#turn !== undefined && this.#turn.deltaAt === undefined) this.#turn.functions += 1;
  }

  #open(): void {
    const { voiceAt: heardAt, openResponses } = this.#options;
    const now = this.#now;
    const voiceAt = heardAt();
    if (this.#isSameSpeech(voiceAt)) return;
    // The caller has spoken on before there was an answer; one that was begun is heard to its end beside it.
    this.#finish(this.#turn?.deltaAt === undefined);
    // What was heard long before was something else.
    const known = voiceAt !== undefined && voiceAt >= (this.#speaksSince ?? now) - NOTICED_MS;
    this.#turn = {
      endAt: known ? Math.min(voiceAt, now) : now,
      openedAt: now,
      heardBy: known ? 'bridge' : 'provider',
      older: [...openResponses()],
      committedAt: undefined,
      deltaAt: undefined,
      frameAt: undefined,
      markAt: undefined,
      provider: undefined,
      functions: 0,
    };
  }

  /** Both ears tell of the end of one speech; and a provider that takes over is sent it once more, and tells it anew. */
  #isSameSpeech(voiceAt: number | undefined): boolean {
    const turn = this.#turn;
    if (turn === undefined || turn.deltaAt !== undefined) return false;
    if (voiceAt !== undefined) return voiceAt <= turn.endAt + SAME_MS;
    return this.#speaksSince === undefined || this.#speaksSince <= turn.openedAt;
  }

  #finish(interrupted: boolean): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    this.#turn = undefined;
    this.#mark = undefined;
    // What only the bridge has heard, and nobody has taken for a turn, was a cough.
    if (turn.committedAt === undefined && turn.deltaAt === undefined) return;
    const { endAt, heardBy, functions } = turn;
    const since = (at: number | undefined): number | undefined =>
      at === undefined ? undefined : wholeMicroseconds(at - endAt);
    this.#options.emit({
      type: 'turn',
      provider: turn.provider ?? this.#options.provider(),
      speechEndMs: wholeMicroseconds(this.#options.atMs() - (this.#now - endAt)),
      heardBy,
      commitMs: since(turn.committedAt),
      firstDeltaMs: since(turn.deltaAt),
      firstFrameMs: since(turn.frameAt),
      firstMarkMs: since(turn.markAt),
      functions,
      interrupted,
    });
  }
}

function wholeMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

class WatchedLeg implements PlayoutLeg {
  readonly output: PlayoutLeg['output'];
  readonly #turns: TurnClock;
  readonly #leg: PlayoutLeg;

  constructor(turns: TurnClock, leg: PlayoutLeg) {
    this.output = leg.output;
    this.#turns = turns;
    this.#leg = leg;
  }

  get roundTripMs(): number {
    return this.#leg.roundTripMs;
  }

  play(bytes: Uint8Array): void {
    this.#leg.play(bytes);
    this.#turns.played();
  }

  mark(name: string): void {
    this.#leg.mark(name);
    this.#turns.marked(name);
  }

  clear(): void {
    this.#leg.clear();
  }
}
