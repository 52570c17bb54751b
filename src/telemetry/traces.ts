import type { Tracer } from '@opentelemetry/api';
import type { CallEvent } from '../call-events.ts';
import { callKey } from '../call-key.ts';
import type { CarrierName } from '../carrier.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { CallTrace, type TraceApi } from './call-trace.ts';

export interface TracesDeps {
  readonly api: TraceApi;
  readonly clock: Pick<Clock, 'epoch'>;
  readonly log: Log;
}

/** The spans of all calls. */
export class Traces {
  readonly #deps: TracesDeps;
  readonly #tracer: Tracer;
  readonly #calls = new Map<string, CallTrace>();
  #isTroubled = false;

  constructor(deps: TracesDeps) {
    this.#deps = deps;
    this.#tracer = deps.api.trace.getTracer('patchcord');
  }

  /** Somebody takes the spans: an SDK has put itself in the place of the API's own tracer, which does nothing. */
  get isHeard(): boolean {
    const { api } = this.#deps;
    return api.isSpanContextValid(this.#tracer.startSpan('probe', {}, api.ROOT_CONTEXT).spanContext());
  }

  /** Never throws: whatever is wrong with spans is no matter of the call, and is logged once. */
  on(
    carrier: CarrierName,
    callId: string,
    event: CallEvent,
    knowsTool: (name: string) => boolean = () => false,
  ): void {
    try {
      this.#on(callKey(carrier, callId), event, knowsTool);
    } catch (thrown) {
      if (!this.#isTroubled)
        this.#deps.log.error({ err: BridgeError.from(thrown) }, 'a span could not be told');
      this.#isTroubled = true;
    }
  }

  #on(key: string, event: CallEvent, knowsTool: (name: string) => boolean): void {
    if (event.type === 'started') {
      const { api, clock } = this.#deps;
      const startedAt = clock.epoch() - event.atMs;
      const options = { api, tracer: this.#tracer, startedAt, started: event };
      this.#calls.set(key, new CallTrace(options));
      return;
    }
    const call = this.#calls.get(key);
    // Before anything can go wrong with it: nothing is kept of a call that is over.
    if (event.type === 'ended') this.#calls.delete(key);
    call?.on(event, knowsTool);
  }
}

/**
 * What makes spans of calls; undefined: nobody wants them, or the package is not there that they are made with. Rejects
 * with BAD_CONFIG when they are asked for and it is not there.
 */
export async function loadTraces(
  { traces: wanted }: Pick<Config, 'traces'>,
  { clock, log }: Omit<TracesDeps, 'api'>,
  load: () => Promise<TraceApi> = () => import('@opentelemetry/api'),
): Promise<Traces | undefined> {
  if (wanted === 'no') return undefined;
  try {
    const traces = new Traces({ api: await load(), clock, log });
    if (traces.isHeard) log.info('calls are traced');
    else log.warn('calls are to be traced, but no OpenTelemetry SDK was started before the service');
    return traces;
  } catch (cause) {
    if (wanted === 'yes') {
      const text = 'TRACES: found "on", wanted the package @opentelemetry/api, which is not installed';
      throw new BridgeError('BAD_CONFIG', text, { cause });
    }
    log.warn('calls are not traced: the package @opentelemetry/api is not installed');
    return undefined;
  }
}
