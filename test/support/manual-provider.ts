import { type AudioFormat, MULAW_8K } from '../../src/audio/format.ts';
import { BridgeError } from '../../src/errors.ts';
import type {
  ConnectRequest,
  HeardItem,
  ProviderCapabilities,
  ProviderEvent,
  ProviderSession,
  RealtimeProvider,
  TextOptions,
  ToolResult,
} from '../../src/provider.ts';

/** A provider whose every move the test makes; it keeps the contract and writes down what it was told. */
export class ManualProvider implements RealtimeProvider {
  readonly name: string;
  readonly capabilities: ProviderCapabilities;
  readonly said: string[] = [];
  /** What was to be said whatever the caller does. */
  readonly insisted: string[] = [];
  readonly texts: { text: string; options: TextOptions }[] = [];
  readonly results: { callId: string; result: ToolResult }[] = [];
  readonly interruptions: (readonly HeardItem[])[] = [];
  readonly audio: number[] = [];
  request: ConnectRequest | undefined;
  /** How often it was dialled. */
  dialled = 0;
  closedWith: string | undefined;
  /** What a session does when it is to close. */
  closes: () => Promise<void> = () => Promise.resolve();
  /** Sessions that were taken and not closed. */
  open = 0;
  format: AudioFormat = MULAW_8K;
  #dialling = false;
  #sink: (event: ProviderEvent) => void = () => undefined;
  #ready: (session: ProviderSession) => void = () => undefined;
  #fail: (error: BridgeError) => void = () => undefined;

  constructor(maxSessionMs?: number, capabilities: Partial<ProviderCapabilities> = {}, name = 'manual') {
    this.name = name;
    this.capabilities = {
      inputs: [MULAW_8K],
      outputs: [MULAW_8K],
      bargeIn: 'speech-started',
      speech: 'turns',
      truncate: true,
      cancel: true,
      resume: false,
      catchUp: true,
      cancelsTools: false,
      parallelTools: true,
      maxSessionMs,
      announcesEnd: false,
      history: undefined,
      ...capabilities,
    };
  }

  connect(
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    this.request = request;
    this.dialled += 1;
    this.#sink = sink;
    this.#dialling = true;
    return new Promise((resolve, reject) => {
      this.#ready = resolve;
      this.#fail = reject;
      signal.addEventListener('abort', () => {
        this.#dialling &&= request !== this.request;
        reject(BridgeError.from(signal.reason, 'CANCELLED'));
      });
    });
  }

  /** The provider is ready; resolves when the session has noticed. */
  async ready(): Promise<void> {
    const sink = this.#sink;
    if (this.#dialling) this.open += 1;
    this.#dialling = false;
    let isOpen = true;
    this.#ready({
      input: this.format,
      output: this.format,
      sendAudio: (bytes) => {
        this.audio.push(...bytes);
        return true;
      },
      sendText: (text, options) => this.texts.push({ text, options }),
      say: (text, insist = false) => {
        this.said.push(text);
        if (insist) this.insisted.push(text);
      },
      sendToolResult: (callId, result) => this.results.push({ callId, result }),
      interrupt: (heard) => this.interruptions.push(heard),
      close: (reason) => {
        this.closedWith = reason;
        if (isOpen) this.open -= 1;
        isOpen = false;
        // There may be another session by now.
        sink({ type: 'closed', expected: true, error: undefined });
        return this.closes();
      },
    });
    await settled();
  }

  async fail(error: BridgeError): Promise<void> {
    this.#dialling = false;
    this.#fail(error);
    await settled();
  }

  /** Where the newest session tells what happens. */
  get sink(): (event: ProviderEvent) => void {
    return this.#sink;
  }

  emit(event: ProviderEvent): void {
    this.#sink(event);
  }

  /** The session dies. */
  die(error = new BridgeError('PROVIDER_CLOSED', 'gone')): void {
    this.emit({ type: 'closed', expected: false, error });
  }

  /** A response of `ms` of speech that was asked for, whole or left open. */
  speak(responseId: string, itemId: string, ms: number, done = true): void {
    this.emit({ type: 'responseStarted', responseId, asked: true });
    this.emit({ type: 'audio', responseId, itemId, bytes: new Uint8Array(ms * 8).fill(0x55) });
    if (done) this.emit({ type: 'responseDone', responseId, status: 'completed', reason: undefined });
  }
}

/** Lets promises that are due run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
