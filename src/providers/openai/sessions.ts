import type { ConnectRequest } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import { instructions } from '../common/instructions.ts';
import type { SessionChoice } from './dialect.ts';
import { flatFormat, nestedFormat, pickFormat } from './formats.ts';

/** `de` of `de-AT`: most transcribers take the language alone. */
export function primaryLanguage(tag: string): string {
  return tag.split('-', 1)[0]?.toLowerCase() ?? tag;
}

function transcription(request: ConnectRequest, { transcriptionModel }: SessionChoice): Fields | null {
  if (!request.transcribeCaller || transcriptionModel === '') return null;
  const { language } = request;
  const model = { model: transcriptionModel };
  return language === undefined ? model : { ...model, language: primaryLanguage(language) };
}

function tools(request: ConnectRequest): readonly Fields[] {
  return request.tools.map(({ name, description, parameters }) => ({
    type: 'function',
    name,
    description,
    parameters,
  }));
}

function ownVoice(voice: string | undefined): Fields {
  if (voice === undefined) return {};
  return { voice: voice.startsWith('voice_') ? { id: voice } : voice };
}

/** OpenAI, and Azure OpenAI: nested. */
export function gaSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const format = nestedFormat(pickFormat(request, choice.dialect.formats));
  return {
    type: 'realtime',
    instructions: instructions(request),
    // Text-only turns in the history tempt the model to write instead of to speak.
    output_modalities: ['audio'],
    audio: {
      input: {
        format,
        transcription: transcription(request, choice),
        turn_detection: choice.dialect.turnDetection(request.turnDetection, request.language),
      },
      output: { format, ...ownVoice(request.voice ?? choice.voice) },
    },
    tools: tools(request),
    tool_choice: 'auto',
  };
}

/** Servers that speak the older dialect: flat. */
export function betaSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const format = flatFormat(pickFormat(request, choice.dialect.formats));
  return {
    modalities: ['text', 'audio'],
    instructions: instructions(request),
    ...ownVoice(request.voice ?? choice.voice),
    input_audio_format: format,
    output_audio_format: format,
    input_audio_transcription: transcription(request, choice),
    turn_detection: choice.dialect.turnDetection(request.turnDetection, request.language),
    tools: tools(request),
    tool_choice: 'auto',
  };
}

/** Those of docs.x.ai; any other is ignored without a word. Spanish and Portuguese have to name a country. */
const XAI_LANGUAGES: ReadonlySet<string> = new Set(
  'en ar-eg ar-sa ar-ae bn zh fr de hi id it ja ko pt-br pt-pt ru es-mx es-es tr vi'.split(' '),
);
const XAI_COUNTRIES: ReadonlyMap<string, string> = new Map([
  ['ar', 'ar-EG'],
  ['es', 'es-ES'],
  ['pt', 'pt-BR'],
]);

function xaiLanguage(tag: string | undefined): Fields {
  if (tag === undefined) return {};
  const primary = primaryLanguage(tag);
  const hint = [tag, primary].find((known) => XAI_LANGUAGES.has(known.toLowerCase()));
  const found = hint ?? XAI_COUNTRIES.get(primary);
  return found === undefined ? {} : { language_hint: found };
}

function xaiTranscription(request: ConnectRequest, { transcriptionModel }: SessionChoice): Fields {
  if (!request.transcribeCaller || transcriptionModel === '') return {};
  // Its schema has no model here, but says of `…transcription.updated` that it comes only with `grok-transcribe`
  // (docs.x.ai/voice-realtime.ws.json).
  return { transcription: { model: transcriptionModel, ...xaiLanguage(request.language) } };
}

/**
 * xAI: audio is nested, voice and turn detection are not, and there is nothing else but what its schema has:
 * `tool_choice`, a type and modalities are not in it.
 */
export function xaiSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const { dialect } = choice;
  const voice = request.voice ?? choice.voice;
  const format = nestedFormat(pickFormat(request, dialect.formats));
  return {
    instructions: instructions(request),
    ...(voice === undefined ? {} : { voice }),
    turn_detection: dialect.turnDetection(request.turnDetection, request.language),
    audio: { input: { format, ...xaiTranscription(request, choice) }, output: { format } },
    tools: tools(request),
    ...(dialect.resumes ? { resumption: { enabled: true } } : {}),
  };
}

const VOICE_LIVE_NATIVE: ReadonlySet<string> = new Set(
  'aarti andrew ava denise diya elsa florian francisca meera xiaoxiao yunxi ximena'.split(' '),
);

/** `en-US-AvaMultilingualNeural` is a voice of Azure Speech, `ava` one of Azure's models, `alloy` one of OpenAI's. */
function voiceLiveVoice(name: string | undefined): Fields {
  if (name === undefined) return {};
  if (/^[a-z]{2,3}-[a-z]+-/i.test(name)) return { voice: { type: 'azure-standard', name } };
  if (VOICE_LIVE_NATIVE.has(name)) return { voice: { type: 'azure-realtime-native', name } };
  return { voice: name };
}

/** Azure Voice Live: flat, with names of its own for rates on the way out and a number for those on the way in. */
export function voiceLiveSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const format = pickFormat(request, choice.dialect.formats);
  const written = transcription(request, choice);
  return {
    modalities: ['text', 'audio'],
    instructions: instructions(request),
    ...voiceLiveVoice(request.voice ?? choice.voice),
    input_audio_format: format.encoding === 'pcm16' ? 'pcm16' : flatFormat(format),
    input_audio_sampling_rate: format.rate,
    output_audio_format: flatFormat(format),
    ...(written === null ? {} : { input_audio_transcription: written }),
    turn_detection: choice.dialect.turnDetection(request.turnDetection, request.language),
    tools: tools(request),
    tool_choice: 'auto',
  };
}

/** Inworld: that of OpenAI, and the model is in it, because its address names none. */
export function inworldSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const { model } = choice;
  return { ...gaSession(request, choice), ...(model === undefined ? {} : { model }) };
}
