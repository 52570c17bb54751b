import type { Subject } from './provider-subjects.ts';
import { geminiSubject } from './subjects/gemini.ts';
import { openAiSubject } from './subjects/openai.ts';

export const OPENAI_TYPES = { module: 'openai/resources/realtime/realtime', type: 'RealtimeClientEvent' };

/** Every provider that speaks to a model. */
export const SUBJECTS: readonly Subject[] = [
  openAiSubject('OpenAI Realtime', { published: OPENAI_TYPES }),
  openAiSubject('a server with the old names', { sim: { dialect: 'beta' }, provider: { dialect: 'beta' } }),
  geminiSubject('Gemini Live 3.8', 'gemini-3.8-live'),
  geminiSubject('Gemini Live 3.1', 'gemini-3.1-flash-live-preview'),
  geminiSubject('Gemini Live 2.5', 'gemini-2.5-flash-native-audio-preview-12-2025'),
];
