import type { AudioFormat } from '../audio/format.ts';
import type { WireListener, WireSocket } from '../wire.ts';
import type { CallLines, LineBody } from './call-lines.ts';
import { DEEPEST, makesTooDeep } from './depth.ts';
import type { Control, Message } from './format.ts';
import { looksTaken, type PayloadKind, takeAudio } from './payloads.ts';

/** One connection of a call, as its lines name it. */
export interface TappedConnection {
  readonly lines: CallLines;
  readonly on: 'carrier' | 'provider';
  readonly conn: number;
  readonly kind: PayloadKind;
  /** WAV files for what comes in and what goes out. */
  readonly wavs: { readonly in: string; readonly out: string };
  /**
   * Open until it was told that it is closed, or the bridge has closed it. A socket knows that some time before it tells,
   * at a moment that no line has; what is said to it meanwhile goes where things go that are said a moment too late.
   */
  readonly state: { isOpen: boolean };
  /** What audio of the next message is; undefined: it stays in the message. Called with every message, in order. */
  format(dir: Direction, json: unknown, text: string): AudioFormat | undefined;
}

export type Direction = 'in' | 'out';

/** The name of a WAV file of the connection with this number. */
export function wavName(name: string, conn: number): string {
  return conn === 1 ? name : `${name}-${conn}`;
}

/** A line of this connection that is no message. */
export function control({ on, conn }: TappedConnection, dir: Direction, ctl: Control): LineBody {
  return on === 'carrier' ? { on, dir, conn, ctl } : { on, dir, conn, ctl };
}

/**
 * A line for what was said on this connection, as text, whatever it is. Some services send their JSON as binary messages,
 * which makes no difference to an adapter; to a carrier's it does.
 */
export function said(tapped: TappedConnection, dir: Direction, text: string, isBinary: boolean): LineBody {
  const { on, conn } = tapped;
  const json = isBinary && on === 'carrier' ? undefined : parse(text);
  const msg = json === undefined ? undefined : withoutAudio(tapped, dir, json, text);
  if (msg === undefined) return control(tapped, dir, isBinary ? binary(text) : { type: 'text', text });
  return on === 'carrier' ? { on, dir, conn, msg } : { on, dir, conn, msg };
}

function binary(text: string): Control {
  return { type: 'binary', base64: Buffer.from(text).toString('base64') };
}

/** Undefined: it is none, or such that no reader would take it; an adapter gets its text all the same. */
function parse(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return text.length > DEEPEST && makesTooDeep(json) ? undefined : json;
  } catch {
    return undefined;
  }
}

/** Undefined: it would be read as something else than it was. */
function withoutAudio(tapped: TappedConnection, dir: Direction, json: unknown, text: string): Message {
  const { lines, kind, wavs } = tapped;
  const format = tapped.format(dir, json, text);
  // Escaped or not: only then can there be such a key.
  if ((text.includes('wav') || text.includes('\\u')) && looksTaken(json)) return undefined;
  if (format === undefined) return json;
  return takeAudio(kind, json, (bytes) => lines.audio(wavs[dir], format, bytes));
}

/** Told first what the listener is told; passes everything on as it is. */
export function tapListener(tapped: TappedConnection, listener: WireListener): WireListener {
  const { lines, state } = tapped;
  const tell = (ctl: Control): void => lines.arrived(() => control(tapped, 'in', ctl));
  return {
    opened: () => {
      state.isOpen = true;
      tell({ type: 'open' });
      listener.opened();
    },
    message: (text, isBinary) => {
      lines.arrived(() => said(tapped, 'in', text, isBinary));
      listener.message(text, isBinary);
    },
    pinged: () => {
      tell({ type: 'ping', data: '' });
      listener.pinged();
    },
    pong: (data) => {
      tell({ type: 'pong', data });
      listener.pong(data);
    },
    refused: (status, body) => {
      tell({ type: 'refused', status, body: lines.hide.text(body) });
      listener.refused(status, body);
    },
    failed: (error) => {
      tell({ type: 'error', message: lines.hide.text(error.message), code: codeOf(error) });
      listener.failed(error);
    },
    closed: (code, reason) => {
      state.isOpen = false;
      tell({ type: 'close', code, reason: lines.hide.text(reason) });
      listener.closed(code, reason);
    },
  };
}

/** The same socket; writes down what leaves by it, and nothing of what it drops. */
export function tapSocket(tapped: TappedConnection, socket: WireSocket): WireSocket {
  const { lines, state } = tapped;
  const tell = (ctl: Control): void => lines.left(() => control(tapped, 'out', ctl));
  state.isOpen = socket.isOpen;
  return {
    get isOpen() {
      return state.isOpen;
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send: (text, flushed) => {
      if (state.isOpen) lines.left(() => said(tapped, 'out', text, false));
      socket.send(text, flushed);
    },
    ping: (data) => {
      if (state.isOpen) tell({ type: 'ping', data: data ?? '' });
      socket.ping(data);
    },
    close: (code, reason) => {
      state.isOpen = false;
      tell({ type: 'close', code: code ?? NO_CODE, reason: reason ?? '' });
      socket.close(code, reason);
    },
    terminate: () => {
      state.isOpen = false;
      tell({ type: 'terminate' });
      socket.terminate();
    },
  };
}

/** What RFC 6455 calls a close frame without a code. */
const NO_CODE = 1005;

/** The name of a network trouble, such as `ECONNREFUSED`. */
export function codeOf(thrown: unknown): string | undefined {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
