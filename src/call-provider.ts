import type { Agent } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { CallEventBody } from './call-events.ts';
import type { CallTiming } from './call-timing.ts';
import type { Clock } from './clock.ts';
import { connectRequest } from './connect-request.ts';
import type { Conversation } from './conversation.ts';
import { BridgeError } from './errors.ts';
import { failureDetail } from './failure-detail.ts';
import type { Breakers } from './fallback/breakers.ts';
import { type Candidate, modelOf } from './fallback/candidate.ts';
import { Fallback, type Ready } from './fallback/fallback.ts';
import type { Log } from './log.ts';
import type { ProviderEvent } from './provider.ts';
import { usedEvent } from './provider-news.ts';
import type { Tape } from './tape.ts';

export interface CallProviderOptions {
  readonly agent: Agent;
  /** In the order in which they are to be tried; at least one. */
  readonly providers: readonly Candidate[];
  readonly breakers: Breakers;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined: the call is not recorded. */
  readonly tape?: Tape | undefined;
  /** See `SessionDeps`. */
  readonly timing?: CallTiming | undefined;
  /** What the carrier's line is likely to be. */
  readonly line: AudioFormat;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
  conversation(): Conversation;
  emit(event: CallEventBody): void;
  onNobodyLeft(): void;
  /** The session is about to end, and no other is to be had. */
  onCannotRenew(): void;
}

/** The providers of one call: ties whoever holds it to the conversation, and tells of those who come and go. */
export class CallProvider {
  readonly #options: CallProviderOptions;
  readonly #fallback: Fallback;

  constructor(options: CallProviderOptions) {
    this.#options = options;
    const { agent, clock, emit, conversation } = options;
    let talk: Conversation | undefined;
    this.#fallback = new Fallback({
      ...options,
      candidates: options.providers,
      policy: agent.failover,
      request: (candidate, resume) => {
        const history = conversation().succession.history(candidate.provider.capabilities.catchUp);
        const request = connectRequest(agent, candidate, options.line, clock, { history, resume });
        const { tape, timing } = options;
        // What is recorded is timed behind its tape.
        const network = tape?.network ?? timing?.network();
        return { ...request, network, random: tape?.random };
      },
      onReady: (ready) => this.#onReady(ready),
      onEvent: (event) => {
        talk ??= conversation();
        talk.onProviderEvent(event);
      },
      onUsage: (event, candidate) => this.#used(event, candidate),
      onFailed: (candidate, phase, { code }, ms) =>
        emit({ type: 'providerFailed', ...called(candidate), phase, code, ms }),
      onLost: () => {
        options.timing?.heldBy(undefined);
        conversation().succession.lost();
      },
      onNothingLeft: (error) => this.#nobodyLeft(error),
      mayRenew: () => conversation().succession.mayRenew,
    });
  }

  /** Of who holds the call, had it last, or is tried first. */
  get name(): string {
    return this.#fallback.candidate?.provider.name ?? 'none';
  }

  /** Dials at once. */
  open(): void {
    this.#fallback.open();
  }

  /** Whoever holds the call keeps still when it is its turn: somebody else is to take it. */
  keepsStill(forMs: number): void {
    const text = `nothing came for ${Math.round(forMs)} ms when it was its turn`;
    this.#fallback.giveUp(new BridgeError('PROVIDER_UNAVAILABLE', text));
  }

  /** Whoever holds the call wants to be paid for something. */
  used(event: Extract<ProviderEvent, { type: 'usage' }>): void {
    const { candidate } = this.#fallback;
    if (candidate !== undefined) this.#used(event, candidate);
  }

  /** Resolves when every session has closed, at the latest after 2 s. */
  close(reason: string): Promise<void> {
    return this.#fallback.close(reason);
  }

  #onReady(ready: Ready): void {
    const { candidate, session, why, request, connectMs } = ready;
    this.#options.timing?.heldBy(candidate.provider.name);
    const { succession } = this.#options.conversation();
    const replayedMs = succession.connect(session, candidate.provider.capabilities, request.history);
    const resumed = request.resume !== undefined;
    const historyItems = resumed ? 0 : request.history.length;
    const terms = { why, resumed, connectMs, historyItems, replayedMs };
    this.#options.emit({ type: 'providerReady', ...called(candidate), ...terms });
    succession.tookOver(ready);
  }

  #used(event: Extract<ProviderEvent, { type: 'usage' }>, candidate: Candidate): void {
    this.#options.emit(usedEvent(event, candidate.provider.name, modelOf(candidate)));
  }

  #nobodyLeft({ code, message }: BridgeError): void {
    const { agent, log } = this.#options;
    log.error(
      { code, detail: failureDetail(message), lastResort: agent.lastResort.type },
      'no provider is left',
    );
    this.#options.onNobodyLeft();
  }
}

function called(candidate: Candidate): { readonly provider: string; readonly model: string | undefined } {
  return { provider: candidate.provider.name, model: modelOf(candidate) };
}
