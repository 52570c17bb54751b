import type { CarrierName } from '../carrier.ts';
import { matches, moreExact, type NumberPattern, plainNumber, readNumberPattern } from './numbers.ts';
import type { RawNumber } from './schema.ts';

interface Compiled {
  readonly entry: RawNumber;
  readonly pattern: NumberPattern;
}

/** Finds the entry of `numbers` that says most of a number. Thousands of exact numbers cost no more than one. */
export class Routes {
  readonly #exact = new Map<string, RawNumber[]>();
  /** The longest first; of one length those of a carrier first. */
  readonly #prefixes: readonly Compiled[];

  constructor(entries: readonly RawNumber[]) {
    const all = entries.map((entry) => ({ entry, pattern: readNumberPattern(entry.number) }));
    for (const { entry, pattern } of all) {
      if (pattern.kind !== 'exact') continue;
      const same = this.#exact.get(pattern.text);
      if (same === undefined) this.#exact.set(pattern.text, [entry]);
      else same.push(entry);
    }
    this.#prefixes = all
      .filter(({ pattern }) => pattern.kind === 'prefix')
      .toSorted((a, b) => moreExact(a.pattern, b.pattern) || generality(a.entry) - generality(b.entry));
  }

  find(number: string, carrier: CarrierName): RawNumber | undefined {
    const plain = plainNumber(number);
    const fits = (entry: RawNumber): boolean => entry.carrier === undefined || entry.carrier === carrier;
    const exact = this.#exact.get(plain)?.filter(fits) ?? [];
    const own = exact.find((entry) => entry.carrier !== undefined) ?? exact[0];
    return own ?? this.#prefixes.find(({ entry, pattern }) => fits(entry) && matches(pattern, plain))?.entry;
  }
}

function generality({ carrier }: RawNumber): 0 | 1 {
  return carrier === undefined ? 1 : 0;
}
