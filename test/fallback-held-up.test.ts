import { describe, expect, it } from 'vitest';
import { Breakers } from '../src/fallback/breakers.ts';
import { Provider, type Setting, start } from './support/dial-kit.ts';
import { HeldUpClock } from './support/held-up-clock.ts';
import { settled } from './support/manual-provider.ts';

/** A process that does not get to run for a while: stopped by somebody, swapped out, or moved to another machine. */

function held(setting: Setting = {}) {
  const clock = new HeldUpClock();
  const breakers = new Breakers({ clock, onChange: () => undefined });
  const dial = (providers: readonly Provider[]) =>
    start(providers, { hedgeMs: 0, ...setting, over: { clock, breakers } });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settled();
  };
  return { dial, clock, breakers, pass };
}

describe('a process that was held up while providers were dialled', () => {
  it('does not take a provider for slow whose answer it could not read', async () => {
    const a = new Provider('a');
    const { dial, clock, breakers, pass } = held();
    const calls = Array.from({ length: 10 }, () => dial([a]));
    await pass(100);
    clock.holdUp(60_000);
    await pass(250);
    for (const ring of a.rings) await ring.answers();
    for (const { failures, outcome } of calls) {
      expect(failures).toEqual([]);
      expect(outcome.dialled?.ms).toBe(350);
    }
    expect(breakers.of(a).state).toBe('closed');
    expect(clock.pending).toBe(0);
  });

  it('gives one that stays silent no more than its time', async () => {
    const a = new Provider('a');
    const b = new Provider('b');
    const { dial, clock, pass } = held({ connectMs: 3000 });
    const call = dial([a, b]);
    await pass(1000);
    clock.holdUp(60_000);
    await pass(1999);
    expect(call.failures).toEqual([]);
    await pass(1);
    expect(call.failures).toEqual(['a TIMEOUT 3000']);
    await b.ring.answers();
    expect(call.winner).toBe(b);
  });

  it('counts what is late by a little, as all timers are', async () => {
    const a = new Provider('a');
    const { dial, clock, pass } = held({ connectMs: 3000 });
    const call = dial([a]);
    for (let i = 0; i < 4; i++) {
      await pass(250);
      clock.holdUp(400);
    }
    await pass(399);
    expect(call.failures).toEqual([]);
    await pass(1);
    expect(call.failures).toHaveLength(1);
    call.given.abort();
    await settled();
  });
});
