import type { AudioFormat } from '../audio/format.ts';
import type { Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from '../provider.ts';
import type { CallLines, LineBody } from './call-lines.ts';
import { type Control, type ErrorRecord, type SessionMessage, WAVS } from './format.ts';
import type { ConnectionCount } from './network-tap.ts';
import { wavName } from './socket-tap.ts';

/**
 * The same provider, of which is written down what its sessions are told and tell: for one that has no network of its
 * own, or does not show it. Its timers are its own: it goes by `clock`, not by that of the call.
 */
export function tapProvider(
  provider: RealtimeProvider,
  lines: CallLines,
  count: ConnectionCount,
  clock: Clock,
): RealtimeProvider {
  return {
    name: provider.name,
    model: provider.model,
    capabilities: provider.capabilities,
    connect: (request, sink, signal) =>
      new SessionTap(lines, count.next()).connect(provider, { ...request, clock }, sink, signal),
    ...(provider.close === undefined ? {} : { close: async () => provider.close?.() }),
  };
}

/** One session of a call with such a provider. */
class SessionTap {
  readonly #lines: CallLines;
  readonly #conn: number;
  readonly #wavs: { readonly in: string; readonly out: string };
  /** What the provider's audio is; known when `connect` has resolved. */
  #session: ProviderSession | undefined;

  constructor(lines: CallLines, conn: number) {
    this.#lines = lines;
    this.#conn = conn;
    this.#wavs = { in: wavName(WAVS.providerIn, conn), out: wavName(WAVS.providerOut, conn) };
  }

  async connect(
    provider: RealtimeProvider,
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    const { clock: _clock, network: _network, random: _random, ...asked } = request;
    this.#left(() => this.#control('out', { type: 'connect', provider: provider.name, request: asked }));
    try {
      const session = await this.#lines.asking(() =>
        provider.connect(request, (event) => this.#tell(event, sink), signal),
      );
      this.#session = session;
      const { input, output } = session;
      this.#arrived(() =>
        this.#control('in', { type: 'connected', input: { ...input }, output: { ...output } }),
      );
      return this.#tapped(session);
    } catch (thrown) {
      const error = errorRecord(BridgeError.from(thrown));
      this.#arrived(() => this.#control('in', { type: 'not-connected', error }));
      throw thrown;
    }
  }

  #tell(event: ProviderEvent, sink: (event: ProviderEvent) => void): void {
    this.#arrived(() => this.#message('in', this.#eventMessage(event)));
    sink(event);
  }

  #tapped(session: ProviderSession): ProviderSession {
    const ask = <T>(call: Called, args: readonly unknown[], act: () => T): T => {
      this.#left(() => this.#message('out', { call, args }));
      return this.#lines.asking(act);
    };
    return {
      get input() {
        return session.input;
      },
      get output() {
        return session.output;
      },
      sendAudio: (bytes) => {
        this.#left(() => this.#message('out', this.#audioMessage(session.input, bytes)));
        return this.#lines.asking(() => session.sendAudio(bytes));
      },
      sendText: (text, options) => ask('sendText', [text, options], () => session.sendText(text, options)),
      say: (text, insist) =>
        ask('say', insist === undefined ? [text] : [text, insist], () => session.say(text, insist)),
      sendToolResult: (callId, result) =>
        ask('sendToolResult', [callId, result], () => session.sendToolResult(callId, result)),
      interrupt: (heard) => ask('interrupt', [heard], () => session.interrupt(heard)),
      close: (reason) => ask('close', [reason], () => session.close(reason)),
    };
  }

  /** Where no file takes it, audio stands in the message as base64. */
  #audioMessage(format: AudioFormat, bytes: Uint8Array): unknown {
    return { call: 'sendAudio', audio: this.#kept(this.#wavs.out, format, bytes) };
  }

  #eventMessage(event: ProviderEvent): unknown {
    const { type, ...fields } = event;
    if (event.type === 'audio') {
      const format = this.#session?.output;
      return { event: type, ...fields, bytes: this.#kept(this.#wavs.in, format, event.bytes) };
    }
    if (event.type === 'error' || event.type === 'closed') {
      return { event: type, ...fields, error: event.error && errorRecord(event.error) };
    }
    return { event: type, ...fields };
  }

  #kept(wav: string, format: AudioFormat | undefined, bytes: Uint8Array): unknown {
    const ref = format === undefined ? undefined : this.#lines.audio(wav, format, bytes);
    return ref ?? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  }

  #message(dir: 'in' | 'out', msg: unknown): LineBody {
    return { on: 'provider', dir, conn: this.#conn, msg };
  }

  #control(dir: 'in' | 'out', ctl: Control): LineBody {
    return { on: 'provider', dir, conn: this.#conn, ctl };
  }

  #left(body: () => LineBody): void {
    this.#lines.left(body);
  }

  #arrived(body: () => LineBody): void {
    this.#lines.arrived(body);
  }
}

type Called = Extract<SessionMessage, { readonly args: readonly unknown[] }>['call'];

function errorRecord(error: BridgeError): ErrorRecord {
  return { code: error.code, message: error.plainMessage };
}
