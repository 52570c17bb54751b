import type { TurnDetection } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';

// A key that is left out falls back to a default of the server, which may differ from the one documented, so every
// key is always sent (openai/openai-realtime-console#35).

const OWN_ANSWERS = { create_response: true, interrupt_response: true };

function serverVad(wanted: TurnDetection): Fields {
  return {
    type: 'server_vad',
    threshold: wanted.threshold ?? 0.5,
    prefix_padding_ms: wanted.prefixMs ?? 300,
    silence_duration_ms: wanted.silenceMs ?? 500,
    ...OWN_ANSWERS,
  };
}

function semanticVad(wanted: TurnDetection): Fields {
  return { type: 'semantic_vad', eagerness: wanted.eagerness ?? 'auto', ...OWN_ANSWERS };
}

/** OpenAI itself. */
export function gaTurnDetection(wanted: TurnDetection): Fields {
  return wanted.mode === 'semantic' ? semanticVad(wanted) : { ...serverVad(wanted), idle_timeout_ms: null };
}

/** Servers that speak the older dialect: `idle_timeout_ms` is younger. */
export function betaTurnDetection(wanted: TurnDetection): Fields {
  return wanted.mode === 'semantic' ? semanticVad(wanted) : serverVad(wanted);
}

/** Servers whose own choice is the semantic one. */
export function semanticFirst(wanted: TurnDetection): Fields {
  return wanted.mode === 'server' ? serverVad(wanted) : semanticVad(wanted);
}

const XAI_LONGEST_MS = 10_000;

/**
 * xAI finds turns by sound alone, and always answers and stops by itself, so there is nothing to say of that. Its own
 * threshold, 0.85, is for a microphone in a quiet room; its limits are those of docs.x.ai/voice-realtime.ws.json.
 */
export function xaiTurnDetection(wanted: TurnDetection): Fields {
  return {
    type: 'server_vad',
    threshold: Math.min(0.9, Math.max(0.1, wanted.threshold ?? 0.5)),
    prefix_padding_ms: Math.min(XAI_LONGEST_MS, wanted.prefixMs ?? 333),
    silence_duration_ms: Math.min(XAI_LONGEST_MS, wanted.silenceMs ?? 500),
    idle_timeout_ms: null,
  };
}

/** What Azure Voice Live's own turn detection can do beside that of OpenAI. */
export interface VoiceLiveTurns {
  /** The server cuts what was not heard out of the conversation by itself; then it is not told to. */
  readonly autoTruncate: boolean;
  /** `um` and `uh` neither end nor begin a turn; semantic detection only. */
  readonly removeFillerWords: boolean;
  /** Less speech than this starts no turn, in ms; semantic detection only. */
  readonly speechMs: number | undefined;
  /** Settings of the model that hears whether a sentence is over, as the service spells them; undefined: none. */
  readonly endOfUtterance: Fields | undefined;
}

/** Languages that the English detection is not for have one of their own. */
function voiceLiveType(language: string | undefined): string {
  return language !== undefined && !/^en\b/i.test(language)
    ? 'azure_semantic_vad_multilingual'
    : 'azure_semantic_vad';
}

/** Azure Voice Live: its semantic detection is no eagerness but the rest of the settings of the other one. */
export function voiceLiveTurnDetection(
  wanted: TurnDetection,
  language: string | undefined,
  own: VoiceLiveTurns,
): Fields {
  const { autoTruncate, removeFillerWords, speechMs, endOfUtterance } = own;
  const both = {
    ...serverVad(wanted),
    auto_truncate: autoTruncate,
    ...(endOfUtterance === undefined ? {} : { end_of_utterance_detection: endOfUtterance }),
  };
  if (wanted.mode !== 'semantic') return both;
  return {
    ...both,
    type: voiceLiveType(language),
    remove_filler_words: removeFillerWords,
    ...(speechMs === undefined ? {} : { speech_duration_ms: speechMs }),
    ...(language === undefined ? {} : { languages: [language] }),
  };
}
