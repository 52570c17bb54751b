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
import { systemNetwork } from '../../src/wire.ts';

/** Something that passed between a provider's adapter and its network. */
export type Passed =
  | {
      readonly dir: 'out';
      readonly kind: 'dial' | 'send' | 'ping' | 'close' | 'terminate' | 'abort';
      readonly text: string;
    }
  | {
      readonly dir: 'in';
      /** In the same turn of the event loop as what came before: nobody who waits for that has gone on. */
      readonly atOnce: boolean;
      readonly kind: Exclude<keyof WireListener | keyof StreamListener, symbol>;
      readonly text: string;
      /** Tells it once more. */
      tell(to: Partial<WireListener & StreamListener>): void;
    };

type Out = Extract<Passed, { dir: 'out' }>['kind'];

const decoder = new TextDecoder();

/** The network of this machine, and a list of everything that passes through it, in order. */
export class TappedNetwork implements Network {
  readonly passed: Passed[] = [];
  readonly #moved = new Set<() => void>();
  #inTurn = false;

  dial(url: URL, options: DialOptions, listener: WireListener): WireSocket {
    this.#out('dial', url.pathname + url.search);
    return this.#tapped(systemNetwork.dial(url, options, this.#listening(listener)));
  }

  stream(
    what: string,
    open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    this.#out('dial', what.slice(what.indexOf(' ') + 1));
    const stream = open(this.#pulled(body), {
      connected: () => {
        this.#in('connected', '', (to) => to.connected?.());
        listener.connected();
      },
      accepted: () => {
        this.#in('accepted', '', (to) => to.accepted?.());
        listener.accepted();
      },
      received: (bytes) => {
        const kept = Uint8Array.from(bytes);
        this.#in('received', decoder.decode(kept), (to) => to.received?.(kept));
        listener.received(bytes);
      },
      ended: (thrown, networkCode) => {
        this.#in('ended', String(thrown), (to) => to.ended?.(thrown, networkCode));
        listener.ended(thrown, networkCode);
      },
    });
    return {
      abort: () => {
        this.#out('abort', '');
        stream.abort();
      },
    };
  }

  /** Resolves when something of this kind has passed, now or before. */
  async until(kind: Passed['kind']): Promise<void> {
    while (!this.passed.some((one) => one.kind === kind)) {
      await new Promise<void>((resolve) => this.#moved.add(resolve));
    }
  }

  #out(kind: Out, text: string): void {
    this.#note({ dir: 'out', kind, text });
  }

  #in(
    kind: Extract<Passed, { dir: 'in' }>['kind'],
    text: string,
    tell: (to: Partial<WireListener & StreamListener>) => void,
  ): void {
    this.#note({ dir: 'in', atOnce: this.#inTurn, kind, text, tell });
    if (this.#inTurn) return;
    this.#inTurn = true;
    queueMicrotask(() => {
      this.#inTurn = false;
    });
  }

  #note(one: Passed): void {
    this.passed.push(one);
    for (const resolve of this.#moved) resolve();
    this.#moved.clear();
  }

  async *#pulled(body: AsyncIterable<StreamChunk>): AsyncGenerator<StreamChunk> {
    for await (const piece of body) {
      this.#out('send', decoder.decode(piece.chunk.bytes));
      yield piece;
    }
  }

  #listening(listener: WireListener): WireListener {
    return {
      opened: () => {
        this.#in('opened', '', (to) => to.opened?.());
        listener.opened();
      },
      message: (text, isBinary) => {
        this.#in('message', text, (to) => to.message?.(text, isBinary));
        listener.message(text, isBinary);
      },
      pinged: () => {
        this.#in('pinged', '', (to) => to.pinged?.());
        listener.pinged();
      },
      pong: (data) => {
        this.#in('pong', data, (to) => to.pong?.(data));
        listener.pong(data);
      },
      refused: (status, body) => {
        this.#in('refused', `${status} ${body}`, (to) => to.refused?.(status, body));
        listener.refused(status, body);
      },
      failed: (error) => {
        this.#in('failed', error.message, (to) => to.failed?.(error));
        listener.failed(error);
      },
      closed: (code, reason) => {
        this.#in('closed', `${code} ${reason}`, (to) => to.closed?.(code, reason));
        listener.closed(code, reason);
      },
    };
  }

  #tapped(wire: WireSocket): WireSocket {
    const out = (kind: Out, text = ''): void => this.#out(kind, text);
    return {
      get isOpen() {
        return wire.isOpen;
      },
      get bufferedAmount() {
        return wire.bufferedAmount;
      },
      send: (text, flushed) => {
        out('send', text);
        wire.send(text, flushed);
      },
      ping: (data) => {
        out('ping', data);
        wire.ping(data);
      },
      close: (code, reason) => {
        out('close', `${code} ${reason ?? ''}`);
        wire.close(code, reason);
      },
      terminate: () => {
        out('terminate');
        wire.terminate();
      },
    };
  }
}

/** Plays what passed through another network: everything that came in, each when as much had gone out. It has no socket. */
export class PlayedNetwork implements Network {
  readonly #script: readonly Passed[];
  readonly sent: Extract<Passed, { dir: 'out' }>[] = [];
  #at = 0;
  #outs = 0;
  #isOpen = false;
  #isPumping = false;
  #listener: Partial<WireListener & StreamListener> = {};

  constructor(script: readonly Passed[]) {
    this.#script = script;
  }

  dial(url: URL, _options: DialOptions, listener: WireListener): WireSocket {
    this.#listener = listener;
    this.#out('dial', url.pathname + url.search);
    const isOpen = (): boolean => this.#isOpen;
    return {
      get isOpen() {
        return isOpen();
      },
      bufferedAmount: 0,
      send: (text, flushed) => {
        this.#out('send', text);
        if (flushed !== undefined) queueMicrotask(flushed);
      },
      ping: (data) => this.#out('ping', data ?? ''),
      close: (code, reason) => {
        this.#isOpen = false;
        this.#out('close', `${code} ${reason ?? ''}`);
      },
      terminate: () => {
        this.#isOpen = false;
        this.#out('terminate', '');
      },
    };
  }

  stream(
    what: string,
    _open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    this.#listener = listener;
    this.#out('dial', what.slice(what.indexOf(' ') + 1));
    const drain = async (): Promise<void> => {
      for await (const { chunk } of body) this.#out('send', decoder.decode(chunk.bytes));
    };
    drain().catch((thrown: unknown) => listener.ended(thrown, undefined));
    return { abort: () => this.#out('abort', '') };
  }

  #out(kind: Out, text: string): void {
    this.sent.push({ dir: 'out', kind, text });
    this.#outs += 1;
    this.#pump();
  }

  /** One thing per turn of the event loop, as from a real socket. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#step();
    });
  }

  #step(): void {
    const next = this.#script[this.#at];
    if (next === undefined) return;
    if (next.dir === 'out') {
      if (this.#outs === 0) return;
      this.#outs -= 1;
    } else {
      if (next.kind === 'opened') this.#isOpen = true;
      if (next.kind === 'closed') this.#isOpen = false;
    }
    this.#at += 1;
    if (next.dir === 'in') next.tell(this.#listener);
    const after = this.#script[this.#at];
    if (after?.dir === 'in' && after.atOnce) this.#step();
    else this.#pump();
  }
}
