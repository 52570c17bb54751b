import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { agentBudgetSchema, dayBudgetSchema, numberBudgetSchema } from '../src/cost/budget-schema.ts';
import { type CallBill, type TokenKind, tokensOf } from '../src/cost/call-bill.ts';
import { CallMeter } from '../src/cost/meter.ts';
import { decimal, exactText, fromExactText, moneyOf, share } from '../src/cost/money.ts';
import { Prices, type PriceTable, pricesSchema } from '../src/cost/prices.ts';
import type { Usage } from '../src/provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const TABLE: PriceTable = pricesSchema.parse({
  currency: 'USD',
  providers: {
    openai: {
      perMillionTokens: {
        inputText: 4,
        cachedText: 0.4,
        inputAudio: 32,
        cachedAudio: 0.4,
        outputText: 16,
        outputAudio: 64,
      },
    },
    'gpt-transcribe': { perMillionTokens: { inputAudio: 6, outputText: 10 } },
  },
  carriers: { twilio: { inboundPerMinute: 0.0085, outboundPerMinute: 0.014, streamPerMinute: 0.004 } },
});

function tokens(some: Partial<Usage>): Usage {
  return {
    inputTextTokens: 0,
    inputAudioTokens: 0,
    cachedTextTokens: 0,
    cachedAudioTokens: 0,
    outputTextTokens: 0,
    outputAudioTokens: 0,
    ...some,
  };
}

function meterOf(table: unknown = TABLE): { clock: VirtualClock; meter: CallMeter } {
  const clock = new VirtualClock();
  const prices = new Prices(table === undefined ? undefined : pricesSchema.parse(table));
  return { clock, meter: new CallMeter(clock, prices) };
}

function withPrice(name: string, price: unknown): unknown {
  return { currency: 'EUR', providers: { [name]: price } };
}

describe('money', () => {
  it('takes figures for exactly the decimals that they are written as', () => {
    for (const [figure, nano] of [
      [0.0085, 8_500_000n],
      [0.1, 100_000_000n],
      [1e-9, 1n],
      [0.075, 75_000_000n],
      [999_999.999999999, 999_999_999_999_999n],
      [1_000_000, 1_000_000_000_000_000n],
    ] as const) {
      expect(moneyOf(figure)).toBe(nano);
    }
  });

  it.each([-0.01, 1_000_000.5, 0.000_000_000_1, Number.NaN, Number.POSITIVE_INFINITY])(
    'does not take %s for an amount',
    (figure) => {
      expect(() => moneyOf(figure)).toThrow('BAD_INPUT');
    },
  );

  it('adds ten times a tenth up to one', () => {
    let sum = 0n;
    for (let i = 0; i < 10; i++) sum += moneyOf(0.1);
    expect(decimal(sum)).toBe(1);
  });

  it('rounds half of the last place up, and shows at most six places', () => {
    expect(share(1n, 1, 2)).toBe(1n);
    expect(share(1n, 1, 3)).toBe(0n);
    expect(decimal(moneyOf(0.0000005))).toBe(0.000001);
    expect(decimal(moneyOf(0.000000499))).toBe(0);
    expect(JSON.stringify(decimal(moneyOf(0.1) + moneyOf(0.2)))).toBe('0.3');
  });

  it('comes back from disk to the last place', () => {
    for (const amount of [0n, 1n, 12_345_678_901n, -5n, -7_000_000_001n]) {
      expect(fromExactText(exactText(amount))).toBe(amount);
    }
    expect(exactText(12_345_678_901n)).toBe('12.345678901');
    for (const bad of ['', '1', '1.5', 1.5, null, '1.0000000000', ' 1.000000000', '1e3']) {
      expect(fromExactText(bad)).toBeUndefined();
    }
  });
});

describe('the schemas', () => {
  function problems(schema: { safeParse(value: unknown): { error?: { issues: { message: string }[] } } }) {
    return (value: unknown) => schema.safeParse(value).error?.issues.map(({ message }) => message) ?? [];
  }

  it('say what was wanted of a price table', () => {
    const of = problems(pricesSchema);
    expect(of({ currency: 'EUR' })).toEqual([]);
    expect(of({ currency: 'euro' })).toEqual(['three capital letters such as USD']);
    expect(of({})).toEqual(['three capital letters such as USD']);
    expect(of(withPrice('openai', {}))).toEqual(['perMillionTokens, perMinute or both']);
    expect(of(withPrice('openai', { perMinute: -1 }))[0]).toContain('an amount from 0 to 1000000');
    expect(of(withPrice('openai', { perMinute: '1' }))[0]).toContain('an amount from 0 to 1000000');
    expect(of(withPrice('openai', { perMinute: 1e-10 }))[0]).toContain('at most 9 places');
    expect(of(withPrice('openai', { perMillionTokens: { audio: 1 } }))).toHaveLength(1);
    expect(of({ currency: 'EUR', carriers: { acme: {} } })).toHaveLength(1);
    expect(of({ currency: 'EUR', carriers: { plivo: { roundUpSeconds: 0 } } })).toEqual([
      'a whole number of seconds from 1 to 3600',
    ]);
  });

  it('say what was wanted of a budget', () => {
    expect(problems(agentBudgetSchema)({ perCall: 1.5, goodbye: 'Goodbye.' })).toEqual([]);
    expect(problems(agentBudgetSchema)({ perCall: 0 })[0]).toContain('an amount above 0');
    expect(problems(agentBudgetSchema)({})[0]).toContain('an amount above 0');
    expect(problems(agentBudgetSchema)({ perCall: 1, goodbye: ' ' })).toEqual([
      'text of 1 to 2000 characters',
    ]);
    expect(problems(numberBudgetSchema)({ perDay: 'much' })[0]).toContain('an amount above 0');
    expect(problems(dayBudgetSchema)({ perDay: 1, refusal: 'never' })).toEqual(['one of busy, rejected']);
    expect(dayBudgetSchema.parse({ perDay: 1 }).refusal).toBe('busy');
  });
});

describe('Prices', () => {
  const prices = new Prices(
    pricesSchema.parse({
      currency: 'USD',
      providers: {
        openai: { perMinute: 1 },
        'gpt-mini': { perMinute: 2 },
        'openai/gpt-mini': { perMinute: 3 },
        'gpt-transcribe': { perMinute: 4 },
        'azure/gpt-transcribe': { perMinute: 5 },
      },
    }),
  );

  it('takes the most exact name of a session', () => {
    expect(prices.session('openai', 'gpt-mini')?.perMinute).toBe(3);
    expect(prices.session('azure', 'gpt-mini')?.perMinute).toBe(2);
    expect(prices.session('openai', 'gpt-big')?.perMinute).toBe(1);
    expect(prices.session('openai', undefined)?.perMinute).toBe(1);
    expect(prices.session('azure', 'gpt-big')).toBeUndefined();
  });

  it('does not take the price of the provider for that of a model that helps it', () => {
    expect(prices.helper('openai', 'gpt-transcribe')?.perMinute).toBe(4);
    expect(prices.helper('azure', 'gpt-transcribe')?.perMinute).toBe(5);
    expect(prices.helper('openai', 'whisper-1')).toBeUndefined();
  });
});

describe('the bill of a call', () => {
  it('charges cached tokens at their price and the rest at the full one', () => {
    const { meter } = meterOf();
    meter.usage('openai', 'gpt-realtime', {
      usage: tokens({
        inputTextTokens: 1_000_000,
        cachedTextTokens: 750_000,
        inputAudioTokens: 500_000,
        cachedAudioTokens: 500_000,
        outputTextTokens: 1000,
        outputAudioTokens: 1,
      }),
    });
    const { cost, unpriced } = meter.bill();
    // 250 000 · 4 + 750 000 · 0.4 + 500 000 · 0.4 + 1000 · 16 + 1 · 64, by the million
    expect(cost).toEqual({
      currency: 'USD',
      total: 1.516064,
      byProvider: { openai: 1.516064 },
      byCarrier: {},
    });
    expect(unpriced).toEqual([]);
  });

  it('charges cached tokens in full where no price of them is known', () => {
    const { meter } = meterOf(withPrice('x', { perMillionTokens: { inputText: 10, inputAudio: 20 } }));
    const usage = {
      inputTextTokens: 100,
      cachedTextTokens: 60,
      inputAudioTokens: 100,
      cachedAudioTokens: 60,
    };
    meter.usage('x', undefined, { usage: tokens(usage) });
    expect(meter.bill().cost?.total).toBe(0.003);
  });

  it('is never less than nothing when more is said to be cached than was read', () => {
    const { meter } = meterOf();
    meter.usage('openai', 'm', { usage: tokens({ inputTextTokens: 10, cachedTextTokens: 1_000_000 }) });
    expect(meter.bill().cost?.total).toBe(0.000004);
  });

  it('adds up every report of a model, and knows others apart', () => {
    const { meter } = meterOf();
    for (let i = 0; i < 3; i++) {
      meter.usage('openai', 'gpt-realtime', { usage: tokens({ outputAudioTokens: 5, inputAudioTokens: 2 }) });
    }
    meter.usage('openai', 'gpt-realtime', {
      usage: tokens({ inputAudioTokens: 40, outputTextTokens: 7 }),
      model: 'gpt-transcribe',
    });
    const { usage, cost } = meter.bill();
    expect(usage).toEqual({
      'openai/gpt-realtime': { ...tokens({ outputAudioTokens: 15, inputAudioTokens: 6 }), seconds: 0 },
      'openai/gpt-transcribe': { ...tokens({ inputAudioTokens: 40, outputTextTokens: 7 }), seconds: 0 },
    });
    expect(cost?.byProvider).toEqual({ openai: 0.001462 });
  });

  it('loses nothing by many reports that each cost less than the last place', () => {
    const { meter } = meterOf();
    for (let i = 0; i < 10_000; i++)
      meter.usage('openai', 'm', { usage: tokens({ inputTextTokens: 1, cachedTextTokens: 1 }) });
    expect(meter.bill().cost?.total).toBe(0.004);
  });

  it('names what has no price, once, and leaves it out of the cost', () => {
    const { meter } = meterOf();
    meter.providerBegan('gemini', 'live');
    meter.usage('gemini', 'live', { usage: tokens({ inputTextTokens: 5 }) });
    meter.usage('gemini', 'live', { usage: tokens({ inputTextTokens: 5 }) });
    meter.usage('openai', 'm', {
      usage: tokens({ inputTextTokens: 1_000_000 }),
      model: 'whisper-1',
      seconds: 3,
    });
    meter.usage('openai', 'm', { usage: tokens({ inputTextTokens: 250_000 }) });
    meter.lineBegan('plivo', 'outbound');
    const { cost, unpriced } = meter.bill();
    expect(unpriced).toEqual(['gemini/live', 'openai/whisper-1', 'plivo outbound', 'plivo stream']);
    expect(cost).toEqual({ currency: 'USD', total: 1, byProvider: { openai: 1 }, byCarrier: {} });
  });

  it.each([
    ['tokens', { usage: tokens({ outputAudioTokens: 1e9 }) }],
    ['no end of tokens', { usage: tokens({ inputTextTokens: Number.POSITIVE_INFINITY }) }],
    ['tokens that are no number', { usage: tokens({ inputTextTokens: Number.NaN }) }],
    ['less than no tokens', { usage: tokens({ inputTextTokens: -1 }) }],
    ['seconds', { usage: tokens({ outputAudioTokens: 5 }), seconds: 86_401 }],
    ['no end of seconds', { usage: tokens({ outputAudioTokens: 5 }), seconds: 1e306 }],
  ])('does not count a report that cannot be true, and names it: %s', (_what, report) => {
    const { meter } = meterOf();
    meter.usage('openai', 'm', { usage: tokens({ inputTextTokens: 250_000 }) });
    meter.usage('openai', 'm', report);
    meter.usage('openai', 'm', report);
    const { usage, cost, unpriced } = meter.bill();
    expect(usage).toEqual({ 'openai/m': { ...tokens({ inputTextTokens: 250_000 }), seconds: 0 } });
    expect(cost?.total).toBe(1);
    expect(unpriced).toEqual(['openai/m implausible']);
    expect(decimal(meter.cost())).toBe(1);
  });

  it('has no cost when nothing that was used has a price', () => {
    const { meter } = meterOf();
    meter.usage('gemini', 'live', { usage: tokens({ inputTextTokens: 5 }) });
    expect(meter.bill().cost).toBeUndefined();
    expect(meter.bill().unpriced).toEqual(['gemini/live']);
  });

  it('has no cost without a price table, and counts all the same', () => {
    const { clock, meter } = meterOf(undefined);
    const bare = new CallMeter(clock, new Prices(undefined));
    bare.usage('openai', 'm', { usage: tokens({ outputAudioTokens: 5 }) });
    bare.lineBegan('twilio', 'inbound');
    clock.advance(1500);
    const bill = bare.bill();
    expect(bill.cost).toBeUndefined();
    expect(bare.cost()).toBe(0n);
    expect(bill.usage['openai/m']?.outputAudioTokens).toBe(5);
    expect(bill.carrierSeconds.twilio?.inbound).toEqual({ seconds: 1.5, billedSeconds: 60 });
    expect(bill.unpriced).toEqual(['openai/m', 'twilio inbound', 'twilio stream']);
    expect(meter.bill().usage).toEqual({});
  });

  it('names the kinds of tokens that an entry leaves out', () => {
    const { meter } = meterOf(withPrice('x', { perMillionTokens: { inputText: 10 } }));
    meter.usage('x', 'y', { usage: tokens({ inputTextTokens: 100_000, outputAudioTokens: 1 }) });
    expect(meter.bill().unpriced).toEqual(['x/y outputAudio']);
    expect(meter.bill().cost?.total).toBe(1);
  });

  it('charges a session by the millisecond, and takes the seconds of the provider for it where there are any', () => {
    const { clock, meter } = meterOf(withPrice('live', { perMinute: 0.6 }));
    const end = meter.providerBegan('live', 'v1');
    clock.advance(1234);
    expect(meter.bill().cost?.total).toBe(0.01234);
    end();
    clock.advance(10_000);
    end();
    expect(meter.bill().cost?.total).toBe(0.01234);
    expect(meter.bill().providerSeconds).toEqual({ live: 1.234 });
    meter.usage('live', 'v1', { usage: tokens({}), seconds: 2 });
    meter.usage('live', 'v1', { usage: tokens({}), seconds: 3.5 });
    expect(meter.bill().cost?.total).toBe(0.055);
    expect(meter.bill().usage['live/v1']?.seconds).toBe(5.5);
  });

  it('counts sessions that overlap each, and one that goes on after another', () => {
    const { clock, meter } = meterOf(withPrice('a', { perMinute: 6 }));
    const first = meter.providerBegan('a', 'm');
    clock.advance(1000);
    const second = meter.providerBegan('a', 'm');
    clock.advance(1000);
    first();
    clock.advance(1000);
    second();
    expect(meter.bill().providerSeconds).toEqual({ a: 4 });
    expect(meter.bill().cost?.total).toBe(0.4);
  });

  it('does not take a model for free that is priced by what it does not report', () => {
    const tokensOnly = meterOf(withPrice('t', { perMinute: 6 })).meter;
    tokensOnly.usage('x', 'm', { usage: tokens({ inputAudioTokens: 9 }), model: 't' });
    expect(tokensOnly.bill().unpriced).toEqual(['x/t tokens']);
    const secondsOnly = meterOf(withPrice('t', { perMillionTokens: { inputAudio: 6 } })).meter;
    secondsOnly.usage('x', 'm', { usage: tokens({}), model: 't', seconds: 9 });
    expect(secondsOnly.bill().unpriced).toEqual(['x/t minutes']);
  });

  it('has nothing to charge for what runs in this process', () => {
    const { clock, meter } = meterOf();
    meter.providerBegan('local', undefined);
    clock.advance(5000);
    expect(meter.bill()).toMatchObject({ unpriced: [], cost: { total: 0, byProvider: { local: 0 } } });
    expect(meter.bill().providerSeconds).toEqual({ local: 5 });
  });

  it.each([
    [0, 60],
    [1, 60],
    [59_999, 60],
    [60_000, 60],
    [60_000.4, 60],
    [60_001, 120],
    [600_000, 600],
  ])('charges a line of %i ms for %i s', (ms, billedSeconds) => {
    const { clock, meter } = meterOf();
    const ended = meter.lineBegan('twilio', 'outbound');
    clock.advance(ms);
    ended();
    clock.advance(1e6);
    expect(meter.bill().carrierSeconds.twilio?.outbound.billedSeconds).toBe(billedSeconds);
    expect(meter.bill().cost?.byCarrier.twilio).toBe(
      Math.round((billedSeconds / 60) * (14_000 + 4000)) / 1e6,
    );
  });

  it('rounds as the carrier does', () => {
    const { clock, meter } = meterOf({
      currency: 'USD',
      carriers: { telnyx: { inboundPerMinute: 0.006, roundUpSeconds: 6 } },
    });
    meter.lineBegan('telnyx', 'inbound');
    clock.advance(12_001);
    expect(meter.bill().carrierSeconds.telnyx).toEqual({
      inbound: { seconds: 12.001, billedSeconds: 18 },
      outbound: { seconds: 0, billedSeconds: 0 },
      stream: { seconds: 12.001, billedSeconds: 18 },
    });
    expect(meter.bill()).toMatchObject({ cost: { total: 0.0018 }, unpriced: [] });
  });

  it('rounds every line and every stream by itself', () => {
    const { clock, meter } = meterOf();
    const first = meter.lineBegan('twilio', 'inbound');
    clock.advance(10_000);
    first();
    const second = meter.lineBegan('twilio', 'inbound');
    clock.advance(60_000);
    second();
    first();
    clock.advance(60_000);
    const { carrierSeconds, cost } = meter.bill();
    expect(carrierSeconds.twilio).toEqual({
      inbound: { seconds: 70, billedSeconds: 120 },
      outbound: { seconds: 0, billedSeconds: 0 },
      stream: { seconds: 70, billedSeconds: 120 },
    });
    expect(cost?.byCarrier.twilio).toBe(0.025);
  });

  it('takes a model that helped before for that of a session once there is one', () => {
    const { clock, meter } = meterOf(withPrice('x', { perMinute: 6 }));
    meter.usage('x', 'm', { usage: tokens({}), model: 'both' });
    expect(meter.bill().providerSeconds).toEqual({});
    expect(meter.bill().unpriced).toEqual(['x/both']);
    meter.providerBegan('x', 'both');
    clock.advance(1000);
    expect(meter.bill().providerSeconds).toEqual({ x: 1 });
    expect(meter.bill()).toMatchObject({ unpriced: [], cost: { total: 0.1 } });
  });

  it('takes times that were noted before, or that come in the wrong order', () => {
    const { clock, meter } = meterOf();
    clock.advance(100_000);
    const ended = meter.lineBegan('twilio', 'inbound', 70_000);
    ended(90_000);
    const odd = meter.providerBegan('openai', 'm', 50_000);
    odd(40_000);
    expect(meter.bill().carrierSeconds.twilio?.inbound.seconds).toBe(20);
    expect(meter.bill().providerSeconds).toEqual({ openai: 0 });
  });

  it('has parts that add up to the total', () => {
    const { clock, meter } = meterOf({
      currency: 'EUR',
      providers: { a: { perMinute: 0.000001 }, b: { perMinute: 0.000001 }, c: { perMinute: 0.000001 } },
    });
    for (const name of ['a', 'b', 'c']) meter.providerBegan(name, undefined);
    clock.advance(30_000);
    expect(meter.bill().cost).toEqual({
      currency: 'EUR',
      total: 0.000003,
      byProvider: { a: 0.000001, b: 0.000001, c: 0.000001 },
      byCarrier: {},
    });
  });

  it('is plain JSON', () => {
    const { clock, meter } = meterOf();
    meter.providerBegan('openai', 'gpt-realtime');
    meter.lineBegan('twilio', 'inbound');
    clock.advance(1000);
    expect(JSON.parse(JSON.stringify(meter.bill()))).toEqual(meter.bill());
  });

  it('can tell what it will be when nothing else happens', () => {
    const { clock, meter } = meterOf();
    meter.lineBegan('twilio', 'inbound');
    expect(decimal(meter.cost(clock.now() + 60_000))).toBe(0.0125);
    expect(decimal(meter.cost(clock.now() + 60_001))).toBe(0.025);
    expect(decimal(meter.cost())).toBe(0.0125);
  });
});

describe('docs/cost.md', () => {
  const page = readFileSync(new URL('../docs/cost.md', import.meta.url), 'utf8');
  function blocks(language: string): string[] {
    return [...page.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(
      ([, text]) => text ?? '',
    );
  }
  const table = pricesSchema.parse((parse(blocks('yaml')[0] ?? '') as { prices: unknown }).prices);
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| `gpt-'))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));

  it('shows what each kind of tokens costs', () => {
    expect(rows).toHaveLength(8);
    for (const [, model = '', kind = '', count, price, cost] of rows) {
      const prices = table.providers[model] ?? table.providers['openai'];
      const known = prices?.perMillionTokens?.[kind as TokenKind];
      expect(String(known)).toBe(price);
      expect(String(decimal(share(moneyOf(known ?? 0), Number(count), 1_000_000)))).toBe(cost);
    }
  });

  function exampleBill(): CallBill {
    const clock = new VirtualClock();
    const meter = new CallMeter(clock, new Prices(table));
    const of = (model: string, kind: TokenKind): number =>
      Number(rows.find((row) => row[1] === model && row[2] === kind)?.[3] ?? 0);
    const usage = (model: string): Usage => ({
      inputTextTokens: of(model, 'inputText') + of(model, 'cachedText'),
      cachedTextTokens: of(model, 'cachedText'),
      inputAudioTokens: of(model, 'inputAudio') + of(model, 'cachedAudio'),
      cachedAudioTokens: of(model, 'cachedAudio'),
      outputTextTokens: of(model, 'outputText'),
      outputAudioTokens: of(model, 'outputAudio'),
    });
    expect(tokensOf(usage('gpt-realtime-2.1')).cachedAudio).toBe(1984);
    meter.providerBegan('openai', 'gpt-realtime-2.1');
    clock.advance(1000);
    meter.lineBegan('twilio', 'inbound');
    clock.advance(140_000);
    meter.usage('openai', 'gpt-realtime-2.1', { usage: usage('gpt-realtime-2.1') });
    meter.usage('openai', 'gpt-realtime-2.1', { usage: usage('gpt-transcribe'), model: 'gpt-transcribe' });
    return meter.bill();
  }

  it('shows the bill of its example', () => {
    expect(JSON.parse(blocks('json')[0] ?? '')).toEqual(exampleBill());
  });

  it('shows budgets that can be read', () => {
    const file = parse(blocks('yaml')[1] ?? '') as {
      agents: { booking: { budget: unknown } };
      numbers: [{ budget: unknown }];
      budget: unknown;
    };
    expect(agentBudgetSchema.parse(file.agents.booking.budget).perCall).toBe(1.5);
    expect(numberBudgetSchema.parse(file.numbers[0].budget).perDay).toBe(20);
    expect(dayBudgetSchema.parse(file.budget)).toEqual({ perDay: 100, refusal: 'busy' });
  });
});
