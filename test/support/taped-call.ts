import type { Carrier, WebhookRequest } from '../../src/carrier.ts';
import { CallTape, type CallTapeOptions } from '../../src/recording/call-tape.ts';
import type { Line } from '../../src/recording/format.ts';
import { MemorySink } from '../../src/recording/memory-sink.ts';
import { hider } from '../../src/recording/secrets.ts';
import type { StoredWav } from '../../src/recording/stored-call.ts';
import type {
  DialOptions,
  EventStream,
  Network,
  OpenStream,
  StreamChunk,
  StreamListener,
  WireListener,
  WireSocket,
} from '../../src/wire.ts';
import { CALLER, carrier as twilio } from './twilio.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A key of the service, which must not be found in anything that is written. */
export const KNOWN_SECRET = 'the-key-of-this-service-0815';

/** A line without its time, for comparisons. */
export type Told = Readonly<Record<string, unknown>>;

/** One end of a connection that the test plays; writes down what it is told. */
export class FakeSocket implements WireSocket {
  readonly done: (readonly unknown[])[] = [];
  readonly flushed: (() => void)[] = [];
  isOpen = true;
  bufferedAmount = 0;

  send(text: string, flushed?: () => void): void {
    this.done.push(['send', text]);
    if (flushed !== undefined) this.flushed.push(flushed);
  }

  ping(data?: string): void {
    this.done.push(['ping', data]);
  }

  close(code?: number, reason?: string): void {
    this.done.push(['close', code, reason]);
  }

  terminate(): void {
    this.done.push(['terminate']);
  }
}

/** Writes down what it is told; whatever `onTold` throws is thrown. */
export function noted(told: (readonly unknown[])[]): WireListener {
  const note =
    (name: string) =>
    (...args: readonly unknown[]): void => {
      told.push([name, ...args]);
    };
  return {
    opened: note('opened'),
    message: note('message'),
    pinged: note('pinged'),
    pong: note('pong'),
    refused: note('refused'),
    failed: note('failed'),
    closed: note('closed'),
  };
}

/** A network whose other ends the test plays. */
export class FakeNetwork implements Network {
  readonly dialled: { url: URL; options: DialOptions; listener: WireListener; socket: FakeSocket }[] = [];
  readonly streams: {
    what: string;
    body: AsyncIterable<StreamChunk>;
    listener: StreamListener;
    aborted: number;
  }[] = [];

  dial(url: URL, options: DialOptions, listener: WireListener): WireSocket {
    const socket = new FakeSocket();
    this.dialled.push({ url, options, listener, socket });
    return socket;
  }

  stream(
    what: string,
    _open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    const stream = { what, body, listener, aborted: 0 };
    this.streams.push(stream);
    return {
      abort: () => {
        stream.aborted += 1;
      },
    };
  }
}

/** A tape of a call whose surroundings the test plays, on a clock that the test moves. */
export class TapedCall {
  readonly clock = new VirtualClock();
  readonly network = new FakeNetwork();
  readonly sink = new MemorySink();
  readonly troubles: unknown[] = [];
  readonly tape: CallTape;
  ended = 0;

  constructor(options: Partial<CallTapeOptions> = {}, carrier: Carrier = twilio()) {
    this.tape = new CallTape({
      clock: this.clock,
      startedAt: 0,
      epochMs: 1_767_322_800_000,
      network: this.network,
      seed: 'seed',
      sink: this.sink,
      carrier,
      call: CALLER,
      hide: hider([KNOWN_SECRET]),
      timers: true,
      signed: () => 'bad-signature',
      onTrouble: (thrown) => this.troubles.push(thrown),
      onEnded: () => {
        this.ended += 1;
      },
      ...options,
    });
  }

  get lines(): readonly Line[] {
    return JSON.parse(`[${this.texts.join(',')}]`);
  }

  /** Without their times. */
  get told(): readonly Told[] {
    return this.lines.map(({ t: _t, ...told }) => told);
  }

  get texts(): readonly string[] {
    this.sink.describe({} as never);
    return this.sink.stored().lines.map((line) => JSON.stringify(line));
  }

  wav(name: string): StoredWav | undefined {
    this.sink.describe({} as never);
    return this.sink.stored().wavs.get(name);
  }

  /** Everything that was written, whole. */
  get written(): string {
    this.sink.describe({} as never);
    const { wavs } = this.sink.stored();
    const audio = [...wavs.values()].map(({ bytes }) => Buffer.from(bytes).toString('latin1'));
    return [...this.texts, ...audio].join('\n');
  }
}

/** A request of a carrier that opens a media stream. */
export function upgradeRequest(target = '/media/twilio/token'): WebhookRequest {
  return {
    method: 'GET',
    target,
    headers: { 'x-twilio-signature': 'c2lnbmF0dXJl', authorization: `Bearer ${KNOWN_SECRET}` },
    body: new Uint8Array(0),
  };
}

/** The end of this turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
