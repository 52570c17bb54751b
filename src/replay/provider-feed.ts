import type { AudioFormat } from '../audio/format.ts';
import { BridgeError } from '../errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from '../provider.ts';
import type { Control, Line, RecordedProvider } from '../recording/format.ts';
import type { EventStream, Network, StreamChunk, StreamListener, WireListener, WireSocket } from '../wire.ts';
import { type Connection, FedSocket, type Source, textOf } from './fed-socket.ts';
import { bridgeErrorOf, sessionEventOf, thrownOf } from './told.ts';

type ProviderLine = Extract<Line, { on: 'provider' }>;

/** Promises that are settled one after the other meanwhile. */
const SIGNING_TICKS = 32;

/** The providers of a replay: every connection that the bridge begins is one of the recording, in the same order. */
export class ProviderFeed implements Network {
  readonly #source: Source;
  readonly #connections: Connection[] = [];
  /** When a service took each message, by connection. */
  readonly #taken = new Map<number, number[]>();
  /** Came in before the bridge had begun the connection. */
  readonly #early = new Map<number, ProviderLine[]>();

  /** @param lines of the recording */
  constructor(source: Source, lines: readonly Line[]) {
    this.#source = source;
    for (const line of lines) {
      if (line.on !== 'provider' || line.dir !== 'out' || !('msg' in line)) continue;
      const times = this.#taken.get(line.conn);
      if (times === undefined) this.#taken.set(line.conn, [line.t]);
      else times.push(line.t);
    }
  }

  dial(_url: URL, _options: unknown, listener: WireListener): WireSocket {
    const socket = new FedSocket(listener, this.#source, 'connecting');
    this.#begin(socket);
    return socket;
  }

  stream(
    _what: string,
    _open: unknown,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    const taken = this.#taken.get(this.#connections.length + 1) ?? [];
    const stream = new FedStream(body, listener, this.#source, taken);
    this.#begin(stream);
    return stream;
  }

  /** One that has no network of its own. */
  provider({ name, model, capabilities }: RecordedProvider): RealtimeProvider {
    if (capabilities === undefined) {
      throw new BridgeError('BAD_RECORDING', `provider ${name}: found no capabilities, wanted those it had`);
    }
    return {
      name,
      model,
      capabilities,
      connect: (_request: ConnectRequest, sink, signal) => {
        const session = new FedSession(sink, signal, this.#source);
        this.#begin(session);
        return session.ready;
      },
    };
  }

  /** A line of the recording. False: the bridge has not begun this connection; it is kept until it does. */
  feed(line: ProviderLine): boolean {
    const connection = this.#connections[line.conn - 1];
    if (connection !== undefined) {
      give(connection, line);
      return true;
    }
    const early = this.#early.get(line.conn);
    if (early === undefined) this.#early.set(line.conn, [line]);
    else early.push(line);
    return false;
  }

  #begin(connection: Connection): void {
    this.#connections.push(connection);
    const conn = this.#connections.length;
    const early = this.#early.get(conn);
    this.#early.delete(conn);
    if (early === undefined) return;
    // Nothing may be told before whoever dials has what it gets for it.
    queueMicrotask(() => {
      for (const line of early) give(connection, line);
    });
  }
}

function give(connection: Connection, line: ProviderLine): void {
  if ('ctl' in line) connection.control(line.ctl);
  else connection.message(line.msg);
}

/** An event stream to a provider. */
class FedStream implements EventStream, Connection {
  readonly #listener: StreamListener;
  readonly #source: Source;
  #isOver = false;

  constructor(
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
    source: Source,
    taken: readonly number[],
  ) {
    this.#listener = listener;
    this.#source = source;
    this.#read(body, taken).catch(() => undefined);
  }

  abort(): void {}

  message(message: unknown): void {
    if (!this.#isOver) this.#listener.received(Buffer.from(textOf(message, this.#source)));
  }

  control(control: Control): void {
    if (this.#isOver) return;
    if (control.type === 'open') this.#listener.connected();
    else if (control.type === 'accepted') this.#listener.accepted();
    else if (control.type === 'text') this.#listener.received(Buffer.from(control.text));
    else if (control.type === 'binary') this.#listener.received(Buffer.from(control.base64, 'base64'));
    else if (control.type === 'ended') {
      this.#isOver = true;
      this.#listener.ended(thrownOf(control.error), control.networkCode);
    }
  }

  /** Takes each message no sooner than the service did: what waits meanwhile may become one. */
  async #read(body: AsyncIterable<StreamChunk>, taken: readonly number[]): Promise<void> {
    const messages = body[Symbol.asyncIterator]();
    for (let index = 0; !this.#isOver; index++) {
      await this.#source.until(taken[index] ?? 0);
      if ((await messages.next()).done === true) return;
      // A real one signs a message before it takes the next: whatever this moment has set going comes first.
      for (let tick = 0; tick < SIGNING_TICKS; tick++) await undefined;
    }
  }
}

/** A session with a provider that has no network. What it is told is in the recording that the replay makes. */
class FedSession implements ProviderSession, Connection {
  readonly ready: Promise<ProviderSession>;
  readonly #sink: (event: ProviderEvent) => void;
  readonly #source: Source;
  #settle: { resolve: (session: ProviderSession) => void; reject: (error: unknown) => void } | undefined;
  #formats: { readonly input: AudioFormat; readonly output: AudioFormat } | undefined;
  readonly #over: Promise<void>;
  #finish: () => void = () => undefined;

  constructor(sink: (event: ProviderEvent) => void, signal: AbortSignal, source: Source) {
    this.#sink = sink;
    this.#source = source;
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#over = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const giveUp = (): void => this.#settle?.reject(new BridgeError('CANCELLED', 'the call is over'));
    signal.addEventListener('abort', giveUp, { once: true });
  }

  get input(): AudioFormat {
    return this.#connected.input;
  }

  get output(): AudioFormat {
    return this.#connected.output;
  }

  sendAudio(): boolean {
    return true;
  }

  sendText(): void {}

  say(): void {}

  sendToolResult(): void {}

  interrupt(): void {}

  close(): Promise<void> {
    return this.#over;
  }

  control(control: Control): void {
    if (control.type === 'connected') {
      const { input, output } = control;
      // The reader of the recording has checked that there are such formats.
      this.#formats = { input: input as AudioFormat, output: output as AudioFormat };
      this.#settle?.resolve(this);
    } else if (control.type === 'not-connected') {
      this.#settle?.reject(bridgeErrorOf(control.error));
    }
  }

  message(message: unknown): void {
    const event = sessionEventOf(message, this.#source.audio);
    if (event === undefined) return;
    this.#sink(event);
    if (event.type === 'closed') this.#finish();
  }

  get #connected(): { readonly input: AudioFormat; readonly output: AudioFormat } {
    if (this.#formats !== undefined) return this.#formats;
    throw new BridgeError('INTERNAL', 'a session of the recording is used before it was connected');
  }
}
