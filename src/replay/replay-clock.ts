import type { Cancel, Clock } from '../clock.ts';
import { type Timer, TimerHeap } from './timer-heap.ts';

/** A timer that is later than this was held up by a busy machine. */
const LATE_MS = 20;

/** As exact as the times of a recording. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/**
 * The time of a replay, in ms since the call's first webhook: it moves when the replay says so. Timers run in the order in
 * which they are due, and of two that are due at once the older one first.
 *
 * In a recording from life timers ran late, and some so late that they were given up before. Those of the call that it tells
 * of (`dues`, with repetitions) do not run by themselves but when the replay comes to the line that says so; others of the call,
 * of which it would tell, run late, and not before what came in meanwhile has had its say. Those of the service, and all in a
 * fixture, which tells of none, run when they are due.
 */
export class ReplayClock implements Clock {
  readonly #epochMs: number;
  #now = 0;
  #order = 0;
  readonly #timers = new TimerHeap();
  /** Timers of the call that the recording does not tell of. */
  readonly #patient = new TimerHeap();
  #hasLastCome = false;
  /** How often a timer of this due time is still to be told of. */
  readonly #told = new Map<number, number>();
  readonly #held = new Map<number, Timer[]>();

  constructor(epochMs: number, dues: Iterable<number> = []) {
    this.#epochMs = epochMs;
    for (const due of dues) this.#told.set(due, (this.#told.get(due) ?? 0) + 1);
  }

  /** Whether the recording tells of timers. */
  get isFromLife(): boolean {
    return this.#told.size > 0;
  }

  now(): number {
    return this.#now;
  }

  epoch(): number {
    return this.#epochMs + Math.floor(this.#now);
  }

  /** The same time for the call itself, whose timers a recording tells of. */
  readonly ofCall: Clock = {
    now: () => this.#now,
    epoch: () => this.epoch(),
    after: (ms, run) => (this.#isPatient ? this.#afterAsTold(ms, run) : this.after(ms, run)),
    afterNetwork: (run) => this.ofCall.after(0, run),
  };

  after(ms: number, run: () => void): Cancel {
    const timer = this.#timer(this.#dueIn(ms), run);
    this.#timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  get #isPatient(): boolean {
    return this.isFromLife && !this.#hasLastCome;
  }

  /** When the recording says so, or else late. */
  #afterAsTold(ms: number, run: () => void): Cancel {
    const due = this.#dueIn(ms);
    const timer = this.#timer(due + LATE_MS, run);
    const held = this.#held.get(due);
    if ((held?.length ?? 0) < (this.#told.get(due) ?? 0)) {
      if (held === undefined) this.#held.set(due, [timer]);
      else held.push(timer);
    } else this.#patient.push(timer);
    return () => {
      if (timer.cancelled) return;
      timer.cancelled = true;
      this.#release(due, timer);
    };
  }

  #timer(at: number, run: () => void): Timer {
    this.#order += 1;
    return { at, order: this.#order, run, cancelled: false };
  }

  /** There is no network, and no other turn for it to have. */
  afterNetwork(run: () => void): Cancel {
    return this.after(0, run);
  }

  /** Runs `run` at a time of the call, whatever the recording tells of timers. */
  at(ms: number, run: () => void): void {
    this.#timers.push(this.#timer(Math.max(ms, this.#now), run));
  }

  /** When the next timer runs by itself; Infinity: none does. */
  get nextAt(): number {
    return this.#timers.first?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Runs the next timer, at its time. */
  runNext(): void {
    this.#run(this.#timers.take());
  }

  /** Whether a timer of the call is late that the recording does not tell of. */
  get isLate(): boolean {
    return (this.#patient.first?.at ?? Number.POSITIVE_INFINITY) <= this.#now;
  }

  /** Runs the one that is late the longest, now. */
  runLate(): void {
    this.#run(this.#patient.take());
  }

  /** Nothing more comes in: timers that were patient run by themselves. */
  lastHasCome(): void {
    this.#hasLastCome = true;
    for (let timer = this.#patient.take(); timer !== undefined; timer = this.#patient.take()) {
      this.#timers.push(timer);
    }
  }

  /** Runs the timer that the recording tells of; false when there is none. */
  runTold(due: number): boolean {
    const left = (this.#told.get(due) ?? 1) - 1;
    this.#told.set(due, left);
    const timer = this.#held.get(due)?.shift();
    if (timer === undefined) return false;
    timer.cancelled = true;
    timer.run();
    return true;
  }

  /** Nothing is told any more: timers run when they are due. */
  letGo(): void {
    this.#told.clear();
    for (const timers of this.#held.values()) for (const timer of timers) this.#timers.push(timer);
    this.lastHasCome();
    this.#held.clear();
  }

  /** Time passes; it never goes back. */
  moveTo(ms: number): void {
    this.#now = Math.max(this.#now, ms);
  }

  /** No wait is shorter than what can be told: who waits for less than that would wait for ever. */
  #dueIn(ms: number): number {
    const due = rounded(this.#now + Math.max(0, ms));
    return ms > 0 && due <= this.#now ? rounded(this.#now + 0.001) : due;
  }

  #release(due: number, timer: Timer): void {
    const held = this.#held.get(due);
    const index = held?.indexOf(timer) ?? -1;
    if (index >= 0) held?.splice(index, 1);
  }

  #run(timer: Timer | undefined): void {
    if (timer === undefined) return;
    timer.cancelled = true;
    this.moveTo(timer.at);
    timer.run();
  }
}
