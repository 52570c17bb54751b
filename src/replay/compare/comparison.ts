import type { Line, Tolerance } from '../../recording/format.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { align } from './align.ts';
import { type AudioVerdict, compareAudio } from './audio.ts';
import { ChannelAudio } from './channel-audio.ts';
import { type Channel, channelsOf, emptyChannel, type Slice, type Unit } from './channels.ts';
import type { Difference } from './difference.ts';
import { horizonOf } from './horizon.ts';
import { IdMatcher } from './ids.ts';
import { findMoved, type Moved } from './moved.ts';
import { lengthOf } from './piece.ts';
import { judgeRun } from './run-verdict.ts';
import { type Run, runsOf } from './runs.ts';
import { isTime } from './times.ts';
import { compareValues, type FieldDifference } from './values.ts';
import type { Pair } from './way.ts';
import { type Names, namesOf, wordsOf } from './words.ts';

/** Of many differences in audio only so many are looked at closer. */
const DIAGNOSED = 8;
const MOST_PATHS = 5;

/** Lines of the two calls that are the same one. */
interface Match {
  readonly line: Line;
  readonly at: number;
  readonly found: Line;
  readonly foundAt: number;
  readonly what: string;
}

const NOTHING = { expected: undefined, found: undefined } as const;

type Sides = Pick<Difference, 'expected' | 'found'> & Partial<Difference>;

/** One comparison of two calls. */
export class Comparison {
  readonly differences: Difference[] = [];
  readonly #expected: StoredCall;
  readonly #found: StoredCall;
  readonly #tolerance: Tolerance;
  readonly #names: { readonly expected: Names; readonly found: Names };
  readonly #ids: IdMatcher;
  /** What is found from then on and was not expected does not count. */
  readonly #horizon: number;
  readonly #matches: Match[] = [];
  readonly #tasks: { readonly at: number; run(): void }[] = [];
  #diagnosed = 0;

  constructor(expected: StoredCall, found: StoredCall, tolerance: Tolerance) {
    this.#expected = expected;
    this.#found = found;
    this.#tolerance = tolerance;
    this.#names = { expected: namesOf(expected.lines), found: namesOf(found.lines) };
    this.#ids = new IdMatcher(expected.lines, found.lines);
    this.#horizon = horizonOf(expected);
  }

  run(): void {
    const expected = channelsOf(this.#expected);
    const found = channelsOf(this.#found);
    for (const [key, channel] of expected) this.#channel(channel, found.get(key) ?? emptyChannel(channel));
    for (const [key, channel] of found) if (!expected.has(key)) this.#channel(emptyChannel(channel), channel);
    // Ids are matched by their first use in the call, not in their channel.
    this.#tasks.sort((a, b) => a.at - b.at);
    for (const task of this.#tasks) task.run();
    this.#order();
    this.differences.sort((a, b) => a.t - b.t);
  }

  #channel(expected: Channel, found: Channel): void {
    const pairs = align(expected.units, found.units, this.#tolerance.timeMs);
    const { moved, rest } = findMoved(pairs, expected.units, found.units);
    for (const pair of rest) this.#pair(pair, expected, found);
    for (const one of moved) this.#moved(one);
    const sides = {
      expected: { channel: expected, audio: new ChannelAudio(expected, this.#expected.wavs) },
      found: { channel: found, audio: new ChannelAudio(found, this.#found.wavs) },
    };
    for (const run of runsOf(sides.expected, sides.found, pairs)) this.#run(run);
  }

  #pair(pair: Pair, expected: Channel, found: Channel): void {
    const unit = pair.expected === undefined ? undefined : expected.units[pair.expected];
    const other = pair.found === undefined ? undefined : found.units[pair.found];
    if (unit !== undefined && other !== undefined) this.#match(unit, other);
    else if (unit !== undefined) this.#missing(unit);
    else if (other !== undefined) this.#additional(other);
  }

  #match(unit: Unit, other: Unit): void {
    const what = wordsOf(unit.line, this.#names.expected);
    const match = { line: unit.line, at: unit.at, found: other.line, foundAt: other.at, what };
    this.#matches.push(match);
    this.#tasks.push({ at: unit.at, run: () => this.#lines(match) });
  }

  #moved({ expected, found, after, foundAfter }: Moved): void {
    const what = wordsOf(expected.line, this.#names.expected);
    const match = { line: expected.line, at: expected.at, found: found.line, foundAt: found.at, what };
    this.#tasks.push({ at: expected.at, run: () => this.#lines(match) });
    // One that is late as well is told of for that.
    if (this.#times(match).length > 0) return;
    this.#add('order', expected.line, what, {
      expected: placeText(after, this.#names.expected),
      found: placeText(foundAfter, this.#names.found),
      expectedLine: expected.at,
      foundLine: found.at,
    });
  }

  #missing({ line, at }: Unit): void {
    this.#add('missing', line, wordsOf(line, this.#names.expected), {
      expected: bodyOf(line),
      found: undefined,
      expectedLine: at,
    });
  }

  #additional({ line, at }: Unit): void {
    if (line.t >= this.#horizon) return;
    this.#add('additional', line, wordsOf(line, this.#names.found), {
      expected: undefined,
      found: bodyOf(line),
      foundLine: at,
    });
  }

  /** Everything that differs in a line is one difference; what it says comes before when it was said. */
  #lines(match: Match): void {
    const fields = [...this.#fields(match), ...this.#times(match)];
    this.#fieldsDiffer(match, fields);
  }

  #fieldsDiffer(
    { line, at, foundAt, what }: Match,
    fields: readonly (Omit<FieldDifference, 'kind'> & { readonly kind: Difference['kind'] })[],
  ): void {
    const [first, ...others] = fields;
    if (first === undefined) return;
    const also = others.slice(0, MOST_PATHS).map(({ path }) => path);
    const { kind, path, expected, found } = first;
    this.#add(kind, line, what, { expected, found, path, also, expectedLine: at, foundLine: foundAt });
  }

  #fields({ line, at, found, foundAt }: Match): readonly FieldDifference[] {
    const under = 'msg' in line ? 'msg' : 'ctl';
    return compareValues(bodyOf(line), bodyOf(found), under, this.#terms(line, at, foundAt));
  }

  /** It tells when the bridge heard the end of speech: in noise, which took the place of speech, that is another moment. */
  #heardEndOf(line: Line): boolean {
    const { speech = 'none' } = this.#expected.call.redacted ?? {};
    return speech !== 'none' && line.on === 'call' && line.msg.type === 'turn';
  }

  #terms(line: Line, at: number, foundAt: number): Parameters<typeof compareValues>[3] {
    const timeMs = this.#heardEndOf(line) ? Number.POSITIVE_INFINITY : this.#tolerance.timeMs;
    const isTimeOf = (path: readonly (string | number)[]): boolean => isTime(line, path);
    return { ids: this.#ids, expectedAt: at, foundAt, timeMs, isTime: isTimeOf };
  }

  #times({ line, found }: Match): readonly {
    readonly kind: 'time';
    readonly path: string;
    readonly expected: number;
    readonly found: number;
  }[] {
    if (Math.abs(line.t - found.t) <= this.#tolerance.timeMs) return [];
    return [{ kind: 'time', path: 't', expected: line.t, found: found.t }];
  }

  #run(run: Run): void {
    // Messages whose audio is not there are none.
    const [first] = lengthOf(run.piece.inExpected) === 0 ? [] : run.expected;
    const [other] = lengthOf(run.piece.inFound) === 0 ? [] : run.found;
    if (first === undefined) {
      if (other !== undefined) this.#audioAlone(run, other, 'additional');
      return;
    }
    if (other === undefined) {
      this.#audioAlone(run, first, 'missing');
      return;
    }
    const what = this.#audioWords(first);
    const match = { line: first.line, at: first.at, found: other.line, foundAt: other.at, what };
    if (this.#times(match).length === 0) this.#matches.push(match);
    this.#tasks.push({ at: first.at, run: () => this.#compareRun(run, what) });
  }

  #compareRun(run: Run, what: string): void {
    const isOpenEnded = run.isLast && this.#horizon !== Number.POSITIVE_INFINITY;
    const diagnose = this.#diagnosed < DIAGNOSED;
    const { audio, late, shells } = judgeRun(run, { tolerance: this.#tolerance, diagnose, isOpenEnded });
    for (const { expected, found } of shells) this.#shells(expected, found, what);
    if (late !== undefined) {
      const { expected, found } = late;
      const times = { expected: expected.line.t, found: found.line.t, path: 't' };
      this.#add('time', expected.line, what, { ...times, expectedLine: expected.at, foundLine: found.at });
    }
    if (audio !== undefined) this.#audioDiffers(run, what, audio);
  }

  #audioDiffers({ piece }: Run, what: string, { sample, audio }: AudioVerdict): void {
    this.#diagnosed += 1;
    const { inExpected, inFound } = piece;
    // One that is cut short or too long differs behind its end.
    const place = piece.expected.place(Math.min(inExpected.from + sample, inExpected.to - 1));
    const there = piece.found.place(Math.min(inFound.from + sample, inFound.to - 1));
    if (place === undefined) return;
    const { line, at } = place.slice;
    // What is too much is at a place that is known in the found call only.
    const isMore = audio.cause.type === 'inserted' || audio.cause.type === 'long';
    const t = isMore ? (there?.slice.line.t ?? line.t) : line.t;
    this.#add('audio', line, what, { ...NOTHING, t, expectedLine: at, foundLine: there?.slice.at, audio });
  }

  #shells(expected: Slice, found: Slice, what: string): void {
    const terms = this.#terms(expected.line, expected.at, found.at);
    const [a, b]: unknown[] = [JSON.parse(expected.shell), JSON.parse(found.shell)];
    const fields = compareValues(a, b, 'msg', terms);
    const match = { line: expected.line, at: expected.at, found: found.line, foundAt: found.at, what };
    this.#fieldsDiffer(match, fields);
  }

  #audioAlone(run: Run, { line, at }: Slice, kind: 'missing' | 'additional'): void {
    const isMissing = kind === 'missing';
    if (!isMissing && line.t >= this.#horizon) return;
    const { piece } = run;
    const result = compareAudio(piece, {
      sample: this.#tolerance.sample,
      diagnose: false,
      isOpenEnded: false,
    });
    this.#add(kind, line, this.#audioWords({ line }), {
      ...NOTHING,
      expectedLine: isMissing ? at : undefined,
      foundLine: isMissing ? undefined : at,
      audio: result?.audio,
    });
  }

  #audioWords({ line }: Pick<Slice, 'line'>): string {
    const words = wordsOf(line, this.#names.expected);
    return `${words.slice(0, words.indexOf(': '))}: audio`;
  }

  /** What goes out at the same moment goes out in its order, over all edges. */
  #order(): void {
    const matches = this.#matches.toSorted((a, b) => a.at - b.at);
    let latest: Match | undefined;
    for (const match of matches) {
      if (latest === undefined || latest.line.t !== match.line.t) {
        latest = match;
        continue;
      }
      if (match.foundAt > latest.foundAt) {
        latest = match;
        continue;
      }
      if (this.#times(match).length > 0 || this.#times(latest).length > 0) continue;
      this.#add('order', match.line, match.what, {
        expected: `after "${latest.what}"`,
        found: `before "${latest.what}"`,
        expectedLine: match.at,
        foundLine: match.foundAt,
      });
    }
  }

  #add(kind: Difference['kind'], line: Line, what: string, sides: Sides): void {
    const none = {
      path: undefined,
      also: [],
      expectedLine: undefined,
      foundLine: undefined,
      audio: undefined,
    };
    const conn = 'conn' in line ? line.conn : undefined;
    this.differences.push({ kind, t: line.t, edge: line.on, conn, what, ...none, ...sides });
  }
}

function placeText(after: Unit | undefined, names: Names): string {
  return after === undefined ? 'first' : `after "${wordsOf(after.line, names)}"`;
}

function bodyOf(line: Line): unknown {
  return 'msg' in line ? line.msg : line.ctl;
}
