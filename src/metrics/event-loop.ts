import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

/** How late the process is with everything it does. */
export interface EventLoopMetrics {
  /** Looks at it from now on; the returned function stops that. */
  watchEventLoop(): () => void;
}

/** How often is looked; a shorter delay than this is seen as well. */
const RESOLUTION_MS = 10;
const QUANTILES = { p50: 50, p99: 99 } as const;
const NS_PER_MS = 1e6;

/** @param registers where the figures are told */
export function createEventLoopMetrics(registers: Registry[]): EventLoopMetrics {
  let histogram: IntervalHistogram | undefined;
  new Gauge({
    name: 'nodejs_event_loop_delay_ms',
    help: 'Delay of the event loop since the figures were asked for last, ms',
    labelNames: ['quantile'],
    registers,
    aggregator: 'max',
    collect() {
      if (histogram === undefined || histogram.count === 0) return;
      for (const [quantile, percent] of Object.entries(QUANTILES)) {
        this.set({ quantile }, delayMs(histogram.percentile(percent)));
      }
      this.set({ quantile: 'max' }, delayMs(histogram.max));
      histogram.reset();
    },
  });
  return {
    watchEventLoop() {
      const own = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      own.enable();
      histogram = own;
      return () => {
        own.disable();
        if (histogram === own) histogram = undefined;
      };
    },
  };
}

/** What is measured is the time between two looks. */
function delayMs(ns: number): number {
  return Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);
}
