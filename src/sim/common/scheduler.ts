import type { Cancel, Clock } from '../../clock.ts';

interface Task {
  readonly dueMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/**
 * One timer for everything that all sessions of a simulator wait for. Deadlines are rounded up to a grain, so that
 * hundreds of sessions that speak at once share their wake-ups.
 */
export class Scheduler {
  readonly #clock: Clock;
  readonly #grainMs: number;
  /** Binary heap, the earliest first; among equals the one that was planned first. */
  readonly #heap: Task[] = [];
  readonly #wake = (): void => this.#runDue();
  #order = 0;
  #armedMs = Number.POSITIVE_INFINITY;
  #disarm: Cancel | undefined;

  constructor(clock: Clock, grainMs = 5) {
    this.#clock = clock;
    this.#grainMs = grainMs;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Milliseconds since 1970 UTC. */
  epoch(): number {
    return this.#clock.epoch();
  }

  /** Runs `run` once, not earlier than `ms` from now and at most one grain later. */
  after(ms: number, run: () => void): Cancel {
    const dueMs = Math.ceil((this.#clock.now() + Math.max(0, ms)) / this.#grainMs) * this.#grainMs;
    const task: Task = { dueMs, order: this.#order++, run };
    this.#push(task);
    this.#arm();
    return () => {
      task.run = undefined;
    };
  }

  /** Forgets everything that is planned. */
  stop(): void {
    this.#heap.length = 0;
    this.#disarm?.();
    this.#disarm = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    this.#dropCancelled();
    const first = this.#heap[0];
    if (first === undefined || first.dueMs >= this.#armedMs) return;
    this.#disarm?.();
    this.#armedMs = first.dueMs;
    // Whole ms upwards: Node cuts fractions off, and a timer that fires early would have to be set again.
    this.#disarm = this.#clock.after(Math.max(0, Math.ceil(first.dueMs - this.#clock.now())), this.#wake);
  }

  #runDue(): void {
    this.#disarm = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= now; first = this.#heap[0]) {
      this.#pop();
      const { run } = first;
      first.run = undefined;
      run?.();
    }
    this.#arm();
  }

  #dropCancelled(): void {
    while (this.#heap[0] !== undefined && this.#heap[0].run === undefined) this.#pop();
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(task);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || !isBefore(task, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const child = smallerChild(heap, at);
      const task = heap[child];
      if (task === undefined || !isBefore(task, last)) break;
      heap[at] = task;
      at = child;
    }
    heap[at] = last;
  }
}

function smallerChild(heap: readonly Task[], at: number): number {
  const left = heap[2 * at + 1];
  const right = heap[2 * at + 2];
  return left !== undefined && right !== undefined && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
}

function isBefore(a: Task, b: Task): boolean {
  return a.dueMs === b.dueMs ? a.order < b.order : a.dueMs < b.dueMs;
}
