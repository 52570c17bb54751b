import { describe, expect, it } from 'vitest';
import { plainNumber } from '../src/agents-file/numbers.ts';
import { Routes } from '../src/agents-file/routes.ts';
import type { RawNumber } from '../src/agents-file/schema.ts';
import { CARRIERS, type CarrierName } from '../src/carrier.ts';

function entry(number: string, carrier?: CarrierName): RawNumber {
  return { number, agent: 'one', carrier } as RawNumber;
}

/** What `numbers` means, said in the simplest way: the longest pattern that fits, of one length that of the carrier. */
function slowly(entries: readonly RawNumber[], number: string, carrier: CarrierName): RawNumber | undefined {
  const plain = plainNumber(number);
  const weight = ({ number: pattern, carrier: own }: RawNumber): number => {
    const isPrefix = pattern.endsWith('*');
    const text = plainNumber(isPrefix ? pattern.slice(0, -1) : pattern);
    const fits =
      (own === undefined || own === carrier) && (isPrefix ? plain.startsWith(text) : plain === text);
    if (!fits) return -1;
    return (isPrefix ? text.length : 1000) * 2 + (own === undefined ? 0 : 1);
  };
  const heaviest = Math.max(-1, ...entries.map(weight));
  return heaviest < 0 ? undefined : entries.find((one) => weight(one) === heaviest);
}

describe('the entry of a number', () => {
  it('is the one that says most of it, that of the carrier first', () => {
    const routes = new Routes([
      entry('*'),
      entry('+49*'),
      entry('+49 30*', 'plivo'),
      entry('+4930*'),
      entry('+493012345'),
      entry('sip:book*'),
    ]);
    const found = (number: string, carrier: CarrierName = 'twilio') => routes.find(number, carrier)?.number;
    expect(found('4930 12345')).toBe('+493012345');
    expect(found('+49 30 99')).toBe('+4930*');
    expect(found('+49 30 99', 'plivo')).toBe('+49 30*');
    expect(found('+4940')).toBe('+49*');
    expect(found('+49')).toBe('+49*');
    expect(found('+4')).toBe('*');
    expect(found('sip:BOOK@x.example;n=1')).toBe('sip:book*');
    expect(found('')).toBe('*');
    expect(new Routes([entry('+49*', 'plivo')]).find('+4930', 'twilio')).toBeUndefined();
  });

  it('is the same as when each entry is looked at in turn', () => {
    let seed = 7;
    const below = (most: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * most);
    };
    const digits = (count: number): string => Array.from({ length: count }, () => below(3)).join('');
    let compared = 0;
    for (let round = 0; round < 100; round++) {
      const entries = Array.from({ length: 12 }, () =>
        entry(`+1${digits(below(5))}${below(2) === 0 ? '*' : ''}`, [undefined, ...CARRIERS][below(4)]),
      );
      const routes = new Routes(entries);
      for (let i = 0; i < 20; i++) {
        const number = `+1${digits(below(7))}`;
        for (const carrier of CARRIERS) {
          const wanted = slowly(entries, number, carrier);
          expect(routes.find(number, carrier)).toBe(wanted);
          if (wanted !== undefined) compared += 1;
        }
      }
    }
    expect(compared).toBeGreaterThan(1000);
  });

  it('is found without looking at every prefix', () => {
    let looks = 0;
    const watched = Array.from({ length: 2000 }, (_, index) => {
      const made = entry(`+49${1000 + index}*`);
      return Object.defineProperty(made, 'carrier', {
        get: () => {
          looks += 1;
          return undefined;
        },
      });
    });
    const routes = new Routes(watched);
    looks = 0;
    expect(routes.find('+49299912', 'twilio')?.number).toBe('+492999*');
    expect(routes.find('+1555', 'twilio')).toBeUndefined();
    expect(looks).toBeLessThan(5);
  });
});
