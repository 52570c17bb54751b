import type { RealtimeProvider } from '../provider.ts';
import type { OptionChecks } from './common/options.ts';
import { type Access, keyAccess, type Token, tokenAccess } from './openai/access.ts';
import { BETA, GA, INWORLD, voiceLiveDialect, xaiDialect } from './openai/dialects.ts';
import { AZURE, AZURE_VOICE_LIVE, INWORLD_FACTS, XAI } from './openai/facts.ts';
import { checksOf, type FamilyOptions, familyProvider } from './openai/provider.ts';

/** How Azure is shown who calls: by a key of the resource, or by a token of Microsoft Entra. Exactly one of them. */
interface AzureAccess {
  readonly apiKey?: string | undefined;
  /** For the scope `https://cognitiveservices.azure.com/.default`; a function is asked again for every session. */
  readonly token?: Token | undefined;
}

/** Settings of Azure OpenAI. Times are in ms. */
export interface AzureOpenAiOptions extends FamilyOptions, AzureAccess {
  /** `https://RESOURCE.openai.azure.com`; a `wss:` address is taken as it is, whatever it holds. */
  readonly endpoint: string;
  /** Its name, which need not be that of a model. An address that names one has the last word. */
  readonly deployment?: string | undefined;
  /** Of the preview, such as `2025-04-01-preview`, which speaks the older dialect; undefined: the version that stays. */
  readonly apiVersion?: string | undefined;
}

/** Settings of Azure Voice Live. Times are in ms. */
export interface AzureVoiceLiveOptions extends FamilyOptions, AzureAccess {
  /** `https://RESOURCE.services.ai.azure.com`; a `wss:` address is taken as it is, whatever it holds. */
  readonly endpoint: string;
  readonly model?: string | undefined;
  /** In the place of a model: an agent of a Foundry project, which has instructions of its own. */
  readonly agent?:
    | { readonly name: string; readonly project: string; readonly version?: string | undefined }
    | undefined;
  /** Default `2026-07-15`. */
  readonly apiVersion?: string | undefined;
  /**
   * The service reckons by itself what was heard of an answer that was cut off, and is not told. Default false: the
   * bridge knows better what the telephone has played.
   */
  readonly autoTruncate?: boolean | undefined;
  /** `um` and `uh` end no turn; only with turn detection by sense. Default false. */
  readonly removeFillerWords?: boolean | undefined;
  /** Less speech than this starts no turn, in ms; only with turn detection by sense. */
  readonly speechMs?: number | undefined;
  /** A model that hears whether a sentence is over, as the service spells it: `{ model: 'semantic_detection_v1' }`. */
  readonly endOfUtteranceDetection?: Readonly<Record<string, unknown>> | undefined;
  readonly noiseReduction?: 'azure_deep_noise_suppression' | 'near_field' | 'far_field' | undefined;
  /** The service takes the agent's own voice out of what the caller's telephone sends. Default false. */
  readonly echoCancellation?: boolean | undefined;
  /**
   * Greetings and the like are spoken as they are, without the model. Default false: the types of the service have it
   * (`pre_generated_assistant_message` of @azure/ai-voicelive 1.1.0), its guides do not say with which models it works.
   */
  readonly scriptedSpeech?: boolean | undefined;
  /** Longest session, which is not documented; default: as long as the session says of itself. */
  readonly maxSessionMs?: number | undefined;
}

/** Settings of xAI's Grok Voice. Times are in ms. */
export interface XaiOptions extends FamilyOptions {
  readonly apiKey: string;
  /** `ws:` or `wss:`; the default is `wss://api.x.ai/v1/realtime`. */
  readonly baseUrl?: string | undefined;
  /** Default `grok-voice-latest`. */
  readonly model?: string | undefined;
  /**
   * It is told how much of an answer was heard. Default true: docs.x.ai/voice-realtime.ws.json has
   * `conversation.item.truncate`, but no client that was looked at relies on it. A refusal is a warning.
   */
  readonly truncate?: boolean | undefined;
  /** Greetings and the like are spoken as they are, without the model (`force_message`). Default true. */
  readonly scriptedSpeech?: boolean | undefined;
  /** Conversations are kept by xAI for 30 minutes, so that a session that broke can be gone on with. Default true. */
  readonly resumption?: boolean | undefined;
  /** Default: the model decides, which means `high`. */
  readonly reasoning?: 'high' | 'none' | undefined;
  /** Longest session; default 120 min as docs.x.ai says. Older pages said 30 min. */
  readonly maxSessionMs?: number | undefined;
}

/** Settings of Inworld Realtime. Times are in ms. */
export interface InworldOptions extends FamilyOptions {
  /** As the portal shows it for `Basic`. */
  readonly apiKey: string;
  /** `ws:` or `wss:`; the default is `wss://api.inworld.ai/api/v1/realtime/session`. */
  readonly baseUrl?: string | undefined;
  /** The model that thinks, such as `openai/gpt-4o-mini`; undefined: the service decides. */
  readonly model?: string | undefined;
  /** Longest session, which is not documented; default: as long as the session says of itself. */
  readonly maxSessionMs?: number | undefined;
}

function azureAccess(check: OptionChecks, { apiKey, token, headers }: FamilyOptions & AzureAccess): Access {
  if (apiKey !== undefined && token !== undefined) {
    throw check.bad('there are both apiKey and token, wanted one of them');
  }
  if (token !== undefined) return tokenAccess(check, token, headers);
  return keyAccess(check, 'api-key', apiKey ?? '', headers);
}

/** A resource's address with this path, as a WebSocket address; one that is such an address already stays as it is. */
function azureAddress(check: OptionChecks, endpoint: string, path: string): URL {
  if (/^wss?:/i.test(endpoint)) return check.url(endpoint);
  if (!/^https?:/i.test(endpoint) || !URL.canParse(endpoint)) {
    throw check.bad('endpoint is not an address, wanted https:// or wss://');
  }
  const url = check.url(endpoint.replace(/^http/i, 'ws'));
  url.pathname = path;
  return url;
}

function hasOne(url: URL, keys: readonly string[]): boolean {
  return keys.some((key) => url.searchParams.has(key));
}

/** Azure OpenAI, by deployment. Throws BAD_CONFIG for unusable options. */
export function createAzureOpenAiProvider(options: AzureOpenAiOptions): RealtimeProvider {
  const check = checksOf(AZURE);
  const { endpoint, deployment = '', apiVersion } = options;
  const path = apiVersion === undefined ? '/openai/v1/realtime' : '/openai/realtime';
  const address = (wanted: string | undefined): URL => {
    const url = azureAddress(check, endpoint, path);
    if (apiVersion !== undefined) url.searchParams.set('api-version', apiVersion);
    if (hasOne(url, ['model', 'deployment'])) return url;
    const name = wanted ?? deployment;
    if (name === '') throw check.bad('deployment is empty, wanted the name of a deployment');
    url.searchParams.set(url.searchParams.has('api-version') ? 'deployment' : 'model', name);
    return url;
  };
  const usual = address(undefined);
  return familyProvider(check, options, {
    name: 'azure',
    facts: AZURE,
    // Only the preview names its version, and only it speaks the older dialect.
    dialect: usual.searchParams.has('api-version') ? BETA : GA,
    access: azureAccess(check, options),
    address,
    model: usual.searchParams.get('model') ?? usual.searchParams.get('deployment') ?? undefined,
    // Azure has its own names of models; this one is in the guides of its realtime interface.
    transcriber: () => 'whisper-1',
    endsUnsaid: true,
  });
}

/** Fields of every session that options ask for. */
function voiceLiveFields({ noiseReduction, echoCancellation }: AzureVoiceLiveOptions): object {
  return {
    ...(noiseReduction === undefined ? {} : { input_audio_noise_reduction: { type: noiseReduction } }),
    ...(echoCancellation ? { input_audio_echo_cancellation: { type: 'server_echo_cancellation' } } : {}),
  };
}

/** Azure Voice Live, by model or by agent. Throws BAD_CONFIG for unusable options. */
export function createAzureVoiceLiveProvider(options: AzureVoiceLiveOptions): RealtimeProvider {
  const check = checksOf(AZURE_VOICE_LIVE);
  const { endpoint, model, agent, apiVersion = '2026-07-15' } = options;
  const address = (wanted: string | undefined): URL => {
    const url = azureAddress(check, endpoint, '/voice-live/realtime');
    if (!url.searchParams.has('api-version')) url.searchParams.set('api-version', apiVersion);
    if (hasOne(url, ['model', 'agent-name', 'agent-id'])) return url;
    if (agent !== undefined) {
      url.searchParams.set('agent-name', agent.name);
      url.searchParams.set('agent-project-name', agent.project);
      if (agent.version !== undefined) url.searchParams.set('agent-version', agent.version);
      return url;
    }
    const name = wanted ?? model ?? '';
    if (name === '') throw check.bad('there is neither model nor agent, wanted one of them');
    url.searchParams.set('model', name);
    return url;
  };
  const usual = address(undefined).searchParams.get('model') ?? undefined;
  const own = {
    autoTruncate: options.autoTruncate ?? false,
    removeFillerWords: options.removeFillerWords ?? false,
    speechMs: options.speechMs,
    endOfUtterance: options.endOfUtteranceDetection,
    scripted: options.scriptedSpeech ?? false,
  };
  return familyProvider(
    check,
    { ...options, session: { ...voiceLiveFields(options), ...options.session } },
    {
      name: 'azure-voice-live',
      facts: AZURE_VOICE_LIVE,
      dialect: voiceLiveDialect(own),
      access: azureAccess(check, options),
      address,
      model: usual,
      // Models that hear by themselves have no use for Azure Speech, which refuses to write for them.
      transcriber: (named) => (named?.includes('realtime') ? 'whisper-1' : 'azure-speech'),
      maxSessionMs: options.maxSessionMs,
      endsUnsaid: true,
    },
  );
}

/** xAI's Grok Voice. Throws BAD_CONFIG for unusable options. */
export function createXaiProvider(options: XaiOptions): RealtimeProvider {
  const check = checksOf(XAI);
  const { baseUrl = 'wss://api.x.ai/v1/realtime', model = XAI.defaultModel ?? '', reasoning } = options;
  const address = (wanted: string | undefined, resume: string | undefined): URL => {
    const url = check.url(baseUrl);
    if (!url.searchParams.has('model')) url.searchParams.set('model', wanted ?? model);
    if (resume !== undefined) url.searchParams.set('conversation_id', resume);
    return url;
  };
  const fields = reasoning === undefined ? {} : { reasoning: { effort: reasoning } };
  return familyProvider(
    check,
    { ...options, session: { ...fields, ...options.session } },
    {
      name: 'xai',
      facts: XAI,
      dialect: xaiDialect({
        truncates: options.truncate ?? true,
        scripted: options.scriptedSpeech ?? true,
        resumes: options.resumption ?? true,
      }),
      access: keyAccess(check, 'bearer', options.apiKey, options.headers),
      address,
      model: address(undefined, undefined).searchParams.get('model') ?? undefined,
      transcriber: () => 'grok-transcribe',
      maxSessionMs: options.maxSessionMs,
      endsUnsaid: true,
    },
  );
}

/** Inworld Realtime. Throws BAD_CONFIG for unusable options. */
export function createInworldProvider(options: InworldOptions): RealtimeProvider {
  const check = checksOf(INWORLD_FACTS);
  const { baseUrl = 'wss://api.inworld.ai/api/v1/realtime/session' } = options;
  return familyProvider(check, options, {
    name: 'inworld',
    facts: INWORLD_FACTS,
    dialect: INWORLD,
    access: keyAccess(check, 'basic', options.apiKey, options.headers),
    address(_model, _resume, random) {
      const url = check.url(baseUrl);
      // It only has to tell the sessions of an account apart.
      if (!url.searchParams.has('key')) url.searchParams.set('key', random.uuid());
      url.searchParams.set('protocol', 'realtime');
      return url;
    },
    model: options.model,
    modelInSession: true,
    // Whatever it hears with; the name is one of its documented models.
    transcriber: () => 'assemblyai/universal-streaming-multilingual',
    maxSessionMs: options.maxSessionMs,
    endsUnsaid: true,
  });
}
