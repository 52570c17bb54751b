import type { JsonObject } from '../common/json.ts';

/** A conversation whose session is over. */
export interface KeptConversation {
  readonly id: string;
  /** In wire shape, oldest first. */
  readonly items: readonly JsonObject[];
  readonly atMs: number;
}

const KEPT_MS = 30 * 60_000;

/** Conversations that clients may go on with, for half an hour. */
export class Shelf {
  readonly #kept = new Map<string, KeptConversation>();

  put(conversation: KeptConversation): void {
    this.#kept.set(conversation.id, conversation);
  }

  /** Undefined: there is none of this id, or it lay there for too long. */
  find(id: string | undefined, nowMs: number): KeptConversation | undefined {
    const kept = id === undefined ? undefined : this.#kept.get(id);
    return kept !== undefined && nowMs - kept.atMs < KEPT_MS ? kept : undefined;
  }
}
