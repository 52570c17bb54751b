import { likeASecret } from '../agents-file/words.ts';
import type { Reader, Setting } from './reader.ts';

/**
 * `call`: it decides how a call goes, holds no secret, and is kept with recordings. `secret`: it is one. `private`: it may
 * hold one, or numbers and names (fields, texts and addresses that people make up). `place`: where the service runs.
 */
type Kind = 'call' | 'secret' | 'private' | 'place';

/** What kind of a thing each variable holds. A variable that is not here does not compile. */
export const SETTING_KINDS: Readonly<Record<Setting, Kind>> = {
  PORT: 'place',
  HOST: 'place',
  PUBLIC_URL: 'place',
  LOG_LEVEL: 'place',
  API_TOKEN: 'secret',
  AGENTS_FILE: 'place',
  DATA_DIR: 'place',
  RECORDING: 'place',
  RECORDINGS_DIR: 'place',
  RECORDINGS_MAX_DAYS: 'place',
  RECORDINGS_MAX_GB: 'place',
  RECORDINGS_MIN_FREE_GB: 'place',
  MAX_CALLS: 'place',
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
  TWILIO_ACCOUNT_SID: 'private',
  TWILIO_AUTH_TOKEN: 'secret',
  TWILIO_BASE_URL: 'place',
  TWILIO_FALLBACK_URL: 'private',
  TELNYX_PUBLIC_KEY: 'private',
  TELNYX_API_KEY: 'secret',
  TELNYX_CONNECTION_ID: 'private',
  TELNYX_CODEC: 'call',
  TELNYX_L16_ORDER: 'call',
  TELNYX_BASE_URL: 'place',
  PLIVO_AUTH_ID: 'private',
  PLIVO_AUTH_TOKEN: 'secret',
  PLIVO_AUDIO: 'call',
  PLIVO_UPGRADE_SIGNATURE: 'call',
  PLIVO_BASE_URL: 'place',
  PLIVO_FALLBACK_URL: 'private',
  OPENAI_API_KEY: 'secret',
  OPENAI_BASE_URL: 'private',
  OPENAI_MODEL: 'call',
  OPENAI_VOICE: 'call',
  OPENAI_TRANSCRIPTION_MODEL: 'call',
  OPENAI_DIALECT: 'call',
  OPENAI_AUTH: 'call',
  OPENAI_HEADERS: 'private',
  OPENAI_SESSION: 'private',
  OPENAI_LIVE_BASE_URL: 'private',
  OPENAI_LIVE_MODEL: 'call',
  OPENAI_LIVE_VOICE: 'call',
  OPENAI_LIVE_DELEGATION_MODEL: 'call',
  OPENAI_LIVE_SESSION: 'private',
  GEMINI_API_KEY: 'secret',
  GEMINI_ACCESS_TOKEN: 'secret',
  GEMINI_PLATFORM: 'call',
  GEMINI_PROJECT: 'private',
  GEMINI_LOCATION: 'call',
  GEMINI_BASE_URL: 'private',
  GEMINI_API_VERSION: 'call',
  GEMINI_MODEL: 'call',
  GEMINI_VOICE: 'call',
  GEMINI_SESSION: 'private',
  AWS_REGION: 'call',
  AWS_ACCESS_KEY_ID: 'secret',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_SESSION_TOKEN: 'secret',
  AWS_PROFILE: 'private',
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'private',
  NOVA_MODEL: 'call',
  NOVA_VOICE: 'call',
  NOVA_SENSITIVITY: 'call',
  NOVA_SESSION: 'private',
  XAI_API_KEY: 'secret',
  XAI_BASE_URL: 'private',
  XAI_MODEL: 'call',
  XAI_VOICE: 'call',
  XAI_SESSION: 'private',
  AZURE_OPENAI_ENDPOINT: 'private',
  AZURE_OPENAI_API_KEY: 'secret',
  AZURE_OPENAI_DEPLOYMENT: 'call',
  AZURE_OPENAI_VOICE: 'call',
  AZURE_OPENAI_SESSION: 'private',
  AZURE_VOICE_LIVE_ENDPOINT: 'private',
  AZURE_VOICE_LIVE_API_KEY: 'secret',
  AZURE_VOICE_LIVE_MODEL: 'call',
  AZURE_VOICE_LIVE_API_VERSION: 'call',
  AZURE_VOICE_LIVE_VOICE: 'call',
  AZURE_VOICE_LIVE_SESSION: 'private',
  INWORLD_API_KEY: 'secret',
  INWORLD_BASE_URL: 'private',
  INWORLD_MODEL: 'call',
  INWORLD_VOICE: 'call',
  INWORLD_SESSION: 'private',
};

const NAMES = Object.keys(SETTING_KINDS) as readonly Setting[];

/** No name of a model, a voice or a language is longer. */
const LONGEST = 200;

/** What was set of that which decides how a call goes, by name; without what looks as if it were in the wrong variable. */
export function givenSettings(read: Reader): Readonly<Record<string, string>> {
  const given = settingsOf(read, 'call').filter(
    ([, value]) => value.length <= LONGEST && !likeASecret(value),
  );
  return Object.fromEntries(given);
}

/** Keys and tokens that were set. */
export function secretValues(read: Reader): readonly string[] {
  return settingsOf(read, 'secret').map(([, value]) => value);
}

function settingsOf(read: Reader, kind: Kind): readonly (readonly [name: Setting, value: string])[] {
  return NAMES.flatMap((name) => {
    const value = SETTING_KINDS[name] === kind ? read.text(name) : undefined;
    return value === undefined ? [] : [[name, value] as const];
  });
}
