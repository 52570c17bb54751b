import { isRecord } from '../is-record.ts';
import type { RestAsked } from './rest-tap.ts';

/** Names of fields in which carriers name a call, one of its legs or a request for one; without hyphens and underscores. */
const NAMES =
  /^(?:(?:dial|parent|other|linkto)?call(?:control|leg|session)?(?:id|sid|uuid)|dialbleguuid|requestuuid|sid|uuid)$/;
const SHORTEST = 8;
const LONGEST = 400;
const MOST = 64;
const MOST_DEPTH = 6;

/** What a carrier calls one phone call: its own id, and those of its other legs as they become known. */
export class CallRefs {
  readonly #known = new Set<string>();

  constructor(...ids: readonly (string | undefined)[]) {
    for (const id of ids) this.#add(id);
  }

  /** Reads what a webhook of the call, or an answer about it, names. */
  learn(json: unknown, depth = 0): void {
    if (depth > MOST_DEPTH || typeof json !== 'object' || json === null) return;
    for (const [name, value] of Object.entries(json)) {
      if (typeof value === 'string') {
        if (NAMES.test(name.replace(/[-_]/g, '').toLowerCase())) this.#add(value);
      } else this.learn(value, depth + 1);
    }
  }

  /** A request to the carrier is about this call. */
  isMeantBy({ url, body = '' }: RestAsked): boolean {
    for (const id of this.#known) {
      if (url.includes(id) || body.includes(id)) return true;
      const spelled = encodeURIComponent(id);
      if (spelled !== id && (url.includes(spelled) || body.includes(spelled))) return true;
    }
    return false;
  }

  #add(id: string | undefined): void {
    if (id === undefined || id.length < SHORTEST || id.length > LONGEST) return;
    if (this.#known.size < MOST) this.#known.add(id);
  }
}

/** JSON as a value; undefined: it is none. */
export function jsonIn(text: string): unknown {
  try {
    const found: unknown = JSON.parse(text);
    return isRecord(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
