import type { BreakerReport } from '../fallback/breakers.ts';
import type { Log } from '../log.ts';
import type { FallbackMetrics } from '../metrics/fallback.ts';

/** Tells log and figures of a breaker that has changed its state. */
export function tellBreaker(
  { log, metrics }: { readonly log: Log; readonly metrics: Pick<FallbackMetrics, 'breakerOpened'> },
  report: BreakerReport,
): void {
  const { provider, state, why, pauseMs } = report;
  if (state === 'open') {
    metrics.breakerOpened(report);
    log.warn({ provider, why, pauseMs }, 'provider passed by: its breaker has opened');
  } else if (state === 'half-open') {
    log.info({ provider, why }, 'one call tries whether the provider works again');
  } else {
    log.info({ provider }, 'provider works again: its breaker has closed');
  }
}
