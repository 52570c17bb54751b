import { type AudioFormat, bytesPerMs, silenceByte } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { Clock } from './clock.ts';
import { SpeechRing, type Unanswered } from './fallback/speech-ring.ts';
import { FRAME_MS, type Paced, type Pacer } from './pacer.ts';

/** The least of a provider session that the uplink needs. */
export interface UplinkSession {
  /** False when audio had to be dropped. */
  sendAudio(bytes: Uint8Array): boolean;
}

export interface UplinkCounts {
  framesIn: number;
  /** Silence put in for holes in the carrier's stream, and to end a turn that the carrier left open. */
  filledMs: number;
  /** Oldest audio lost because it took too long until a provider was ready. */
  lostBeforeReadyMs: number;
  /** Frames at which the provider reported that its socket is full. */
  refused: number;
}

/** What a provider that takes the place of another was given of what the caller had said; nothing for the first one. */
export interface HandedOver {
  /** Speech in it, in ms; 0 if there is none. */
  readonly replayedMs: number;
  /** The caller has not stopped. */
  readonly speaking: boolean;
}

/** What was kept is delivered in pieces: a socket takes nothing from its buffer within one turn of the event loop. */
const CATCH_UP_MS = 500;
/** Longest hole that is filled: a longer one is a call on hold, not lost packets. */
const MAX_HOLE_MS = 10_000;
/** A carrier that says nothing for this long while the caller speaks has stopped sending, not lost a packet. */
const STALLED_MS = 750;
const CLOSING_SILENCE_MS = 1000;
/** An echo comes a little later than what it is the echo of, by way of the carrier. */
const ECHO_MS = 400;
const NOTHING = new Uint8Array(0);
const NOTHING_SAID: Unanswered = { spokenMs: 0, speaking: false };

/**
 * What the caller said, from the leg to the provider: complete, in order, without holes. Speech that comes while no
 * provider is ready is kept and delivered first, a piece at every beat of the pacer; so is the silence for a long hole.
 * The same ring keeps what a provider was given, for the one that may have to take its place.
 */
export class Uplink implements Paced {
  readonly counts: UplinkCounts = { framesIn: 0, filledMs: 0, lostBeforeReadyMs: 0, refused: 0 };
  readonly #clock: Clock;
  readonly #pacer: Pacer;
  readonly #perMs: number;
  readonly #silence: number;
  readonly #onFailed: (error: unknown) => void;
  readonly #ring: SpeechRing;
  /** Silence, as long as the longest message that was not for the provider. */
  #quiet = NOTHING;
  /** What a new provider is told of the past; it comes before everything that waits in the ring. */
  #replay: Uint8Array = NOTHING;
  #session: UplinkSession | undefined;
  #transcoder: Transcoder | undefined;
  /** Stream time of the first frame minus what had been received by then, and stream time received since. */
  #base: number | undefined;
  #receivedMs = 0;
  #echoesUntilMs = 0;
  #lastMediaAt: number;
  #speechOpen = false;
  #paced = false;

  constructor(options: {
    readonly format: AudioFormat;
    readonly clock: Clock;
    readonly pacer: Pacer;
    onFailed(error: unknown): void;
  }) {
    this.#clock = options.clock;
    this.#pacer = options.pacer;
    this.#perMs = bytesPerMs(options.format);
    this.#ring = new SpeechRing(options.format, (bytes) => {
      this.counts.lostBeforeReadyMs += bytes / this.#perMs;
    });
    this.#silence = silenceByte(options.format);
    this.#onFailed = options.onFailed;
    this.#lastMediaAt = options.clock.now();
  }

  /** When the last media message came, or when this began to listen. */
  get lastMediaAt(): number {
    return this.#lastMediaAt;
  }

  /**
   * One media message of the carrier.
   * @param atMs its presentation time in the stream
   * @param agentSpeaks the caller hears the agent at this moment
   */
  receive(bytes: Uint8Array, atMs: number | undefined, agentSpeaks = false): void {
    if (agentSpeaks) this.#echoesUntilMs = this.#receivedMs + ECHO_MS;
    this.#ring.echoes = this.#receivedMs < this.#echoesUntilMs;
    this.#lastMediaAt = this.#clock.now();
    this.counts.framesIn += 1;
    if (atMs !== undefined) this.#fillHole(atMs);
    this.#receivedMs += bytes.length / this.#perMs;
    this.#forward(bytes);
  }

  /** A media message that is not for the provider: it hears silence instead, so that a turn which is open there ends. */
  mute(bytes: Uint8Array, atMs: number | undefined): void {
    const { length } = bytes;
    if (this.#quiet.length < length) this.#quiet = new Uint8Array(length).fill(this.#silence);
    this.receive(length === this.#quiet.length ? this.#quiet : this.#quiet.subarray(0, length), atMs);
  }

  /** How much of the stream has come, holes included, in ms. */
  get positionMs(): number {
    return this.#ring.end / this.#perMs;
  }

  /** What the caller said until this position, in ms, is answered, or known as text: it is not replayed. Only moves on. */
  accountedFor(upToMs: number): void {
    this.#ring.accountFor(upToMs * this.#perMs);
  }

  /** What the caller said and nobody has accounted for. */
  unanswered(): Unanswered {
    return this.#ring.unanswered();
  }

  /** Some of what was heard of the line when nobody spoke; it may be nothing. */
  noise(): Uint8Array {
    return this.#ring.noise();
  }

  /**
   * A provider is ready. `transcoder` ends in its input format. Without `options` it is the first of this stream, which is
   * given all that was kept, and be it one that wants speech in real time: a caller who says what they want and is not
   * heard is worse than one who is answered a little late. In the place of another it is given, with `replay`, the speech
   * that is not accounted for; otherwise nothing that is past. Then it is given everything as it comes.
   */
  connect(
    session: UplinkSession,
    transcoder: Transcoder,
    options?: { readonly replay: boolean },
  ): HandedOver {
    const ring = this.#ring;
    const first = options === undefined && !ring.trims;
    // Whoever is first is not asked what it makes of it, and looking takes time.
    const { spokenMs, speaking } = first ? NOTHING_SAID : ring.unanswered();
    this.#session = session;
    this.#transcoder = transcoder;
    this.#replay = options?.replay ? ring.speech().bytes : NOTHING;
    if (!first) ring.skip();
    ring.trims = true;
    this.#catchUp();
    this.#pace();
    return { replayedMs: options?.replay ? spokenMs : 0, speaking };
  }

  /** The provider is gone; what comes from now on waits for another. */
  disconnect(): void {
    this.#session = undefined;
    this.#transcoder = undefined;
    // It is in the ring as well.
    this.#replay = NOTHING;
    this.#ring.trims = true;
    this.#pace();
  }

  /** The provider hears speech: from now on a carrier that falls silent is answered with closing silence. */
  speechStarted(): void {
    this.#speechOpen = true;
    this.#pace();
  }

  speechStopped(): void {
    this.#speechOpen = false;
    this.#pace();
  }

  tick(now: number): undefined {
    this.#catchUp();
    if (this.#speechOpen && now - this.#lastMediaAt >= STALLED_MS) {
      // Server-side voice detection only ends a turn on audio that is silent, never on audio that is missing.
      this.#addSilence(CLOSING_SILENCE_MS);
      this.#receivedMs += CLOSING_SILENCE_MS;
      this.#speechOpen = false;
    }
    this.#pace();
  }

  failed(error: unknown): void {
    this.#onFailed(error);
  }

  close(): void {
    this.disconnect();
    this.#speechOpen = false;
    this.#ring.delivered();
    this.#pace();
  }

  #fillHole(atMs: number): void {
    this.#base ??= atMs - this.#receivedMs;
    const hole = atMs - this.#base - this.#receivedMs;
    if (hole > MAX_HOLE_MS) {
      this.#addSilence(MAX_HOLE_MS);
      this.#receivedMs += hole;
    } else if (hole >= FRAME_MS) {
      // Whole frames; what is left over is made up for with the next hole.
      const ms = Math.floor(hole / FRAME_MS) * FRAME_MS;
      this.#addSilence(ms);
      this.#receivedMs += ms;
    } else if (hole < -STALLED_MS) {
      // The closing silence was too much, or the carrier began to count anew.
      this.#base = atMs - this.#receivedMs;
    }
  }

  #addSilence(ms: number): void {
    this.counts.filledMs += ms;
    this.#ring.pushSilence(ms * this.#perMs);
    if (this.#session !== undefined && ms <= CATCH_UP_MS) this.#catchUp();
    this.#pace();
  }

  #forward(bytes: Uint8Array): void {
    const live = this.#session !== undefined && !this.#behind;
    this.#ring.push(bytes);
    if (!live) return;
    this.#ring.delivered();
    this.#deliver(bytes);
  }

  get #behind(): boolean {
    return this.#replay.length > 0 || this.#ring.pending > 0;
  }

  #catchUp(): void {
    if (this.#session === undefined || !this.#behind) return;
    const most = this.#perMs * CATCH_UP_MS;
    if (this.#replay.length === 0) {
      const waiting = new Uint8Array(Math.min(most, this.#ring.pending));
      this.#deliver(waiting.subarray(0, this.#ring.read(waiting)));
      return;
    }
    const piece = this.#replay.subarray(0, most);
    this.#replay = this.#replay.subarray(piece.length);
    this.#deliver(piece);
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#session === undefined || this.#transcoder === undefined) return;
    const out = this.#transcoder.push(bytes);
    if (out.length > 0 && !this.#session.sendAudio(out)) this.counts.refused += 1;
  }

  /** On the pacer while there is something to do without the carrier. */
  #pace(): void {
    const wanted = this.#speechOpen || (this.#session !== undefined && this.#behind);
    if (wanted === this.#paced) return;
    this.#paced = wanted;
    if (wanted) this.#pacer.add(this);
    else this.#pacer.remove(this);
  }
}
