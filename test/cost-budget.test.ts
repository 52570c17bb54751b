import { describe, expect, it } from 'vitest';
import { CallBudget, type CallBudgetOptions } from '../src/cost/budget.ts';
import { CallMeter } from '../src/cost/meter.ts';
import { decimal } from '../src/cost/money.ts';
import { Prices, pricesSchema } from '../src/cost/prices.ts';
import type { Usage } from '../src/provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const TABLE = pricesSchema.parse({
  currency: 'USD',
  providers: {
    openai: { perMillionTokens: { outputAudio: 100 } },
    live: { perMinute: 0.06 },
  },
  carriers: { twilio: { inboundPerMinute: 0.01 } },
});

/** Tokens for so many cents. */
function cents(count: number): { usage: Usage } {
  return {
    usage: {
      inputTextTokens: 0,
      inputAudioTokens: 0,
      cachedTextTokens: 0,
      cachedAudioTokens: 0,
      outputTextTokens: 0,
      outputAudioTokens: count * 100,
    },
  };
}

interface Watched {
  readonly clock: VirtualClock;
  readonly meter: CallMeter;
  readonly budget: CallBudget;
  /** Times at which the end was told. */
  readonly told: number[];
}

function watch(perCall: number, over: Partial<CallBudgetOptions> = {}): Watched {
  const clock = new VirtualClock();
  const meter = new CallMeter(clock, new Prices(TABLE));
  const told: number[] = [];
  const budget = new CallBudget({ clock, meter, perCall, told: () => told.push(clock.now()), ...over });
  return { clock, meter, budget, told };
}

describe('the budget of a call', () => {
  it('is told of when what is left has to pay for the goodbye, and only once', () => {
    const { clock, meter, told } = watch(1);
    meter.usage('openai', 'm', cents(94));
    clock.advance(60_000);
    expect(told).toEqual([]);
    meter.usage('openai', 'm', cents(1));
    clock.advance(0);
    expect(told).toEqual([60_000]);
    meter.usage('openai', 'm', cents(50));
    clock.advance(1e9);
    expect(told).toEqual([60_000]);
    expect(clock.pending).toBe(0);
  });

  it('leaves as much for the goodbye as it is asked to', () => {
    const { clock, meter, told } = watch(1, { tellAt: 0.5 });
    meter.usage('openai', 'm', cents(49));
    clock.advance(1);
    expect(told).toEqual([]);
    meter.usage('openai', 'm', cents(1));
    clock.advance(0);
    expect(told).toEqual([1]);
  });

  it('is not told of from within what the meter is told, so that nobody is called back in the middle', () => {
    const { clock, meter, told } = watch(1);
    meter.usage('openai', 'm', cents(500));
    expect(told).toEqual([]);
    clock.advance(0);
    expect(told).toEqual([0]);
  });

  it('is used up by time alone, to the millisecond', () => {
    const { clock, meter, told } = watch(0.06, { goodbyeMs: 0 });
    meter.providerBegan('live', undefined);
    clock.advance(56_999);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toEqual([57_000]);
  });

  it('is told of before a minute begins that it does not hold, so that the goodbye fits in the one before', () => {
    const { clock, meter, told } = watch(0.032);
    meter.lineBegan('twilio', 'inbound');
    clock.advance(10 * 60_000);
    expect(told).toEqual([3 * 60_000 - 8000 + 1]);
    expect(decimal(meter.cost(3 * 60_000))).toBe(0.03);
  });

  it('ends a call at once whose first minute it does not hold', () => {
    const { clock, meter, told } = watch(0.005);
    meter.lineBegan('twilio', 'inbound');
    clock.advance(0);
    expect(told).toEqual([0]);
  });

  it('looks again when time runs differently than it did', () => {
    const { clock, meter, told } = watch(0.06, { goodbyeMs: 0 });
    const end = meter.providerBegan('live', undefined);
    clock.advance(30_000);
    end();
    clock.advance(3_600_000);
    expect(told).toEqual([]);
    meter.providerBegan('live', undefined);
    meter.providerBegan('live', undefined);
    clock.advance(1e9);
    expect(told).toEqual([3_630_000 + 13_500]);
  });

  it('never ends a call that has no price, and keeps one timer for it', () => {
    const { clock, meter, told } = watch(0.01);
    meter.providerBegan('other', undefined);
    for (let i = 0; i < 100; i++) meter.usage('other', undefined, cents(100));
    expect(clock.pending).toBe(1);
    clock.advance(3 * 86_400_000);
    expect(told).toEqual([]);
    expect(clock.pending).toBe(1);
  });

  it('says nothing more after the end of the call, and leaves no timer', () => {
    const { clock, meter, budget, told } = watch(0.06);
    meter.providerBegan('live', undefined);
    budget.close();
    budget.close();
    meter.usage('openai', 'm', cents(500));
    expect(clock.pending).toBe(0);
    clock.advance(1e9);
    expect(told).toEqual([]);
  });

  it('is not told of when the call ends in the moment in which it is used up', () => {
    const { clock, meter, budget, told } = watch(1);
    meter.usage('openai', 'm', cents(100));
    budget.close();
    clock.advance(1);
    expect(told).toEqual([]);
  });
});
