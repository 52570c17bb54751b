import type { AudioRef, Control, Line } from '../format.ts';
import type { Clear, Hole, LeadPoint, Mark, Piece, SentPiece, StreamHearing, Stretch } from './hearing.ts';
import { type MediaFact, mediaFact } from './messages.ts';

type MediaLine = Extract<Line, { readonly on: 'carrier' }> & { readonly msg: unknown };

interface OpenMark {
  readonly name: string;
  readonly position: number;
  readonly sentMs: number;
  fate: 'open' | Mark['fate'];
  backMs: number | undefined;
}

interface Late {
  readonly position: number;
  readonly atMs: number;
}

/** A mark that comes this much earlier or later than it should says that playing did not go on evenly. */
const UNEVEN_MS = 120;
/** Audio that comes no later than this after what was before it is heard as one with it. */
const JUST_IN_TIME_MS = 5;
/** A mark that has had this long after its audio was over does not come any more. */
const LOST_AFTER_MS = 2000;
/** The first mark of what is played that is later than this is taken as lost. */
const START_GRACE_MS = 1000;
/** A carrier that has named no mark for so long does not do so. */
const NO_MARKS_MS = 1500;
/** A pause longer than this is one between two things that are said. */
const SHORTEST_HOLE_MS = 40;
const LONGEST_HOLE_MS = 1500;

/** Follows one stream line by line. Position = last mark that came back + time since, never beyond what was sent. */
class Ear {
  readonly #conn: number;
  readonly #rateOf: (wav: string) => number;
  readonly #sent: SentPiece[] = [];
  readonly #marks: OpenMark[] = [];
  readonly #clears: Clear[] = [];
  readonly #stretches: Stretch[] = [];
  readonly #lead: LeadPoint[] = [];
  readonly #waiting: OpenMark[] = [];
  /** Asked for before the newest clear: their echoes tell nothing of what was heard. */
  #older = new Map<string, OpenMark>();
  #sentMs = 0;
  #hasEchoes = false;
  /** The newest mark that came back, if it was late. */
  #late: Late | undefined;

  constructor(conn: number, rateOf: (wav: string) => number) {
    this.#conn = conn;
    this.#rateOf = rateOf;
  }

  out(atMs: number, fact: MediaFact): void {
    if (fact.kind === 'audio') this.#play(atMs, fact.ref);
    else if (fact.kind === 'mark') this.#ask(atMs, fact.name);
    else if (fact.kind === 'clear') this.#clear(atMs);
  }

  back(atMs: number, name: string): void {
    const older = this.#older.get(name);
    if (older !== undefined) {
      older.backMs = atMs;
      this.#older.delete(name);
      return;
    }
    const index = this.#waiting.findIndex((mark) => mark.name === name);
    const mark = this.#waiting[index];
    if (mark === undefined) return;
    mark.fate = 'echoed';
    this.#hasEchoes = true;
    mark.backMs = atMs;
    this.#waiting.splice(index, 1);
    this.#align(mark.position, atMs);
    this.#note(atMs);
  }

  end(atMs: number): StreamHearing {
    this.#cut(atMs);
    const overMs = atMs - LOST_AFTER_MS;
    const marks = this.#marks.flatMap(({ name, sentMs, fate, backMs, position }): Mark[] => {
      if (fate !== 'open') return [{ name, conn: this.#conn, sentMs, fate, backMs }];
      // The call may just have ended before it could come back.
      const dueMs = Math.max(sentMs, this.#timeOf(position) ?? sentMs);
      return dueMs > overMs ? [] : [{ name, conn: this.#conn, sentMs, fate: 'lost', backMs }];
    });
    return {
      conn: this.#conn,
      heard: this.#pieces(false),
      unheard: this.#pieces(true),
      marks,
      clears: this.#clears,
      holes: this.#holes(),
      lead: this.#lead,
      sent: this.#sent,
      stretches: this.#stretches,
    };
  }

  #position(atMs: number): number {
    const last = this.#stretches.at(-1);
    if (last === undefined || last.dropped) return this.#sentMs;
    if (this.#isBeginning(last, atMs) && atMs < last.atMs + START_GRACE_MS) return last.from;
    return Math.min(this.#sentMs, last.from + Math.max(0, atMs - last.atMs));
  }

  /** The mark in front of what is played from an idle line has not come back yet: nothing of it has been heard. */
  #isBeginning({ from, firm }: Stretch, atMs: number): boolean {
    if (firm || this.#waiting[0]?.position !== from) return false;
    // Where none has come back so far, none will.
    const [first] = this.#marks;
    return this.#hasEchoes || (first !== undefined && atMs < first.sentMs + NO_MARKS_MS);
  }

  #play(atMs: number, ref: AudioRef): void {
    const ms = (ref.n / this.#rateOf(ref.wav)) * 1000;
    const last = this.#stretches.at(-1);
    if (last === undefined || last.dropped || this.#isDry(last, atMs)) {
      this.#late = undefined;
      this.#stretches.push({
        from: this.#sentMs,
        to: this.#sentMs + ms,
        atMs,
        sentMs: atMs,
        firm: false,
        dropped: false,
      });
    } else last.to = this.#sentMs + ms;
    this.#sent.push({ atMs, position: this.#sentMs, ms, ref });
    this.#sentMs += ms;
    this.#note(atMs);
  }

  /** Everything was played a while ago. Silence that keeps a line open comes just in time, and is one stretch. */
  #isDry(last: Stretch, atMs: number): boolean {
    const dryMs = atMs - (last.atMs + last.to - last.from);
    return this.#position(atMs) >= this.#sentMs && (dryMs > JUST_IN_TIME_MS || last.firm);
  }

  #ask(atMs: number, name: string): void {
    const mark: OpenMark = {
      name,
      position: this.#sentMs,
      sentMs: atMs,
      fate: 'open',
      backMs: undefined,
    };
    this.#marks.push(mark);
    this.#waiting.push(mark);
  }

  #align(position: number, atMs: number): void {
    const last = this.#stretches.at(-1);
    if (last === undefined || last.dropped || position < last.from) return;
    const late = atMs - (last.atMs + position - last.from);
    const before = this.#late;
    this.#late = undefined;
    if (!last.firm && position === last.from) {
      if (late > 0) last.atMs += late;
      last.firm = true;
    } else if (late < -UNEVEN_MS / 4) {
      // No mark comes too early: those before it were held up.
      last.atMs = Math.max(last.sentMs, last.atMs + late);
    } else if (late > UNEVEN_MS) {
      if (before === undefined) this.#late = { position, atMs };
      else this.#split(last, before);
    }
  }

  /** One mark that is late was held up on its way; two are late because playing was. */
  #split(last: Stretch, { position, atMs }: Late): void {
    if (position <= last.from || position >= last.to) return;
    this.#stretches.push({
      from: position,
      to: last.to,
      atMs,
      sentMs: last.sentMs,
      firm: true,
      dropped: false,
    });
    last.to = position;
  }

  #clear(atMs: number): void {
    const lostMs = this.#cut(atMs);
    this.#clears.push({ atMs, conn: this.#conn, lostMs });
    for (const mark of this.#waiting) {
      mark.fate = 'cleared';
      this.#older.set(mark.name, mark);
    }
    this.#waiting.length = 0;
    this.#note(atMs);
  }

  /** Nothing more of what was sent is heard. */
  #cut(atMs: number): number {
    const position = this.#position(atMs);
    const last = this.#stretches.at(-1);
    if (last === undefined || last.dropped || position >= last.to) return 0;
    const { to } = last;
    last.to = position;
    const playsAt = Math.max(atMs, last.atMs);
    this.#stretches.push({
      from: position,
      to,
      atMs: playsAt,
      sentMs: last.sentMs,
      firm: true,
      dropped: true,
    });
    return to - position;
  }

  #note(atMs: number): void {
    this.#lead.push({ atMs, leadMs: Math.max(0, this.#sentMs - this.#position(atMs)) });
  }

  #timeOf(position: number): number | undefined {
    const found = this.#stretches.findLast(({ from, dropped }) => !dropped && from <= position);
    return found === undefined ? undefined : found.atMs + position - found.from;
  }

  #pieces(dropped: boolean): Piece[] {
    const pieces: Piece[] = [];
    let next = 0;
    for (const stretch of this.#stretches) {
      while (endOf(this.#sent[next]) <= stretch.from) next += 1;
      if (stretch.dropped !== dropped) continue;
      for (let index = next; ; index += 1) {
        const sent = this.#sent[index];
        if (sent === undefined || sent.position >= stretch.to) break;
        pieces.push(this.#part(sent, stretch));
      }
    }
    return joined(pieces, this.#rateOf);
  }

  #part({ position, ms, ref }: SentPiece, stretch: Stretch): Piece {
    const from = Math.max(position, stretch.from);
    const to = Math.min(position + ms, stretch.to);
    const skipped = Math.round(((from - position) * this.#rateOf(ref.wav)) / 1000);
    return { atMs: stretch.atMs + from - stretch.from, ms: to - from, wav: ref.wav, at: ref.at + skipped };
  }

  #holes(): Hole[] {
    const holes: Hole[] = [];
    let before: Stretch | undefined;
    for (const stretch of this.#stretches) {
      const endMs = before === undefined ? 0 : before.atMs + before.to - before.from;
      const ms = stretch.atMs - endMs;
      const isHole = before !== undefined && !before.dropped && !stretch.dropped;
      if (isHole && ms > SHORTEST_HOLE_MS && ms < LONGEST_HOLE_MS) holes.push({ atMs: endMs, ms });
      before = stretch;
    }
    return holes;
  }
}

function endOf(piece: SentPiece | undefined): number {
  return piece === undefined ? Number.POSITIVE_INFINITY : piece.position + piece.ms;
}

/** Pieces that follow each other in the WAV and in time as one. */
function joined(pieces: readonly Piece[], rateOf: (wav: string) => number): Piece[] {
  const all: Piece[] = [];
  for (const piece of pieces) {
    const last = all.at(-1);
    const follows =
      last !== undefined &&
      last.wav === piece.wav &&
      Math.abs(last.atMs + last.ms - piece.atMs) < 0.5 &&
      Math.abs(last.at + (last.ms * rateOf(last.wav)) / 1000 - piece.at) <= 1;
    if (follows) all[all.length - 1] = { ...last, ms: piece.atMs + piece.ms - last.atMs };
    else all.push(piece);
  }
  return all;
}

/**
 * What was heard of what was sent, stream by stream: from the marks that came back and from what was cleared.
 * @param rateOf samples per second of a WAV
 * @param endMs when the call was over
 */
export function hearingOf(
  lines: readonly Line[],
  rateOf: (wav: string) => number,
  endMs: number,
): readonly StreamHearing[] {
  const ears = new Map<number, Ear>();
  const ends = new Map<number, number>();
  for (const line of lines) {
    if (line.on !== 'carrier') continue;
    const ear = ears.get(line.conn) ?? new Ear(line.conn, rateOf);
    ears.set(line.conn, ear);
    const isOver = 'ctl' in line ? isEnd(line.ctl) : tellEar(ear, line);
    if (isOver && !ends.has(line.conn)) ends.set(line.conn, line.t);
  }
  return [...ears].map(([conn, ear]) => ear.end(ends.get(conn) ?? endMs));
}

function isEnd({ type }: Control): boolean {
  return type === 'close' || type === 'terminate';
}

/** @returns whether the stream is over */
function tellEar(ear: Ear, { t, dir, msg }: MediaLine): boolean {
  const fact = mediaFact(msg);
  if (dir === 'out') ear.out(t, fact);
  else if (fact.kind === 'mark') ear.back(t, fact.name);
  return dir === 'in' && fact.kind === 'stop';
}
