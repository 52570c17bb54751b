import type { Line, RestMessage } from '../recording/format.ts';

interface Asked {
  readonly method: string;
  readonly path: string;
  /** When it was asked once more, after the carrier had refused or not answered; undefined: it was the first time. */
  readonly againAt: number | undefined;
  taken: boolean;
  waiting: ((message: RestMessage) => void) | undefined;
  early: RestMessage | undefined;
}

/** The carrier's REST interface of a replay: answers as the recording says, when it says so. */
export class RestFeed {
  readonly #asked = new Map<number, Asked>();
  /** Bodies of the requests that were made, oldest first. */
  readonly bodies: string[] = [];

  constructor(lines: readonly Line[]) {
    /** What was asked and not done, as it was asked. */
    const undone = new Set<string>();
    const texts = new Map<number, string>();
    for (const line of lines) {
      if (line.on !== 'rest') continue;
      const { msg } = line;
      if (!('method' in msg)) {
        const text = texts.get(msg.id) ?? '';
        if (isDone(msg)) undone.delete(text);
        else undone.add(text);
        continue;
      }
      const { id, method, url, body } = msg;
      const text = `${method} ${url} ${body}`;
      texts.set(id, text);
      const againAt = undone.has(text) ? line.t : undefined;
      const path = pathOf(url);
      this.#asked.set(id, { method, path, againAt, taken: false, waiting: undefined, early: undefined });
    }
  }

  /**
   * When this request was made in the recording, for one that was made once more: its pause is not on the clock of the
   * call, so that how late it ended is told by the request only. Undefined: it is made when it is made.
   */
  againAt(method: string, url: string): number | undefined {
    return this.#find(method, pathOf(url))?.againAt;
  }

  /** Takes the place of the platform's `fetch`. */
  readonly fetch: typeof fetch = (input, init = {}) => {
    const url = typeof input === 'string' ? input : input instanceof URL ? input.href : input.url;
    if (typeof init.body === 'string') this.bodies.push(init.body);
    const asked = this.#find(init.method ?? 'GET', pathOf(url));
    if (asked === undefined) return Promise.reject(new TypeError('fetch failed'));
    asked.taken = true;
    return new Promise((resolve, reject) => {
      const answer = (message: RestMessage): void => {
        if ('status' in message) resolve(new Response(bodyOf(message), { status: message.status }));
        else if ('error' in message) reject(new TypeError(message.error));
      };
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason), { once: true });
      if (asked.early === undefined) asked.waiting = answer;
      else answer(asked.early);
    });
  };

  /** A line of the recording: the carrier has answered. */
  feed(message: RestMessage): boolean {
    const asked = this.#asked.get(message.id);
    if (asked === undefined) return false;
    if (asked.waiting === undefined) asked.early = message;
    else asked.waiting(message);
    return asked.waiting !== undefined;
  }

  #find(method: string, path: string): Asked | undefined {
    const open = [...this.#asked.values()].filter((asked) => !asked.taken && asked.method === method);
    return open.find((asked) => asked.path === path) ?? open[0];
  }
}

/** Whoever has asked does not ask again. */
function isDone(answer: RestMessage): boolean {
  return 'status' in answer && answer.status < 500 && answer.status !== 429;
}

/** A response without a body may not be given one. */
function bodyOf({ status, body }: Extract<RestMessage, { status: number }>): string | null {
  return status === 204 || status === 205 || status === 304 ? null : body;
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : url;
}
