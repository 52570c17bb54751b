import { type AudioFormat, bytesPerMs, bytesPerSample } from '../../audio/format.ts';
import type { Cancel, Clock } from '../../clock.ts';
import { type Network, systemNetwork, type WireListener, type WireSocket } from '../../wire.ts';
import { AudioBacklog } from './audio-backlog.ts';
import { Heartbeat } from './heartbeat.ts';
import type { SpeechDecoder } from './speech-decoder.ts';

/** How a socket came to its end. */
export type SocketEnd =
  | { readonly type: 'closed'; readonly code: number; readonly reason: string }
  /** The server answered the upgrade with an HTTP status of its own. */
  | { readonly type: 'refused'; readonly status: number; readonly body: string }
  | { readonly type: 'failed'; readonly error: Error }
  /** Half open: nothing came back in time, not even the answer to a ping. */
  | { readonly type: 'silent'; readonly forMs: number };

export interface SocketListener {
  opened(): void;
  text(text: string): void;
  /** An episode of dropping caller audio is over; called once for it. */
  audioDropped(ms: number): void;
  /** Exactly once, last. */
  ended(end: SocketEnd): void;
}

export interface SocketSettings {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: the network of this machine. */
  readonly network: Network | undefined;
  readonly clock: Clock;
  readonly envelope: AudioEnvelope;
  /** Audio that may lie in the socket before more of it waits outside. */
  readonly highWaterMs: number;
  /** Audio that may wait outside before the oldest of it is dropped. */
  readonly backlogMs: number;
  /** By which the listener reads its texts: what it decodes is needed for as long as one is told. */
  readonly decoder: SpeechDecoder;
}

const CLOSE_WITHIN_MS = 2_000;
const MOST_MESSAGE_BYTES = 16 * 1_048_576;
/** Audio in one message. More than this at once is no frame of a line: it is what the caller said a while ago. */
const MOST_APPEND_MS = 200;
/** Of that so much may lie in the socket beside what usually may: a new connection is slow, and nothing of it is old news. */
const MOST_BURST_MS = 12_000;
/** Frame header and base64 padding, for each 20 ms of audio. */
const FRAMING_BYTES = 10;
/** The most that a WebSocket puts before a message. */
const HEADER_BYTES = 14;

/** Text around the base64 of the audio in a message that brings it. */
export interface AudioEnvelope {
  readonly head: string;
  readonly tail: string;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The WebSocket to the provider: sends messages at once and audio as long as the socket drains, notices a peer that
 * is gone, and always comes to an end.
 */
export class ProviderSocket implements WireListener {
  readonly #wire: WireSocket;
  readonly #clock: Clock;
  readonly #settings: SocketSettings;
  readonly #listener: SocketListener;
  // What every frame needs is at hand.
  readonly #text: (text: string) => void;
  readonly #decoder: SpeechDecoder;
  readonly #envelope: AudioEnvelope;
  /** Resolves when the socket is gone and no timer is left. */
  readonly finished: Promise<void>;
  #finish: () => void = () => undefined;
  #ended = false;
  #closed = false;
  readonly #heartbeat: Heartbeat;
  #closeTimer: Cancel | undefined;
  #highWater = Number.POSITIVE_INFINITY;
  #burstHighWater = Number.POSITIVE_INFINITY;
  #bytesPerMs = 1;
  #chunk = 1;
  #backlog: AudioBacklog | undefined;
  #droppedBytes = 0;
  /** Whoever converts audio gives the same memory again and again. */
  #lent: Uint8Array | undefined;
  #view: Buffer = Buffer.alloc(0);
  // One function for all sends, so that a frame makes no closure.
  readonly #onFlushed = (): void => this.#drain();

  /** Starts to dial; what comes of it is told to `listener`. */
  constructor(settings: SocketSettings, listener: SocketListener) {
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#listener = listener;
    this.#text = listener.text;
    this.#decoder = settings.decoder;
    this.#envelope = settings.envelope;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#heartbeat = new Heartbeat({
      clock: settings.clock,
      ping: () => this.#ping(),
      onSilent: (forMs) => this.#onSilent(forMs),
    });
    const { url, headers, network = systemNetwork } = settings;
    // Itself, because every object in between is one more to be fetched for each message.
    this.#wire = network.dial(url, { headers, maxPayload: MOST_MESSAGE_BYTES }, this);
  }

  /** `ended` was told, or is being told. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Fixes what a millisecond of caller audio costs; audio can be sent from here on. */
  useAudio(format: AudioFormat): void {
    this.#bytesPerMs = bytesPerMs(format);
    this.#chunk = this.#bytesPerMs * MOST_APPEND_MS;
    const { head, tail } = this.#envelope;
    const wireBytesPerMs = (this.#bytesPerMs * 4) / 3 + (head.length + tail.length + FRAMING_BYTES) / 20;
    this.#highWater = this.#settings.highWaterMs * wireBytesPerMs;
    this.#burstHighWater = this.#highWater + MOST_BURST_MS * wireBytesPerMs;
    this.#backlog = new AudioBacklog(this.#settings.backlogMs * this.#bytesPerMs, bytesPerSample(format));
  }

  /** Sends a message now, whatever waits: control messages are few and never dropped. */
  send(text: string): void {
    if (!this.#wire.isOpen) return;
    this.#wire.send(text, this.#onFlushed);
    this.#heartbeat.expect();
  }

  /**
   * Whole samples. False when audio was dropped, this or older; also when the socket is not open. Pieces of more than 200 ms,
   * which are no frames of a line, go out whole, in several messages, though more of them lies in the socket than of frames.
   */
  sendAudio(bytes: Uint8Array): boolean {
    const backlog = this.#backlog;
    if (backlog === undefined || !this.#wire.isOpen) return false;
    if (backlog.bytes === 0 && bytes.length <= this.#chunk) {
      const before = this.#wire.bufferedAmount;
      if (before < this.#highWater) {
        this.#put(bytes, before);
        return true;
      }
    }
    return this.#sendPatiently(bytes, backlog);
  }

  #sendPatiently(bytes: Uint8Array, backlog: AudioBacklog): boolean {
    const most = bytes.length > this.#chunk ? this.#burstHighWater : this.#highWater;
    this.#flush(backlog, most);
    if (backlog.bytes === 0 && this.#wire.bufferedAmount < most) {
      this.#append(bytes);
      return true;
    }
    const dropped = backlog.push(bytes);
    this.#droppedBytes += dropped;
    return dropped === 0;
  }

  /** Says goodbye and hangs up when it is not answered; `finished` tells when it is over. */
  close(): void {
    if (this.#closeTimer !== undefined || this.#closed) return;
    this.#heartbeat.stop();
    this.#closeTimer = this.#clock.after(CLOSE_WITHIN_MS, () => this.terminate());
    this.#wire.close(1000);
  }

  /** Drops the connection, also one that is still being made. */
  terminate(): void {
    this.#wire.terminate();
  }

  #append(bytes: Uint8Array): void {
    let at = 0;
    do {
      this.#put(bytes.subarray(at, at + this.#chunk), this.#wire.bufferedAmount);
      at += this.#chunk;
    } while (at < bytes.length);
  }

  /**
   * Sends a piece of at most 200 ms. @param before what lies in the socket: only a message behind another one, or one that
   * reaches the mark by itself, tells when it has left, so that of all that lies there above the mark at least one does.
   */
  #put(bytes: Uint8Array, before: number): void {
    const text = this.#envelop(bytes);
    const fills = before > 0 || text.length + HEADER_BYTES >= this.#highWater;
    this.#wire.send(text, fills ? this.#onFlushed : undefined);
  }

  /** Written by hand because escaping base64 is a waste of time, fifty times a second. */
  #envelop(bytes: Uint8Array): string {
    if (bytes !== this.#lent) {
      this.#lent = bytes;
      this.#view = bufferOf(bytes);
    }
    const { head, tail } = this.#envelope;
    return `${head}${this.#view.toString('base64')}${tail}`;
  }

  // Runs when messages have left for the kernel; sends above the mark always have such a moment ahead of them.
  #drain(): void {
    const backlog = this.#backlog;
    if (backlog !== undefined) this.#flush(backlog, this.#highWater);
  }

  /** Sends what waits outside, as long as less than `most` bytes lie in the socket. */
  #flush(backlog: AudioBacklog, most: number): void {
    if (backlog.bytes === 0) return;
    while (backlog.bytes > 0 && this.#wire.isOpen && this.#wire.bufferedAmount < most) {
      this.#append(backlog.take(this.#chunk));
    }
    if (backlog.bytes === 0) {
      backlog.clear();
      this.#tellDropped();
    }
  }

  #tellDropped(): void {
    if (this.#droppedBytes === 0) return;
    const ms = Math.round(this.#droppedBytes / this.#bytesPerMs);
    this.#droppedBytes = 0;
    this.#listener.audioDropped(ms);
  }

  opened(): void {
    this.#heartbeat.start();
    this.#listener.opened();
  }

  message(text: string): void {
    this.#heartbeat.sign();
    if (this.#ended) return;
    const decoder = this.#decoder;
    decoder.begin();
    try {
      this.#text(text);
    } finally {
      decoder.end();
    }
  }

  pinged(): void {
    this.#heartbeat.sign();
  }

  pong(): void {
    this.#heartbeat.sign();
  }

  refused(status: number, body: string): void {
    this.#end({ type: 'refused', status, body });
  }

  failed(error: Error): void {
    this.#end({ type: 'failed', error });
  }

  #ping(): void {
    if (this.#wire.isOpen) this.#wire.ping();
  }

  #onSilent(forMs: number): void {
    this.#end({ type: 'silent', forMs });
    this.terminate();
  }

  closed(code: number, reason: string): void {
    this.#closed = true;
    try {
      this.#end({ type: 'closed', code, reason });
    } finally {
      this.#heartbeat.stop();
      this.#closeTimer?.();
      this.#finish();
    }
  }

  #end(end: SocketEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#heartbeat.stop();
    this.#tellDropped();
    this.#backlog?.clear();
    this.#listener.ended(end);
  }
}
