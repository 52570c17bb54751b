import { AsyncQueue } from './async-queue.ts';
import { type AudioFormat, bytesPerMs, PCM16_24K, silenceByte } from './audio/format.ts';
import { createTranscoder } from './audio/transcode.ts';
import { FunctionCalls, type OnFunctionCall } from './audio-stream/function-calls.ts';
import { SpeechOut, type SpokenAudio } from './audio-stream/speech-out.ts';
import { type Clock, LONGEST_TIMER_MS, pause, systemClock } from './clock.ts';
import { assertNever, BridgeError } from './errors.ts';
import { Breakers } from './fallback/breakers.ts';
import { soleCandidate } from './fallback/candidate.ts';
import { type Dialled, dial } from './fallback/dial.ts';
import { FAILOVER } from './fallback/policy.ts';
import type {
  ConnectRequest,
  HistoryItem,
  ProviderEvent,
  ProviderSession,
  RealtimeProvider,
  ToolDefinition,
  TurnDetection,
} from './provider.ts';

export type { OnFunctionCall } from './audio-stream/function-calls.ts';
export type { SpokenAudio } from './audio-stream/speech-out.ts';

/** A piece of what somebody says, in words. */
export interface SpokenText {
  /** A piece to append, or with `isFinal` the whole. */
  readonly text: string;
  readonly isFinal: boolean;
  /** True: the caller; false: the agent. */
  readonly isInput: boolean;
  readonly itemId: string;
}

/** Everything is optional. Times are in ms. */
export interface AudioStreamOptions {
  /** Of what goes in; default 24 kHz PCM16. */
  readonly inputFormat?: AudioFormat;
  /** Of what comes out; default as what goes in. */
  readonly outputFormat?: AudioFormat;
  readonly instructions?: string;
  /** Said first; default: the agent waits to be spoken to. */
  readonly greeting?: string;
  readonly model?: string;
  readonly voice?: string;
  readonly language?: string;
  readonly turnDetection?: TurnDetection;
  /** False: what goes in is not written down. */
  readonly transcribeInput?: boolean;
  readonly history?: readonly HistoryItem[];
  readonly functions?: readonly ToolDefinition[];
  readonly onFunctionCall?: OnFunctionCall;
  /** Longest time that a function may take; 30 s. */
  readonly functionMs?: number;
  /** Raw session fields by name of the provider, merged last: `{ openai: { … }, gemini: { … } }`. */
  readonly extensions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What the provider warns of, such as `audio_dropped`: it did not take all that went in. */
  readonly onWarning?: (code: string, message: string) => void;
  /** A provider could not be had, while another one or the same one is tried. */
  readonly onProviderFailed?: (provider: string, error: BridgeError) => void;
  /** Longest time that one provider may take to be ready; 5 s. */
  readonly connectMs?: number;
  /** The next provider is dialled beside one that is not ready after so long, and the first that is ready is taken; 0, the default: never. */
  readonly hedgeMs?: number;
  /** Shared by streams that are to pass by a provider which has failed others of them; default: each finds out by itself. */
  readonly breakers?: Breakers;
  /** How much of an item was heard, in ms; default: what was taken from `audio`. */
  readonly heardMs?: (itemId: string) => number;
  /** How long the agent may keep still, after the input has ended, before the stream ends; 3 s. */
  readonly lingerMs?: number;
  /** Ends the stream with CANCELLED. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** A conversation that is not a call. Both iterations end together, or throw the BridgeError that ended them. */
export interface AudioStream extends AsyncDisposable {
  /** Name of the provider that answered. */
  readonly provider: string;
  /** What the agent says, faster than it can be heard. May be left unread only if nothing is said. */
  readonly audio: AsyncIterable<SpokenAudio>;
  /** What is said, both sides. Of what nobody reads, the oldest is dropped. */
  readonly transcripts: AsyncIterable<SpokenText>;
  /** Tells the model something in writing. */
  sendText(text: string, respond?: boolean): void;
  /** Idempotent, never rejects. */
  close(): Promise<void>;
}

/** Input may be this far ahead of the clock: a file is not poured into a socket that takes it in real time. */
const AHEAD_MS = 500;
const PIECE_MS = 100;
const CLOSING_SILENCE_MS = 1000;
const MOST_TEXTS = 10_000;

/**
 * Audio in, audio and words out: a provider without telephone calls. Of several providers the first that can be had is
 * taken: the next one is dialled when one fails or is not ready in its time, and when all have failed, those whose error
 * may pass are tried once more. From then on the stream has this provider and no other: a session that dies in the middle
 * ends the stream with its error. (In a call another provider takes over.)
 *
 * Resolves when audio flows; rejects with the BridgeError of the provider that was tried last, or with that of one before
 * it which said more than TIMEOUT; with BAD_INPUT when there is no provider or a time cannot be used, with BAD_AUDIO for
 * formats that cannot be converted, and with CANCELLED by `signal`.
 */
export async function processAudioStream(
  providers: RealtimeProvider | readonly RealtimeProvider[],
  audioIn: AsyncIterable<Uint8Array>,
  options: AudioStreamOptions = {},
): Promise<AudioStream> {
  const list: readonly RealtimeProvider[] = 'connect' in providers ? [providers] : providers;
  if (list.length === 0) throw new BridgeError('BAD_INPUT', 'no provider was given, wanted at least one');
  const run = new Run(await dialOne(list, options), options);
  try {
    run.begin();
  } catch (thrown) {
    await run.close();
    throw BridgeError.from(thrown);
  }
  run.pump(audioIn);
  return run;
}

function dialOne(list: readonly RealtimeProvider[], options: AudioStreamOptions): Promise<Dialled> {
  const { clock = systemClock, signal, onProviderFailed } = options;
  return dial({
    clock,
    breakers: options.breakers ?? new Breakers({ clock, onChange: () => undefined }),
    candidates: list.flatMap(soleCandidate),
    connectMs: timeOf('connectMs', options.connectMs, FAILOVER.connectMs, 1),
    hedgeMs: timeOf('hedgeMs', options.hedgeMs, 0, 0),
    signal: signal ?? new AbortController().signal,
    request: ({ provider }) => requestOf(provider, options, clock),
    onFailed: ({ provider }, error) => onProviderFailed?.(provider.name, error),
  });
}

function timeOf(name: string, given: number | undefined, otherwise: number, least: number): number {
  const ms = given ?? otherwise;
  if (ms >= least && ms <= LONGEST_TIMER_MS) return ms;
  const wanted = `${least} to ${LONGEST_TIMER_MS}`;
  throw new BridgeError('BAD_INPUT', `found ${name} ${ms}, wanted a number of ms from ${wanted}`);
}

function requestOf({ name }: RealtimeProvider, options: AudioStreamOptions, clock: Clock): ConnectRequest {
  return {
    instructions: options.instructions ?? '',
    model: options.model,
    voice: options.voice,
    language: options.language,
    tools: options.functions ?? [],
    turnDetection: options.turnDetection ?? {},
    transcribeCaller: options.transcribeInput ?? true,
    preferredFormats: [options.inputFormat ?? PCM16_24K],
    history: options.history ?? [],
    overrides: options.extensions?.[name] ?? {},
    clock,
  };
}

class Run implements AudioStream {
  readonly transcripts = new AsyncQueue<SpokenText>();
  /** Name of the provider that has the stream. */
  readonly provider: string;
  readonly #dialled: Dialled;
  readonly #session: ProviderSession;
  readonly #options: AudioStreamOptions;
  readonly #clock: Clock;
  readonly #inputFormat: AudioFormat;
  readonly #over = new AbortController();
  readonly #speech: SpeechOut;
  readonly #functions: FunctionCalls;
  readonly #open = new Set<string>();
  readonly #onAbort = (): void =>
    this.#end(new BridgeError('CANCELLED', 'the stream is not needed any more'));
  #ended = false;
  #closing: Promise<void> | undefined;
  /** When something was last said or done. */
  #activeAt = 0;

  constructor(dialled: Dialled, options: AudioStreamOptions) {
    this.provider = dialled.candidate.provider.name;
    this.#dialled = dialled;
    this.#session = dialled.session;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#inputFormat = options.inputFormat ?? PCM16_24K;
    this.#speech = new SpeechOut({
      format: options.outputFormat ?? this.#inputFormat,
      heardMs: options.heardMs,
      onTooMuch: () =>
        this.#end(new BridgeError('BAD_INPUT', 'nobody takes what the agent says: 10 minutes of it wait')),
    });
    this.#functions = new FunctionCalls({
      handler: options.onFunctionCall,
      clock: this.#clock,
      limitMs: options.functionMs ?? 30_000,
      answer: (callId, result) => {
        this.#activeAt = this.#clock.now();
        this.#session.sendToolResult(callId, result);
      },
    });
  }

  get audio(): AsyncIterable<SpokenAudio> {
    return this.#speech.queue;
  }

  /** Throws BAD_AUDIO for a format that cannot be converted; CANCELLED when nobody wants the stream any more. */
  begin(): void {
    const { signal, greeting } = this.#options;
    if (signal?.aborted) throw new BridgeError('CANCELLED', 'the stream is not needed any more');
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#speech.from(this.#session.output);
    this.#dialled.listen((event) => this.#onEvent(event));
    if (greeting !== undefined) this.#session.say(greeting);
  }

  /** Feeds the input to the session; what becomes of it is told by the iterations. */
  pump(audioIn: AsyncIterable<Uint8Array>): void {
    this.#pump(audioIn).then(
      () => this.#end(),
      (thrown: unknown) => this.#end(BridgeError.from(thrown)),
    );
  }

  sendText(text: string, respond = true): void {
    this.#activeAt = this.#clock.now();
    this.#session.sendText(text, { role: 'user', respond });
  }

  close(): Promise<void> {
    this.#end();
    return this.#closing ?? Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #pump(audioIn: AsyncIterable<Uint8Array>): Promise<void> {
    const session = this.#session;
    const { signal } = this.#over;
    const perMs = bytesPerMs(this.#inputFormat);
    const transcoder = createTranscoder(this.#inputFormat, session.input);
    const send = (bytes: Uint8Array): void => {
      if (bytes.length > 0) session.sendAudio(bytes);
    };
    let sentMs = 0;
    let startedAt: number | undefined;
    const input = new Interruptible(audioIn, signal);
    for (;;) {
      const piece = await input.next();
      if (piece === undefined) return;
      if (piece.done === true) break;
      startedAt ??= this.#clock.now();
      // A whole recording may come in one piece, and no socket takes that at once.
      for (let at = 0; at < piece.value.length && !signal.aborted; at += PIECE_MS * perMs) {
        const part = piece.value.subarray(at, at + PIECE_MS * perMs);
        send(transcoder.push(part));
        sentMs += part.length / perMs;
        const aheadMs = sentMs - (this.#clock.now() - startedAt) - AHEAD_MS;
        if (aheadMs > 0) await pause(this.#clock, aheadMs, signal);
      }
    }
    send(transcoder.flush());
    const silence = new Uint8Array(perMs * CLOSING_SILENCE_MS).fill(silenceByte(this.#inputFormat));
    // The turn of whoever spoke to the very end is over only when silence was heard.
    send(transcoder.push(silence));
    this.#activeAt = this.#clock.now();
    await this.#untilQuiet();
  }

  async #untilQuiet(): Promise<void> {
    const { lingerMs = 3000 } = this.#options;
    for (;;) {
      const busy = this.#open.size > 0 || this.#functions.running > 0;
      const leftMs = busy ? lingerMs : this.#activeAt + lingerMs - this.#clock.now();
      if (leftMs <= 0 || this.#over.signal.aborted) return;
      await pause(this.#clock, leftMs, this.#over.signal);
    }
  }

  #onEvent(event: ProviderEvent): void {
    if (this.#ended) return;
    this.#activeAt = this.#clock.now();
    switch (event.type) {
      case 'audio':
        this.#speech.audio(event);
        break;
      case 'audioDone':
        this.#speech.itemDone(event.responseId, event.itemId);
        break;
      case 'transcript':
        this.#onText(event);
        break;
      case 'speechStarted':
      case 'interrupted':
        this.#session.interrupt(this.#speech.interrupt(this.#open));
        break;
      case 'responseStarted':
        this.#open.add(event.responseId);
        break;
      case 'responseDone':
        this.#open.delete(event.responseId);
        this.#speech.responseDone(event.responseId);
        break;
      case 'toolCall':
        void this.#functions.run(event.callId, event.name, event.args);
        break;
      case 'toolCallsCancelled':
        this.#functions.cancel(event.callIds);
        break;
      case 'error':
        if (event.fatal) this.#end(event.error);
        break;
      case 'closed':
        this.#end(event.error);
        break;
      case 'speechStopped':
      case 'usage':
      case 'expiring':
      case 'resumable':
        break;
      case 'warning':
        this.#options.onWarning?.(event.code, event.message);
        break;
      default:
        assertNever(event);
    }
  }

  #onText({ role, itemId, text, final }: Extract<ProviderEvent, { type: 'transcript' }>): void {
    this.transcripts.push({ text, isFinal: final, isInput: role === 'user', itemId });
    if (this.transcripts.length > MOST_TEXTS) this.transcripts.dropFirst();
  }

  #end(error?: BridgeError): void {
    // Whoever is told of the end may end it again.
    if (this.#ended) return;
    this.#ended = true;
    this.#closing = this.#finish(error);
  }

  async #finish(error: BridgeError | undefined): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#over.abort(error ?? new BridgeError('CANCELLED', 'the stream was closed'));
    this.#functions.close();
    this.#speech.queue.end(error);
    this.transcripts.end(error);
    await this.#session.close('the stream is over');
  }
}

/** Somebody else's iteration, which may not go on for a long time: the end of the stream does not wait for it. */
class Interruptible {
  readonly #input: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal;
  /** Not Promise.race: a promise that lives as long as the stream would keep a reaction for every piece. */
  #giveUp: () => void = () => undefined;

  constructor(audioIn: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#input = audioIn[Symbol.asyncIterator]();
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#giveUp(), { once: true });
  }

  /** Undefined: the stream is over, and the iteration has been told. */
  async next(): Promise<IteratorResult<Uint8Array> | undefined> {
    const result = await new Promise<IteratorResult<Uint8Array> | undefined>((resolve, reject) => {
      this.#giveUp = () => resolve(undefined);
      if (this.#signal.aborted) resolve(undefined);
      else this.#input.next().then(resolve, reject);
    });
    if (result !== undefined && !this.#signal.aborted) return result;
    void Promise.resolve(this.#input.return?.()).catch(() => undefined);
    return undefined;
  }
}
