import { type AudioFormat, PCM16_24K } from '../../audio/format.ts';
import type { ProviderFacts } from '../../provider.ts';

/** What the service hears unless another rate is declared, see `GeminiOptions.inputRate`. */
export const INPUT: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 16000 });

/** What the service speaks. */
export const OUTPUT: AudioFormat = PCM16_24K;

/** Of one connection; with a handle the session goes on over the next one. */
export const MAX_CONNECTION_MS = 10 * 60_000;

export const DEFAULT_MODEL = 'gemini-3.8-live';

/**
 * What a new session is told at most: the context has 131,072 tokens, and compression sets in at four fifths of it, so
 * that about 50,000 tokens of text leave room for the call itself.
 */
export const HISTORY = Object.freeze({ maxItems: 1_000, maxCharacters: 200_000 });

/** Gemini Live, as data. */
export const GEMINI: ProviderFacts = Object.freeze({
  title: 'Gemini Live',
  capabilities: Object.freeze({
    inputs: Object.freeze([INPUT]),
    outputs: Object.freeze([OUTPUT]),
    bargeIn: 'interrupted',
    speech: 'turns',
    truncate: false,
    cancel: false,
    resume: true,
    // The guide sends whole recordings as fast as they are read (ai.google.dev/gemini-api/docs/live-guide), and speech that
    // comes at once is found to be a turn when silence or `audioStreamEnd` follows it (BerriAI/litellm#29946).
    catchUp: true,
    cancelsTools: true,
    parallelTools: true,
    maxSessionMs: MAX_CONNECTION_MS,
    announcesEnd: true,
    history: HISTORY,
  }),
  defaultModel: DEFAULT_MODEL,
  models: Object.freeze([
    'gemini-3.8-live',
    'gemini-3.8-live-extended-thinking',
    'gemini-3.1-flash-live-preview',
    'gemini-2.5-flash-native-audio-preview-12-2025',
    'gemini-live-2.5-flash-native-audio',
  ]),
  voices: Object.freeze([
    'Zephyr',
    'Puck',
    'Charon',
    'Kore',
    'Fenrir',
    'Leda',
    'Orus',
    'Aoede',
    'Callirrhoe',
    'Autonoe',
    'Enceladus',
    'Iapetus',
    'Umbriel',
    'Algieba',
    'Despina',
    'Erinome',
    'Algenib',
    'Rasalgethi',
    'Laomedeia',
    'Achernar',
    'Alnilam',
    'Schedar',
    'Gacrux',
    'Pulcherrima',
    'Achird',
    'Zubenelgenubi',
    'Vindemiatrix',
    'Sadachbia',
    'Sadaltager',
    'Sulafat',
  ]),
  languages:
    'The models speak many languages and follow the caller by themselves. The language of the agent is written into its instructions; it is sent as a setting, too, where the service has one for it.',
  onBargeIn:
    'The service says `interrupted` once it has heard the caller, which is late, and never when it has said everything already, so the bridge listens for the caller itself. Nothing can be cancelled or truncated there: the rest of the turn is dropped on arrival, and a model that must believe to have said much more than was heard is told so (not on 3.1, before the next text).',
  limits: Object.freeze([
    'A connection lasts about 10 minutes; its end is announced about a minute ahead. The call goes on over another one, which takes the session up again by its handle (`resumable`).',
    'A session lasts 15 minutes unless the context is compressed, which is on by default.',
    'The context has 131,072 tokens.',
    'Models of 3.1 cannot be told anything without being asked to answer; such text waits for the next one that asks.',
    'On 2.5 and 3.1 the model stands still while a function runs, and what the caller says meanwhile waits.',
  ]),
});
