import type { CarrierName } from '../carrier.ts';
import { plainNumber, readNumberPattern } from './numbers.ts';
import type { RawNumber } from './schema.ts';

type Entries = Map<string, RawNumber[]>;

/**
 * Finds the entry of `numbers` that says most of a number. Thousands of entries cost no more than one, only prefixes of
 * different lengths do.
 */
export class Routes {
  readonly #exact: Entries = new Map();
  /** By length, the longest first. */
  readonly #prefixes: readonly (readonly [length: number, entries: Entries])[];

  constructor(numbers: readonly RawNumber[]) {
    const prefixes = new Map<number, Entries>();
    for (const entry of numbers) {
      const { kind, text } = readNumberPattern(entry.number);
      put(kind === 'exact' ? this.#exact : ofLength(prefixes, text.length), text, entry);
    }
    this.#prefixes = [...prefixes].toSorted(([a], [b]) => b - a);
  }

  find(number: string, carrier: CarrierName): RawNumber | undefined {
    const plain = plainNumber(number);
    const exact = best(this.#exact.get(plain), carrier);
    if (exact !== undefined) return exact;
    for (const [length, entries] of this.#prefixes) {
      if (length > plain.length) continue;
      const found = best(entries.get(plain.slice(0, length)), carrier);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function ofLength(prefixes: Map<number, Entries>, length: number): Entries {
  const known = prefixes.get(length);
  if (known !== undefined) return known;
  const made: Entries = new Map();
  prefixes.set(length, made);
  return made;
}

function put(entries: Entries, text: string, entry: RawNumber): void {
  const same = entries.get(text);
  if (same === undefined) entries.set(text, [entry]);
  else same.push(entry);
}

/** Of entries with the same number: that of the carrier, or else that of all. */
function best(entries: readonly RawNumber[] | undefined, carrier: CarrierName): RawNumber | undefined {
  return (
    entries?.find((entry) => entry.carrier === carrier) ??
    entries?.find((entry) => entry.carrier === undefined)
  );
}
