import type { CarrierName } from '../carrier.ts';
import type { Env } from '../config.ts';
import type { Spending } from '../cost/day.ts';
import type { ErrorCode } from '../errors.ts';
import type { Outlook } from '../roster.ts';

/** CONTRACT between the process that has the port and those that have the calls. All of it travels by the channel of Node. */

/** What a worker needs to begin. */
export interface StartOrder {
  readonly type: 'start';
  /** Counted from 1; its successor has the same. */
  readonly slot: number;
  readonly env: Env;
  readonly insecure: boolean;
  /** Where carriers reach the service when nothing is configured. */
  readonly localUrl: string;
  readonly localAuthToken: string | undefined;
  /** Where it takes requests. */
  readonly socketPath: string;
}

/** Of one day, as far as it can be compared. */
export interface SharedDay extends Spending {
  readonly currency: string | undefined;
}

export type Order =
  | StartOrder
  /** Whether a call, a token or an order is its own. */
  | { readonly type: 'ask'; readonly id: number; readonly names: readonly string[] }
  /** Comes with the socket: a request to open a media stream, as it was sent, and what followed it. */
  | { readonly type: 'upgrade'; readonly id: number; readonly bytes: Uint8Array }
  /** Whether it still gets to anything. */
  | { readonly type: 'beat' }
  | { readonly type: 'drain' }
  | { readonly type: 'close' }
  /** The answer to what the worker has asked with this id. */
  | { readonly type: 'day'; readonly id: number; readonly day: SharedDay | undefined }
  /** Somebody else has spent something. */
  | { readonly type: 'spent' };

/** What whoever starts the service is told. */
export interface Facts {
  readonly agents: readonly string[];
  readonly carriers: readonly CarrierName[];
  readonly providerName: string;
  readonly outlooks: ReadonlyMap<string, Outlook>;
}

export type Word =
  | { readonly type: 'ready'; readonly facts: Facts }
  /** It cannot begin; the process ends. */
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  /** A call has begun here, or has ended. `calls`: that are up, ring, or are being asked about. */
  | { readonly type: 'begun' | 'ended'; readonly name: string; readonly calls: number }
  | { readonly type: 'load'; readonly calls: number }
  | { readonly type: 'answer'; readonly id: number; readonly mine: boolean }
  /** The socket is here. */
  | { readonly type: 'taken'; readonly id: number }
  | { readonly type: 'beat' }
  | { readonly type: 'drained' }
  /** What was spent on a day; with `own`: what was spent here is added first. */
  | {
      readonly type: 'day';
      readonly id: number;
      readonly name: string;
      readonly currency: string | undefined;
      readonly own: Spending | undefined;
    };
