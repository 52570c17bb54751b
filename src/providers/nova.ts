import { RATES, type Rate } from '../audio/format.ts';
import { LONGEST_TIMER_MS } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { ProviderCapabilities, RealtimeProvider } from '../provider.ts';
import { discreet } from './common/discreet.ts';
import { type Scrub, scrubber } from './common/network.ts';
import { optionsOf } from './common/options.ts';
import { SpeechDecoder } from './common/speech-decoder.ts';
import { type AwsCredentials, AwsLink } from './nova/aws.ts';
import { type EndpointingSensitivity, type ToolChoice, WAITS_MS, type WaitsMs } from './nova/config.ts';
import {
  CAPABILITIES,
  DEFAULT_MODEL,
  DEFAULT_VOICE,
  HISTORY,
  HISTORY_LIMITS,
  MAX_SESSION_MS,
} from './nova/facts.ts';
import type { HistoryLimits } from './nova/history.ts';
import { NovaSession, type SessionSetup } from './nova/session.ts';

/** Settings of Amazon Nova 2 Sonic on Amazon Bedrock. Times are in ms. */
export interface NovaOptions {
  /** `us-east-1`; undefined: from the environment or the profile, as the AWS SDK finds it. */
  readonly region?: string | undefined;
  /** Another address than that of the service; `http://` is HTTP/2 without TLS, as the simulator speaks it. */
  readonly endpoint?: string | undefined;
  /** Undefined: the chain of the AWS SDK. A Bedrock API key is not enough: every event is signed with these keys. */
  readonly credentials?: AwsCredentials | undefined;
  /** Of the files of the AWS command line, for region and credentials; undefined: the one that the environment names. */
  readonly profile?: string | undefined;
  /** `amazon.nova-2-sonic-v1:0`, or an inference profile. */
  readonly model?: string | undefined;
  /** For requests that name none; `matthew`. */
  readonly voice?: string | undefined;
  /** For agents that do not say how long a pause ends the caller's turn; `HIGH`, the shortest. */
  readonly sensitivity?: EndpointingSensitivity | undefined;
  /**
   * How long the service waits at each level, in ms, to find the one that comes nearest to what an agent asks for; 1500,
   * 1750 and 2000. Only that of `HIGH` is documented (Nova 2 user guide).
   */
  readonly waitsMs?: Partial<WaitsMs> | undefined;
  /** 1024. */
  readonly maxTokens?: number | undefined;
  /** 0.9. */
  readonly topP?: number | undefined;
  /** 0.7. */
  readonly temperature?: number | undefined;
  /** `auto`: the model decides; `any`: it calls one; or the name of the one to call. */
  readonly toolChoice?: ToolChoice | undefined;
  /** Samples per second of the caller's audio where the request asks for none; 8000, so that no resampler runs. */
  readonly inputRate?: Rate | undefined;
  /** The same of the agent's speech. */
  readonly outputRate?: Rate | undefined;
  /** Raw fields, merged last but for those of the request: `{"sessionStart": {…}, "promptStart": {…}}`. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /** For loading the SDK, finding the credentials, dialling and being accepted together; 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * When a session counts as connected. `accepted`: when the head of the service's answer has come. `sent` (the default):
   * then, or when the connection has stood for `sentMs` without an error, whichever is first. It is not documented that
   * the head comes before the first event of output, which a silent caller may never cause; a refusal comes at once.
   */
  readonly ready?: 'accepted' | 'sent' | undefined;
  /** 1500. */
  readonly sentMs?: number | undefined;
  /** Caller audio that waits for the service to take it before the oldest is dropped; 2 s. */
  readonly backlogMs?: number | undefined;
  /**
   * The service has taken nothing for so long: it is gone; 5 s. This is in the place of pings: the AWS SDK closes its HTTP/2
   * connection to new requests as soon as the stream is accepted, and Node does not ping on one that is closed.
   */
  readonly stallMs?: number | undefined;
  /** The longest session that the service allows; 8 min. */
  readonly maxSessionMs?: number | undefined;
  /** How long before the end of the session `expiring` comes; 2 min. */
  readonly expiryMarginMs?: number | undefined;
  /** In bytes, see `HISTORY_LIMITS`: sources differ, and an account may know better. */
  readonly historyLimits?: Partial<HistoryLimits> | undefined;
}

/** A provider that has something to give back. */
export interface NovaProvider extends RealtimeProvider, AsyncDisposable {
  /** Ends the sessions that are still open, with PROVIDER_CLOSED, and the SDK's client. Idempotent, never rejects. */
  close(): Promise<void>;
}

const options = optionsOf('Nova provider');

function endpointOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw options.bad('endpoint is not a URL that can be used, wanted http:// or https://');
  }
  return value;
}

function credentialsOf(given: AwsCredentials | undefined): AwsCredentials | undefined {
  if (given === undefined) return undefined;
  const { sessionToken } = given;
  return {
    accessKeyId: options.key(given.accessKeyId, 'accessKeyId'),
    secretAccessKey: options.key(given.secretAccessKey, 'secretAccessKey'),
    ...(sessionToken === undefined ? {} : { sessionToken: options.key(sessionToken, 'sessionToken') }),
  };
}

function named(name: string, value: string | undefined, otherwise: string): string {
  if (value === '') throw options.bad(`${name} is empty, wanted a name`);
  return value ?? otherwise;
}

function regionOf(value: string | undefined): string | undefined {
  if (value === undefined || /^[a-z]{2}(-[a-z]+)+-\d+$/.test(value)) return value;
  throw options.bad(`region is ${JSON.stringify(value)}, wanted one such as us-east-1`);
}

function share(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (value >= 0 && value <= 1) return value;
  throw options.bad(`${name} is ${value}, wanted 0 to 1`);
}

function whole(name: string, value: number | undefined, otherwise: number, least: number): number {
  if (value === undefined) return otherwise;
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw options.bad(`${name} is ${value}, wanted a whole number, ${least} or more`);
}

function rateOf(name: string, value: Rate | undefined): Rate {
  if (value === undefined) return 8000;
  if (RATES.includes(value)) return value;
  throw options.bad(`${name} is ${String(value)}, wanted ${RATES.join(', ')}`);
}

/** Takes keys, account numbers and what people said out of what the service says. */
function scrubberOf(credentials: AwsCredentials | undefined): Scrub {
  const secrets = Object.values(credentials ?? {}).filter((secret) => secret !== undefined);
  const scrub = scrubber(...secrets);
  return (text) =>
    discreet(
      scrub(text)
        .replace(/\bA[KS]IA[A-Z0-9]{8,}/g, '[key]')
        .replace(/\b\d{12}\b/g, '[account]'),
    );
}

function waitsOf(given: Partial<WaitsMs> = {}): WaitsMs {
  const ms = (level: EndpointingSensitivity): number =>
    options.ms(`waitsMs.${level}`, given[level], WAITS_MS[level]);
  const waits = { HIGH: ms('HIGH'), MEDIUM: ms('MEDIUM'), LOW: ms('LOW') };
  if (waits.HIGH <= waits.MEDIUM && waits.MEDIUM <= waits.LOW) return waits;
  const found = `${waits.HIGH}, ${waits.MEDIUM} and ${waits.LOW}`;
  throw options.bad(`waitsMs are ${found} for HIGH, MEDIUM and LOW, wanted the shortest first`);
}

type SessionOptions = Omit<SessionSetup, 'link' | 'sessions' | 'scrub' | 'decoder'>;

function sessionOptions(given: NovaOptions): SessionOptions {
  const { historyLimits = {} } = given;
  return {
    model: named('model', given.model, DEFAULT_MODEL),
    voice: named('voice', given.voice, DEFAULT_VOICE),
    sensitivity: given.sensitivity ?? 'HIGH',
    waitsMs: waitsOf(given.waitsMs),
    maxTokens: whole('maxTokens', given.maxTokens, 1_024, 1),
    topP: share('topP', given.topP, 0.9),
    temperature: share('temperature', given.temperature, 0.7),
    toolChoice: given.toolChoice ?? 'auto',
    inputRate: rateOf('inputRate', given.inputRate),
    outputRate: rateOf('outputRate', given.outputRate),
    session: given.session ?? {},
    connectTimeoutMs: options.ms('connectTimeoutMs', given.connectTimeoutMs, 10_000, 1),
    ready: given.ready ?? 'sent',
    sentMs: options.ms('sentMs', given.sentMs, 1_500),
    backlogMs: options.ms('backlogMs', given.backlogMs, 2_000, 20),
    stallMs: options.ms('stallMs', given.stallMs, 5_000, 1_000),
    maxSessionMs: options.ms('maxSessionMs', given.maxSessionMs, MAX_SESSION_MS, 1_000),
    expiryMarginMs: options.ms('expiryMarginMs', given.expiryMarginMs, 2 * 60_000),
    historyLimits: {
      bytesPerInput: whole(
        'historyLimits.bytesPerInput',
        historyLimits.bytesPerInput,
        HISTORY_LIMITS.bytesPerInput,
        16,
      ),
      total: whole('historyLimits.total', historyLimits.total, HISTORY_LIMITS.total, 256),
    },
  };
}

function capabilitiesOf({ maxSessionMs, historyLimits }: SessionOptions): ProviderCapabilities {
  const { total } = historyLimits;
  if (maxSessionMs === MAX_SESSION_MS && total === HISTORY.maxCharacters) return CAPABILITIES;
  const history = Object.freeze({ ...HISTORY, maxCharacters: total });
  return Object.freeze({ ...CAPABILITIES, maxSessionMs, history });
}

/**
 * Amazon Nova 2 Sonic over the bidirectional stream of the AWS SDK, which is loaded with the first session. Throws
 * BAD_CONFIG for unusable options.
 */
export function createNovaProvider(given: NovaOptions = {}): NovaProvider {
  const credentials = credentialsOf(given.credentials);
  const sessions = new Set<NovaSession>();
  const choice = sessionOptions(given);
  const link = new AwsLink({
    region: regionOf(given.region),
    endpoint: endpointOf(given.endpoint),
    credentials,
    profile: given.profile,
    idleMs: Math.min(choice.maxSessionMs + 60_000, LONGEST_TIMER_MS),
  });
  const setup: SessionSetup = Object.freeze({
    ...choice,
    link,
    sessions,
    scrub: scrubberOf(credentials),
    decoder: new SpeechDecoder(),
  });
  let closed = false;
  const close = (): Promise<void> => {
    closed = true;
    const error = new BridgeError('PROVIDER_CLOSED', 'the Nova provider was closed');
    for (const session of [...sessions]) session.abandon(error);
    link.close();
    return Promise.resolve();
  };
  return {
    name: 'nova',
    model: choice.model,
    capabilities: capabilitiesOf(choice),
    usesNetwork: true,
    connect(request, sink, signal) {
      if (closed) {
        return Promise.reject(new BridgeError('PROVIDER_UNAVAILABLE', 'the Nova provider was closed'));
      }
      const { model } = request;
      if (model === '') {
        return Promise.reject(new BridgeError('PROVIDER_CONFIG', 'model is empty, wanted the name of one'));
      }
      return NovaSession.connect(model === undefined ? setup : { ...setup, model }, request, sink, signal);
    },
    prepare: () => link.prepare(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
