/**
 * Ids that the process itself makes up: UUIDs, the tokens in its addresses, ids of calls that were ordered. Those of the
 * other side come in by the recording and are the same in a replay.
 */
const MADE_UP =
  /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|call_[0-9a-f]{24}|(?<=\/(?:media|after|announce)\/[a-z]+\/)[A-Za-z0-9_.~-]{16,200}/g;

/** All of them in a text, in order, with repetitions. */
export function madeUpIds(text: string): readonly string[] {
  return text.match(MADE_UP) ?? [];
}

/**
 * Which id of a replay stands for which one of the recording. They are the same as long as the code makes its ids in the
 * same order; afterwards what still comes in has to speak of those that are there now.
 */
export class IdBook {
  readonly #now = new Map<string, string>();

  /** The same message, once as recorded and once as it went out now: ids at the same place are the same thing. */
  learn(recorded: string, found: string): void {
    if (recorded === found) return;
    const before = madeUpIds(recorded);
    const now = madeUpIds(found);
    if (before.length !== now.length) return;
    for (const [index, id] of before.entries()) {
      const other = now[index];
      if (other !== undefined && other !== id && !this.#now.has(id)) this.#now.set(id, other);
    }
  }

  /** A message as recorded, with the ids that are there now. */
  translate(text: string): string {
    if (this.#now.size === 0) return text;
    return text.replace(MADE_UP, (id) => this.#now.get(id) ?? id);
  }
}
