import { likeASecret } from '../agents-file/words.ts';
import { assertNever } from '../errors.ts';
import type { Reader, Setting } from './reader.ts';

/**
 * What a variable holds. Kept with recordings, because a call depends on it and a replay makes the same one with it:
 * `call` as it is; `account`, an id that stands in requests and webhooks, too; `address` without what proves who calls;
 * `fields` (JSON that goes to a model) without members that are called like secrets; of a `secret` only that there is one.
 * Not kept: `private`, texts and headers that people make up, which are in the recording anyway or must not be; `place`,
 * where the service runs.
 */
type Kind = 'call' | 'account' | 'address' | 'fields' | 'secret' | 'private' | 'place';

/** What kind of a thing each variable holds. A variable that is not here does not compile. */
export const SETTING_KINDS: Readonly<Record<Setting, Kind>> = {
  PORT: 'place',
  HOST: 'place',
  PUBLIC_URL: 'address',
  LOG_LEVEL: 'place',
  TRACES: 'place',
  API_TOKEN: 'secret',
  AGENTS_FILE: 'place',
  DATA_DIR: 'place',
  RECORDING: 'place',
  RECORDINGS_DIR: 'place',
  RECORDINGS_MAX_DAYS: 'place',
  RECORDINGS_MAX_GB: 'place',
  RECORDINGS_MIN_FREE_GB: 'place',
  MAX_CALLS: 'place',
  WORKERS: 'place',
  MAX_CALL_SECONDS: 'call',
  SILENCE_SECONDS: 'call',
  DRAIN_SECONDS: 'place',
  PROVIDER: 'call',
  FAILOVER_CONNECT_SECONDS: 'call',
  FAILOVER_HEDGE_SECONDS: 'call',
  FAILOVER_ANSWER_SECONDS: 'call',
  // What these say is in the agent of the recording; they may hold numbers and names.
  LAST_RESORT_TRANSFER: 'private',
  LAST_RESORT_MESSAGE: 'private',
  LAST_RESORT_SAY: 'private',
  AGENT_INSTRUCTIONS: 'private',
  AGENT_GREETING: 'private',
  AGENT_LANGUAGE: 'call',
  AUDIO_PATH: 'call',
  TWILIO_ACCOUNT_SID: 'account',
  TWILIO_AUTH_TOKEN: 'secret',
  TWILIO_BASE_URL: 'address',
  TWILIO_FALLBACK_URL: 'address',
  TELNYX_PUBLIC_KEY: 'place',
  TELNYX_API_KEY: 'secret',
  TELNYX_CONNECTION_ID: 'call',
  TELNYX_CODEC: 'call',
  TELNYX_L16_ORDER: 'call',
  TELNYX_BASE_URL: 'address',
  PLIVO_AUTH_ID: 'account',
  PLIVO_AUTH_TOKEN: 'secret',
  PLIVO_AUDIO: 'call',
  PLIVO_UPGRADE_SIGNATURE: 'call',
  PLIVO_BASE_URL: 'address',
  PLIVO_FALLBACK_URL: 'address',
  OPENAI_API_KEY: 'secret',
  OPENAI_BASE_URL: 'address',
  OPENAI_MODEL: 'call',
  OPENAI_VOICE: 'call',
  OPENAI_TRANSCRIPTION_MODEL: 'call',
  OPENAI_DIALECT: 'call',
  OPENAI_AUTH: 'call',
  OPENAI_HEADERS: 'private',
  OPENAI_SESSION: 'fields',
  OPENAI_LIVE_BASE_URL: 'address',
  OPENAI_LIVE_MODEL: 'call',
  OPENAI_LIVE_VOICE: 'call',
  OPENAI_LIVE_DELEGATION_MODEL: 'call',
  OPENAI_LIVE_SESSION: 'fields',
  GEMINI_API_KEY: 'secret',
  GEMINI_ACCESS_TOKEN: 'secret',
  GEMINI_PLATFORM: 'call',
  GEMINI_PROJECT: 'call',
  GEMINI_LOCATION: 'call',
  GEMINI_BASE_URL: 'address',
  GEMINI_API_VERSION: 'call',
  GEMINI_MODEL: 'call',
  GEMINI_VOICE: 'call',
  GEMINI_SESSION: 'fields',
  AWS_REGION: 'call',
  AWS_ACCESS_KEY_ID: 'secret',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_SESSION_TOKEN: 'secret',
  AWS_PROFILE: 'place',
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'address',
  NOVA_MODEL: 'call',
  NOVA_VOICE: 'call',
  NOVA_SENSITIVITY: 'call',
  NOVA_SESSION: 'fields',
  XAI_API_KEY: 'secret',
  XAI_BASE_URL: 'address',
  XAI_MODEL: 'call',
  XAI_VOICE: 'call',
  XAI_SESSION: 'fields',
  AZURE_OPENAI_ENDPOINT: 'address',
  AZURE_OPENAI_API_KEY: 'secret',
  AZURE_OPENAI_DEPLOYMENT: 'call',
  AZURE_OPENAI_VOICE: 'call',
  AZURE_OPENAI_SESSION: 'fields',
  AZURE_VOICE_LIVE_ENDPOINT: 'address',
  AZURE_VOICE_LIVE_API_KEY: 'secret',
  AZURE_VOICE_LIVE_MODEL: 'call',
  AZURE_VOICE_LIVE_API_VERSION: 'call',
  AZURE_VOICE_LIVE_VOICE: 'call',
  AZURE_VOICE_LIVE_SESSION: 'fields',
  INWORLD_API_KEY: 'secret',
  INWORLD_BASE_URL: 'address',
  INWORLD_MODEL: 'call',
  INWORLD_VOICE: 'call',
  INWORLD_SESSION: 'fields',
};

const NAMES = Object.keys(SETTING_KINDS) as readonly Setting[];

/** No name of a model, a voice or an account is longer. */
const LONGEST = 200;
/** As carriers write them, which looks like a secret and is none. */
const ACCOUNT = /^(?:AC[0-9a-f]{32}|(?:MA|SA)[A-Z0-9]{10,40})$/i;
/** In the place of a secret that is there. */
export const SECRET = '[secret]';
/** `api-key`, `accessToken`; not `max_output_tokens`. */
const CALLED_LIKE_ONE = /key$|token$|auth$|secret|passw|authoriz|credential|signature|^(?:sig|code)$/i;

/** What was set of that which decides how a call goes, by name. */
export function givenSettings(read: Reader): Readonly<Record<string, string>> {
  const given: Record<string, string> = {};
  for (const name of NAMES) {
    const value = read.text(name);
    const told = value === undefined ? undefined : toldOf(SETTING_KINDS[name], value);
    if (told !== undefined) given[name] = told;
  }
  return given;
}

/** Keys and tokens that were set. */
export function secretValues(read: Reader): readonly string[] {
  return NAMES.flatMap((name) => (SETTING_KINDS[name] === 'secret' ? (read.text(name) ?? []) : []));
}

/** Undefined: nothing of it. */
function toldOf(kind: Kind, value: string): string | undefined {
  switch (kind) {
    case 'call':
      // What looks like a key is in the wrong variable.
      return value.length <= LONGEST && !likeASecret(value) ? value : undefined;
    case 'account':
      return ACCOUNT.test(value) ? value : undefined;
    case 'address':
      return plainAddress(value);
    case 'fields':
      return plainFields(value);
    case 'secret':
      return SECRET;
    case 'private':
    case 'place':
      return undefined;
    default:
      return assertNever(kind);
  }
}

function plainAddress(value: string): string | undefined {
  if (!URL.canParse(value)) return undefined;
  const url = new URL(value);
  if (url.username !== '' || url.password !== '') url.username = url.password = '';
  for (const [name, text] of [...url.searchParams])
    if (CALLED_LIKE_ONE.test(name) || likeASecret(text)) url.searchParams.set(name, SECRET);
  return url.href === new URL(value).href ? value : url.href;
}

function plainFields(value: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(value), (name, member: unknown) => {
      if (typeof member !== 'string') return member;
      return CALLED_LIKE_ONE.test(name) || likeASecret(member) ? SECRET : member;
    });
  } catch {
    return undefined;
  }
}
