import type { IncomingHttpHeaders } from 'node:http';
import { expect } from 'vitest';
import type { WebSocket } from 'ws';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../../src/provider.ts';
import { createGeminiProvider, type GeminiOptions } from '../../src/providers/gemini.ts';
import { type Server, type ServerOptions, serveSockets, whenOver } from './peers.ts';
import { kept, requestOf } from './provider-request.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A Live service of which the test writes every message, and a client of it. */

export type Message = Record<string, unknown>;

export const KEY = 'AIza-test-0123456789abcdef';

/** 20 ms of what the service hears. */
export const FRAME_IN = 640;

/** What a client message is. */
function kindOf(message: Message): string {
  const [kind = 'nothing'] = Object.keys(message);
  if (kind !== 'realtimeInput') return kind;
  const [what = 'nothing'] = Object.keys(message['realtimeInput'] as Message);
  return what;
}

/** One socket as the service sees it. */
export class Peer {
  readonly socket: WebSocket;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Everything but audio. */
  readonly received: Message[] = [];
  readonly audio: Buffer[] = [];
  readonly closed: Promise<number>;
  readonly #waiting: { kind: string; resolve: (message: Message) => void }[] = [];
  #taken = 0;

  constructor(socket: WebSocket, url: string, headers: IncomingHttpHeaders) {
    this.socket = socket;
    this.url = url;
    this.headers = headers;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => this.#take(JSON.parse(String(data)), isBinary));
  }

  get audioBytes(): number {
    return this.audio.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  /** The next message of this kind that no earlier call returned or passed over. */
  next(kind: string): Promise<Message> {
    const at = this.received.findIndex((message, i) => i >= this.#taken && kindOf(message) === kind);
    if (at >= 0) {
      this.#taken = at + 1;
      return Promise.resolve(this.received[at] ?? {});
    }
    return new Promise((resolve) => this.#waiting.push({ kind, resolve }));
  }

  /** Everything that was sent so far was read, and the answers to it have arrived. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      this.socket.once('pong', () => resolve());
      this.socket.ping();
    });
  }

  /** Kinds of what came after the setup. */
  kinds(): string[] {
    return this.received.slice(1).map(kindOf);
  }

  all(kind: string): Message[] {
    return this.received.filter((message) => kindOf(message) === kind);
  }

  say(...messages: Message[]): void {
    for (const message of messages) this.socket.send(Buffer.from(JSON.stringify(message)));
  }

  async tell(...messages: Message[]): Promise<void> {
    this.say(...messages);
    await this.settle();
  }

  #take(message: Message, isBinary: boolean): void {
    expect(isBinary, 'a client of this protocol sends text').toBe(false);
    const kind = kindOf(message);
    if (kind === 'audio') {
      const { audio } = message['realtimeInput'] as { audio: { data: string; mimeType: string } };
      expect(audio.mimeType).toBe('audio/pcm;rate=16000');
      this.audio.push(Buffer.from(audio.data, 'base64'));
      return;
    }
    this.received.push(message);
    const waiting = this.#waiting.findIndex((one) => one.kind === kind);
    if (waiting < 0) return;
    this.#taken = this.received.length;
    this.#waiting.splice(waiting, 1)[0]?.resolve(message);
  }
}

export function startServer(options: ServerOptions = {}): Promise<Server<Peer>> {
  return serveSockets((socket, url, headers) => new Peer(socket, url, headers), options);
}

export interface Attempt {
  readonly clock: VirtualClock;
  readonly events: ProviderEvent[];
  readonly abort: AbortController;
  readonly connected: Promise<ProviderSession>;
  /** Runs with each event as it comes, before anything else can happen. */
  onEvent: (event: ProviderEvent) => void;
}

export function dial(
  url: string,
  over: Partial<ConnectRequest> = {},
  options: Partial<GeminiOptions> = {},
): Attempt {
  const clock = new VirtualClock();
  const events: ProviderEvent[] = [];
  const abort = new AbortController();
  const provider = createGeminiProvider({ apiKey: KEY, baseUrl: url, ...options });
  const sink = (event: ProviderEvent): void => {
    events.push(kept(event));
    attempt.onEvent(event);
  };
  const connected = provider.connect(requestOf({ clock, ...over }), sink, abort.signal);
  connected.catch(() => undefined);
  const attempt: Attempt = { clock, events, abort, connected, onEvent: () => undefined };
  return attempt;
}

export interface Line extends Attempt {
  readonly peer: Peer;
  readonly session: ProviderSession;
  /** The contents of the setup message. */
  readonly setup: Message;
  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[];
}

export async function open(
  over: Partial<ConnectRequest> = {},
  options: Partial<GeminiOptions> = {},
): Promise<Line> {
  const server = await startServer();
  const attempt = dial(server.url, over, options);
  const peer = await server.peer();
  const { setup } = await peer.next('setup');
  peer.say({ setupComplete: {} });
  const session = await attempt.connected;
  whenOver(() => {
    const closing = session.close('test over');
    peer.socket.terminate();
    return closing;
  });
  const of: Line['of'] = (type) => attempt.events.filter((event): event is never => event.type === type);
  return Object.assign(attempt, { peer, session, setup: setup as Message, of });
}

export const content = (fields: Message): Message => ({ serverContent: fields });

/** Speech of so many ms. */
export const speech = (ms: number, fill = 1): Message =>
  content({
    modelTurn: {
      role: 'model',
      parts: [
        {
          inlineData: {
            mimeType: 'audio/pcm;rate=24000',
            data: Buffer.alloc(ms * 48, fill).toString('base64'),
          },
        },
      ],
    },
  });

export const spoken = (text: string): Message => content({ outputTranscription: { text } });
export const heard = (text: string): Message => content({ inputTranscription: { text } });
export const generated: Message = content({ generationComplete: true });
export const interrupted: Message = content({ interrupted: true });
export const complete: Message = content({ turnComplete: true });

export const toolCall = (...ids: string[]): Message => ({
  toolCall: { functionCalls: ids.map((id) => ({ id, name: 'lookup', args: { of: id } })) },
});

export const LOOKUP = {
  name: 'lookup',
  description: 'Looks something up.',
  parameters: { type: 'object', properties: { of: { type: 'string' } } },
} as const;

export const result = (output: string, respond = true) => ({ output, isError: false, respond });

/** Texts of the messages that ask or tell something, in order. */
export function texts(peer: Peer): string[] {
  return peer.received.flatMap((message) => {
    const { realtimeInput, clientContent } = message as {
      realtimeInput?: { text?: string };
      clientContent?: { turns: { parts: { text: string }[] }[] };
    };
    if (typeof realtimeInput?.text === 'string') return [realtimeInput.text];
    return (clientContent?.turns ?? []).flatMap(({ parts }) => parts.map(({ text }) => text));
  });
}

/** The session's last event, when it comes. */
export function nextClosed(line: Line): Promise<Extract<ProviderEvent, { type: 'closed' }>> {
  return new Promise((resolve) => {
    const before = line.onEvent;
    line.onEvent = (event) => {
      before(event);
      if (event.type === 'closed') resolve(event);
    };
  });
}
