import { describe, expect, it } from 'vitest';
import type { ControlResult, Transfer } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { ToolRunner } from '../src/tool-runner.ts';
import {
  collectDigits,
  type Destination,
  endCall,
  leaveMessage,
  sendDigits,
  transferCall,
} from '../src/tools/built-in.ts';
import type { CallHandle, CollectedDigits, DigitWish, Tool } from '../src/tools.ts';
import { pending, refused } from './support/call-kit.ts';
import { callStub } from './support/call-stub.ts';
import { settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const DEFAULTS: DigitWish = { max: 16, endKey: '#', firstMs: 10_000, nextMs: 4000 };
const RECEPTION: Destination = {
  name: 'reception',
  description: 'for everything else',
  to: '+14155550177',
  callerId: '+14155550178',
  ringS: 20,
  announce: 'A caller for you.',
  language: 'en-GB',
};
const KITCHEN: Destination = { ...RECEPTION, name: 'kitchen', description: undefined, to: '+14155550188' };

function make(tool: Tool, call: Partial<CallHandle> = {}) {
  const clock = new VirtualClock();
  const over = new AbortController();
  const runner = new ToolRunner({
    tools: [tool],
    clock,
    call: callStub(call),
    signal: over.signal,
    atOnce: 4,
  });
  const run = async (args: unknown, id = 'c') => {
    const ran = await runner.run(id, tool.definition.name, JSON.stringify(args));
    return { ...ran, told: JSON.parse(ran.result.output) as unknown };
  };
  return { clock, runner, run, over };
}

describe('end_call', () => {
  it('has the call end after the goodbye, and says that it was this function that wanted it', async () => {
    let asked = 0;
    const { run } = make(endCall, {
      hangUpAfterGoodbye: () => {
        asked += 1;
      },
    });
    expect(await run({})).toMatchObject({ told: { ok: true }, hangsUp: true, outcome: 'done' });
    expect(asked).toBe(1);
  });
});

describe('transfer_call', () => {
  const tool = transferCall([RECEPTION, KITCHEN]);

  it('offers destinations by name, and no number anywhere', () => {
    const text = JSON.stringify(tool.definition);
    expect(text).toContain('reception (for everything else); kitchen');
    expect(tool.definition.parameters).toMatchObject({
      properties: { destination: { enum: ['reception', 'kitchen'] } },
      required: ['destination'],
    });
    expect(text).not.toMatch(/\+?\d{5}/);
  });

  it('puts the caller through as the operator wrote it, once what the agent says was heard', async () => {
    const heard = pending<void>();
    const orders: Transfer[] = [];
    const { run } = make(tool, {
      heard: () => heard.promise,
      transfer: async (transfer) => {
        orders.push(transfer);
        return { status: 'ok' };
      },
    });
    const ran = run({ destination: 'kitchen' });
    await settled();
    expect(orders).toEqual([]);
    heard.resolve();
    expect(await ran).toMatchObject({ outcome: 'done', told: { ok: true } });
    const { name: _name, description: _description, ...transfer } = KITCHEN;
    expect(orders).toEqual([transfer]);
  });

  it.each([
    ['a number', '+14155550177'],
    ['nobody', ''],
    ['another name', 'Reception'],
  ])('puts nobody through to %s', async (_what, destination) => {
    let orders = 0;
    const { run } = make(tool, {
      transfer: async () => {
        orders += 1;
        return { status: 'ok' };
      },
    });
    expect(await run({ destination })).toMatchObject({ outcome: 'refused', result: { isError: true } });
    expect(orders).toBe(0);
  });

  it('is called off by a caller who speaks up before it', async () => {
    const heard = pending<void>();
    let orders = 0;
    const { run, runner } = make(tool, {
      heard: () => heard.promise,
      transfer: async () => {
        orders += 1;
        return { status: 'ok' };
      },
    });
    const ran = run({ destination: 'reception' });
    await settled();
    runner.interrupted();
    expect((await ran).outcome).toBe('cancelled');
    heard.resolve();
    await settled();
    expect(orders).toBe(0);
  });

  it('tells the model in words why it came to nothing', async () => {
    const { run } = make(tool, { transfer: async () => refused('CARRIER_UNAVAILABLE') });
    const { outcome, result } = await run({ destination: 'reception' });
    expect(outcome).toBe('failed');
    expect(result).toMatchObject({ isError: true });
    expect(result.output).toContain('the carrier said no');
    expect(result.output).not.toContain('4155550177');
  });

  it('does not call it a success when the call is over', async () => {
    const { run } = make(tool, { transfer: async () => ({ status: 'already-ended' }) });
    expect((await run({ destination: 'reception' })).told).toEqual({ ok: false, note: 'the call is over' });
  });
});

describe('send_digits', () => {
  it.each(['5', '0123456789*#ABCD', '1w2W3', '9'.repeat(64)])(
    'presses %s, after what is said',
    async (digits) => {
      const log: string[] = [];
      const { run } = make(sendDigits, {
        heard: async () => void log.push('heard'),
        sendDigits: async (keys): Promise<ControlResult> => {
          log.push(keys);
          return { status: 'ok' };
        },
      });
      expect(await run({ digits })).toMatchObject({ outcome: 'done', told: { ok: true } });
      expect(log).toEqual(['heard', digits]);
    },
  );

  it.each(['', '12 3', 'E', '+49', '1,2', '9'.repeat(65), 'a'])(
    'refuses %j, and says what is wanted',
    async (digits) => {
      let pressed = 0;
      const { run } = make(sendDigits, {
        sendDigits: async () => {
          pressed += 1;
          return { status: 'ok' };
        },
      });
      const { outcome, result } = await run({ digits });
      expect(outcome).toBe('refused');
      expect(result.output).toContain('0-9 * # A-D w W');
      expect(pressed).toBe(0);
    },
  );

  it('keeps what is pressed out of the facts that are reported', async () => {
    const { run } = make(sendDigits, { sendDigits: async () => ({ status: 'ok' }) });
    const { args, outcome } = await run({ digits: '4111111111111111' });
    expect([outcome, args]).toEqual(['done', { digits: '[redacted]' }]);
    const wrong = await run({ digits: '4111-1111' }, 'b');
    expect(wrong.outcome).toBe('refused');
    expect(`${JSON.stringify(wrong.args)}${wrong.error?.message}`).not.toContain('4111');
  });

  it('fails in words when the carrier does', async () => {
    const { run } = make(sendDigits, { sendDigits: async () => refused() });
    expect(await run({ digits: '1' })).toMatchObject({ outcome: 'failed', result: { isError: true } });
  });
});

describe('collect_digits', () => {
  const tool = collectDigits(DEFAULTS);

  it.each([
    [{}, DEFAULTS],
    [{ max_digits: 4 }, { ...DEFAULTS, max: 4 }],
    [{ end_key: '*' }, { ...DEFAULTS, endKey: '*' }],
    [
      { end_key: 'none', max_digits: 64 },
      { ...DEFAULTS, endKey: undefined, max: 64 },
    ],
  ])('takes what the model says of the keys before the defaults: %j', async (args, wanted) => {
    const wishes: DigitWish[] = [];
    const { run } = make(tool, {
      collectDigits: async (wish) => {
        wishes.push(wish);
        return { status: 'complete', digits: '1234' };
      },
    });
    expect((await run(args)).told).toEqual({ status: 'complete', digits: '1234' });
    expect(wishes).toEqual([wanted]);
  });

  it.each([{ max_digits: 0 }, { max_digits: 65 }, { max_digits: 1.5 }, { end_key: '7' }])(
    'refuses %j',
    async (args) => {
      const { run } = make(tool);
      expect((await run(args)).outcome).toBe('refused');
    },
  );

  it.each([
    [
      { status: 'timeout', digits: '12' },
      { status: 'the caller stopped', digits: '12' },
    ],
    [
      { status: 'timeout', digits: '' },
      { status: 'the caller stopped', digits: '' },
    ],
    [{ status: 'gone' }, { status: 'not collected' }],
  ] satisfies [CollectedDigits, unknown][])('tells %j as what it is', async (result, told) => {
    const { run } = make(tool, { collectDigits: async () => result });
    expect((await run({})).told).toEqual(told);
  });

  it('goes on while the caller speaks, and gives up when the call ends', async () => {
    let signal: AbortSignal | undefined;
    const { run, runner, over } = make(tool, {
      collectDigits: (_wish, given) => {
        signal = given;
        return new Promise(() => undefined);
      },
    });
    const ran = run({});
    runner.interrupted();
    expect(signal?.aborted).toBe(false);
    over.abort(new BridgeError('CANCELLED', 'the call is over'));
    expect((await ran).outcome).toBe('cancelled');
    expect(signal?.aborted).toBe(true);
  });

  it('keeps what was typed out of the facts that are reported', async () => {
    const { run } = make(tool, { collectDigits: async () => ({ status: 'complete', digits: '8675309' }) });
    const { result: _result, told: _told, ...facts } = await run({ max_digits: 7 });
    expect(JSON.stringify(facts)).not.toContain('8675309');
  });
});

describe('leave_message', () => {
  it('says the operator’s words, whatever the model thinks', async () => {
    const said: string[] = [];
    const tool = leaveMessage('Please call us back.');
    const { run } = make(tool, { leaveMessage: (text) => void said.push(text) });
    expect(await run({})).toMatchObject({ outcome: 'done', told: { ok: true } });
    expect(said).toEqual(['Please call us back.']);
    expect(tool.definition.parameters).not.toHaveProperty('properties.message');
  });

  it('keeps the model’s words out of the facts that are reported', async () => {
    const { run } = make(leaveMessage(undefined), { leaveMessage: () => undefined });
    const { args, outcome } = await run({ message: 'Your test was negative.' });
    expect([outcome, args]).toEqual(['done', { message: '[redacted]' }]);
  });

  it('says the model’s words where the operator has none', async () => {
    const said: string[] = [];
    const { run } = make(leaveMessage(undefined), { leaveMessage: (text) => void said.push(text) });
    expect((await run({ message: 'Your table is booked.' })).outcome).toBe('done');
    expect(said).toEqual(['Your table is booked.']);
    expect((await run({}, 'd')).outcome).toBe('refused');
    expect((await run({ message: '' }, 'e')).outcome).toBe('refused');
    expect(said).toHaveLength(1);
  });
});

describe('what takes its time by nature', () => {
  it.each([transferCall([RECEPTION]), sendDigits, collectDigits(DEFAULTS), leaveMessage('x')])(
    'is not filled with words',
    (tool) => expect(tool.fillerAfterMs).toBe(0),
  );
});
