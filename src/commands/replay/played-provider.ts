import { type AudioFormat, bytesPerMs, RATES } from '../../audio/format.ts';
import { BridgeError } from '../../errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from '../../provider.ts';
import type { FormatRecord, RecordedProvider } from '../../recording/format.ts';
import { audioOf } from '../../recording/stored-call.ts';
import { bridgeErrorOf, sessionEventOf } from '../../replay/told.ts';
import { CuedScript, type ProviderLine } from './cued-script.ts';
import type { PlayedOptions } from './played-network.ts';

/**
 * A provider without a network of its own, played from what its sessions told in a stored call. Its sessions are given out
 * in their order; one too many is refused. Throws BAD_RECORDING when it is not known what the provider can do.
 */
export function playedProvider(recorded: RecordedProvider, options: PlayedOptions): RealtimeProvider {
  const { name, model, capabilities } = recorded;
  if (capabilities === undefined) {
    throw new BridgeError('BAD_RECORDING', `provider ${name}: found no capabilities, wanted those it had`);
  }
  const conns = options.stored.lines.flatMap((line) =>
    line.on === 'provider' && 'ctl' in line && line.ctl.type === 'connect' && line.ctl.provider === name
      ? [line.conn]
      : [],
  );
  return {
    name,
    model,
    capabilities,
    connect: (request, sink, signal) =>
      new PlayedSession(options, conns.shift()).connect(request, sink, signal),
  };
}

/** Whoever waits for a session. */
interface Waiting {
  readonly sink: (event: ProviderEvent) => void;
  resolve(session: ProviderSession): void;
  reject(error: BridgeError): void;
}

class PlayedSession {
  readonly #options: PlayedOptions;
  readonly #conn: number | undefined;
  #script: CuedScript | undefined;
  #over = false;

  constructor(options: PlayedOptions, conn: number | undefined) {
    this.#options = options;
    this.#conn = conn;
  }

  connect(
    _request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    const { stored, clock, onMissed } = this.#options;
    const conn = this.#conn;
    if (conn === undefined) {
      return Promise.reject(new BridgeError('PROVIDER_UNAVAILABLE', 'the recording has no further session'));
    }
    return new Promise((resolve, reject) => {
      const waiting = { sink, resolve, reject };
      const deliver = (line: ProviderLine): void => this.#deliver(line, waiting);
      this.#script = new CuedScript({ stored, conn, clock, deliver, onMissed });
      const giveUp = (): void => {
        // An abort after the session stood is none of `connect`.
        reject(BridgeError.from(signal.reason, 'CANCELLED'));
      };
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #deliver(line: ProviderLine, { sink, resolve, reject }: Waiting): void {
    if (this.#over) return;
    if ('msg' in line) {
      const event = sessionEventOf(line.msg, (ref) => audioOf(this.#options.stored, ref));
      if (event === undefined) return;
      if (event.type === 'closed') this.#over = true;
      sink(event);
      return;
    }
    if (line.ctl.type === 'connected') resolve(this.#session(line.ctl, sink));
    if (line.ctl.type === 'not-connected') reject(bridgeErrorOf(line.ctl.error));
  }

  #session(
    formats: { readonly input: FormatRecord; readonly output: FormatRecord },
    sink: (event: ProviderEvent) => void,
  ): ProviderSession {
    const said = (): void => this.#script?.said();
    const input = formatOf(formats.input);
    return {
      input,
      output: formatOf(formats.output),
      sendAudio: (bytes) => {
        this.#script?.heard(bytes.length / bytesPerMs(input));
        return true;
      },
      sendText: said,
      say: said,
      sendToolResult: said,
      interrupt: said,
      close: () => {
        this.#script?.stop();
        if (!this.#over) sink({ type: 'closed', expected: true, error: undefined });
        this.#over = true;
        return Promise.resolve();
      },
    };
  }
}

function formatOf({ encoding, rate }: FormatRecord): AudioFormat {
  const known = RATES.find((one) => one === rate);
  if (known !== undefined) return { encoding, rate: known };
  throw new BridgeError(
    'BAD_RECORDING',
    `found audio of ${rate} samples a second, wanted one of ${RATES.join(', ')}`,
  );
}
