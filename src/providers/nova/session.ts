import type { AudioFormat } from '../../audio/format.ts';
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
import { systemRandom } from '../../random.ts';
import type { EventStream, Network, OpenStream, StreamListener } from '../../wire.ts';
import { Expiry } from '../common/expiry.ts';
import { settingsText } from '../common/fields.ts';
import { guardedSink } from '../common/guarded-sink.ts';
import { abortError, connectError, type Scrub } from '../common/network.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { OPENING_WORDS, openingMove } from '../common/told.ts';
import { WholeSamples } from '../common/whole-samples.ts';
import type { AwsLink } from './aws.ts';
import { buildSession, type SessionChoice, type SessionShape, systemText } from './config.ts';
import { Conversation } from './conversation.ts';
import { failure } from './errors.ts';
import { type HistoryLimits, note, type PastConversation, pastConversation } from './history.ts';
import { PromptWriter } from './input.ts';
import { Uplink } from './uplink.ts';
import { type ServerEvent, ServerEventReader } from './wire.ts';

/** Everything that a session needs to know beside the request. Times are in ms. */
export interface SessionSetup extends SessionChoice {
  readonly link: AwsLink;
  readonly model: string;
  readonly connectTimeoutMs: number;
  /** See `NovaOptions.ready`. */
  readonly ready: 'accepted' | 'sent';
  readonly sentMs: number;
  readonly backlogMs: number;
  readonly stallMs: number;
  readonly maxSessionMs: number;
  readonly expiryMarginMs: number;
  readonly historyLimits: HistoryLimits;
  readonly scrub: Scrub;
  /** Of the provider, which ends what is still open. */
  readonly sessions: Set<NovaSession>;
  /** Of all sessions of the provider. */
  readonly decoder: SpeechDecoder;
}

type Stage = 'connecting' | 'open' | 'closing' | 'closed';

/** For the service to say goodbye. */
const CLOSE_WITHIN_MS = 2_000;
/** The service and we do not begin to count at the same moment. */
const NEAR_THE_END = 0.95;

/** Life of one session: open the stream, tell the past, run, end. What is said on it is the conversation's. */
export class NovaSession implements ProviderSession {
  readonly #setup: SessionSetup;
  readonly #clock: Clock;
  /** Undefined: that of this machine. */
  readonly #network: Network | undefined;
  readonly #sink: (event: ProviderEvent) => void;
  readonly #shape: SessionShape;
  readonly #past: PastConversation;
  readonly #move: ReturnType<typeof openingMove>;
  readonly #writer: PromptWriter;
  readonly #uplink: Uplink;
  readonly #conversation: Conversation;
  readonly #reader: ServerEventReader;
  readonly #samples = new WholeSamples();
  readonly #expiry: Expiry;
  readonly #startedAt: number;
  readonly #ready: Promise<void>;
  #settle: { resolve: () => void; reject: (error: BridgeError) => void } | undefined;
  #stream: EventStream | undefined;
  #stage: Stage = 'connecting';
  #sentTimer: Cancel | undefined;
  #closeTimer: Cancel | undefined;
  /** The stream is gone, and tells nothing any more. */
  #hasEnded = false;
  /** Resolves when the session is over. */
  readonly #over: Promise<void>;
  #finish: () => void = () => undefined;

  private constructor(setup: SessionSetup, request: ConnectRequest, sink: (event: ProviderEvent) => void) {
    const { clock, network, random = systemRandom } = request;
    this.#setup = setup;
    this.#reader = new ServerEventReader(setup.decoder);
    this.#clock = clock;
    this.#network = network;
    this.#sink = guardedSink(sink, (error) => this.#fail(error));
    this.#startedAt = clock.now();
    this.#expiry = new Expiry(clock, setup.expiryMarginMs, (event) => this.#emit(event));
    this.#shape = buildSession(request, setup);
    // What cannot be written is found out here, and not when it is sent.
    settingsText({ ...this.#shape.sessionStart, ...this.#shape.promptStart });
    this.#move = openingMove(request);
    this.#past = pastConversation(request.history, setup.historyLimits, this.#move === 'answer');
    this.#writer = new PromptWriter(setup.historyLimits.bytesPerInput, () => random.uuid());
    this.#ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#over = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#uplink = new Uplink({
      clock,
      format: this.#shape.input,
      backlogMs: setup.backlogMs,
      stallMs: setup.stallMs,
      audioDropped: (ms) => this.#warn('audio_dropped', `${ms} ms of the caller's audio were dropped`),
      stalled: (ms) => this.#onStalled(ms),
    });
    this.#conversation = new Conversation({
      clock,
      language: request.language,
      transcribeCaller: request.transcribeCaller,
      sendText: (text) => this.#uplink.put(this.#writer.text('USER', text, true)),
      sendResult: (id, content) => this.#uplink.put(this.#writer.toolResult(id, content)),
      emit: (event) => this.#emit(event),
      fail: (error) => this.#fail(error),
    });
    this.#uplink.put([
      ...this.#writer.start(this.#shape.sessionStart, this.#shape.promptStart),
      ...this.#writer.text('SYSTEM', systemText(request, this.#past.notes), false),
      ...this.#past.blocks.flatMap(({ role, text }) => this.#writer.text(role, text, false)),
    ]);
  }

  /**
   * Opens a stream and tells the past. Rejects with a BridgeError, and then leaves no socket and no timer behind and has
   * told `sink` of no `closed`.
   */
  static async connect(
    setup: SessionSetup,
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    if (signal.aborted) throw abortError(signal.reason);
    const session = NovaSession.#make(setup, request, sink);
    setup.sessions.add(session);
    using limit = deadline(request.clock, setup.connectTimeoutMs, `connecting to ${setup.link.host}`, signal);
    const onAbort = (): void => session.#fail(abortError(limit.signal.reason));
    limit.signal.addEventListener('abort', onAbort, { once: true });
    session.#dial();
    await session.#ready;
    return session;
  }

  /** Throws PROVIDER_CONFIG for settings that cannot be sent: before anybody is called. */
  static #make(
    setup: SessionSetup,
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
  ): NovaSession {
    try {
      return new NovaSession(setup, request, sink);
    } catch (thrown) {
      throw BridgeError.from(thrown, 'PROVIDER_CONFIG');
    }
  }

  get input(): AudioFormat {
    return this.#shape.input;
  }

  get output(): AudioFormat {
    return this.#shape.output;
  }

  sendAudio(bytes: Uint8Array): boolean {
    if (this.#stage !== 'open') return false;
    return this.#uplink.sendAudio(this.#samples.join(bytes));
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
    if (this.#stage === 'open' && this.#stop('closing')) this.#sayGoodbye();
    return this.#over;
  }

  /** The provider itself is closed. */
  abandon(error: BridgeError): void {
    this.#fail(error);
  }

  // Nothing waits for `send` of the SDK: what the caller says would wait as well, see `AwsLink`.
  #dial(): void {
    const { link, model, ready, sentMs, scrub } = this.#setup;
    const open: OpenStream = (body, listener) => link.open(model, body, listener);
    const listener: StreamListener = {
      connected: () => {
        if (ready === 'accepted' || this.#stage !== 'connecting') return;
        this.#sentTimer = this.#clock.after(sentMs, () => this.#open());
      },
      accepted: () => this.#open(),
      received: (bytes) => this.#onBytes(bytes),
      ended: (thrown, networkCode) => this.#onEnded(thrown, networkCode),
    };
    const what = scrub(`${link.host} ${model}`);
    this.#stream = this.#network?.stream(what, open, this.#uplink, listener) ?? open(this.#uplink, listener);
  }

  // The audio block comes only now: the first half second of it may not be heard otherwise (livekit/agents, plugin aws).
  #open(): void {
    if (this.#stage !== 'connecting') return;
    this.#sentTimer?.();
    this.#stage = 'open';
    this.#uplink.put(this.#writer.audioStart(this.#shape.input));
    this.#uplink.openAudio(this.#writer.envelope);
    this.#watchExpiry();
    this.#settle?.resolve();
    if (this.#past.unanswered !== undefined) this.#conversation.answer(this.#past.unanswered);
    else if (this.#move !== undefined) this.#conversation.answer(note(OPENING_WORDS[this.#move]));
  }

  #sayGoodbye(): void {
    // The listener of a fatal error may be the one who closes, and then nobody answers any more.
    if (this.#hasEnded) {
      this.#closed();
      return;
    }
    this.#closeTimer = this.#clock.after(CLOSE_WITHIN_MS, () => this.#closed());
    this.#uplink.end(this.#writer.end());
  }

  #closed(): void {
    if (this.#stage !== 'closing') return;
    this.#stage = 'closed';
    this.#closeTimer?.();
    this.#cutLine();
    this.#sink({ type: 'closed', expected: true, error: undefined });
    this.#finish();
  }

  #cutLine(): void {
    this.#uplink.drop();
    this.#stream?.abort();
    this.#setup.sessions.delete(this);
  }

  #emit(event: ProviderEvent): void {
    if (this.#stage === 'connecting' || this.#stage === 'open') this.#sink(event);
  }

  #warn(code: string, message: string): void {
    this.#emit({ type: 'warning', code, message });
  }

  // A mistake of ours in one session must not take the process and all other calls with it.
  #onBytes(bytes: Uint8Array): void {
    if (this.#stage !== 'open') return;
    const { decoder } = this.#setup;
    decoder.begin();
    try {
      const event = this.#parse(bytes);
      if (event) this.#conversation.handle(event);
    } catch (thrown) {
      this.#fail(BridgeError.from(thrown));
    } finally {
      decoder.end();
    }
  }

  #parse(bytes: Uint8Array): ServerEvent | undefined {
    try {
      return this.#reader.read(bytes);
    } catch (thrown) {
      this.#warn('bad_frame', BridgeError.from(thrown, 'BAD_FRAME').message);
      return undefined;
    }
  }

  // The end is not announced.
  #watchExpiry(): void {
    this.#expiry.expect(this.#startedAt + this.#setup.maxSessionMs - this.#clock.now());
  }

  #onStalled(ms: number): void {
    const { host } = this.#setup.link;
    this.#fail(new BridgeError('PROVIDER_UNAVAILABLE', `${host} has taken no audio for ${ms} ms`));
  }

  /**
   * Leaves `connecting` or `open`; no timer of the session but that of its end runs afterwards. False: that was done from
   * within, for the conversation may have a last word, and whoever hears it may end the session.
   */
  #stop(stage: 'closing' | 'closed'): boolean {
    this.#conversation.close();
    if (this.#stage !== 'connecting' && this.#stage !== 'open') return false;
    this.#stage = stage;
    this.#sentTimer?.();
    this.#expiry.cancel();
    return true;
  }

  #fail(error: BridgeError): void {
    switch (this.#stage) {
      case 'connecting':
        this.#stop('closed');
        this.#cutLine();
        this.#settle?.reject(connectError(error));
        this.#finish();
        return;
      case 'open':
        // Its last word comes before the error.
        this.#conversation.close();
        this.#emit({ type: 'error', error, fatal: true });
        this.#break(error);
        return;
      case 'closing':
      case 'closed':
        return;
      default:
        assertNever(this.#stage);
    }
  }

  #break(error: BridgeError): void {
    // The listener of the error may have closed the session by itself.
    if (this.#stage !== 'open' || !this.#stop('closed')) return;
    this.#cutLine();
    this.#sink({ type: 'closed', expected: false, error });
    this.#finish();
  }

  #onEnded(thrown: unknown, networkCode: string | undefined): void {
    this.#hasEnded = true;
    if (this.#stage === 'closing') {
      this.#closed();
      return;
    }
    const { link, maxSessionMs, scrub } = this.#setup;
    this.#fail(
      failure(thrown, {
        host: link.host,
        connecting: this.#stage === 'connecting',
        nearItsEnd: this.#clock.now() - this.#startedAt >= maxSessionMs * NEAR_THE_END,
        networkCode,
        scrub,
      }),
    );
  }
}
