import { type AudioFormat, bytesPerSample, sameFormat } from '../audio/format.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { settleWithin } from '../settle.ts';
import { CallFolder, isFull } from './call-folder.ts';
import type { RecordingFiles } from './files.ts';
import type { AudioRef, CallFile, Line, RecordingEnd } from './format.ts';
import type { OutFile } from './out-file.ts';
import { type CallSink, isWavName } from './sink.ts';
import { lineText } from './write.ts';

/** Why a recording has ended before its call. `unwritable`: something to be recorded was no JSON. */
export const STOP_REASONS = ['disk-full', 'disk-too-slow', 'disk-error', 'unwritable', 'shutdown'] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** What all recordings of one service may keep in memory together while the disk is slow, in bytes. */
export interface WaitingLimit {
  waiting: number;
  readonly most: number;
}

export interface DiskSinkOptions {
  /** The recordings folder, which is there. */
  readonly parent: string;
  /** By `newRecordingName`. */
  readonly name: string;
  /** The text of owner.json. */
  readonly owner: string;
  readonly call: CallFile;
  readonly clock: Clock;
  readonly log: Log;
  readonly files: RecordingFiles;
  readonly limit: WaitingLimit;
  /** Asked before anything is written: why it must not be, if so. Rejects with the error of the file system. */
  readonly refused: () => Promise<StopReason | undefined>;
  /** So many bytes more are on disk. */
  readonly wrote: (bytes: number) => void;
  /** Called once, last. `kept`: the recording has its name, otherwise nothing or `<name>.partial` is left. */
  readonly over: (why: StopReason | undefined, kept: boolean) => void;
}

/** What was taken is with the operating system after this long and the time that it takes to write. */
export const FLUSH_MS = 700;
/** What waits is written earlier when it is so much. */
const FLUSH_BYTES = 256 * 1024;
/** What one call may keep in memory while the disk is slow. */
export const MOST_WAITING_BYTES = 4 * 1024 * 1024;
/** Connections of one call beyond reason: each has files that are open. */
const MOST_WAVS = 100;
/** Whoever ends a call does not wait for a disk for longer. */
const FINISH_MS = 5_000;

/** One file of audio. */
interface Track {
  readonly format: AudioFormat;
  readonly file: OutFile;
  /** Bytes that were taken. */
  taken: number;
}

/** What is written in one go: audio before the lines that refer to it. */
interface Batch {
  readonly call: CallFile | undefined;
  readonly parts: readonly { readonly file: OutFile; readonly bytes: Uint8Array }[];
  readonly bytes: number;
  readonly lastT: number;
}

/**
 * A recording on disk. Everything is written by one piece of work after the other, and what waits for it is limited. No
 * trouble of the disk reaches the call: the recording ends, which is logged once.
 */
export class DiskSink implements CallSink {
  readonly #options: DiskSinkOptions;
  readonly #folder: CallFolder;
  readonly #tracks = new Map<string, Track>();
  readonly #events: OutFile;
  readonly #transcript: OutFile;
  readonly #life: Promise<void>;
  #stereo: Track | undefined;
  #lines: string[] = [];
  #call: CallFile;
  #isDescribed = false;
  /** Bytes that no write has taken up. */
  #queued = 0;
  /** Bytes that are being written. */
  #inFlight = 0;
  /** `t` of the last line that was taken, and that is on disk. */
  #lastT = 0;
  #writtenT = 0;
  /** Set: nothing is taken any more. */
  #end: RecordingEnd | undefined;
  #why: StopReason | undefined;
  #timer: Cancel | undefined;
  #isDue = false;
  #wake: (() => void) | undefined;
  #finishing: Promise<void> | undefined;

  constructor(options: DiskSinkOptions) {
    const { parent, name, files, owner, call } = options;
    this.#options = options;
    this.#call = call;
    this.#folder = new CallFolder({ parent, name, files, owner });
    this.#events = this.#folder.text('events.jsonl');
    this.#transcript = this.#folder.text('transcript.txt');
    this.#life = this.#live();
  }

  /** What the recording will be called. */
  get name(): string {
    return this.#options.name;
  }

  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined {
    if (this.#end !== undefined) return undefined;
    const track = this.#tracks.get(wav) ?? this.#newTrack(wav, format);
    if (track === undefined || !this.#takes(track, format, bytes)) return undefined;
    const width = bytesPerSample(format);
    return { wav, at: (track.taken - bytes.length) / width, n: bytes.length / width };
  }

  line(line: Line): void {
    if (this.#end !== undefined) return;
    let text: string;
    try {
      text = lineText(line);
    } catch (error) {
      this.#fail('unwritable', error);
      return;
    }
    if (!this.#admits(Buffer.byteLength(text))) return;
    this.#lines.push(text);
    this.#lastT = line.t;
  }

  stereo(format: AudioFormat, bytes: Uint8Array): void {
    if (this.#end !== undefined) return;
    this.#stereo ??= { format, file: this.#folder.wav('call.wav', format, 2), taken: 0 };
    this.#takes(this.#stereo, format, bytes);
  }

  transcript(text: string): void {
    if (this.#end !== undefined) return;
    const bytes = Buffer.from(text);
    if (this.#admits(bytes.length)) this.#transcript.push(bytes);
  }

  describe(call: CallFile): void {
    if (this.#end !== undefined) return;
    this.#call = call;
    this.#isDescribed = false;
    this.#schedule();
  }

  finish(end: RecordingEnd): Promise<void> {
    this.#conclude(end);
    this.#finishing ??= settleWithin(this.#options.clock, FINISH_MS, [this.#life]);
    return this.#finishing;
  }

  /** Ends the recording before its call. What was taken until now is still written, unless it cannot be. */
  stop(why: StopReason): Promise<void> {
    if (this.#end === undefined) this.#note(why, undefined);
    return this.finish({ t: this.#lastT, complete: false, why });
  }

  /** Tells other processes that this one still writes. Never rejects. */
  async touch(): Promise<void> {
    if (!this.#folder.isMade || this.#end !== undefined) return;
    await this.#folder.touch(this.#options.clock.epoch()).catch(() => undefined);
  }

  #newTrack(wav: string, format: AudioFormat): Track | undefined {
    if (!isWavName(wav) || this.#tracks.size >= MOST_WAVS) return undefined;
    const track = { format, file: this.#folder.wav(`${wav}.wav`, format, 1), taken: 0 };
    this.#tracks.set(wav, track);
    return track;
  }

  #takes(track: Track, format: AudioFormat, bytes: Uint8Array): boolean {
    if (!sameFormat(track.format, format) || !this.#admits(bytes.length)) return false;
    track.file.push(bytes);
    track.taken += bytes.length;
    return true;
  }

  /** Whether so many bytes more may wait; if not, the recording is over. */
  #admits(bytes: number): boolean {
    const { limit } = this.#options;
    const waiting = this.#queued + this.#inFlight;
    // A piece that is too long by itself is taken when nothing else waits: it is in memory anyway.
    const isTooMuch = waiting > 0 && waiting + bytes > MOST_WAITING_BYTES;
    if (isTooMuch || limit.waiting + bytes > limit.most) {
      this.#fail('disk-too-slow', undefined);
      return false;
    }
    this.#queued += bytes;
    limit.waiting += bytes;
    this.#schedule();
    return true;
  }

  /** Has what waits written soon, or at once when it is much. */
  #schedule(): void {
    if (this.#queued >= FLUSH_BYTES) this.#rouse();
    else if (!this.#isDue) this.#timer ??= this.#options.clock.after(FLUSH_MS, () => this.#rouse());
  }

  #rouse(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#isDue = true;
    this.#wake?.();
  }

  async #due(): Promise<void> {
    if (!this.#isDue) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#isDue = false;
  }

  /** From the first byte to the last. Never rejects. */
  async #live(): Promise<void> {
    try {
      if (await this.#begins()) await this.#writeAll();
    } catch (error) {
      this.#fail(reasonOf(error), error);
    }
    const kept = this.#folder.isMade && (await this.#close());
    this.#drop();
    this.#tell(kept);
  }

  #tell(kept: boolean): void {
    try {
      this.#options.over(this.#why, kept);
    } catch (error) {
      this.#options.log.error({ err: error }, 'who was told of the end of a recording threw');
    }
  }

  async #begins(): Promise<boolean> {
    const { refused, clock } = this.#options;
    const why = await refused();
    if (why !== undefined) {
      this.#fail(why, undefined);
      return false;
    }
    await this.#folder.make(clock.epoch());
    // A call of which nothing is recorded has an empty one.
    await this.#events.write(new Uint8Array(0));
    // Whatever happens now, others see by call.json what this folder is.
    await this.#flush();
    return true;
  }

  async #writeAll(): Promise<void> {
    while (this.#end === undefined) {
      await this.#due();
      await this.#flush();
    }
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const batch = this.#takeBatch();
    try {
      if (batch.call !== undefined) await this.#folder.describe(batch.call);
      for (const { file, bytes } of batch.parts) await file.write(bytes);
      this.#writtenT = batch.lastT;
      this.#options.wrote(batch.bytes);
    } finally {
      this.#inFlight = 0;
      this.#options.limit.waiting -= batch.bytes;
    }
  }

  /** All that waits: what comes while it is written is for the next one. */
  #takeBatch(): Batch {
    const tracks = [...this.#tracks.values(), ...(this.#stereo === undefined ? [] : [this.#stereo])];
    const parts = [...tracks.map(({ file }) => file), this.#transcript].map((file) => ({
      file,
      bytes: file.take(),
    }));
    parts.push({ file: this.#events, bytes: Buffer.from(this.#lines.join('')) });
    const call = this.#isDescribed ? undefined : { ...this.#call, end: undefined };
    const bytes = this.#queued;
    this.#lines = [];
    this.#isDescribed = true;
    this.#queued = 0;
    this.#inFlight = bytes;
    return { call, parts: parts.filter((part) => part.bytes.length > 0), bytes, lastT: this.#lastT };
  }

  /** The recording ends with what is on disk. */
  #fail(why: StopReason, error: unknown): void {
    this.#note(why, error);
    this.#conclude({ t: this.#writtenT, complete: false, why });
    this.#drop();
  }

  #note(why: StopReason, error: unknown): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    const { log, name } = this.#options;
    log.error({ err: error, why, recording: name }, 'a recording has ended before its call, which goes on');
  }

  #conclude(end: RecordingEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#rouse();
  }

  /** Nothing of what waits is written. */
  #drop(): void {
    for (const { file } of this.#tracks.values()) file.take();
    this.#stereo?.file.take();
    this.#transcript.take();
    this.#lines = [];
    this.#options.limit.waiting -= this.#queued;
    this.#queued = 0;
  }

  /** Whether the recording has got its name. */
  async #close(): Promise<boolean> {
    await this.#folder.closeFiles().catch((error: unknown) => this.#note(reasonOf(error), error));
    try {
      const why = this.#why;
      const end = why === undefined ? this.#end : { t: this.#writtenT, complete: false, why };
      await this.#folder.finish({ ...this.#call, end });
      return true;
    } catch (error) {
      this.#note(reasonOf(error), error);
      return false;
    }
  }
}

/** What an error of the file system means for a recording. */
function reasonOf(error: unknown): StopReason {
  return isFull(error) ? 'disk-full' : 'disk-error';
}
