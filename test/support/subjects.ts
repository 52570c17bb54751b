import type { Subject } from './provider-subjects.ts';
import { openAiSubject } from './subjects/openai.ts';

export const OPENAI_TYPES = { module: 'openai/resources/realtime/realtime', type: 'RealtimeClientEvent' };

/** Every provider that speaks to a model. */
export const SUBJECTS: readonly Subject[] = [
  openAiSubject('OpenAI Realtime', { published: OPENAI_TYPES }),
  openAiSubject('a server with the old names', { sim: { dialect: 'beta' }, provider: { dialect: 'beta' } }),
];
