import { join } from 'node:path';
import { MESSAGE_S, TRANSFER_RING_S } from './agents.ts';
import type { AfterStream } from './carrier.ts';
import { readProviderList } from './config/provider-choice.ts';
import type { ProviderName } from './config/provider-settings.ts';
import { type ProviderSections, readProviders } from './config/providers.ts';
import { deepFreeze, type Env, Reader } from './config/reader.ts';
import { givenSettings, secretValues } from './config/setting-kinds.ts';
import { BridgeError } from './errors.ts';
import { FAILOVER, type FailoverPolicy } from './fallback/policy.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';
import { RECORDED_BY, type RecordedBy } from './recording-terms.ts';
import { CALL_ADDRESS } from './text-forms.ts';

export type { Env } from './config/reader.ts';

const TELNYX_CODECS = ['PCMU', 'PCMA', 'L16/8000', 'L16/16000', 'L16/24000'] as const;

export interface Config extends ProviderSections {
  readonly port: number;
  readonly host: string;
  readonly publicUrl: string | undefined;
  readonly logLevel: LogLevel;
  /** Whether calls are traced; `if-there`: where the package for it is installed. */
  readonly traces: 'yes' | 'if-there' | 'no';
  readonly apiToken: string | undefined;
  readonly agentsFile: string | undefined;
  readonly dataDir: string;
  readonly recordings: {
    /** Who records the calls of agents that say nothing of it; undefined: not said, which is nobody. */
    readonly by: RecordedBy | undefined;
    /** Where the bridge keeps what it records. */
    readonly folder: string;
    /** How long it keeps them, in ms, and how much of them, in bytes; undefined: without end. */
    readonly maxAgeMs: number | undefined;
    readonly maxBytes: number | undefined;
    /** Nothing is recorded while less is free on the disk, in bytes. */
    readonly minFreeBytes: number;
  };
  /** What was set of that which decides how a call goes, by the names of the environment; of secrets only that they are there. */
  readonly given: Readonly<Record<string, string>>;
  /** Keys and tokens, which nobody may write down. */
  readonly secrets: readonly string[];
  readonly maxCalls: number;
  /** Processes that calls are spread over; `auto`: as many as there are cores. */
  readonly workers: number | 'auto';
  readonly maxCallMs: number;
  readonly silenceMs: number;
  readonly drainMs: number;
  /** The first of `providers`. */
  readonly provider: ProviderName;
  /** Who takes the calls of agents that name none: in the order in which they are tried, each once, at least one. */
  readonly providers: readonly ProviderName[];
  /** Of agents that say nothing of it. */
  readonly failover: Pick<FailoverPolicy, 'connectMs' | 'hedgeMs' | 'answerMs'>;
  /** Of agents that say nothing of it; undefined: an apology. */
  readonly lastResort: AfterStream | undefined;
  readonly agent: {
    readonly instructions: string | undefined;
    readonly greeting: string | undefined;
    readonly language: string | undefined;
    readonly audio: 'wideband' | 'passthrough';
  };
  readonly twilio: {
    readonly accountSid: string | undefined;
    readonly authToken: string | undefined;
    readonly baseUrl: string | undefined;
    /** Asked about a call that was placed, when the bridge has no answer. */
    readonly fallbackUrl: string | undefined;
  };
  readonly telnyx: {
    readonly publicKey: string | undefined;
    readonly apiKey: string | undefined;
    readonly connectionId: string | undefined;
    readonly codec: (typeof TELNYX_CODECS)[number];
    readonly l16ByteOrder: 'little' | 'big' | 'detect';
    readonly baseUrl: string | undefined;
  };
  readonly plivo: {
    readonly authId: string | undefined;
    readonly authToken: string | undefined;
    readonly audio: 'mulaw' | 'l16-8000' | 'l16-16000';
    readonly requireUpgradeSignature: boolean;
    readonly baseUrl: string | undefined;
    readonly fallbackUrl: string | undefined;
  };
}

/** Environment to a frozen Config. Throws one BAD_CONFIG that names every mistake: variable, found, wanted. */
export function loadConfig(env: Env): Config {
  const read = new Reader(env);
  const sections = readProviders(read);
  const providers = readProviderList(read, sections);
  const dataDir = read.text('DATA_DIR') ?? '.patchcord';
  const config: Config = {
    port: read.whole('PORT', 8080, 0, 65_535),
    host: read.text('HOST') ?? '0.0.0.0',
    publicUrl: read.publicUrl(),
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    traces: readTraces(read),
    apiToken: read.text('API_TOKEN'),
    agentsFile: read.text('AGENTS_FILE'),
    dataDir,
    recordings: readRecordings(read, dataDir),
    given: givenSettings(read),
    secrets: secretValues(read),
    maxCalls: read.whole('MAX_CALLS', 200, 1, 100_000),
    workers: readWorkers(read),
    maxCallMs: read.whole('MAX_CALL_SECONDS', 3600, 1, 86_400) * 1000,
    silenceMs: read.whole('SILENCE_SECONDS', 15, 0, 3600) * 1000,
    drainMs: read.whole('DRAIN_SECONDS', 300, 0, 86_400) * 1000,
    provider: providers[0],
    providers,
    failover: {
      connectMs: read.ms('FAILOVER_CONNECT_SECONDS', FAILOVER.connectMs, 500, 60_000),
      hedgeMs: read.msOrNever('FAILOVER_HEDGE_SECONDS', FAILOVER.hedgeMs, 100, 60_000),
      answerMs: read.msOrNever('FAILOVER_ANSWER_SECONDS', FAILOVER.answerMs, 1000, 300_000),
    },
    lastResort: readLastResort(read),
    agent: {
      instructions: read.text('AGENT_INSTRUCTIONS'),
      greeting: read.given('AGENT_GREETING'),
      language: read.text('AGENT_LANGUAGE'),
      audio: read.oneOf('AUDIO_PATH', ['wideband', 'passthrough'], 'wideband'),
    },
    twilio: {
      accountSid: read.matching('TWILIO_ACCOUNT_SID', /^AC[0-9a-f]{32}$/i, 'AC and 32 hexadecimal digits'),
      authToken: read.secret('TWILIO_AUTH_TOKEN'),
      baseUrl: read.host('TWILIO_BASE_URL'),
      fallbackUrl: read.fallbackUrl('TWILIO_FALLBACK_URL'),
    },
    telnyx: {
      publicKey: read.matching(
        'TELNYX_PUBLIC_KEY',
        // The last character of 32 bytes has two bits to spare, which have to be 0.
        /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
        '32 bytes in base64, as the portal shows them',
      ),
      apiKey: read.secret('TELNYX_API_KEY'),
      connectionId: read.secret('TELNYX_CONNECTION_ID'),
      codec: read.oneOf('TELNYX_CODEC', TELNYX_CODECS, 'PCMU'),
      l16ByteOrder: read.oneOf('TELNYX_L16_ORDER', ['little', 'big', 'detect'], 'detect'),
      baseUrl: read.host('TELNYX_BASE_URL'),
    },
    plivo: {
      authId: read.matching('PLIVO_AUTH_ID', /^(MA|SA)[A-Z0-9]{10,40}$/i, 'MA or SA and letters and digits'),
      authToken: read.secret('PLIVO_AUTH_TOKEN'),
      audio: read.oneOf('PLIVO_AUDIO', ['mulaw', 'l16-8000', 'l16-16000'], 'mulaw'),
      requireUpgradeSignature:
        read.oneOf('PLIVO_UPGRADE_SIGNATURE', ['if-present', 'required'], 'if-present') === 'required',
      baseUrl: read.host('PLIVO_BASE_URL'),
      fallbackUrl: read.fallbackUrl('PLIVO_FALLBACK_URL'),
    },
    ...sections,
  };
  read.together('TWILIO_AUTH_TOKEN', ['TWILIO_ACCOUNT_SID']);
  read.together('TELNYX_PUBLIC_KEY', ['TELNYX_API_KEY', 'TELNYX_CONNECTION_ID']);
  read.together('PLIVO_AUTH_TOKEN', ['PLIVO_AUTH_ID']);
  if (read.bad.length > 0) throw new BridgeError('BAD_CONFIG', read.bad.join('; '));
  return deepFreeze(config);
}

/** Some exporter is named by what OpenTelemetry has defined, unless all of it is off. */
function readTraces(read: Reader): Config['traces'] {
  const traces = read.oneOf('TRACES', ['auto', 'on', 'off'], 'auto');
  if (traces !== 'auto') return traces === 'on' ? 'yes' : 'no';
  const exporters = read.standard('OTEL_TRACES_EXPORTER');
  const named =
    exporters ??
    read.standard('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ??
    read.standard('OTEL_EXPORTER_OTLP_ENDPOINT');
  const off = read.standard('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporters === 'none';
  return named === undefined || off ? 'no' : 'if-there';
}

function readWorkers(read: Reader): Config['workers'] {
  const text = read.matching('WORKERS', /^(?:auto|[1-9]\d{0,2})$/, '"auto" or a whole number from 1 to 999');
  return text === 'auto' ? text : Number(text ?? 1);
}

const DAY_MS = 86_400_000;
const GB = 1_000_000_000;

function readRecordings(read: Reader, dataDir: string): Config['recordings'] {
  const maxDays = read.whole('RECORDINGS_MAX_DAYS', 30, 0, 36_500);
  const maxGb = read.amount('RECORDINGS_MAX_GB', 10, 0, 1_000_000);
  return {
    by: read.oneOf('RECORDING', RECORDED_BY, undefined),
    folder: read.text('RECORDINGS_DIR') ?? join(dataDir, 'recordings'),
    maxAgeMs: maxDays === 0 ? undefined : maxDays * DAY_MS,
    maxBytes: maxGb === 0 ? undefined : Math.round(maxGb * GB),
    minFreeBytes: Math.round(read.amount('RECORDINGS_MIN_FREE_GB', 1, 0, 1_000_000) * GB),
  };
}

/** At most one of its settings: a caller cannot be given two of them. */
function readLastResort(read: Reader): AfterStream | undefined {
  const to = read.matching('LAST_RESORT_TRANSFER', CALL_ADDRESS, '"+" and 3 to 15 digits, or "sip:…"');
  const message = read.sayable('LAST_RESORT_MESSAGE');
  const say = read.sayable('LAST_RESORT_SAY');
  const language = read.text('AGENT_LANGUAGE');
  read.onlyOne(['LAST_RESORT_TRANSFER', 'LAST_RESORT_MESSAGE', 'LAST_RESORT_SAY']);
  if (to !== undefined) {
    return {
      type: 'transfer',
      to,
      callerId: undefined,
      ringS: TRANSFER_RING_S,
      announce: undefined,
      language,
    };
  }
  if (message !== undefined) return { type: 'message', text: message, language, maxS: MESSAGE_S };
  return say === undefined ? undefined : { type: 'say', text: say, language };
}
