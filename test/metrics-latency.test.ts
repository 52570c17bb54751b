import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { CallTiming } from '../src/call-timing.ts';
import { Latency } from '../src/metrics/latency.ts';
import { LatencyHistogram } from '../src/metrics/latency-histogram.ts';
import { createMetrics } from '../src/metrics.ts';
import type { Network, StreamListener, WireListener } from '../src/wire.ts';

/** What a histogram of the registry's own kind says of the same durations. */
async function plain(durations: readonly number[], bounds: number[]): Promise<string> {
  const { Histogram } = await import('prom-client');
  const registry = new Registry();
  const name = 'patchcord_x_ms';
  const labelNames = ['carrier'];
  const histogram = new Histogram({ name, help: 'x', buckets: bounds, labelNames, registers: [registry] });
  for (const ms of durations) histogram.observe({ carrier: 'twilio' }, ms);
  return registry.metrics();
}

/** Lines without the order of their labels, which means nothing. */
function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/\{(.*)\}/, (_all, labels: string) => labels.split(',').sort().join()))
    .sort();
}

describe('latencies', () => {
  it('are told as the registry itself would tell them', async () => {
    const registry = new Registry();
    const bounds = [0.5, 1, 10];
    const histogram = new LatencyHistogram([registry], 'x', 'x', bounds, ['carrier']);
    const latency = histogram.of({ carrier: 'twilio' });
    const durations = [0, 0.25, 0.5, 0.500_1, 1, 9.75, 10, 10.5, 4000];
    for (const ms of durations) latency.observe(ms);
    expect(lines(await registry.metrics())).toEqual(lines(await plain(durations, bounds)));
  });

  it('are told as programs read them, and can be added up', async () => {
    const registry = new Registry();
    const histogram = new LatencyHistogram([registry], 'x', 'x', [1], ['carrier']);
    histogram.of({ carrier: 'twilio' }).observe(0.5);
    histogram.of({ carrier: 'plivo' }).observe(3);
    const [told] = await registry.getMetricsAsJSON();
    expect(told).toMatchObject({ name: 'patchcord_x_ms', type: 'histogram', aggregator: 'sum' });
    expect(told?.values).toContainEqual({
      labels: { carrier: 'plivo', le: '+Inf' },
      value: 1,
      metricName: 'patchcord_x_ms_bucket',
    });
    expect(told?.values).toHaveLength(8);
  });

  it('do not count what is no duration', () => {
    const latency = new Latency([1, 2]);
    for (const ms of [Number.NaN, -1, Number.NEGATIVE_INFINITY]) latency.observe(ms);
    expect([latency.count, latency.sum, latency.cumulative()]).toEqual([0, 0, [0, 0, 0]]);
    latency.observe(Number.POSITIVE_INFINITY);
    expect(latency.cumulative()).toEqual([0, 0, 1]);
  });

  it('are the same object for the same carrier and provider, and another for another', () => {
    const metrics = createMetrics();
    const one = metrics.latencies('twilio', 'openai');
    expect(metrics.latencies('twilio', 'openai')).toBe(one);
    expect(metrics.latencies('plivo', 'openai')).not.toBe(one);
    // Names that would be one, put together.
    expect(metrics.latencies('a', 'b c')).not.toBe(metrics.latencies('a b', 'c'));
  });

  it('of webhooks are told by carrier and route', async () => {
    const metrics = createMetrics();
    metrics.webhookAnswered('telnyx', 'voice', 4);
    expect(await metrics.text()).toContain(
      'patchcord_webhook_latency_ms_bucket{carrier="telnyx",route="voice",le="5"} 1',
    );
  });
});

/** A call whose process takes 1 ms for everything that it looks at the clock for. */
function timed() {
  let now = 0;
  const metrics = createMetrics();
  const timing = new CallTiming({
    now: () => {
      now += 1;
      return now;
    },
    latencies: (provider) => metrics.latencies('twilio', provider),
  });
  return { timing, latencies: metrics.latencies('twilio', 'openai') };
}

const SILENT: WireListener = {
  opened: () => undefined,
  message: () => undefined,
  pinged: () => undefined,
  pong: () => undefined,
  refused: () => undefined,
  failed: () => undefined,
  closed: () => undefined,
};

/** A network of which the test is the other side. */
class HandNetwork implements Network {
  readonly listeners: WireListener[] = [];
  readonly streams: StreamListener[] = [];

  dial(_url: URL, _options: unknown, listener: WireListener) {
    this.listeners.push(listener);
    return {
      isOpen: true,
      bufferedAmount: 0,
      send: () => undefined,
      ping: () => undefined,
      close: () => undefined,
      terminate: () => undefined,
    };
  }

  stream(_what: string, _open: unknown, _body: unknown, listener: StreamListener) {
    this.streams.push(listener);
    return { abort: () => undefined };
  }
}

describe('the timing of a call', () => {
  it('counts what comes from the caller for whoever holds the call, and nothing while nobody does', () => {
    const { timing, latencies } = timed();
    timing.heard(timing.now());
    timing.heldBy('openai');
    timing.heard(timing.now());
    timing.heldBy(undefined);
    timing.heard(timing.now());
    expect([latencies.uplink.count, latencies.uplink.sum]).toEqual([1, 1]);
  });

  it('counts audio and clears that a message of the provider leads to at once, and none that waited', () => {
    const { timing, latencies } = timed();
    timing.heldBy('openai');
    const network = new HandNetwork();
    let work = (): void => undefined;
    const listener = { ...SILENT, message: () => work() };
    timing.network(network).dial(new URL('ws://a'), { headers: {}, maxPayload: 1 }, listener);
    const [wire] = network.listeners;
    work = () => {
      timing.played();
      timing.cleared();
    };
    wire?.message('{}', false);
    timing.played();
    timing.cleared();
    expect([latencies.downlink.count, latencies.bargeIn.count]).toEqual([1, 1]);
    expect([latencies.downlink.sum, latencies.bargeIn.sum]).toEqual([1, 2]);
  });

  it('has done with a message also when whoever was told of it has thrown', () => {
    const { timing, latencies } = timed();
    timing.heldBy('openai');
    const network = new HandNetwork();
    const throwing = (): never => {
      throw new Error('on purpose');
    };
    const stream = { connected: throwing, accepted: throwing, received: throwing, ended: throwing };
    const places = timing.network(network);
    places.dial(new URL('ws://a'), { headers: {}, maxPayload: 1 }, { ...SILENT, message: throwing });
    places.stream('a', () => ({ abort: () => undefined }), (async function* () {})(), stream);
    expect(() => network.listeners[0]?.message('', false)).toThrow('on purpose');
    timing.played();
    expect(() => network.streams[0]?.received(new Uint8Array(0))).toThrow('on purpose');
    timing.played();
    expect(latencies.downlink.count).toBe(0);
  });

  it('passes everything else on as it is', () => {
    const { timing } = timed();
    const network = new HandNetwork();
    const told: unknown[] = [];
    const note =
      (name: string) =>
      (...args: unknown[]): void => {
        told.push([name, ...args]);
      };
    const listener = Object.fromEntries(Object.keys(SILENT).map((name) => [name, note(name)]));
    timing
      .network(network)
      .dial(new URL('ws://a'), { headers: {}, maxPayload: 1 }, listener as unknown as WireListener);
    const [wire] = network.listeners;
    const error = new Error('lost');
    wire?.opened();
    wire?.message('a', true);
    wire?.pinged();
    wire?.pong('b');
    wire?.refused(401, 'c');
    wire?.failed(error);
    wire?.closed(1006, 'd');
    expect(told).toEqual([
      ['opened'],
      ['message', 'a', true],
      ['pinged'],
      ['pong', 'b'],
      ['refused', 401, 'c'],
      ['failed', error],
      ['closed', 1006, 'd'],
    ]);
  });
});

describe('the delay of the event loop', () => {
  it('is told when somebody watches, without the time between two looks', async () => {
    const metrics = createMetrics();
    expect(await metrics.text()).not.toContain('nodejs_event_loop_delay_ms{');
    const unwatch = metrics.watchEventLoop();
    try {
      await expect
        .poll(() => metrics.text(), { timeout: 5000 })
        .toMatch(/nodejs_event_loop_delay_ms\{quantile="p99"\} \d/);
      const text = await metrics.text();
      for (const quantile of ['p50', 'p99', 'max']) expect(text).toContain(`quantile="${quantile}"`);
    } finally {
      unwatch();
    }
  });
});
