import type { ProviderCapabilities, ProviderFacts } from '../../provider.ts';
import { FORMATS, MANY_FORMATS } from './formats.ts';

const HOUR_MS = 60 * 60_000;

/**
 * What a new session is told of an earlier one. Nothing refuses more, but the models before gpt-realtime-2 have a context of
 * 32,000 tokens (developers.openai.com/api/docs/models/gpt-realtime-1.5), in which instructions, functions and the call
 * itself need room too; this is about 12,000 tokens, the words of some 50 minutes.
 */
export const HISTORY = Object.freeze({ maxItems: 1_000, maxCharacters: 48_000 });

const CAPABILITIES: ProviderCapabilities = Object.freeze({
  inputs: FORMATS,
  outputs: FORMATS,
  bargeIn: 'speech-started',
  speech: 'turns',
  truncate: true,
  cancel: true,
  resume: false,
  // Where speech begins and ends is told by its place in the audio that was sent (`audio_start_ms`), not by the clock, and one
  // message may bring minutes of it (`input_audio_buffer.append`, up to 15 MiB). Its relatives say the same of theirs; that
  // they keep it with much audio at once was not seen.
  catchUp: true,
  cancelsTools: false,
  parallelTools: true,
  maxSessionMs: HOUR_MS,
  announcesEnd: false,
  history: HISTORY,
});

const VOICES = Object.freeze('alloy ash ballad coral echo sage shimmer verse marin cedar'.split(' '));

const CUTS_AND_IS_TOLD =
  'It says at once that the caller speaks and cuts its answer off; it is told how much of it was heard.';

function frozen(facts: ProviderFacts): ProviderFacts {
  Object.freeze(facts.models);
  Object.freeze(facts.voices);
  Object.freeze(facts.limits);
  return Object.freeze(facts);
}

/** What people have to know of OpenAI Realtime. */
export const OPENAI: ProviderFacts = frozen({
  title: 'OpenAI Realtime',
  capabilities: CAPABILITIES,
  defaultModel: 'gpt-realtime-2.1',
  models: ['gpt-realtime-2.1', 'gpt-realtime-2.1-mini', 'gpt-realtime-2', 'gpt-realtime-1.5'],
  voices: VOICES,
  languages: 'Any that the model knows; it follows the caller unless it is told the language of the call.',
  onBargeIn: CUTS_AND_IS_TOLD,
  limits: [
    'A session lasts 60 minutes and ends without a warning; in the five minutes before, the call goes over to another one.',
    'A voice cannot be changed after the agent has spoken.',
    'G.711 goes through as it is; PCM16 only with 24 kHz.',
  ],
});

/** What people have to know of Azure OpenAI. */
export const AZURE: ProviderFacts = frozen({
  title: 'Azure OpenAI',
  capabilities: CAPABILITIES,
  defaultModel: undefined,
  models: [],
  voices: VOICES,
  languages: 'Those of OpenAI Realtime.',
  onBargeIn: CUTS_AND_IS_TOLD,
  limits: [
    'It is asked for the name of a deployment, not of a model.',
    'A session lasts 60 minutes and ends without a warning; in the five minutes before, the call goes over to another one.',
    'A server error may stay for the rest of a session; after the second one the session is given up.',
  ],
});

/** What people have to know of Azure Voice Live. */
export const AZURE_VOICE_LIVE: ProviderFacts = frozen({
  title: 'Azure Voice Live',
  capabilities: Object.freeze({
    ...CAPABILITIES,
    inputs: MANY_FORMATS,
    outputs: MANY_FORMATS,
    // None is documented; a session that has one names it.
    maxSessionMs: undefined,
  }),
  defaultModel: undefined,
  models: ['gpt-realtime', 'gpt-realtime-mini', 'gpt-5', 'gpt-5-mini', 'gpt-4.1', 'gpt-4.1-mini'],
  voices: [...VOICES, 'ava', 'andrew', 'en-US-AvaMultilingualNeural'],
  languages: 'Those of Azure Speech, or of the model where it hears and speaks by itself.',
  onBargeIn: `${CUTS_AND_IS_TOLD} With autoTruncate it reckons that by itself.`,
  limits: [
    'Voices are those of OpenAI, of Azure’s models, and of Azure Speech (named like en-US-AvaMultilingualNeural).',
    'Longest session and resumption are not documented.',
  ],
});

/** What people have to know of xAI's Grok Voice. */
export const XAI: ProviderFacts = frozen({
  title: 'xAI Grok Voice',
  capabilities: Object.freeze({
    ...CAPABILITIES,
    inputs: MANY_FORMATS,
    outputs: MANY_FORMATS,
    resume: true,
    maxSessionMs: 2 * HOUR_MS,
  }),
  defaultModel: 'grok-voice-latest',
  models: ['grok-voice-latest', 'grok-voice-think-fast-2.0', 'grok-voice-think-fast-1.0'],
  voices: ['eve', 'ara', 'rex', 'sal', 'leo'],
  languages: 'Some 20, found by itself; the language of the call helps to write down what the caller says.',
  onBargeIn: CUTS_AND_IS_TOLD,
  limits: [
    'A session lasts 120 minutes; a conversation can be gone on with in another one for 30 minutes after its last turn.',
    'At most 100 sessions at once.',
    'Turns are found by sound, never by sense.',
    'Functions cannot be switched off for one response, so greetings and the like are spoken without the model.',
  ],
});

/** What people have to know of Inworld. */
export const INWORLD_FACTS: ProviderFacts = frozen({
  title: 'Inworld Realtime',
  capabilities: Object.freeze({
    ...CAPABILITIES,
    inputs: MANY_FORMATS,
    outputs: MANY_FORMATS,
    // None is documented.
    maxSessionMs: undefined,
  }),
  defaultModel: undefined,
  models: ['openai/gpt-4o-mini', 'openai/gpt-4.1-nano', 'inworld/models/gemma-4-26b-a4b-it'],
  voices: ['Clive', 'Sarah', 'Ashley'],
  languages: 'Those of the models that hear, think and speak in turn.',
  onBargeIn: CUTS_AND_IS_TOLD,
  limits: [
    'Hearing, thinking and speaking are three models; the one that thinks is named like provider/model.',
    'At most 20 sessions at once.',
    'Turns are found by sense unless an agent asks for the other way.',
  ],
});
