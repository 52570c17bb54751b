import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { type CallOptions, type Exchange, type SimulatedCall, startExchange } from '../../src/sim/phone.ts';
import { VirtualClock } from './virtual-clock.ts';

export const TOKEN = '12345678901234567890123456789012';

export type Message = Record<string, unknown>;

export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** As it came, and as a form. */
  readonly body: string;
  readonly form: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status?: number;
  readonly type?: string;
  readonly body: string;
}

/** The bridge's end of a media socket, by hand. */
export class MediaEnd {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly messages: Message[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  readonly #waiting: { readonly met: () => boolean; readonly go: () => void }[] = [];

  constructor(socket: WebSocket, path: string, headers: IncomingHttpHeaders) {
    this.socket = socket;
    this.path = path;
    this.headers = headers;
    this.closed = new Promise((resolve) => {
      socket.on('close', resolve);
    });
    socket.on('message', (data: RawData) => {
      this.messages.push(JSON.parse(String(data)) as Message);
      for (const waiter of this.#waiting.filter((one) => one.met())) {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        waiter.go();
      }
    });
  }

  of(event: string): Message[] {
    return this.messages.filter((message) => message['event'] === event);
  }

  async count(event: string, count: number): Promise<Message[]> {
    const met = (): boolean => this.of(event).length >= count;
    if (!met()) await new Promise<void>((go) => this.#waiting.push({ met, go }));
    return this.of(event);
  }

  get streamSid(): unknown {
    return this.of('start')[0]?.['streamSid'];
  }

  send(event: string, rest: Message = {}): void {
    this.socket.send(JSON.stringify({ event, streamSid: this.streamSid, ...rest }));
  }

  play(ms: number, code = 0x10): void {
    this.send('media', { media: { payload: Buffer.alloc(ms * 8, code).toString('base64') } });
  }

  mark(name: string): void {
    this.send('mark', { mark: { name } });
  }
}

/** A bridge of the least possible size: documents from a function, media by hand. */
export class HandBridge implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly ends: MediaEnd[] = [];
  answer: (request: SeenRequest) => Reply | undefined = () => undefined;
  refuseUpgrade: number | undefined;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #waiting: ((end: MediaEnd) => void)[] = [];

  constructor() {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const raw = Buffer.concat(pieces).toString('utf8');
        const form = Object.fromEntries(new URLSearchParams(raw));
        const { method = '', url: target = '', headers } = request;
        const seen: SeenRequest = { method, target, headers, body: raw, form };
        this.requests.push(seen);
        const { status = 200, type = 'text/xml', body } = this.answer(seen) ?? { body: this.document() };
        response.writeHead(status, { 'content-type': type }).end(body);
      });
    });
    this.#server.on('upgrade', (request, socket, head) => {
      if (this.refuseUpgrade !== undefined) {
        socket.end(`HTTP/1.1 ${this.refuseUpgrade} Refused\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (media) => {
        const end = new MediaEnd(media, request.url ?? '', request.headers);
        this.ends.push(end);
        this.#waiting.shift()?.(end);
      });
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get host(): string {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '';
  }

  get url(): string {
    return `http://${this.host}`;
  }

  document(after = '', attributes = ''): string {
    return `<?xml version="1.0" encoding="UTF-8"?><Response><Connect ${attributes}><Stream url="ws://${this.host}/media/tok_1"/></Connect>${after}</Response>`;
  }

  media(): Promise<MediaEnd> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  requestsTo(path: string): readonly SeenRequest[] {
    return this.requests.filter((request) => request.target === path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.ends) end.socket.terminate();
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }
}

export interface Setup extends AsyncDisposable {
  readonly bridge: HandBridge;
  readonly exchange: Exchange;
  readonly clock: VirtualClock;
  readonly call: SimulatedCall;
  readonly media: MediaEnd;
  /** Resolves when the phone has read everything that the bridge has sent so far. */
  read(): Promise<void>;
}

export async function onTheLine(options: Partial<CallOptions> = {}): Promise<Setup> {
  const bridge = await new HandBridge().listen();
  const clock = new VirtualClock();
  const exchange = await startExchange({ clock });
  const connected = bridge.media();
  const call = exchange.placeCall({ webhookUrl: `${bridge.url}/voice/twilio`, authToken: TOKEN, ...options });
  const media = await connected;
  await call.streaming;
  await media.count('start', 1);
  return {
    bridge,
    exchange,
    clock,
    call,
    media,
    read: () =>
      new Promise((resolve) => {
        media.socket.once('pong', () => resolve());
        media.socket.ping();
      }),
    async [Symbol.asyncDispose]() {
      await exchange[Symbol.asyncDispose]();
      await bridge[Symbol.asyncDispose]();
    },
  };
}

/** An exchange and a bridge without a call. */
export async function atTheBridge(answer?: (request: SeenRequest) => Reply | undefined) {
  const bridge = await new HandBridge().listen();
  if (answer !== undefined) bridge.answer = answer;
  const clock = new VirtualClock();
  const exchange = await startExchange({ clock });
  return {
    bridge,
    clock,
    exchange,
    place: (options: Partial<CallOptions> = {}): SimulatedCall =>
      exchange.placeCall({ webhookUrl: `${bridge.url}/voice/twilio`, authToken: TOKEN, ...options }),
    async [Symbol.asyncDispose](): Promise<void> {
      await exchange[Symbol.asyncDispose]();
      await bridge[Symbol.asyncDispose]();
    },
  };
}

export function tone(ms: number, rate = 8000): Int16Array {
  return Int16Array.from(
    { length: (ms * rate) / 1000 },
    (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * i) / rate),
  );
}

export const xml = (verbs: string): Reply => ({ body: `<?xml version="1.0"?><Response>${verbs}</Response>` });

/** The SDK's own requests, sent to the exchange. */
export async function updateCall(
  exchange: Exchange,
  call: SimulatedCall,
  form: Record<string, string>,
  token = TOKEN,
) {
  const path = `/2010-04-01/Accounts/${call.identity.accountId}/Calls/${call.callId}.json`;
  const response = await fetch(`${exchange.restBaseUrl}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${call.identity.accountId}:${token}`).toString('base64')}`,
    },
    body: new URLSearchParams(form),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Lets promises and sockets go on until something is true; vitest's limit ends it when it never is. */
export async function until(met: () => boolean): Promise<void> {
  while (!met()) await nextTurn();
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The audio of media messages, one after the other. */
export function twilioFrames(messages: readonly Message[]): Buffer {
  return Buffer.concat(
    messages.map((message) => Buffer.from(String((message['media'] as Message)['payload']), 'base64')),
  );
}
