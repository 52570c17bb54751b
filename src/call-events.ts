import type { CallOutcome, CarrierName, MachineResult } from './carrier.ts';
import type { ErrorCode } from './errors.ts';
import type { Log } from './log.ts';
import type { HeardItem, Usage } from './provider.ts';
import type { TranscriptEntry } from './transcript.ts';

/** Why a call ended, most final first; each is a row of `docs/lifecycle.md`. */
export const END_REASONS = [
  'caller-hung-up',
  'agent-hung-up',
  'operator-hung-up',
  'transferred',
  'machine-answered',
  'message-left',
  'caller-silent',
  'max-duration',
  'provider-failed',
  'media-lost',
  'media-never-came',
  'budget-spent',
  'shutdown',
  'failed',
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** What became of a call, as far as its conversation tells. */
export function outcomeOf(reason: EndReason): CallOutcome {
  switch (reason) {
    case 'provider-failed':
    case 'media-lost':
    case 'media-never-came':
    case 'failed':
      return 'failed';
    case 'max-duration':
      return 'time-limit';
    default:
      return 'completed';
  }
}

/** `refused`: the arguments were wrong or there is no such function, so that nothing was run. */
export const TOOL_OUTCOMES = ['done', 'failed', 'refused', 'timeout', 'cancelled'] as const;
export type ToolOutcome = (typeof TOOL_OUTCOMES)[number];

/** Who noticed that the caller cut in: the provider, the bridge's own ear, or nobody had to because it was a key. */
export type InterruptedBy = 'provider' | 'local' | 'digit';

/** Why a call has this provider: it is the first, the one before was lost, or its session was about to end. */
export type ProviderChange = 'start' | 'failover' | 'renewal';

/** What happens in a call, for whoever watches: dashboards, recorders, the demo. `atMs` counts from the webhook. */
export type CallEvent =
  | {
      readonly type: 'started';
      readonly atMs: number;
      readonly callId: string;
      readonly carrier: CarrierName;
      readonly agent: string;
    }
  /**
   * The call is held with this provider from now on. `model`: undefined where the provider does not say.
   * `connectMs`: from the dialling. `historyItems`: pieces of the conversation that it was told. `replayedMs`: the
   * caller's speech that an earlier provider has not answered, without its silence. `resumed`: the session goes on where an
   * earlier one of the same provider ended.
   */
  | {
      readonly type: 'providerReady';
      readonly atMs: number;
      readonly provider: string;
      readonly model: string | undefined;
      readonly why: ProviderChange;
      readonly resumed: boolean;
      readonly connectMs: number;
      readonly historyItems: number;
      readonly replayedMs: number;
    }
  /** A provider was tried in vain, or was lost in mid-call. `ms`: since it was dialled, or was ready. */
  | {
      readonly type: 'providerFailed';
      readonly atMs: number;
      readonly provider: string;
      readonly model: string | undefined;
      readonly phase: 'connecting' | 'in-call';
      readonly code: ErrorCode;
      readonly ms: number;
    }
  /**
   * After a change of provider the agent is heard again, or the caller goes on. `gapMs`: how long the caller waited in
   * silence for what the agent owed them, 0 if it owed nothing; `addedMs`: what of it was neither the new provider's time
   * to connect nor its time to begin to speak (`answerMs`).
   */
  | {
      readonly type: 'failover';
      readonly atMs: number;
      readonly from: string;
      readonly to: string;
      readonly why: ProviderChange;
      readonly gapMs: number;
      readonly connectMs: number;
      readonly answerMs: number;
      readonly addedMs: number;
    }
  /** What a model will be paid for, since the last such event; `helper`: not the model of the session. */
  | {
      readonly type: 'usage';
      readonly atMs: number;
      readonly provider: string;
      readonly model: string | undefined;
      readonly helper: boolean;
      readonly usage: Usage;
      readonly seconds: number | undefined;
    }
  | { readonly type: 'mediaStarted'; readonly atMs: number }
  /** The first of the agent's audio was handed to the carrier. */
  | { readonly type: 'firstAudio'; readonly atMs: number }
  | {
      readonly type: 'transcript';
      readonly atMs: number;
      readonly role: 'user' | 'assistant';
      readonly itemId: string;
      /** All that there is of it so far. */
      readonly text: string;
      readonly final: boolean;
    }
  | {
      readonly type: 'bargeIn';
      readonly atMs: number;
      readonly by: InterruptedBy;
      readonly heard: readonly HeardItem[];
    }
  /**
   * An answer to the caller is over, or will not come any more. Ms since the end of the caller's speech, undefined where
   * nobody has told or it has not happened: `commitMs` until the provider took the turn as over, `firstDeltaMs` until the
   * first of its speech came, `firstFrameMs` until that was handed to the carrier, `firstMarkMs` until the carrier had said
   * that it plays. `functions`: called before the agent spoke. `interrupted`: it was cut off, or the caller spoke on.
   */
  | {
      readonly type: 'turn';
      readonly atMs: number;
      /** Who answered, or should have. */
      readonly provider: string;
      /** When the caller's speech ended. */
      readonly speechEndMs: number;
      /** By whose ear: the provider tells only that the turn is over, which is some time after its end. */
      readonly heardBy: 'bridge' | 'provider';
      readonly commitMs: number | undefined;
      readonly firstDeltaMs: number | undefined;
      readonly firstFrameMs: number | undefined;
      readonly firstMarkMs: number | undefined;
      readonly functions: number;
      readonly interrupted: boolean;
    }
  | {
      readonly type: 'tool';
      readonly atMs: number;
      readonly name: string;
      /** The provider's id of the call. */
      readonly toolCallId: string;
      readonly idempotencyKey: string;
      /** As the model wrote them, without what is kept secret. */
      readonly args: unknown;
      readonly ms: number;
      readonly outcome: ToolOutcome;
      readonly isError: boolean;
    }
  | { readonly type: 'digit'; readonly atMs: number; readonly digit: string }
  /** `completed` is never told here: a call that was put through ends with the reason `transferred`. */
  | {
      readonly type: 'transfer';
      readonly atMs: number;
      readonly status: 'started' | 'failed';
      readonly outcome: CallOutcome | undefined;
    }
  | { readonly type: 'machine'; readonly atMs: number; readonly result: MachineResult }
  | {
      readonly type: 'recording';
      readonly atMs: number;
      readonly url: string | undefined;
      readonly durationS: number | undefined;
    }
  | {
      readonly type: 'ended';
      readonly atMs: number;
      readonly reason: EndReason;
      readonly transcript: readonly TranscriptEntry[];
    };

export type CallObserver = (callId: string, event: CallEvent) => void;

/** Tells whoever watches; a watcher's mistake must not reach the call, and is logged. */
export function tellObserver(
  { observe, log }: { readonly observe: CallObserver | undefined; readonly log: Log },
  callId: string,
  event: CallEvent,
): void {
  const failed = (error: unknown): void => log.error({ err: error }, 'a call observer threw');
  try {
    const told: unknown = observe?.(callId, event);
    // Nobody waits for an observer, but one that is async may fail all the same.
    if (told instanceof Promise) told.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** An event before the session has put its time on it. */
export type CallEventBody = DistributiveOmit<CallEvent, 'atMs'>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
