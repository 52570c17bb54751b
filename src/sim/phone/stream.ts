import { WebSocket } from 'ws';
import type { Cancel, Clock } from '../../clock.ts';
import { assertNever } from '../../errors.ts';
import { base64Bytes } from './base64.ts';
import type { Caller } from './caller.ts';
import type {
  BridgeMessage,
  Complaint,
  FrameTrouble,
  MediaDialect,
  StreamPlan,
  Trouble,
  TroubleCodes,
} from './carrier-sim.ts';
import type { EventLog, StreamEnd } from './events.ts';
import type { PhoneFaults } from './faults.ts';
import { FrameSender } from './frame-sender.ts';
import { LeadWatch } from './lead-watch.ts';
import { FRAME_BYTES, PlayoutQueue } from './playout.ts';
import type { Recorder } from './recorder.ts';
import { socketTrouble } from './socket-trouble.ts';
import { TICK_MS, type Ticker, type Ticking } from './ticker.ts';
import { createWireDecoder, createWireEncoder, type WireDecoder, type WireEncoder } from './wire-audio.ts';

const UPGRADE_LIMIT_MS = 10_000;
const CLOSE_LIMIT_MS = 2_000;
/** Stream time of the first frame; the clocks of carriers do not begin at a round number either. */
const FIRST_TIMESTAMP_MS = 5;
/** The first four bytes of a WAV file. */
const RIFF = 0x52494646;
const KEY_TICKS = 8;
const UNKNOWN_TICKS = 50;

/** One text frame on the media socket, for whoever wants to see them all; `atMs` counts from the call's beginning. */
export type Trace = (direction: 'to-bridge' | 'from-bridge', text: string, atMs: number) => void;

/** What is fixed for one stream. */
export interface StreamSetup {
  readonly plan: StreamPlan;
  /** Where to connect: reachable from here. */
  readonly socketUrl: string;
  /** The host as the document has it. */
  readonly host: string;
}

/** What a stream shares with its call. */
export interface StreamContext {
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly log: EventLog;
  readonly caller: Caller;
  readonly recorder: Recorder;
  readonly trace: Trace | undefined;
  readonly faults: PhoneFaults;
  readonly codes: TroubleCodes;
  /** The caller pressed a key, and the bridge was told on the socket. */
  pressed(digit: string): void;
  /** Called once, when `start` was sent. */
  started(): void;
  /** The bridge has passed one of `StreamPlan.aheadMs`. */
  ahead(aheadMs: number): void;
  /** Called once, last. */
  ended(end: StreamEnd): void;
}

interface Key {
  readonly digit: string;
  readonly done: (pressed: boolean) => void;
}

/** One media stream: the carrier's end of the WebSocket, its clock and its play-out queue. */
export class MediaStream implements Ticking {
  readonly #setup: StreamSetup;
  readonly #context: StreamContext;
  readonly #socket: WebSocket;
  readonly #queue = new PlayoutQueue();
  readonly #heardFrame = new Uint8Array(FRAME_BYTES);
  readonly #sentFrame = Buffer.alloc(FRAME_BYTES, 0xff);
  readonly #keys: Key[] = [];
  readonly #lateMarks: { readonly name: string; readonly dueMs: number }[] = [];
  readonly #cancelLimit: Cancel;
  readonly #dialect: MediaDialect;
  readonly #encoder: WireEncoder;
  readonly #decoder: WireDecoder | undefined;
  readonly #frames: FrameSender;
  readonly #lead: LeadWatch | undefined;
  readonly #headers: Readonly<Record<string, string>>;
  #scratch = Buffer.alloc(1 << 12);
  #replay: WebSocket | undefined;
  #ticks = 0;
  #nextKeyTick = 0;
  #clearedAt = 0;
  #started = false;
  #ended = false;
  #resolve: (end: StreamEnd) => void = () => {};
  /** Resolves when the stream is over, however that came; never rejects. */
  readonly ended: Promise<StreamEnd>;

  constructor(setup: StreamSetup, context: StreamContext) {
    this.#setup = setup;
    this.#context = context;
    const { plan } = setup;
    this.#dialect = plan.dialect();
    this.#encoder = createWireEncoder(plan.sends);
    this.#decoder = createWireDecoder(plan.takes);
    this.#headers = plan.headers();
    this.#lead = plan.aheadMs && new LeadWatch(plan.aheadMs, (aheadMs) => context.ahead(aheadMs));
    this.#frames = new FrameSender(context.faults, (text) => this.#send(text));
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#socket = this.#connect();
    this.#socket.on('open', () => this.#onOpen());
    this.#socket.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(data, isBinary));
    this.#socket.on('close', (code, reason) => this.#onClose(code, reason.toString('utf8')));
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('unexpected-response', (request, response) => {
      this.#fail(
        'stream-not-upgraded',
        `the upgrade was answered with ${response.statusCode} and not with 101`,
      );
      request.destroy();
    });
    this.#cancelLimit = context.clock.after(UPGRADE_LIMIT_MS, () =>
      this.#fail('stream-unanswered', `no answer to the upgrade within ${UPGRADE_LIMIT_MS} ms`),
    );
  }

  /** Agent audio that the caller has heard, in bytes of mu-law. */
  get heardBytes(): number {
    return this.#queue.taken;
  }

  /** The most that waited to be played, in bytes. */
  get highWaterBytes(): number {
    return this.#queue.highWater;
  }

  /** Presses one key; resolves to false when the stream ended before. */
  pressKey(digit: string): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    return new Promise((done) => {
      this.#keys.push({ digit, done });
    });
  }

  /** The carrier ends the stream: the caller hung up, or another document runs now. */
  stop(): void {
    if (this.#ended) return;
    const { faults } = this.#context;
    this.#frames.flush();
    if (this.#started && !faults.omitStop) this.#say(this.#dialect.stop());
    if (faults.abruptClose) this.#socket.terminate();
    else this.#socket.close(1000);
    this.#end({ how: 'carrier-stopped' });
  }

  /** Cuts the connection without a word. */
  destroy(): void {
    this.#end({ how: 'carrier-stopped' });
    this.#socket.terminate();
  }

  tick(lateMs: number): void {
    const { caller, recorder, faults } = this.#context;
    this.#queue.finishFrame();
    for (let name = this.#queue.reachedMark(); name !== undefined; name = this.#queue.reachedMark()) {
      this.#echo(name, false);
    }
    const audioBytes = this.#queue.takeFrame(this.#heardFrame);
    const speaking = caller.nextFrame(this.#sentFrame);
    this.#sendFrame(speaking);
    recorder.tick(this.#heardFrame, audioBytes, this.#sentFrame, speaking, lateMs);
    if (speaking) caller.frameSent();
    this.#ticks++;
    if (this.#keys.length > 0) this.#sendKeys();
    if (this.#lateMarks.length > 0) this.#sendLateMarks();
    if (faults.unknownEvents && this.#ticks % UNKNOWN_TICKS === 1) this.#send(this.#dialect.unknown());
    if (faults.loseSocketAtMs !== undefined && this.#ticks * TICK_MS >= faults.loseSocketAtMs) this.#lose();
  }

  #connect(): WebSocket {
    const { plan, host, socketUrl } = this.#setup;
    const headers = { host, ...this.#headers };
    // A variable, because the types do not know closeTimeout yet.
    const options = { headers, perMessageDeflate: false, closeTimeout: CLOSE_LIMIT_MS };
    return plan.subprotocol === undefined
      ? new WebSocket(socketUrl, options)
      : new WebSocket(socketUrl, plan.subprotocol, options);
  }

  #onOpen(): void {
    this.#cancelLimit();
    if (this.#ended) {
      this.#socket.terminate();
      return;
    }
    const { faults, log } = this.#context;
    this.#say(this.#dialect.connected());
    if (faults.neverStart) return;
    for (let i = 0; faults.mediaBeforeStart && i < 3; i++) this.#sendFrame(false);
    this.#send(this.#dialect.start());
    log.add({ type: 'stream-started', streamId: this.#setup.plan.streamId });
    this.#started = true;
    this.#context.ticker.add(this);
    this.#context.started();
    if (faults.replayUpgrade) this.#replayUpgrade();
  }

  #replayUpgrade(): void {
    const second = this.#connect();
    this.#replay = second;
    const report = (status: number): void => this.#context.log.add({ type: 'replayed-upgrade', status });
    second.on('open', () => {
      report(101);
      second.terminate();
    });
    second.on('unexpected-response', (request, response) => {
      report(response.statusCode ?? 0);
      request.destroy();
    });
    // What can go wrong was reported already, or is of no interest.
    second.on('error', () => {});
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#ended) return;
    const { log, trace } = this.#context;
    if (isBinary) {
      this.#complain('binary-frame', 'a binary frame on the media socket');
      return;
    }
    const text = data.toString('utf8');
    trace?.('from-bridge', text, log.now());
    const message = this.#dialect.read(text);
    if (message.complaint !== undefined) this.#raise(message.complaint);
    this.#obey(message);
  }

  #complain(about: FrameTrouble, text: string): void {
    this.#raise(this.#dialect.complain(about, text));
  }

  #raise(complaint: Complaint): void {
    this.#context.log.warn(complaint.code, complaint.text);
    this.#say(complaint.reply);
  }

  #obey(message: BridgeMessage): void {
    switch (message.type) {
      case 'media':
        this.#onMedia(message.payload);
        break;
      case 'mark':
        if (this.#queue.mark(message.name)) this.#echo(message.name, false);
        break;
      case 'clear':
        this.#onClear();
        break;
      case 'keys':
        this.#context.log.add({ type: 'agent-keys', digits: message.digits });
        break;
      case 'ignored':
        break;
      default:
        assertNever(message);
    }
  }

  #onMedia(payload: string): void {
    const expected = base64Bytes(payload);
    if (expected > this.#scratch.length) this.#scratch = Buffer.alloc(expected * 2);
    const length = this.#scratch.write(payload, 0, 'base64');
    if (length !== expected) {
      this.#complain('bad-audio', 'the payload is not base64');
      return;
    }
    if (length > 4 && this.#scratch.readUInt32BE(0) === RIFF) {
      // It is played all the same, as a click: carriers know no files here.
      this.#complain('bad-audio', 'the payload begins with a WAV header');
    }
    const waited = this.#queue.buffered;
    if (this.#decoder === undefined) this.#queue.append(this.#scratch, length);
    else this.#appendDecoded(this.#decoder, length);
    this.#lead?.grew(waited, this.#queue.buffered);
  }

  #appendDecoded(decoder: WireDecoder, length: number): void {
    if (length % decoder.sampleBytes !== 0) this.#complain('bad-audio', 'the payload has half a sample');
    this.#queue.append(decoder.push(this.#scratch, length));
  }

  #onClear(): void {
    const { log, recorder } = this.#context;
    const { marks, droppedBytes } = this.#queue.clear();
    log.add({
      type: 'clear',
      heardBytes: this.#queue.taken - this.#clearedAt,
      stretchBytes: recorder.stretchBytes,
      droppedBytes,
      marks,
    });
    this.#clearedAt = this.#queue.taken;
    recorder.cleared();
    this.#decoder?.reset();
    if (this.#setup.plan.marksOnClear === 'echoed') for (const name of marks) this.#echo(name, true);
    this.#say(this.#dialect.cleared());
  }

  #echo(name: string, flushed: boolean): void {
    const { log, clock, faults } = this.#context;
    const { marks } = faults;
    log.add({ type: 'mark', name, flushed, echoed: marks !== 'never' });
    if (marks === 'never') return;
    if (marks > 0) this.#lateMarks.push({ name, dueMs: clock.now() + marks });
    else this.#send(this.#dialect.mark(name));
  }

  #sendLateMarks(): void {
    const nowMs = this.#context.clock.now();
    for (let first = this.#lateMarks[0]; first !== undefined; first = this.#lateMarks[0]) {
      if (first.dueMs > nowMs) return;
      this.#lateMarks.shift();
      this.#send(this.#dialect.mark(first.name));
    }
  }

  #sendFrame(speaking: boolean): void {
    const { dropInbound: hole } = this.#context.faults;
    const streamMs = this.#ticks * TICK_MS;
    // Also in a hole, because the encoder has to hear everything.
    const payload = this.#encoder.payload(this.#sentFrame, speaking);
    if (hole !== undefined && streamMs >= hole.fromMs && streamMs < hole.fromMs + hole.forMs) return;
    this.#frames.frame(this.#dialect.media(streamMs + FIRST_TIMESTAMP_MS, payload), streamMs);
  }

  #sendKeys(): void {
    const { faults, log } = this.#context;
    while (this.#keys.length > 0 && (faults.dtmfBurst || this.#ticks >= this.#nextKeyTick)) {
      const key = this.#keys.shift();
      if (key === undefined) return;
      this.#nextKeyTick = this.#ticks + KEY_TICKS;
      this.#send(this.#dialect.key(key.digit));
      log.add({ type: 'key', digit: key.digit });
      this.#context.pressed(key.digit);
      key.done(true);
    }
  }

  #say(text: string | undefined): void {
    if (text !== undefined) this.#send(text);
  }

  #send(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    this.#context.trace?.('to-bridge', text, this.#context.log.now());
  }

  #lose(): void {
    this.#fail('stream-broken', 'the connection broke');
  }

  #onClose(code: number, reason: string): void {
    if (code === 1006) this.#fail('stream-broken', 'the connection broke without a close frame');
    else this.#end({ how: 'bridge-closed', code, reason });
  }

  #onError(error: Error): void {
    const [trouble, text] = socketTrouble(error, this.#started);
    this.#fail(trouble, text);
  }

  #fail(trouble: Trouble, text: string): void {
    const errorCode = this.#context.codes[trouble];
    this.#end({ how: 'failed', errorCode, text, started: this.#started });
    this.#socket.terminate();
  }

  #end(end: StreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelLimit();
    this.#context.ticker.remove(this);
    this.#replay?.terminate();
    for (const key of this.#keys.splice(0)) key.done(false);
    this.#context.recorder.streamEnded();
    this.#context.log.add({ type: 'stream-ended', end, unheardBytes: this.#queue.buffered });
    this.#context.ended(end);
    this.#resolve(end);
  }
}
