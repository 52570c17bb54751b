import type { IncomingHttpHeaders } from 'node:http';
import type { WebSocket } from 'ws';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../../src/provider.ts';
import { createOpenAiProvider, type OpenAiOptions } from '../../src/providers/openai.ts';
import { type Server, type ServerOptions, serveSockets, whenOver } from './peers.ts';
import { kept, requestOf } from './provider-request.ts';
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

export async function startServer(options: ServerOptions = {}): Promise<Server<Peer>> {
  const server = await serveSockets((socket, url, headers) => new Peer(socket, url, headers), options);
  return {
    ...server,
    url: `${server.url}/v1/realtime`,
    get upgrades() {
      return server.upgrades;
    },
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
  const connected = provider.connect(
    requestOf({ clock, ...over }),
    (event) => events.push(kept(event)),
    abort.signal,
  );
  connected.catch(() => undefined);
  return { clock, events, abort, connected };
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
  whenOver(() => {
    const closing = session.close('test over');
    peer.socket.terminate();
    return closing;
  });
  const of: Line['of'] = (type) => attempt.events.filter((event): event is never => event.type === type);
  return { ...attempt, peer, session, update, of };
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
