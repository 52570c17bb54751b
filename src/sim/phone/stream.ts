import { WebSocket } from 'ws';
import type { Cancel, Clock } from '../../clock.ts';
import { assertNever } from '../../errors.ts';
import type { Caller } from './caller.ts';
import * as dialect from './dialect.ts';
import type { EventLog, StreamEnd } from './events.ts';
import type { PhoneFaults } from './faults.ts';
import { FRAME_BYTES, PlayoutQueue } from './playout.ts';
import type { Recorder } from './recorder.ts';
import { TICK_MS, type Ticker, type Ticking } from './ticker.ts';

const UPGRADE_LIMIT_MS = 10_000;
const CLOSE_LIMIT_MS = 2_000;
/** Stream time of the first frame; Twilio's clock does not begin at a round number either. */
const FIRST_TIMESTAMP_MS = 5;
/** The first four bytes of a WAV file. */
const RIFF = 0x52494646;
const KEY_TICKS = 8;
const UNKNOWN_TICKS = 50;
const SILENCE = Buffer.alloc(FRAME_BYTES, 0xff).toString('base64');

/** One text frame on the media socket, for whoever wants to see them all; `atMs` counts from the call's beginning. */
export type Trace = (direction: 'to-bridge' | 'from-bridge', text: string, atMs: number) => void;

/** What is fixed for one stream. */
export interface StreamSetup {
  /** Where to connect: reachable from here, without a query. */
  readonly socketUrl: string;
  /** The host as the document has it. */
  readonly host: string;
  /** Undefined: the header is left out. */
  readonly signature: string | undefined;
  readonly accountSid: string;
  readonly callSid: string;
  readonly streamSid: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly faults: PhoneFaults;
}

/** What a stream shares with its call. */
export interface StreamContext {
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly log: EventLog;
  readonly caller: Caller;
  readonly recorder: Recorder;
  readonly trace: Trace | undefined;
  /** Called once, when `start` was sent. */
  started(): void;
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
  readonly #held: string[] = [];
  readonly #cancelLimit: Cancel;
  readonly #mediaText: typeof dialect.mediaMessage;
  #scratch = Buffer.alloc(1 << 12);
  #replay: WebSocket | undefined;
  #sequence = 0;
  #chunk = 0;
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
    this.#mediaText = setup.faults.numbersForStrings ? dialect.mediaMessageWithNumbers : dialect.mediaMessage;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#socket = this.#connect();
    this.#socket.on('open', () => this.#onOpen());
    this.#socket.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(data, isBinary));
    this.#socket.on('close', (code, reason) => this.#onClose(code, reason.toString('utf8')));
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('unexpected-response', (request, response) => {
      this.#fail('31920', `the upgrade was answered with ${response.statusCode} and not with 101`);
      request.destroy();
    });
    this.#cancelLimit = context.clock.after(UPGRADE_LIMIT_MS, () =>
      this.#fail('31901', `no answer to the upgrade within ${UPGRADE_LIMIT_MS} ms`),
    );
  }

  /** Bytes of agent audio that the caller has heard. */
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
    const { faults } = this.#setup;
    if (this.#started && !faults.omitStop) {
      this.#send(dialect.stopMessage(++this.#sequence, this.#setup, faults));
    }
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
    const { faults } = this.#setup;
    const { caller, recorder } = this.#context;
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
    if (faults.unknownEvents && this.#ticks % UNKNOWN_TICKS === 1) this.#sendUnknown();
    if (faults.loseSocketAtMs !== undefined && this.#ticks * TICK_MS >= faults.loseSocketAtMs) this.#lose();
  }

  #connect(): WebSocket {
    const headers: Record<string, string> = { host: this.#setup.host, 'user-agent': 'Twilio.TmeWs/1.0' };
    if (this.#setup.signature !== undefined) headers['x-twilio-signature'] = this.#setup.signature;
    // A variable, because the types do not know closeTimeout yet.
    const options = { headers, perMessageDeflate: false, closeTimeout: CLOSE_LIMIT_MS };
    return new WebSocket(this.#setup.socketUrl, options);
  }

  #onOpen(): void {
    this.#cancelLimit();
    if (this.#ended) {
      this.#socket.terminate();
      return;
    }
    const { faults } = this.#setup;
    this.#send(dialect.CONNECTED);
    if (faults.neverStart) return;
    for (let i = 0; faults.mediaBeforeStart && i < 3; i++) this.#sendFrame(false);
    this.#send(this.#startText());
    this.#context.log.add({ type: 'stream-started', streamSid: this.#setup.streamSid });
    this.#started = true;
    this.#context.ticker.add(this);
    this.#context.started();
    if (faults.replayUpgrade) this.#replayUpgrade();
  }

  #startText(): string {
    const { faults, callSid } = this.#setup;
    const named = faults.wrongCallSid ? `CA${'f'.repeat(32)}` : callSid;
    const facts = { ...this.#setup, callSid: named, sparse: faults.sparseStart };
    return dialect.startMessage(++this.#sequence, facts, faults);
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
      log.warn('31950', 'a binary frame on the media socket');
      return;
    }
    const text = data.toString('utf8');
    trace?.('from-bridge', text, log.now());
    const message = dialect.readBridgeMessage(text, this.#setup.streamSid);
    if (message.complaint !== undefined) log.warn('31951', message.complaint);
    this.#obey(message);
  }

  #obey(message: dialect.BridgeMessage): void {
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
      case 'invalid':
        break;
      default:
        assertNever(message);
    }
  }

  #onMedia(payload: string): void {
    const expected = dialect.base64Bytes(payload);
    if (expected > this.#scratch.length) this.#scratch = Buffer.alloc(expected * 2);
    const length = this.#scratch.write(payload, 0, 'base64');
    if (length !== expected) {
      this.#context.log.warn('31951', 'media.payload is not base64');
      return;
    }
    if (length > 4 && this.#scratch.readUInt32BE(0) === RIFF) {
      // It is played all the same, as a click: Twilio knows no files here.
      this.#context.log.warn('31951', 'media.payload begins with a WAV header');
    }
    this.#queue.append(this.#scratch, length);
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
    for (const name of marks) this.#echo(name, true);
  }

  #echo(name: string, flushed: boolean): void {
    const { marks } = this.#setup.faults;
    const { log, clock } = this.#context;
    log.add({ type: 'mark', name, flushed, echoed: marks !== 'never' });
    if (marks === 'never') return;
    if (marks > 0) this.#lateMarks.push({ name, dueMs: clock.now() + marks });
    else this.#sendMark(name);
  }

  #sendLateMarks(): void {
    const nowMs = this.#context.clock.now();
    for (let first = this.#lateMarks[0]; first !== undefined; first = this.#lateMarks[0]) {
      if (first.dueMs > nowMs) return;
      this.#lateMarks.shift();
      this.#sendMark(first.name);
    }
  }

  #sendMark(name: string): void {
    this.#send(dialect.markMessage(++this.#sequence, this.#setup.streamSid, name, this.#setup.faults));
  }

  #sendUnknown(): void {
    this.#send(dialect.unknownMessage(++this.#sequence, this.#setup.streamSid, this.#setup.faults));
  }

  #sendFrame(speaking: boolean): void {
    const { faults, streamSid } = this.#setup;
    const streamMs = this.#ticks * TICK_MS;
    const hole = faults.dropInbound;
    if (hole !== undefined && streamMs >= hole.fromMs && streamMs < hole.fromMs + hole.forMs) return;
    const payload = speaking ? this.#sentFrame.toString('base64') : SILENCE;
    const timestamp = streamMs + FIRST_TIMESTAMP_MS;
    const text = this.#mediaText(++this.#sequence, ++this.#chunk, timestamp, streamSid, payload);
    if (faults.burstMs === 0) {
      this.#send(text);
      return;
    }
    this.#held.push(text);
    if (streamMs % faults.burstMs < TICK_MS) for (const held of this.#held.splice(0)) this.#send(held);
  }

  #sendKeys(): void {
    const { faults, streamSid } = this.#setup;
    while (this.#keys.length > 0 && (faults.dtmfBurst || this.#ticks >= this.#nextKeyTick)) {
      const key = this.#keys.shift();
      if (key === undefined) return;
      this.#nextKeyTick = this.#ticks + KEY_TICKS;
      this.#send(dialect.dtmfMessage(++this.#sequence, streamSid, key.digit, faults));
      this.#context.log.add({ type: 'key', digit: key.digit });
      key.done(true);
    }
  }

  #send(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    this.#context.trace?.('to-bridge', text, this.#context.log.now());
  }

  #lose(): void {
    this.#fail('31903', 'the connection broke');
  }

  #onClose(code: number, reason: string): void {
    if (code === 1006) this.#fail('31903', 'the connection broke without a close frame');
    else this.#end({ how: 'bridge-closed', code, reason });
  }

  #onError(error: Error): void {
    const code = 'code' in error ? String(error.code) : '';
    if (code === 'ECONNREFUSED') this.#fail('31902', 'the connection was refused');
    else if (code.startsWith('WS_ERR')) this.#fail('31924', `a WebSocket rule was broken: ${error.message}`);
    else if (code.includes('CERT') || code.includes('SSL') || code === 'EPROTO') {
      this.#fail('31910', `TLS failed: ${error.message}`);
    } else this.#fail(this.#started ? '31903' : '31920', error.message);
  }

  #fail(errorCode: string, text: string): void {
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
