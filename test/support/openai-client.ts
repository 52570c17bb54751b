import { WebSocket } from 'ws';
import { encodeG711 } from '../../src/audio/g711.ts';
import {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
} from '../../src/sim/openai.ts';

/** An event on the wire. */
export type Event = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A plain client: what it sends is what the test says, what it got can be waited for. */
export class Client {
  readonly events: Event[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #waiters: {
    readonly accept: (event: Event) => boolean;
    readonly resolve: (event: Event) => void;
  }[] = [];

  constructor(url: string, options: { headers?: Record<string, string>; protocols?: string[] } = {}) {
    const headers = options.headers ?? { authorization: 'Bearer sk-test' };
    this.socket = new WebSocket(url, options.protocols ?? [], { headers });
    this.socket.on('message', (data) => this.#take(String(data)));
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  #take(text: string): void {
    if (!text.startsWith('{') || !text.endsWith('}')) {
      this.events.push({ type: 'malformed', text });
      return;
    }
    const event = JSON.parse(text) as Event;
    this.events.push(event);
    for (const waiter of [...this.#waiters]) {
      if (!waiter.accept(event)) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve(event);
    }
  }

  send(event: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(event));
  }

  /** The first event of the type that came after `since` events. */
  async next(type: string, since = 0): Promise<Event> {
    const past = this.events.slice(since).find((event) => event.type === type);
    if (past !== undefined) return past;
    return new Promise((resolve) => this.#waiters.push({ accept: (event) => event.type === type, resolve }));
  }

  /** Sends, and waits for the first event of the type that comes after it. */
  async ask(event: Record<string, unknown>, type: string): Promise<Event> {
    const since = this.events.length;
    this.send(event);
    return this.next(type, since);
  }

  /** Sends something wrong, and returns the `error` field of the answer. */
  async wrong(event: Record<string, unknown>): Promise<Record<string, unknown>> {
    const answer = await this.ask(event, 'error');
    return answer['error'] as Record<string, unknown>;
  }

  get types(): readonly string[] {
    return this.events.map((event) => event.type);
  }

  /** The types from `since` events on, up to the first `until`; runs of the same one are counted once. */
  story(since = 0, until?: string): readonly string[] {
    const types = this.types.slice(since);
    const end = until === undefined ? -1 : types.indexOf(until);
    const told = end === -1 ? types : types.slice(0, end + 1);
    return told.filter((type, index) => type !== told[index - 1]);
  }
}

export const FAST: OpenAiSimulatorOptions = { firstAudioMs: 0, speedFactor: 'burst' };
export const MODEL = '?model=gpt-realtime-2.1';

export async function start(
  options: OpenAiSimulatorOptions = {},
): Promise<AsyncDisposable & { sim: OpenAiSimulator; client: Client; connection: SimulatedConnection }> {
  const sim = await startOpenAiSimulator({ ...FAST, ...options });
  const client = new Client(sim.url + MODEL);
  const connection = await sim.nextConnection();
  await client.next('session.created');
  return { sim, client, connection, [Symbol.asyncDispose]: () => sim.close() };
}

export function tone(ms: number, amplitude = 8_000, rate = 24_000): Int16Array {
  return Int16Array.from({ length: (rate * ms) / 1000 }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * 300 * i) / rate)),
  );
}

export function pcm(samples: Int16Array): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}

export const FORMATS = {
  'audio/pcm': { rate: 24_000, silence: 0, encode: (samples: Int16Array) => pcm(samples) },
  'audio/pcmu': {
    rate: 8_000,
    silence: 0xff,
    encode: (samples: Int16Array) => Buffer.from(encodeG711('mulaw', samples)),
  },
  'audio/pcma': {
    rate: 8_000,
    silence: 0xd5,
    encode: (samples: Int16Array) => Buffer.from(encodeG711('alaw', samples)),
  },
} as const;
export type FormatName = keyof typeof FORMATS;

export function speech(ms: number, format: FormatName = 'audio/pcm', amplitude?: number): Buffer {
  const { rate, encode } = FORMATS[format];
  return encode(tone(ms, amplitude, rate));
}

export function silence(ms: number, format: FormatName = 'audio/pcm'): Buffer {
  const { rate, silence: code } = FORMATS[format];
  return Buffer.alloc((rate * ms * (format === 'audio/pcm' ? 2 : 1)) / 1000, code);
}

/** In frames of 20 ms, as a carrier's audio comes. */
export function append(client: Client, audio: Buffer, frame = 960): void {
  for (let at = 0; at < audio.length; at += frame) {
    client.send({
      type: 'input_audio_buffer.append',
      audio: audio.subarray(at, at + frame).toString('base64'),
    });
  }
}

export function update(session: Record<string, unknown>): Record<string, unknown> {
  return { type: 'session.update', session: { type: 'realtime', ...session } };
}

export function userText(text: string, id?: string): Record<string, unknown> {
  return {
    type: 'conversation.item.create',
    item: {
      ...(id === undefined ? {} : { id }),
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text }],
    },
  };
}
