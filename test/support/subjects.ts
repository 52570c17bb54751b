import { createOpenAiProvider } from '../../src/providers/openai.ts';
import {
  createAzureOpenAiProvider,
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
} from '../../src/providers/openai-relatives.ts';
import type { Subject } from './provider-subjects.ts';
import { geminiSubject } from './subjects/gemini.ts';
import { novaSubject } from './subjects/nova.ts';
import { KEY, openAiSubject } from './subjects/openai.ts';
import { openAiLiveSubject } from './subjects/openai-live.ts';

export const OPENAI_TYPES = { module: 'openai/resources/realtime/realtime', type: 'RealtimeClientEvent' };

const apiKey = KEY;
const model = 'gpt-realtime-2.1';

/** Every provider that speaks to a model. */
export const SUBJECTS: readonly Subject[] = [
  openAiSubject('OpenAI Realtime', {
    published: OPENAI_TYPES,
    provider: ({ url, ...place }) => createOpenAiProvider({ apiKey, model, baseUrl: url, ...place }),
  }),
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
  openAiSubject('Azure Voice Live', {
    sim: { dialect: 'voice-live' },
    provider: (place) => createAzureVoiceLiveProvider({ apiKey, model: 'gpt-realtime', ...place }),
  }),
  openAiSubject('xAI', {
    sim: { dialect: 'xai' },
    provider: ({ url, ...place }) => createXaiProvider({ apiKey, baseUrl: url, ...place }),
  }),
  openAiSubject('Inworld', {
    sim: { dialect: 'inworld' },
    provider: ({ url, ...place }) =>
      createInworldProvider({ apiKey, baseUrl: url, maxSessionMs: 3_600_000, ...place }),
  }),
  openAiLiveSubject('OpenAI Live'),
  geminiSubject('Gemini Live 3.8', 'gemini-3.8-live'),
  geminiSubject('Gemini Live 3.1', 'gemini-3.1-flash-live-preview'),
  geminiSubject('Gemini Live 2.5', 'gemini-2.5-flash-native-audio-preview-12-2025'),
  novaSubject('Nova 2 Sonic'),
];
