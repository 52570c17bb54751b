import { assertNever } from '../errors.ts';
import type { ProviderName } from './provider-settings.ts';
import type { Reader } from './reader.ts';

/** What the environment says of each provider. Undefined, where nothing else is said: the provider's own default. */
export interface ProviderSections {
  readonly openai: {
    readonly apiKey: string | undefined;
    readonly baseUrl: string | undefined;
    readonly model: string;
    readonly voice: string | undefined;
    /** Empty: none. */
    readonly transcriptionModel: string | undefined;
    readonly dialect: 'ga' | 'beta';
    readonly auth: 'bearer' | 'api-key';
    readonly headers: Readonly<Record<string, string>>;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly openaiLive: {
    readonly apiKey: string | undefined;
    readonly baseUrl: string | undefined;
    readonly model: string | undefined;
    readonly voice: string | undefined;
    /** Calls the functions for the voice. */
    readonly delegationModel: string | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly gemini: {
    readonly apiKey: string | undefined;
    readonly accessToken: string | undefined;
    readonly platform: 'studio' | 'vertex';
    /** Vertex only, as is `location`. */
    readonly project: string | undefined;
    readonly location: string | undefined;
    readonly baseUrl: string | undefined;
    readonly apiVersion: string | undefined;
    readonly model: string | undefined;
    readonly voice: string | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly nova: {
    readonly region: string | undefined;
    /** Undefined: as the AWS SDK finds them. */
    readonly credentials: AwsCredentials | undefined;
    readonly profile: string | undefined;
    readonly endpoint: string | undefined;
    readonly model: string | undefined;
    readonly voice: string | undefined;
    readonly sensitivity: 'high' | 'medium' | 'low' | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly xai: {
    readonly apiKey: string | undefined;
    readonly baseUrl: string | undefined;
    readonly model: string | undefined;
    readonly voice: string | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly azure: {
    readonly endpoint: string | undefined;
    readonly apiKey: string | undefined;
    readonly deployment: string | undefined;
    readonly voice: string | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly azureVoiceLive: {
    readonly endpoint: string | undefined;
    readonly apiKey: string | undefined;
    readonly model: string | undefined;
    readonly apiVersion: string | undefined;
    readonly voice: string | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
  readonly inworld: {
    readonly apiKey: string | undefined;
    readonly baseUrl: string | undefined;
    readonly model: string | undefined;
    readonly voice: string | undefined;
    readonly session: Readonly<Record<string, unknown>>;
  };
}

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

const SOCKET: readonly string[] = ['wss:', 'ws:'];
const WEB: readonly string[] = ['https:', 'http:'];

export function readProviders(read: Reader): ProviderSections {
  const openaiKey = read.secret('OPENAI_API_KEY');
  return {
    openai: {
      apiKey: openaiKey,
      baseUrl: read.url('OPENAI_BASE_URL', SOCKET),
      model: read.text('OPENAI_MODEL') ?? 'gpt-realtime-2.1',
      voice: read.text('OPENAI_VOICE'),
      transcriptionModel: read.given('OPENAI_TRANSCRIPTION_MODEL'),
      dialect: read.oneOf('OPENAI_DIALECT', ['ga', 'beta'], 'ga'),
      auth: read.oneOf('OPENAI_AUTH', ['bearer', 'api-key'], 'bearer'),
      headers: read.headers('OPENAI_HEADERS'),
      session: read.object('OPENAI_SESSION'),
    },
    openaiLive: {
      apiKey: openaiKey,
      baseUrl: read.url('OPENAI_LIVE_BASE_URL', SOCKET),
      model: read.text('OPENAI_LIVE_MODEL'),
      voice: read.text('OPENAI_LIVE_VOICE'),
      delegationModel: read.text('OPENAI_LIVE_DELEGATION_MODEL'),
      session: read.object('OPENAI_LIVE_SESSION'),
    },
    gemini: readGemini(read),
    nova: readNova(read),
    xai: {
      apiKey: read.secret('XAI_API_KEY'),
      baseUrl: read.url('XAI_BASE_URL', SOCKET),
      model: read.text('XAI_MODEL'),
      voice: read.text('XAI_VOICE'),
      session: read.object('XAI_SESSION'),
    },
    azure: {
      endpoint: read.url('AZURE_OPENAI_ENDPOINT', [...WEB, ...SOCKET]),
      apiKey: read.secret('AZURE_OPENAI_API_KEY'),
      deployment: read.text('AZURE_OPENAI_DEPLOYMENT'),
      voice: read.text('AZURE_OPENAI_VOICE'),
      session: read.object('AZURE_OPENAI_SESSION'),
    },
    azureVoiceLive: {
      endpoint: read.url('AZURE_VOICE_LIVE_ENDPOINT', [...WEB, ...SOCKET]),
      apiKey: read.secret('AZURE_VOICE_LIVE_API_KEY'),
      model: read.text('AZURE_VOICE_LIVE_MODEL'),
      apiVersion: read.text('AZURE_VOICE_LIVE_API_VERSION'),
      voice: read.text('AZURE_VOICE_LIVE_VOICE'),
      session: read.object('AZURE_VOICE_LIVE_SESSION'),
    },
    inworld: {
      apiKey: read.secret('INWORLD_API_KEY'),
      baseUrl: read.url('INWORLD_BASE_URL', SOCKET),
      model: read.text('INWORLD_MODEL'),
      voice: read.text('INWORLD_VOICE'),
      session: read.object('INWORLD_SESSION'),
    },
  };
}

function readGemini(read: Reader): ProviderSections['gemini'] {
  return {
    apiKey: read.secret('GEMINI_API_KEY'),
    accessToken: read.secret('GEMINI_ACCESS_TOKEN'),
    platform: read.oneOf('GEMINI_PLATFORM', ['studio', 'vertex'], 'studio'),
    project: read.text('GEMINI_PROJECT'),
    location: read.text('GEMINI_LOCATION'),
    baseUrl: read.url('GEMINI_BASE_URL', [...SOCKET, ...WEB]),
    apiVersion: read.text('GEMINI_API_VERSION'),
    model: read.text('GEMINI_MODEL'),
    voice: read.text('GEMINI_VOICE'),
    session: read.object('GEMINI_SESSION'),
  };
}

function readNova(read: Reader): ProviderSections['nova'] {
  const endpoint = read.host('AWS_ENDPOINT_URL_BEDROCK_RUNTIME');
  const profile = read.text('AWS_PROFILE');
  const simulated = endpoint !== undefined && profile === undefined && isThisMachine(endpoint);
  const given = readCredentials(read);
  return {
    region:
      read.matching('AWS_REGION', /^[a-z]{2}(-[a-z]+)+-\d+$/, 'one such as us-east-1') ??
      (simulated ? 'us-east-1' : undefined),
    // Every event is signed, whoever reads it; a server on this machine does not mind with what.
    credentials: given ?? (simulated ? NO_CREDENTIALS : undefined),
    profile,
    endpoint,
    model: read.text('NOVA_MODEL'),
    voice: read.text('NOVA_VOICE'),
    sensitivity: read.oneOf('NOVA_SENSITIVITY', ['high', 'medium', 'low'], undefined),
    session: read.object('NOVA_SESSION'),
  };
}

const NO_CREDENTIALS: AwsCredentials = {
  accessKeyId: 'no-key',
  secretAccessKey: 'no-key',
  sessionToken: undefined,
};

function readCredentials(read: Reader): AwsCredentials | undefined {
  const accessKeyId = read.secret('AWS_ACCESS_KEY_ID');
  const secretAccessKey = read.secret('AWS_SECRET_ACCESS_KEY');
  const sessionToken = read.secret('AWS_SESSION_TOKEN');
  read.together('AWS_ACCESS_KEY_ID', ['AWS_SECRET_ACCESS_KEY']);
  read.together('AWS_SECRET_ACCESS_KEY', ['AWS_ACCESS_KEY_ID']);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken };
}

/** Whether an address is one of the machine itself. False for what is no address. */
export function isThisMachine(address: string): boolean {
  if (!URL.canParse(address)) return false;
  return ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(address).hostname);
}

/** Variables without which a provider of the program cannot be used; none: it can. */
export function lacksOf(name: ProviderName, config: ProviderSections): readonly string[] {
  const { openai, openaiLive, gemini, nova, xai, azure, azureVoiceLive, inworld } = config;
  switch (name) {
    case 'openai':
      return missing({ OPENAI_API_KEY: openai.apiKey ?? openai.baseUrl });
    case 'openai-live':
      return missing({ OPENAI_API_KEY: openaiLive.apiKey ?? openaiLive.baseUrl });
    case 'gemini':
      return lacksOfGemini(gemini);
    case 'nova':
      // A profile may have it, and nobody knows before the SDK has looked.
      return missing({ AWS_REGION: nova.region ?? nova.profile });
    case 'xai':
      return missing({ XAI_API_KEY: xai.apiKey ?? xai.baseUrl });
    case 'azure':
      return missing({
        AZURE_OPENAI_ENDPOINT: azure.endpoint,
        AZURE_OPENAI_API_KEY: azure.apiKey,
        AZURE_OPENAI_DEPLOYMENT: azure.deployment ?? namedIn(azure.endpoint, ['model', 'deployment']),
      });
    case 'azure-voice-live':
      return missing({
        AZURE_VOICE_LIVE_ENDPOINT: azureVoiceLive.endpoint,
        AZURE_VOICE_LIVE_API_KEY: azureVoiceLive.apiKey,
        AZURE_VOICE_LIVE_MODEL:
          azureVoiceLive.model ?? namedIn(azureVoiceLive.endpoint, ['model', 'agent-name', 'agent-id']),
      });
    case 'inworld':
      return missing({ INWORLD_API_KEY: inworld.apiKey ?? inworld.baseUrl });
    case 'local':
      return [];
    default:
      return assertNever(name);
  }
}

function lacksOfGemini(gemini: ProviderSections['gemini']): readonly string[] {
  const { platform, apiKey, accessToken, baseUrl, project } = gemini;
  if (platform === 'studio') return missing({ GEMINI_API_KEY: apiKey ?? accessToken ?? baseUrl });
  return missing({
    GEMINI_ACCESS_TOKEN: accessToken ?? baseUrl,
    GEMINI_PROJECT: project,
  });
}

/** What becomes known with the first call only; undefined: nothing. */
export function laterOf(name: ProviderName, config: ProviderSections): string | undefined {
  if (name !== 'nova' || config.nova.credentials !== undefined) return undefined;
  return 'credentials are looked for at the first call';
}

/** A model, or an agent in its place, may stand in the address itself. */
function namedIn(address: string | undefined, keys: readonly string[]): string | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined;
  const { searchParams } = new URL(address);
  return keys.map((key) => searchParams.get(key) ?? undefined).find((value) => value !== undefined);
}

function missing(settings: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.keys(settings).filter((name) => settings[name] === undefined);
}

/** The model that the environment names for a provider; undefined: none. */
export function modelOf(name: ProviderName, config: ProviderSections): string | undefined {
  switch (name) {
    case 'openai':
      return config.openai.model;
    case 'openai-live':
      return config.openaiLive.model;
    case 'gemini':
    case 'nova':
    case 'xai':
    case 'inworld':
      return config[name].model;
    case 'azure':
      return config.azure.deployment;
    case 'azure-voice-live':
      return config.azureVoiceLive.model;
    case 'local':
      return undefined;
    default:
      return assertNever(name);
  }
}

/** The voice that the environment names for a provider; undefined: none. */
export function voiceOf(name: ProviderName, config: ProviderSections): string | undefined {
  switch (name) {
    case 'openai':
    case 'gemini':
    case 'nova':
    case 'xai':
    case 'azure':
    case 'inworld':
      return config[name].voice;
    case 'openai-live':
      return config.openaiLive.voice;
    case 'azure-voice-live':
      return config.azureVoiceLive.voice;
    case 'local':
      return undefined;
    default:
      return assertNever(name);
  }
}
