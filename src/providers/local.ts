import { BridgeError } from '../errors.ts';
import type { RealtimeProvider } from '../provider.ts';
import { createSpeechEngine, type SpeechEngine } from './local/engine.ts';
import { LOCAL } from './local/facts.ts';
import { LocalSession, type LocalSetup } from './local/session.ts';
import { Voice } from './local/voice.ts';

/** Settings of the line check. Times are in ms. */
export interface LocalOptions {
  /** For requests that name none of flite's voices: `slt` (the default), `rms`, `awb` or `kal16`. */
  readonly voice?: string | undefined;
  /** Longest speech that is played back; 10 s. */
  readonly longestEchoMs?: number | undefined;
  /** Voice that is needed to cut in on the line check's own speech; 400 ms: longer than a cough. */
  readonly bargeInMs?: number | undefined;
  /** Spoken sentences that are kept for the next calls, in bytes; 16 MB. */
  readonly cacheBytes?: number | undefined;
  /** What makes speech of text; the default is flite in a worker thread. It is closed with the provider. */
  readonly engine?: SpeechEngine | undefined;
}

/** A provider that has something to give back. */
export interface LocalProvider extends RealtimeProvider, AsyncDisposable {
  /** Ends the sessions that are still open, with PROVIDER_CLOSED, and the speech worker. Idempotent, never rejects. */
  close(): Promise<void>;
}

function checkedNumber(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (Number.isFinite(value) && value >= 0) return value;
  throw new BridgeError('BAD_CONFIG', `local provider: ${name} is ${value}, wanted a number from 0 up`);
}

/**
 * The line check: a provider that needs no model, no key and no network. It plays back what the caller says, measures
 * it, and speaks the figures; it does not understand speech and says so. Throws BAD_CONFIG for unusable options.
 */
export function createLocalProvider(options: LocalOptions = {}): LocalProvider {
  const engine = options.engine ?? createSpeechEngine();
  const sessions = new Set<LocalSession>();
  const setup: LocalSetup = Object.freeze({
    voice: new Voice(engine, checkedNumber('cacheBytes', options.cacheBytes, 16_000_000)),
    defaultVoice: options.voice,
    longestEchoMs: checkedNumber('longestEchoMs', options.longestEchoMs, 10_000),
    bargeInMs: checkedNumber('bargeInMs', options.bargeInMs, 400),
    onClosed: (session: LocalSession) => sessions.delete(session),
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    const error = new BridgeError('PROVIDER_CLOSED', 'the local provider was closed');
    for (const session of [...sessions]) session.fail(error);
    closing ??= engine.close();
    return closing;
  };
  return {
    name: 'local',
    capabilities: LOCAL.capabilities,
    async connect(request, sink, signal) {
      if (signal.aborted) throw BridgeError.from(signal.reason, 'CANCELLED');
      if (closing !== undefined) {
        throw new BridgeError('PROVIDER_UNAVAILABLE', 'the local provider was closed');
      }
      const session = new LocalSession(setup, request, sink);
      sessions.add(session);
      session.begin();
      return session;
    },
    async prepare() {
      if (closing === undefined) await engine.prepare?.();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
