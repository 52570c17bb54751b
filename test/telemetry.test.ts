import * as api from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../src/call-events.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import type { TraceApi } from '../src/telemetry/call-trace.ts';
import { loadTraces, Traces } from '../src/telemetry/traces.ts';
import { createKit } from './support/call-kit.ts';
import { Service, STYLES } from './support/carrier-styles.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The real SDK, without taking the place of the process's own tracer: tests share a process. */
function sdk() {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const { context, isSpanContextValid, ROOT_CONTEXT, SpanKind, SpanStatusCode } = api;
  const { setSpan, getSpanContext } = api.trace;
  const trace = { setSpan, getSpanContext, getTracer: (name: string) => provider.getTracer(name) };
  const traceApi = { context, isSpanContextValid, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace };
  return { exporter, api: traceApi as unknown as TraceApi };
}

function start() {
  const { exporter, api: traceApi } = sdk();
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog('trace', { write: (line: string) => lines.push(line) });
  const traces = new Traces({ api: traceApi, clock, log });
  const tell = (...events: CallEvent[]): void => {
    for (const event of events) traces.on('twilio', 'CA1', event, (name) => name === 'look_up');
  };
  const spans = (): ReadableSpan[] => exporter.getFinishedSpans();
  const epoch = clock.epoch();
  /** When something was, ms since the call began. */
  const ms = ([seconds, nanos]: api.HrTime): number => Math.round(seconds * 1e3 + nanos / 1e6 - epoch);
  return { traces, tell, spans, lines, ms, api: traceApi };
}

const STARTED: CallEvent = { type: 'started', atMs: 0, callId: 'CA1', carrier: 'twilio', agent: 'desk' };
const READY: CallEvent = {
  type: 'providerReady',
  atMs: 400,
  provider: 'openai',
  model: 'gpt-realtime',
  why: 'start',
  resumed: false,
  connectMs: 350,
  historyItems: 0,
  replayedMs: 0,
};
const TURN: CallEvent = {
  type: 'turn',
  atMs: 6000,
  provider: 'openai',
  speechEndMs: 3000,
  heardBy: 'bridge',
  commitMs: 500,
  firstDeltaMs: 800,
  firstFrameMs: 820,
  firstMarkMs: undefined,
  functions: 1,
  interrupted: true,
};
const TOOL: CallEvent = {
  type: 'tool',
  atMs: 3700,
  name: 'look_up',
  toolCallId: 'call_1',
  idempotencyKey: 'key_1',
  args: { who: 'Mrs Miller, +14155550123' },
  ms: 200,
  outcome: 'done',
  isError: false,
};
const ENDED: CallEvent = { type: 'ended', atMs: 9000, reason: 'caller-hung-up', transcript: [] };

describe('spans of a call', () => {
  it('are one for the call and one for each connection, answer and function, in their places', () => {
    const { tell, spans, ms } = start();
    tell(STARTED, READY, { type: 'firstAudio', atMs: 450 }, TOOL, TURN, ENDED);
    const told = spans().map((span) => [span.name, ms(span.startTime), ms(span.endTime)]);
    expect(told).toEqual([
      ['provider connect', 50, 400],
      ['execute_tool look_up', 3500, 3700],
      ['turn', 3000, 6000],
      ['call', 0, 9000],
    ]);
    const call = spans().at(-1);
    expect(call?.parentSpanContext).toBeUndefined();
    for (const span of spans().slice(0, -1)) {
      expect(span.parentSpanContext?.spanId).toBe(call?.spanContext().spanId);
      expect(span.spanContext().traceId).toBe(call?.spanContext().traceId);
    }
    expect(call?.attributes).toEqual({
      'patchcord.call.id': 'CA1',
      'patchcord.carrier': 'twilio',
      'patchcord.agent': 'desk',
      'patchcord.end_reason': 'caller-hung-up',
      'patchcord.turns': 1,
      'patchcord.barge_ins': 0,
    });
    expect(call?.kind).toBe(api.SpanKind.SERVER);
    expect(call?.status.code).toBe(api.SpanStatusCode.UNSET);
  });

  it('of an answer have its stages as events, those that nobody has told left out', () => {
    const { tell, spans, ms } = start();
    tell(STARTED, TURN);
    const [turn] = spans();
    expect(turn?.events.map(({ name, time }) => [name, ms(time)])).toEqual([
      ['commit', 3500],
      ['first delta', 3800],
      ['first frame', 3820],
    ]);
    expect(turn?.attributes).toEqual({
      'gen_ai.provider.name': 'openai',
      'patchcord.turn.heard_by': 'bridge',
      'patchcord.turn.functions': 1,
      'patchcord.turn.interrupted': true,
      'patchcord.turn.latency_ms': 820,
    });
  });

  it('tell of providers that failed, and how long the caller was without one', () => {
    const { tell, spans, ms } = start();
    const failed = { type: 'providerFailed', provider: 'openai', model: undefined } as const;
    tell(
      STARTED,
      { ...failed, atMs: 300, phase: 'connecting', code: 'TIMEOUT', ms: 250 },
      { ...failed, atMs: 2000, phase: 'in-call', code: 'PROVIDER_CLOSED', ms: 1500 },
      {
        type: 'failover',
        atMs: 3200,
        from: 'openai',
        to: 'gemini',
        why: 'failover',
        gapMs: 900,
        connectMs: 500,
        answerMs: 300,
        addedMs: 100,
      },
      ENDED,
    );
    const [connect, failover, call] = spans();
    expect([connect?.name, ms(connect?.startTime ?? [0, 0]), connect?.status.code]).toEqual([
      'provider connect',
      50,
      api.SpanStatusCode.ERROR,
    ]);
    expect(connect?.attributes['error.type']).toBe('TIMEOUT');
    expect([failover?.name, ms(failover?.startTime ?? [0, 0]), ms(failover?.endTime ?? [0, 0])]).toEqual([
      'failover',
      2000,
      3200,
    ]);
    expect(call?.events.map(({ name }) => name)).toEqual(['provider lost']);
  });

  it('hold nothing that people said, pressed, dialled or are called by', () => {
    const { tell, spans } = start();
    tell(
      STARTED,
      READY,
      { type: 'transcript', atMs: 1, role: 'user', itemId: 'a', text: 'secret words', final: true },
      { type: 'digit', atMs: 2, digit: '7' },
      { ...TOOL, name: 'secret words that a model made up', outcome: 'refused', isError: true },
      TOOL,
      { type: 'recording', atMs: 3, url: 'https://carrier.test/secret', durationS: 3 },
      { type: 'transfer', atMs: 4, status: 'failed', outcome: 'busy' },
      { type: 'machine', atMs: 5, result: 'human' },
      { type: 'bargeIn', atMs: 6, by: 'provider', heard: [{ itemId: 'a', playedMs: 1, receivedMs: 2 }] },
      { ...ENDED, reason: 'failed' },
    );
    const told = spans().map(({ name, attributes, events, status }) => ({
      name,
      attributes,
      events,
      status,
    }));
    const text = JSON.stringify(told);
    for (const word of ['secret', 'Miller', '1415', '"7"']) expect(text).not.toContain(word);
    expect(told.map(({ name }) => name)).toContain('execute_tool [unknown]');
    expect(told.at(-1)?.events.map(({ name }) => name)).toEqual([
      'transfer',
      'answering machine',
      'barge-in',
    ]);
    expect(told.at(-1)?.status).toEqual({ code: api.SpanStatusCode.ERROR, message: 'failed' });
  });

  it('keep nothing of a call that is over, and know nothing of one that nobody began', () => {
    const { tell, spans } = start();
    tell(TURN);
    expect(spans()).toEqual([]);
    tell(STARTED, ENDED, TURN, ENDED);
    expect(spans().map(({ name }) => name)).toEqual(['call']);
  });

  it('do no harm when the tracer does: it is logged once', () => {
    const { lines, api: traceApi } = start();
    const throwing = (): never => {
      throw new Error('on purpose');
    };
    const broken = { ...traceApi, trace: { ...traceApi.trace, getTracer: () => ({ startSpan: throwing }) } };
    const log = createLog('trace', { write: (line: string) => lines.push(line) });
    const traces = new Traces({ api: broken as unknown as TraceApi, clock: new VirtualClock(), log });
    for (const event of [STARTED, STARTED]) traces.on('twilio', 'CA1', event);
    expect(lines.filter((line) => line.includes('a span could not be told'))).toHaveLength(1);
  });

  it('come out of a real call, and are its own when two calls have the same id at two carriers', async () => {
    const { traces, spans } = start();
    const kit = createKit();
    const call = await kit.talk();
    await call.session.end('caller-hung-up');
    await kit.close();
    for (const event of kit.events) {
      traces.on('twilio', 'CA1', event);
      traces.on('plivo', 'CA1', event);
    }
    expect(spans().map(({ name }) => name)).toEqual(['provider connect', 'provider connect', 'call', 'call']);
    const ids = new Set(spans().map((span) => span.spanContext().traceId));
    expect(ids.size).toBe(2);
  });
});

describe('whether calls are traced', () => {
  const wanted = (env: Record<string, string>): string => loadConfig(env).traces;
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

  it('is said by TRACES, else by whether an exporter is named', () => {
    expect(wanted({})).toBe('no');
    expect(wanted(ENDPOINT)).toBe('if-there');
    expect(wanted({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' })).toBe(
      'if-there',
    );
    expect(wanted({ OTEL_TRACES_EXPORTER: 'console' })).toBe('if-there');
    expect(wanted({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' })).toBe('no');
    expect(wanted({ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' })).toBe('no');
    expect(wanted({ ...ENDPOINT, TRACES: 'off' })).toBe('no');
    expect(wanted({ TRACES: 'on' })).toBe('yes');
    expect(() => wanted({ TRACES: 'maybe' })).toThrow('TRACES: found "maybe", wanted one of auto, on, off');
  });

  const clock = new VirtualClock();
  const missing = (): Promise<never> => Promise.reject(new Error('Cannot find package'));
  const load = async (traces: 'yes' | 'if-there' | 'no', from?: () => Promise<TraceApi>) => {
    const lines: string[] = [];
    const log = createLog('trace', { write: (line: string) => lines.push(line) });
    const loaded = await loadTraces({ traces }, { clock, log }, from);
    return { loaded, lines: lines.join('') };
  };

  it('is an error when it is asked for and the package is not there, else a warning', async () => {
    await expect(load('yes', missing)).rejects.toMatchObject({ code: 'BAD_CONFIG' });
    const { loaded, lines } = await load('if-there', missing);
    expect([loaded, lines]).toEqual([undefined, expect.stringContaining('is not installed')]);
    expect((await load('no', missing)).loaded).toBeUndefined();
  });

  it('is done by a service, for the SDK that was started in its process before it', async () => {
    const [twilio] = STYLES;
    if (twilio === undefined) throw new Error('there is nobody to call');
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    api.trace.setGlobalTracerProvider(provider);
    try {
      await using on = await Service.start(twilio, { env: { OTEL_TRACES_EXPORTER: 'otlp' } });
      const call = await on.connected();
      await call.hangUp();
      await on.event('ended');
      const spans = exporter.getFinishedSpans();
      expect(spans.map(({ name }) => name)).toEqual(['provider connect', 'call']);
      expect(spans[1]?.attributes).toMatchObject({ 'patchcord.carrier': 'twilio' });
      const lengthMs = (spans[1]?.duration[0] ?? 0) * 1e3 + (spans[1]?.duration[1] ?? 0) / 1e6;
      expect(lengthMs).toBeLessThan(60_000);
      expect(lengthMs).toBeGreaterThan(0);
    } finally {
      api.trace.disable();
    }
  });

  it('is warned of when nobody takes the spans', async () => {
    const nobody = await load('yes');
    expect(nobody.lines).toContain('no OpenTelemetry SDK was started');
    const { api: traceApi } = sdk();
    const somebody = await load('yes', () => Promise.resolve(traceApi));
    expect(somebody.loaded).toBeInstanceOf(Traces);
    expect(somebody.lines).toContain('calls are traced');
  });
});
