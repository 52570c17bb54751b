import { fileURLToPath } from 'node:url';
import type { ConnectRequest } from '../../src/provider.ts';
import { createOpenAiProvider, type OpenAiOptions } from '../../src/providers/openai.ts';
import {
  type AzureVoiceLiveOptions,
  createAzureOpenAiProvider,
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
  type XaiOptions,
} from '../../src/providers/openai-relatives.ts';
import type { Subject } from './provider-subjects.ts';
import { geminiSubject } from './subjects/gemini.ts';
import { novaSubject } from './subjects/nova.ts';
import { type FamilyMember, KEY, openAiSubject } from './subjects/openai.ts';
import { openAiLiveSubject } from './subjects/openai-live.ts';

function byHand(name: string, type: string): NonNullable<Subject['published']> {
  return { module: fileURLToPath(new URL(`published/${name}.ts`, import.meta.url)), type };
}

export const OPENAI_TYPES = { module: 'openai/resources/realtime/realtime', type: 'RealtimeClientEvent' };
export const VOICE_LIVE_TYPES = byHand('voice-live', 'VoiceLiveEvent');
export const XAI_TYPES = byHand('xai', 'XaiEvent');
const INWORLD_TYPES = byHand('inworld', 'InworldEvent');

const apiKey = KEY;
const model = 'gpt-realtime-2.1';
const GEMINI = 'gemini-3.8-live';
const GEMINI_3_1 = 'gemini-3.1-flash-live-preview';
const GEMINI_2_5 = 'gemini-2.5-flash-native-audio-preview-12-2025';

function openAi(own: Partial<OpenAiOptions> = {}): FamilyMember {
  return {
    published: OPENAI_TYPES,
    provider: ({ url, ...place }) => createOpenAiProvider({ apiKey, model, baseUrl: url, ...place, ...own }),
  };
}

function voiceLive(own: Partial<AzureVoiceLiveOptions> = {}): FamilyMember {
  return {
    sim: { dialect: 'voice-live' },
    published: VOICE_LIVE_TYPES,
    provider: (place) => createAzureVoiceLiveProvider({ apiKey, model: 'gpt-realtime', ...place, ...own }),
  };
}

function xai(own: Partial<XaiOptions> = {}): FamilyMember {
  return {
    sim: { dialect: 'xai' },
    published: XAI_TYPES,
    provider: ({ url, ...place }) => createXaiProvider({ apiKey, baseUrl: url, ...place, ...own }),
  };
}

/** Every provider that speaks to a model. */
export const SUBJECTS: readonly Subject[] = [
  openAiSubject('OpenAI Realtime', openAi()),
  openAiSubject('a server with the old names', {
    sim: { dialect: 'beta' },
    published: { module: 'openai/resources/beta/realtime/realtime', type: 'RealtimeClientEvent' },
    provider: ({ url, ...place }) =>
      createOpenAiProvider({ apiKey, model, dialect: 'beta', baseUrl: url, ...place }),
  }),
  openAiSubject('Azure OpenAI', {
    published: OPENAI_TYPES,
    provider: (place) => createAzureOpenAiProvider({ apiKey, deployment: 'voice', ...place }),
  }),
  openAiSubject('Azure Voice Live', voiceLive()),
  openAiSubject('xAI', xai()),
  openAiSubject('Inworld', {
    sim: { dialect: 'inworld' },
    published: INWORLD_TYPES,
    provider: ({ url, ...place }) =>
      createInworldProvider({ apiKey, baseUrl: url, maxSessionMs: 3_600_000, ...place }),
  }),
  openAiLiveSubject('OpenAI Live'),
  geminiSubject('Gemini Live 3.8', GEMINI),
  geminiSubject('Gemini Live 3.1', GEMINI_3_1),
  geminiSubject('Gemini Live 2.5', GEMINI_2_5),
  novaSubject('Nova 2 Sonic'),
];

/** A provider with settings by which it sends something else than by default. */
export interface Variant {
  readonly subject: Subject;
  readonly request: Partial<ConnectRequest>;
}

function variant(subject: Subject, request: Partial<ConnectRequest> = {}): Variant {
  return { subject, request };
}

const SEMANTIC = { mode: 'semantic', eagerness: 'low' } as const;

/** Not every setting with every other, but each once. */
export const VARIANTS: readonly Variant[] = [
  variant(
    openAiSubject(
      'OpenAI Realtime with semantic turns and fields of its own',
      openAi({
        session: {
          audio: { input: { noise_reduction: { type: 'far_field' } }, output: { speed: 1.1 } },
          max_output_tokens: 2_000,
          truncation: { type: 'retention_ratio', retention_ratio: 0.8 },
          reasoning: { effort: 'low' },
        },
      }),
    ),
    { voice: 'marin', language: 'de-AT', turnDetection: { mode: 'semantic', eagerness: 'high' } },
  ),
  variant(
    openAiSubject(
      'Azure Voice Live with its own hearing',
      voiceLive({
        autoTruncate: true,
        removeFillerWords: true,
        speechMs: 80,
        endOfUtteranceDetection: { model: 'semantic_detection_v1', threshold_level: 'low', timeout_ms: 800 },
        noiseReduction: 'azure_deep_noise_suppression',
        echoCancellation: true,
      }),
    ),
    { voice: 'en-US-AvaMultilingualNeural', language: 'en-US', turnDetection: SEMANTIC },
  ),
  variant(
    openAiSubject(
      'Azure Voice Live that speaks scripts',
      voiceLive({ scriptedSpeech: true, noiseReduction: 'near_field' }),
    ),
    { voice: 'ava', language: 'fr-FR', turnDetection: SEMANTIC, transcribeCaller: false },
  ),
  variant(
    openAiSubject(
      'xAI without its extensions',
      xai({ scriptedSpeech: false, truncate: false, resumption: false, reasoning: 'none' }),
    ),
    { voice: 'ara', language: 'es', transcribeCaller: false },
  ),
  variant(
    openAiLiveSubject('OpenAI Live with delegation to the client', {
      delegation: { type: 'client', function: 'lookup' },
    }),
    { voice: 'marin' },
  ),
  variant(
    geminiSubject('Gemini Live on Vertex AI', GEMINI, { platform: 'vertex', location: 'europe-west4' }),
  ),
  variant(geminiSubject('Gemini Live with functions that block', GEMINI, { toolBehavior: 'blocking' }), {
    voice: 'Puck',
    language: 'de-AT',
    turnDetection: { ...SEMANTIC, threshold: 0.8 },
  }),
  variant(
    geminiSubject('Gemini Live 3.1 that thinks little, with fields of its own', GEMINI_3_1, {
      compression: false,
      resumption: false,
      session: {
        generationConfig: { temperature: 0.4, thinkingConfig: { thinkingLevel: 'MINIMAL' } },
        realtimeInputConfig: { turnCoverage: 'TURN_INCLUDES_ALL_INPUT' },
      },
    }),
    { transcribeCaller: false },
  ),
  variant(
    geminiSubject('Gemini Live 2.5 that does not think', GEMINI_2_5, {
      session: { generationConfig: { thinkingConfig: { includeThoughts: false, thinkingBudget: 0 } } },
    }),
  ),
  variant(
    novaSubject('Nova 2 Sonic that is patient and has to call', { sensitivity: 'LOW', toolChoice: 'any' }),
    { voice: 'tiffany' },
  ),
  variant(novaSubject('Nova 2 Sonic that has to call one', { toolChoice: { tool: 'lookup' } }), {
    turnDetection: { silenceMs: 1_750 },
  }),
];
