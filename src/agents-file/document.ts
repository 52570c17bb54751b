import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';

/** Where something stands in a file; both counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly PropertyKey[];

/** What is wrong with the text itself, before anybody asks what it means. */
export interface TextMistake {
  readonly place: Place;
  /** Empty for the file as a whole. */
  readonly path: Path;
  readonly text: string;
}

/** A YAML or JSON text that was read; knows where each of its values stands. */
export interface YamlText {
  /** Plain data; undefined when the text could not be read at all. */
  readonly value: unknown;
  readonly mistakes: readonly TextMistake[];
  /** Where the value of a path stands; of one that is missing, where that stands in which it should be. */
  placeOf(path: Path): Place;
  /** Where the last key of a path stands. */
  placeOfKey(path: Path): Place;
  /** Where a piece of the text of a value stands, the first one counted as 0; where the value stands if it is not found. */
  placeInside(path: Path, piece: string, which: number): Place;
}

/** A file with more of them is meant to use up memory. */
const MOST_ALIASES = 100;
/** Nothing that is meant lies deeper, and everything that walks through the data may do so by recursion. */
const DEEPEST = 100;
const START: Place = { line: 1, column: 1 };

/** Reads YAML 1.2, which JSON is a part of; merge keys (`<<`) are understood. Never throws. */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  const doc = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    logLevel: 'error',
    prettyErrors: false,
  });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return line === 0 ? START : { line, column: Math.max(1, col) };
  };
  const mistakes = brokenPlaceholders(
    text,
    doc.errors.map(({ code, pos }) => ({ place: placeAt(pos[0]), path: [], text: syntaxWords(code) })),
  );
  if (mistakes.length === 0) mistakes.push(...unquotedPlaceholders(doc, placeAt));
  const data = mistakes.some(({ path }) => path.length === 0) ? undefined : plainData(doc, mistakes);
  const tree: Tree = { doc, pairs: new Map() };
  return {
    value: data,
    mistakes,
    placeOf: (path) => placeAt(offsetOf(find(tree, path).node)),
    placeOfKey: (path) => placeAt(offsetOf(find(tree, path).key)),
    placeInside(path, piece, which) {
      const { node } = find(tree, path);
      const [start, end] = rangeOf(node);
      let at = start - 1;
      for (let i = 0; i <= which; i++) {
        at = text.indexOf(piece, at + 1);
        if (at < 0 || at >= end) return placeAt(start);
      }
      return placeAt(at);
    },
  };
}

function plainData(doc: Document, mistakes: TextMistake[]): unknown {
  try {
    const data: unknown = doc.toJS({ maxAliasCount: MOST_ALIASES });
    if (heightOf(data, DEEPEST, new Map()) <= DEEPEST) return data;
    const text = `found values within values without end, wanted at most ${DEEPEST} levels, and no alias (*name) within its own anchor (&name)`;
    mistakes.push({ place: START, path: [], text });
    return undefined;
  } catch (thrown) {
    const text =
      thrown instanceof ReferenceError
        ? `found aliases (*name) that cannot be followed, wanted at most ${MOST_ALIASES}, each of an anchor (&name) before it`
        : 'found YAML that stands for no data, wanted keys and values';
    mistakes.push({ place: START, path: [], text });
    return undefined;
  }
}

/** Levels below a value; more than `room` for any that has more. What is shared by aliases is looked into once. */
function heightOf(value: unknown, room: number, known: Map<object, number>): number {
  if (typeof value !== 'object' || value === null) return 0;
  const before = known.get(value);
  if (before !== undefined) return before;
  if (room === 0) return 1;
  // Whoever comes here again before the end has found a circle.
  known.set(value, Number.POSITIVE_INFINITY);
  let height = 0;
  for (const item of Object.values(value)) height = Math.max(height, heightOf(item, room - 1, known));
  known.set(value, height + 1);
  return height + 1;
}

const UNQUOTED = 'found a value that begins with {{ without quotes, wanted it in quotes';
/** A line whose value begins so; what is before it holds no quotes and no comment. */
const BEGINS_UNQUOTED = /^\s*(?:-\s+)*(?:[^\s'"#:-][^'"#:]*:\s+)?\{\{/;

/** What follows the braces of an unquoted `{{name}}, hello` is no YAML at all: of all its mistakes one helps. */
function brokenPlaceholders(text: string, errors: readonly TextMistake[]): TextMistake[] {
  if (errors.length === 0) return [];
  const lines = text.split('\n');
  const known = new Set<number>();
  return errors.flatMap((error): TextMistake[] => {
    const { line } = error.place;
    const [start] = BEGINS_UNQUOTED.exec(lines[line - 1] ?? '') ?? [];
    if (start === undefined) return [error];
    if (known.has(line)) return [];
    known.add(line);
    return [{ place: { line, column: start.length - 1 }, path: [], text: UNQUOTED }];
  });
}

/** `{{name}}` at the beginning of a plain value is not text for YAML but a map with a map for a key. */
function unquotedPlaceholders(doc: Document, placeAt: (offset: number) => Place): TextMistake[] {
  const found: TextMistake[] = [];
  visit(doc, {
    Pair(_key, pair, ancestors) {
      if (!isCollection(pair.key)) return undefined;
      found.push({
        place: placeAt(offsetOf(pair.key)),
        path: pathOf(ancestors.slice(0, -1)),
        text: UNQUOTED,
      });
      return visit.SKIP;
    },
  });
  return found;
}

/** The path of the value that the last of these nodes is. */
function pathOf(ancestors: readonly (Document | Node | Pair)[]): Path {
  const path: PropertyKey[] = [];
  ancestors.forEach((node, i) => {
    const parent = ancestors[i - 1];
    if (isSeq(parent)) path.push(parent.items.indexOf(node));
    else if (!isNode(node) && 'key' in node && isScalar(node.key)) path.push(String(node.key.value));
  });
  return path;
}

/** What paths are followed in; the pairs of a map by their names, of those that somebody has asked for. */
interface Tree {
  readonly doc: Document;
  readonly pairs: Map<YAMLMap, ReadonlyMap<string, Found>>;
}

interface Found {
  readonly key: unknown;
  readonly node: unknown;
}

/** Walks down as far as the path leads; aliases are followed, and keys that come by `<<` are found. */
function find(tree: Tree, path: Path): Found {
  let found: Found = { key: tree.doc.contents, node: tree.doc.contents };
  for (const step of path) {
    const next = child(tree, resolved(tree.doc, found.node), step);
    // The value that is missing should be in this one, which is best known by its key.
    if (next === undefined) return { key: found.key, node: found.key };
    found = next;
  }
  // An empty value stands nowhere.
  return isScalar(found.node) && found.node.source === '' && found.node.value === null
    ? { key: found.key, node: found.key }
    : found;
}

function child(tree: Tree, node: unknown, step: PropertyKey): Found | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return item === undefined ? undefined : { key: item, node: item };
  }
  return isMap(node) ? pairOf(tree, node, String(step)) : undefined;
}

function pairOf(tree: Tree, map: YAMLMap, name: string): Found | undefined {
  const own = pairsOf(tree, map).get(name);
  if (own !== undefined) return own;
  for (const source of mergedInto(tree.doc, map)) {
    const found = pairOf(tree, source, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Kept, because a file with thousands of mistakes in one map asks for each of its keys. */
function pairsOf({ pairs }: Tree, map: YAMLMap): ReadonlyMap<string, Found> {
  const known = pairs.get(map);
  if (known !== undefined) return known;
  const made = new Map<string, Found>();
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : undefined;
    if (name !== undefined && !made.has(name)) made.set(name, { key, node: value ?? key });
  }
  pairs.set(map, made);
  return made;
}

/** The maps whose keys a map has by `<<`. */
function mergedInto(doc: Document, map: YAMLMap): readonly YAMLMap[] {
  const merges = map.items.filter(({ key }) => isScalar(key) && key.source === '<<');
  return merges.flatMap(({ value }) => {
    const node = resolved(doc, value);
    const sources = isSeq(node) ? node.items.map((item) => resolved(doc, item)) : [node];
    return sources.filter((source) => isMap(source));
  });
}

function resolved(doc: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(doc) : node;
}

function rangeOf(node: unknown): readonly [start: number, end: number] {
  const range = isNode(node) ? node.range : undefined;
  return range === undefined || range === null ? [0, 0] : [range[0], range[1]];
}

function offsetOf(node: unknown): number {
  return rangeOf(node)[0];
}

function syntaxWords(code: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'found a key that was there before in the same place, wanted each key once';
    case 'MULTIPLE_DOCS':
      return 'found a second document (---), wanted one';
    case 'TAB_AS_INDENT':
      return 'found a tab, wanted blanks before a key';
    default:
      return `found text that is no YAML (${SYNTAX[code] ?? 'it cannot be read'}), wanted YAML or JSON`;
  }
}

/** Not the words of the parser, which quote what stands there: that may be a secret. */
const SYNTAX: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias has an anchor or a tag of its own',
  BAD_ALIAS: 'the name of an anchor or alias is empty, or ends with a colon',
  BAD_COLLECTION_TYPE: 'a tag does not fit what follows it',
  BAD_DIRECTIVE: 'a directive that there is not',
  BAD_DQ_ESCAPE: 'a backslash before something that needs none; in single quotes it stands for itself',
  BAD_INDENT: 'a line begins too far to the left or to the right',
  BAD_PROP_ORDER: 'an anchor or a tag stands before -, ? or :',
  BAD_SCALAR_START: 'a value that begins with this character has to be in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a list or a second key in the place of a value; text with a colon has to be in quotes',
  BLOCK_IN_FLOW: 'an indented block between brackets or braces',
  KEY_OVER_1024_CHARS: 'a key that is longer than 1024 characters',
  MISSING_CHAR: 'something is missing: a closing quote, bracket or brace, a comma, a colon, or a blank',
  MULTILINE_IMPLICIT_KEY: 'a key of several lines, or a line without a colon',
  MULTIPLE_ANCHORS: 'two anchors at one value',
  MULTIPLE_TAGS: 'two tags at one value',
  NON_STRING_KEY: 'a key that is no text',
  RESOURCE_EXHAUSTION: 'it nests too deeply',
  TAG_RESOLVE_FAILED: 'a tag that there is not; a value that begins with ! has to be in quotes',
  UNEXPECTED_TOKEN:
    'something stands where it cannot be; a value with special characters has to be in quotes',
};
