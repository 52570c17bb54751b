import { isRecord } from '../../is-record.ts';
import { type Cut, cutIds, type IdMatcher, type IdVerdict, maskIds } from './ids.ts';

/** A field that differs. */
export interface FieldDifference {
  readonly kind: 'value' | 'id';
  readonly path: string;
  readonly expected: unknown;
  readonly found: unknown;
}

/** How two values are compared. */
export interface ValueTerms {
  readonly ids: IdMatcher;
  /** Indexes of the lines that they are of. */
  readonly expectedAt: number;
  readonly foundAt: number;
  readonly timeMs: number;
  isTime(path: readonly (string | number)[]): boolean;
}

type Path = (string | number)[];

/** Compares JSON: objects by their fields, whatever the order; a field that is undefined is none. */
export function compareValues(
  expected: unknown,
  found: unknown,
  under: string,
  terms: ValueTerms,
): readonly FieldDifference[] {
  const walk = new Walk(under, terms);
  walk.values(expected, found, []);
  return walk.differences;
}

class Walk {
  readonly differences: FieldDifference[] = [];
  readonly #under: string;
  readonly #terms: ValueTerms;

  constructor(under: string, terms: ValueTerms) {
    this.#under = under;
    this.#terms = terms;
  }

  values(expected: unknown, found: unknown, path: Path): void {
    if (typeof expected === 'string' && typeof found === 'string') this.#texts(expected, found, path);
    else if (typeof expected === 'number' && typeof found === 'number') this.#numbers(expected, found, path);
    else if (Array.isArray(expected) && Array.isArray(found)) this.#lists(expected, found, path);
    else if (isRecord(expected) && isRecord(found)) this.#objects(expected, found, path);
    else if (expected !== found) this.#differ('value', path, expected, found);
  }

  #lists(expected: readonly unknown[], found: readonly unknown[], path: Path): void {
    const longest = Math.max(expected.length, found.length);
    for (let i = 0; i < longest; i++) this.#step(expected[i], found[i], path, i);
  }

  #objects(expected: Record<string, unknown>, found: Record<string, unknown>, path: Path): void {
    for (const [name, value] of Object.entries(expected)) {
      this.#step(value, Object.hasOwn(found, name) ? found[name] : undefined, path, name);
    }
    for (const [name, value] of Object.entries(found)) {
      if (!Object.hasOwn(expected, name)) this.#step(undefined, value, path, name);
    }
  }

  #step(expected: unknown, found: unknown, path: Path, step: string | number): void {
    path.push(step);
    this.values(expected, found, path);
    path.pop();
  }

  #numbers(expected: number, found: number, path: Path): void {
    if (expected === found) return;
    const { isTime, timeMs } = this.#terms;
    if (isTime(path) && Math.abs(expected - found) <= timeMs) return;
    this.#differ('value', path, expected, found);
  }

  #texts(expected: string, found: string, path: Path): void {
    const verdict = this.#textVerdict(expected, found);
    if (verdict === 'same') return;
    const opened = openTexts(expected, found);
    const before = this.differences.length;
    if (opened !== undefined) {
      this.values(opened.expected.value, opened.found.value, path);
      // Written in another way, it is another text all the same.
      if (layoutOf(opened.expected.text) === layoutOf(opened.found.text)) return;
    }
    if (before === this.differences.length) {
      this.#differ(verdict === 'other' ? 'id' : 'value', path, expected, found);
    }
  }

  #textVerdict(expected: string, found: string): IdVerdict {
    const cut = cutIds(expected);
    return this.#cuts(cut, expected === found ? cut : cutIds(found));
  }

  #cuts(expected: Cut, found: Cut): IdVerdict {
    if (expected.ids.length !== found.ids.length) return 'strange';
    if (expected.rest.some((piece, i) => piece !== found.rest[i])) return 'strange';
    const verdicts = expected.ids.map((id, i) => this.#match(id, found.ids[i] ?? ''));
    return verdicts.find((verdict) => verdict !== 'same') ?? 'same';
  }

  #match(expected: string, found: string): IdVerdict {
    const { ids, expectedAt, foundAt } = this.#terms;
    return ids.match(expected, found, expectedAt, foundAt);
  }

  #differ(kind: 'value' | 'id', path: Path, expected: unknown, found: unknown): void {
    const name = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
    this.differences.push({ kind, path: `${this.#under}${name}`, expected, found });
  }
}

/** A text without what stands in quotes, and without ids. */
function layoutOf(text: string): string {
  return maskIds(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'));
}

interface Opened {
  readonly text: string;
  readonly value: unknown;
}

/** Texts that are JSON, JSON in base64 or forms, opened so that the field in them that differs can be named. */
function openTexts(
  expected: string,
  found: string,
): { readonly expected: Opened; readonly found: Opened } | undefined {
  for (const open of [openJson, openBase64, openForm]) {
    const a = open(expected);
    const b = a && open(found);
    if (a !== undefined && b !== undefined) return { expected: a, found: b };
  }
  return undefined;
}

function openJson(text: string): Opened | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return { text, value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** `{"` in base64 is `eyJ`. */
function openBase64(text: string): Opened | undefined {
  return /^eyJ[\w+/-]*={0,2}$/.test(text)
    ? openJson(Buffer.from(text, 'base64').toString('utf8'))
    : undefined;
}

function openForm(text: string): Opened | undefined {
  if (!/^[\w.%~*+-]+=[^\s&]*(?:&[\w.%~*+-]+=[^\s&]*)*$/.test(text)) return undefined;
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    fields.set(name, [...(fields.get(name) ?? []), value]);
  }
  return {
    text,
    value: Object.fromEntries([...fields].map(([name, all]) => [name, all.length > 1 ? all : all[0]])),
  };
}
