/**
 * One delivery as the queue knows it; its body lies on the disk. Waits are counted by the clock that nobody sets: by the
 * other one, a clock that was set back by a day would delay everything by a day.
 */
export interface Job {
  readonly id: string;
  readonly url: string;
  readonly host: string;
  /** Ms since 1970 UTC. */
  readonly createdAt: number;
  /** `Clock.now()` of its last attempt. */
  readonly giveUpAt: number;
  attempts: number;
  /** `Clock.now()` before which it is not tried. */
  dueAt: number;
  /** It waits for something that may still be added to it. */
  held: boolean;
  /** The last attempt failed because the host was not there, which says nothing against the delivery. */
  unreachable: boolean;
  lastFailure: string | null;
  /** There is a file of it. */
  stored: boolean;
  /** Of its body. */
  bytes: number;
  /** What is to be sent, where that is not what the file says. */
  body: string | undefined;
}

/** How an attempt went, as far as others to the same host care. `restMs`: it asks to be left alone so long. */
export type HostNews =
  | { readonly type: 'well' }
  | { readonly type: 'unreachable'; readonly restMs: number }
  | { readonly type: 'failed' }
  | { readonly type: 'nothing' };

interface Host {
  /** By the time at which they are due. */
  waiting: Job[];
  running: number;
  /** Attempts that have failed since the last that went well. */
  failures: number;
  restUntil: number;
}

const AT_ONCE = 4;
const FIRST_REST_MS = 4000;
const LONGEST_REST_MS = 60_000;

/**
 * Which delivery is next. At most 4 run at once; a host that fails gets one at a time, with a rest in between when it
 * is not there at all, so that an outage ends with one request and not with all that have gathered. Once one goes
 * well, those that only found nobody there follow without waiting for their time.
 */
export class OutboxQueue {
  readonly #hosts = new Map<string, Host>();
  #running = 0;

  /** It waits until it is due. */
  push(job: Job): void {
    const host = this.#host(job.host);
    const at = host.waiting.findLastIndex((other) => other.dueAt <= job.dueAt);
    host.waiting.splice(at + 1, 0, job);
  }

  /** An earlier process found nobody at this host: one at a time, until one goes well. */
  doubt(name: string): void {
    const host = this.#host(name);
    host.failures = Math.max(1, host.failures);
  }

  /** Takes a delivery that waits out; false: it does not wait. */
  remove(job: Job): boolean {
    const waiting = this.#hosts.get(job.host)?.waiting ?? [];
    const at = waiting.indexOf(job);
    if (at >= 0) waiting.splice(at, 1);
    return at >= 0;
  }

  /** Everything that waits, in no order. */
  waiting(): Job[] {
    return [...this.#hosts.values()].flatMap((host) => host.waiting);
  }

  /** The one that is to be tried at this `Clock.now()`, which runs from here to `done`; undefined: none. */
  take(now: number): Job | undefined {
    if (this.#running >= AT_ONCE) return undefined;
    let first: Host | undefined;
    for (const host of this.#hosts.values()) {
      const at = startAt(host);
      if (at === undefined || at > now) continue;
      if (first === undefined || dueAt(host) < dueAt(first)) first = host;
    }
    const job = first?.waiting.shift();
    if (first === undefined || job === undefined) return undefined;
    first.running += 1;
    this.#running += 1;
    return job;
  }

  /** When `take` will have one; undefined: not before `done` or `push`. */
  nextAt(): number | undefined {
    if (this.#running >= AT_ONCE) return undefined;
    let next: number | undefined;
    for (const host of this.#hosts.values()) {
      const at = startAt(host);
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  /** An attempt is over. To be told before the delivery is pushed again. */
  done(job: Job, news: HostNews, now: number): void {
    const host = this.#host(job.host);
    host.running -= 1;
    this.#running -= 1;
    switch (news.type) {
      case 'well':
        recover(host, now);
        break;
      case 'unreachable':
        // Those that were under way together have found the same outage.
        if (now >= host.restUntil) host.failures += 1;
        host.restUntil = Math.max(host.restUntil, now + Math.max(news.restMs, restMs(host.failures)));
        break;
      case 'failed':
        host.failures += 1;
        break;
      case 'nothing':
        break;
    }
    if (host.failures === 0 && host.running === 0 && host.waiting.length === 0) this.#hosts.delete(job.host);
  }

  #host(name: string): Host {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const host = { waiting: [], running: 0, failures: 0, restUntil: 0 };
    this.#hosts.set(name, host);
    return host;
  }
}

function recover(host: Host, now: number): void {
  if (host.failures === 0) return;
  host.failures = 0;
  host.restUntil = 0;
  for (const job of host.waiting) if (job.unreachable) job.dueAt = Math.min(job.dueAt, now);
  host.waiting.sort((a, b) => a.dueAt - b.dueAt || a.createdAt - b.createdAt);
}

/** Always shorter than what a single delivery waits by itself. */
function restMs(failures: number): number {
  return Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(failures - 1, 10));
}

function dueAt(host: Host): number {
  return host.waiting[0]?.dueAt ?? Number.POSITIVE_INFINITY;
}

function startAt(host: Host): number | undefined {
  const [first] = host.waiting;
  if (first === undefined || host.running >= (host.failures > 0 ? 1 : AT_ONCE)) return undefined;
  return Math.max(first.dueAt, host.restUntil);
}
