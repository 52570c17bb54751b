import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CallEvent } from '../call-events.ts';
import type { BreakerReport, BreakerState } from '../fallback/breakers.ts';

type Told<T extends CallEvent['type'], K extends keyof Extract<CallEvent, { type: T }>> = Pick<
  Extract<CallEvent, { type: T }>,
  K
>;

/** What is counted of providers that fail and of those that take over. Per attempt, session or change; never per frame. */
export interface FallbackMetrics {
  /** Breakers are looked at when somebody asks for the figures. */
  watchBreakers(report: () => readonly BreakerReport[]): void;
  /** A breaker has opened, or opened again after a probe. */
  breakerOpened(report: Pick<BreakerReport, 'provider' | 'why'>): void;
  /** A provider was tried in vain, or was lost in mid-call. */
  providerFailed(event: Told<'providerFailed', 'provider' | 'phase' | 'code'>): void;
  /** A call is held with this provider from now on. */
  providerReady(
    event: Told<'providerReady', 'provider' | 'why' | 'connectMs' | 'historyItems' | 'replayedMs'>,
  ): void;
  /** The agent is heard again after a change of provider, or the caller goes on. */
  failedOver(event: Told<'failover', 'from' | 'to' | 'why' | 'gapMs' | 'addedMs'>): void;
  /** A caller gets the last resort of their agent. `type`: what the carrier does, such as `transfer`, `message` or `say`. */
  lastResort(type: string): void;
}

const STATES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 };

// A session on the same continent takes some 100 to 800 ms; what is beyond 10 s was given up.
const CONNECT_MS = [50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10_000];
// 0 is its own bucket: most changes are not heard at all. 800 is where a filler begins by default.
const GAP_MS = [0, 50, 100, 200, 400, 600, 800, 1000, 1500, 2000, 3000, 5000, 10_000];

/** @param registers where the figures are told */
export function createFallbackMetrics(registers: Registry[]): FallbackMetrics {
  let breakers = (): readonly BreakerReport[] => [];
  new Gauge({
    name: 'patchcord_breaker_state',
    help: 'Circuit breakers: 0 closed, 1 half-open, 2 open',
    labelNames: ['provider'],
    registers,
    collect() {
      for (const { provider, state } of breakers()) this.set({ provider }, STATES[state]);
    },
  });
  const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
    new Counter({ name: `patchcord_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: L[],
  ): Histogram<L> => new Histogram({ name: `patchcord_${name}`, help, buckets, labelNames, registers });
  const openings = counter('breaker_openings_total', 'Circuit breakers that opened, and why', [
    'provider',
    'why',
  ]);
  const failures = counter('provider_failures_total', 'Providers tried in vain, or lost in mid-call', [
    'provider',
    'phase',
    'code',
  ]);
  const sessions = counter('provider_sessions_total', 'Sessions that calls were held with, and why', [
    'provider',
    'why',
  ]);
  const connect = histogram(
    'provider_connect_ms',
    'From the dialling of a provider until it was ready, ms',
    CONNECT_MS,
    ['provider'],
  );
  const replayed = counter('replayed_speech_ms_total', 'Caller speech told to the next provider, ms', [
    'provider',
  ]);
  const history = counter(
    'history_items_total',
    'Pieces of conversations that providers were told when they took over',
    ['provider'],
  );
  const changes = counter('failovers_total', 'Changes of session in mid-call', ['from', 'to', 'why']);
  const gap = histogram('failover_gap_ms', 'Silence that the caller heard at a change, ms', GAP_MS, ['why']);
  const added = histogram(
    'failover_added_ms',
    "What of that silence was not the new provider's own time, ms",
    GAP_MS,
    ['why'],
  );
  const resorts = counter('last_resorts_total', 'Callers who were given the last resort of their agent', [
    'type',
  ]);
  return {
    watchBreakers(report) {
      breakers = report;
    },
    breakerOpened: ({ provider, why = '' }) => openings.inc({ provider, why }),
    providerFailed: ({ provider, phase, code }) => failures.inc({ provider, phase, code }),
    providerReady({ provider, why, connectMs, historyItems, replayedMs }) {
      sessions.inc({ provider, why });
      connect.observe({ provider }, connectMs);
      replayed.inc({ provider }, replayedMs);
      history.inc({ provider }, historyItems);
    },
    failedOver({ from, to, why, gapMs, addedMs }) {
      changes.inc({ from, to, why });
      gap.observe({ why }, gapMs);
      added.observe({ why }, addedMs);
    },
    lastResort: (type) => resorts.inc({ type }),
  };
}
