import { SECRET } from '../config/setting-kinds.ts';
import { type Config, type Env, loadConfig } from '../config.ts';
import { BridgeError } from '../errors.ts';
import type { StoredCall } from '../recording/stored-call.ts';
import { telnyxPublicKey } from '../sim/phone/telnyx/signature.ts';

/** Where the bridge of a replay believes to be reached when the recording does not say. */
const PUBLIC_URL = 'https://bridge.example.com';
/** In the place of every secret: nobody is asked with it, but without any key there is nobody to ask. */
export const KEY = 'replay';
const KEYS = {
  OPENAI_API_KEY: KEY,
  GEMINI_API_KEY: KEY,
  XAI_API_KEY: KEY,
  AZURE_OPENAI_API_KEY: KEY,
  AZURE_VOICE_LIVE_API_KEY: KEY,
  INWORLD_API_KEY: KEY,
  AWS_ACCESS_KEY_ID: KEY,
  AWS_SECRET_ACCESS_KEY: KEY,
} as const;
/** What belongs to the service that the call was recorded at and not to a call. */
const NOT_OURS = [
  'PORT',
  'HOST',
  'LOG_LEVEL',
  'AGENTS_FILE',
  'DATA_DIR',
  'API_TOKEN',
  'PROVIDER',
  'AWS_PROFILE',
];

/** The configuration of a service in which the call happens once more. Throws BAD_RECORDING for settings that are none. */
export function settingsOf({ call }: StoredCall): Config {
  const given = Object.entries(call.settings)
    .filter(([name]) => !NOT_OURS.includes(name) && !name.startsWith('RECORDING'))
    .map(([name, value]) => [name, value === SECRET ? KEY : value]);
  const env: Env = {
    PUBLIC_URL,
    AWS_REGION: 'us-east-1',
    ...KEYS,
    ...Object.fromEntries(given),
    // What the replay signs with, see `Signer`.
    TWILIO_AUTH_TOKEN: KEY,
    PLIVO_AUTH_TOKEN: KEY,
    TELNYX_PUBLIC_KEY: telnyxPublicKey(KEY),
    PORT: '0',
    LOG_LEVEL: 'silent',
    PROVIDER: 'local',
  };
  try {
    return loadConfig(env);
  } catch (cause) {
    const { message } = BridgeError.from(cause);
    throw new BridgeError('BAD_RECORDING', `call.json settings: ${message}`, { cause });
  }
}
