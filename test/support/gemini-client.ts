import { WebSocket } from 'ws';
import {
  type GeminiSimulator,
  type GeminiSimulatorOptions,
  type SimulatedConnection,
  startGeminiSimulator,
} from '../../src/sim/gemini.ts';
import { pcm, tone } from './openai-client.ts';

/** A message on the wire. */
export type Message = Readonly<Record<string, unknown>>;

/** The members of a message, with those of `serverContent` by their own names. */
export function parts(message: Message): Message {
  const { serverContent, ...rest } = message;
  return { ...(serverContent as Message | undefined), ...rest };
}

/** A plain client: what it sends is what the test says, what it got can be waited for. */
export class GeminiClient {
  readonly messages: Message[] = [];
  readonly frames: { readonly text: string; readonly isBinary: boolean }[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly opened: Promise<void>;
  readonly #waiters: {
    readonly accept: (message: Message) => boolean;
    readonly resolve: (message: Message) => void;
  }[] = [];

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on('message', (data, isBinary) => this.#take(String(data), isBinary));
    this.socket.on('error', () => {});
    this.opened = new Promise((resolve) => this.socket.once('open', () => resolve()));
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  #take(text: string, isBinary: boolean): void {
    this.frames.push({ text, isBinary });
    if (!text.startsWith('{') || !text.endsWith('}')) return;
    const message = JSON.parse(text) as Message;
    this.messages.push(message);
    for (const waiter of [...this.#waiters]) {
      if (!waiter.accept(message)) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve(message);
    }
  }

  send(message: Message): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The first message from `since` on that holds this thing: `setupComplete`, `turnComplete`, `toolCall`, …. */
  async next(name: string, since = 0): Promise<Message> {
    const holds = (message: Message): boolean => parts(message)[name] !== undefined;
    const past = this.messages.slice(since).find(holds);
    if (past !== undefined) return past;
    return new Promise((resolve) => this.#waiters.push({ accept: holds, resolve }));
  }

  /** Sends, and waits for the first message with this thing that comes after it. */
  async ask(message: Message, name: string): Promise<Message> {
    const since = this.messages.length;
    this.send(message);
    return this.next(name, since);
  }

  /** The names of what came from `since` on, in order; the same one after itself is counted once. */
  story(since = 0): readonly string[] {
    const names = this.messages.slice(since).flatMap((message) => Object.keys(parts(message)));
    return names.filter((name, index) => name !== names[index - 1]);
  }

  /** Everything of one name that came from `since` on. */
  all(name: string, since = 0): readonly unknown[] {
    return this.messages.slice(since).flatMap((message) => {
      const value = parts(message)[name];
      return value === undefined ? [] : [value];
    });
  }

  /** The audio that came from `since` on. */
  audio(since = 0): Buffer {
    const turns = this.all('modelTurn', since) as { parts: { inlineData?: { data: string } }[] }[];
    return Buffer.concat(
      turns
        .flatMap((turn) => turn.parts)
        .map(({ inlineData }) => Buffer.from(inlineData?.data ?? '', 'base64')),
    );
  }

  /** The words of `inputTranscription` or `outputTranscription` that came from `since` on. */
  words(name: string, since = 0): string {
    return (this.all(name, since) as { text?: string }[]).map(({ text }) => text ?? '').join('');
  }
}

export const MODEL_38 = 'models/gemini-3.8-live';
export const MODEL_31 = 'models/gemini-3.1-flash-live-preview';
export const MODEL_25 = 'models/gemini-2.5-flash-native-audio-preview-12-2025';
export const FAST: GeminiSimulatorOptions = {
  firstAudioMs: 0,
  speedFactor: 'burst',
  waitsForPlayback: false,
};

export function setupOf(fields: Message = {}, model = MODEL_38): Message {
  return { setup: { model, generationConfig: { responseModalities: ['AUDIO'] }, ...fields } };
}

export interface Line extends AsyncDisposable {
  readonly sim: GeminiSimulator;
  readonly client: GeminiClient;
  readonly connection: SimulatedConnection;
}

/** A simulator and a client whose setup was accepted. */
export async function start(
  options: GeminiSimulatorOptions = {},
  fields: Message = {},
  model = MODEL_38,
): Promise<Line> {
  const sim = await startGeminiSimulator({ ...FAST, ...options });
  const line = await connect(sim, fields, model);
  return { ...line, sim, [Symbol.asyncDispose]: () => sim.close() };
}

/** One more session with a simulator. */
export async function connect(
  sim: GeminiSimulator,
  fields: Message = {},
  model = MODEL_38,
): Promise<{ client: GeminiClient; connection: SimulatedConnection }> {
  const client = new GeminiClient(`${sim.liveUrl}?key=k`);
  await client.opened;
  const connection = await sim.nextConnection();
  await client.ask(setupOf(fields, model), 'setupComplete');
  return { client, connection };
}

export function speech(ms: number, rate = 16_000, amplitude?: number): Buffer {
  return pcm(tone(ms, amplitude, rate));
}

export function silence(ms: number, rate = 16_000): Buffer {
  return Buffer.alloc((rate * ms * 2) / 1000);
}

/** In frames of 20 ms. */
export function sendAudio(client: GeminiClient, audio: Buffer, rate = 16_000): void {
  const frame = (rate / 50) * 2;
  for (let at = 0; at < audio.length; at += frame) {
    const data = audio.subarray(at, at + frame).toString('base64');
    client.send({ realtimeInput: { audio: { mimeType: `audio/pcm;rate=${rate}`, data } } });
  }
}

export function say(text: string): Message {
  return { realtimeInput: { text } };
}

export function content(turnComplete: boolean, ...turns: readonly (readonly [string, string])[]): Message {
  return {
    clientContent: { turns: turns.map(([role, text]) => ({ role, parts: [{ text }] })), turnComplete },
  };
}

export function declare(...names: readonly string[]): Message {
  return tools(names.map((name) => ({ name, description: 'd' })));
}

export function tools(functionDeclarations: readonly Message[]): Message {
  return { tools: [{ functionDeclarations }] };
}

export function answer(
  id: string,
  name: string,
  more: Message = {},
  response: Message = { ok: true },
): Message {
  return { toolResponse: { functionResponses: [{ id, name, response, ...more }] } };
}
