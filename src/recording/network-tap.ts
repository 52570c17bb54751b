import { isRecord } from '../is-record.ts';
import type {
  DialOptions,
  EventStream,
  Network,
  OpenStream,
  StreamChunk,
  StreamListener,
  WireListener,
  WireSocket,
} from '../wire.ts';
import type { CallLines } from './call-lines.ts';
import { tapEventStream } from './event-stream-tap.ts';
import { WAVS } from './format.ts';
import { openUrl } from './secrets.ts';
import { control, type TappedConnection, tapListener, tapSocket, wavName } from './socket-tap.ts';
import { learnFormats, usualFormats } from './wire-formats.ts';

/** Connections of a call to its providers, counted from 1. */
export interface ConnectionCount {
  next(): number;
}

/** The network beneath, with everything that one provider of a call sends and is told by it written down. */
export class NetworkTap implements Network {
  readonly #network: Network;
  readonly #lines: CallLines;
  readonly #count: ConnectionCount;
  readonly #provider: string;

  /** @param provider as agents name it */
  constructor(network: Network, lines: CallLines, count: ConnectionCount, provider: string) {
    this.#network = network;
    this.#lines = lines;
    this.#count = count;
    this.#provider = provider;
  }

  dial(url: URL, options: DialOptions, listener: WireListener): WireSocket {
    const connection = this.#begin(() => openUrl(url));
    const socket = this.#network.dial(url, options, tapListener(connection, listener));
    return tapSocket(connection, socket);
  }

  stream(
    what: string,
    open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream {
    const connection = this.#begin(() => what);
    return tapEventStream(connection, body, listener, (tappedBody, tappedListener) =>
      this.#network.stream(what, open, tappedBody, tappedListener),
    );
  }

  #begin(url: () => string): TappedConnection {
    const conn = this.#count.next();
    const connection = providerConnection(this.#lines, conn);
    this.#lines.left(() =>
      control(connection, 'out', { type: 'dial', provider: this.#provider, url: url() }),
    );
    return connection;
  }
}

function providerConnection(lines: CallLines, conn: number): TappedConnection {
  const formats = usualFormats();
  return {
    lines,
    on: 'provider',
    conn,
    state: { isOpen: false },
    // Services may give any name to any family.
    kind: 'provider',
    wavs: { in: wavName(WAVS.providerIn, conn), out: wavName(WAVS.providerOut, conn) },
    format: (dir, json) => {
      if (isRecord(json)) learnFormats(formats, json);
      return dir === 'in' ? formats.output : formats.input;
    },
  };
}
