import type { AudioFormat } from '../../audio/format.ts';
import { type Clock, deadline } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type {
  ConnectRequest,
  HeardItem,
  ProviderEvent,
  ProviderSession,
  TextOptions,
  ToolResult,
} from '../../provider.ts';
import { discreet } from '../common/discreet.ts';
import { Expiry } from '../common/expiry.ts';
import { type Fields, settingsText } from '../common/fields.ts';
import { guardedSink } from '../common/guarded-sink.ts';
import { withoutHandles } from '../common/handles.ts';
import { abortError, connectError, networkError, type Scrub } from '../common/network.ts';
import { type AudioEnvelope, ProviderSocket, type SocketEnd } from '../common/socket.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { openingMove } from '../common/told.ts';
import { type Address, type Dial, dialWithin } from './address.ts';
import { Conversation } from './conversation.ts';
import { type Circumstances, closeCode, mayBeHandle, statusCode, wordsOfBody } from './errors.ts';
import { MAX_CONNECTION_MS, OUTPUT } from './facts.ts';
import { buildSetup, readSetup, type SetupChoice, type SetupShape } from './setup.ts';
import { historyTurns } from './texts.ts';
import { Uplink } from './uplink.ts';
import { MessageReader, type ServerEvent } from './wire.ts';

/** Everything that a session needs to know beside the request. Times are in ms. */
export interface SessionSettings extends SetupChoice {
  readonly address: Address;
  /** What the service is sent. */
  readonly input: AudioFormat;
  readonly connectTimeoutMs: number;
  readonly highWaterMs: number;
  readonly backlogMs: number;
  readonly expiryMarginMs: number;
  readonly holdAudioMs: number;
  readonly streamEndMs: number;
  readonly correctHeard: boolean;
  readonly quietResults: boolean;
  /** Of all sessions of the provider. */
  readonly decoder: SpeechDecoder;
}

/** What a session begins with. */
interface Opening {
  /** The setup message. */
  readonly first: string;
  readonly shape: SetupShape;
}

type Stage = 'connecting' | 'open' | 'closing' | 'closed';

function envelopeOf({ rate }: AudioFormat): AudioEnvelope {
  return { head: `{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=${rate}","data":"`, tail: '"}}}' };
}

/** A close that comes so soon after the result of a function is one of those that come at random. */
const AFTER_RESULT_MS = 15_000;

/** Life of one session: dial, set up, run, end. What is said on it is the conversation's. */
export class GeminiSession implements ProviderSession {
  readonly input: AudioFormat;
  readonly output: AudioFormat = OUTPUT;
  readonly #settings: SessionSettings;
  readonly #request: ConnectRequest;
  readonly #clock: Clock;
  readonly #sink: (event: ProviderEvent) => void;
  readonly #socket: ProviderSocket;
  readonly #uplink: Uplink;
  readonly #reader: MessageReader;
  readonly #conversation: Conversation;
  readonly #expiry: Expiry;
  readonly #scrub: Scrub;
  readonly #host: string;
  readonly #ready: Promise<void>;
  #settle: { resolve: () => void; reject: (error: BridgeError) => void } | undefined;
  #stage: Stage = 'connecting';
  #announced = false;
  /** The newest handle that was told. */
  #resumeHandle: string | undefined;
  #toldUnknown = false;
  #ending: Promise<void> | undefined;

  private constructor(
    settings: SessionSettings,
    request: ConnectRequest,
    dial: Dial,
    { first, shape }: Opening,
    sink: (event: ProviderEvent) => void,
  ) {
    const { clock, network } = request;
    this.input = settings.input;
    this.#settings = settings;
    this.#reader = new MessageReader(settings.decoder);
    this.#request = request;
    this.#clock = clock;
    this.#sink = guardedSink(sink, (error) => this.#fail(error));
    this.#host = dial.url.host;
    this.#expiry = new Expiry(clock, settings.expiryMarginMs, (event) => this.#emit(event));
    this.#scrub = (text) => discreet(dial.scrub(withoutHandles(text, [request.resume, this.#resumeHandle])));
    this.#ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#socket = new ProviderSocket(
      { ...settings, ...dial, network, clock, envelope: envelopeOf(settings.input) },
      {
        opened: () => this.#socket.send(first),
        text: (text) => this.#onText(text),
        audioDropped: (ms) => this.#warn('audio_dropped', `${ms} ms of the caller's audio were dropped`),
        ended: (end) => this.#onEnded(end),
      },
    );
    this.#uplink = new Uplink({
      clock,
      socket: this.#socket,
      format: this.input,
      holdMs: settings.holdAudioMs,
      streamEndMs: settings.streamEndMs,
      streamEnd: () => this.#send({ realtimeInput: { audioStreamEnd: true } }),
      dropped: (ms) =>
        this.#warn('audio_dropped', `${ms} ms of the caller's audio were dropped while a function ran`),
    });
    const { generation, address } = settings;
    const isVertex = address.platform === 'vertex';
    this.#conversation = new Conversation({
      clock,
      generation,
      shape,
      language: request.language,
      tellsIds: !isVertex,
      // Refused by Vertex AI once (livekit/agents#6600), documented there for the newest models.
      tellsScheduling: !isVertex || generation.name === '3.8',
      correctHeard: settings.correctHeard,
      quietResults: settings.quietResults,
      idPrefix: Math.floor(clock.epoch()).toString(36),
      send: (message) => this.#send(message),
      holdAudio: (on) => this.#uplink.hold(on),
      emit: (event) => this.#emit(event),
      fail: (error) => this.#fail(error),
    });
  }

  /**
   * Dials and sets up a session. Rejects with a BridgeError, and then leaves no socket and no timer behind and has told
   * `sink` of no `closed`.
   */
  static async connect(
    settings: SessionSettings,
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    if (signal.aborted) throw abortError(signal.reason);
    const opening = openingOf(request, settings);
    const { address, connectTimeoutMs } = settings;
    using limit = deadline(request.clock, connectTimeoutMs, `connecting to ${address.host}`, signal);
    const dial = await dialWithin(address, limit.signal);
    const session = new GeminiSession(settings, request, dial, opening, sink);
    const onAbort = (): void => session.#fail(abortError(limit.signal.reason));
    limit.signal.addEventListener('abort', onAbort, { once: true });
    if (limit.signal.aborted) onAbort();
    await session.#ready;
    return session;
  }

  sendAudio(bytes: Uint8Array): boolean {
    return this.#stage === 'open' && this.#uplink.send(bytes);
  }

  sendText(text: string, options: TextOptions): void {
    if (this.#stage === 'open') this.#conversation.sendText(text, options);
  }

  say(text: string, insist = false): void {
    if (this.#stage === 'open') this.#conversation.say(text, insist);
  }

  sendToolResult(callId: string, result: ToolResult): void {
    if (this.#stage === 'open') this.#conversation.sendToolResult(callId, result);
  }

  interrupt(heard: readonly HeardItem[]): void {
    if (this.#stage === 'open') this.#conversation.interrupt(heard);
  }

  close(_reason: string): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  #end(): Promise<void> {
    if (this.#stage === 'open' && this.#stop('closing')) {
      // The listener of a fatal error may be the one who closes, and then nobody tells of the end any more.
      if (this.#socket.hasEnded) this.#closed();
      else this.#socket.close();
    }
    return this.#socket.finished;
  }

  #send(message: Fields): void {
    this.#socket.send(JSON.stringify(message));
  }

  #emit(event: ProviderEvent): void {
    if (this.#stage === 'connecting' || this.#stage === 'open') this.#sink(event);
  }

  #warn(code: string, message: string): void {
    this.#emit({ type: 'warning', code, message });
  }

  // A mistake of ours in one session must not take the process and all other calls with it.
  #onText(text: string): void {
    if (this.#stage !== 'connecting' && this.#stage !== 'open') return;
    try {
      for (const event of this.#parse(text)) this.#handle(event);
    } catch (thrown) {
      this.#fail(BridgeError.from(thrown));
    }
  }

  #parse(text: string): readonly ServerEvent[] {
    try {
      return this.#reader.read(text);
    } catch (thrown) {
      this.#warn('bad_frame', BridgeError.from(thrown, 'BAD_FRAME').message);
      return [];
    }
  }

  #handle(event: ServerEvent): void {
    switch (event.type) {
      case 'ready':
        if (this.#stage === 'connecting') this.#open();
        return;
      case 'error':
        this.#onError(event.words);
        return;
      case 'goAway':
        this.#announced = true;
        this.#expiry.cancel();
        this.#emit({ type: 'expiring', inMs: event.leftMs });
        return;
      case 'resumption':
        if (event.handle === this.#resumeHandle) return;
        this.#resumeHandle = event.handle;
        this.#emit({ type: 'resumable', handle: event.handle });
        return;
      case 'unknown':
        if (!this.#toldUnknown) this.#warn('unknown_message', `the service sent ${event.names}`);
        this.#toldUnknown = true;
        return;
      default:
        if (this.#stage === 'open') this.#conversation.handle(event);
    }
  }

  #onError(words: string): void {
    const said = this.#scrub(words);
    if (this.#stage === 'connecting') {
      this.#fail(
        new BridgeError(closeCode(1007, words, this.#circumstances()), `the session was refused: ${said}`),
      );
    } else {
      const error = new BridgeError('PROVIDER_REJECTED', said);
      this.#emit({ type: 'error', error, fatal: false });
    }
  }

  #open(): void {
    this.#socket.useAudio(this.input);
    this.#stage = 'open';
    this.#watchExpiry();
    const move = this.#openingMove();
    const isAsked = this.#tellHistory(move !== undefined);
    this.#settle?.resolve();
    if (move !== undefined) this.#conversation.respond(move, isAsked);
  }

  /** A session that goes on by its handle goes on with what it was about to say, unless it is asked. */
  #openingMove(): ReturnType<typeof openingMove> {
    const { resume, respond } = this.#request;
    return resume !== undefined && respond !== true ? undefined : openingMove(this.#request);
  }

  /**
   * With a handle nothing is told again: the model would say it once more (sonichi/sutando#105). True: the model has been
   * asked to answer by it.
   */
  #tellHistory(asks: boolean): boolean {
    if (!seedsHistory(this.#request)) return false;
    const turns = historyTurns(this.#request.history);
    const { announcesHistory } = this.#settings.generation;
    // A turn of the model's own at the end is nothing that it could answer.
    const isQuestion = asks && turns.at(-1)?.['role'] === 'user';
    // On 3.1 it ends the history, and is no question.
    this.#send({ clientContent: { turns, turnComplete: announcesHistory || isQuestion } });
    return isQuestion && !announcesHistory;
  }

  /** In case the service says nothing: it drops connections after about 10 minutes. */
  #watchExpiry(): void {
    this.#expiry.expect(MAX_CONNECTION_MS);
  }

  /**
   * Leaves `connecting` or `open`; no timer of the session runs afterwards. False: that was done from within, for the
   * conversation may have a last word, and whoever hears it may end the session.
   */
  #stop(stage: 'closing' | 'closed'): boolean {
    this.#conversation.close();
    if (this.#stage !== 'connecting' && this.#stage !== 'open') return false;
    this.#stage = stage;
    this.#expiry.cancel();
    this.#uplink.close();
    return true;
  }

  #fail(error: BridgeError): void {
    switch (this.#stage) {
      case 'connecting':
        this.#stop('closed');
        this.#socket.terminate();
        this.#settle?.reject(connectError(error));
        return;
      case 'open':
        // Its last word comes before the error.
        this.#conversation.close();
        this.#emit({ type: 'error', error, fatal: true });
        this.#finish(error);
        return;
      case 'closing':
      case 'closed':
        return;
      default:
        assertNever(this.#stage);
    }
  }

  #finish(error: BridgeError): void {
    // The listener of the error may have closed the session by itself.
    if (this.#stage !== 'open' || !this.#stop('closed')) return;
    this.#socket.close();
    this.#sink({ type: 'closed', expected: false, error });
  }

  #onEnded(end: SocketEnd): void {
    if (this.#stage === 'closing') this.#closed();
    else this.#fail(this.#endError(end));
  }

  #closed(): void {
    this.#stage = 'closed';
    this.#sink({ type: 'closed', expected: true, error: undefined });
  }

  #circumstances(): Circumstances {
    const sinceResult = this.#clock.now() - this.#conversation.toolResultAt;
    return {
      whileConnecting: this.#stage === 'connecting',
      resuming: this.#request.resume !== undefined,
      afterToolResult: sinceResult < AFTER_RESULT_MS,
      announced: this.#announced,
    };
  }

  #endError(end: SocketEnd): BridgeError {
    const host = this.#host;
    switch (end.type) {
      case 'closed': {
        const when = this.#circumstances();
        const code = closeCode(end.code, end.reason, when);
        const reason = end.reason === '' ? '' : `: ${this.#scrub(end.reason)}`;
        const what = mayBeHandle(code, when)
          ? 'did not take the session up again, and closed it'
          : 'closed the session';
        return new BridgeError(code, `${host} ${what} with code ${end.code}${reason}`);
      }
      case 'refused': {
        const words = wordsOfBody(end.body);
        const code = statusCode(end.status, words);
        return new BridgeError(code, `${host} answered HTTP ${end.status}: ${this.#scrub(words)}`);
      }
      case 'failed':
        return networkError(end.error, host, this.#stage === 'connecting', this.#scrub);
      case 'silent':
        return new BridgeError('PROVIDER_UNAVAILABLE', `${host} has been silent for ${end.forMs} ms`);
      default:
        return assertNever(end);
    }
  }
}

/** Throws PROVIDER_CONFIG for settings that cannot be sent: before anybody is called. */
function openingOf(request: ConnectRequest, settings: SessionSettings): Opening {
  try {
    const setup = buildSetup(request, settings, seedsHistory(request));
    return { first: settingsText({ setup }), shape: readSetup(setup, settings.generation) };
  } catch (thrown) {
    throw BridgeError.from(thrown, 'PROVIDER_CONFIG');
  }
}

function seedsHistory({ resume, history }: ConnectRequest): boolean {
  return resume === undefined && historyTurns(history).length > 0;
}
