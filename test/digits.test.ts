import { describe, expect, it } from 'vitest';
import { DigitCollector, type DigitRule, DigitTwins } from '../src/digits.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function collect(rule: Partial<DigitRule> = {}) {
  const clock = new VirtualClock();
  const inputs: string[] = [];
  const collector = new DigitCollector(clock, { endKey: '#', timeoutMs: 1500, max: 8, ...rule }, (digits) =>
    inputs.push(digits),
  );
  const type = (keys: string): void => {
    for (const key of keys) collector.press(key);
  };
  return { clock, collector, inputs, type };
}

describe('keys', () => {
  it('are one input when the end key is pressed, which is no part of it', () => {
    const { inputs, type, clock } = collect();
    type('1234#');
    expect(inputs).toEqual(['1234']);
    clock.advance(10_000);
    expect(inputs).toEqual(['1234']);
    expect(clock.pending).toBe(0);
  });

  it('are one input when nothing follows for a while, counted from the last of them', () => {
    const { inputs, type, clock } = collect();
    type('12');
    clock.advance(1400);
    type('3');
    clock.advance(1400);
    expect(inputs).toEqual([]);
    clock.advance(101);
    expect(inputs).toEqual(['123']);
  });

  it('are one input when there are as many as can be', () => {
    const { inputs, type } = collect({ max: 4 });
    type('123456789');
    expect(inputs).toEqual(['1234', '5678']);
  });

  it('are inputs of one key where one is all that is wanted', () => {
    const { inputs, type } = collect({ max: 1, endKey: undefined });
    type('1#*');
    expect(inputs).toEqual(['1', '#', '*']);
  });

  it('may be the end key alone, which is then an answer', () => {
    const { inputs, type, clock } = collect();
    type('#');
    clock.advance(1501);
    expect(inputs).toEqual(['#']);
  });

  it('need no end key where there is none', () => {
    const { inputs, type, clock } = collect({ endKey: undefined });
    type('1#2');
    clock.advance(1501);
    expect(inputs).toEqual(['1#2']);
  });

  it('are forgotten when the call is over', () => {
    const { inputs, type, clock, collector } = collect();
    type('12');
    expect(collector.collecting).toBe(true);
    collector.close();
    expect(collector.collecting).toBe(false);
    expect(clock.pending).toBe(0);
    clock.advance(10_000);
    expect(inputs).toEqual([]);
  });
});

describe('keys that are reported in two ways', () => {
  /** `s5` is key 5 on the socket, `w5` the same as a webhook; what counts is given back. */
  function counted(reports: string, everyMs = 50): string {
    const clock = new VirtualClock();
    const twins = new DigitTwins(clock);
    let keys = '';
    for (const report of reports.split(' ')) {
      const digit = report.slice(1);
      if (twins.isNew(digit, report.startsWith('s') ? 'socket' : 'webhook')) keys += digit;
      clock.advance(everyMs);
    }
    return keys;
  }

  it.each([
    ['the socket is first', 's1 w1 s2 w2'],
    ['the webhook is first', 'w1 s1 w2 s2'],
    ['now one is first, now the other', 's1 w1 w2 s2'],
    ['the webhooks come after all keys', 's1 s2 w1 w2'],
    ['the webhooks come in another order', 's1 s2 w2 w1'],
  ])('count once when %s', (_name, reports) => {
    expect(counted(reports)).toBe('12');
  });

  it.each(['s1 w1 s1 w1', 's1 s1 w1 w1', 'w1 s1 w1 s1', 'w1 w1 s1 s1', 's1 w1 w1 s1'])(
    'count twice when they were pressed twice: %s',
    (reports) => {
      expect(counted(reports)).toBe('11');
    },
  );

  it('count when they come in one way only', () => {
    expect(counted('s1 s1 s2 s1')).toBe('1121');
    expect(counted('w1 w1 w2 w1')).toBe('1121');
  });

  it('are two keys when the second report comes much later', () => {
    expect(counted('s1 w1', 6000)).toBe('11');
  });

  it('are told apart also when hundreds were pressed', () => {
    const reports = Array.from({ length: 300 }, (_, i) => `s${i % 10} w${i % 10}`).join(' ');
    expect(counted(reports)).toHaveLength(300);
  });
});
