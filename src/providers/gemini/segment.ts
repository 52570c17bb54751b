import { bytesPerMs } from '../../audio/format.ts';
import type { ResponseStatus } from '../../provider.ts';
import { OUTPUT } from './facts.ts';

/** What the model says in one go: one response, and one item, to the bridge. */
export interface Segment {
  readonly id: string;
  readonly itemId: string;
  /** Nobody is to hear of it. */
  readonly hidden: boolean;
  /** Audio handed on, and audio thrown away; in bytes. */
  received: number;
  dropped: number;
  firstAt: number;
  lastAt: number;
  /** All words that were handed on. */
  text: string;
  /** The caller cut in: whatever still comes of it is dropped. */
  cut: boolean;
  /** The model has made all of it; what follows is something else. */
  generated: boolean;
  /** It called functions. */
  called: boolean;
  audioDone: boolean;
  done: boolean;
  /** How the service took its end: it believes that all was heard, or what there was time for until it was cut off. */
  end: { readonly at: number; readonly cutOff: boolean } | undefined;
  /** What was heard of it, when it was cut; undefined: all, as far as is known. */
  heard: { readonly ms: number; readonly text: string } | undefined;
  /** The model was told what was heard. */
  corrected: boolean;
}

/** @param hidden nobody is to hear of it */
export function newSegment(id: string, itemId: string, hidden: boolean, now: number): Segment {
  return {
    id,
    itemId,
    hidden,
    received: 0,
    dropped: 0,
    firstAt: now,
    lastAt: now,
    text: '',
    cut: false,
    generated: false,
    called: false,
    audioDone: false,
    done: false,
    end: undefined,
    heard: hidden ? { ms: 0, text: '' } : undefined,
    corrected: false,
  };
}

const STATUSES: ReadonlyMap<string, ResponseStatus> = new Map<string, ResponseStatus>([
  ['TURN_COMPLETE_REASON_UNSPECIFIED', 'completed'],
  ['NEED_MORE_INPUT', 'completed'],
  ['MALFORMED_FUNCTION_CALL', 'failed'],
]);

/** What it means for an answer that its turn ended for this reason. */
export function statusOf(reason: string | undefined): ResponseStatus {
  return reason === undefined ? 'completed' : (STATUSES.get(reason) ?? 'incomplete');
}

/** Sound of a segment that came, heard or not, in ms. */
export function totalMs(segment: Segment): number {
  return (segment.received + segment.dropped) / bytesPerMs(OUTPUT);
}

/** A turn that is over before its answer was made to the end: it may go on. */
export function isPremature(segment: Segment, reason: string | undefined): boolean {
  return (
    reason === undefined &&
    !segment.generated &&
    !segment.cut &&
    !segment.hidden &&
    !segment.called &&
    segment.received > 0
  );
}

/** The clocks of both sides, and the way between them. */
const EARLY_MS = 500;

/**
 * Whether a turn that is over, without a word about it, was cut off by the service. It takes a turn for over when it
 * takes it for played, so that one which the caller cut in on and which ends before that has been.
 */
export function wasCutOff(segment: Segment, at: number): boolean {
  return segment.cut && (!segment.generated || at - segment.firstAt < totalMs(segment) - EARLY_MS);
}
