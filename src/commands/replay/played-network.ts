import { bytesPerMs } from '../../audio/format.ts';
import type { Clock } from '../../clock.ts';
import { isRecord } from '../../is-record.ts';
import type { Control, ThrownRecord } from '../../recording/format.ts';
import { putAudio, takeAudio } from '../../recording/payloads.ts';
import { audioOf, type StoredCall } from '../../recording/stored-call.ts';
import { learnFormats, usualFormats } from '../../recording/wire-formats.ts';
import { IdBook } from '../../replay/ids.ts';
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
import { CuedScript, isMessage, type ProviderLine } from './cued-script.ts';

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
    return new PlayedSocket(this.#ear(`${url.host}${url.pathname}`), listener);
  }

  stream(
    what: string,
    _open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    return new PlayedStream(this.#ear(what), body, listener);
  }

  #ear(address: string): Ear {
    const free = this.#dialled.filter(({ taken }) => !taken);
    const dialled = free.find(({ url }) => url.includes(address)) ?? free[0];
    if (dialled !== undefined) dialled.taken = true;
    return new Ear({ ...this.#options, ids: this.#ids, conn: dialled?.conn });
  }
}

interface EarOptions extends PlayedOptions {
  readonly ids: IdBook;
  /** Undefined: the recording has no connection more. */
  readonly conn: number | undefined;
}

/** What a played connection understands of what it is sent. */
class Ear {
  readonly clock: Clock;
  readonly #options: EarOptions;
  readonly #formats = usualFormats();
  /** What it was sent then, audio apart. */
  readonly #sent: readonly unknown[];
  #heard = 0;
  #script: CuedScript | undefined;

  constructor(options: EarOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.#sent = options.stored.lines.flatMap((line) =>
      line.on === 'provider' &&
      line.dir === 'out' &&
      line.conn === options.conn &&
      isMessage(line) &&
      'msg' in line
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
    // Ids of ours are nowhere in audio, which is most of the text.
    const whole = putAudio(msg, (ref) => audioOf(stored, ref));
    return ids.translate(JSON.stringify(whole));
  }

  #learn(text: string): void {
    const before = this.#sent.filter((msg) => !hasAudio(msg))[this.#heard];
    this.#heard += 1;
    if (before !== undefined) this.#options.ids.learn(JSON.stringify(before), text);
  }
}

function hasAudio(msg: unknown): boolean {
  let found = false;
  putAudio(msg, () => {
    found = true;
    return new Uint8Array(0);
  });
  return found;
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
  readonly #ear: Ear;
  readonly #listener: WireListener;
  #state: 'dialled' | 'open' | 'closed' = 'dialled';

  constructor(ear: Ear, listener: WireListener) {
    this.#ear = ear;
    this.#listener = listener;
    ear.begin(
      (line) => this.#deliver(line),
      () => this.#fail(new Error(NO_MORE)),
    );
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  send(text: string, flushed?: () => void): void {
    if (!this.isOpen) return;
    this.#ear.hear(text);
    if (flushed !== undefined) queueMicrotask(flushed);
  }

  ping(data = ''): void {
    this.#ear.clock.after(PONG_MS, () => {
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
    this.#ear.stop();
    this.#ear.clock.after(0, () => this.#closed(code, reason));
  }

  #closed(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#ear.stop();
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
    else this.#listener.message(this.#ear.textOf(line.msg), false);
  }

  #control(ctl: Control): void {
    switch (ctl.type) {
      case 'open':
        this.#state = 'open';
        this.#listener.opened();
        break;
      case 'text':
        this.#listener.message(ctl.text, false);
        break;
      case 'binary':
        this.#listener.message(Buffer.from(ctl.base64, 'base64').toString(), true);
        break;
      case 'ping':
        this.#listener.pinged();
        break;
      case 'refused':
        this.#listener.refused(ctl.status, ctl.body);
        break;
      case 'error':
        this.#listener.failed(Object.assign(new Error(ctl.message), { code: ctl.code }));
        break;
      case 'close':
        this.#closed(ctl.code, ctl.reason);
        break;
      default:
    }
  }
}

/** An event stream to a recorded provider. */
class PlayedStream implements EventStream {
  readonly #ear: Ear;
  readonly #listener: StreamListener;
  #over = false;

  constructor(ear: Ear, body: AsyncIterable<StreamChunk>, listener: StreamListener) {
    this.#ear = ear;
    this.#listener = listener;
    ear.begin(
      (line) => this.#deliver(line),
      () => this.#ended(new Error(NO_MORE), 'ECONNREFUSED'),
    );
    // A body that fails is the service's own trouble, which it knows of.
    this.#read(body).catch(() => undefined);
  }

  abort(): void {
    this.#ear.stop();
    this.#ear.clock.after(0, () => this.#ended(undefined, undefined));
  }

  async #read(body: AsyncIterable<StreamChunk>): Promise<void> {
    for await (const { chunk } of body) this.#ear.hear(Buffer.from(chunk.bytes).toString());
  }

  #ended(thrown: unknown, networkCode: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#ear.stop();
    this.#listener.ended(thrown, networkCode);
  }

  #deliver(line: ProviderLine): void {
    if (this.#over) return;
    if ('msg' in line) {
      this.#listener.received(Buffer.from(this.#ear.textOf(line.msg)));
      return;
    }
    const { ctl } = line;
    if (ctl.type === 'open') this.#listener.connected();
    else if (ctl.type === 'accepted') this.#listener.accepted();
    else if (ctl.type === 'ended') this.#ended(thrownAs(ctl.error), ctl.networkCode);
  }
}

/** As the SDK of the service throws it. */
function thrownAs(record: ThrownRecord | undefined): unknown {
  if (record === undefined) return undefined;
  const { name, message, code, status, fault } = record;
  return Object.assign(new Error(message), {
    name,
    ...(code === undefined ? {} : { code }),
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
    ...(fault === undefined ? {} : { $fault: fault }),
  });
}
