import { ByteQueue } from '../audio/byte-queue.ts';
import { type AudioFormat, bytesPerSample, sameFormat } from '../audio/format.ts';
import { createTranscoder, type Transcoder } from '../audio/transcode.ts';
import type { EarTape } from '../tape.ts';
import { EarClock } from './ear-clock.ts';
import { type Run, type Span, StereoTrack } from './stereo.ts';

export interface EarOptions {
  /** Takes pieces of a stereo file, both channels interleaved; the buffer is used again. */
  stereo(format: AudioFormat, bytes: Uint8Array): void;
}

/** A frame of telephony: what comes between two of them is known no better. */
const FRAME_MS = 20;
/** An echo among longer messages is known no worse than this. */
const LONGEST_FRAME_MS = 200;
/** What is written lies so far back: until then an echo may say better where something was heard, or that nobody says it. */
const HOLD_MS = 2000;
/** A carrier that counts its time is believed to have left out at most this much more than our clock says. */
const CREDIT_MS = 1000;
/** Without the carrier's time, packets that are so late may never come, */
const DOUBT_MS = 200;
/** and those that come meanwhile tell whether they were only late. */
const DOUBT_FOR_MS = 500;

/** An echo, until the next message of the caller shows when it was sent. */
interface Echo {
  run: Run;
  readonly position: number;
  readonly now: number;
  /** How much of the caller's audio had come before it. */
  said: number;
  /** Where the caller's next message began; undefined: none has come. */
  next: number | undefined;
}

/** Packets seem to be missing from this place on. */
interface Doubt {
  readonly until: number;
  least: number;
  readonly since: number;
}

/** Two echoes that agree are more than one that may have been held up on its way. */
interface Shift {
  readonly run: Run;
  readonly position: number;
  readonly at: Span;
}

/**
 * What the caller said (left) and what the caller heard (right), on the time line of the carrier's sample clock, which
 * begins with the call. Messages keep their order on their way, so what the caller said before an echo says when it was
 * sent, however long both took. Holds two seconds.
 */
export class Ear implements EarTape {
  readonly #options: EarOptions;
  #track: StereoTrack | undefined;
  #clock = new EarClock(8);
  #perMs = 8;
  #width: 1 | 2 = 1;
  #input: Transcoder | undefined;
  #output: Transcoder | undefined;
  /** Samples of the file per byte of what is sent. */
  #perByte = 1;
  /** What was sent on this stream, in samples of the file. */
  #sent = 0;
  /** The carrier's time of the stream at the beginning of the time line, in samples. */
  #base: number | undefined;
  #now = 0;
  /** How long speech is usually under way to an idle line, there and back, in samples. */
  #way: number | undefined;
  #echoes: Echo[] = [];
  #shift: Shift | undefined;
  #doubt: Doubt | undefined;
  readonly #doubtful = new ByteQueue();
  #closed = false;

  constructor(options: EarOptions) {
    this.#options = options;
  }

  /** Bytes of audio that are held. */
  get heldBytes(): number {
    return (this.#track?.heldBytes ?? 0) + this.#doubtful.length;
  }

  stream(input: AudioFormat, output: AudioFormat, now: number): void {
    if (this.#closed) return;
    this.#now = now;
    const track = this.#track ?? this.#begin(input, output);
    this.#settleDoubt(track, true);
    this.#settleEchoes(track, this.#frame);
    for (const run of track.runs) this.#giveUp(run);
    const file = track.format;
    this.#input = sameFormat(input, file) ? undefined : createTranscoder(input, file);
    this.#output = sameFormat(output, file) ? undefined : createTranscoder(output, file);
    this.#perByte = file.rate / output.rate / bytesPerSample(output);
    this.#sent = 0;
    this.#base = undefined;
    this.#shift = undefined;
    const since = Math.round(this.#clock.at(now)) - track.end;
    if (since > 0) track.pause(since);
    this.#clock.reset(now, track.end);
    this.#write(track);
  }

  said(bytes: Uint8Array, now: number, atMs: number | undefined): void {
    const track = this.#track;
    if (track === undefined || this.#closed) return;
    this.#now = now;
    const audio = this.#input === undefined ? bytes : this.#input.push(bytes);
    const samples = audio.length / this.#width;
    if (atMs === undefined) this.#look(track, samples, now);
    else this.#fillHole(track, samples, atMs, now);
    if (this.#doubt === undefined) this.#settleEchoes(track, samples);
    if (this.#doubt === undefined) {
      track.say(audio);
      this.#clock.arrived(now, track.end);
    } else {
      for (const echo of this.#echoes) echo.next ??= this.#said(track);
      // One that may be late has nothing to say about the clock.
      this.#doubtful.push(audio);
    }
    this.#write(track);
  }

  sent(bytes: Uint8Array, now: number): void {
    const track = this.#track;
    if (track === undefined || this.#closed) return;
    this.#now = now;
    this.#presume(track);
    const audio = this.#output === undefined ? bytes : this.#output.push(bytes);
    const run = this.#openRun(track) ?? track.open(this.#sent, this.#clock.at(now));
    track.add(run, audio);
    this.#sent = run.start + run.length;
    this.#write(track);
  }

  heard(position: number, now: number): void {
    const track = this.#track;
    if (track === undefined || this.#closed) return;
    this.#now = now;
    this.#presume(track);
    const place = position * this.#perByte;
    const run = this.#runAt(track, place);
    if (run !== undefined)
      this.#echoes.push({ run, position: place, now, said: this.#said(track), next: undefined });
    this.#write(track);
  }

  assumed(position: number, at: number): void {
    const track = this.#track;
    if (track === undefined || this.#closed) return;
    const place = position * this.#perByte;
    const run = this.#runAt(track, place);
    if (run === undefined) return;
    const from = this.#clock.at(at);
    this.#place(track, run, place, { from, to: from });
    this.#write(track);
  }

  cleared(position: number, now: number): void {
    const track = this.#track;
    if (track === undefined || this.#closed) return;
    this.#now = now;
    this.#presume(track);
    const place = position * this.#perByte;
    for (const run of track.runs) {
      if (!run.closed) track.cut(run, place - run.start);
      this.#giveUp(run);
    }
    this.#write(track);
  }

  /** The call is over at `now`: the rest is written. Idempotent. */
  close(now: number): void {
    const track = this.#track;
    if (this.#closed) return;
    this.#closed = true;
    if (track === undefined) return;
    this.#now = Math.max(this.#now, now);
    this.#settleDoubt(track, true);
    this.#presume(track);
    this.#settleEchoes(track, this.#frame);
    for (const run of track.runs) this.#giveUp(run);
    track.write(track.end, true);
  }

  get #frame(): number {
    return FRAME_MS * this.#perMs;
  }

  #begin(input: AudioFormat, output: AudioFormat): StereoTrack {
    const { rate } = input.rate > output.rate ? input : output;
    const encoding = input.encoding === output.encoding ? input.encoding : 'pcm16';
    const format: AudioFormat = { encoding, rate };
    this.#perMs = rate / 1000;
    this.#width = bytesPerSample(format);
    this.#clock = new EarClock(this.#perMs);
    this.#track = new StereoTrack(format, (bytes) => this.#options.stereo(format, bytes));
    return this.#track;
  }

  /** How much of the caller's audio has come. */
  #said(track: StereoTrack): number {
    return track.end + this.#doubtful.length / this.#width;
  }

  /** The run that what is sent now is a part of; undefined: the line is idle. */
  #openRun(track: StereoTrack): Run | undefined {
    const run = track.runs.at(-1);
    if (run === undefined || run.closed) return undefined;
    const place = track.placeOf(run);
    // Of a caller who is not heard the clock alone tells how late it is.
    const now = Math.max(this.#said(track), this.#clock.at(this.#now) - DOUBT_MS * this.#perMs);
    if (place === undefined || place + run.length > now) return run;
    run.closed = true;
    return undefined;
  }

  /** No echo will tell where a run was heard. */
  #giveUp(run: Run): void {
    run.closed = true;
    if (run.at !== undefined || this.#echoes.some((echo) => echo.run === run)) return;
    const from = run.sentAt + (this.#way ?? 0);
    run.at = { from, to: from };
  }

  /** A carrier that sends nothing lets time pass all the same. */
  #presume(track: StereoTrack): void {
    const missing = Math.round(this.#clock.at(this.#now)) - this.#said(track);
    const spare = (HOLD_MS - DOUBT_FOR_MS) * this.#perMs;
    if (missing <= spare) return;
    this.#settleDoubt(track, true);
    track.pause(missing - spare);
    // The caller's audio says nothing of when they were sent.
    for (const { run, position, said, now } of this.#echoes.splice(0)) {
      this.#place(track, run, position, this.#about(Math.max(said, this.#clock.at(now))));
    }
  }

  #fillHole(track: StereoTrack, samples: number, atMs: number, now: number): void {
    const at = atMs * this.#perMs;
    const late = Math.max(0, Math.round(this.#clock.at(now)) - samples - track.end);
    // The first message says where the stream is only by its coming.
    if (this.#base === undefined) this.#base = at - track.end;
    const hole = Math.round(at - this.#base) - track.end;
    if (hole > late + CREDIT_MS * this.#perMs) {
      track.pause(late);
      this.#base = at - track.end;
    } else if (hole >= this.#frame) {
      track.pause(hole);
    } else if (hole <= -this.#frame) {
      // It began to count anew, or silence was put in for what was only late.
      this.#base = at - track.end;
    }
  }

  /** Of a carrier that does not count its time: is something missing? */
  #look(track: StereoTrack, samples: number, now: number): void {
    const late = Math.round(this.#clock.at(now)) - this.#said(track) - samples;
    const doubt = this.#doubt;
    if (doubt !== undefined) {
      doubt.least = Math.min(doubt.least, late);
      this.#settleDoubt(track, false);
    } else if (late > DOUBT_MS * this.#perMs) {
      this.#doubt = { until: now + DOUBT_FOR_MS, least: late, since: track.end };
    }
  }

  #settleDoubt(track: StereoTrack, atOnce: boolean): void {
    const doubt = this.#doubt;
    if (doubt === undefined) return;
    const came = doubt.least < this.#frame;
    if (!(atOnce || came || this.#now >= doubt.until)) return;
    this.#doubt = undefined;
    const missing = came ? 0 : doubt.least;
    if (missing > 0) track.pause(missing);
    for (const echo of this.#echoes) {
      if (echo.said > doubt.since) echo.said += missing;
      if (echo.next !== undefined) echo.next += missing;
    }
    const rest = new Uint8Array(this.#doubtful.length);
    this.#doubtful.shift(rest);
    track.say(rest);
  }

  /** @param samples of the caller's message that comes next */
  #settleEchoes(track: StereoTrack, samples: number): void {
    if (this.#echoes.length === 0) return;
    const echoes = this.#echoes;
    this.#echoes = [];
    for (const echo of echoes) {
      this.#place(track, echo.run, echo.position, this.#sentAt(track, echo, samples));
    }
  }

  /** When an echo was sent, on the time line. */
  #sentAt(track: StereoTrack, { said, now, next = track.end }: Echo, samples: number): Span {
    const frame = this.#frame;
    const longest = Math.min(Math.max(frame, samples), LONGEST_FRAME_MS * this.#perMs);
    if (next - said < frame) return { from: said, to: said + longest };
    // Nothing came from the caller meanwhile: only our clock can tell.
    return this.#about(Math.min(Math.max(this.#clock.at(now), said), next + longest));
  }

  #about(at: number): Span {
    const half = this.#frame / 2;
    return { from: at - half, to: at + half };
  }

  #runAt(track: StereoTrack, position: number): Run | undefined {
    return track.runs.findLast(({ start }) => start <= position);
  }

  /** @param heardAt where on the time line `position` was heard */
  #place(track: StereoTrack, run: Run, position: number, heardAt: Span): void {
    if (!track.runs.includes(run)) return;
    const offset = position - run.start;
    const at: Span = { from: heardAt.from - offset, to: heardAt.to - offset };
    const early = run.atLeast && position > run.start && run.written === 0;
    if (run.at === undefined || early) {
      run.at = at;
      // In front of it all, an echo only says that the carrier had nothing to play: the speech may have come later.
      run.atLeast = position <= run.start;
      if (!run.atLeast) this.#learn((at.from + at.to) / 2 - run.sentAt);
      return;
    }
    const known = this.#knownOf(track, run, run.at);
    const from = Math.max(known.from, at.from);
    const to = Math.min(known.to, at.to);
    if (from <= to) {
      this.#shift = undefined;
      if (run.written === 0) run.at = { from, to };
    } else if (at.to < known.from && run.written === 0) {
      // Nothing is heard before it was sent, and an echo can only be late.
      run.at = at;
    } else {
      this.#shiftFrom(track, run, position, at);
    }
  }

  #learn(way: number): void {
    this.#way = this.#way === undefined ? way : this.#way + (way - this.#way) / 4;
  }

  /** Of what is being written the place is fixed, and it is right within a frame. */
  #knownOf(track: StereoTrack, run: Run, at: Span): Span {
    if (run.written === 0) return at;
    const place = track.placeOf(run) ?? 0;
    return this.#about(place);
  }

  #shiftFrom(track: StereoTrack, run: Run, position: number, at: Span): void {
    const first = this.#shift;
    if (first?.run !== run) {
      this.#shift = { run, position, at };
      return;
    }
    this.#shift = undefined;
    const from = Math.max(first.at.from, at.from);
    const to = Math.min(first.at.to, at.to);
    // Where they do not agree, one of them was late; the newer one counts if it goes on like that.
    if (from > to) {
      this.#shift = { run, position, at };
      return;
    }
    const shift = first.position - run.start;
    const next = track.split(run, first.position, { from: from + shift, to: to + shift });
    for (const echo of this.#echoes)
      if (echo.run === run && echo.position >= next.start) Object.assign(echo, { run: next });
  }

  #write(track: StereoTrack): void {
    track.write(this.#said(track) - HOLD_MS * this.#perMs);
  }
}
