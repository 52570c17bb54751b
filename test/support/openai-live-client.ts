import { WebSocket } from 'ws';
import { encodeG711 } from '../../src/audio/g711.ts';
import {
  type OpenAiLiveSimulator,
  type OpenAiLiveSimulatorOptions,
  type SimulatedLiveConnection,
  startOpenAiLiveSimulator,
} from '../../src/sim/openai-live.ts';

/** An event on the wire. */
export type Event = { readonly type: string } & Readonly<Record<string, unknown>>;
type Message = Record<string, unknown>;

/** A plain client: what it sends is what the test says, what it got can be waited for. */
export class Client {
  readonly events: Event[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #waiters: {
    readonly accept: (event: Event) => boolean;
    readonly resolve: (event: Event) => void;
  }[] = [];

  constructor(url: string, headers: Record<string, string> = { authorization: 'Bearer sk-test' }) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on('message', (data) => this.#take(String(data)));
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  #take(text: string): void {
    if (!text.endsWith('}')) {
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

  opened(): Promise<void> {
    return new Promise((resolve) => this.socket.once('open', () => resolve()));
  }

  send(event: Message): void {
    this.socket.send(JSON.stringify(event));
  }

  /** The first event of the type that came after `since` events. */
  async next(type: string, since = 0, accept: (event: Event) => boolean = () => true): Promise<Event> {
    const fits = (event: Event): boolean => event.type === type && accept(event);
    const past = this.events.slice(since).find(fits);
    if (past !== undefined) return past;
    return new Promise((resolve) => this.#waiters.push({ accept: fits, resolve }));
  }

  /** The first event of the Responses backend of this type. */
  async nested(type: string, since = 0): Promise<Message> {
    const event = await this.next('response.event', since, (one) => nestedOf(one)['type'] === type);
    return nestedOf(event);
  }

  /** Sends, and waits for the first event of the type that comes after it. */
  async ask(event: Message, type: string): Promise<Event> {
    const since = this.events.length;
    this.send(event);
    return this.next(type, since);
  }

  /** Sends something wrong, and returns the `error` field of the answer. */
  async wrong(event: Message): Promise<Message> {
    const answer = await this.ask(event, 'error');
    return answer['error'] as Message;
  }

  /** Everything that was sent so far was handled, and what it set off at once has arrived. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.once('pong', () => resolve());
      this.socket.ping();
    });
  }

  of(type: string): readonly Event[] {
    return this.events.filter((event) => event.type === type);
  }

  /** What the model has said, or the caller, as far as it was told. */
  words(side: 'input' | 'output'): string {
    return this.of(`session.${side}_transcript.delta`)
      .map((event) => String(event['delta']))
      .join('');
  }

  /** All output so far. */
  get heard(): Buffer {
    return Buffer.concat(
      this.of('session.output_audio.delta').map((event) => Buffer.from(String(event['delta']), 'base64')),
    );
  }
}

export function nestedOf(event: Event): Message {
  return event['event'] as Message;
}

export function startEvent(session: Message = {}): Message {
  return { type: 'session.start', session: { model: 'gpt-live-1', ...session } };
}

export const RESPONSES = {
  type: 'responses',
  responses: { model: 'gpt-5.6-luna', tools: [{ type: 'function', name: 'lookup' }] },
};

/** As fast as input comes: nothing waits for the clock. */
export const FAST: OpenAiLiveSimulatorOptions = { firstAudioMs: 0, speedFactor: 'burst' };

export async function start(
  options: OpenAiLiveSimulatorOptions = {},
  session: Message = {},
): Promise<
  AsyncDisposable & { sim: OpenAiLiveSimulator; client: Client; connection: SimulatedLiveConnection }
> {
  const sim = await startOpenAiLiveSimulator({ ...FAST, ...options });
  const client = new Client(sim.url);
  await client.opened();
  const connection = await sim.nextConnection();
  await client.ask(startEvent(session), 'session.started');
  return { sim, client, connection, [Symbol.asyncDispose]: () => sim.close() };
}

function tone(ms: number, amplitude: number, rate: number): Int16Array {
  return Int16Array.from({ length: (rate * ms) / 1000 }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * 300 * i) / rate)),
  );
}

function pcm(samples: Int16Array): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}

export const FORMATS = {
  pcm24: { wire: { type: 'audio/pcm', rate: 24_000 }, rate: 24_000, width: 2, silence: 0, encode: pcm },
  pcm16: { wire: { type: 'audio/pcm', rate: 16_000 }, rate: 16_000, width: 2, silence: 0, encode: pcm },
  pcmu: {
    wire: { type: 'audio/pcmu', rate: 8_000 },
    rate: 8_000,
    width: 1,
    silence: 0xff,
    encode: (samples: Int16Array) => Buffer.from(encodeG711('mulaw', samples)),
  },
  pcma: {
    wire: { type: 'audio/pcma', rate: 8_000 },
    rate: 8_000,
    width: 1,
    silence: 0xd5,
    encode: (samples: Int16Array) => Buffer.from(encodeG711('alaw', samples)),
  },
} as const;
export type FormatName = keyof typeof FORMATS;

export function speech(ms: number, format: FormatName = 'pcm24', amplitude = 8_000): Buffer {
  const { rate, encode } = FORMATS[format];
  return encode(tone(ms, amplitude, rate));
}

export function silence(ms: number, format: FormatName = 'pcm24'): Buffer {
  const { rate, width, silence: code } = FORMATS[format];
  return Buffer.alloc((rate * ms * width) / 1000, code);
}

/** In frames of 20 ms, as a carrier's audio comes. */
export function append(client: Client, audio: Buffer, frame = 960): void {
  for (let at = 0; at < audio.length; at += frame) {
    client.send({
      type: 'session.input_audio.append',
      audio: audio.subarray(at, at + frame).toString('base64'),
    });
  }
}

export function commentary(content: string, delegation_id: string | null = null): Message {
  return { type: 'session.commentary.append', content, delegation_id };
}

export function output(call_id: unknown, text: string): Message {
  return {
    type: 'response.item.create',
    item: { type: 'function_call_output', call_id, output: text },
  };
}
