import type { CallEvent } from '../call-events.ts';
import { callKey } from '../call-key.ts';
import type { Carrier, CarrierName, IncomingCall, WebhookRequest, WebhookRoute } from '../carrier.ts';
import { type Clock, pause } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { type Candidate, modelOf } from '../fallback/candidate.ts';
import type { Log } from '../log.ts';
import type { CallTerms } from '../session-manager.ts';
import type { EarTape, Tape, Tapes, WebhookExchange } from '../tape.ts';
import type { Network } from '../wire.ts';
import { recordAgent } from './agent-record.ts';
import { CallTape } from './call-tape.ts';
import { EarlyWebhooks, Exchange, joinAll } from './early-webhooks.ts';
import { type CallFile, FORMAT_VERSION, type Origin, type RecordedProvider, type Signed } from './format.ts';
import { askedOf } from './rest-tap.ts';
import { type Hide, hider } from './secrets.ts';
import { newSeed } from './seeded-random.ts';
import type { CallSink } from './sink.ts';

/** How one call is recorded. */
export interface RecordingTerms {
  /** Timers that run are written down, so that a replay runs them when they ran. Default: true. */
  readonly timers?: boolean | undefined;
}

/** What is made of a call beside its lines, such as a file to listen to. What it throws is put down and does no harm. */
export interface Beside {
  readonly ear?: EarTape | undefined;
  /** In order; `now` in ms since the call's first webhook. */
  event?(event: CallEvent, now: number): void;
  /** Before the sink is finished. */
  finish?(): void;
}

export interface RecorderOptions<T extends RecordingTerms = RecordingTerms> {
  readonly clock: Clock;
  readonly network: Network;
  readonly log: Log;
  /** Undefined: the call is not recorded. */
  readonly decide: (call: IncomingCall, terms: CallTerms) => T | undefined;
  /** Undefined: there is no room for one more. */
  readonly open: (file: CallFile, wanted: T) => CallSink | undefined;
  readonly beside?: ((sink: CallSink, file: CallFile, wanted: T) => Beside | undefined) | undefined;
  readonly origin: Origin;
  /** See `CallFile`. */
  readonly settings: Readonly<Record<string, string>>;
  readonly leadMs: number;
  /** Keys and passwords of the service: they are written nowhere, whoever says them. */
  readonly secrets?: readonly string[] | undefined;
  /** Of one call. Default: a new one from this machine. */
  readonly seed?: ((call: IncomingCall) => string) | undefined;
  /** How a request that was refused had proved itself. Default: by whether it has a signature at all. */
  readonly signed?: ((request: WebhookRequest) => Signed) | undefined;
}

/** A call that is recorded, until nothing of it can come any more. */
interface Running {
  readonly tape: CallTape;
  readonly sink: CallSink;
  readonly beside: Beside | undefined;
  /** Aborts the wait for what comes late. */
  readonly hurry: AbortController;
  finishing: Promise<void> | undefined;
}

/** A recording whose place is there. */
interface Opened<T> {
  readonly file: CallFile;
  /** See `CallTapeOptions`. */
  readonly startedAt: number;
  readonly sink: CallSink;
  readonly early: readonly Exchange[];
  readonly key: string;
  readonly wanted: T;
}

/** Webhooks and answers of a carrier still come so long after the end of a call. */
const LATE_MS = 10_000;
const CLOSE_MS = 5000;

/** Records calls at their edges, each into a sink of its own. Nothing that goes wrong here reaches a call. */
export class Recorder<T extends RecordingTerms = RecordingTerms> implements Tapes {
  readonly #options: RecorderOptions<T>;
  readonly #hide: Hide;
  readonly #running = new Map<string, Running>();
  readonly #early = new EarlyWebhooks();
  #closed = false;

  constructor(options: RecorderOptions<T>) {
    this.#options = options;
    this.#hide = hider(options.secrets ?? []);
  }

  /** Calls that are being recorded, those that wait for what comes late included. */
  get size(): number {
    return this.#running.size;
  }

  webhook(carrier: CarrierName, route: WebhookRoute, request: WebhookRequest): WebhookExchange | undefined {
    if (this.#closed) return undefined;
    return new Exchange({ route, request, signed: 'valid' }, this.#options.clock, (exchange, callId) => {
      const key = callKey(carrier, callId);
      const running = this.#running.get(key);
      if (running === undefined) this.#early.add(key, exchange);
      else exchange.join(running.tape);
    });
  }

  begin(carrier: Carrier, call: IncomingCall, terms: CallTerms): Tape | undefined {
    try {
      return this.#closed ? undefined : this.#begin(carrier, call, terms);
    } catch (thrown) {
      this.#troubled(call, thrown);
      return undefined;
    }
  }

  /**
   * Takes the place of the platform's `fetch` where carriers are asked something: what is asked about a call that is
   * recorded is put down with it.
   */
  tapFetch(ask: typeof fetch = (input, init) => fetch(input, init)): typeof fetch {
    return (input, init) => {
      const asked = this.#running.size === 0 ? undefined : askedOf(input, init);
      const tape = asked === undefined ? undefined : this.#meant(asked);
      return asked === undefined || tape === undefined
        ? ask(input, init)
        : tape.rest(asked, () => ask(input, init));
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const { clock } = this.#options;
    const late = new AbortController();
    const all = [...this.#running].map(([key, running]) => {
      running.hurry.abort();
      return this.#finish(key, running);
    });
    await Promise.race([Promise.all(all), pause(clock, CLOSE_MS, late.signal)]);
    late.abort();
  }

  #begin(carrier: Carrier, call: IncomingCall, terms: CallTerms): Tape | undefined {
    const { clock, decide, open } = this.#options;
    const key = callKey(carrier.name, call.callId);
    const early = this.#early.take(key);
    const wanted = decide(call, terms);
    if (wanted === undefined || this.#running.has(key)) return undefined;
    const { at: startedAt, epochMs } = early[0] ?? { at: clock.now(), epochMs: clock.epoch() };
    const seed = this.#options.seed?.(call) ?? newSeed();
    const file = this.#describe(carrier, call, terms, { seed, epochMs });
    const sink = open(file, wanted);
    if (sink === undefined) return undefined;
    try {
      sink.describe(file);
      return this.#tape(carrier, call, { file, startedAt, sink, early, key, wanted });
    } catch (thrown) {
      void sink.finish({ t: 0, complete: false });
      throw thrown;
    }
  }

  #tape(
    carrier: Carrier,
    call: IncomingCall,
    { file, startedAt, sink, early, key, wanted }: Opened<T>,
  ): Tape {
    const { clock, network } = this.#options;
    const made = this.#beside(call, sink, file, wanted);
    const tape: CallTape = new CallTape({
      clock,
      startedAt,
      epochMs: file.epochMs,
      network,
      seed: file.seed,
      sink,
      carrier,
      call,
      hide: this.#hide,
      timers: wanted.timers ?? true,
      signed: this.#options.signed ?? signedBy,
      ear: made?.ear,
      onEvent: (event) => made?.event?.(event, tape.clock.now()),
      onTrouble: (thrown) => this.#troubled(call, thrown),
      onEnded: () => void this.#finish(key, running),
    });
    const running: Running = {
      tape,
      sink,
      beside: made,
      hurry: new AbortController(),
      finishing: undefined,
    };
    this.#running.set(key, running);
    joinAll(early, tape);
    return tape;
  }

  #beside(call: IncomingCall, sink: CallSink, file: CallFile, wanted: T): Beside | undefined {
    try {
      return this.#options.beside?.(sink, file, wanted);
    } catch (thrown) {
      this.#troubled(call, thrown);
      return undefined;
    }
  }

  #describe(
    carrier: Carrier,
    call: IncomingCall,
    { agent, machine, providers }: CallTerms,
    { seed, epochMs }: Pick<CallFile, 'seed' | 'epochMs'>,
  ): CallFile {
    const { origin, settings, leadMs } = this.#options;
    return this.#hide.message<CallFile>({
      format: FORMAT_VERSION,
      proves: '',
      origin,
      carrier: carrier.name,
      control: call.control,
      direction: call.direction,
      ...(call.ref === undefined ? {} : { placed: { ref: call.ref, from: call.from, to: call.to } }),
      epochMs,
      seed,
      agent: recordAgent(agent, machine),
      providers: providers.map(recordProvider),
      settings,
      leadMs,
    });
  }

  #finish(key: string, running: Running): Promise<void> {
    running.finishing ??= this.#finishLater(key, running);
    return running.finishing;
  }

  async #finishLater(key: string, { tape, sink, beside, hurry }: Running): Promise<void> {
    await pause(this.#options.clock, LATE_MS, hurry.signal);
    this.#running.delete(key);
    tape.finish();
    try {
      beside?.finish?.();
    } catch (thrown) {
      this.#options.log.error({ err: BridgeError.from(thrown) }, 'a recording could not be finished whole');
    }
    await sink.finish({ t: tape.lastAt, complete: true });
  }

  #meant(asked: Parameters<CallTape['isMeantBy']>[0]): CallTape | undefined {
    for (const { tape } of this.#running.values()) if (tape.isMeantBy(asked)) return tape;
    return undefined;
  }

  #troubled({ callId }: IncomingCall, thrown: unknown): void {
    this.#options.log.error({ callId, err: BridgeError.from(thrown) }, 'a call cannot be recorded as it is');
  }
}

function recordProvider(candidate: Candidate): RecordedProvider {
  const { provider, wanted } = candidate;
  const { name, usesNetwork, capabilities } = provider;
  const common = { name, model: modelOf(candidate), wanted };
  return usesNetwork === true ? { ...common, level: 'wire' } : { ...common, level: 'session', capabilities };
}

function signedBy({ headers }: WebhookRequest): Signed {
  return Object.keys(headers).some((name) => name.includes('signature'))
    ? 'bad-signature'
    : 'missing-signature';
}
