import { type AudioFormat, bytesPerMs, MULAW_8K } from '../../src/audio/format.ts';
import { bytesToSamples, samplesToBytes } from '../../src/audio/wav.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, ToolDefinition } from '../../src/provider.ts';
import type { SpeechEngine } from '../../src/providers/local/engine.ts';
import { createLocalProvider, type LocalOptions, type LocalProvider } from '../../src/providers/local.ts';
import { toInt16, tone } from './signal.ts';
import { VirtualClock } from './virtual-clock.ts';

type Of<T extends ProviderEvent['type']> = Extract<ProviderEvent, { type: T }>;
type Stored = ProviderEvent & { readonly atMs: number };

/** Speaks at once: a hum of 20 ms per character. Counts what it was asked for. */
export class HummingEngine implements SpeechEngine {
  answered = 0;
  closed = 0;
  restarts = 0;
  readonly asked: string[] = [];
  /** Set to have every text fail. */
  broken: Error | undefined;
  /** Set to have no text come to an end. */
  stuck = false;

  render(text: string): Promise<Int16Array> {
    this.asked.push(text);
    if (this.stuck) return new Promise(() => undefined);
    this.answered += 1;
    if (this.broken !== undefined) return Promise.reject(this.broken);
    return Promise.resolve(toInt16(tone(320 * text.length, { hz: 300, rate: 16_000, amplitude: 12_000 })));
  }

  restart(): void {
    this.restarts += 1;
  }

  close(): Promise<void> {
    this.closed += 1;
    return Promise.resolve();
  }
}

/** Knows whether an engine is at work, so that virtual time can wait for real work. */
export class WatchedEngine implements SpeechEngine {
  busy = 0;
  readonly asked: string[] = [];
  readonly #engine: SpeechEngine;

  constructor(engine: SpeechEngine) {
    this.#engine = engine;
  }

  get answered(): number {
    return this.#engine.answered;
  }

  async render(text: string, voice: string): Promise<Int16Array> {
    this.asked.push(text);
    this.busy += 1;
    try {
      return await this.#engine.render(text, voice);
    } finally {
      this.busy -= 1;
    }
  }

  restart(reason: string): void {
    this.#engine.restart(reason);
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

export function toolNamed(name: string): ToolDefinition {
  return { name, description: name, parameters: { type: 'object', properties: {} } };
}

export interface LineOptions extends LocalOptions {
  readonly provider?: LocalProvider;
  readonly watched?: WatchedEngine;
  readonly tools?: readonly string[];
  readonly request?: Partial<ConnectRequest>;
}

export const ALL_TOOLS = ['line_status', 'current_time', 'end_call'] as const;

export function requestOf(clock: VirtualClock, more: Partial<ConnectRequest> = {}): ConnectRequest {
  return {
    instructions: '',
    voice: undefined,
    language: undefined,
    tools: [],
    turnDetection: {},
    transcribeCaller: true,
    preferredFormats: [MULAW_8K],
    history: [],
    overrides: {},
    clock,
    ...more,
  };
}

/** One call to the line check in virtual time, with everything it said. */
export class LocalLine {
  readonly clock = new VirtualClock();
  readonly events: Stored[] = [];
  readonly engine = new HummingEngine();
  readonly provider: LocalProvider;
  /** Everything that the caller sent. */
  readonly sent: Uint8Array[] = [];
  /** Called with every event, at once. */
  onEvent: (event: ProviderEvent) => void = () => undefined;
  #session: ProviderSession | undefined;
  readonly #watched: WatchedEngine | undefined;

  private constructor(options: LineOptions) {
    this.#watched = options.watched;
    this.provider =
      options.provider ?? createLocalProvider({ engine: this.#watched ?? this.engine, ...options });
  }

  static async open(options: LineOptions = {}): Promise<LocalLine> {
    const line = new LocalLine(options);
    const tools = (options.tools ?? ALL_TOOLS).map(toolNamed);
    const request = requestOf(line.clock, { tools, ...options.request });
    line.#session = await line.provider.connect(
      request,
      (event) => line.#take(event),
      new AbortController().signal,
    );
    return line;
  }

  get session(): ProviderSession {
    if (this.#session === undefined) throw new Error('not connected');
    return this.#session;
  }

  get format(): AudioFormat {
    return this.session.output;
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  of<T extends ProviderEvent['type']>(type: T): (Of<T> & { readonly atMs: number })[] {
    return this.events.filter((event): event is Of<T> & Stored => event.type === type);
  }

  /** The finished sentences of the agent, by item. */
  get said(): string[] {
    return this.of('transcript')
      .filter(({ role, final }) => role === 'assistant' && final)
      .map(({ text }) => text);
  }

  /** All audio of one item, or of all. */
  audio(itemId?: string): Uint8Array {
    return Buffer.concat(
      this.of('audio')
        .filter((event) => itemId === undefined || event.itemId === itemId)
        .map(({ bytes }) => bytes),
    );
  }

  samples(itemId?: string): Int16Array {
    return bytesToSamples(this.audio(itemId), this.format.encoding);
  }

  /** Audio of the item whose transcript begins like this. */
  itemOf(beginning: string): Uint8Array {
    const item = this.of('transcript').find(({ final, text }) => final && text.startsWith(beginning));
    if (item === undefined)
      throw new Error(`nothing said begins with ${beginning}: ${this.said.join(' / ')}`);
    return this.audio(item.itemId);
  }

  /** Lets promises run, and real work come to its end. */
  async settle(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve));
    } while ((this.#watched?.busy ?? 0) > 0);
  }

  /** Time passes; the caller sends nothing. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    for (let at = 0; at < ms; at += 20) {
      this.clock.advance(Math.min(20, ms - at));
      await this.settle();
    }
  }

  /** The caller is heard, in real time, 20 ms at a time. */
  async hear(samples: ArrayLike<number>): Promise<void> {
    const bytes = samplesToBytes(toInt16(samples), this.session.input.encoding);
    const size = 20 * bytesPerMs(this.session.input);
    await this.settle();
    for (let at = 0; at < bytes.length; at += size) {
      const frame = bytes.slice(at, at + size);
      this.sent.push(frame);
      this.session.sendAudio(frame);
      this.clock.advance(20);
      await this.settle();
    }
  }

  #take(event: ProviderEvent): void {
    const kept = event.type === 'audio' ? { ...event, bytes: event.bytes.slice() } : event;
    this.events.push({ ...kept, atMs: this.clock.now() });
    this.onEvent(event);
  }
}
