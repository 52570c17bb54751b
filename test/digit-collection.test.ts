import { describe, expect, it } from 'vitest';
import { Collection } from '../src/digit-collection.ts';
import { Keypad } from '../src/keypad.ts';
import { createLog } from '../src/log.ts';
import type { CollectedDigits, DigitWish } from '../src/tools.ts';
import { settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const WISH: DigitWish = { max: 4, endKey: '#', firstMs: 10_000, nextMs: 4000 };
const CALL = { callId: 'CA1', from: '+14155550100', to: '+14155550101' };

function make(change: Partial<DigitWish> = {}) {
  const clock = new VirtualClock();
  const results: CollectedDigits[] = [];
  const collection = new Collection(clock, { ...WISH, ...change }, (result) => results.push(result));
  const type = (keys: string): void => {
    for (const key of keys) collection.press(key);
  };
  return { clock, results, collection, type };
}

describe('keys that somebody waits for', () => {
  it('are complete when there are enough of them', () => {
    const { type, results, clock } = make();
    type('123');
    expect(results).toEqual([]);
    type('4');
    expect(results).toEqual([{ status: 'complete', digits: '1234' }]);
    expect(clock.pending).toBe(0);
  });

  it('are complete with the end key, which is none of them', () => {
    const { type, results } = make();
    type('12#');
    expect(results).toEqual([{ status: 'complete', digits: '12' }]);
  });

  it('may be none at all: the end key alone is an answer', () => {
    const { type, results } = make();
    type('#');
    expect(results).toEqual([{ status: 'complete', digits: '' }]);
  });

  it('hold the key that ends others, where none was agreed on', () => {
    const { type, results } = make({ endKey: undefined });
    type('12#4');
    expect(results).toEqual([{ status: 'complete', digits: '12#4' }]);
  });

  it('are given up after too long a pause, with what there is', () => {
    const { type, results, clock } = make();
    type('1');
    clock.advance(3999);
    type('2');
    clock.advance(3999);
    expect(results).toEqual([]);
    clock.advance(1);
    expect(results).toEqual([{ status: 'timeout', digits: '12' }]);
  });

  it('are waited for from when the agent has finished asking', () => {
    const { collection, results, clock } = make();
    clock.advance(60_000);
    expect(results).toEqual([]);
    collection.quiet();
    clock.advance(9999);
    expect(results).toEqual([]);
    clock.advance(1);
    expect(results).toEqual([{ status: 'timeout', digits: '' }]);
  });

  it('are not given up while somebody speaks, and have all of their time after that', () => {
    const { collection, results, clock } = make();
    collection.quiet();
    clock.advance(9000);
    collection.busy();
    clock.advance(60_000);
    collection.quiet();
    clock.advance(9000);
    collection.quiet();
    expect(results).toEqual([]);
    clock.advance(1000);
    expect(results).toEqual([{ status: 'timeout', digits: '' }]);
  });

  it('are waited for by the pause alone once the first is there, whoever speaks', () => {
    const { collection, type, results, clock } = make();
    collection.quiet();
    type('1');
    collection.busy();
    clock.advance(3999);
    expect(results).toEqual([]);
    clock.advance(1);
    expect(results).toEqual([{ status: 'timeout', digits: '1' }]);
  });

  it('are told once, whatever comes after', () => {
    const { collection, type, results, clock } = make();
    type('1234');
    type('5#');
    collection.quiet();
    collection.give();
    clock.advance(60_000);
    expect(results).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});

function keypad(handle?: (digits: string) => string | undefined) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const texts: string[] = [];
  const pad = new Keypad({
    rule: { endKey: '#', timeoutMs: 1500, max: 16, handle },
    call: CALL,
    clock,
    log: createLog('trace', { write: (line: string) => lines.push(line) }),
    onInput: () => undefined,
  });
  pad.connect({ sendText: (text) => void texts.push(text) });
  const type = (keys: string): void => {
    for (const key of keys) if (pad.isNew(key, 'socket')) pad.press(key);
  };
  const over = new AbortController();
  const collect = (change: Partial<DigitWish> = {}, signal = over.signal) =>
    pad.collect({ ...WISH, ...change }, true, signal);
  return { clock, lines, texts, pad, type, over, collect };
}

describe('the keypad of a call in which a function waits for keys', () => {
  it('gives them to the function and not to the model, and to the model again after that', async () => {
    const { collect, type, texts, lines, clock } = keypad();
    const digits = collect();
    type('8675');
    expect(await digits).toEqual({ status: 'complete', digits: '8675' });
    clock.advance(60_000);
    expect(texts).toEqual([]);
    type('9#');
    expect(texts).toEqual(['The caller pressed the key 9.']);
    expect(lines.join('')).not.toContain('8675');
  });

  it('counts those that were pressed just before it was asked', async () => {
    const { collect, type, texts, clock } = keypad();
    type('86');
    clock.advance(1000);
    const digits = collect();
    type('75');
    expect(await digits).toEqual({ status: 'complete', digits: '8675' });
    clock.advance(60_000);
    expect(texts).toEqual([]);
  });

  it('loses none of those that were typed ahead beyond what was asked for', async () => {
    const { collect, type, texts, clock } = keypad();
    type('867512');
    expect(await collect()).toEqual({ status: 'complete', digits: '8675' });
    expect(await collect({ max: 2 })).toEqual({ status: 'complete', digits: '12' });
    type('86759');
    expect(await collect()).toEqual({ status: 'complete', digits: '8675' });
    clock.advance(1501);
    expect(texts).toEqual(['The caller pressed the key 9.']);
  });

  it('takes the end key that somebody presses after the last key for what it is', async () => {
    const { collect, type, texts, clock } = keypad();
    const digits = collect();
    type('8675');
    clock.advance(1500);
    type('#');
    expect(await digits).toEqual({ status: 'complete', digits: '8675' });
    clock.advance(60_000);
    expect(texts).toEqual([]);
    // Typed ahead it is no different.
    const again = keypad();
    again.type('8675');
    const first = again.collect();
    again.type('#');
    expect(await first).toEqual({ status: 'complete', digits: '8675' });
    const second = again.collect();
    again.type('12#');
    expect(await second).toEqual({ status: 'complete', digits: '12' });
  });

  it.each([
    ['later', '', 2500],
    ['after another one', '9', 100],
  ])('takes it for an answer when it comes %s', async (_when, between, afterMs) => {
    const { collect, type, texts, clock } = keypad();
    const digits = collect();
    type('8675');
    type(between);
    clock.advance(afterMs);
    type('#');
    clock.advance(1501);
    await digits;
    expect(texts).toEqual([`The caller pressed the key ${between || '#'}.`]);
  });

  it('does not ask the agent’s handler of keys meanwhile', async () => {
    const asked: string[] = [];
    const { collect, type } = keypad((digits) => {
      asked.push(digits);
      return undefined;
    });
    const digits = collect();
    type('1234');
    await digits;
    await settled();
    expect(asked).toEqual([]);
  });

  it('refuses a second function, and the first goes on', async () => {
    const { collect, type } = keypad();
    const first = collect();
    expect(await collect()).toEqual({ status: 'gone' });
    type('1234');
    expect(await first).toEqual({ status: 'complete', digits: '1234' });
  });

  it('lets nobody wait who has given up, or is put through, or has hung up', async () => {
    for (const end of ['signal', 'transfer', 'hang-up'] as const) {
      const { collect, type, pad, over, clock, texts } = keypad();
      const digits = collect();
      type('12');
      if (end === 'signal') over.abort();
      else if (end === 'transfer') pad.giveUp();
      else pad.close();
      expect(await digits).toEqual({ status: 'gone' });
      expect(clock.pending).toBe(0);
      expect(texts).toEqual([]);
    }
  });

  it('has nothing for whoever asks when all is over', async () => {
    const { collect, pad, over } = keypad();
    over.abort();
    expect(await collect()).toEqual({ status: 'gone' });
    pad.close();
    expect(await collect({}, new AbortController().signal)).toEqual({ status: 'gone' });
  });

  it('keeps no listener on the signal of a function that has its keys', async () => {
    const { collect, type, over } = keypad();
    let listeners = 0;
    const { signal } = over;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const digits = collect();
    expect(listeners).toBe(1);
    type('1234');
    await digits;
    expect(listeners).toBe(0);
  });
});
