import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../src/clock.ts';
import { type CallOptions, type Exchange, type SimulatedCall, startExchange } from '../src/sim/phone.ts';

const TOKEN = '12345678901234567890123456789012';

type Message = Record<string, unknown>;

interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: Readonly<Record<string, string>>;
}

interface Reply {
  readonly status?: number;
  readonly type?: string;
  readonly body: string;
}

/** The bridge's end of a media socket, by hand. */
class MediaEnd {
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
class HandBridge implements AsyncDisposable {
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
        const form = Object.fromEntries(new URLSearchParams(Buffer.concat(pieces).toString('utf8')));
        const { method = '', url: target = '', headers } = request;
        const seen: SeenRequest = { method, target, headers, form };
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

/** Time that stands still until it is moved. */
class HandClock implements Clock {
  #nowMs = 1000;
  readonly #timers = new Map<object, { readonly atMs: number; readonly run: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  epoch(): number {
    return Date.UTC(2026, 0, 2, 3, 4, 5) + this.#nowMs - 1000;
  }

  after(ms: number, run: () => void): () => void {
    const key = {};
    this.#timers.set(key, { atMs: this.#nowMs + ms, run });
    return () => this.#timers.delete(key);
  }

  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.atMs <= untilMs);
      const [first] = due.sort(([, a], [, b]) => a.atMs - b.atMs);
      if (first === undefined) break;
      const [key, timer] = first;
      this.#timers.delete(key);
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.run();
    }
    this.#nowMs = untilMs;
  }
}

interface Setup extends AsyncDisposable {
  readonly bridge: HandBridge;
  readonly exchange: Exchange;
  readonly clock: HandClock;
  readonly call: SimulatedCall;
  readonly media: MediaEnd;
  /** Resolves when the phone has read everything that the bridge has sent so far. */
  read(): Promise<void>;
}

async function onTheLine(options: Partial<CallOptions> = {}): Promise<Setup> {
  const bridge = await new HandBridge().listen();
  const clock = new HandClock();
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

describe('the media stream of the simulated phone', () => {
  it('says connected and start, and then sends silence every 20 ms in strings', async () => {
    await using line = await onTheLine();
    line.clock.advance(60);
    const media = await line.media.count('media', 3);
    expect(line.media.messages[0]).toEqual({ event: 'connected', protocol: 'Call', version: '1.0.0' });
    expect(line.media.messages[1]).toEqual({
      event: 'start',
      sequenceNumber: '1',
      streamSid: line.call.streamSid,
      start: {
        accountSid: line.call.accountSid,
        streamSid: line.call.streamSid,
        callSid: line.call.callSid,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
        customParameters: {},
      },
    });
    const payload = Buffer.alloc(160, 0xff).toString('base64');
    expect(media).toEqual(
      [1, 2, 3].map((chunk) => ({
        event: 'media',
        sequenceNumber: String(chunk + 1),
        streamSid: line.call.streamSid,
        media: { track: 'inbound', chunk: String(chunk), timestamp: String(chunk * 20 - 15), payload },
      })),
    );
    expect(
      twilio.validateRequest(
        TOKEN,
        String(line.media.headers['x-twilio-signature']),
        `ws://${line.bridge.host}/media/tok_1`,
        {},
      ),
    ).toBe(true);
  });
});
