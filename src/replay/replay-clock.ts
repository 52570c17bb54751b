import type { Cancel, Clock } from '../clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

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
 * In a recording from life timers ran late, and some so late that they were given up before. Those that it tells of (`dues`,
 * with repetitions) do not run by themselves but when the replay comes to the line that says so; all others run as late as
 * timers may be. In a fixture, which tells of none, they run when they are due.
 */
export class ReplayClock implements Clock {
  readonly #epochMs: number;
  #now = 0;
  #order = 0;
  #lateMs = 0;
  /** A binary heap, the next one first. */
  readonly #heap: Timer[] = [];
  /** How often a timer of this due time is still to be told of. */
  readonly #told = new Map<number, number>();
  readonly #held = new Map<number, Timer[]>();

  constructor(epochMs: number, dues: Iterable<number> = []) {
    this.#epochMs = epochMs;
    for (const due of dues) {
      this.#told.set(due, (this.#told.get(due) ?? 0) + 1);
      this.#lateMs = LATE_MS;
    }
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

  after(ms: number, run: () => void): Cancel {
    this.#order += 1;
    const due = this.#dueIn(ms);
    const timer: Timer = { at: due + this.#lateMs, order: this.#order, run, cancelled: false };
    const held = this.#held.get(due);
    if ((held?.length ?? 0) < (this.#told.get(due) ?? 0)) {
      if (held === undefined) this.#held.set(due, [timer]);
      else held.push(timer);
    } else this.#push(timer);
    return () => {
      if (timer.cancelled) return;
      timer.cancelled = true;
      this.#release(due, timer);
    };
  }

  /** There is no network, and no other turn for it to have. */
  afterNetwork(run: () => void): Cancel {
    return this.after(0, run);
  }

  /** Runs `run` at a time of the call, whatever the recording tells of timers. */
  at(ms: number, run: () => void): void {
    this.#order += 1;
    this.#push({ at: Math.max(ms, this.#now), order: this.#order, run, cancelled: false });
  }

  /** When the next timer runs by itself; Infinity: none does. */
  get nextAt(): number {
    this.#dropCancelled();
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Runs the next timer, at its time. */
  runNext(): void {
    this.#dropCancelled();
    const timer = this.#pop();
    if (timer === undefined) return;
    timer.cancelled = true;
    this.moveTo(timer.at);
    timer.run();
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
    this.#lateMs = 0;
    for (const timers of this.#held.values()) for (const timer of timers) this.#push(timer);
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

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) this.#pop();
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(timer, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
    return first;
  }

  /** Puts `timer` in the place of the first one and lets it sink to where it belongs. */
  #sink(timer: Timer): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let child = heap[left];
      if (child === undefined) break;
      let at = left;
      const other = heap[right];
      if (other !== undefined && isBefore(other, child)) {
        child = other;
        at = right;
      }
      if (!isBefore(child, timer)) break;
      heap[index] = child;
      index = at;
    }
    heap[index] = timer;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
