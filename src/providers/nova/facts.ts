import type { AudioFormat } from '../../audio/format.ts';
import type { ProviderCapabilities, ProviderFacts } from '../../provider.ts';

export const DEFAULT_MODEL = 'amazon.nova-2-sonic-v1:0';
export const DEFAULT_VOICE = 'matthew';

/** A connection is ended by the service after so long (Bedrock API reference); it does not announce that. */
export const MAX_SESSION_MS = 8 * 60_000;

/** Both ways; 8 kHz first, so that no resampler runs on a telephone line. */
export const FORMATS: readonly AudioFormat[] = Object.freeze([
  Object.freeze({ encoding: 'pcm16', rate: 8000 }),
  Object.freeze({ encoding: 'pcm16', rate: 16_000 }),
  Object.freeze({ encoding: 'pcm16', rate: 24_000 }),
] as const);

/**
 * What a new session is told of an earlier one. The page "Chat history" of the Nova 2 user guide says 1 KB for a
 * `textInput` and 40 KB in all; pipecat and strands-agents assume 50 KB and 200 KB. The smaller ones are safe with both.
 */
export const HISTORY_LIMITS = Object.freeze({ bytesPerInput: 1_024, total: 40_960 });

/** Turns are told until the bytes are used up; more than so many never fit. */
export const HISTORY = Object.freeze({ maxItems: 4_096, maxCharacters: HISTORY_LIMITS.total });

export const CAPABILITIES: ProviderCapabilities = Object.freeze({
  inputs: FORMATS,
  outputs: FORMATS,
  bargeIn: 'interrupted',
  speech: 'turns',
  truncate: false,
  cancel: false,
  resume: false,
  // The maker's own sample hands up to 10 s of the caller's speech to the next session, as fast as it goes
  // (aws-samples/amazon-nova-samples, speech-to-speech/repeatable-patterns/session-continuation).
  catchUp: true,
  cancelsTools: false,
  parallelTools: true,
  maxSessionMs: MAX_SESSION_MS,
  announcesEnd: false,
  history: HISTORY,
});

/** Amazon Nova 2 Sonic, for people. */
export const NOVA: ProviderFacts = Object.freeze({
  title: 'Amazon Nova 2 Sonic',
  capabilities: CAPABILITIES,
  defaultModel: DEFAULT_MODEL,
  // The others are inference profiles of the same model.
  models: Object.freeze([DEFAULT_MODEL, `us.${DEFAULT_MODEL}`, `global.${DEFAULT_MODEL}`]),
  voices: Object.freeze([
    'matthew',
    'tiffany',
    'amy',
    'olivia',
    'ambre',
    'florian',
    'lupe',
    'carlos',
    'kiara',
    'arjun',
    'beatrice',
    'lorenzo',
    'tina',
    'lennart',
    'carolina',
    'leo',
  ]),
  languages:
    'A voice has a language of its own; tiffany and matthew speak all that the model knows. The language of a call is told to the model as an instruction.',
  onBargeIn:
    'The service notices the caller by itself and says so when it has cut its speech off, or never when it has sent all of it; it says nothing when the caller begins to speak. What is left of the answer is dropped here. It takes no word of how much was heard.',
  limits: Object.freeze([
    'A session ends after 8 minutes without a warning; in the two minutes before, the call goes over to another one.',
    'An earlier conversation is told before the audio begins, at most 40 KB of text; the oldest turns are left out.',
    'Text in mid-call is always answered; what must not be answered is marked so, and an answer to it is not played.',
    'Results of functions are JSON; other text is wrapped.',
    'AWS signs every event with SigV4 keys: a Bedrock API key alone does not work.',
    'About 20 sessions at once for each account and region, unless AWS raises the quota.',
  ]),
});
