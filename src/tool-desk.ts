import { isDeepStrictEqual } from 'node:util';
import type { Clip, FillerPolicy } from './agents.ts';
import type { CallEventBody } from './call-events.ts';
import type { Clock } from './clock.ts';
import type { Downlink } from './downlink.ts';
import { BridgeError } from './errors.ts';
import { Filler } from './filler.ts';
import type { Log } from './log.ts';
import type { ProviderEvent, ProviderSession } from './provider.ts';
import type { ToolRun, ToolRunner } from './tool-runner.ts';
import { traceOf } from './tools/failure-trace.ts';
import type { Transcript } from './transcript.ts';

type ToolCall = Extract<ProviderEvent, { type: 'toolCall' }>;

export interface ToolDeskOptions {
  readonly runner: ToolRunner;
  readonly filler: FillerPolicy | undefined;
  readonly clock: Clock;
  readonly downlink: Downlink;
  readonly transcript: Transcript;
  readonly log: Log;
  emit(event: CallEventBody): void;
  /** What the provider is at work on. */
  openResponses(): ReadonlySet<string>;
  /** What the agent says is cut off. */
  cut(): void;
  /** What was said before this function call was the goodbye. */
  onGoodbyeSaid(): void;
  /** It was told. */
  onTold(): void;
  /** Nobody is there to whom it could be told, and the caller is to hear of it. */
  onUntold(): void;
  /** Nobody is there for whom the agent could speak: somebody else talks with the caller, or a machine listens. */
  mayRespond(): boolean;
  onFailed(thrown: unknown): void;
}

interface Answer {
  readonly call: ToolCall;
  readonly run: ToolRun;
  readonly respond: boolean;
}

/** Ids of calls that may be delivered again: again comes soon or never. */
const MAX_KNOWN = 256;

/**
 * The function calls of a conversation on their way from the model to the runner, and their results on the way back:
 * each is told once, to the provider that is there when it comes, or to the next one.
 */
export class ToolDesk {
  /** What the caller hears meanwhile. */
  readonly filler: Filler;
  readonly #options: ToolDeskOptions;
  #provider: ProviderSession | undefined;
  /** For what is out of date when the provider is another one. */
  #momentary: ProviderSession | undefined;
  /** Results that nobody was there to be told. */
  #untold: Answer[] = [];
  /** How long the caller of each function that runs is to hear nothing, in ms; 0: for ever. */
  readonly #running = new Map<ToolCall, number>();
  /** Of these, the ones that a provider has called which is gone, and as what the next one has called them again. */
  #orphans = new Set<ToolCall>();
  readonly #adopted = new Map<ToolCall, ToolCall>();
  /** The newest calls, by response and id. */
  readonly #known = new Set<string>();
  /** A result was told that the model is to speak of, and it has not begun. */
  #awaited = false;
  #closed = false;

  constructor(options: ToolDeskOptions) {
    this.#options = options;
    const { clock, downlink, filler: policy, openResponses, cut } = options;
    this.filler = new Filler({
      clock,
      policy,
      say: (text) => this.#momentary?.say(text),
      play: (clip) => this.#play(clip),
      stopClip: () => downlink.stopClip(),
      isUnderWay: (responseId) => openResponses().has(responseId) || downlink.isLast(responseId),
      hasOther: (responseId) => [...openResponses()].some((id) => id !== responseId),
      cut,
    });
  }

  /** The least of the times after which a caller who waits is to hear something, 0: never; undefined: no function runs. */
  get working(): number | undefined {
    if (this.#running.size === 0) return undefined;
    // Whoever is about to hear an answer needs no filler, and what is asked for now comes after it.
    if (this.#awaited) return 0;
    const times = [...this.#running.values()].filter((ms) => ms > 0);
    return times.length === 0 ? 0 : Math.min(...times);
  }

  /** The functions that run, as the model has called them. */
  get underWay(): readonly ToolCall[] {
    return [...this.#running.keys()];
  }

  /**
   * The provider of the conversation is ready, or there is another one; undefined: there is none for a while. Returns
   * whether it was told results that it is to speak of.
   * @param momentary the session for what the next provider is not to be asked for again
   */
  connect(provider: ProviderSession | undefined, momentary = provider): boolean {
    this.#provider = provider;
    this.#momentary = momentary;
    this.#awaited = false;
    // Whoever called them is gone, and the next model may call the same once more.
    if (provider === undefined) this.#orphans = new Set(this.#running.keys());
    // What the one before was asked to say does not come any more.
    this.filler.interrupted();
    if (provider === undefined) return false;
    const answers = this.#untold.splice(0);
    // All at once are one piece of news: the model speaks when it has heard all of it.
    const respond = answers.some((answer) => answer.respond);
    const last = answers.at(-1);
    for (const answer of answers) this.#tell(provider, { ...answer, respond: respond && answer === last });
    return respond && this.#options.mayRespond();
  }

  /** The model calls a function. A call that is delivered twice is one. */
  call(call: ToolCall): void {
    if (this.#isKnown(call) || this.#adopts(call)) return;
    this.#run(call).catch((error: unknown) => this.#options.onFailed(error));
  }

  /** The model begins to answer. @param asked see `ProviderEvent` */
  responseStarted(responseId: string, asked: boolean): void {
    this.#awaited = false;
    if (asked) this.filler.askedResponse(responseId);
  }

  /** The provider does not want these any more. */
  cancel(callIds: readonly string[]): void {
    const adopted = [...this.#adopted];
    const own = (callId: string): string =>
      adopted.find(([, call]) => call.callId === callId)?.[0].callId ?? callId;
    this.#options.runner.cancel(callIds.map(own));
  }

  /** The caller has cut in. */
  interrupted(): void {
    this.#awaited = false;
    this.#options.runner.interrupted();
  }

  close(): void {
    this.#closed = true;
    this.#untold = [];
  }

  /** Its result is on its way, or was told for this response. */
  #isKnown({ responseId, callId, name, args }: ToolCall): boolean {
    const key = JSON.stringify([responseId, callId, name, args]);
    if (this.#known.has(key)) return true;
    this.#known.add(key);
    const [oldest] = this.#known;
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    for (const one of this.#running.keys()) {
      if (one.callId === callId && one.name === name && one.args === args) return true;
    }
    return false;
  }

  /** What runs already because the model before this one has called it is not run twice. */
  #adopts(call: ToolCall): boolean {
    for (const orphan of this.#orphans) {
      if (orphan.name !== call.name || !sameArguments(orphan.args, call.args)) continue;
      this.#orphans.delete(orphan);
      this.#adopted.set(orphan, call);
      return true;
    }
    return false;
  }

  #play({ pcm, rate }: Clip): void {
    try {
      this.#options.downlink.clip(pcm, { encoding: 'pcm16', rate });
    } catch (thrown) {
      // Nothing is lost but a sound.
      this.#options.log.error({ code: BridgeError.from(thrown).code }, 'the filler clip cannot be played');
    }
  }

  async #run(call: ToolCall): Promise<void> {
    const { runner, log, emit, filler } = this.#options;
    const spoke = this.#options.downlink.hasSpoken(call.responseId);
    this.#running.set(call, runner.find(call.name)?.fillerAfterMs ?? filler?.afterMs ?? 0);
    const run = await runner.run(call.callId, call.name, call.args);
    this.#running.delete(call);
    this.#orphans.delete(call);
    const adopted = this.#adopted.get(call) ?? call;
    this.#adopted.delete(call);
    if (this.#closed) return;
    // What the model makes up as a name may hold anything, also what the caller has said.
    const name = runner.find(run.name) === undefined ? '[unknown]' : run.name;
    tellOfRun(run, log, emit, name);
    const { outcome, hangsUp } = run;
    // A model that has said goodbye and then hangs up must not be asked to say it once more.
    const said = hangsUp && spoke;
    if (said) this.#options.onGoodbyeSaid();
    // Whoever cut in is about to be answered, and what was withdrawn is not waited for.
    const respond = !said && outcome !== 'cancelled';
    const answer = { call: adopted, run, respond };
    if (this.#provider !== undefined) this.#tell(this.#provider, answer);
    else this.#keep(answer);
  }

  #keep(answer: Answer): void {
    this.#untold.push(answer);
    if (answer.respond && this.#options.mayRespond()) this.#options.onUntold();
  }

  #tell(provider: ProviderSession, { call, run, respond }: Answer): void {
    // As long as something else is waited for, they hear it to its end.
    if (this.#running.size === 0) this.filler.end();
    // Only now: what a next provider is told of the past must not hold what it is told as news.
    this.#options.transcript.tool(call.callId, call.name, call.args, run.result.output);
    const { responseId, name, args } = call;
    const result = { ...run.result, respond: respond && this.#options.mayRespond(), call: { name, args } };
    // Of what was called together, the model speaks when it has heard all.
    const missing = [...this.#running.keys()].some(
      (one) => (this.#adopted.get(one) ?? one).responseId === responseId,
    );
    if (result.respond && !missing) this.#awaited = true;
    provider.sendToolResult(call.callId, result);
    this.#options.onTold();
  }
}

/** The same values, however they are written. */
function sameArguments(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    return isDeepStrictEqual(JSON.parse(a), JSON.parse(b));
  } catch {
    return false;
  }
}

/** One function call is over: the line in the log, which has it by `logged`, and the event. */
export function tellOfRun(
  run: ToolRun,
  log: Log,
  emit: (event: CallEventBody) => void,
  logged = run.name,
): void {
  const { result, error, hangsUp: _hangsUp, ...facts } = run;
  const line = { tool: logged, ms: Math.round(facts.ms), outcome: facts.outcome };
  if (facts.outcome !== 'failed' && facts.outcome !== 'timeout') log.info(line, 'function call');
  // Its words may be the caller's: kind and place have to do.
  else
    log.warn(
      { ...line, code: error?.code, ...(error && traceOf(error)), pii: { detail: error?.message } },
      'function failed',
    );
  emit({ type: 'tool', ...facts, isError: result.isError });
}
