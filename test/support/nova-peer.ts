import {
  createServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../../src/provider.ts';
import { createNovaProvider, type NovaOptions } from '../../src/providers/nova.ts';
import { Handout, whenOver } from './peers.ts';
import { kept, requestOf } from './provider-request.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A server of bidirectional event streams of which the test writes every event, and a client of it. */

/** One event by its name, such as `textOutput`. */
export interface Message {
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type Header = readonly [name: string, value: string];

/** One message of `application/vnd.amazon.eventstream`; all headers are strings. */
export function frame(headers: readonly Header[], payload: Buffer): Buffer {
  const encoded = Buffer.concat(
    headers.map(([name, value]) => {
      const bytes = Buffer.from(value);
      const head = Buffer.alloc(name.length + 4);
      head.writeUInt8(name.length, 0);
      head.write(name, 1);
      head.writeUInt8(7, name.length + 1);
      head.writeUInt16BE(bytes.length, name.length + 2);
      return Buffer.concat([head, bytes]);
    }),
  );
  const whole = Buffer.alloc(16 + encoded.length + payload.length);
  whole.writeUInt32BE(whole.length, 0);
  whole.writeUInt32BE(encoded.length, 4);
  whole.writeUInt32BE(crc32(whole.subarray(0, 8)), 8);
  encoded.copy(whole, 12);
  payload.copy(whole, 12 + encoded.length);
  whole.writeUInt32BE(crc32(whole.subarray(0, -4)), whole.length - 4);
  return whole;
}

/** What the service sends for one chunk of output, whatever its text is. */
export function chunk(text: string): Buffer {
  const payload = JSON.stringify({ bytes: Buffer.from(text).toString('base64'), p: 'abcd' });
  return frame(
    [
      [':event-type', 'chunk'],
      [':content-type', 'application/json'],
      [':message-type', 'event'],
    ],
    Buffer.from(payload),
  );
}

function payloadOf(message: Buffer): Buffer {
  return message.subarray(12 + message.readUInt32BE(4), message.length - 4);
}

/** One stream as the server sees it. */
export class Peer {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly received: Message[] = [];
  /** The client has ended its side in order. */
  readonly inputEnded: Promise<void>;
  readonly closed: Promise<void>;
  /** Sizes of the audio of each `audioInput`. */
  readonly audioSizes: number[] = [];
  #audio: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #taken = 0;
  readonly #waiting: { name: string; resolve: (message: Message) => void }[] = [];
  #audioWaiting: (() => void)[] = [];
  #inputEnd: () => void = () => undefined;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.stream = stream;
    this.headers = headers;
    this.inputEnded = new Promise((resolve) => {
      this.#inputEnd = resolve;
    });
    this.closed = new Promise((resolve) => stream.on('close', resolve));
    stream.on('error', () => undefined);
    stream.on('data', (bytes: Buffer) => this.#read(bytes));
  }

  get audio(): Buffer {
    return Buffer.concat(this.#audio);
  }

  get audioBytes(): number {
    return this.audioSizes.reduce((sum, size) => sum + size, 0);
  }

  /** Resolves when so much audio has come in all. */
  async heard(bytes: number): Promise<void> {
    while (this.audioBytes < bytes) await new Promise<void>((resolve) => this.#audioWaiting.push(resolve));
  }

  /** Resolves when a piece of audio has come that ends like this. */
  async heardEnd(bytes: Uint8Array): Promise<void> {
    const ends = (audio: Buffer): boolean => audio.subarray(-bytes.length).equals(bytes);
    while (!this.#audio.some(ends)) await new Promise<void>((resolve) => this.#audioWaiting.push(resolve));
  }

  /** The next event of this name that no earlier call returned or passed over. */
  next(name: string): Promise<Message> {
    const at = this.received.findIndex((message, i) => i >= this.#taken && message.name === name);
    if (at >= 0) {
      this.#taken = at + 1;
      return Promise.resolve(this.received[at] ?? { name, body: {} });
    }
    return new Promise((resolve) => this.#waiting.push({ name, resolve }));
  }

  names(from = 0): string[] {
    return this.received.slice(from).map(({ name }) => name);
  }

  all(name: string): Message['body'][] {
    return this.received.filter((message) => message.name === name).map(({ body }) => body);
  }

  /** Says that the stream stands, as the service does at once. */
  accept(): void {
    this.stream.respond({ ':status': 200, 'content-type': 'application/vnd.amazon.eventstream' });
  }

  say(...messages: Message[]): void {
    for (const { name, body } of messages) this.raw(chunk(JSON.stringify({ event: { [name]: body } })));
  }

  raw(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  /** A modelled error, which ends the stream. */
  except(type: string, message: string): void {
    const payload = Buffer.from(JSON.stringify({ message }));
    const headers: Header[] = [
      [':exception-type', type],
      [':content-type', 'application/json'],
      [':message-type', 'exception'],
    ];
    this.stream.end(frame(headers, payload));
  }

  /** An error without a model. */
  fail(code: string, message: string): void {
    const headers: Header[] = [
      [':error-code', code],
      [':error-message', message],
      [':message-type', 'error'],
    ];
    this.stream.end(frame(headers, Buffer.alloc(0)));
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 4 && this.#rest.length >= this.#rest.readUInt32BE(0)) {
      const length = this.#rest.readUInt32BE(0);
      const payload = payloadOf(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
      if (payload.length === 0) this.#inputEnd();
      else this.#take(payloadOf(payload));
    }
  }

  #take(payload: Buffer): void {
    const { bytes } = JSON.parse(String(payload)) as { bytes: string };
    const { event } = JSON.parse(String(Buffer.from(bytes, 'base64'))) as {
      event: Record<string, Record<string, unknown>>;
    };
    const [[name, body] = ['', {}]] = Object.entries(event);
    if (name === 'audioInput') this.#hear(Buffer.from(String(body['content']), 'base64'));
    this.received.push({ name, body });
    const waiting = this.#waiting.findIndex((one) => one.name === name);
    if (waiting < 0) return;
    this.#taken = this.received.length;
    this.#waiting.splice(waiting, 1)[0]?.resolve({ name, body });
  }

  #hear(audio: Buffer): void {
    this.#audio.push(audio);
    this.audioSizes.push(audio.length);
    for (const wake of this.#audioWaiting.splice(0)) wake();
  }
}

export interface Server {
  readonly url: string;
  /** Connections that are open. */
  readonly sessions: ReadonlySet<Http2Session>;
  /** Streams in the order in which they came, each handed out once. */
  peer(): Promise<Peer>;
  close(): Promise<void>;
}

export interface ServerOptions {
  /** Answer the request with this instead of a stream. */
  readonly refuse?: { readonly status: number; readonly type: string; readonly message: string };
  /** Do not say that the stream stands; the test does. */
  readonly late?: boolean;
}

export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const http: Http2Server = createServer();
  const peers = new Handout<Peer>();
  const sessions = new Set<Http2Session>();
  http.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  http.on('stream', (stream, headers) => {
    const { refuse } = options;
    if (refuse !== undefined) {
      stream.on('error', () => undefined);
      stream.respond({
        ':status': refuse.status,
        'content-type': 'application/json',
        'x-amzn-errortype': refuse.type,
      });
      stream.end(JSON.stringify({ message: refuse.message }));
      return;
    }
    const peer = new Peer(stream, headers);
    if (options.late !== true) peer.accept();
    peers.add(peer);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      http.close(() => resolve());
      for (const session of sessions) session.destroy();
    });
    return closing;
  };
  whenOver(close);
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    sessions,
    peer: () => peers.next(),
    close,
  };
}

export const CREDENTIALS = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'example-secret-0123456789' };

/** The formats of the service are its own. */
export function request(over: Partial<ConnectRequest> = {}): ConnectRequest {
  return requestOf({ preferredFormats: [], ...over });
}

/** A session and everything that it told. */
export interface Line {
  readonly server: Server;
  readonly peer: Peer;
  readonly session: ProviderSession;
  readonly clock: VirtualClock;
  readonly events: ProviderEvent[];
  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[];
  /** The next event of this type that no earlier call returned, from now or before. */
  next<T extends ProviderEvent['type']>(type: T): Promise<Extract<ProviderEvent, { type: T }>>;
  /** Everything that the peer said so far was read. */
  settle(): Promise<void>;
  /** Everything that the session sent so far was read by the peer. Sends two bytes of audio. */
  sent(): Promise<void>;
  /** Time goes on, and the network has a part in it. */
  pass(ms: number): Promise<void>;
}

/** Collects events, to be waited for. */
export class Told {
  readonly events: ProviderEvent[] = [];
  /** By type, so many were handed out. */
  readonly #taken = new Map<string, number>();
  #waiting: (() => void)[] = [];

  readonly sink = (event: ProviderEvent): void => {
    this.events.push(kept(event));
    for (const wake of this.#waiting.splice(0)) wake();
  };

  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<ProviderEvent, { type: T }> => event.type === type);
  }

  async next<T extends ProviderEvent['type']>(type: T): Promise<Extract<ProviderEvent, { type: T }>> {
    const at = this.#taken.get(type) ?? 0;
    this.#taken.set(type, at + 1);
    for (;;) {
      const found = this.of(type)[at];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

export async function open(
  over: Partial<ConnectRequest> = {},
  options: Partial<NovaOptions> = {},
): Promise<Line> {
  const clock = new VirtualClock();
  const server = await startServer();
  const provider = createNovaProvider({
    region: 'us-east-1',
    endpoint: server.url,
    credentials: CREDENTIALS,
    ...options,
  });
  whenOver(() => provider.close());
  const told = new Told();
  const coming = server.peer();
  const session = await provider.connect(
    request({ clock, ...over }),
    told.sink,
    new AbortController().signal,
  );
  whenOver(() => {
    const closing = session.close('test over');
    // Nobody says goodbye to it.
    clock.advance(2_000);
    return closing;
  });
  const peer = await coming;
  let settled = 0;
  let marks = 0;
  return {
    server,
    peer,
    session,
    clock,
    events: told.events,
    of: (type) => told.of(type),
    next: (type) => told.next(type),
    sent: async () => {
      // What is only told waits that long for something that is to be answered.
      await Promise.resolve();
      // Audio leaves after all that was put before it.
      marks += 1;
      const mark = Uint8Array.of(marks & 0xff, 0x40 + ((marks >> 8) & 0x3f));
      session.sendAudio(mark);
      await peer.heardEnd(mark);
    },
    pass: async (ms) => {
      for (let left = ms; left > 0; left -= 100) {
        clock.advance(Math.min(left, 100));
        for (let i = 0; i < 4; i += 1) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    settle: async () => {
      // A usage report is the one thing that says something at any time and changes nothing.
      settled += 1;
      const mark = settled;
      peer.say(usage({ speechTokens: mark }, { speechTokens: mark }));
      while (!told.of('usage').some((event) => event.usage.inputAudioTokens === mark))
        await told.next('usage');
    },
  };
}

const IDS = { sessionId: 's', promptName: 'p', completionId: 'c' };

export function usage(
  input: Readonly<Record<string, number>>,
  total: Readonly<Record<string, number>>,
): Message {
  const none = { speechTokens: 0, textTokens: 0 };
  return {
    name: 'usageEvent',
    body: {
      ...IDS,
      details: {
        delta: { input: { ...none, ...input }, output: none },
        total: { input: { ...none, ...total }, output: none },
      },
    },
  };
}

type Stage = 'SPECULATIVE' | 'FINAL';
type Stop = 'PARTIAL_TURN' | 'END_TURN' | 'INTERRUPTED' | 'TOOL_USE';

export function contentStart(
  contentId: string,
  type: 'TEXT' | 'AUDIO' | 'TOOL',
  role: 'USER' | 'ASSISTANT' | 'TOOL',
  stage?: Stage,
): Message {
  const fields =
    stage === undefined ? {} : { additionalModelFields: JSON.stringify({ generationStage: stage }) };
  return { name: 'contentStart', body: { ...IDS, contentId, type, role, ...fields } };
}

export function contentEnd(contentId: string, type: 'TEXT' | 'AUDIO' | 'TOOL', stopReason: Stop): Message {
  return { name: 'contentEnd', body: { ...IDS, contentId, type, stopReason } };
}

export function text(
  contentId: string,
  role: 'USER' | 'ASSISTANT',
  stage: Stage,
  content: string,
  stop: Stop = 'PARTIAL_TURN',
): Message[] {
  return [
    contentStart(contentId, 'TEXT', role, stage),
    { name: 'textOutput', body: { ...IDS, contentId, role, content } },
    contentEnd(contentId, 'TEXT', stop),
  ];
}

export function audioOutput(contentId: string, bytes: Uint8Array): Message {
  return {
    name: 'audioOutput',
    body: { ...IDS, contentId, content: Buffer.from(bytes).toString('base64') },
  };
}

export function audio(
  contentId: string,
  pieces: readonly Uint8Array[],
  stop: Stop = 'PARTIAL_TURN',
): Message[] {
  return [
    contentStart(contentId, 'AUDIO', 'ASSISTANT'),
    ...pieces.map((piece) => audioOutput(contentId, piece)),
    contentEnd(contentId, 'AUDIO', stop),
  ];
}

export function toolUse(contentId: string, toolUseId: string, toolName: string, content: string): Message[] {
  return [
    contentStart(contentId, 'TOOL', 'TOOL'),
    { name: 'toolUse', body: { ...IDS, contentId, toolUseId, toolName, content } },
    contentEnd(contentId, 'TOOL', 'TOOL_USE'),
  ];
}

/** One sentence of the agent, as the service sends it. */
export function sentence(id: string, words: string, bytes: Uint8Array, last = true): Message[] {
  return [
    ...text(`${id}-planned`, 'ASSISTANT', 'SPECULATIVE', words),
    ...audio(`${id}-audio`, [bytes], last ? 'END_TURN' : 'PARTIAL_TURN'),
    ...text(`${id}-said`, 'ASSISTANT', 'FINAL', words, last ? 'END_TURN' : 'PARTIAL_TURN'),
  ];
}

/** What the service makes of the caller's speech. */
export function heard(id: string, words: string): Message[] {
  return text(id, 'USER', 'FINAL', words);
}
