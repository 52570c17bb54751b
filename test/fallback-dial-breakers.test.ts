import { describe, expect, it } from 'vitest';
import { BREAKER_LIMITS, type BreakerLimits } from '../src/fallback/breaker-limits.ts';
import { type BreakerReport, Breakers } from '../src/fallback/breakers.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { type Dialled, dial, PROBE_HEDGE_MS } from '../src/fallback/dial.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { Provider, SLOW_AFTER_MS } from './support/dial-kit.ts';
import { settled } from './support/manual-provider.ts';
import { requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Two providers of one process, with breakers, and callers who come and go. */
function house(hedgeMs = FAILOVER.hedgeMs, limits: Partial<BreakerLimits> = {}) {
  const clock = new VirtualClock();
  const changes: BreakerReport[] = [];
  const breakers = new Breakers({
    clock,
    onChange: (report) => changes.push(report),
    random: () => 0.5,
    limits,
  });
  const [first, second] = [new Provider('first'), new Provider('second')];
  const times = new Map<Provider, number>();
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settled();
  };
  /** From now on this one is ready after so many ms; undefined: it hangs. */
  const connects = (provider: Provider, ms: number | undefined): void => {
    if (ms === undefined) times.delete(provider);
    else times.set(provider, ms);
  };
  for (const provider of [first, second]) {
    provider.onRing = (ring) => {
      const ms = times.get(provider);
      if (ms !== undefined) clock.after(ms, () => ring.answersNow());
    };
  }
  const call = () => {
    const given = new AbortController();
    const startedAt = clock.now();
    const outcome: { dialled?: Dialled; waitedMs?: number } = {};
    dial({
      clock,
      breakers,
      candidates: [...soleCandidate(first), ...soleCandidate(second)],
      connectMs: FAILOVER.connectMs,
      hedgeMs,
      signal: given.signal,
      request: () => requestOf({ clock }),
      onFailed: () => undefined,
    }).then(
      (dialled) => {
        outcome.dialled = dialled;
        outcome.waitedMs = clock.now() - startedAt;
      },
      () => undefined,
    );
    return { outcome, given };
  };
  const state = (): unknown =>
    breakers.report().map((report) => `${report.provider} ${report.state} ${report.why}`);
  return { clock, breakers, changes, first, second, pass, connects, call, state };
}

describe('callers of a provider that hangs', () => {
  it.each([FAILOVER.hedgeMs, 300])(
    'are a hundred at once, and the next one does not wait (hedge after %i ms)',
    async (hedgeMs) => {
      const { pass, connects, call, second, state, clock } = house(hedgeMs);
      connects(second, 40);
      const calls = Array.from({ length: 100 }, call);
      await pass(hedgeMs);
      await pass(40);
      for (const { outcome } of calls) expect(outcome.waitedMs).toBe(hedgeMs + 40);
      await pass(SLOW_AFTER_MS);
      expect(state()).toEqual(['first open slow', 'second closed undefined']);
      const next = call();
      await pass(40);
      expect(next.outcome).toMatchObject({ waitedMs: 40, dialled: { candidate: { provider: second } } });
      expect(clock.pending).toBe(0);
    },
  );
});

describe('a provider that hangs', () => {
  it('is found out by callers who wait for less, also where the service has more patience', async () => {
    const slowMs = 4000;
    const { pass, connects, call, second, state, clock } = house(300, { slowMs });
    connects(second, 40);
    for (let i = 0; i < 3; i++) call();
    await pass(300);
    await pass(slowMs - 310);
    expect(state()).toEqual(['first closed undefined', 'second closed undefined']);
    await pass(20);
    expect(state()).toEqual(['first open slow', 'second closed undefined']);
    expect(clock.pending).toBe(0);
  });
});

describe('a provider that is well again', () => {
  it('is found out by one caller, who waits no longer for it than a moment, and is then the first again', async () => {
    const { pass, connects, call, first, second, state, clock } = house();
    connects(second, 100);
    for (let i = 0; i < 3; i++) {
      call();
      await pass(FAILOVER.hedgeMs);
      await pass(100);
    }
    await pass(BREAKER_LIMITS.firstPauseMs.provider);
    expect(state()).toEqual(['first open slow', 'second closed undefined']);
    // Slower than the other one with its head start, but not slow.
    connects(first, 900);
    const dialled = first.rings.length;
    const [probing, other] = [call(), call()];
    await pass(100);
    expect(other.outcome.waitedMs).toBe(100);
    await pass(PROBE_HEDGE_MS - 100);
    await pass(100);
    expect(probing.outcome.waitedMs).toBe(PROBE_HEDGE_MS + 100);
    expect(first.rings).toHaveLength(dialled + 1);
    await pass(900);
    expect(first.ring.done).toEqual(['close']);
    await pass(BREAKER_LIMITS.proofMs);
    expect(state()).toEqual(['first closed undefined', 'second closed undefined']);
    const next = call();
    await pass(900);
    expect(next.outcome.dialled?.candidate.provider).toBe(first);
    expect(clock.pending).toBe(0);
  });

  it('that is not well at all after that is passed by for longer', async () => {
    const { pass, connects, call, second, changes, clock } = house();
    connects(second, 100);
    for (let i = 0; i < 3; i++) {
      call();
      await pass(FAILOVER.hedgeMs);
      await pass(100);
    }
    await pass(BREAKER_LIMITS.firstPauseMs.provider);
    const probing = call();
    await pass(PROBE_HEDGE_MS);
    await pass(100);
    expect(probing.outcome.waitedMs).toBe(PROBE_HEDGE_MS + 100);
    await pass(SLOW_AFTER_MS);
    expect(changes.map(({ state, pauseMs }) => [state, pauseMs])).toEqual([
      ['open', BREAKER_LIMITS.firstPauseMs.provider],
      ['half-open', undefined],
      ['open', 2 * BREAKER_LIMITS.firstPauseMs.provider],
    ]);
    expect(clock.pending).toBe(0);
  });
});

describe('providers that have all failed others', () => {
  it('are dialled all the same for a caller who has nobody else', async () => {
    const { pass, connects, call, second, state } = house();
    for (let i = 0; i < 3; i++) call();
    await pass(FAILOVER.hedgeMs);
    await pass(FAILOVER.hedgeMs);
    expect(state()).toEqual(['first open slow', 'second open slow']);
    connects(second, 100);
    const last = call();
    await pass(FAILOVER.hedgeMs);
    await pass(100);
    expect(last.outcome.dialled?.candidate.provider).toBe(second);
  });
});
