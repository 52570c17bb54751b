import type { JsonObject } from '../common/json.ts';
import type { SessionConfig, SessionLocks } from './session-config.ts';
import type { WireError, WireEvent } from './wire.ts';

/** Which server is played. */
export type DialectName = 'ga' | 'beta' | 'xai' | 'voice-live' | 'inworld';

/**
 * What differs between the servers that speak like OpenAI Realtime. The simulator itself speaks GA; a dialect reads what
 * the client sends into it and writes what it says out of it.
 */
export interface ServerDialect {
  /** A client event in the words of GA; not the session of an update. Throws a Refusal when it breaks a rule. */
  read(event: WireEvent): WireEvent;
  /** A server event in this dialect; undefined: it does not have it. */
  write(event: WireEvent): WireEvent | undefined;
  /** The session after an update; throws a Refusal, and then it stays as it was. */
  update(current: SessionConfig, patch: unknown, locks: SessionLocks): SessionConfig;
  /** What of a session the client is shown, beside its id and its end. */
  show(session: SessionConfig): JsonObject;
  /** What a session is before the first update. */
  starts(session: SessionConfig): SessionConfig;
  /** Client events of GA that it does not know. */
  readonly lacks: readonly string[];
  /** `conversation.created` follows `session.created`. */
  readonly namesConversation: boolean;
  /** What the caller says is told from the beginning each time, and its end more than once. */
  readonly rewritesHeard: boolean;
  /** A session says when it ends. */
  readonly namesEnd: boolean;
  /** Conversations can be gone on with under their id. */
  readonly resumes?: boolean;
  /** A text that the server says without the model, if the item is one. Throws a Refusal when it breaks a rule. */
  script?(item: unknown): string | undefined;
  /** Ends a session that has lasted too long. */
  readonly expiry?: {
    readonly error: WireError;
    readonly close: { readonly code: number; readonly reason: string };
  };
  /** It shows so often that it lives. */
  readonly pingMs?: number;
}
