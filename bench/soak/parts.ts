import type { Env } from '../../src/config.ts';
import { telnyxPublicKey } from '../../src/sim/phone/telnyx/signature.ts';
import { defineTool, type Tool } from '../../src/tools.ts';
import { QUICK, SLOW } from './model.ts';

/** Secret of every account. */
export const KEY = 'soak';
/** Where carriers believe to reach the bridge: what they sign is signed for this. */
export const PUBLIC_URL = 'https://bridge.example.com';
/** Of the providers, in the order in which they are tried. */
export const NAMES = ['first', 'second'] as const;

/** The environment of a bridge that is configured for all carriers. */
export function settings(audio: 'wideband' | 'passthrough', maxCalls: number): Env {
  return {
    PUBLIC_URL,
    AUDIO_PATH: audio,
    MAX_CALLS: String(maxCalls),
    OPENAI_API_KEY: KEY,
    TWILIO_ACCOUNT_SID: `AC${'0'.repeat(31)}1`,
    TWILIO_AUTH_TOKEN: KEY,
    TELNYX_PUBLIC_KEY: telnyxPublicKey(KEY),
    TELNYX_API_KEY: KEY,
    PLIVO_AUTH_ID: 'MAXXXXXXXXXXXXXXXXXX',
    PLIVO_AUTH_TOKEN: KEY,
  };
}

const PARAMETERS = { type: 'object', properties: { day: { type: 'integer' } }, required: ['day'] } as const;

const lookUp: Tool = defineTool({
  name: QUICK,
  description: 'Looks a day up.',
  parameters: PARAMETERS,
  run: ({ day }) => ({ day, free: true }),
});

/** Answers nobody, and leaves when it is told to. */
const askColleague: Tool = defineTool({
  name: SLOW,
  description: 'Asks somebody.',
  parameters: PARAMETERS,
  run: (_args, { signal }) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve('called off'), { once: true })),
});

/** What the models call. */
export const TOOLS: readonly Tool[] = [lookUp, askColleague];
