import type { ProviderCapabilities, RealtimeProvider } from '../provider.ts';
import { connectError, scrubber } from './common/network.ts';
import { optionsOf } from './common/options.ts';
import { SpeechDecoder } from './common/speech-decoder.ts';
import type { Delegation } from './openai-live/config.ts';
import { historyLimits, MAX_SESSION_MS, MOST_HISTORY_TOKENS, OPENAI_LIVE } from './openai-live/facts.ts';
import { OpenAiLiveSession, type SessionSetup } from './openai-live/session.ts';

/**
 * Who does what the voice hands on; see `Delegation`. Default: `responses`, because a voice whose work nobody does waits
 * for it in vain.
 */
export type OpenAiLiveDelegation =
  | {
      readonly type: 'responses';
      /** Default `gpt-5.6-luna`, the one of the maker's examples. */
      readonly model?: string | undefined;
      /** For that model; default: those of the agent. */
      readonly instructions?: string | undefined;
      /** More fields of `delegation.responses` in the form of the API: `reasoning`, `max_output_tokens`, … */
      readonly more?: Readonly<Record<string, unknown>> | undefined;
    }
  | {
      readonly type: 'client';
      /** The function of the agent that does the work; none: the voice is told that nobody can. */
      readonly function?: string | undefined;
    };

/** Settings of the OpenAI Live provider. Times are in ms. */
export interface OpenAiLiveOptions {
  readonly apiKey: string;
  /** `ws:` or `wss:`; the default is `wss://api.openai.com/v1/live/sessions`. */
  readonly baseUrl?: string | undefined;
  /** Default `gpt-live-1`. */
  readonly model?: string | undefined;
  /** For requests that name no voice. */
  readonly voice?: string | undefined;
  readonly delegation?: OpenAiLiveDelegation | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Raw session fields, merged over what the bridge makes; those of a request are merged over these. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /** For dialling and `session.started` together; 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** Caller audio that may lie in the socket; 2 s. */
  readonly highWaterMs?: number | undefined;
  /** Caller audio that waits beside a full socket before the oldest is dropped; 2 s. */
  readonly backlogMs?: number | undefined;
  /**
   * What a session is told of the conversation so far, in tokens; 8192, the limit of the service's own types (`input` of
   * `session.start`, openai 7.55.0). Servers may be configured with another, which nobody tells; 0: it is told nothing.
   */
  readonly historyTokens?: number | undefined;
  /** How long before the end of the session `expiring` comes; 5 min. */
  readonly expiryMarginMs?: number | undefined;
  /**
   * Silence after which a stretch of speech is over; 800. No event tells: others take 0.8 s as well, which is a guess
   * (pipecat-ai/pipecat#5688).
   */
  readonly quietMs?: number | undefined;
  /**
   * Loudness (RMS of a 10 ms piece, 0..32767) up to which output is silence; 100, that is -50 dB. The service does not
   * send plain zeros: some noise around 20 was seen.
   */
  readonly silenceLevel?: number | undefined;
  /** Silence is sent when no audio was sent for so long, since a session stands still without any; 400: what is late by less is jitter. */
  readonly keepAwakeMs?: number | undefined;
  /**
   * A session whose stream went on in silence too is gone when the stream has stopped for so long; 8 s, 0: never. That silence
   * is sent is known from clients alone (pipecat-ai/pipecat#5688), so nothing is expected of a session that sends none.
   */
  readonly stallMs?: number | undefined;
}

const options = optionsOf('OpenAI Live provider');

function delegationOf(given: OpenAiLiveDelegation = { type: 'responses' }): Delegation {
  if (given.type === 'client') return { type: 'client', function: given.function };
  const { model = 'gpt-5.6-luna', instructions, more } = given;
  if (model === '') throw options.bad('delegation.model is empty, wanted the name of a model');
  return { type: 'responses', model, instructions, more };
}

function levelOf(value = 100): number {
  if (value >= 0 && value <= 32_767) return value;
  throw options.bad(`silenceLevel is ${value}, wanted 0 to 32767`);
}

function tokensOf(value = MOST_HISTORY_TOKENS): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw options.bad(`historyTokens is ${value}, wanted a whole number, 0 or more`);
}

function capabilitiesOf(historyTokens: number): ProviderCapabilities {
  const { capabilities } = OPENAI_LIVE;
  if (historyTokens === MOST_HISTORY_TOKENS) return capabilities;
  return Object.freeze({ ...capabilities, history: historyLimits(historyTokens) });
}

/** The OpenAI Live API over WebSocket. Throws BAD_CONFIG for unusable options. */
export function createOpenAiLiveProvider(given: OpenAiLiveOptions): RealtimeProvider {
  const apiKey = options.key(given.apiKey);
  const { model = 'gpt-live-1', headers } = given;
  if (model === '') throw options.bad('model is empty, wanted the name of a Live model');
  const setup: SessionSetup = Object.freeze({
    url: options.url(given.baseUrl ?? 'wss://api.openai.com/v1/live/sessions'),
    headers: options.headers({ Authorization: `Bearer ${apiKey}`, ...headers }),
    model,
    voice: given.voice,
    delegation: delegationOf(given.delegation),
    historyTokens: tokensOf(given.historyTokens),
    session: given.session ?? {},
    connectTimeoutMs: options.ms('connectTimeoutMs', given.connectTimeoutMs, 10_000, 1),
    highWaterMs: options.ms('highWaterMs', given.highWaterMs, 2_000, 20),
    backlogMs: options.ms('backlogMs', given.backlogMs, 2_000),
    expiryMarginMs: options.ms('expiryMarginMs', given.expiryMarginMs, 5 * 60_000),
    maxSessionMs: MAX_SESSION_MS,
    quietMs: options.ms('quietMs', given.quietMs, 800, 100),
    silenceLevel: levelOf(given.silenceLevel),
    keepAwakeMs: options.ms('keepAwakeMs', given.keepAwakeMs, 400, 20),
    stallMs: options.ms('stallMs', given.stallMs, 8_000),
    scrub: scrubber(apiKey),
    decoder: new SpeechDecoder(),
  });
  return {
    name: 'openai-live',
    capabilities: capabilitiesOf(setup.historyTokens),
    usesNetwork: true,
    model,
    async connect(request, sink, signal) {
      try {
        return await OpenAiLiveSession.connect(setup, request, sink, signal);
      } catch (thrown) {
        throw connectError(thrown);
      }
    },
  };
}
