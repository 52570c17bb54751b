import { BridgeError } from '../../errors.ts';
import type { Trouble } from './carrier-sim.ts';

/** A stream that a document or a command asks for; addresses as they are written, not yet resolved. */
export interface StreamVerb {
  readonly url: string;
  readonly name: string | undefined;
  readonly track: string | undefined;
  readonly statusCallback: string | undefined;
  readonly statusCallbackMethod: 'GET' | 'POST';
  /** What the bridge wants to be told in `start`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Everything else that was written, by the carrier's own names: formats, modes, limits. */
  readonly settings: Readonly<Record<string, string>>;
}

/** One of those whom a transfer rings; `kind` and `settings` by the carrier's own names. */
export interface DialLeg {
  readonly kind: string;
  readonly target: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** A verb of an answer document, in the words of no carrier. */
export type Verb =
  | {
      readonly type: 'connect';
      /** Asked for what comes after a stream that began; without it the next verb runs. */
      readonly action: string | undefined;
      readonly method: 'GET' | 'POST';
      /** False: the next verb runs at once, and the stream ends with the call. */
      readonly wait: boolean;
      readonly stream: StreamVerb;
    }
  | {
      readonly type: 'say';
      readonly text: string;
      readonly language: string | undefined;
      readonly voice: string | undefined;
    }
  | { readonly type: 'play'; readonly url: string; readonly digits: string | undefined }
  | { readonly type: 'pause'; readonly lengthS: number }
  | {
      readonly type: 'dial';
      readonly action: string | undefined;
      readonly method: 'GET' | 'POST';
      readonly callerId: string | undefined;
      /** Numbers, SIP addresses and clients that are rung. */
      readonly targets: readonly string[];
      /** The same targets with all that was written about each, where a carrier has more than the address. */
      readonly legs?: readonly DialLeg[];
      /** Everything else that was written, by the carrier's own names. */
      readonly settings?: Readonly<Record<string, string>>;
      /** A call that rings goes on ringing until the other leg is connected. */
      readonly answersLate?: boolean;
    }
  | { readonly type: 'hangup' }
  | { readonly type: 'redirect'; readonly url: string; readonly method: 'GET' | 'POST' }
  | { readonly type: 'reject'; readonly reason: 'busy' | 'rejected' }
  /** What only this carrier has: `DocumentRules.perform` does it. */
  | {
      readonly type: 'own';
      readonly name: string;
      readonly settings: Readonly<Record<string, string>>;
      /** Its text, or what its children say. */
      readonly values: readonly string[];
    };

/** Verbs that a carrier performs itself. */
export type OwnVerb = Extract<Verb, { readonly type: 'own' }>;

/** A transfer. */
export type DialVerb = Extract<Verb, { readonly type: 'dial' }>;

/** What the carrier would write into its debugger. */
export interface DocumentWarning {
  readonly code: string;
  readonly text: string;
}

/** An answer document as the carrier understands it. */
export interface AnswerDocument {
  readonly verbs: readonly Verb[];
  readonly warnings: readonly DocumentWarning[];
}

/** Instructions that replace the running document. */
export type Replacement =
  | { readonly text: string }
  | { readonly url: string; readonly method: 'GET' | 'POST' };

/** An address of a document: absolute ones stay letter by letter as they are. Throws BAD_INPUT for nonsense. */
export function resolveUrl(url: string, baseUrl: string, codes: Readonly<Record<Trouble, string>>): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return url;
  try {
    return new URL(url, baseUrl).href;
  } catch (cause) {
    throw new BridgeError('BAD_INPUT', `${codes['bad-address']}: ${JSON.stringify(url)} is not an address`, {
      cause,
    });
  }
}
