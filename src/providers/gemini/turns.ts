import { bytesPerMs } from '../../audio/format.ts';
import type { Cancel, Clock } from '../../clock.ts';
import type { HeardItem, ProviderEvent, ResponseStatus } from '../../provider.ts';
import { fittingText } from '../common/limits.ts';
import { OUTPUT } from './facts.ts';
import type { Origin } from './requests.ts';
import { isPremature, newSegment, type Segment, statusOf, totalMs, wasCutOff } from './segment.ts';
import { cutAtWord } from './texts.ts';

export interface TurnsPorts {
  readonly clock: Clock;
  nextId(kind: 'resp' | 'item'): string;
  emit(event: ProviderEvent): void;
  /** An answer begins; tells how it came about. */
  begins(): Origin;
  /** An answer or a turn is over, and nothing follows at once. */
  over(): void;
  /** The model takes more for heard than was. `atOnce`: the caller has just begun, so nothing is made that it could disturb. */
  misled(heard: { readonly ms: number; readonly text: string }, atOnce: boolean): void;
  /** No sign of an answer under way for `ms`; it was given up. */
  lost(ms: number): void;
  /** Words of an answer were more than are kept. */
  dropped(): void;
}

/** A function call ends an answer, but sound that belongs before it may trail (livekit/agents#7195). */
const TRAIL_MS = 400;
/** A turn may be said to be over in the middle of it (googleapis/python-genai#2117): then something comes soon. */
const PREMATURE_MS = 500;
/** Sound that was on its way when the service cut it off. */
const STRAY_MS = 300;
/** Words may come before the sound of them. */
const EARLY_MS = 2_000;
/** The model makes speech faster than it is heard, so that a gap of this length is none within an answer. */
const GAP_MS = 1_000;
/** One that has begun may think for long. */
const SILENT_MS = 30_000;
/** After all was made, the service waits until it takes it for played. */
const AFTER_PLAYBACK_MS = 15_000;
/** The least difference between what the model believes and what was heard that is worth telling it. */
const MISLED_MS = 1_000;
/** Answers whose items may still be heard, or cut. */
const MOST_KNOWN = 64;

/**
 * The turns of the model. The service numbers nothing: where one answer ends and the next begins is read from the
 * order of its messages, which differs between the generations.
 */
export class Turns {
  readonly #ports: TurnsPorts;
  /** What is being said. */
  #open: Segment | undefined;
  /** What was said since the last turn was over. */
  #turn: Segment[] = [];
  readonly #byItem = new Map<string, Segment>();
  #last: Segment | undefined;
  /** `interrupted` came, `turnComplete` not yet; sound that comes before this is of the turn that was cut off. */
  #strayUntil: number | undefined;
  #early = { text: '', at: 0 };
  /** Words of the caller since the answer that is open was cut. */
  #callerHeard = false;
  #endTimer: Cancel | undefined;
  #watchTimer: Cancel | undefined;
  #closed = false;

  constructor(ports: TurnsPorts) {
    this.#ports = ports;
  }

  /** Something is being said that is to be heard to its end. */
  get busy(): boolean {
    return this.#open !== undefined && !this.#open.cut && !this.#open.hidden;
  }

  /** Something is being said, wanted or not. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** What is being said was cut off by the bridge: whatever ends it is no news. */
  get isCut(): boolean {
    return this.#open !== undefined && (this.#open.cut || this.#open.hidden);
  }

  /** Speech. `bytes` is handed on as it is. */
  audio(bytes: Uint8Array): void {
    const now = this.#ports.clock.now();
    if (this.#strayUntil !== undefined && now < this.#strayUntil) return;
    const segment = this.#speaking();
    segment.lastAt = now;
    if (segment.received + segment.dropped === 0) segment.firstAt = now;
    if (segment.cut || segment.hidden) {
      segment.dropped += bytes.length;
      return;
    }
    segment.received += bytes.length;
    this.#ports.emit({ type: 'audio', responseId: segment.id, itemId: segment.itemId, bytes });
  }

  /** Words of the model, which never begin an answer: they may be late as well as early. */
  words(text: string): void {
    const open = this.#open;
    if (open !== undefined) {
      this.#append(open, text);
    } else if (this.#strayUntil === undefined) {
      const { text: before, at } = this.#early;
      const now = this.#ports.clock.now();
      const early = now - at < EARLY_MS ? before : '';
      this.#early = { text: early + fittingText(text, early.length), at: now };
    }
  }

  /** The model calls functions, in the answer that is returned. */
  calls(): Segment {
    // A turn may be made to its end before it calls.
    const open = this.#open;
    const segment = open === undefined || (open.cut && this.#isOver(open)) ? this.#next() : open;
    segment.called = true;
    segment.lastAt = this.#ports.clock.now();
    this.#endWhenQuiet(segment, TRAIL_MS, () => {
      this.#finish(segment, 'completed', undefined);
      this.#ports.over();
    });
    return segment;
  }

  /** The model waits for what it has called: what it says next is another answer. */
  callsAnswered(): void {
    this.#early = { text: '', at: 0 };
    if (this.#open?.called === true) this.#finish(this.#open, 'completed', undefined);
  }

  generated(): void {
    const open = this.#open;
    if (open === undefined) return;
    open.generated = true;
    this.#tellAudioDone(open);
  }

  /** The service cut itself off. */
  interrupted(): void {
    const now = this.#ports.clock.now();
    // It may come when the turn is over, and then nothing more of that turn does.
    if (this.#open !== undefined || this.#turn.length > 0) this.#strayUntil = now + STRAY_MS;
    this.#stopEnd();
    const segment = this.#open ?? this.#last;
    if (segment === undefined) {
      this.#ports.emit({ type: 'interrupted', responseId: undefined });
      return;
    }
    const told = segment.cut || segment.hidden;
    segment.cut = true;
    const end = { at: now, cutOff: true };
    segment.end = end;
    for (const one of this.#turn) one.end = end;
    // What was heard is told from within this.
    if (!told) this.#ports.emit({ type: 'interrupted', responseId: segment.id });
    this.#finish(segment, 'cancelled', 'interrupted');
    this.#endTurn();
  }

  /** False: nothing had been said in that turn. */
  turnComplete(reason: string | undefined): boolean {
    const open = this.#open;
    const owed = this.#strayUntil !== undefined;
    this.#strayUntil = undefined;
    if (open === undefined) {
      const said = owed || this.#turn.length > 0;
      this.#endTurn();
      return said;
    }
    if (isPremature(open, reason)) {
      open.lastAt = this.#ports.clock.now();
      this.#endWhenQuiet(open, PREMATURE_MS, () => this.#complete(open, reason));
      return true;
    }
    this.#complete(open, reason);
    return true;
  }

  /** Words of the caller came. */
  callerHeard(): void {
    this.#callerHeard = true;
  }

  /** The caller cuts in. True: an answer that was under way was cut before anything of it came. */
  cut(heard: readonly HeardItem[]): boolean {
    const open = this.#open;
    const fresh = open !== undefined && !open.cut && !open.hidden;
    if (fresh) {
      open.cut = true;
      this.#callerHeard = false;
      // What of it is not in the list was heard as far as it came.
      open.heard = { ms: open.received / bytesPerMs(OUTPUT), text: open.text };
    }
    for (const item of heard) {
      const segment = this.#byItem.get(item.itemId);
      if (segment === undefined) continue;
      const share = item.receivedMs === 0 ? 0 : item.playedMs / item.receivedMs;
      segment.cut = true;
      segment.heard = { ms: item.playedMs, text: cutAtWord(segment.text, share) };
      this.#judge(segment, true);
    }
    return fresh && open.received === 0;
  }

  /** Nothing is told any more and no timer is left. */
  close(): void {
    this.#closed = true;
    this.#stopEnd();
    this.#watchTimer?.();
  }

  #speaking(): Segment {
    const open = this.#open;
    return open === undefined || this.#isOver(open) ? this.#next() : open;
  }

  #next(): Segment {
    if (this.#open !== undefined) this.#finish(this.#open, 'completed', undefined);
    return this.#begin();
  }

  // A service that cut an answer off without a word shows by the next one that it is over.
  #isOver(open: Segment): boolean {
    if (open.generated) return true;
    const gap = this.#ports.clock.now() - open.lastAt;
    return open.cut && this.#callerHeard && gap >= GAP_MS;
  }

  #begin(): Segment {
    const now = this.#ports.clock.now();
    this.#strayUntil = undefined;
    const { asked, unwanted } = this.#ports.begins();
    const segment = newSegment(this.#ports.nextId('resp'), this.#ports.nextId('item'), unwanted, now);
    this.#open = segment;
    this.#last = segment;
    this.#turn.push(segment);
    if (this.#turn.length > MOST_KNOWN) this.#turn.shift();
    this.#remember(segment);
    if (!unwanted) this.#ports.emit({ type: 'responseStarted', responseId: segment.id, asked });
    const { text, at } = this.#early;
    this.#early = { text: '', at: 0 };
    if (text !== '' && now - at < EARLY_MS) this.#append(segment, text);
    this.#watch(SILENT_MS);
    // What waits may cut it off.
    if (unwanted) this.#ports.over();
    return segment;
  }

  #append(segment: Segment, text: string): void {
    segment.lastAt = this.#ports.clock.now();
    if (segment.cut || segment.hidden) return;
    const piece = fittingText(text, segment.text.length);
    segment.text += piece;
    if (piece !== text) this.#ports.dropped();
    if (piece === '') return;
    const { itemId } = segment;
    this.#ports.emit({ type: 'transcript', role: 'assistant', itemId, text: piece, final: false });
  }

  #complete(segment: Segment, reason: string | undefined): void {
    this.#finish(segment, statusOf(reason), reason?.toLowerCase());
    this.#endTurn();
  }

  #finish(segment: Segment, status: ResponseStatus, reason: string | undefined): void {
    if (segment === this.#open) {
      this.#open = undefined;
      this.#stopEnd();
    }
    if (segment.done) return;
    segment.done = true;
    if (segment.hidden) return;
    this.#tellAudioDone(segment);
    const { id, itemId, text, cut } = segment;
    if (text !== '') this.#ports.emit({ type: 'transcript', role: 'assistant', itemId, text, final: true });
    this.#ports.emit({
      type: 'responseDone',
      responseId: id,
      status: cut ? 'cancelled' : status,
      reason: cut ? 'interrupted' : reason,
    });
  }

  #tellAudioDone(segment: Segment): void {
    if (segment.audioDone || segment.hidden || segment.cut || segment.received === 0) return;
    segment.audioDone = true;
    this.#ports.emit({ type: 'audioDone', responseId: segment.id, itemId: segment.itemId });
  }

  #endTurn(): void {
    const turn = this.#turn;
    this.#turn = [];
    const at = this.#ports.clock.now();
    for (const segment of turn) {
      segment.end ??= { at, cutOff: wasCutOff(segment, at) };
      this.#judge(segment, segment.end.cutOff);
    }
    this.#ports.over();
  }

  /** Compares what the model believes of a segment that is over with what was heard of it. */
  #judge(segment: Segment, atOnce: boolean): void {
    const { end, heard, firstAt, corrected } = segment;
    if (end === undefined || heard === undefined || corrected) return;
    const total = totalMs(segment);
    const believed = end.cutOff ? Math.min(total, end.at - firstAt) : total;
    if (believed - heard.ms < MISLED_MS) return;
    segment.corrected = true;
    this.#ports.misled(heard, atOnce);
  }

  #remember(segment: Segment): void {
    this.#byItem.set(segment.itemId, segment);
    const [oldest] = this.#byItem.keys();
    if (this.#byItem.size > MOST_KNOWN && oldest !== undefined) this.#byItem.delete(oldest);
  }

  /** Runs `end` when nothing has come of a segment for so long. */
  #endWhenQuiet(segment: Segment, quietMs: number, end: () => void, ms = quietMs): void {
    this.#stopEnd();
    if (this.#closed) return;
    this.#endTimer = this.#ports.clock.after(ms, () => {
      this.#endTimer = undefined;
      const left = segment.lastAt + quietMs - this.#ports.clock.now();
      if (left > 0) this.#endWhenQuiet(segment, quietMs, end, left);
      else end();
    });
  }

  #stopEnd(): void {
    this.#endTimer?.();
    this.#endTimer = undefined;
  }

  // One timer that looks at the time of the last sign, so that a piece of speech costs one number and no timer.
  #watch(ms: number): void {
    if (this.#closed || this.#watchTimer !== undefined) return;
    this.#watchTimer = this.#ports.clock.after(ms, () => {
      this.#watchTimer = undefined;
      if (this.#open !== undefined) this.#look(this.#open);
    });
  }

  #look(segment: Segment): void {
    const limit = segment.generated
      ? segment.firstAt + totalMs(segment) + AFTER_PLAYBACK_MS
      : segment.lastAt + SILENT_MS;
    const left = limit - this.#ports.clock.now();
    if (left > 0) {
      this.#watch(left);
      return;
    }
    // All of it came, so that nothing is lost but the word that it is over.
    const whole = segment.generated || segment.cut;
    this.#finish(segment, whole ? 'completed' : 'failed', whole ? undefined : 'lost');
    this.#endTurn();
    if (!whole) this.#ports.lost(SILENT_MS);
  }
}
