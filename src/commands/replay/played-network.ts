import { bytesPerMs } from '../../audio/format.ts';
import type { Clock } from '../../clock.ts';
import { isRecord } from '../../is-record.ts';
import { audioRefsOf } from '../../recording/audio-refs.ts';
import type { Control } from '../../recording/format.ts';
import { putAudio, takeAudio } from '../../recording/payloads.ts';
import { audioOf, type StoredCall } from '../../recording/stored-call.ts';
import { learnFormats, usualFormats } from '../../recording/wire-formats.ts';
import { IdBook } from '../../replay/id-book.ts';
import { errorOf, tellSmall, thrownOf } from '../../replay/told.ts';
import type {
  DialOptions,
  EventStream,
  Network,
  OpenStream,
  StreamChunk,
  StreamListener,
  WireListener,
  WireSocket,
} from '../../wire.ts';
import { CuedScript, type ProviderLine } from './cued-script.ts';

export interface PlayedOptions {
  readonly stored: StoredCall;
  readonly clock: Clock;
  /** Something that the recorded provider had waited for did not come. */
  onMissed(line: ProviderLine): void;
}

interface Dialled {
  readonly conn: number;
  readonly url: string;
  taken: boolean;
}

/**
 * A network at whose other end are the providers of a stored call: each connection says what it said then, as `CuedScript`
 * has it, whatever it is sent. Connections are given out by address, else in their order; one too many fails.
 */
export class PlayedNetwork implements Network {
  readonly #options: PlayedOptions;
  readonly #ids = new IdBook();
  readonly #dialled: readonly Dialled[];

  constructor(options: PlayedOptions) {
    this.#options = options;
    this.#dialled = options.stored.lines.flatMap((line) =>
      line.on === 'provider' && 'ctl' in line && line.ctl.type === 'dial'
        ? [{ conn: line.conn, url: line.ctl.url, taken: false }]
        : [],
    );
  }

  dial(url: URL, _options: DialOptions, listener: WireListener): WireSocket {
    return new PlayedSocket(this.#connection(`${url.host}${url.pathname}`), listener);
  }

  stream(
    what: string,
    _open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    return new PlayedStream(this.#connection(what), body, listener);
  }

  #connection(address: string): PlayedConnection {
    const free = this.#dialled.filter(({ taken }) => !taken);
    const dialled = free.find(({ url }) => url.includes(address)) ?? free[0];
    if (dialled !== undefined) dialled.taken = true;
    return new PlayedConnection({ ...this.#options, ids: this.#ids, conn: dialled?.conn });
  }
}

interface ConnectionOptions extends PlayedOptions {
  readonly ids: IdBook;
  /** Undefined: the recording has no connection more. */
  readonly conn: number | undefined;
}

/** What is said on a played connection, and what it understands of what it is sent. */
class PlayedConnection {
  readonly clock: Clock;
  readonly #options: ConnectionOptions;
  readonly #formats = usualFormats();
  /** What it was sent then, audio apart. */
  readonly #sent: readonly unknown[];
  #heard = 0;
  #script: CuedScript | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.#sent = options.stored.lines.flatMap((line) =>
      line.on === 'provider' &&
      line.dir === 'out' &&
      line.conn === options.conn &&
      'msg' in line &&
      audioRefsOf(line).length === 0
        ? [line.msg]
        : [],
    );
  }

  /** Begins to play; `nothing` when there is nothing to play. */
  begin(deliver: (line: ProviderLine) => void, nothing: () => void): void {
    const { conn, stored, clock, onMissed } = this.#options;
    if (conn === undefined) clock.after(0, nothing);
    else this.#script = new CuedScript({ stored, conn, clock, deliver, onMissed });
  }

  stop(): void {
    this.#script?.stop();
  }

  /** A message of the service. */
  hear(text: string): void {
    const json = parse(text);
    if (isRecord(json)) learnFormats(this.#formats, json);
    let bytes = 0;
    takeAudio('provider', json, (audio) => {
      bytes += audio.length;
      return undefined;
    });
    const { input } = this.#formats;
    if (bytes > 0) {
      this.#script?.heard(input === undefined ? 0 : bytes / bytesPerMs(input));
      return;
    }
    this.#learn(text);
    this.#script?.said();
  }

  /** What the provider said, as text, about the things that there are now. */
  textOf(msg: unknown): string {
    const { stored, ids } = this.#options;
    const whole = putAudio(msg, (ref) => audioOf(stored, ref));
    return ids.translate(JSON.stringify(whole));
  }

  #learn(text: string): void {
    const before = this.#sent[this.#heard];
    this.#heard += 1;
    if (before !== undefined) this.#options.ids.learn(JSON.stringify(before), text);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const NO_MORE = 'the recording has no further connection';
const PONG_MS = 1;

/** A WebSocket to a recorded provider. */
class PlayedSocket implements WireSocket {
  readonly bufferedAmount = 0;
  readonly #connection: PlayedConnection;
  readonly #listener: WireListener;
  #state: 'dialled' | 'open' | 'closed' = 'dialled';

  constructor(connection: PlayedConnection, listener: WireListener) {
    this.#connection = connection;
    this.#listener = listener;
    connection.begin(
      (line) => this.#deliver(line),
      () => this.#fail(new Error(NO_MORE)),
    );
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  send(text: string, flushed?: () => void): void {
    if (!this.isOpen) return;
    this.#connection.hear(text);
    if (flushed !== undefined) queueMicrotask(flushed);
  }

  ping(data = ''): void {
    this.#connection.clock.after(PONG_MS, () => {
      if (this.isOpen) this.#listener.pong(data);
    });
  }

  close(code = 1005, reason = ''): void {
    this.#end(code, reason);
  }

  terminate(): void {
    this.#end(1006, '');
  }

  #end(code: number, reason: string): void {
    this.#connection.stop();
    this.#connection.clock.after(0, () => this.#closed(code, reason));
  }

  #closed(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#connection.stop();
    this.#listener.closed(code, reason);
  }

  #fail(error: Error): void {
    if (this.#state === 'closed') return;
    this.#listener.failed(error);
    this.#closed(1006, '');
  }

  #deliver(line: ProviderLine): void {
    if (this.#state === 'closed') return;
    if ('ctl' in line) this.#control(line.ctl);
    else this.#listener.message(this.#connection.textOf(line.msg), false);
  }

  #control(ctl: Control): void {
    switch (ctl.type) {
      case 'open':
        this.#state = 'open';
        this.#listener.opened();
        break;
      case 'refused':
        this.#listener.refused(ctl.status, ctl.body);
        break;
      case 'error':
        this.#listener.failed(errorOf(ctl));
        break;
      case 'close':
        this.#closed(ctl.code, ctl.reason);
        break;
      default:
        tellSmall(this.#listener, ctl);
    }
  }
}

/** An event stream to a recorded provider. */
class PlayedStream implements EventStream {
  readonly #connection: PlayedConnection;
  readonly #listener: StreamListener;
  #over = false;

  constructor(connection: PlayedConnection, body: AsyncIterable<StreamChunk>, listener: StreamListener) {
    this.#connection = connection;
    this.#listener = listener;
    connection.begin(
      (line) => this.#deliver(line),
      () => this.#ended(new Error(NO_MORE), 'ECONNREFUSED'),
    );
    // A body that fails is the service's own trouble, which it knows of.
    this.#read(body).catch(() => undefined);
  }

  abort(): void {
    this.#connection.stop();
    this.#connection.clock.after(0, () => this.#ended(undefined, undefined));
  }

  async #read(body: AsyncIterable<StreamChunk>): Promise<void> {
    for await (const { chunk } of body) this.#connection.hear(Buffer.from(chunk.bytes).toString());
  }

  #ended(thrown: unknown, networkCode: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection.stop();
    this.#listener.ended(thrown, networkCode);
  }

  #deliver(line: ProviderLine): void {
    if (this.#over) return;
    if ('msg' in line) {
      this.#listener.received(Buffer.from(this.#connection.textOf(line.msg)));
      return;
    }
    const { ctl } = line;
    if (ctl.type === 'open') this.#listener.connected();
    else if (ctl.type === 'accepted') this.#listener.accepted();
    else if (ctl.type === 'ended') this.#ended(thrownOf(ctl.error), ctl.networkCode);
  }
}
