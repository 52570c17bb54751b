/** Characters of one turn that are told and kept; hours of speech have fewer. */
export const MOST_TEXT = 65_536;

/** Function calls of one session that are known. */
export const MOST_CALLS = 1_000;

/** Characters of the name of a response, of an item or of a call; real ones have fewer than 100. */
export const MOST_ID = 256;

/** Characters of what is written for the calls of one response. */
export const MOST_ARGUMENTS = 1_048_576;

/** Calls of one response. */
export const MOST_CALLS_AT_ONCE = 256;

/** Names that one session may charge by. */
const MOST_MODELS = 4;

/** What of `piece` there is room for in a turn that has `length` characters already. */
export function fittingText(piece: string, length: number): string {
  return length + piece.length <= MOST_TEXT ? piece : piece.slice(0, Math.max(0, MOST_TEXT - length));
}

/** A code or reason of the provider as logs and metrics may have it; `otherwise` for a text that is none. */
export function codeWord<T extends string | undefined>(value: string | undefined, otherwise: T): string | T {
  return value !== undefined && /^[\w.-]{1,64}$/.test(value) ? value : otherwise;
}

/** `audio/opus at 48000 Hz`, of a format as a provider or a program wrote it, for a message. */
export function shownFormat(type: unknown, rate: unknown): string {
  const name = typeof type === 'string' && /^[\w./-]{1,64}$/.test(type) ? type : 'of an unknown type';
  return typeof rate === 'number' ? `${name} at ${rate} Hz` : name;
}

/**
 * The names of models that the provider charges a session by. They are kept by whoever counts for good, so they may
 * neither be anything nor very many.
 */
export class ModelNames {
  readonly #known = new Set<string>();

  /** The provider's name, or `asked`: the one that was asked for. */
  take<T extends string | undefined>(name: string | undefined, asked: T): string | T {
    if (name === undefined || name === asked || !/^[\w.:/-]{1,64}$/.test(name)) return asked;
    if (!this.#known.has(name) && this.#known.size >= MOST_MODELS) return asked;
    this.#known.add(name);
    return name;
  }
}
