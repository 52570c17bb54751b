import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { idempotencyKey } from '../src/tools/idempotency.ts';
import type { CollectedDigits, ToolContext } from '../src/tools.ts';
import { defineTool, type Tool } from '../src/tools.ts';
import { asked, startRunner } from './support/tool-runs.ts';

/** A function whose runs the test ends by hand. */
class Held {
  readonly calls: ToolContext[] = [];
  readonly args: unknown[] = [];
  readonly tool: Tool;
  readonly #ends: { readonly done: (value: unknown) => void; readonly fail: (error: unknown) => void }[] = [];

  constructor(
    name: string,
    traits: { readonly cancelOnInterrupt?: boolean; readonly timeoutMs?: number } = {},
  ) {
    this.tool = defineTool({
      name,
      description: '',
      ...traits,
      run: (args, call) => {
        this.calls.push(call);
        this.args.push(args);
        return new Promise((done, fail) => this.#ends.push({ done, fail }));
      },
    });
  }

  done(index: number, value: unknown = 'done'): void {
    this.#ends[index]?.done(value);
  }

  fail(index: number, error: unknown): void {
    this.#ends[index]?.fail(error);
  }
}

function thenable(then: PropertyDescriptor): object {
  return Object.defineProperty({}, 'then', then);
}

function fail(message: string): never {
  throw new Error(message);
}

/** Long enough for everything that is settled to be told. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a function', () => {
  it('that takes too long is told to stop and answered for; what comes of it later is nobody’s business', async () => {
    const slow = new Held('slow', { timeoutMs: 500 });
    const runner = startRunner([slow.tool]);
    const run = asked(runner, 'slow');
    runner.clock.advance(499);
    expect(slow.calls[0]?.signal.aborted).toBe(false);
    runner.clock.advance(1);
    expect(await run).toMatchObject({ outcome: 'timeout', ms: 500, error: { code: 'TIMEOUT' } });
    expect(JSON.parse((await run).result.output).error).toBe(
      'function slow took longer than 500 ms; it was told to stop; whether it has had an effect is not known',
    );
    expect(slow.calls[0]?.signal.reason).toMatchObject({ code: 'TIMEOUT' });
    slow.fail(0, new Error('late'));
    await settled();
    expect((await run).outcome).toBe('timeout');
    expect(runner.tools.running).toBe(0);
  });

  it('that is done is never told to stop', async () => {
    const held = new Held('held', { cancelOnInterrupt: true });
    const runner = startRunner([held.tool]);
    const run = asked(runner, 'held');
    held.done(0, { table: 4 });
    expect(await run).toMatchObject({ outcome: 'done', result: { output: '{"table":4}', isError: false } });
    runner.tools.interrupted();
    runner.clock.advance(60_000);
    runner.call.abort();
    expect(held.calls[0]?.signal.aborted).toBe(false);
  });

  it.each([
    [
      'withdrawn',
      'the model withdrew the call',
      (r: ReturnType<typeof startRunner>) => r.tools.cancel(['no', 'ask-1']),
    ],
    ['interrupted', 'the caller cut in', (r: ReturnType<typeof startRunner>) => r.tools.interrupted()],
    [
      'overtaken by the end',
      'the call has ended',
      (r: ReturnType<typeof startRunner>) => r.call.abort(new Error('x')),
    ],
  ])('that is %s has its result at once, and its handler knows why', async (_how, why, giveUp) => {
    const held = new Held('held', { cancelOnInterrupt: true });
    const runner = startRunner([held.tool]);
    const run = asked(runner, 'held');
    runner.clock.advance(30);
    giveUp(runner);
    expect(await run).toMatchObject({ outcome: 'cancelled', ms: 30, error: { code: 'CANCELLED' } });
    expect((await run).result).toEqual({ output: expect.stringContaining(why), isError: true });
    expect((await run).result.output).toContain('not known');
    expect(held.calls[0]?.signal.reason).toBeInstanceOf(BridgeError);
    expect(String(held.calls[0]?.signal.reason)).toContain(why);
  });

  it('goes on when the caller cuts in, unless it says otherwise', async () => {
    const held = new Held('held');
    const runner = startRunner([held.tool]);
    const run = asked(runner, 'held');
    runner.tools.interrupted();
    held.done(0);
    expect((await run).outcome).toBe('done');
  });

  it('is not run for a call that is over', async () => {
    const held = new Held('held');
    const runner = startRunner([held.tool]);
    runner.call.abort();
    expect((await asked(runner, 'held')).outcome).toBe('cancelled');
    expect(held.calls).toEqual([]);
  });

  it('that ends the call itself has a result all the same', async () => {
    const runner = startRunner([
      defineTool({
        name: 'leave',
        description: '',
        run: () => {
          runner.call.abort();
          return 'left';
        },
      }),
    ]);
    expect((await asked(runner, 'leave')).outcome).toBe('cancelled');
  });
});

describe('several functions', () => {
  it('run as many at once as they may, the others in the order in which they were asked for', async () => {
    const held = new Held('held');
    const runner = startRunner([held.tool], { atOnce: 2 });
    const runs = [0, 1, 2, 3].map((id) => asked(runner, 'held', { id }));
    expect([held.calls.length, runner.tools.running]).toEqual([2, 4]);
    runner.clock.advance(100);
    held.done(1);
    expect(await runs[1]).toMatchObject({ outcome: 'done', ms: 100, waitedMs: 0 });
    expect(held.args.at(-1)).toEqual({ id: 2 });
    runner.clock.advance(50);
    held.done(0);
    held.done(2);
    expect(await runs[2]).toMatchObject({ ms: 150, waitedMs: 100 });
    held.done(3);
    expect(await runs[3]).toMatchObject({ ms: 150, waitedMs: 150 });
  });

  it.each([0, -1, Number.NaN, 0.5])('run one after the other when %d may run at once', async (atOnce) => {
    const held = new Held('held');
    const runner = startRunner([held.tool], { atOnce });
    const runs = [asked(runner, 'held'), asked(runner, 'held')];
    expect(held.calls).toHaveLength(1);
    held.done(0);
    await runs[0];
    expect(held.calls).toHaveLength(2);
    held.done(1);
    await runs[1];
  });

  it('do not lose time of their own while they wait', async () => {
    const held = new Held('held', { timeoutMs: 500 });
    const runner = startRunner([held.tool], { atOnce: 1 });
    const runs = [asked(runner, 'held'), asked(runner, 'held')];
    runner.clock.advance(500);
    expect((await runs[0])?.outcome).toBe('timeout');
    runner.clock.advance(499);
    held.done(1);
    expect(await runs[1]).toMatchObject({ outcome: 'done', waitedMs: 500, ms: 999 });
  });

  it.each([
    ['withdrawn', (r: ReturnType<typeof startRunner>) => r.tools.cancel(['ask-1', 'ask-2'])],
    ['interrupted', (r: ReturnType<typeof startRunner>) => r.tools.interrupted()],
    ['overtaken by the end', (r: ReturnType<typeof startRunner>) => r.call.abort()],
  ])('that are %s while they wait are never run', async (_how, giveUp) => {
    const held = new Held('held', { cancelOnInterrupt: true });
    const runner = startRunner([held.tool], { atOnce: 1 });
    const runs = [asked(runner, 'held'), asked(runner, 'held')];
    giveUp(runner);
    const [first, second] = await Promise.all(runs);
    expect(first?.result.output).toContain('not known');
    expect(second).toMatchObject({ outcome: 'cancelled' });
    expect(second?.result.output).toContain('it was not run');
    expect(held.calls).toHaveLength(1);
  });

  it('are not held up by a handler that does not stop', async () => {
    const deaf = new Held('deaf', { timeoutMs: 10 });
    const runner = startRunner([deaf.tool], { atOnce: 1 });
    const runs = [asked(runner, 'deaf'), asked(runner, 'deaf')];
    runner.clock.advance(10);
    deaf.done(1, 'second');
    expect((await Promise.all(runs)).map(({ outcome }) => outcome)).toEqual(['timeout', 'done']);
  });

  it('that are wrong are told so without waiting for their turn', async () => {
    const held = new Held('held');
    const runner = startRunner([held.tool], { atOnce: 1 });
    const first = asked(runner, 'held');
    expect((await asked(runner, 'help')).outcome).toBe('refused');
    held.done(0);
    await first;
  });

  it('are refused beyond 64 without a result', async () => {
    const held = new Held('held');
    const runner = startRunner([held.tool]);
    const runs = Array.from({ length: 70 }, () => asked(runner, 'held'));
    expect(runner.tools.running).toBe(64);
    runner.call.abort();
    const outcomes = (await Promise.all(runs)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(6);
  });

  it('that fail at once all have their result, however many wait', async () => {
    const first = new Held('held');
    let ran = 0;
    const broken = defineTool({
      name: 'broken',
      description: '',
      run: () => {
        ran += 1;
        throw new Error('no');
      },
    });
    const runner = startRunner([first.tool, broken], { atOnce: 1 });
    const runs = [asked(runner, 'held'), ...Array.from({ length: 60 }, () => asked(runner, 'broken'))];
    first.done(0);
    await Promise.all(runs);
    expect([ran, runner.tools.running]).toEqual([60, 0]);
  });
});

describe('an invocation that is delivered again', () => {
  it('is not run again, neither while it runs nor later', async () => {
    const held = new Held('held');
    const { tools } = startRunner([held.tool]);
    expect(tools.knows('a', 'held', '{}')).toBe(false);
    const first = tools.run('a', 'held', '{}');
    expect(tools.knows('a', 'held', '{}')).toBe(true);
    expect(tools.run('a', 'held', '{}')).toBe(first);
    held.done(0, 'only once');
    await first;
    expect((await tools.run('a', 'held', '{}')).result.output).toBe('only once');
    expect(held.calls).toHaveLength(1);
  });

  it('is remembered among the last 256', async () => {
    let ran = 0;
    const count = defineTool({ name: 'count', description: '', run: () => ++ran });
    const { tools } = startRunner([count]);
    for (let i = 0; i < 257; i++) await tools.run(`id-${i}`, 'count', '{}');
    await tools.run('id-1', 'count', '{}');
    await tools.run('id-256', 'count', '{}');
    expect(ran).toBe(257);
    await tools.run('id-0', 'count', '{}');
    expect(ran).toBe(258);
  });

  it('is not run again as long as it runs, whatever else has run meanwhile', async () => {
    const held = new Held('held');
    const quick = defineTool({ name: 'quick', description: '', run: () => 'ok' });
    const { tools } = startRunner([held.tool, quick]);
    const first = tools.run('a', 'held', '{}');
    for (let i = 0; i < 600; i++) await tools.run(`id-${i}`, 'quick', '{}');
    expect(tools.run('a', 'held', '{}')).toBe(first);
    held.done(0);
    await first;
    expect(held.calls).toHaveLength(1);
  });

  it('is another one when the function or the arguments are others: some servers reuse their ids', async () => {
    const held = new Held('held');
    const { tools } = startRunner([held.tool]);
    const runs = [tools.run('call_0', 'held', '{"a":1}'), tools.run('call_0', 'held', '{"a":2}')];
    held.done(0, 'first');
    held.done(1, 'second');
    const [first, second] = await Promise.all(runs);
    expect([first?.result.output, second?.result.output]).toEqual(['first', 'second']);
    expect(first?.idempotencyKey).toBe('CA1:call_0');
    expect(second?.idempotencyKey).toBe('CA1:call_0:2');
    expect(held.calls.map((call) => call.idempotencyKey)).toEqual(['CA1:call_0', 'CA1:call_0:2']);
  });
});

describe('an idempotency key', () => {
  it.each([
    ['CA1', 'call_1'],
    ['CA1', 'x'.repeat(500)],
    ['v3:abc', 'ü'],
    ['CA1', 'a b\r\nEvil: 1'],
    ['', ''],
  ])('is fit for a header: %j %j', (callId, toolCallId) => {
    const key = idempotencyKey(callId, toolCallId);
    expect(key).toMatch(/^[\x21-\x7e]{1,128}$/);
    expect(idempotencyKey(callId, toolCallId)).toBe(key);
    expect(idempotencyKey(callId, `${toolCallId}.`)).not.toBe(key);
    expect(idempotencyKey(callId, toolCallId, 2)).not.toBe(key);
  });
});

describe('a handler', () => {
  it('whose time is over can look at the call, but do nothing with it any more', async () => {
    const done: string[] = [];
    const act = (what: string) => async () => {
      done.push(what);
      return { status: 'ok' } as const;
    };
    const held = new Held('held', { timeoutMs: 100 });
    const runner = startRunner([held.tool], {
      handle: {
        hangUpAfterGoodbye: () => done.push('hangUp'),
        leaveMessage: () => done.push('leaveMessage'),
        transfer: act('transfer'),
        sendDigits: act('sendDigits'),
        record: act('record'),
        collectDigits: async () => {
          done.push('collectDigits');
          return { status: 'complete', digits: '1' };
        },
        roundTripMs: () => 12,
      },
    });
    const run = asked(runner, 'held');
    const context = held.calls[0];
    if (context === undefined) throw new Error('it was not run');
    const useAll = async (): Promise<unknown[]> => {
      context.hangUpAfterGoodbye();
      context.leaveMessage('Hello');
      const wish = { max: 1, endKey: undefined, firstMs: 1, nextMs: 1 };
      const to = {
        to: '+15550199',
        callerId: undefined,
        ringS: 20,
        announce: undefined,
        language: undefined,
      };
      return [
        await context.transfer(to),
        await context.sendDigits('1'),
        await context.record(true),
        await context.collectDigits(wish, new AbortController().signal),
      ];
    };
    await useAll();
    const all = ['hangUp', 'leaveMessage', 'transfer', 'sendDigits', 'record', 'collectDigits'];
    expect(done).toEqual(all);
    runner.clock.advance(100);
    expect((await run).hangsUp).toBe(true);
    const ended = { status: 'already-ended' };
    expect(await useAll()).toEqual([ended, ended, ended, { status: 'gone' }]);
    expect(done).toEqual(all);
    expect(context.roundTripMs()).toBe(12);
  });

  it('that has asked for the end of the call is known to have', async () => {
    const leave = defineTool({
      name: 'leave',
      description: '',
      run: (_args, call) => call.hangUpAfterGoodbye(),
    });
    expect(await asked(startRunner([leave]), 'leave')).toMatchObject({ hangsUp: true, outcome: 'done' });
  });

  it('no longer waits for keys when it is done, whichever signal it has passed on', async () => {
    const until: AbortSignal[] = [];
    const gone = (signal: AbortSignal): Promise<CollectedDigits> =>
      new Promise((resolve) => {
        until.push(signal);
        signal.addEventListener('abort', () => resolve({ status: 'gone' }), { once: true });
      });
    const own = new AbortController();
    const careless = defineTool({
      name: 'careless',
      description: '',
      run: (_args, call) => {
        call.collectDigits({ max: 4, endKey: '#', firstMs: 1, nextMs: 1 }, own.signal).catch(() => undefined);
        return 'did not wait';
      },
    });
    const runner = startRunner([careless], { handle: { collectDigits: (_wish, signal) => gone(signal) } });
    await asked(runner, 'careless');
    await settled();
    expect(until.map(({ aborted }) => aborted)).toEqual([true]);
    expect(getEventListeners(own.signal, 'abort')).toEqual([]);
  });

  const thrown: readonly (readonly [string, unknown, string])[] = [
    ['an error', new Error('no table free'), 'no table free'],
    ['one of ours, without its code', new BridgeError('BAD_INPUT', 'no table free'), 'no table free'],
    ['a text', 'no table free', 'no table free'],
    ['a number', 404, '404'],
    ['nothing', undefined, 'the function failed and did not say why'],
    ['null', null, 'null'],
    ['an error without words', new Error(''), 'Error'],
    [
      'an error that has only a code',
      Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }),
      'ECONNREFUSED',
    ],
    ['an object with a message', { message: 'no table free' }, 'no table free'],
    ['an object that cannot be written', Object.create(null), 'the function failed and did not say why'],
    ['a symbol', Symbol('no'), 'Symbol(no)'],
    [
      'one that does not want to be looked at',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('trap');
          },
        },
      ),
      'the function failed and did not say why',
    ],
  ];

  it.each(thrown)('may throw %s', async (_what, value, told) => {
    const now = defineTool({
      name: 'now',
      description: '',
      run: () => {
        throw value;
      },
    });
    const later = defineTool({ name: 'later', description: '', run: () => Promise.reject(value) });
    const runner = startRunner([now, later]);
    for (const name of ['now', 'later']) {
      const { outcome, result, error } = await asked(runner, name);
      expect([outcome, result.isError, error?.name]).toEqual(['failed', true, 'BridgeError']);
      expect(JSON.parse(result.output)).toEqual({ error: told });
    }
  });

  it.each([
    [
      "ENOENT: no such file or directory, open '/srv/app data/book.db'",
      "ENOENT: no such file or directory, open '[file]'",
    ],
    ['cannot read /var/lib/book/rows.json: too short', 'cannot read [file]: too short'],
    ['cannot read file:///opt/app/rows.js now', 'cannot read [file] now'],
    ['cannot read C:\\Users\\app\\rows.json', 'cannot read [file]'],
    [
      'GET https://api.example.com/orders/5 was answered with 404',
      'GET https://api.example.com/orders/5 was answered with 404',
    ],
    ['1/2 of it and/or none', '1/2 of it and/or none'],
    ['wrong\n    at run (/app/src/rows.js:1:2)\n    at async start (node:internal:3)', 'wrong'],
  ])('does not tell the model where things lie: %j', async (message, told) => {
    const broken = defineTool({
      name: 'broken',
      description: '',
      run: () => Promise.reject(new Error(message)),
    });
    expect(JSON.parse((await asked(startRunner([broken]), 'broken')).result.output).error).toBe(told);
  });

  it.each([
    [
      'cannot connect to postgres://app:hunter2@db.example.com:5432/crm',
      'cannot connect to postgres://[removed]@db.example.com:5432/crm',
    ],
    ['redis://:p@ss/w0rd@cache.example.com refused', 'redis://[removed]@cache.example.com refused'],
    ['https://ghp_abc@git.example.com/x was not found', 'https://[removed]@git.example.com/x was not found'],
    ['connect ECONNREFUSED 10.0.0.5:5432', 'connect ECONNREFUSED [address]'],
    ['no answer of 192.168.1.20, nor of 172.20.0.3.', 'no answer of [address], nor of [address].'],
    ['connect ECONNREFUSED ::1:5432 or [fd00::5]:80', 'connect ECONNREFUSED [address] or [address]'],
    ['no route to fe80::1%eth0', 'no route to [address]'],
    ['401 for Authorization: Bearer sk-abc.DEF/1', '401 for Authorization: Bearer [removed]'],
    ['sent Basic YXBwOmh1bnRlcg==, refused', 'sent Basic [removed], refused'],
    ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl is too old', 'jwt [removed] is too old'],
    [
      'Server=db.example.com;User=app;Password=hunter2;Timeout=5',
      'Server=db.example.com;User=app;Password=[removed];Timeout=5',
    ],
    ['GET /v1?api_key=abc123&city=Rome failed', 'GET /v1?api_key=[removed]&city=Rome failed'],
  ])('does not tell the model keys and private addresses: %j', async (message, told) => {
    const broken = defineTool({
      name: 'broken',
      description: '',
      run: () => Promise.reject(new Error(message)),
    });
    expect(JSON.parse((await asked(startRunner([broken]), 'broken')).result.output).error).toBe(told);
  });

  it.each([
    'the basic membership costs 10.50, and version 10.2.3 has it',
    'write to ada@example.com about https://example.com/a:b',
    'the password is too short; wanted: 12 characters',
    'open from 10:00 to 18:30 on 10.12.2026',
    'host 8.8.8.8 and 172.40.0.1 are public, and so is 2001:db8::1',
  ])('is told the model as it is: %j', async (message) => {
    const broken = defineTool({
      name: 'broken',
      description: '',
      run: () => Promise.reject(new Error(message)),
    });
    expect(JSON.parse((await asked(startRunner([broken]), 'broken')).result.output).error).toBe(message);
  });

  it('that says too much is cut short', async () => {
    const broken = defineTool({ name: 'broken', description: '', run: () => new Error('é'.repeat(100_000)) });
    const { result, outcome, error } = await asked(startRunner([broken]), 'broken');
    expect(outcome).toBe('failed');
    expect(JSON.parse(result.output).error).toHaveLength(1000);
    expect(error?.message.length).toBeLessThan(1100);
  });

  it.each([
    ['throws in its own `then`', thenable({ get: () => fail('no then') })],
    ['never calls back', thenable({ value: () => undefined })],
    ['calls back twice', thenable({ value: (done: (value: string) => void) => [done('a'), done('b')] })],
    [
      'has a strange constructor',
      Object.defineProperty(Promise.resolve('a'), 'constructor', { get: () => fail('no class') }),
    ],
  ])('may return a promise that %s', async (_what, promise) => {
    const strange = defineTool({ name: 'strange', description: '', run: () => promise });
    const runner = startRunner([strange]);
    const run = asked(runner, 'strange');
    await settled();
    runner.clock.advance(10_000);
    expect(['done', 'failed', 'timeout']).toContain((await run).outcome);
  });
});

describe('a thousand runs', () => {
  it('leave no listener on the call and no timer on the clock, however they end', async () => {
    const held = new Held('held', { cancelOnInterrupt: true, timeoutMs: 50 });
    const quick = defineTool({ name: 'quick', description: '', run: () => 'ok' });
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    try {
      const runner = startRunner([held.tool, quick], { atOnce: 8 });
      for (let round = 0; round < 50; round++) {
        const runs = [
          ...Array.from({ length: 10 }, () => asked(runner, 'quick')),
          ...Array.from({ length: 10 }, () => asked(runner, 'held')),
        ];
        expect(getEventListeners(runner.call.signal, 'abort').length).toBe(1);
        const open = runner.clock.pending;
        expect(open).toBeLessThanOrEqual(8);
        await settled();
        if (round % 2 === 0) runner.tools.interrupted();
        else runner.clock.advance(100);
        await Promise.all(runs);
        expect(runner.clock.pending).toBe(0);
        expect(getEventListeners(runner.call.signal, 'abort')).toEqual([]);
      }
      await settled();
      expect(warnings).toEqual([]);
    } finally {
      process.off('warning', onWarning);
    }
  });
});
