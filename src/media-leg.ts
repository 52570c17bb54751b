import { type AudioFormat, formatName } from './audio/format.ts';
import { type Carrier, capabilitiesFor } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import { BridgeError } from './errors.ts';
import { ByteOrder, ReorderWindow } from './intake.ts';
import type { CallLeg, LegCommand, LegEvent } from './leg.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Session } from './session.ts';
import type { SessionManager } from './session-manager.ts';
import type { WireListener, WireSocket } from './wire.ts';

export interface MediaLegDeps {
  readonly carrier: Carrier;
  readonly session: Session;
  readonly manager: SessionManager;
  /** The call's. */
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The socket is gone. */
  onGone(): void;
}

const START_DEADLINE_MS = 10_000;
const PING_EVERY_MS = 20_000;
/** A carrier that was ordered to open another stream has ended this one by then. */
const ORDER_MS = 5000;
/** The round trip is the shortest of the last few: a longer one was a pause of this process or a lost packet. */
const ROUND_TRIPS = 5;
/** No telephone line is longer; beyond it the figure is wrong. */
const MAX_ROUND_TRIP_MS = 500;
/** A carrier that takes this much less than it is sent has stopped reading. */
const MAX_BUFFERED_BYTES = 1_048_576;
/** Messages in a row that cannot be read before the stream is given up. */
const MAX_BAD_MESSAGES = 50;
/** Normal closure, and a close frame without a code. */
const CLEAN_CLOSES: readonly number[] = [1000, 1005];

/** One media stream: the leg of one session. */
export class MediaLeg implements CallLeg, WireListener {
  readonly #socket: WireSocket;
  readonly #carrier: Carrier;
  readonly #session: Session;
  readonly #deps: MediaLegDeps;
  #cancelStart: Cancel;
  #cancelPing: Cancel | undefined;
  #pingAt = 0;
  #pings = 0;
  readonly #roundTrips: number[] = [];
  #missedPongs = 0;
  #badMessages = 0;
  /** When the message came that is worked off; of `CallTiming.now`. */
  #cameAt = 0;
  #leg: { streamId: string; output: AudioFormat };
  #started = false;
  #closing = false;
  #roundTripMs = 0;
  #input: AudioFormat;
  /** It speaks a codec that nobody here can decode, and is to be replaced. */
  #foreign = false;
  #cancelForeign: Cancel | undefined;
  readonly #order: ReorderWindow | undefined;
  #byteOrder: ByteOrder | undefined;
  #encodeAudio: ((bytes: Uint8Array) => string) | undefined;

  /** @param connect gives the socket, which tells everything to its listener */
  constructor(deps: MediaLegDeps, connect: (listener: WireListener) => WireSocket) {
    const { carrier, session } = deps;
    this.#deps = deps;
    this.#carrier = carrier;
    this.#session = session;
    const { defaultFormat, orderedMedia } = capabilitiesFor(carrier, session.call);
    this.#input = defaultFormat;
    this.#leg = { streamId: '', output: defaultFormat };
    if (!orderedMedia) this.#order = new ReorderWindow((audio) => session.onLegEvent(audio));
    this.#cancelStart = deps.clock.after(START_DEADLINE_MS, () => this.#refuse('no start message in time'));
    this.#socket = connect(this);
    this.#ping();
  }

  get input(): AudioFormat {
    return this.#input;
  }

  get output(): AudioFormat {
    return this.#leg.output;
  }

  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  play(bytes: Uint8Array): void {
    if (this.#encodeAudio === undefined) this.#command({ type: 'audio', bytes });
    else if (this.#socket.isOpen) this.#socket.send(this.#encodeAudio(bytes));
    this.#session.timing?.played();
    if (this.#socket.bufferedAmount <= MAX_BUFFERED_BYTES) return;
    this.#deps.log.error({ callId: this.#session.callId }, 'the carrier has stopped reading');
    this.terminate();
  }

  mark(name: string): void {
    this.#command({ type: 'mark', name });
  }

  clear(): void {
    this.#command({ type: 'clear' });
    this.#session.timing?.cleared();
  }

  sendDigits(digits: string): void {
    this.#command({ type: 'digits', digits });
  }

  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.close(code, reason.slice(0, 120));
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #command(command: LegCommand): void {
    if (this.#socket.isOpen) this.#socket.send(this.#carrier.encode(command, this.#leg));
  }

  opened(): void {}

  pinged(): void {}

  refused(): void {}

  failed(error: Error): void {
    this.#deps.log.warn({ callId: this.#session.callId, err: error }, 'media socket error');
  }

  message(text: string, isBinary: boolean): void {
    if (this.#closing || this.#foreign) return;
    this.#cameAt = this.#session.timing?.now() ?? 0;
    const audio = isBinary ? undefined : this.#carrier.decodeAudio?.(text);
    if (audio === undefined) for (const event of this.#decode(text, isBinary)) this.#onEvent(event);
    else this.#onUsualAudio(audio);
  }

  /** Nearly all that comes: no list is made of it. */
  #onUsualAudio(audio: Extract<LegEvent, { type: 'audio' }>): void {
    this.#badMessages = 0;
    if (this.#started) this.#onAudio(audio);
  }

  #decode(text: string, isBinary: boolean): readonly LegEvent[] {
    try {
      if (isBinary) throw new BridgeError('BAD_FRAME', 'a media message is binary, text is wanted');
      const events = this.#carrier.decode(text);
      this.#badMessages = 0;
      return events;
    } catch (error) {
      this.#onBadMessage(BridgeError.from(error));
      return [];
    }
  }

  #onBadMessage(error: BridgeError): void {
    this.#badMessages += 1;
    this.#deps.metrics.unreadable(this.#carrier.name);
    if (this.#badMessages === 1) {
      this.#deps.log.warn({ callId: this.#session.callId, err: error }, 'media message not understood');
    }
    if (!this.#started || this.#badMessages >= MAX_BAD_MESSAGES) this.#refuse(error.message);
  }

  #onEvent(event: LegEvent): void {
    if (event.type === 'started') this.#onStart(event);
    else if (!this.#started) return;
    else if (event.type === 'audio') this.#onAudio(event);
    else if (event.type === 'stopped') this.#onStopped(event);
    else this.#session.onLegEvent(event);
  }

  #onAudio(event: Extract<LegEvent, { type: 'audio' }>): void {
    this.#byteOrder?.apply(event.bytes);
    if (this.#order === undefined) this.#session.onLegEvent(event);
    else this.#order.push(event);
    this.#session.timing?.heard(this.#cameAt);
  }

  /** What still waits for its place was said before. */
  #onStopped(event: LegEvent): void {
    this.#order?.flush();
    this.#session.onLegEvent(event);
  }

  #onStart(event: Extract<LegEvent, { type: 'started' }>): void {
    if (this.#started) return;
    // The signed webhook, the token and the stream have to speak of the same call.
    const { call = event.callId } = event.params;
    if (event.callId !== this.#session.callId || call !== event.callId) {
      this.#refuse('the start message names another call');
      return;
    }
    this.#started = true;
    this.#cancelStart();
    this.#leg = { streamId: event.streamId, output: event.output };
    this.#encodeAudio = this.#carrier.mediaEncoder?.(this.#leg);
    if (event.input === undefined) {
      this.#onForeignCodec(event.codec);
      return;
    }
    this.#input = event.input;
    if (event.byteOrder !== undefined) this.#byteOrder = new ByteOrder(event.byteOrder);
    this.#deps.log.debug(
      { callId: event.callId, in: formatName(event.input), out: formatName(event.output) },
      'media formats',
    );
    this.#session.attach(this);
  }

  /** Played as something else it would be noise for the whole call. */
  #onForeignCodec(codec: string): void {
    if (!this.#session.refuseCodec(codec)) {
      this.#refuse(`the carrier sends ${codec}, which cannot be decoded`);
      return;
    }
    const close = (): void => this.close(1000, 'another codec is asked for');
    if (!this.#deps.manager.standsAlone(this.#carrier.name, this.#session.callId)) {
      close();
      return;
    }
    // The carrier has been ordered to open another stream: closed before that, it would go on to the last resort.
    this.#foreign = true;
    this.#cancelForeign = this.#deps.clock.after(ORDER_MS, close);
  }

  #refuse(why: string): void {
    this.#deps.metrics.refused('upgrade', 'bad-start');
    this.#deps.log.warn({ callId: this.#session.callId, why }, 'media stream given up');
    this.close(1008, 'not accepted');
    this.#deps.manager.streamRefused(this.#carrier.name, this.#session.callId);
  }

  #ping(): void {
    if (this.#missedPongs >= 2) {
      this.#deps.log.warn({ callId: this.#session.callId }, 'the carrier does not answer pings');
      this.terminate();
      return;
    }
    this.#missedPongs += 1;
    this.#pingAt = this.#deps.clock.now();
    this.#pings += 1;
    this.#socket.ping(String(this.#pings));
    this.#cancelPing = this.#deps.clock.after(PING_EVERY_MS, () => this.#ping());
  }

  /** Only the echo of the last ping tells the time; a pong may also come unasked. */
  pong(echo: string): void {
    if (echo !== String(this.#pings)) return;
    this.#missedPongs = 0;
    this.#roundTrips.push(Math.min(this.#deps.clock.now() - this.#pingAt, MAX_ROUND_TRIP_MS));
    if (this.#roundTrips.length > ROUND_TRIPS) this.#roundTrips.shift();
    this.#roundTripMs = Math.min(...this.#roundTrips);
  }

  closed(code: number): void {
    this.#cancelStart();
    this.#cancelPing?.();
    this.#cancelForeign?.();
    // Of a stream that was given up nobody wants to hear any more: the next one may be there already.
    if (!this.#closing) this.#order?.flush();
    this.#deps.onGone();
    this.#session.onLegClosed(this, CLEAN_CLOSES.includes(code));
  }
}
