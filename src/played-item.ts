import type { HeardItem } from './provider.ts';

/** One item of the agent's speech on its way to the caller's ear. */
export interface PlayedItem {
  readonly responseId: string;
  readonly itemId: string;
  /** Byte positions on the line, counted from the first byte ever played to this leg. */
  readonly start: number;
  end: number;
  receivedMs: number;
  /** No more audio of this item will come. */
  closed: boolean;
}

/** What is known of items when the caller has heard the line up to a position. */
export interface SoFar {
  /** Ids of those that were heard to their end. */
  readonly heard: string[];
  /** The others, in order of play. */
  readonly cut: HeardItem[];
}

/**
 * @param position byte on the line up to which it was heard
 * @param perMs bytes in a millisecond of it
 */
export function soFar(items: readonly PlayedItem[], position: number, perMs: number): SoFar {
  const heard: string[] = [];
  const cut: HeardItem[] = [];
  for (const { itemId, start, end, closed, receivedMs: exactMs } of items) {
    if (closed && position >= end) {
      heard.push(itemId);
      continue;
    }
    const playedMs = Math.floor(Math.max(0, position - start) / perMs);
    const receivedMs = Math.floor(exactMs);
    cut.push({ itemId, playedMs: Math.min(playedMs, receivedMs), receivedMs });
  }
  return { heard, cut };
}
