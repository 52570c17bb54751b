import type { HistoryItem } from '../../provider.ts';

/** How a service counts texts: by characters, bytes or tokens. */
export interface Measure {
  sizeOf(text: string): number;
  /** The beginning of a text that has at most this size, never half of a character. */
  head(text: string, most: number): string;
  /** The same of its end. */
  tail(text: string, most: number): string;
}

/** What a new session takes of the conversation so far. */
export interface HistoryRoom {
  readonly maxItems: number;
  /** Of all items together, in what `measure` counts. */
  readonly maxSize: number;
  readonly measure: Measure;
  /** What the service is sent for an item beside its own words, in the same. */
  readonly extraSize: number;
}

/** Stands for what the new session is not told. */
export const EARLIER_LEFT_OUT = 'The earlier part of this call is left out here.';

const CUT = '…';
/** What one item may take of all the room when the rest has to be left out or shortened. */
const MOST_SHARE = 4;

function isLowSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/** For services that count characters, as UTF-16 has them. */
export const BY_CHARACTERS: Measure = Object.freeze({
  sizeOf: (text: string): number => text.length,
  head(text: string, most: number): string {
    const to = Math.max(0, Math.floor(most));
    return text.slice(0, to > 0 && isLowSurrogate(text.charCodeAt(to)) ? to - 1 : to);
  },
  tail(text: string, most: number): string {
    const from = Math.max(0, text.length - Math.max(0, Math.floor(most)));
    return text.slice(isLowSurrogate(text.charCodeAt(from)) ? from + 1 : from);
  },
});

function systemLine(text: string): HistoryItem {
  return { type: 'message', role: 'system', text };
}

function isTold(item: HistoryItem): boolean {
  return item.type === 'tool' || item.text.trim() !== '';
}

function sizeOf(item: HistoryItem, { measure, extraSize }: HistoryRoom): number {
  if (item.type === 'message') return measure.sizeOf(item.text) + extraSize;
  return measure.sizeOf(item.name) + measure.sizeOf(item.args) + measure.sizeOf(item.output) + extraSize;
}

/** Arguments are JSON, and some service may read them as such. */
function shortArgs(args: string, most: number, measure: Measure): string {
  if (measure.sizeOf(args) <= most) return args;
  // Quotes in it are written with a backslash each.
  return JSON.stringify({ shortened: measure.head(args, most / 2) });
}

/** Of what was said the end counts; a note, and what a function gave, has its beginning. */
function shortened(item: HistoryItem, most: number, room: HistoryRoom): HistoryItem {
  if (sizeOf(item, room) <= most) return item;
  const { measure, extraSize } = room;
  const left = most - extraSize - measure.sizeOf(CUT);
  if (item.type === 'tool') {
    const args = shortArgs(item.args, left / MOST_SHARE, measure);
    const rest = left - measure.sizeOf(item.name) - measure.sizeOf(args);
    if (measure.sizeOf(item.output) <= rest) return { ...item, args };
    return { ...item, args, output: `${measure.head(item.output, rest)}${CUT}` };
  }
  const text =
    item.role === 'system'
      ? `${measure.head(item.text, left)}${CUT}`
      : `${CUT}${measure.tail(item.text, left)}`;
  return { ...item, text };
}

function fitsWhole(items: readonly HistoryItem[], room: HistoryRoom): boolean {
  if (items.length > room.maxItems) return false;
  let left = room.maxSize;
  for (const item of items) {
    left -= sizeOf(item, room);
    if (left < 0) return false;
  }
  return true;
}

/** The newest items that there is room for, each whole or shortened; `isAll`: none was left out. */
function newest(
  items: readonly HistoryItem[],
  share: number,
  room: HistoryRoom,
): { readonly items: readonly HistoryItem[]; readonly isAll: boolean } {
  const kept: HistoryItem[] = [];
  let left = room.maxSize;
  for (let i = items.length - 1; i >= 0 && kept.length < room.maxItems; i -= 1) {
    const item = items[i];
    if (item === undefined) break;
    const short = shortened(item, share, room);
    left -= sizeOf(short, room);
    if (left < 0) break;
    kept.push(short);
  }
  return { items: kept.reverse(), isAll: kept.length === items.length };
}

/**
 * The conversation so far as far as a session takes it, in order, without empty texts. When it is too long, very long items
 * are shortened and the oldest are left out, for which a line of the system stands at the beginning; a line of the system
 * at the end, which tells the model what is going on, always stays.
 */
export function fittingHistory(history: readonly HistoryItem[], room: HistoryRoom): readonly HistoryItem[] {
  const told = history.filter(isTold);
  if (fitsWhole(told, room)) return told;
  const share = room.maxSize / MOST_SHARE;
  const final = told.at(-1);
  const isLine = final?.type === 'message' && final.role === 'system';
  const last = isLine ? [shortened(final, share, room)] : [];
  const before = isLine ? told.slice(0, -1) : told;
  const rest = less(room, last);
  const all = newest(before, share, rest);
  if (all.isAll) return isOver(rest) ? [] : [...all.items, ...last];
  const note = [systemLine(EARLIER_LEFT_OUT)];
  const beside = less(rest, note);
  // Where there is no room for anything, nothing is told.
  if (isOver(beside)) return isOver(rest) ? [] : [...all.items, ...last];
  return [...note, ...newest(before, share, beside).items, ...last];
}

/** The room that these leave. */
function less(room: HistoryRoom, items: readonly HistoryItem[]): HistoryRoom {
  const size = items.reduce((sum, item) => sum + sizeOf(item, room), 0);
  return { ...room, maxItems: room.maxItems - items.length, maxSize: room.maxSize - size };
}

function isOver({ maxItems, maxSize }: HistoryRoom): boolean {
  return maxItems < 0 || maxSize < 0;
}
