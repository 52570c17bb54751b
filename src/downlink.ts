import { type AudioFormat, bytesPerMs } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { Clock } from './clock.ts';
import type { Pacer } from './pacer.ts';
import { Playout, type PlayoutLeg } from './playout.ts';
import type { HeardItem } from './provider.ts';

export interface DownlinkOptions {
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly leadMs: number;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  onDrained(): void;
  onHeard(itemId: string): void;
}

type Early =
  | {
      readonly type: 'audio';
      readonly responseId: string;
      readonly itemId: string;
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'end'; readonly responseId: string };

/** Speech kept for a leg that is not there yet (a greeting prepared while the carrier opens the stream). */
const MAX_EARLY_MS = 60_000;

/**
 * What the agent says, from the provider to the leg: converted to the leg's format and handed to playout. Refuses
 * what still comes of a response that the caller cut off.
 */
export class Downlink {
  readonly #options: DownlinkOptions;
  readonly #refused = new Set<string>();
  readonly #spoken = new Set<string>();
  #early: Early[] = [];
  #earlyMs = 0;
  #format: AudioFormat | undefined;
  #leg: PlayoutLeg | undefined;
  #transcoder: Transcoder | undefined;
  #playout: Playout | undefined;
  #itemId: string | undefined;
  #responseId = '';
  #refusedMs = 0;

  constructor(options: DownlinkOptions) {
    this.#options = options;
  }

  /** Nothing is queued and everything sent has been heard. */
  get idle(): boolean {
    return (this.#playout?.idle ?? true) && this.#early.length === 0;
  }

  /** Late speech of interrupted responses that was kept from the caller, plus what no queue could hold. */
  get refusedMs(): number {
    return this.#refusedMs + (this.#playout?.droppedMs ?? 0);
  }

  /** Speech on its way to the caller's ear. */
  get aheadMs(): number {
    return this.#playout?.aheadMs ?? 0;
  }

  /** The provider's output format is known. */
  setFormat(format: AudioFormat): void {
    this.#format = format;
    this.#flow();
  }

  attach(leg: PlayoutLeg): void {
    this.#leg = leg;
    this.#playout = new Playout({
      leg,
      clock: this.#options.clock,
      pacer: this.#options.pacer,
      leadMs: this.#options.leadMs,
      onDrained: () => this.#options.onDrained(),
      onHeard: (itemId) => this.#options.onHeard(itemId),
    });
    this.#flow();
  }

  /** Speech in the provider's format; `bytes` is not kept. False when it belongs to a response that was cut off. */
  audio(responseId: string, itemId: string, bytes: Uint8Array): boolean {
    if (this.#refused.has(responseId)) {
      this.#refusedMs += this.#format === undefined ? 0 : bytes.length / bytesPerMs(this.#format);
      return false;
    }
    this.#spoken.add(responseId);
    if (this.#playout === undefined || this.#transcoder === undefined || this.#format === undefined) {
      this.#keep(responseId, itemId, bytes);
      return true;
    }
    if (itemId !== this.#itemId) this.#finishItem();
    this.#itemId = itemId;
    this.#responseId = responseId;
    const out = this.#transcoder.push(bytes);
    this.#playout.push(responseId, itemId, out, bytes.length / bytesPerMs(this.#format));
    return true;
  }

  /** Whether the caller was given any speech of this response. */
  hasSpoken(responseId: string): boolean {
    return this.#spoken.has(responseId);
  }

  /** The provider has finished with a response, whichever way. */
  endResponse(responseId: string): void {
    if (this.#playout === undefined || this.#transcoder === undefined) {
      if (this.#spoken.has(responseId)) this.#early.push({ type: 'end', responseId });
      return;
    }
    this.#finishItem();
    this.#playout.endResponse(responseId);
    this.#refused.delete(responseId);
    this.#spoken.delete(responseId);
  }

  acknowledge(mark: string): void {
    this.#playout?.acknowledge(mark);
  }

  /** The caller cuts in; speech of `open` responses that still comes is refused. */
  interrupt(open: Iterable<string>): HeardItem[] {
    for (const responseId of open) this.#refused.add(responseId);
    this.#early = [];
    this.#earlyMs = 0;
    this.#transcoder?.reset();
    this.#itemId = undefined;
    return this.#playout?.interrupt() ?? [];
  }

  close(): void {
    this.#early = [];
    this.#playout?.close();
  }

  /** The resampler holds 2 ms back; they belong to the item that they came with. */
  #finishItem(): void {
    if (this.#itemId === undefined || this.#transcoder === undefined) return;
    const rest = this.#transcoder.flush();
    if (rest.length > 0) this.#playout?.push(this.#responseId, this.#itemId, rest, 0);
    this.#itemId = undefined;
  }

  #keep(responseId: string, itemId: string, bytes: Uint8Array): void {
    const ms = this.#format === undefined ? 0 : bytes.length / bytesPerMs(this.#format);
    if (this.#earlyMs + ms > MAX_EARLY_MS) {
      this.#refusedMs += ms;
      return;
    }
    this.#earlyMs += ms;
    this.#early.push({ type: 'audio', responseId, itemId, bytes: bytes.slice() });
  }

  #flow(): void {
    if (this.#leg === undefined || this.#format === undefined) return;
    this.#transcoder = this.#options.createTranscoder(this.#format, this.#leg.output);
    const early = this.#early;
    this.#early = [];
    this.#earlyMs = 0;
    for (const event of early) {
      if (event.type === 'audio') this.audio(event.responseId, event.itemId, event.bytes);
      else this.endResponse(event.responseId);
    }
  }
}
