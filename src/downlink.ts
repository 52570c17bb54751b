import { type AudioFormat, bytesPerMs, sameFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { Clock } from './clock.ts';
import type { Pacer } from './pacer.ts';
import { Playout, START_MS } from './playout.ts';
import type { PlayoutCounts, PlayoutLeg } from './playout-options.ts';
import type { HeardItem } from './provider.ts';
import type { EarTape } from './tape.ts';

export interface DownlinkOptions {
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly leadMs: number;
  /** Is told what the caller hears, for a recording. */
  readonly ear?: EarTape | undefined;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  /** Speech has come that is not refused, before any of it is sent. */
  onSpeech?(responseId: string): void;
  onDrained(): void;
  onHeard(itemId: string): void;
  onFailed(error: unknown): void;
}

/** What of the agent's speech did not reach the caller as it should have. */
export interface DownlinkCounts extends Readonly<PlayoutCounts> {
  /** Late speech of interrupted responses that was kept from the caller. */
  readonly refusedDownlinkMs: number;
  /** Speech that no queue could hold. */
  readonly droppedDownlinkMs: number;
}

type Early =
  | {
      readonly type: 'audio';
      readonly responseId: string;
      readonly itemId: string;
      readonly bytes: Uint8Array;
      readonly format: AudioFormat;
    }
  | { readonly type: 'end'; readonly responseId: string };

/** Speech kept for a leg that is not there yet (a greeting prepared while the carrier opens the stream). */
const MAX_EARLY_MS = 60_000;
/** Speech in real time comes with the jitter of the network and no faster: what is not kept back at first is missing later. */
const CUSHION_MS = 120;
/** Ids of responses that are over: late audio comes soon or never. */
const MAX_OVER = 64;
/** Begins the item ids of what no provider knows of. */
const CLIP = 'patchcord-clip-';

/**
 * What the agent says, from the provider to the leg: converted to the leg's format and handed to playout. Refuses
 * what still comes of a response that the caller cut off.
 */
export class Downlink {
  readonly #options: DownlinkOptions;
  /** Responses that were cut off or are done: whatever still comes of them is refused. */
  readonly #over = new Set<string>();
  readonly #spoken = new Set<string>();
  #early: Early[] = [];
  #earlyMs = 0;
  /** Bytes of `#format` in a millisecond. */
  #sourcePerMs = 1;
  #format: AudioFormat | undefined;
  #leg: PlayoutLeg | undefined;
  #transcoder: Transcoder | undefined;
  #playout: Playout | undefined;
  #startMs = START_MS;
  #itemId: string | undefined;
  #responseId = '';
  /** Nothing but speech of that item has come since some of it did. */
  #flows = false;
  #refusedMs = 0;
  #clips = 0;
  #playsClip = false;
  /** What no queue could hold, on legs that are gone or before there was one. */
  #lostMs = 0;
  /** Of legs that are gone. */
  #past: PlayoutCounts = { underruns: 0, marksLost: 0 };

  constructor(options: DownlinkOptions) {
    this.#options = options;
  }

  /** Nothing is queued and everything sent has been heard. */
  get idle(): boolean {
    return (this.#playout?.idle ?? true) && this.#early.length === 0;
  }

  get counts(): DownlinkCounts {
    const { underruns = 0, marksLost = 0 } = this.#playout?.counts ?? {};
    return {
      refusedDownlinkMs: this.#refusedMs,
      droppedDownlinkMs: this.#lostMs + (this.#playout?.droppedMs ?? 0),
      underruns: this.#past.underruns + underruns,
      marksLost: this.#past.marksLost + marksLost,
    };
  }

  /** Speech on its way to the caller's ear. */
  get aheadMs(): number {
    return this.#playout?.aheadMs ?? 0;
  }

  /**
   * The provider's output format is known, and whether it speaks in real time; when there is another provider, its
   * speech is a new beginning.
   */
  setSource(format: AudioFormat, continuous: boolean): void {
    if (this.#format !== undefined) this.#beginAnew();
    this.#format = format;
    this.#startMs = continuous ? CUSHION_MS : START_MS;
    this.#cushion();
    this.#flow();
  }

  attach(leg: PlayoutLeg): void {
    this.#leg = leg;
    this.#playout = new Playout({
      leg,
      clock: this.#options.clock,
      pacer: this.#options.pacer,
      leadMs: this.#options.leadMs,
      ear: this.#options.ear,
      onDrained: () => this.#options.onDrained(),
      onHeard: (itemId) => this.#options.onHeard(itemId),
      onFailed: (error) => this.#options.onFailed(error),
    });
    this.#cushion();
    this.#flow();
  }

  /** The carrier's stream is gone and may come again; what was still to be heard is lost, and reported. */
  detach(open: Iterable<string>): HeardItem[] {
    const heard = this.interrupt(open);
    this.#playout?.close();
    const { droppedDownlinkMs, underruns, marksLost } = this.counts;
    this.#lostMs = droppedDownlinkMs;
    this.#past = { underruns, marksLost };
    this.#playout = undefined;
    this.#transcoder = undefined;
    this.#leg = undefined;
    return heard;
  }

  /** Speech in the provider's format; `bytes` is not kept. False when it belongs to a response that is over. */
  audio(responseId: string, itemId: string, bytes: Uint8Array): boolean {
    if (this.#over.has(responseId)) {
      this.#refusedMs += this.#format === undefined ? 0 : bytes.length / bytesPerMs(this.#format);
      return false;
    }
    this.#options.onSpeech?.(responseId);
    this.#spoken.add(responseId);
    this.stopClip();
    if (this.#transcoder === undefined) this.#keep(responseId, itemId, bytes);
    else this.#play(responseId, itemId, bytes);
    return true;
  }

  /**
   * More speech of the item of which some was given to `audio` last. False when something else has happened since, or
   * there is no line: then it is for `audio`.
   */
  more(responseId: string, itemId: string, bytes: Uint8Array): boolean {
    if (!this.#flows || itemId !== this.#itemId || responseId !== this.#responseId) return false;
    if (this.#transcoder === undefined || this.#playout === undefined) return false;
    this.#playout.more(this.#transcoder.push(bytes), bytes.length / this.#sourcePerMs);
    return true;
  }

  /**
   * Lets the caller hear something that is not the agent's: it is known to no provider. Plays only on an idle line, so
   * that it stands in nobody's way; false when it was not played.
   */
  clip(bytes: Uint8Array, format: AudioFormat): boolean {
    if (this.#leg === undefined || this.#playout === undefined || !this.idle) return false;
    this.#flows = false;
    this.#clips += 1;
    this.#playsClip = true;
    const id = `${CLIP}${this.#clips}`;
    const transcoder = this.#options.createTranscoder(format, this.#leg.output);
    // The buffer that `push` gives is used again by `flush`; playout copies it.
    this.#playout.push(id, id, transcoder.push(bytes), bytes.length / bytesPerMs(format));
    this.#playout.push(id, id, transcoder.flush(), 0);
    this.#playout.endResponse(id);
    return true;
  }

  /** What was heard last is a clip. */
  get playsClip(): boolean {
    return this.#playsClip;
  }

  /** The clip that plays is cut off. */
  stopClip(): void {
    // A clip plays alone, so nothing else is lost.
    if (this.#playsClip && !this.idle) {
      this.#flows = false;
      this.#playout?.interrupt();
    }
    this.#playsClip = false;
  }

  /** Speech of this response is the last that the caller hears, or is to hear. */
  isLast(responseId: string): boolean {
    const waiting = this.#early.at(-1);
    if (waiting !== undefined) return waiting.responseId === responseId;
    return !this.idle && responseId === this.#responseId;
  }

  /** Whether the caller was given any speech of this response, which is not done. */
  hasSpoken(responseId: string): boolean {
    return this.#spoken.has(responseId);
  }

  /** The provider has finished with a response, whichever way. */
  endResponse(responseId: string): void {
    this.#flows = false;
    this.#retire(responseId);
    if (!this.#spoken.delete(responseId)) return;
    if (this.#transcoder === undefined) this.#early.push({ type: 'end', responseId });
    else this.#finish(responseId);
  }

  acknowledge(mark: string): void {
    this.#playout?.acknowledge(mark);
  }

  /** The caller cuts in; speech of `open` responses that still comes is refused. */
  interrupt(open: Iterable<string>): HeardItem[] {
    for (const responseId of open) this.#retire(responseId);
    this.#flows = false;
    this.#early = [];
    this.#earlyMs = 0;
    this.#transcoder?.reset();
    this.#itemId = undefined;
    const heard = this.#playout?.interrupt() ?? [];
    return heard.filter((item) => !item.itemId.startsWith(CLIP));
  }

  /** What was heard of what was not heard to its end, in order, if the line goes away now. */
  unfinished(): HeardItem[] {
    const early = new Set(this.#early.flatMap((event) => (event.type === 'audio' ? [event.itemId] : [])));
    const unheard = [...early].map((itemId) => ({ itemId, playedMs: 0, receivedMs: 1 }));
    const begun = this.#playout?.unfinished() ?? [];
    return [...begun.filter((item) => !item.itemId.startsWith(CLIP)), ...unheard];
  }

  close(): void {
    this.#flows = false;
    this.#early = [];
    this.#playout?.close();
  }

  #cushion(): void {
    if (this.#playout !== undefined) this.#playout.startMs = this.#startMs;
  }

  #beginAnew(): void {
    this.#finishItem();
    // Another provider counts its responses as it likes.
    this.#over.clear();
  }

  #play(responseId: string, itemId: string, bytes: Uint8Array): void {
    if (this.#transcoder === undefined || this.#format === undefined) return;
    if (itemId !== this.#itemId) this.#finishItem();
    this.#itemId = itemId;
    this.#responseId = responseId;
    const out = this.#transcoder.push(bytes);
    this.#sourcePerMs = bytesPerMs(this.#format);
    this.#flows = this.#playout?.push(responseId, itemId, out, bytes.length / this.#sourcePerMs) === true;
  }

  #finish(responseId: string): void {
    if (responseId === this.#responseId) this.#finishItem();
    this.#playout?.endResponse(responseId);
  }

  /** The resampler holds 2 ms back; they belong to the item that they came with. */
  #finishItem(): void {
    if (this.#itemId === undefined || this.#transcoder === undefined) return;
    const rest = this.#transcoder.flush();
    if (rest.length > 0) this.#playout?.push(this.#responseId, this.#itemId, rest, 0);
    this.#itemId = undefined;
  }

  #retire(responseId: string): void {
    this.#over.add(responseId);
    const [oldest] = this.#over;
    if (this.#over.size > MAX_OVER && oldest !== undefined) this.#over.delete(oldest);
  }

  #keep(responseId: string, itemId: string, bytes: Uint8Array): void {
    const format = this.#format;
    if (format === undefined) return;
    const ms = bytes.length / bytesPerMs(format);
    if (this.#earlyMs + ms > MAX_EARLY_MS) {
      this.#lostMs += ms;
      return;
    }
    this.#earlyMs += ms;
    this.#early.push({ type: 'audio', responseId, itemId, bytes: new Uint8Array(bytes), format });
  }

  #flow(): void {
    const leg = this.#leg;
    const format = this.#format;
    if (leg === undefined || format === undefined) return;
    const early = this.#early;
    this.#early = [];
    this.#earlyMs = 0;
    this.#convert(early[0]?.type === 'audio' ? early[0].format : format, leg);
    for (const event of early) {
      if (event.type === 'end') {
        this.#finish(event.responseId);
        continue;
      }
      // A provider that was lost before there was a line may have spoken in another format.
      if (this.#format !== undefined && !sameFormat(event.format, this.#format))
        this.#convert(event.format, leg);
      this.#play(event.responseId, event.itemId, event.bytes);
    }
    if (this.#format === undefined || !sameFormat(this.#format, format)) this.#convert(format, leg);
  }

  #convert(format: AudioFormat, leg: PlayoutLeg): void {
    this.#flows = false;
    this.#finishItem();
    this.#format = format;
    this.#transcoder = this.#options.createTranscoder(format, leg.output);
  }
}
