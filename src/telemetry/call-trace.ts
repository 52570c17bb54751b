import type { Attributes, Context, HrTime, Span, SpanKind, Tracer } from '@opentelemetry/api';
import { type CallEvent, outcomeOf } from '../call-events.ts';

/** What of OpenTelemetry's API is used; it is loaded only where somebody wants spans. */
export type TraceApi = Pick<
  typeof import('@opentelemetry/api'),
  'context' | 'isSpanContextValid' | 'ROOT_CONTEXT' | 'SpanKind' | 'SpanStatusCode' | 'trace'
>;

export interface CallTraceOptions {
  readonly api: TraceApi;
  readonly tracer: Tracer;
  /** When the call began, ms since 1970 UTC. */
  readonly startedAt: number;
  readonly started: Extract<CallEvent, { type: 'started' }>;
}

type Told<T extends CallEvent['type']> = Extract<CallEvent, { type: T }>;

/** When something was, ms since the call began. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/**
 * One call as spans: one for the call, and below it one for every connection to a provider, every answer, every function
 * and every change of the provider. Nothing that people said, dialled or are called by is in them.
 */
export class CallTrace {
  readonly #options: CallTraceOptions;
  readonly #call: Span;
  readonly #within: Context;
  #lostAt: number | undefined;
  #turns = 0;
  #bargeIns = 0;

  constructor(options: CallTraceOptions) {
    const { api, tracer, started } = options;
    this.#options = options;
    // The webhook is over in a moment and the call is not: it is where the call came from, and no part of it is.
    const webhook = api.trace.getSpanContext(api.context.active());
    this.#call = tracer.startSpan(
      'call',
      {
        kind: api.SpanKind.SERVER,
        startTime: this.#time(started.atMs),
        links: webhook === undefined ? [] : [{ context: webhook }],
        attributes: {
          'patchcord.call.id': started.callId,
          'patchcord.carrier': started.carrier,
          'patchcord.agent': started.agent,
        },
      },
      api.ROOT_CONTEXT,
    );
    this.#within = api.trace.setSpan(api.ROOT_CONTEXT, this.#call);
  }

  /** @param knowsTool there is a function of this name: what is in those that models make up, people may have said */
  on(event: CallEvent, knowsTool: (name: string) => boolean): void {
    switch (event.type) {
      case 'providerReady':
        this.#ready(event);
        break;
      case 'providerFailed':
        this.#failed(event);
        break;
      case 'failover':
        this.#failover(event);
        break;
      case 'turn':
        this.#turn(event);
        break;
      case 'tool':
        this.#tool(event, knowsTool(event.name) ? event.name : '[unknown]');
        break;
      case 'ended':
        this.#end(event);
        break;
      default:
        this.#note(event);
    }
  }

  #time(ms: number): HrTime {
    const at = this.#options.startedAt + ms;
    const seconds = Math.floor(at / 1000);
    return [seconds, Math.min(999_999_999, Math.round((at - seconds * 1000) * 1e6))];
  }

  /** A span that is over already; what ends it may still be said of it. */
  #span(
    name: string,
    kind: SpanKind,
    { from, to }: Stretch,
    attributes: Attributes,
    tell?: (span: Span) => void,
  ) {
    const { tracer } = this.#options;
    const span = tracer.startSpan(name, { kind, startTime: this.#time(from), attributes }, this.#within);
    tell?.(span);
    span.end(this.#time(to));
  }

  #error(span: Span, what: string): void {
    span.setAttribute('error.type', what);
    span.setStatus({ code: this.#options.api.SpanStatusCode.ERROR, message: what });
  }

  #ready(event: Told<'providerReady'>): void {
    const { atMs, connectMs, provider, model, why, resumed, historyItems, replayedMs } = event;
    this.#span(
      'provider connect',
      this.#options.api.SpanKind.CLIENT,
      { from: atMs - connectMs, to: atMs },
      {
        ...providerOf(provider, model),
        'patchcord.why': why,
        'patchcord.resumed': resumed,
        'patchcord.history_items': historyItems,
        'patchcord.replayed_ms': replayedMs,
      },
    );
  }

  #failed({ atMs, ms, provider, model, phase, code }: Told<'providerFailed'>): void {
    const attributes = providerOf(provider, model);
    if (phase === 'in-call') {
      this.#lostAt = atMs;
      this.#call.addEvent('provider lost', { ...attributes, 'error.type': code }, this.#time(atMs));
      return;
    }
    const { CLIENT } = this.#options.api.SpanKind;
    this.#span('provider connect', CLIENT, { from: atMs - ms, to: atMs }, attributes, (span) =>
      this.#error(span, code),
    );
  }

  #failover({ atMs, from, to, why, gapMs, connectMs, answerMs, addedMs }: Told<'failover'>): void {
    const began = this.#lostAt ?? atMs - Math.max(gapMs, answerMs);
    this.#lostAt = undefined;
    this.#span(
      'failover',
      this.#options.api.SpanKind.INTERNAL,
      { from: Math.min(began, atMs), to: atMs },
      {
        'patchcord.from': from,
        'patchcord.to': to,
        'patchcord.why': why,
        'patchcord.gap_ms': gapMs,
        'patchcord.connect_ms': connectMs,
        'patchcord.answer_ms': answerMs,
        'patchcord.added_ms': addedMs,
      },
    );
  }

  #turn(event: Told<'turn'>): void {
    const { atMs, speechEndMs, provider, heardBy, functions, interrupted } = event;
    this.#turns += 1;
    const waitedMs = event.firstMarkMs ?? event.firstFrameMs;
    this.#span(
      'turn',
      this.#options.api.SpanKind.INTERNAL,
      { from: speechEndMs, to: Math.max(atMs, speechEndMs) },
      {
        ...providerOf(provider, undefined),
        'patchcord.turn.heard_by': heardBy,
        'patchcord.turn.functions': functions,
        'patchcord.turn.interrupted': interrupted,
        ...(waitedMs === undefined ? {} : { 'patchcord.turn.latency_ms': waitedMs }),
      },
      (span) => {
        const stages = [
          ['commit', event.commitMs],
          ['first delta', event.firstDeltaMs],
          ['first frame', event.firstFrameMs],
          ['first mark', event.firstMarkMs],
        ] as const;
        for (const [stage, ms] of stages) {
          if (ms !== undefined) span.addEvent(stage, {}, this.#time(speechEndMs + ms));
        }
      },
    );
  }

  #tool({ atMs, ms, outcome, isError }: Told<'tool'>, tool: string): void {
    this.#span(
      `execute_tool ${tool}`,
      this.#options.api.SpanKind.INTERNAL,
      { from: atMs - ms, to: atMs },
      {
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': tool,
        'patchcord.tool.outcome': outcome,
      },
      (span) => {
        if (outcome !== 'done' || isError) this.#error(span, outcome === 'done' ? 'failed' : outcome);
      },
    );
  }

  /** What happens at one moment, without what people said or pressed. */
  #note(event: CallEvent): void {
    const at = this.#time(event.atMs);
    if (event.type === 'bargeIn') {
      this.#bargeIns += 1;
      this.#call.addEvent('barge-in', { 'patchcord.by': event.by }, at);
    } else if (event.type === 'transfer') {
      const outcome = event.outcome === undefined ? {} : { 'patchcord.outcome': event.outcome };
      this.#call.addEvent('transfer', { 'patchcord.status': event.status, ...outcome }, at);
    } else if (event.type === 'machine') {
      this.#call.addEvent('answering machine', { 'patchcord.result': event.result }, at);
    } else if (event.type === 'mediaStarted') {
      this.#call.addEvent('media started', {}, at);
    } else if (event.type === 'firstAudio') {
      this.#call.addEvent('first audio', {}, at);
    }
  }

  #end({ atMs, reason }: Told<'ended'>): void {
    this.#call.setAttributes({
      'patchcord.end_reason': reason,
      'patchcord.turns': this.#turns,
      'patchcord.barge_ins': this.#bargeIns,
    });
    if (outcomeOf(reason) === 'failed') this.#error(this.#call, reason);
    this.#call.end(this.#time(atMs));
  }
}

function providerOf(provider: string, model: string | undefined): Attributes {
  return {
    'gen_ai.provider.name': provider,
    ...(model === undefined ? {} : { 'gen_ai.request.model': model }),
  };
}
