import type { Cancel, Clock } from '../../clock.ts';

/** A response that the bridge wants from the model. */
export interface ResponseRequest {
  /** Fields of `response` in the event; an empty object asks for a plain answer, and plain requests melt into one. */
  readonly fields: Readonly<Record<string, unknown>>;
  /**
   * Items that were added for it. When the server makes a response by itself after it confirmed all of them, that
   * response has seen them and the request is dropped. Undefined: no other response can stand in.
   */
  readonly items: readonly string[] | undefined;
  /** Asked for again when it becomes unwanted before anything of its response came. */
  readonly insist?: boolean;
}

export interface SequencerPorts {
  readonly clock: Clock;
  /** Sends `response.create` and returns the id of that message, which the provider gives back. */
  send(fields: Readonly<Record<string, unknown>>): string;
  warn(code: string, message: string): void;
  /** The caller has spoken for so long that the end of it must have been lost. */
  spokeTooLong(): void;
  /**
   * For `ms` there was no sign of a response that is open or was asked for; it is given up, or asked for once more.
   * `open`: the ones that had begun.
   */
  lost(ms: number, open: readonly string[]): void;
}

/**
 * Why the provider did not start a response: one runs already, it may work again, it will work in the form that it is
 * sent in from now on, or it will never work.
 */
export type Refusal = 'busy' | 'retry' | 'reworded' | 'rejected';

interface Wanted {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly unconfirmed: Set<string> | undefined;
  /** Of every message that asked for it: the answer to one that was given up may come after all. */
  readonly tokens: string[];
  readonly insist: boolean;
  attempts: number;
}

interface Requested {
  token: string;
  readonly wanted: Wanted;
  doomed: boolean;
}

/** A response or a refusal that never comes must not silence the agent for ever. */
const LOST_MS = 10_000;
/** One that has begun may think for long, or wait for a tool of the server's own. */
const SILENT_MS = 30_000;
/** A caller may well talk for long; a stop that was lost must not hold the agent back for the rest of the call. */
const LONGEST_SPEECH_MS = 30_000;
/** After the caller's turn the server makes a response by itself; it comes within a fraction of this. */
const EXPECTED_WITHIN_MS = 3_000;
/** Of these an end that comes late is known as such. */
const MOST_LOST = 64;
const MOST_REFUSALS = 5;
const MOST_RETRIES = 1;
/** When the provider asked for patience. */
const MOST_PATIENT_RETRIES = 2;

function mostRetries(waitMs: number | undefined): number {
  return waitMs === undefined ? MOST_RETRIES : MOST_PATIENT_RETRIES;
}

function isPlain(wanted: Wanted): boolean {
  return Object.keys(wanted.fields).length === 0;
}

/**
 * One rule: never ask for a response while there is one, is about to be one, or the caller speaks. Requests wait in
 * order; responses that the server makes by itself count.
 */
export class ResponseSequencer {
  readonly #ports: SequencerPorts;
  readonly #queue: Wanted[] = [];
  readonly #active = new Map<string, Requested | undefined>();
  /** Given up while they were open; they may end after all. */
  readonly #lost = new Set<string>();
  #requested: Requested | undefined;
  /** The server said that a response is running that we know nothing of. */
  #foreign = false;
  #speaking = false;
  #expecting = false;
  #closed = false;
  #lastSign = 0;
  #lostTimer: Cancel | undefined;
  #holdTimer: Cancel | undefined;
  /** While it runs nothing is asked for. */
  #patienceTimer: Cancel | undefined;

  constructor(ports: SequencerPorts) {
    this.#ports = ports;
  }

  /** Requests that were not sent yet. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** A response exists or was asked for. */
  get busy(): boolean {
    return this.#requested !== undefined || this.#active.size > 0 || this.#foreign;
  }

  /** A request is under way, and no response that an error could be about instead. */
  get awaiting(): boolean {
    return this.#requested !== undefined && this.#active.size === 0 && !this.#foreign;
  }

  request(request: ResponseRequest): void {
    const unconfirmed = request.items && new Set(request.items);
    const insist = request.insist ?? false;
    const wanted: Wanted = { fields: request.fields, unconfirmed, tokens: [], insist, attempts: 0 };
    const queued = isPlain(wanted) ? this.#queue.find(isPlain) : undefined;
    if (queued === undefined) this.#queue.push(wanted);
    else for (const item of wanted.unconfirmed ?? []) queued.unconfirmed?.add(item);
    this.#pump();
  }

  /** The server has put an item of ours into the conversation. */
  confirmed(itemId: string): void {
    for (const wanted of this.#queue) wanted.unconfirmed?.delete(itemId);
  }

  /** True: nobody wants this response any more; cancel it and show nothing of it. */
  created(responseId: string, token: string | undefined): boolean {
    this.#sign();
    this.#foreign = false;
    if (this.#active.has(responseId)) return false;
    const mine = this.#claim(token);
    this.#active.set(responseId, mine);
    if (mine === undefined) this.#madeByServer();
    this.#watch();
    return mine?.doomed === true;
  }

  /** An open response was asked for; the others the server made by itself. */
  isOurs(responseId: string): boolean {
    return this.#active.get(responseId) !== undefined;
  }

  /** Another response took the place of this one, whose end did not come. */
  superseded(responseId: string): void {
    if (this.#active.delete(responseId)) this.#lose(responseId);
  }

  /** An event of a response that is not done: it lives, also when it had been given up as lost. */
  alive(responseId: string): void {
    this.#sign();
    if (this.#active.has(responseId)) return;
    this.#active.set(responseId, undefined);
    this.#watch();
  }

  /**
   * True when the same response will be asked for again, after `waitMs`; to be called before `done`, at most once a
   * response.
   */
  retry(responseId: string, waitMs?: number): boolean {
    const mine = this.#active.get(responseId);
    const wanted: Wanted = mine?.wanted ?? {
      fields: {},
      unconfirmed: undefined,
      tokens: [],
      insist: false,
      attempts: 0,
    };
    if (mine?.doomed || wanted.attempts >= mostRetries(waitMs)) return false;
    wanted.attempts += 1;
    this.#queue.unshift(wanted);
    this.#wait(waitMs);
    return true;
  }

  done(responseId: string, token: string | undefined): void {
    this.#sign();
    this.#foreign = false;
    const lost = this.#lost.delete(responseId);
    // A response may end that was never announced; it still answers the request, unless it is one of old.
    if (!this.#active.delete(responseId) && !lost) this.#claim(token);
    this.#pump();
  }

  /** The provider did not take a `response.create`; without a token it means the one that is under way. */
  refused(token: string | undefined, why: Refusal, waitMs?: number): void {
    const mine = this.#take(token);
    if (mine !== undefined && !mine.doomed) this.#again(mine.wanted, why, waitMs);
    if (why === 'busy' && this.#active.size === 0) {
      this.#foreign = true;
      this.#sign();
      this.#watch();
    }
    this.#pump();
  }

  /**
   * What waits to be said is unwanted, and so is the request under way; its response is refused when it shows up. True
   * when there was one.
   */
  doom(): boolean {
    // What waits to be said is out of date, too, unless it has to be said in any case.
    for (let i = this.#queue.length - 1; i >= 0; i -= 1) {
      const wanted = this.#queue[i];
      if (wanted !== undefined && !isPlain(wanted) && !wanted.insist) this.#queue.splice(i, 1);
    }
    if (this.#requested === undefined) return false;
    if (!this.#requested.doomed) this.#insist(this.#requested.wanted);
    this.#requested.doomed = true;
    return true;
  }

  /** An open response was cut off before anything of it came. */
  unheard(responseId: string): void {
    const mine = this.#active.get(responseId);
    if (mine !== undefined && !mine.doomed) this.#insist(mine.wanted);
  }

  #insist(wanted: Wanted): void {
    // Another request, so that an answer to the first one is still known as unwanted.
    if (wanted.insist) this.#queue.unshift({ ...wanted, tokens: [], attempts: 0 });
  }

  speechStarted(): void {
    this.#speaking = true;
    this.#expecting = false;
    this.#hold(LONGEST_SPEECH_MS);
  }

  /** `answered`: the server makes a response of its own for this turn. */
  speechStopped(answered: boolean): void {
    this.#speaking = false;
    this.#expecting = answered;
    if (answered) this.#hold(EXPECTED_WITHIN_MS);
    else this.#release();
  }

  /** Nothing is sent any more and no timer is left. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#lostTimer?.();
    this.#holdTimer?.();
    this.#patienceTimer?.();
  }

  /** The request that a response belongs to. Servers that do not echo metadata make this a guess. */
  #claim(token: string | undefined): Requested | undefined {
    const requested = this.#requested;
    if (requested === undefined) return undefined;
    const mine = token === undefined ? !this.#expecting : requested.wanted.tokens.includes(token);
    if (!mine) return undefined;
    this.#requested = undefined;
    if (token !== undefined) requested.token = token;
    return requested;
  }

  #take(token: string | undefined): Requested | undefined {
    const requested = this.#requested;
    if (requested !== undefined && (token === undefined || token === requested.token)) {
      this.#requested = undefined;
      return requested;
    }
    // The guess was wrong: what looked like the answer was a response of the server's own.
    for (const [id, mine] of this.#active) {
      if (mine === undefined || mine.token !== token) continue;
      this.#active.set(id, undefined);
      return mine;
    }
    return undefined;
  }

  #lose(responseId: string): void {
    this.#lost.add(responseId);
    for (const old of this.#lost) {
      if (this.#lost.size <= MOST_LOST) break;
      this.#lost.delete(old);
    }
  }

  #sign(): void {
    this.#lastSign = this.#ports.clock.now();
  }

  #again(wanted: Wanted, why: Refusal, waitMs: number | undefined): void {
    if (why === 'rejected') return;
    if (why === 'reworded') {
      this.#queue.unshift(wanted);
      return;
    }
    wanted.attempts += 1;
    if (wanted.attempts > (why === 'busy' ? MOST_REFUSALS : mostRetries(waitMs))) {
      this.#ports.warn('response_given_up', `a response was refused ${wanted.attempts} times`);
      return;
    }
    this.#queue.unshift(wanted);
    this.#wait(waitMs);
  }

  #wait(ms: number | undefined): void {
    if (ms === undefined || this.#closed) return;
    this.#patienceTimer?.();
    this.#patienceTimer = this.#ports.clock.after(ms, () => {
      this.#patienceTimer = undefined;
      this.#pump();
    });
  }

  #madeByServer(): void {
    this.#expecting = false;
    if (!this.#speaking) this.#holdTimer?.();
    for (let i = this.#queue.length - 1; i >= 0; i -= 1) {
      if (this.#queue[i]?.unconfirmed?.size === 0) this.#queue.splice(i, 1);
    }
  }

  #pump(): void {
    if (this.#closed || this.busy || this.#speaking || this.#expecting) return;
    if (this.#patienceTimer !== undefined) return;
    const wanted = this.#queue.shift();
    if (wanted === undefined) return;
    this.#sign();
    const token = this.#ports.send(wanted.fields);
    wanted.tokens.push(token);
    this.#requested = { token, wanted, doomed: false };
    this.#watch();
  }

  #hold(ms: number): void {
    this.#holdTimer?.();
    this.#holdTimer = this.#ports.clock.after(ms, () => {
      if (this.#speaking) this.#ports.spokeTooLong();
      this.#release();
    });
  }

  #release(): void {
    this.#holdTimer?.();
    this.#holdTimer = undefined;
    this.#speaking = false;
    this.#expecting = false;
    this.#pump();
  }

  // One timer that looks at the time of the last sign, so that a delta costs one number and no timer.
  #watch(ms = LOST_MS): void {
    if (this.#closed || this.#lostTimer !== undefined) return;
    this.#lostTimer = this.#ports.clock.after(ms, () => {
      this.#lostTimer = undefined;
      if (this.busy) this.#look();
    });
  }

  #look(): void {
    const limit = this.#active.size > 0 ? SILENT_MS : LOST_MS;
    const left = this.#lastSign + limit - this.#ports.clock.now();
    if (left > 0) {
      // A request may come meanwhile, which is waited for less long.
      this.#watch(Math.min(left, LOST_MS));
      return;
    }
    const requested = this.#requested;
    this.#requested = undefined;
    this.#foreign = false;
    const open = [...this.#active.keys()];
    this.#active.clear();
    for (const id of open) this.#lose(id);
    if (requested !== undefined && !requested.doomed && requested.wanted.attempts === 0) {
      requested.wanted.attempts += 1;
      this.#queue.unshift(requested.wanted);
    }
    this.#ports.lost(limit, open);
    this.#pump();
  }
}
