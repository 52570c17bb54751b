import type { Cancel, Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { ProviderEvent, ToolResult, Usage } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import { codeWord, MOST_ARGUMENTS, MOST_CALLS, MOST_CALLS_AT_ONCE, ModelNames } from '../common/limits.ts';
import type { Scrub } from '../common/network.ts';
import { toolOutput } from '../common/told.ts';
import type { Asks } from './asks.ts';
import { report } from './errors.ts';
import { pastCall } from './texts.ts';
import type { BackendEvent, WireCall } from './wire.ts';

/** How a text is told to the voice: to be said, or to be known. */
export type Telling = 'commentary' | 'thinking';

interface FunctionsOptions {
  readonly clock: Clock;
  readonly asks: Asks;
  readonly scrub: Scrub;
  /** Of the model behind the voice, as the session has it and as it was asked for. */
  readonly model: string | undefined;
  readonly askedModel: string;
  /** What the application does for a voice that hands its work to it. */
  readonly clientFunction: string | undefined;
  /** What the caller has said since this was last asked. */
  takeRequest(): string;
  /** Returns the event id. */
  send(topic: 'output' | 'create', message: Fields): string;
  tell(kind: Telling, text: string, delegationId: string | null): void;
  emit(event: ProviderEvent): void;
  /** More of something has come than is kept of it; what, in words. */
  excess(what: string): void;
}

interface Run {
  readonly responseId: string;
  readonly calls: WireCall[];
  /** Characters of the arguments of its calls. */
  argumentsLength: number;
  /** When the last event of it came. */
  lastSign: number;
  /** It was silent for too long and is not waited for; it may go on after all. */
  lost: boolean;
}

/** A run whose end never comes must not silence the agent for ever. */
const SILENT_MS = 30_000;
/** Runs at a time; real ones are one or two. */
const MOST_RUNS = 32;

/**
 * The functions of a session: the voice has none, it hands work to a backend, which calls them. The backend goes on when
 * everything that it has called in the session is answered, not before (livekit/agents-js#2495).
 */
export class Functions {
  readonly #options: FunctionsOptions;
  /** What the backend is at, by delegation. */
  readonly #runs = new Map<string, Run>();
  /** Calls that wait for their result. */
  readonly #open = new Set<string>();
  readonly #known = new Set<string>();
  /** Delegations of the application that wait for their result, by the id of the call that stands for them. */
  readonly #delegations = new Map<string, string>();
  readonly #models = new ModelNames();
  /** The backend was told something that it is to speak of. */
  #wanted = false;
  #answers = 0;
  #closed = false;
  #timer: Cancel | undefined;

  constructor(options: FunctionsOptions) {
    this.#options = options;
  }

  /** The voice hands work on. */
  delegated(id: string, target: string | undefined): void {
    // What the backend does comes in events of its own.
    if (target !== 'client' || !this.#isNew(id)) return;
    const { clientFunction, takeRequest, emit, tell } = this.#options;
    if (clientFunction === undefined) {
      emit({ type: 'warning', code: 'delegation', message: 'the model hands work on that nobody here does' });
      tell('commentary', 'Nobody can do this now.', id);
      return;
    }
    this.#delegations.set(id, id);
    const args = JSON.stringify({ request: takeRequest() });
    emit({ type: 'toolCall', responseId: id, callId: id, name: clientFunction, args });
  }

  handle(event: BackendEvent): void {
    switch (event.type) {
      case 'runStarted':
        this.#start(event.run, event.responseId);
        break;
      case 'called':
        this.#write(this.#runOf(event.run), event.call);
        break;
      case 'progress':
        this.#sign(this.#runs.get(event.run));
        break;
      case 'runEnded':
        this.#ended(event);
        break;
    }
  }

  /** What a function gave. */
  result(callId: string, result: ToolResult): void {
    const { respond, call } = result;
    const output = toolOutput(result.output, result.isError);
    const delegationId = this.#delegations.get(callId);
    if (delegationId !== undefined) {
      this.#delegations.delete(callId);
      this.#options.tell(respond ? 'commentary' : 'thinking', output, delegationId);
    } else if (this.#open.delete(callId)) {
      this.#answers += 1;
      const item = { type: 'function_call_output', call_id: callId, output };
      this.#options.send('output', { type: 'response.item.create', item });
      this.#wanted ||= respond;
      this.#goOn();
    } else if (this.#known.has(callId)) {
      const message = `call ${codeWord(callId, '?')} has a result already`;
      this.#options.emit({ type: 'warning', code: 'tool_answered_twice', message });
    } else {
      this.#isNew(callId);
      const { name, args } = call ?? { name: callId, args: '{}' };
      this.#options.tell(respond ? 'commentary' : 'thinking', pastCall(name, args, output), null);
    }
  }

  /** No timer is left. */
  close(): void {
    this.#closed = true;
    this.#timer?.();
  }

  #start(name: string, responseId = `${name}_run`): Run {
    const lastSign = this.#options.clock.now();
    const run: Run = { responseId, calls: [], argumentsLength: 0, lastSign, lost: false };
    this.#runs.set(name, run);
    for (const old of this.#runs.keys()) {
      if (this.#runs.size <= MOST_RUNS) break;
      this.#runs.delete(old);
      this.#options.excess(`work than ${MOST_RUNS} tasks at a time`);
    }
    this.#watch(SILENT_MS);
    return run;
  }

  #runOf(name: string): Run {
    const known = this.#runs.get(name);
    this.#sign(known);
    return known ?? this.#start(name);
  }

  #sign(run: Run | undefined): void {
    if (run === undefined) return;
    run.lastSign = this.#options.clock.now();
    if (!run.lost) return;
    run.lost = false;
    this.#watch(SILENT_MS);
  }

  #write(run: Run, call: WireCall): void {
    run.argumentsLength += call.args.length;
    if (run.calls.length < MOST_CALLS_AT_ONCE && run.argumentsLength <= MOST_ARGUMENTS) run.calls.push(call);
    else this.#options.excess('function calls at once than are kept');
  }

  // One timer that looks at the time of the last sign, so that an event costs one number and no timer.
  #watch(ms: number): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const now = this.#options.clock.now();
    let next = Number.POSITIVE_INFINITY;
    let lost = 0;
    for (const run of this.#runs.values()) {
      if (run.lost) continue;
      const leftMs = run.lastSign + SILENT_MS - now;
      if (leftMs > 0) {
        next = Math.min(next, leftMs);
      } else {
        run.lost = true;
        lost += 1;
      }
    }
    if (Number.isFinite(next)) this.#watch(next);
    if (lost > 0) this.#onLost();
  }

  // What it was asked may be asked again, and whoever waits to go on does not wait for it any more.
  #onLost(): void {
    const { asks, emit } = this.#options;
    asks.refused(undefined);
    const message = `no sign of the model behind the voice for ${SILENT_MS} ms`;
    emit({ type: 'warning', code: 'response_lost', message });
    this.#goOn();
  }

  /** Not told before, and there is room for it: of what was settled longest ago nothing is known any more. */
  #isNew(id: string): boolean {
    if (this.#known.has(id)) return false;
    if (this.#known.size >= MOST_CALLS && !this.#forgetOne()) {
      this.#options.excess('function calls than can wait for a result');
      return false;
    }
    this.#known.add(id);
    return true;
  }

  #forgetOne(): boolean {
    for (const id of this.#known) {
      if (!this.#open.has(id) && !this.#delegations.has(id)) return this.#known.delete(id);
    }
    return false;
  }

  #ended({ run: name, status, error, usage, model }: Extract<BackendEvent, { type: 'runEnded' }>): void {
    const run = this.#runOf(name);
    this.#runs.delete(name);
    const { emit, asks, scrub } = this.#options;
    if (usage !== undefined) this.#charge(usage, model);
    if (status === 'completed') {
      this.#call(run);
      // What it has to say is told to the voice now.
      if (run.calls.length === 0 && this.#answers > 0) asks.known();
    } else {
      asks.refused(undefined);
      const code = report(error?.code, error?.kind).code;
      const words = `the model behind the voice gave no answer (${status}): ${scrub(error?.message ?? 'no reason given')}`;
      emit({ type: 'error', error: new BridgeError(code, words), fatal: false });
    }
    this.#goOn();
  }

  #charge(usage: Usage, model: string | undefined): void {
    const { emit, model: ofSession, askedModel } = this.#options;
    emit({ type: 'usage', usage, model: this.#models.take(model ?? ofSession, askedModel) });
  }

  #call({ responseId, calls }: Run): void {
    const fresh: WireCall[] = [];
    // All of them are open before the first result comes: those who answer at once must not be gone on without.
    for (const call of calls) {
      if (!this.#isNew(call.callId)) continue;
      this.#open.add(call.callId);
      fresh.push(call);
    }
    for (const call of fresh) this.#options.emit({ type: 'toolCall', responseId, ...call });
  }

  #isAtWork(): boolean {
    for (const run of this.#runs.values()) if (!run.lost) return true;
    return false;
  }

  #goOn(): void {
    if (this.#closed || !this.#wanted || this.#open.size > 0 || this.#isAtWork()) return;
    this.#wanted = false;
    this.#options.asks.add([]);
    this.#options.send('create', { type: 'response.create' });
  }
}
