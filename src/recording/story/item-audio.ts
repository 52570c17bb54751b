import { isRecord } from '../../is-record.ts';
import { audioRefsOf } from '../audio-refs.ts';
import type { AudioRef, Line, Message } from '../format.ts';
import { mediaFact } from './messages.ts';

/** A part of a turn of the agent on its way to the caller. */
export interface ItemPart {
  readonly conn: number;
  /** ms of the stream that were sent before it. */
  readonly position: number;
  /** ms of the item that came before it. */
  readonly offset: number;
  readonly ms: number;
}

/** What there was to hear of a turn of the agent. */
export interface ItemAudio {
  readonly parts: ItemPart[];
  receivedMs: number;
}

/** A turn of the agent whose audio is looked for. */
interface Spoken {
  readonly itemId: string;
  readonly atMs: number;
}

interface Sent {
  readonly t: number;
  readonly conn: number;
  readonly msg: Message;
}

interface Waiting {
  readonly itemId: string | undefined;
  offset: number;
  ms: number;
}

/** Less than this is left over from rounding and from silence that was trimmed. */
const LEFT_OVER_MS = 120;
const IDLE_MS = 1500;
/** The place of a turn is taken with its first audio, a moment after the message. */
const LATENESS_MS = 50;

/**
 * Follows the agent's speech from the provider to the carrier: which part of what was sent is of which turn. What the
 * provider sent is sent on in the same order and of the same length, but for what a barge-in dropped.
 */
class Ledger {
  readonly items = new Map<string, ItemAudio>();
  readonly #spoken: readonly Spoken[];
  readonly #known: ReadonlySet<string>;
  readonly #rateOf: (wav: string) => number;
  readonly #positions = new Map<number, number>();
  #queue: Waiting[] = [];
  #sentAt = 0;

  constructor(spoken: readonly Spoken[], rateOf: (wav: string) => number) {
    this.#rateOf = rateOf;
    this.#spoken = [...spoken].sort((a, b) => a.atMs - b.atMs);
    this.#known = new Set(spoken.map(({ itemId }) => itemId));
  }

  provider(line: Line): void {
    const refs = audioRefsOf(line);
    const named = refs.length === 0 || !('msg' in line) ? undefined : itemNamed(line.msg, 0);
    for (const ref of refs) this.#came(line.t, named, this.#msOf(ref));
  }

  carrier({ t, conn, msg }: Sent): void {
    const fact = mediaFact(msg);
    if (fact.kind === 'clear') this.#queue = [];
    if (fact.kind !== 'audio') return;
    const position = this.#positions.get(conn) ?? 0;
    const ms = this.#msOf(fact.ref);
    this.#positions.set(conn, position + ms);
    this.#send(t, conn, position, ms);
  }

  #msOf({ wav, n }: AudioRef): number {
    return (n / this.#rateOf(wav)) * 1000;
  }

  #came(atMs: number, named: string | undefined, ms: number): void {
    const waitingMs = this.#queue.reduce((sum, part) => sum + part.ms, 0);
    if (waitingMs < LEFT_OVER_MS && atMs - this.#sentAt > IDLE_MS) this.#queue = [];
    const itemId = named !== undefined && this.#known.has(named) ? named : this.#openAt(atMs);
    const item = itemId === undefined ? undefined : this.#item(itemId);
    this.#queue.push({ itemId, offset: item?.receivedMs ?? 0, ms });
    if (item !== undefined) item.receivedMs += ms;
  }

  #send(atMs: number, conn: number, position: number, ms: number): void {
    this.#sentAt = atMs;
    let done = 0;
    while (done < ms) {
      const head = this.#queue[0];
      // The bridge's own sounds come from nobody.
      if (head === undefined) return;
      const part = Math.min(head.ms, ms - done);
      if (head.itemId !== undefined)
        this.#item(head.itemId).parts.push({
          conn,
          position: position + done,
          offset: head.offset,
          ms: part,
        });
      head.offset += part;
      head.ms -= part;
      done += part;
      if (head.ms <= 1e-6) this.#queue.shift();
    }
  }

  #item(itemId: string): ItemAudio {
    const known = this.items.get(itemId);
    if (known !== undefined) return known;
    const item: ItemAudio = { parts: [], receivedMs: 0 };
    this.items.set(itemId, item);
    return item;
  }

  #openAt(atMs: number): string | undefined {
    return (this.#spoken.findLast((one) => one.atMs <= atMs + LATENESS_MS) ?? this.#spoken[0])?.itemId;
  }
}

/**
 * The audio of the agent's turns, by their ids.
 * @param rateOf samples per second of a WAV
 */
export function itemAudioOf(
  lines: readonly Line[],
  spoken: readonly Spoken[],
  rateOf: (wav: string) => number,
): ReadonlyMap<string, ItemAudio> {
  const ledger = new Ledger(spoken, rateOf);
  for (const line of lines) {
    if (!('msg' in line)) continue;
    if (line.on === 'provider' && line.dir === 'in') ledger.provider(line);
    else if (line.on === 'carrier' && line.dir === 'out') ledger.carrier(line);
  }
  return ledger.items;
}

const ITEM_FIELDS = ['itemId', 'item_id', 'contentId'] as const;

/** The item that a provider's message is about, where it says so. */
function itemNamed(message: unknown, depth: number): string | undefined {
  if (!isRecord(message) || depth > 3) return undefined;
  for (const field of ITEM_FIELDS) {
    const value = message[field];
    if (typeof value === 'string') return value;
  }
  for (const value of Object.values(message)) {
    const found = itemNamed(value, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
