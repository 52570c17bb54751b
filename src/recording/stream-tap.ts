import type { AudioFormat } from '../audio/format.ts';
import { type Carrier, capabilitiesFor, type IncomingCall, type WebhookRequest } from '../carrier.ts';
import { isRecord } from '../is-record.ts';
import type { StreamTape } from '../tape.ts';
import type { WireListener, WireSocket } from '../wire.ts';
import type { CallLines } from './call-lines.ts';
import { type Signed, WAVS } from './format.ts';
import {
  control,
  type Direction,
  type TappedConnection,
  tapListener,
  tapSocket,
  wavName,
} from './socket-tap.ts';

export interface StreamTapOptions {
  readonly lines: CallLines;
  readonly carrier: Carrier;
  readonly call: IncomingCall;
  /** How many streams of this call were asked for, this one included. */
  readonly conn: number;
}

/** One media stream of a carrier, from the request for it to its end. */
export class StreamTap implements StreamTape {
  readonly #connection: TappedConnection;
  readonly #carrier: Carrier;
  /** Both ways, as the carrier's start message says; undefined: no WAV file can hold it. */
  readonly #formats: Record<Direction, AudioFormat | undefined>;

  constructor({ lines, carrier, call, conn }: StreamTapOptions) {
    const { defaultFormat } = capabilitiesFor(carrier, call);
    this.#carrier = carrier;
    this.#formats = { in: defaultFormat, out: defaultFormat };
    this.#connection = {
      lines,
      on: 'carrier',
      conn,
      kind: carrier.name,
      state: { isOpen: false },
      wavs: { in: wavName(WAVS.carrierIn, conn), out: wavName(WAVS.carrierOut, conn) },
      format: (dir, json, text) => this.#format(dir, json, text),
    };
  }

  /** The carrier asks for it. @param status of the answer, where there is no stream */
  asked({ target }: WebhookRequest, signed: Signed, status: number | undefined): void {
    const { lines } = this.#connection;
    lines.arrived(() => control(this.#connection, 'in', { type: 'upgrade', target, signed }));
    lines.left(() =>
      control(this.#connection, 'out', status === undefined ? { type: 'upgraded' } : notUpgraded(status)),
    );
  }

  listener(listener: WireListener): WireListener {
    return tapListener(this.#connection, listener);
  }

  socket(socket: WireSocket): WireSocket {
    return tapSocket(this.#connection, socket);
  }

  #format(dir: Direction, json: unknown, text: string): AudioFormat | undefined {
    if (dir === 'in' && isRecord(json) && json['event'] === 'start') this.#learn(text);
    return this.#formats[dir];
  }

  #learn(text: string): void {
    try {
      for (const event of this.#carrier.decode(text)) {
        if (event.type === 'started') Object.assign(this.#formats, { in: event.input, out: event.output });
      }
    } catch {
      // Whoever listens will complain of it.
    }
  }
}

function notUpgraded(status: number) {
  return { type: 'not-upgraded', status } as const;
}
