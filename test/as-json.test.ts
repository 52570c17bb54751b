import { describe, expect, it } from 'vitest';
import { asJson } from '../src/recording/as-json.ts';

/** Whoever has a way of its own to be written. */
class Own {
  readonly hidden = 1;

  toJSON(): unknown {
    return { shown: 2 };
  }
}

const VALUES: readonly unknown[] = [
  undefined,
  null,
  '',
  'text "quoted" \u2028 \ud800',
  0,
  -0,
  1.5e-7,
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  true,
  () => 1,
  Symbol('no'),
  [],
  [undefined, () => 1, Symbol('no'), -0, Number.NaN, [1, [2]]],
  // A hole is null.
  new Array(2),
  {},
  { b: 1, a: undefined, 2: 'x', 1: 'y', nothing: null, deep: { list: [{ at: -0 }] } },
  Object.assign(Object.create(null), { bare: 1 }),
  JSON.parse('{"before":1,"__proto__":{"polluted":true},"after":[{"__proto__":1}]}'),
  new Date(0),
  new Own(),
  { inner: new Own(), list: [new Own()] },
  { toJSON: () => undefined },
  { toJSON: 'a field of this name' },
  Buffer.from('bytes'),
  new Uint8Array([1, 2]),
  new Map([[1, 2]]),
  Object.assign(new Error('a message'), { code: 'ECONNRESET' }),
  Object(1),
  Object('boxed'),
];

describe('a copy of what JSON makes of a value', () => {
  it.each(VALUES.map((value, at) => [at, value] as const))(
    'is what it reads back, of value %i',
    (_at, value) => {
      const text: string | undefined = JSON.stringify(value);
      const copy = asJson(value);
      expect(copy).toStrictEqual(text === undefined ? undefined : JSON.parse(text));
      // The same keys in the same order.
      expect(JSON.stringify(copy)).toBe(text);
    },
  );

  it('shares nothing with the value', () => {
    const value = { list: [{ at: 1 }], inner: { at: 2 } };
    const copy = asJson(value);
    value.list.push({ at: 3 });
    value.inner.at = 4;
    expect(copy).toEqual({ list: [{ at: 1 }], inner: { at: 2 } });
  });

  it('is refused where JSON refuses', () => {
    const round: { self?: unknown } = {};
    round.self = round;
    expect(() => asJson({ n: 1n })).toThrow(TypeError);
    expect(() => asJson(round)).toThrow(RangeError);
  });
});
