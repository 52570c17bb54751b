import { type AudioFormat, PCM16_24K } from '../../audio/format.ts';
import type { ProviderFacts } from '../../provider.ts';

/** What a session takes and gives; one of them for both directions. */
export const FORMATS: readonly AudioFormat[] = Object.freeze([
  Object.freeze({ encoding: 'mulaw', rate: 8000 }),
  Object.freeze({ encoding: 'alaw', rate: 8000 }),
  PCM16_24K,
  Object.freeze({ encoding: 'pcm16', rate: 16000 }),
]);

/** Messages that a session can be told at its start. */
export const MOST_HISTORY_ITEMS = 128;
/** Of those messages together, unless the server is configured otherwise: see `OpenAiLiveOptions.historyTokens`. */
export const MOST_HISTORY_TOKENS = 8_192;

/** Not documented; 2 hours were seen (aplisay/llm-agent#306). The session itself says when it ends. */
export const MAX_SESSION_MS = 2 * 60 * 60_000;

/**
 * What a session takes of the past: fewer characters than `tokens` of a European language have, and about as many as those
 * of others have.
 */
export function historyLimits(tokens: number): { readonly maxItems: number; readonly maxCharacters: number } {
  return Object.freeze({ maxItems: MOST_HISTORY_ITEMS, maxCharacters: 2 * tokens });
}

/** What people have to know of OpenAI Live. */
export const OPENAI_LIVE: ProviderFacts = Object.freeze({
  title: 'OpenAI Live',
  capabilities: Object.freeze({
    inputs: FORMATS,
    outputs: FORMATS,
    bargeIn: 'none',
    speech: 'continuous',
    truncate: false,
    cancel: false,
    resume: false,
    // Its stream keeps time with the audio that it is given, so that whatever is given at once is a lead that it never loses
    // again (livekit/agents#7239 has the other side of it: without audio it stands still).
    catchUp: false,
    cancelsTools: false,
    parallelTools: true,
    maxSessionMs: MAX_SESSION_MS,
    announcesEnd: false,
    history: historyLimits(MOST_HISTORY_TOKENS),
  }),
  defaultModel: 'gpt-live-1',
  models: Object.freeze(['gpt-live-1']),
  voices: Object.freeze(
    (
      'alloy ash ballad beacon bossa cedar cinder coral delta echo gleam marin meridian quartz ripple sage shida ' +
      'shimmer stone tempo verse vesper willow'
    ).split(' '),
  ),
  languages: 'Any that the model knows; it follows the caller unless it is told the language of the call.',
  onBargeIn:
    'It listens while it speaks and falls silent by itself, in real time; nobody tells it, and it tells nobody.',
  limits: Object.freeze([
    'Functions are called by a second model, which is charged for by the token beside the minutes of the voice.',
    'It is told the conversation so far at its start only: 128 messages, about 8,000 tokens.',
    'It goes on only as long as it is sent audio, silence too, which is charged for as well.',
    'Both directions have the same audio format.',
    'It cannot be made to stop speaking, by keys of the telephone for instance; what it goes on saying is not played.',
  ]),
});
