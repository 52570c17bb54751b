import { isRecord } from '../../is-record.ts';
import type { Line } from '../../recording/format.ts';

/** 192 bits in base64url. */
const TOKEN_LENGTH = 32;

/**
 * Forms of the ids that the bridge makes: UUIDs, ids of placed calls, tokens in paths, and what is counted. No wider than
 * needed: a name of a model or a voice that looked like one would be matched with any other.
 */
const FORMS = [
  '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  'call_[0-9a-f]{16,}',
  'pc_[a-z]+_\\d+',
  'g\\d+\\.m\\d+',
  '(?:resp|response|item|user|call)_(?:[0-9a-f]{4,}_)?\\d+',
  'sha256-[\\w-]{43}',
  `(?=[\\w-]*[A-Z])(?=[\\w-]*[a-z])[\\w-]{${TOKEN_LENGTH}}`,
];
const ID = new RegExp(`(?<![\\w-])(?:${FORMS.join('|')})(?![\\w-])`, 'g');
/** Shorter texts hold no id. */
const LEAST = 5;

/** A text cut at its ids: `rest` has one piece more than there are ids. */
export interface Cut {
  readonly ids: readonly string[];
  readonly rest: readonly string[];
}

/** Finds the ids in a text. */
export function cutIds(text: string): Cut {
  if (text.length < LEAST || (text.length < TOKEN_LENGTH && !/\d/.test(text)))
    return { ids: [], rest: [text] };
  const ids: string[] = [];
  const rest: string[] = [];
  let from = 0;
  for (const { 0: id, index } of text.matchAll(ID)) {
    ids.push(id);
    rest.push(text.slice(from, index));
    from = index + id.length;
  }
  rest.push(text.slice(from));
  return { ids, rest };
}

/** A text with `#` for every id. */
export function maskIds(text: string): string {
  return text.replace(ID, '#');
}

/** Two ids are of one kind if they differ in what is counted or drawn only. */
function shapeOf(id: string): string {
  const counted = /^(pc_[a-z]+_|g|resp_|response_|item_|user_|call_|sha256-)/.exec(id)?.[1];
  return counted ?? String(id.length);
}

/** At which line each id first came in from outside. */
function firstIn(lines: readonly Line[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const [at, line] of lines.entries()) {
    if (line.dir === 'in' && line.on !== 'clock') {
      eachText('msg' in line ? line.msg : line.ctl, (text) => {
        for (const id of cutIds(text).ids) if (!first.has(id)) first.set(id, at);
      });
    }
  }
  return first;
}

/** Asked for when two ids differ only, which most calls have none of. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function eachText(value: unknown, told: (text: string) => void): void {
  if (typeof value === 'string') told(value);
  else if (Array.isArray(value)) for (const one of value) eachText(one, told);
  else if (isRecord(value)) for (const one of Object.values(value)) eachText(one, told);
}

/** `strange`: they are no ids that the bridge made, and differ. */
export type IdVerdict = 'same' | 'other' | 'strange';

/** Matches the ids of two calls by their first use: from then on one stands for the other. */
export class IdMatcher {
  readonly #expectedIn: () => ReadonlyMap<string, number>;
  readonly #foundIn: () => ReadonlyMap<string, number>;
  readonly #toFound = new Map<string, string>();
  readonly #toExpected = new Map<string, string>();

  constructor(expected: readonly Line[], found: readonly Line[]) {
    this.#expectedIn = once(() => firstIn(expected));
    this.#foundIn = once(() => firstIn(found));
  }

  /** @param expectedAt index of the line in which the id stands; `foundAt` likewise */
  match(expected: string, found: string, expectedAt: number, foundAt: number): IdVerdict {
    const known = this.#toFound.get(expected);
    if (known !== undefined) return known === found ? 'same' : 'other';
    if (this.#toExpected.has(found)) return 'other';
    if (expected !== found) {
      const ours = isOurs(this.#expectedIn, expected, expectedAt) && isOurs(this.#foundIn, found, foundAt);
      if (!ours || shapeOf(expected) !== shapeOf(found)) return 'strange';
    }
    this.#toFound.set(expected, found);
    this.#toExpected.set(found, expected);
    return 'same';
  }

  /** What stands for an id of the expected call; undefined: it was not used yet. */
  standsFor(expected: string): string | undefined {
    return this.#toFound.get(expected);
  }
}

/** What was said to the bridge before it said it itself, it did not make. */
function isOurs(firstIn: () => ReadonlyMap<string, number>, id: string, at: number): boolean {
  const first = firstIn().get(id);
  return first === undefined || first > at;
}
