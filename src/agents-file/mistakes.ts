import { BridgeError } from '../errors.ts';
import type { Path, Place, YamlText } from './document.ts';
import { likeASecret } from './words.ts';

/** One thing that is wrong with an agents file. */
export interface Mistake {
  /** As it was given, or relative in the same way for a file that the agents file names. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** In dots; empty for the file as a whole. */
  readonly path: string;
  /** `found …, wanted …`; never a secret, never a telephone number. */
  readonly text: string;
}

/** The cause of the BAD_CONFIG of an agents file: its mistakes one by one, and every file that was looked at. */
export class AgentsFileMistakes extends Error {
  readonly mistakes: readonly Mistake[];
  readonly sources: readonly Source[];

  constructor(mistakes: readonly Mistake[], sources: readonly Source[]) {
    super(mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`);
    this.name = 'AgentsFileMistakes';
    this.mistakes = mistakes;
    this.sources = sources;
  }

  /** A line for each mistake, for logs that are read by programs. */
  get lines(): readonly string[] {
    return this.mistakes.map(lineOf);
  }
}

/** A file or folder that an agents file depends on. */
export interface Source {
  /** Absolute. */
  readonly path: string;
  /** Another one when it has changed; taken before it was read. */
  readonly version: string;
}

/** More lines than this are not read by anybody. */
const MOST_LINES = 200;

/** Gathers mistakes of one agents file, by path. */
export class MistakeList {
  readonly #file: string;
  readonly #doc: YamlText;
  readonly #mistakes: Mistake[] = [];
  readonly #settled: string[] = [];

  constructor(file: string, doc: YamlText) {
    this.#file = file;
    this.#doc = doc;
    for (const { place, path, text } of doc.mistakes) {
      this.#push(place, path, text);
      if (path.length > 0) this.settle(path);
    }
  }

  /** What is below this path has been spoken of: nothing more is said of it. */
  settle(path: Path): void {
    this.#settled.push(key(path));
  }

  isSettled(path: Path): boolean {
    const own = key(path);
    return this.#settled.some((settled) => own === settled || own.startsWith(`${settled}\0`));
  }

  /** The value at `path` is wrong, or is missing. */
  add(path: Path, text: string): void {
    this.#addAt(() => this.#doc.placeOf(path), path, text);
  }

  /** The last key of `path` is wrong. `shown` false: it may be what nobody wants in a log. */
  addKey(path: Path, text: string, shown = true): void {
    if (this.isSettled(path)) return;
    this.#push(this.#doc.placeOfKey(path), shown ? path : path.slice(0, -1), text);
  }

  /** A piece of the text at `path` is wrong; the first such piece is number 0. */
  addInside(path: Path, piece: string, which: number, text: string): void {
    this.#addAt(() => this.#doc.placeInside(path, piece, which), path, text);
  }

  /** Something in another file that `path` names is wrong. */
  addElsewhere(file: string, { line, column }: Place, path: Path, text: string): void {
    this.#mistakes.push({ file, line, column, path: dotted(path), text });
  }

  /** Something was found wrong with the value at this path already. */
  has(path: Path): boolean {
    const own = dotted(path);
    return this.#mistakes.some((mistake) => mistake.path === own);
  }

  get empty(): boolean {
    return this.#mistakes.length === 0;
  }

  /** One BAD_CONFIG with a line for every mistake, in the order of the file; the cause is an `AgentsFileMistakes`. */
  error(sources: readonly Source[]): BridgeError {
    const mistakes = this.#mistakes.toSorted((a, b) => this.#rank(a) - this.#rank(b) || inOrder(a, b));
    const lines = mistakes.slice(0, MOST_LINES).map(lineOf);
    if (mistakes.length > MOST_LINES) lines.push(`… and ${mistakes.length - MOST_LINES} more mistakes`);
    return new BridgeError('BAD_CONFIG', lines.join('\n'), {
      cause: new AgentsFileMistakes(mistakes, sources),
    });
  }

  #rank({ file }: Mistake): number {
    return file === this.#file ? 0 : 1;
  }

  #addAt(place: () => Place, path: Path, text: string): void {
    if (!this.isSettled(path)) this.#push(place(), path, text);
  }

  #push({ line, column }: Place, path: Path, text: string): void {
    this.#mistakes.push({ file: this.#file, line, column, path: dotted(path), text });
  }
}

/** `agents.yaml:12:5 agents.booking.audio: found …, wanted …`. */
export function lineOf({ file, line, column, path, text }: Mistake): string {
  const place = `${file}:${line}:${column}`;
  return path === '' ? `${place} ${text}` : `${place} ${path}: ${text}`;
}

/** The mistakes of an error that `readAgentsFile` threw; undefined for any other. */
export function mistakesOf(error: unknown): AgentsFileMistakes | undefined {
  return error instanceof BridgeError && error.cause instanceof AgentsFileMistakes ? error.cause : undefined;
}

function inOrder(a: Mistake, b: Mistake): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

function key(path: Path): string {
  return path.map(String).join('\0');
}

/** Keys that could not be told from several are quoted; a telephone number as a key is not shown. */
export function dotted(path: Path): string {
  return path
    .map((step) => {
      const text = String(step);
      if (/^[A-Za-z0-9_$-]+$/.test(text) && !/^\d{7,}$/.test(text) && !likeASecret(text)) return text;
      return /\d{5}/.test(text) || likeASecret(text) ? '"…"' : JSON.stringify(text.slice(0, 64));
    })
    .join('.');
}
