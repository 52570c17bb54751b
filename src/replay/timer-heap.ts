/** A timer of a replay. */
export interface Timer {
  readonly at: number;
  /** Of two at the same time the one with the lower number is the first. */
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** Timers by their times; those that were cancelled are left out. */
export class TimerHeap {
  readonly #heap: Timer[] = [];

  /** The next one; undefined: there is none. */
  get first(): Timer | undefined {
    while (this.#heap[0]?.cancelled === true) this.#pop();
    return this.#heap[0];
  }

  /** Takes the next one away. */
  take(): Timer | undefined {
    return this.first === undefined ? undefined : this.#pop();
  }

  push(timer: Timer): void {
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
