import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../src/errors.ts';
import { AGAIN_AFTER_MS, PROBE_HEDGE_MS } from '../src/fallback/dial.ts';
import type { ProviderEvent } from '../src/provider.ts';
import { failure, type Manners, Provider, SLOW_AFTER_MS, start, ToldBreakers } from './support/dial-kit.ts';
import { settled } from './support/manual-provider.ts';
import { kept, requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];

function three(): [Provider, Provider, Provider] {
  return [new Provider('a'), new Provider('b'), new Provider('c')];
}

function breakers(states: readonly (readonly [Provider, 'open' | 'half-open'])[]): ToldBreakers {
  const told = new ToldBreakers({ clock: new VirtualClock(), onChange: () => undefined });
  for (const [provider, state] of states) told.states.set(provider, state);
  return told;
}

describe('dialling', () => {
  it('takes the first provider when it is ready in time, and dials no other', async () => {
    const [a, b] = three();
    const call = start([a, b]);
    await call.pass(1999);
    await a.ring.answers();
    expect(call.outcome.dialled).toMatchObject({ ms: 1999, overtaken: [], request: a.ring.request });
    expect(call.winner).toBe(a);
    expect(b.rings).toEqual([]);
    expect(call.breakers.told).toEqual(['a ready 1999']);
    expect(call.failures).toEqual([]);
    expect(a.ring.done).toEqual([]);
    expect(a.ring.signal.aborted).toBe(false);
    call.clean();
  });

  it('dials the next at once when one fails, in the order of the list', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c]);
    await call.pass(10);
    await a.ring.refuses(failure('PROVIDER_AUTH'));
    await call.pass(20);
    await b.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    await call.pass(30);
    await c.ring.answers();
    expect(call.winner).toBe(c);
    expect(call.failures).toEqual(['a PROVIDER_AUTH 10', 'b PROVIDER_UNAVAILABLE 20']);
    expect(call.breakers.told).toEqual([
      'a failed PROVIDER_AUTH',
      'b failed PROVIDER_UNAVAILABLE',
      'c ready 30',
    ]);
    call.clean();
  });

  it('gives each provider its time, whether it notices that it is over or not', async () => {
    for (const manners of ['obeys', 'ignores the signal'] as const) {
      const [a, b] = three();
      a.manners = manners;
      const call = start([a, b], { hedgeMs: 0, connectMs: 3000 });
      await call.pass(2999);
      expect(b.rings).toEqual([]);
      await call.pass(1);
      expect(call.failures).toEqual(['a TIMEOUT 3000']);
      expect(a.ring.signal.reason).toMatchObject({
        message: 'TIMEOUT: connecting to a took longer than 3000 ms',
      });
      await b.ring.answers();
      expect(call.winner).toBe(b);
      // What comes too late is hung up, and changes nothing.
      await a.ring.answers();
      expect(a.ring.done).toEqual(manners === 'obeys' ? [] : ['close']);
      expect(call.breakers.told).toEqual(['a failed TIMEOUT', 'b ready 0']);
      expect(call.failures).toHaveLength(1);
      call.clean();
    }
  });

  it('makes the request anew for every attempt, since the conversation goes on meanwhile', async () => {
    const [a, b] = three();
    let asked = 0;
    const call = start([a, b], {
      over: {
        request: ({ provider }) => {
          asked += 1;
          return requestOf({ instructions: `${provider.name} ${asked}` });
        },
      },
    });
    await a.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    await b.ring.refuses(failure('PROVIDER_CONFIG'));
    await call.pass(AGAIN_AFTER_MS);
    await a.ring.answers();
    expect([...a.rings, ...b.rings].map(({ request }) => request.instructions)).toEqual([
      'a 1',
      'a 3',
      'b 2',
    ]);
    expect(call.outcome.dialled?.request.instructions).toBe('a 3');
    call.clean();
  });

  it('has no provider to dial when the list is empty, and dials nobody when nobody waits', async () => {
    const none = start([]);
    await settled();
    expect(none.outcome.error?.code).toBe('BAD_CONFIG');
    none.clean();
    const [a] = three();
    const given = new AbortController();
    given.abort();
    const call = start([a], { over: { signal: given.signal } });
    await settled();
    expect(call.outcome.error?.code).toBe('CANCELLED');
    expect(a.rings).toEqual([]);
    call.clean();
  });
});

describe('a slow provider', () => {
  it('has the next one dialled beside it, and that one the next, and the first that is ready wins', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c], { hedgeMs: 2000, connectMs: 9000 });
    await call.pass(1999);
    expect(b.rings).toHaveLength(0);
    await call.pass(1);
    expect(b.rings).toHaveLength(1);
    await call.pass(2000);
    expect(c.rings).toHaveLength(1);
    await call.pass(100);
    await b.ring.answers();
    expect(call.winner).toBe(b);
    expect(call.outcome.dialled?.ms).toBe(2100);
    expect(call.outcome.dialled?.overtaken.map(({ provider }) => provider)).toEqual([a]);
    for (const loser of [a, c]) {
      expect(loser.ring.signal.reason).toMatchObject({ code: 'CANCELLED' });
      expect(loser.ring.done).toEqual([]);
    }
    expect(call.breakers.told).toEqual(['b ready 2100', 'a abandoned', 'c abandoned']);
    expect(call.failures).toEqual([]);
    call.clean();
  });

  it('is waited for alone when the hedge is off', async () => {
    const [a, b] = three();
    const call = start([a, b], { hedgeMs: 0 });
    await call.pass(4999);
    expect(b.rings).toEqual([]);
    await a.ring.answers();
    expect(call.winner).toBe(a);
    call.clean();
  });

  it('may still win, and the hedge is given up without having been asked for anything', async () => {
    for (const manners of ['obeys', 'ignores the signal'] as const) {
      const [a, b] = three();
      b.manners = manners;
      const call = start([a, b]);
      await call.pass(2000);
      await a.ring.answers();
      expect(call.winner).toBe(a);
      expect(b.ring.signal.aborted).toBe(true);
      await b.ring.answers();
      expect(b.ring.done).toEqual(manners === 'obeys' ? [] : ['close']);
      expect(call.breakers.told).toEqual(['a ready 2000', 'b abandoned']);
      call.clean();
    }
  });

  it('begins the time of the hedge anew when another one is dialled because one has failed', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c]);
    await call.pass(1500);
    await a.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    expect(b.rings).toHaveLength(1);
    await call.pass(1999);
    expect(c.rings).toHaveLength(0);
    await call.pass(1);
    expect(c.rings).toHaveLength(1);
    call.given.abort();
    await settled();
    call.clean();
  });

  it('has the third one dialled at once when the second fails beside it', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c]);
    await call.pass(2000);
    await b.ring.refuses(failure('PROVIDER_AUTH'));
    expect(c.rings).toHaveLength(1);
    await c.ring.answers();
    expect(call.winner).toBe(c);
    expect(call.failures).toEqual(['b PROVIDER_AUTH 0']);
    await call.pass(SLOW_AFTER_MS - 2000);
    call.clean();
  });

  it('is given up when it was overtaken, but not before it can be called slow', async () => {
    const [a, b] = three();
    const call = start([a, b], { hedgeMs: 300 });
    await call.pass(300);
    await b.ring.answers();
    expect(call.winner).toBe(b);
    await call.pass(SLOW_AFTER_MS - 301);
    expect(a.ring.signal.aborted).toBe(false);
    expect(call.breakers.told).toEqual(['b ready 0']);
    await call.pass(1);
    expect(a.ring.signal.aborted).toBe(true);
    expect(call.breakers.told).toEqual(['b ready 0', 'a abandoned']);
    expect(call.failures).toEqual([]);
    call.clean();
  });

  it('that is ready or fails after it was overtaken is hung up, and its breaker learns how it was', async () => {
    for (const [ending, told] of [
      ['ready', 'a ready 900'],
      ['failed', 'a failed PROVIDER_RATE_LIMITED'],
    ] as const) {
      const [a, b] = three();
      const call = start([a, b], { hedgeMs: 300 });
      await call.pass(300);
      await b.ring.answers();
      await call.pass(600);
      if (ending === 'ready') await a.ring.answers();
      else await a.ring.refuses(failure('PROVIDER_RATE_LIMITED'));
      expect(a.ring.done).toEqual(ending === 'ready' ? ['close'] : []);
      expect(call.breakers.told).toEqual(['b ready 0', told]);
      // It is no news to the call.
      expect(call.failures).toEqual([]);
      expect(b.ring.done).toEqual([]);
      call.clean();
    }
  });

  it('that was overtaken is given up at once when the call is over', async () => {
    const [a, b] = three();
    const call = start([a, b], { hedgeMs: 300 });
    await call.pass(300);
    await b.ring.answers();
    call.given.abort();
    expect(a.ring.signal.aborted).toBe(true);
    expect(b.ring.signal.aborted).toBe(false);
    expect(call.breakers.told).toEqual(['b ready 0', 'a abandoned']);
    expect(call.outcome.error).toBeUndefined();
    call.clean();
  });
});

describe('three providers that are dialled beside each other', () => {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;
  it.each(orders)('come to the right end in the order %i, %i, %i', async (...order) => {
    for (let bits = 0; bits < 16; bits++) {
      const manners = bits & 8 ? 'ignores the signal' : 'obeys';
      await race(
        order,
        [0, 1, 2].map((i) => (bits & (1 << i)) !== 0),
        manners,
      );
    }
  });
});

/** @param ready whether the provider at this place is, and does not fail */
async function race(order: readonly number[], ready: readonly boolean[], manners: Manners): Promise<void> {
  const all = three();
  for (const provider of all) provider.manners = manners;
  const call = start(all, { hedgeMs: 100, connectMs: 60_000 });
  await call.pass(100);
  await call.pass(100);
  for (const i of order) {
    const ring = all[i]?.ring;
    if (ready[i]) await ring?.answers();
    else await ring?.refuses(failure('PROVIDER_AUTH'));
    await call.pass(10);
  }
  const first = order.find((i) => ready[i]);
  const failed = order.slice(0, first === undefined ? 3 : order.indexOf(first));
  expect(call.failures.map((line) => line.charAt(0))).toEqual(failed.map((i) => 'abc'.charAt(i)));
  expect(call.winner).toBe(first === undefined ? undefined : all[first]);
  expect(call.outcome.error?.code).toBe(first === undefined ? 'PROVIDER_AUTH' : undefined);
  await call.pass(SLOW_AFTER_MS);
  for (const [i, { ring, name }] of all.entries()) {
    expect(ring.done).toEqual(i === first || !ring.isAnswered ? [] : ['close']);
    expect(call.breakers.told.filter((line) => line.startsWith(name))).toHaveLength(1);
  }
  call.clean();
}

function circle(): Error {
  const error = new Error('round and round');
  error.cause = error;
  return error;
}

describe('a provider that breaks the rules', () => {
  it('may throw at once, or reject with anything: it has failed, and the next one is dialled', async () => {
    const things: [unknown, ErrorCode][] = [
      [new Error('no such table'), 'INTERNAL'],
      ['a word', 'INTERNAL'],
      [undefined, 'INTERNAL'],
      [failure('PROVIDER_QUOTA'), 'PROVIDER_QUOTA'],
      [Object.assign(new Error('odd bytes'), { code: 'BAD_FRAME' }), 'BAD_FRAME'],
      [new Error('dial: 429', { cause: failure('PROVIDER_RATE_LIMITED') }), 'PROVIDER_RATE_LIMITED'],
      [new Error('a', { cause: new Error('b', { cause: failure('PROVIDER_AUTH') }) }), 'PROVIDER_AUTH'],
      [new Error('gave up', { cause: failure('CANCELLED') }), 'PROVIDER_UNAVAILABLE'],
      [circle(), 'INTERNAL'],
      // Nobody but us may say that nobody waits.
      [failure('CANCELLED'), 'PROVIDER_UNAVAILABLE'],
    ];
    for (const [thing, code] of things) {
      for (const atOnce of [true, false]) {
        const [a, b] = three();
        a.instead = () => {
          if (atOnce) throw thing;
          return Promise.reject(thing);
        };
        const call = start([a, b]);
        await settled();
        expect(call.failures).toEqual([`a ${code} 0`]);
        await b.ring.answers();
        expect(call.winner).toBe(b);
        call.clean();
      }
    }
  });

  it('fails when it tells of its end before it is ready, and is hung up when it is ready all the same', async () => {
    for (const [event, code] of [
      [{ type: 'closed', expected: false, error: failure('PROVIDER_EXPIRED') }, 'PROVIDER_EXPIRED'],
      [{ type: 'closed', expected: true, error: undefined }, 'PROVIDER_UNAVAILABLE'],
      [{ type: 'error', error: failure('PROVIDER_QUOTA'), fatal: true }, 'PROVIDER_QUOTA'],
    ] as const) {
      const [a, b] = three();
      a.manners = 'ignores the signal';
      const call = start([a, b]);
      a.ring.sink(event);
      await settled();
      expect(call.failures).toEqual([`a ${code} 0`]);
      expect(a.ring.signal.aborted).toBe(true);
      await a.ring.answers();
      expect(a.ring.done).toEqual(['close']);
      await b.ring.answers();
      expect(call.winner).toBe(b);
      expect(call.breakers.told).toEqual([`a failed ${code}`, 'b ready 0']);
      call.clean();
    }
  });

  it('fails when it is ready and ends in the same moment', async () => {
    const [a, b] = three();
    const call = start([a, b]);
    a.ring.answersNow();
    a.ring.ends(failure('PROVIDER_CLOSED'));
    await settled();
    expect(call.failures).toEqual(['a PROVIDER_CLOSED 0']);
    expect(a.ring.done).toEqual(['close']);
    await b.ring.answers();
    expect(call.winner).toBe(b);
    call.clean();
  });

  it('may be unable to close, which is nobody’s business', async () => {
    for (const close of [
      () => Promise.reject(new Error('cannot close')),
      () => {
        throw new Error('cannot close at all');
      },
      () => new Promise<void>(() => undefined),
    ]) {
      const [a, b] = three();
      b.manners = 'ignores the signal';
      const call = start([a, b]);
      await call.pass(2000);
      await a.ring.answers();
      await b.ring.answers(close);
      expect(b.ring.done).toEqual(['close']);
      expect(call.winner).toBe(a);
      call.clean();
    }
  });

  it('fails when it floods us before it is ready', async () => {
    const [a, b] = three();
    const call = start([a, b]);
    const second = new Uint8Array(48_000);
    for (let i = 0; i < 100; i++) a.ring.speaks(second);
    await settled();
    expect(call.failures).toEqual(['a PROVIDER_UNAVAILABLE 0']);
    for (let i = 0; i < 6000; i++) b.ring.sink({ type: 'warning', code: 'w', message: 'm' });
    await settled();
    expect(call.failures).toEqual(['a PROVIDER_UNAVAILABLE 0', 'b PROVIDER_UNAVAILABLE 0']);
    call.given.abort();
    await settled();
    call.clean();
  });

  it('is dead to whoever listens when it floods us between being ready and being listened to', async () => {
    const [a] = three();
    const call = start([a]);
    await a.ring.answers();
    for (let i = 0; i < 6000; i++) a.ring.sink({ type: 'warning', code: 'w', message: 'm' });
    expect(a.ring.done).toEqual(['close']);
    const events: ProviderEvent[] = [];
    call.outcome.dialled?.listen((event) => events.push(event));
    a.ring.ends();
    expect(events).toMatchObject([
      { type: 'closed', expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } },
    ]);
    call.clean();
  });
});

describe('the events of a dialled session', () => {
  it('are kept until somebody listens, in order, with bytes of their own', async () => {
    const [a] = three();
    const call = start([a]);
    const lent = new Uint8Array([1, 2, 3]);
    a.ring.sink({ type: 'resumable', handle: 'h' });
    a.ring.speaks(lent);
    lent.fill(9);
    await a.ring.answers();
    a.ring.speaks(lent);
    lent.fill(7);
    const events: ProviderEvent[] = [];
    call.outcome.dialled?.listen((event) => events.push(kept(event)));
    expect(events.map((event) => (event.type === 'audio' ? [...event.bytes] : event.type))).toEqual([
      'resumable',
      [1, 2, 3],
      [9, 9, 9],
    ]);
    a.ring.speaks(lent);
    expect(events).toHaveLength(4);
    call.clean();
  });

  it('that come while the earlier ones are handed over come after them', async () => {
    const [a] = three();
    const call = start([a]);
    a.ring.sink({ type: 'resumable', handle: '1' });
    a.ring.sink({ type: 'resumable', handle: '2' });
    await a.ring.answers();
    const handles: (string | undefined)[] = [];
    call.outcome.dialled?.listen((event) => {
      if (event.type !== 'resumable') return;
      handles.push(event.handle);
      if (event.handle === '1') a.ring.sink({ type: 'resumable', handle: '3' });
    });
    expect(handles).toEqual(['1', '2', '3']);
  });

  it('tell that it has died since it was ready', async () => {
    const [a] = three();
    const call = start([a]);
    await a.ring.answers();
    a.ring.ends(failure('PROVIDER_CLOSED'));
    const events: ProviderEvent[] = [];
    call.outcome.dialled?.listen((event) => events.push(event));
    expect(events).toMatchObject([{ type: 'closed', error: { code: 'PROVIDER_CLOSED' } }]);
    call.clean();
  });

  it('that nobody will have are dropped, but for what they cost', async () => {
    const [a, b, c] = three();
    for (const provider of [a, b, c]) provider.manners = 'ignores the signal';
    const call = start([a, b, c], { hedgeMs: 2500 });
    a.ring.bills(1);
    await a.ring.refuses(failure('PROVIDER_AUTH'));
    expect(call.strays).toEqual(['a 1']);
    b.ring.bills(2);
    b.ring.speaks(new Uint8Array(8));
    await call.pass(2500);
    c.ring.bills(3);
    await c.ring.answers();
    expect(call.strays).toEqual(['a 1', 'b 2']);
    // Those of the winner are among its own.
    const events: ProviderEvent[] = [];
    call.outcome.dialled?.listen((event) => events.push(event));
    expect(events.map(({ type }) => type)).toEqual(['usage']);
    await b.ring.answers();
    b.ring.bills(4);
    b.ring.ends();
    a.ring.bills(5);
    expect(call.strays).toEqual(['a 1', 'b 2', 'b 4', 'a 5']);
    expect(events).toHaveLength(1);
    call.clean();
  });
});

describe('the second round', () => {
  it('comes a moment later, with those whose error may pass, in the order of the list, once', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c]);
    await a.ring.refuses(failure('PROVIDER_RATE_LIMITED'));
    await b.ring.refuses(failure('PROVIDER_AUTH'));
    await c.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    await call.pass(AGAIN_AFTER_MS - 1);
    expect(a.rings).toHaveLength(1);
    await call.pass(1);
    expect([a, b, c].map(({ rings }) => rings.length)).toEqual([2, 1, 1]);
    await a.ring.refuses(failure('PROVIDER_RATE_LIMITED'));
    expect([a, b, c].map(({ rings }) => rings.length)).toEqual([2, 1, 2]);
    await c.ring.refuses(failure('PROVIDER_QUOTA'));
    await call.pass(60_000);
    expect([a, b, c].map(({ rings }) => rings.length)).toEqual([2, 1, 2]);
    expect(call.outcome.error?.code).toBe('PROVIDER_QUOTA');
    expect(call.failures.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'a PROVIDER_RATE_LIMITED',
      'b PROVIDER_AUTH',
      'c PROVIDER_UNAVAILABLE',
      'a PROVIDER_RATE_LIMITED',
      'c PROVIDER_QUOTA',
    ]);
    call.clean();
  });

  it('has deadlines and hedges as the first', async () => {
    const [a, b] = three();
    const call = start([a, b]);
    await a.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    await b.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    await call.pass(AGAIN_AFTER_MS);
    await call.pass(2000);
    expect(b.rings).toHaveLength(2);
    await call.pass(3000);
    expect(call.failures.at(-1)).toBe('a TIMEOUT 5000');
    await call.pass(2000);
    expect(call.failures.at(-1)).toBe('b TIMEOUT 5000');
    // That nobody answered says less than what somebody answered.
    expect(call.outcome.error?.code).toBe('PROVIDER_UNAVAILABLE');
    call.clean();
  });

  it('does not come for a call that is over', async () => {
    const [a] = three();
    const call = start([a]);
    await a.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    call.given.abort();
    await call.pass(10_000);
    expect(a.rings).toHaveLength(1);
    expect(call.outcome.error?.code).toBe('CANCELLED');
    call.clean();
  });

  it('ends with TIMEOUT only when nobody has said anything at all', async () => {
    const [a, b] = three();
    const call = start([a, b], { hedgeMs: 0, connectMs: 1000 });
    for (let i = 0; i < 4; i++) await call.pass(1000 + AGAIN_AFTER_MS);
    expect([a, b].map(({ rings }) => rings.length)).toEqual([2, 2]);
    await call.pass(1000);
    expect(call.outcome.error?.message).toBe('TIMEOUT: connecting to b took longer than 1000 ms');
    call.clean();
  });

  it('takes the same provider in two places of the list for two', async () => {
    const [a] = three();
    const call = start([a, a]);
    for (let i = 1; i <= 4; i++) {
      expect(a.rings).toHaveLength(i);
      await a.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
      if (i === 2) await call.pass(AGAIN_AFTER_MS);
    }
    expect(call.outcome.error?.code).toBe('PROVIDER_UNAVAILABLE');
    call.clean();
  });
});

describe('an error of the first of two providers', () => {
  // What each means while a session is looked for; a new code does not compile.
  const MEANING: Readonly<Record<ErrorCode, 'next' | 'next, then again' | 'end'>> = {
    BAD_CONFIG: 'end',
    BAD_INPUT: 'next',
    BAD_AUDIO: 'end',
    BAD_RECORDING: 'next',
    BAD_FRAME: 'next',
    CONFLICT: 'next',
    CARRIER_REFUSED: 'next',
    CARRIER_UNAVAILABLE: 'next, then again',
    MEDIA_LOST: 'end',
    PROVIDER_AUTH: 'next',
    PROVIDER_CONFIG: 'next',
    PROVIDER_QUOTA: 'next',
    PROVIDER_RATE_LIMITED: 'next, then again',
    PROVIDER_UNAVAILABLE: 'next, then again',
    PROVIDER_CLOSED: 'next, then again',
    PROVIDER_EXPIRED: 'next, then again',
    PROVIDER_REJECTED: 'next',
    TOOL_FAILED: 'next',
    HOOK_FAILED: 'next, then again',
    OVER_CAPACITY: 'end',
    // Turned into PROVIDER_UNAVAILABLE.
    CANCELLED: 'next, then again',
    TIMEOUT: 'next, then again',
    INTERNAL: 'next',
  };

  it.each(CODES.map((code) => [code, MEANING[code]] as const))('%s: %s', async (code, meaning) => {
    const [a, b] = three();
    const call = start([a, b]);
    const error = failure(code);
    await a.ring.refuses(error);
    expect(b.rings).toHaveLength(meaning === 'end' ? 0 : 1);
    if (meaning === 'end') {
      expect(call.outcome.error).toBe(error);
      call.clean();
      return;
    }
    await b.ring.refuses(failure('PROVIDER_AUTH'));
    await call.pass(AGAIN_AFTER_MS);
    expect(a.rings).toHaveLength(meaning === 'next' ? 1 : 2);
    expect(b.rings).toHaveLength(1);
    if (meaning === 'next') expect(call.outcome.error?.code).toBe('PROVIDER_AUTH');
    else await a.ring.answers();
    expect(call.winner).toBe(meaning === 'next' ? undefined : a);
    call.clean();
  });

  it('that nobody else mends lets those who are under way go on', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c]);
    await call.pass(2000);
    await a.ring.refuses(failure('BAD_AUDIO'));
    expect(c.rings).toEqual([]);
    expect(call.outcome.error).toBeUndefined();
    await b.ring.answers();
    expect(call.winner).toBe(b);
    call.clean();
    const [d, e, f] = three();
    const other = start([d, e, f]);
    await other.pass(2000);
    await d.ring.refuses(failure('BAD_AUDIO'));
    await e.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    expect(other.outcome.error?.code).toBe('BAD_AUDIO');
    await other.pass(60_000);
    expect(f.rings).toEqual([]);
    other.clean();
  });

  it('has the verdict of the table', () => {
    for (const code of CODES) {
      if (code === 'CANCELLED') continue;
      const { retry, failOver, endCall } = ERRORS[code];
      const wanted = !failOver && endCall ? 'end' : retry ? 'next, then again' : 'next';
      expect([code, MEANING[code]]).toEqual([code, wanted]);
    }
  });
});

describe('a provider whose breaker is open', () => {
  it('is passed by', async () => {
    const [a, b, c] = three();
    const call = start([a, b, c], { breakers: breakers([[a, 'open']]) });
    await settled();
    expect(b.rings).toHaveLength(1);
    await call.pass(2000);
    expect(c.rings).toHaveLength(1);
    await b.ring.answers();
    expect(call.winner).toBe(b);
    expect(a.rings).toEqual([]);
    expect(call.breakers.told).toEqual(['b ready 2000', 'c abandoned']);
    call.clean();
  });

  it('is dialled when all others have failed, and not beside one that is slow', async () => {
    const [a, b] = three();
    const call = start([a, b], { breakers: breakers([[a, 'open']]) });
    await call.pass(4999);
    expect(a.rings).toEqual([]);
    await b.ring.refuses(failure('PROVIDER_AUTH'));
    expect(a.rings).toHaveLength(1);
    await a.ring.answers();
    expect(call.winner).toBe(a);
    expect(call.breakers.told).toEqual(['b failed PROVIDER_AUTH', 'a insisted', 'a ready 0']);
    call.clean();
  });

  it('is dialled in its turn when those of all are open, with hedges as ever', async () => {
    const [a, b, c] = three();
    const open = breakers([
      [a, 'open'],
      [b, 'open'],
      [c, 'open'],
    ]);
    const call = start([a, b, c], { breakers: open });
    expect([a, b, c].map(({ rings }) => rings.length)).toEqual([1, 0, 0]);
    await call.pass(2000);
    expect([a, b, c].map(({ rings }) => rings.length)).toEqual([1, 1, 0]);
    await b.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    expect([a, b, c].map(({ rings }) => rings.length)).toEqual([1, 1, 1]);
    await c.ring.answers();
    expect(call.winner).toBe(c);
    await call.pass(SLOW_AFTER_MS - 2000);
    call.clean();
  });

  it('is asked about only when it is its turn, so that nobody takes the place of a probe in vain', async () => {
    const [a, b] = three();
    const states = breakers([[b, 'half-open']]);
    const call = start([a, b], { breakers: states });
    await a.ring.answers();
    expect(states.states.get(b)).toBe('half-open');
    call.clean();
  });
});

describe('a probe', () => {
  it('has the next one dialled beside it very soon, even where there are no hedges', async () => {
    for (const hedgeMs of [0, 2000]) {
      const [a, b] = three();
      const call = start([a, b], { hedgeMs, breakers: breakers([[a, 'half-open']]) });
      await call.pass(PROBE_HEDGE_MS - 1);
      expect(b.rings).toEqual([]);
      await call.pass(1);
      await b.ring.answers();
      expect(call.winner).toBe(b);
      expect(a.ring.signal.aborted).toBe(false);
      // It was the only way to find out that it is well again.
      await call.pass(300);
      await a.ring.answers();
      expect(a.ring.done).toEqual(['close']);
      expect(call.breakers.told).toEqual(['b ready 0', `a ready ${PROBE_HEDGE_MS + 300}`]);
      call.clean();
    }
  });

  it('that hangs costs the caller no more than that moment, and is over when it can be called slow', async () => {
    const [a, b] = three();
    a.manners = 'ignores the signal';
    const call = start([a, b], { breakers: breakers([[a, 'half-open']]) });
    await call.pass(PROBE_HEDGE_MS);
    await b.ring.answers();
    await call.pass(SLOW_AFTER_MS - PROBE_HEDGE_MS);
    expect(call.breakers.told).toEqual(['b ready 0', 'a abandoned']);
    call.clean();
  });

  it('is no reason to wait for it when the breakers of all others are open', async () => {
    const [a, b] = three();
    const states = breakers([
      [a, 'half-open'],
      [b, 'open'],
    ]);
    const call = start([a, b], { breakers: states });
    await call.pass(PROBE_HEDGE_MS);
    expect(b.rings).toHaveLength(1);
    await b.ring.answers();
    expect(call.winner).toBe(b);
    await call.pass(SLOW_AFTER_MS);
    call.clean();
  });

  it('has a hedge no later than others have', async () => {
    const [a, b] = three();
    const call = start([a, b], { hedgeMs: 100, breakers: breakers([[a, 'half-open']]) });
    await call.pass(100);
    expect(b.rings).toHaveLength(1);
    call.given.abort();
    await settled();
    call.clean();
  });
});

describe('whoever waits for a session', () => {
  it('may go at any moment, and everything is given up at once', async () => {
    for (const manners of ['obeys', 'ignores the signal'] as const) {
      const [a, b, c] = three();
      for (const provider of [a, b, c]) provider.manners = manners;
      const call = start([a, b, c]);
      await call.pass(2000);
      const why = new Error('the call is over');
      call.given.abort(why);
      await settled();
      expect(call.outcome.error).toMatchObject({ code: 'CANCELLED', cause: why });
      for (const { ring } of [a, b]) {
        expect(ring.signal.aborted).toBe(true);
        await ring.answers();
        expect(ring.done).toEqual(ring.isAnswered ? ['close'] : []);
      }
      await call.pass(60_000);
      expect(c.rings).toEqual([]);
      expect(call.failures).toEqual([]);
      expect(call.breakers.told).toEqual(['a abandoned', 'b abandoned']);
      call.clean();
    }
  });

  it('is told when what it does itself goes wrong, and nothing is left', async () => {
    const broken = (): never => {
      throw new Error('a mistake of ours');
    };
    const [a, b] = three();
    const failing = start([a, b], { over: { onFailed: broken } });
    await failing.pass(2000);
    await a.ring.refuses(failure('PROVIDER_AUTH'));
    expect(failing.outcome.error?.message).toBe('INTERNAL: a mistake of ours');
    expect(b.ring.signal.aborted).toBe(true);
    failing.clean();
    const [c, d] = three();
    const asking = start([c, d], { over: { request: broken } });
    await settled();
    expect(asking.failures).toEqual(['a INTERNAL 0', 'b INTERNAL 0']);
    expect(asking.outcome.error?.code).toBe('INTERNAL');
    expect([...c.rings, ...d.rings]).toEqual([]);
    asking.clean();
  });
});
