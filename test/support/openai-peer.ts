import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { MULAW_8K } from '../../src/audio/format.ts';
import type { BridgeError } from '../../src/errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../../src/provider.ts';
import { createOpenAiProvider, type OpenAiOptions } from '../../src/providers/openai.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A realtime server of which the test writes every message, and a client of it. */

export type Message = Record<string, unknown>;

export const KEY = 'sk-test-0123456789abcdef';

/** One socket as the server sees it. */
export class Peer {
  readonly socket: WebSocket;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly received: Message[] = [];
  readonly closed: Promise<number>;
  readonly #waiting: { type: string; after: number; resolve: (message: Message) => void }[] = [];
  #taken = 0;
  #audio = 0;

  constructor(socket: WebSocket, url: string, headers: IncomingHttpHeaders) {
    this.socket = socket;
    this.url = url;
    this.headers = headers;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.on('message', (data) => this.#take(JSON.parse(String(data))));
  }

  get audioBytes(): number {
    return this.#audio;
  }

  /** The next message of this type that no earlier call returned or passed over. */
  next(type: string): Promise<Message> {
    const at = this.received.findIndex((message, i) => i >= this.#taken && message['type'] === type);
    if (at >= 0) {
      this.#taken = at + 1;
      return Promise.resolve(this.received[at] ?? {});
    }
    return new Promise((resolve) => this.#waiting.push({ type, after: this.received.length, resolve }));
  }

  /** Everything that was sent so far was read, and the answers to it have arrived. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.once('pong', () => resolve());
      this.socket.ping();
    });
  }

  types(from = 0): unknown[] {
    return this.received.slice(from).map((message) => message['type']);
  }

  all(type: string): Message[] {
    return this.received.filter((message) => message['type'] === type);
  }

  say(...messages: Message[]): void {
    for (const message of messages) this.socket.send(JSON.stringify(message));
  }

  async tell(...messages: Message[]): Promise<void> {
    this.say(...messages);
    await this.settle();
  }

  #take(message: Message): void {
    if (message['type'] === 'input_audio_buffer.append') {
      this.#audio += Buffer.from(String(message['audio']), 'base64').length;
    }
    this.received.push(message);
    const waiting = this.#waiting.findIndex(({ type }) => type === message['type']);
    if (waiting < 0) return;
    this.#taken = this.received.length;
    this.#waiting.splice(waiting, 1)[0]?.resolve(message);
  }
}

type CleanUp = () => Promise<void> | void;

// What one test opened. It belongs to the test that runs, and is empty between tests.
const cleanups: CleanUp[] = [];

/** For `afterEach`: nothing that a test opened survives it. */
export async function cleanUp(): Promise<void> {
  for (const clean of cleanups.splice(0).reverse()) await clean();
}

export interface Server {
  readonly url: string;
  /** Peers that nobody has taken with `peer`. */
  peer(): Promise<Peer>;
  readonly upgrades: number;
}

interface ServerOptions {
  /** Answer the upgrade with this instead. */
  readonly refuse?: { status: number; body: string };
  /** Accept the connection and say nothing, not even HTTP. */
  readonly mute?: boolean;
}

export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const peers: Peer[] = [];
  const waiting: ((peer: Peer) => void)[] = [];
  const state = { upgrades: 0 };
  const raw = new Set<{ destroy(): void }>();
  http.on('upgrade', (request, socket, head) => {
    state.upgrades += 1;
    raw.add(socket);
    socket.on('error', () => undefined);
    if (options.mute) return;
    if (options.refuse) {
      const { status, body } = options.refuse;
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const peer = new Peer(ws, request.url ?? '', request.headers);
      const next = waiting.shift();
      if (next) next(peer);
      else peers.push(peer);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    for (const socket of raw) socket.destroy();
    await new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/v1/realtime`,
    get upgrades() {
      return state.upgrades;
    },
    peer() {
      const peer = peers.shift();
      return peer ? Promise.resolve(peer) : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

export function request(clock: VirtualClock, over: Partial<ConnectRequest> = {}): ConnectRequest {
  return {
    instructions: 'Be brief.',
    voice: undefined,
    language: undefined,
    tools: [],
    turnDetection: {},
    transcribeCaller: true,
    preferredFormats: [MULAW_8K],
    history: [],
    overrides: {},
    clock,
    ...over,
  };
}

export interface Attempt {
  readonly clock: VirtualClock;
  readonly events: ProviderEvent[];
  readonly abort: AbortController;
  readonly connected: Promise<ProviderSession>;
}

export function dial(
  url: string,
  over: Partial<ConnectRequest> = {},
  options: Partial<OpenAiOptions> = {},
): Attempt {
  const clock = new VirtualClock();
  const events: ProviderEvent[] = [];
  const abort = new AbortController();
  const provider = createOpenAiProvider({ apiKey: KEY, baseUrl: url, model: 'gpt-realtime-2.1', ...options });
  const connected = provider.connect(request(clock, over), (event) => events.push(keep(event)), abort.signal);
  connected.catch(() => undefined);
  return { clock, events, abort, connected };
}

/** Bytes of an audio event are only valid during the call. */
function keep(event: ProviderEvent): ProviderEvent {
  return event.type === 'audio' ? { ...event, bytes: Uint8Array.from(event.bytes) } : event;
}

export interface Line extends Attempt {
  readonly peer: Peer;
  readonly session: ProviderSession;
  readonly update: Message;
  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[];
}

export async function open(
  over: Partial<ConnectRequest> = {},
  options: Partial<OpenAiOptions> = {},
  extra: Message = {},
): Promise<Line> {
  const server = await startServer();
  const attempt = dial(server.url, over, options);
  const peer = await server.peer();
  const update = await peer.next('session.update');
  peer.say({ type: 'session.updated', session: { ...(update['session'] as Message), ...extra } });
  const session = await attempt.connected;
  cleanups.push(() => {
    const closing = session.close('test over');
    peer.socket.terminate();
    return closing;
  });
  const of: Line['of'] = (type) => attempt.events.filter((event): event is never => event.type === type);
  return { ...attempt, peer, session, update, of };
}

export async function failure(attempt: Attempt): Promise<BridgeError> {
  return (await attempt.connected.then(
    () => expect.unreachable('connect resolved'),
    (error: unknown) => error,
  )) as BridgeError;
}

export const created = (id: string, token?: unknown): Message => ({
  type: 'response.created',
  response: { id, status: 'in_progress', output: [], metadata: token ? { patchcord: token } : null },
});

export const done = (id: string, status = 'completed', rest: Message = {}): Message => ({
  type: 'response.done',
  response: { id, status, output: [], ...rest },
});

export const delta = (response: string, item: string, bytes: number, index = 0, fill = 1): Message => ({
  type: 'response.output_audio.delta',
  response_id: response,
  item_id: item,
  output_index: index,
  content_index: 0,
  delta: Buffer.alloc(bytes, fill).toString('base64'),
});

export const audioDone = (response: string, item: string, index = 0): Message => ({
  type: 'response.output_audio.done',
  response_id: response,
  item_id: item,
  output_index: index,
  content_index: 0,
});

export const functionCall = (callId: string, name = 'lookup', status = 'completed'): Message => ({
  type: 'function_call',
  id: `item_${callId}`,
  call_id: callId,
  name,
  arguments: `{"id":"${callId}"}`,
  status,
});

export const speechStarted: Message = {
  type: 'input_audio_buffer.speech_started',
  item_id: 'item_u',
  audio_start_ms: 0,
};
export const speechStopped: Message = {
  type: 'input_audio_buffer.speech_stopped',
  item_id: 'item_u',
  audio_end_ms: 9,
};

export function error(code: string, more: Message = {}): Message {
  return { type: 'error', error: { type: 'invalid_request_error', code, message: `it is ${code}`, ...more } };
}

export const result = (output: string, respond = true) => ({ output, isError: false, respond });

/** The session's last event, when it comes. */
export function nextClosed(line: Line): Promise<Extract<ProviderEvent, { type: 'closed' }>> {
  return new Promise((resolve) => {
    const push = line.events.push.bind(line.events);
    line.events.push = (...events: ProviderEvent[]) => {
      const count = push(...events);
      for (const event of events) if (event.type === 'closed') resolve(event);
      return count;
    };
  });
}
