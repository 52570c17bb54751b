import { type AudioFormat, sameFormat } from '../../audio/format.ts';
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
import { Expiry } from '../common/expiry.ts';
import { errorOfBody, type Fields, isFields, settingsText } from '../common/fields.ts';
import { guardedSink } from '../common/guarded-sink.ts';
import { abortError, networkError, type Scrub } from '../common/network.ts';
import { ProviderSocket, type SocketEnd } from '../common/socket.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { openingMove } from '../common/told.ts';
import { WholeSamples } from '../common/whole-samples.ts';
import { buildSession, readExpiry, readSession, type SessionShape } from './config.ts';
import { Conversation } from './conversation.ts';
import type { SessionChoice } from './dialect.ts';
import { closeCode, connectCode, statusCode } from './errors.ts';
import { historyItems, type Topic } from './messages.ts';
import { ServerEventReader } from './reader.ts';
import { type ServerEvent, TOKEN_KEY, wireError } from './wire.ts';

/** Everything that a session needs to know beside the request. */
export interface SessionSetup extends SessionChoice {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly connectTimeoutMs: number;
  readonly highWaterMs: number;
  readonly backlogMs: number;
  readonly expiryMarginMs: number;
  /** Counted where the server names an end that cannot be. */
  readonly maxSessionMs: number | undefined;
  /** Counted from the beginning where the server names no end; undefined: then there is none to announce. */
  readonly unsaidSessionMs: number | undefined;
  readonly scrub: Scrub;
  /** Of all sessions of the provider. */
  readonly decoder: SpeechDecoder;
}

/** `ending`: what is open is told to its end. */
type Stage = 'connecting' | 'open' | 'ending' | 'closing' | 'closed';

const APPEND = { head: '{"type":"input_audio_buffer.append","audio":"', tail: '"}' };
const DAY_MS = 86_400_000;

/** Life of one session: dial, configure, run, end. What is said on it is the conversation's. */
export class OpenAiSession implements ProviderSession {
  readonly #setup: SessionSetup;
  readonly #request: ConnectRequest;
  readonly #clock: Clock;
  readonly #sink: (event: ProviderEvent) => void;
  readonly #socket: ProviderSocket;
  readonly #conversation: Conversation;
  readonly #reader: ServerEventReader;
  readonly #ready: Promise<void>;
  #settle: { resolve: () => void; reject: (error: BridgeError) => void } | undefined;
  #stage: Stage = 'connecting';
  #shape: SessionShape;
  #messages = 0;
  /** Requests carry their id as metadata, which the server gives back with the response. */
  #tagging = true;
  #expiresAt: number | undefined;
  #conversationId: string | undefined;
  #ending: Promise<void> | undefined;
  readonly #samples = new WholeSamples();
  readonly #expiry: Expiry;

  private constructor(setup: SessionSetup, request: ConnectRequest, sink: (event: ProviderEvent) => void) {
    const session = buildSession(request, setup);
    // Before anything is dialled, since settings may hold what cannot be written.
    const first = settingsText({ event_id: this.#nextId('session'), type: 'session.update', session });
    this.#setup = setup;
    this.#request = request;
    this.#clock = request.clock;
    this.#reader = new ServerEventReader(setup.decoder);
    this.#expiry = new Expiry(request.clock, setup.expiryMarginMs, (event) => this.#emit(event));
    this.#sink = guardedSink(sink, (error) => this.#fail(error));
    this.#shape = readSession(session, setup.dialect);
    this.#ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#conversation = new Conversation({
      clock: request.clock,
      dialect: setup.dialect,
      language: request.language,
      scrub: setup.scrub,
      shape: () => this.#shape,
      untag: () => this.#untag(),
      send: (topic, message) => this.#send(topic, message),
      emit: (event) => this.#emit(event),
      fail: (error) => this.#fail(error),
    });
    this.#socket = new ProviderSocket(
      { ...setup, network: request.network, clock: request.clock, envelope: APPEND },
      {
        // Not waiting for session.created spares a round trip, and some servers never send it.
        opened: () => this.#socket.send(first),
        text: (text) => this.#onText(text),
        audioDropped: (ms) => this.#warn('audio_dropped', `${ms} ms of the caller's audio were dropped`),
        ended: (end) => this.#onEnded(end),
      },
    );
  }

  /**
   * Dials and configures a session. Rejects with a BridgeError, and then leaves no socket and no timer behind and
   * has told `sink` of no `closed`.
   */
  static async connect(
    setup: SessionSetup,
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    if (signal.aborted) throw abortError(signal.reason);
    const session = new OpenAiSession(setup, request, sink);
    using limit = deadline(request.clock, setup.connectTimeoutMs, `connecting to ${setup.url.host}`, signal);
    const onAbort = (): void => session.#fail(abortError(limit.signal.reason));
    limit.signal.addEventListener('abort', onAbort, { once: true });
    await session.#ready;
    return session;
  }

  get input(): AudioFormat {
    return this.#shape.input;
  }

  get output(): AudioFormat {
    return this.#shape.output;
  }

  sendAudio(bytes: Uint8Array): boolean {
    if (this.#stage !== 'open') return false;
    const { encoding } = this.#shape.input;
    return this.#socket.sendAudio(encoding === 'pcm16' ? this.#samples.join(bytes) : bytes);
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
    if (this.#stage === 'open') {
      this.#stop('closing');
      this.#socket.close();
    }
    return this.#socket.finished;
  }

  #nextId(topic: Topic): string {
    this.#messages += 1;
    return `pc_${topic}_${this.#messages}`;
  }

  #send(topic: Topic, message: Fields): string {
    const eventId = this.#nextId(topic);
    const full = { event_id: eventId, ...message };
    this.#socket.send(
      JSON.stringify(
        this.#tagging && message['type'] === 'response.create' ? withToken(full, eventId) : full,
      ),
    );
    return eventId;
  }

  #untag(): boolean {
    const before = this.#tagging;
    this.#tagging = false;
    return before;
  }

  #emit(event: ProviderEvent): void {
    if (this.#stage !== 'closing' && this.#stage !== 'closed') this.#sink(event);
  }

  #warn(code: string, message: string): void {
    this.#emit({ type: 'warning', code, message: this.#setup.scrub(message) });
  }

  // A mistake of ours in one session must not take the process and all other calls with it.
  #onText(text: string): void {
    if (this.#stage !== 'connecting' && this.#stage !== 'open') return;
    try {
      const event = this.#parse(text);
      if (event) this.#handle(event);
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

  #handle(event: ServerEvent): void {
    if (event.type === 'session') {
      this.#onSession(event.session, event.updated);
    } else if (event.type === 'conversation') {
      this.#onConversation(event.id);
    } else if (this.#stage === 'open') {
      this.#conversation.handle(event);
    } else if (event.type === 'error') {
      // Only the settings were sent so far, so an error is about them even if it does not say so.
      const { code, kind, message } = event.error;
      this.#fail(
        new BridgeError(connectCode(code, kind), `the session was refused: ${this.#setup.scrub(message)}`),
      );
    }
  }

  #onSession(session: Fields, updated: boolean): void {
    // What a server starts from does not matter, whatever it is: the settings are on their way.
    if (!updated) {
      this.#watchExpiry(readExpiry(session));
      return;
    }
    const shape = readSession(session, this.#setup.dialect, this.#shape);
    this.#watchExpiry(shape.expiresAt);
    if (this.#stage === 'connecting') {
      this.#shape = shape;
      this.#open();
    } else if (sameFormat(shape.input, this.#shape.input) && sameFormat(shape.output, this.#shape.output)) {
      this.#shape = shape;
    } else {
      throw new BridgeError(
        'PROVIDER_CONFIG',
        'the provider changed the audio format of a session that runs',
      );
    }
  }

  #open(): void {
    this.#socket.useAudio(this.#shape.input);
    this.#stage = 'open';
    if (!this.#isResumed()) {
      for (const item of historyItems(this.#request.history, this.#setup.dialect)) {
        this.#send('history', { type: 'conversation.item.create', item });
      }
    }
    if (this.#conversationId !== undefined) this.#tellResumable(this.#conversationId);
    if (this.#expiresAt === undefined && this.#setup.unsaidSessionMs !== undefined) {
      this.#expiry.expect(this.#setup.unsaidSessionMs);
    }
    this.#settle?.resolve();
    if (openingMove(this.#request) !== undefined) this.#conversation.respond();
  }

  #onConversation(id: string): void {
    this.#conversationId = id;
    if (this.#stage === 'open') this.#tellResumable(id);
  }

  #tellResumable(handle: string): void {
    if (this.#setup.dialect.resumes) this.#emit({ type: 'resumable', handle });
  }

  /** The server knows the conversation so far. It does not say so if it does not, but begins one under another id. */
  #isResumed(): boolean {
    const { resume } = this.#request;
    if (resume === undefined || !this.#setup.dialect.resumes) return false;
    this.#conversationId ??= resume;
    if (this.#conversationId === resume) return true;
    this.#warn('resume_failed', 'the provider began a new conversation; it is told of the one so far');
    return false;
  }

  // No event announces the end of a session; a clock that is wrong must not make one end at its start.
  #watchExpiry(expiresAt: number | undefined): void {
    if (expiresAt === undefined || expiresAt === this.#expiresAt) return;
    this.#expiresAt = expiresAt;
    const said = expiresAt * 1000 - this.#clock.epoch();
    const leftMs = said > 0 && said < DAY_MS ? said : this.#setup.maxSessionMs;
    if (leftMs !== undefined) this.#expiry.expect(leftMs);
  }

  /** Leaves `connecting` or `open`; no timer of the session runs afterwards. */
  #stop(stage: 'closing' | 'closed'): void {
    // It may have a last word; whatever its listener does, the session is at its end.
    this.#stage = 'ending';
    this.#conversation.close();
    this.#stage = stage;
    this.#expiry.cancel();
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

function withToken(message: Fields, token: string): Fields {
  const response = isFields(message['response']) ? message['response'] : {};
  return { ...message, response: { ...response, metadata: { [TOKEN_KEY]: token } } };
}
