import { type AudioFormat, bytesPerMs } from '../../audio/format.ts';
import { type Cancel, type Clock, deadline } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type {
  ConnectRequest,
  HeardItem,
  ProviderEvent,
  ProviderSession,
  TextOptions,
  ToolResult,
} from '../../provider.ts';
import { Expiry } from '../common/expiry.ts';
import { errorOfBody, type Fields, settingsText, textOf } from '../common/fields.ts';
import { guardedSink } from '../common/guarded-sink.ts';
import { codeWord } from '../common/limits.ts';
import { abortError, networkError, type Scrub } from '../common/network.ts';
import { ProviderSocket, type SocketEnd } from '../common/socket.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { WholeSamples } from '../common/whole-samples.ts';
import { backendModel, buildSession, readExpiry, readFormat, type SessionChoice } from './config.ts';
import { Dialogue } from './dialogue.ts';
import { closeCode, connectCode, endOf, statusCode } from './errors.ts';
import { KeepAwake } from './keep-awake.ts';
import { StreamWatch } from './stream-watch.ts';
import { type ServerEvent, ServerEventReader, wireError } from './wire.ts';

/** Everything that a session needs to know beside the request. */
export interface SessionSetup extends SessionChoice {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly connectTimeoutMs: number;
  readonly highWaterMs: number;
  readonly backlogMs: number;
  readonly expiryMarginMs: number;
  readonly maxSessionMs: number;
  readonly quietMs: number;
  readonly silenceLevel: number;
  readonly keepAwakeMs: number;
  /** See `OpenAiLiveOptions`. */
  readonly stallMs: number;
  readonly scrub: Scrub;
  /** Of all sessions of the provider. */
  readonly decoder: SpeechDecoder;
}

/** `ending`: what is open is told to its end. */
type Stage = 'connecting' | 'open' | 'ending' | 'closing' | 'closed';

const APPEND = { head: '{"type":"session.input_audio.append","audio":"', tail: '"}' };
const DAY_MS = 86_400_000;
/** How long the provider may take to say goodbye; the figures of what it charges for come with it. */
const GOODBYE_MS = 1_000;

/** Life of one session: dial, start, run, end. What is said on it is the dialogue's. */
export class OpenAiLiveSession implements ProviderSession {
  readonly #setup: SessionSetup;
  readonly #request: ConnectRequest;
  readonly #clock: Clock;
  readonly #sink: (event: ProviderEvent) => void;
  readonly #socket: ProviderSocket;
  readonly #reader: ServerEventReader;
  readonly #samples = new WholeSamples();
  readonly #expiry: Expiry;
  readonly #ready: Promise<void>;
  #settle: { resolve: () => void; reject: (error: BridgeError) => void } | undefined;
  #stage: Stage = 'connecting';
  #format: AudioFormat;
  /** Of the model behind the voice. */
  readonly #askedModel: string;
  #dialogue: Dialogue | undefined;
  #awake: KeepAwake | undefined;
  readonly #stream: StreamWatch;
  #messages = 0;
  #seconds = 0;
  #goodbye: Cancel | undefined;
  #ending: Promise<void> | undefined;

  private constructor(setup: SessionSetup, request: ConnectRequest, sink: (event: ProviderEvent) => void) {
    const session = buildSession(request, setup);
    // Before anything is dialled, since settings may hold what cannot be written.
    const first = settingsText({ event_id: this.#nextId('start'), type: 'session.start', session });
    this.#setup = setup;
    this.#request = request;
    this.#clock = request.clock;
    this.#reader = new ServerEventReader(setup.decoder);
    this.#expiry = new Expiry(request.clock, setup.expiryMarginMs, (event) => this.#emit(event));
    this.#sink = guardedSink(sink, (error) => this.#fail(error));
    this.#format = readFormat(session);
    const { delegation } = setup;
    this.#askedModel =
      backendModel(session) ?? (delegation.type === 'responses' ? delegation.model : setup.model);
    this.#ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#stream = new StreamWatch(request.clock, setup.stallMs, (ms) => this.#onStopped(ms));
    this.#socket = new ProviderSocket(
      { ...setup, network: request.network, clock: request.clock, envelope: APPEND },
      {
        // The service says nothing before it is told what the session is to be.
        opened: () => this.#socket.send(first),
        text: (text) => this.#onText(text),
        audioDropped: (ms) => this.#warn('audio_dropped', `${ms} ms of the caller's audio were dropped`),
        ended: (end) => this.#onEnded(end),
      },
    );
  }

  /**
   * Dials and starts a session. Rejects with a BridgeError, and then leaves no socket and no timer behind and has told
   * `sink` of no `closed`.
   */
  static async connect(
    setup: SessionSetup,
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    if (signal.aborted) throw abortError(signal.reason);
    const session = new OpenAiLiveSession(setup, request, sink);
    using limit = deadline(request.clock, setup.connectTimeoutMs, `connecting to ${setup.url.host}`, signal);
    const onAbort = (): void => session.#fail(abortError(limit.signal.reason));
    limit.signal.addEventListener('abort', onAbort, { once: true });
    await session.#ready;
    return session;
  }

  get input(): AudioFormat {
    return this.#format;
  }

  get output(): AudioFormat {
    return this.#format;
  }

  sendAudio(bytes: Uint8Array): boolean {
    if (this.#stage !== 'open') return false;
    this.#awake?.heard();
    return this.#socket.sendAudio(this.#format.encoding === 'pcm16' ? this.#samples.join(bytes) : bytes);
  }

  sendText(text: string, options: TextOptions): void {
    if (this.#stage === 'open') this.#dialogue?.sendText(text, options);
  }

  /** `insist` changes nothing: what the model was given to say it cannot be told to forget. */
  say(text: string, _insist = false): void {
    if (this.#stage === 'open') this.#dialogue?.say(text);
  }

  sendToolResult(callId: string, result: ToolResult): void {
    if (this.#stage === 'open') this.#dialogue?.sendToolResult(callId, result);
  }

  /** Nothing is sent: the model hears the caller by itself, and nothing can call off what it says. */
  interrupt(heard: readonly HeardItem[]): void {
    if (this.#stage === 'open') this.#dialogue?.interrupt(heard);
  }

  close(_reason: string): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  #end(): Promise<void> {
    if (this.#stage === 'open') {
      this.#stop('closing');
      this.#send('close', { type: 'session.close' });
      this.#goodbye = this.#clock.after(GOODBYE_MS, () => this.#socket.close());
    }
    return this.#socket.finished;
  }

  #nextId(topic: string): string {
    this.#messages += 1;
    return `pc_${topic}_${this.#messages}`;
  }

  #send(topic: string, message: Fields): string {
    const eventId = this.#nextId(topic);
    this.#socket.send(JSON.stringify({ event_id: eventId, ...message }));
    return eventId;
  }

  #emit(event: ProviderEvent): void {
    if (this.#stage !== 'closing' && this.#stage !== 'closed') this.#sink(event);
  }

  #warn(code: string, message: string): void {
    this.#emit({ type: 'warning', code, message: this.#setup.scrub(message) });
  }

  // A mistake of ours in one session must not take the process and all other calls with it.
  #onText(text: string): void {
    if (this.#stage === 'closed') return;
    try {
      const event = this.#parse(text);
      if (event === undefined) return;
      if (this.#stage === 'connecting') this.#onFirst(event);
      else if (this.#stage === 'closing') this.#onLast(event);
      else this.#onEvent(event);
    } catch (thrown) {
      this.#fail(BridgeError.from(thrown));
    }
  }

  #parse(text: string): ServerEvent | undefined {
    try {
      return this.#reader.read(text);
    } catch (thrown) {
      this.#warn('bad_frame', BridgeError.from(thrown, 'BAD_FRAME').message);
      return undefined;
    }
  }

  #onFirst(event: ServerEvent): void {
    if (event.type === 'started') {
      this.#open(event.session);
    } else if (event.type === 'error') {
      // Only the start was sent so far, so an error is about it even if it does not say so.
      const { code, kind, message } = event.error;
      this.#fail(
        new BridgeError(connectCode(code, kind), `the session was refused: ${this.#setup.scrub(message)}`),
      );
    } else if (event.type === 'ended') {
      this.#fail(this.#endedBy(event.reason));
    }
  }

  #onEvent(event: ServerEvent): void {
    if (event.type === 'usage') this.#charge(event.seconds);
    else if (event.type === 'ended') {
      this.#charge(event.seconds ?? 0);
      this.#fail(this.#endedBy(event.reason));
    } else {
      if (event.type === 'audio') {
        this.#stream.came(event.bytes.length / bytesPerMs(this.#format), this.#dialogue?.speaking ?? false);
      }
      this.#dialogue?.handle(event);
    }
  }

  #onStopped(ms: number): void {
    const { host } = this.#setup.url;
    this.#fail(
      new BridgeError('PROVIDER_UNAVAILABLE', `${host} has sent nothing of its stream for ${ms} ms`),
    );
  }

  /** What still comes after the goodbye. */
  #onLast(event: ServerEvent): void {
    if (event.type === 'usage') this.#charge(event.seconds);
    if (event.type !== 'ended') return;
    this.#charge(event.seconds ?? 0);
    this.#goodbye?.();
    this.#socket.close();
  }

  /** The seconds so far; what is new of them is told. */
  #charge(seconds: number): void {
    const more = seconds - this.#seconds;
    if (more <= 0) return;
    this.#seconds = seconds;
    this.#sink({ type: 'usage', usage: NO_TOKENS, seconds: more });
  }

  #open(session: Fields): void {
    this.#format = readFormat(session);
    const id = codeWord(textOf(session['id']), `live_${Math.round(this.#clock.epoch())}`);
    const { delegation, scrub, quietMs, silenceLevel, keepAwakeMs } = this.#setup;
    this.#dialogue = new Dialogue({
      clock: this.#clock,
      format: this.#format,
      sessionId: id,
      quietMs,
      silenceLevel,
      request: this.#request,
      backendModel: backendModel(session),
      askedModel: this.#askedModel,
      clientFunction: delegation.type === 'client' ? delegation.function : undefined,
      scrub,
      send: (topic, message) => this.#send(topic, message),
      emit: (event) => this.#emit(event),
      fail: (error) => this.#fail(error),
    });
    this.#socket.useAudio(this.#format);
    this.#stage = 'open';
    this.#watchExpiry(readExpiry(session));
    this.#awake = new KeepAwake(this.#clock, this.#format, keepAwakeMs, (bytes) =>
      this.#socket.sendAudio(bytes),
    );
    this.#settle?.resolve();
    this.#dialogue.begin();
  }

  // No event announces the end of a session; a clock that is wrong must not make one end at its start.
  #watchExpiry(expiresAt: number | undefined): void {
    const said = expiresAt === undefined ? 0 : expiresAt * 1000 - this.#clock.epoch();
    this.#expiry.expect(said > 0 && said < DAY_MS ? said : this.#setup.maxSessionMs);
  }

  /** Leaves `connecting` or `open`; no timer of the session runs afterwards. */
  #stop(stage: 'closing' | 'closed'): void {
    // What is open is told to its end while somebody listens; whatever they do, the session is at its end.
    this.#stage = 'ending';
    this.#dialogue?.close();
    this.#stage = stage;
    this.#expiry.cancel();
    this.#awake?.close();
    this.#stream.close();
  }

  #fail(error: BridgeError): void {
    switch (this.#stage) {
      case 'connecting':
        this.#stop('closed');
        this.#socket.terminate();
        this.#settle?.reject(error);
        return;
      case 'open':
        this.#emit({ type: 'error', error, fatal: true });
        this.#finish(error);
        return;
      case 'ending':
      case 'closing':
      case 'closed':
        return;
      default:
        assertNever(this.#stage);
    }
  }

  #finish(error: BridgeError): void {
    // The listener of the error may have closed the session by itself, perhaps over a socket that was gone already.
    if (this.#stage === 'closing' && this.#socket.hasEnded) this.#closed();
    if (this.#stage !== 'open') return;
    this.#stop('closed');
    // A session that is not ended is charged for until somebody notices.
    this.#send('close', { type: 'session.close' });
    this.#socket.close();
    this.#sink({ type: 'closed', expected: false, error });
  }

  #onEnded(end: SocketEnd): void {
    if (this.#stage === 'closing') this.#closed();
    else this.#fail(this.#endError(end));
  }

  #closed(): void {
    this.#stage = 'closed';
    this.#goodbye?.();
    this.#sink({ type: 'closed', expected: true, error: undefined });
  }

  #endedBy(reason: string): BridgeError {
    const { code, words } = endOf(reason);
    return new BridgeError(code, `${this.#setup.url.host} ended the session: ${this.#setup.scrub(words)}`);
  }

  #endError(end: SocketEnd): BridgeError {
    const { scrub, url } = this.#setup;
    switch (end.type) {
      case 'closed': {
        const code = closeCode(end.code, end.reason, this.#stage === 'connecting');
        const reason = end.reason === '' ? '' : `: ${scrub(end.reason)}`;
        return new BridgeError(code, `${url.host} closed the session with code ${end.code}${reason}`);
      }
      case 'refused': {
        const found = wireError(errorOfBody(end.body));
        const code = statusCode(end.status, found.code, found.kind);
        return new BridgeError(code, `${url.host} answered HTTP ${end.status}: ${scrub(found.message)}`);
      }
      case 'failed':
        return networkError(end.error, url.host, this.#stage === 'connecting', scrub);
      case 'silent':
        return new BridgeError('PROVIDER_UNAVAILABLE', `${url.host} has been silent for ${end.forMs} ms`);
      default:
        return assertNever(end);
    }
  }
}

const NO_TOKENS = Object.freeze({
  inputTextTokens: 0,
  inputAudioTokens: 0,
  cachedTextTokens: 0,
  cachedAudioTokens: 0,
  outputTextTokens: 0,
  outputAudioTokens: 0,
});
