import { isObject, type JsonObject } from '../common/json.ts';
import { betaEvent, betaFormatName, gaFormat, gaItem, gaModalities, without } from './beta.ts';
import {
  anything,
  arrayOf,
  decimal,
  missing,
  nullable,
  object,
  oneOf,
  type Rule,
  record,
  tagged,
  text,
  truth,
  whole,
  wordOr,
} from './check.ts';
import type { ServerDialect } from './dialect.ts';
import { functionTool, maxTokensRule, metadataRule, toolChoiceRule, VOICES } from './rules.ts';
import {
  checkVoice,
  SERVER_VAD,
  type ServerVad,
  type SessionConfig,
  type WireFormat,
} from './session-config.ts';
import { Refusal, type WireEvent } from './wire.ts';

// As the types of @azure/ai-voicelive 1.1.0 have it.

const azureVoice = {
  type: text,
  name: text,
  temperature: decimal(0, 1),
  custom_lexicon_url: text,
  custom_text_normalization_url: text,
  prefer_locales: arrayOf(text),
  locale: text,
  style: text,
  pitch: text,
  rate: text,
  volume: text,
};

const voice: Rule = wordOr(
  VOICES,
  tagged('type', {
    openai: object({ type: text, name: oneOf(...VOICES) }, ['name']),
    'azure-standard': object(azureVoice, ['name']),
    'azure-custom': object({ ...azureVoice, endpoint_id: text }, ['name', 'endpoint_id']),
    'azure-personal': object({ ...azureVoice, model: text }, ['name', 'model']),
    'azure-realtime-native': object({ type: text, name: text }, ['name']),
  }),
);

const endOfUtterance: Rule = nullable(
  object(
    {
      model: oneOf('semantic_detection_v1', 'semantic_detection_v1_en', 'semantic_detection_v1_multilingual'),
      threshold_level: oneOf('low', 'medium', 'high', 'default'),
      timeout_ms: whole(0),
    },
    ['model'],
  ),
);

const serverVad = {
  type: text,
  threshold: decimal(0, 1),
  prefix_padding_ms: whole(0),
  silence_duration_ms: whole(0),
  end_of_utterance_detection: endOfUtterance,
  auto_truncate: truth,
  create_response: truth,
  interrupt_response: truth,
};
const semanticVad = { ...serverVad, speech_duration_ms: whole(0), remove_filler_words: truth };

const turnDetection: Rule = nullable(
  tagged('type', {
    server_vad: object(serverVad),
    azure_semantic_vad: object({ ...semanticVad, languages: arrayOf(text) }),
    azure_semantic_vad_en: object(semanticVad),
    azure_semantic_vad_multilingual: object({ ...semanticVad, languages: arrayOf(text) }),
  }),
);

const tools: Rule = arrayOf(
  tagged('type', {
    function: functionTool,
    mcp: object({
      type: text,
      server_label: text,
      server_url: text,
      authorization: text,
      headers: record,
      allowed_tools: arrayOf(text),
      require_approval: anything,
    }),
  }),
);

const outputFormat = oneOf('pcm16', 'pcm16_8000hz', 'pcm16_16000hz', 'g711_ulaw', 'g711_alaw');

const SPOKEN: Readonly<Record<string, Rule>> = {
  modalities: arrayOf(oneOf('text', 'audio', 'animation', 'avatar')),
  voice,
  instructions: text,
  output_audio_format: outputFormat,
  tools,
  tool_choice: toolChoiceRule,
  temperature: decimal(0, 2),
  reasoning_effort: oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh'),
  interim_response: record,
  metadata: metadataRule,
};

const sessionRule: Rule = object({
  ...SPOKEN,
  model: text,
  animation: record,
  avatar: record,
  input_audio_sampling_rate: rate,
  input_audio_format: oneOf('pcm16', 'g711_ulaw', 'g711_alaw'),
  turn_detection: turnDetection,
  input_audio_noise_reduction: nullable(
    object({ type: oneOf('azure_deep_noise_suppression', 'near_field', 'far_field') }, ['type']),
  ),
  input_audio_echo_cancellation: nullable(
    object(
      {
        type: oneOf('server_echo_cancellation'),
        reference_source: oneOf('server', 'client'),
        channels: whole(1),
      },
      ['type'],
    ),
  ),
  input_audio_transcription: nullable(
    object({ model: text, language: text, custom_speech: record, phrase_list: arrayOf(text) }, ['model']),
  ),
  output_audio_timestamp_types: arrayOf(oneOf('word')),
  max_response_output_tokens: maxTokensRule,
  include: arrayOf(text),
});

function rate(value: unknown, path: string): void {
  if (value === 8_000 || value === 16_000 || value === 24_000) return;
  const message = `Invalid value: '${JSON.stringify(value)}'. Supported values are: 8000, 16000, and 24000.`;
  throw new Refusal('invalid_value', message, path);
}

const writtenItem: Rule = object(
  {
    id: text,
    type: oneOf('message'),
    role: oneOf('assistant'),
    content: arrayOf(object({ type: oneOf('text'), text }, ['text'])),
    status: text,
  },
  ['role', 'content'],
);

const responseRule: Rule = object({
  ...SPOKEN,
  commit: truth,
  cancel_previous: truth,
  append_input_items: arrayOf(record),
  input_items: arrayOf(record),
  max_output_tokens: maxTokensRule,
  pre_generated_assistant_message: writtenItem,
  invoke_input: record,
});

const DEFAULTS: JsonObject = {
  modalities: ['text', 'audio'],
  instructions: '',
  voice: 'alloy',
  input_audio_format: 'pcm16',
  output_audio_format: 'pcm16',
  turn_detection: { ...without({ ...SERVER_VAD, idle_timeout_ms: undefined }), auto_truncate: false },
  tools: [],
  tool_choice: 'auto',
};

function inputFormat(own: JsonObject): WireFormat {
  const format = gaFormat(own['input_audio_format']) as WireFormat;
  const given = own['input_audio_sampling_rate'] ?? 24_000;
  if (format.type === 'audio/pcm') return { ...format, rate: given as 8_000 };
  if (given === 24_000 || given === 8_000) return format;
  const message = `Sampling rate ${String(given)} is not supported with '${String(own['input_audio_format'])}'.`;
  throw new Refusal('invalid_value', message, 'session.input_audio_sampling_rate');
}

/** Whatever it goes by, a turn ends after so much silence. */
function detection(own: JsonObject): ServerVad | null {
  const vad = own['turn_detection'];
  return isObject(vad) ? ({ ...SERVER_VAD, ...vad, type: 'server_vad' } as ServerVad) : null;
}

function meant(current: SessionConfig, own: JsonObject): SessionConfig {
  const transcription = own['input_audio_transcription'];
  return {
    ...current,
    own,
    instructions: String(own['instructions']),
    output_modalities: (gaModalities(own['modalities']) ?? ['audio']) as SessionConfig['output_modalities'],
    tools: own['tools'] as readonly JsonObject[],
    tool_choice: own['tool_choice'] as string,
    max_output_tokens: (own['max_response_output_tokens'] ?? 'inf') as number | 'inf',
    audio: {
      input: {
        format: inputFormat(own),
        noise_reduction: null,
        transcription: isObject(transcription) ? transcription : null,
        turn_detection: detection(own),
      },
      output: {
        ...current.audio.output,
        format: gaFormat(own['output_audio_format']) as WireFormat,
        voice: own['voice'] as string,
      },
    },
  };
}

function gaResponse(given: JsonObject): JsonObject {
  responseRule(given, 'response');
  const { modalities, voice: own, output_audio_format, input_items } = given;
  const { instructions, tools: ownTools, tool_choice, max_output_tokens, metadata } = given;
  const output = without({ format: gaFormat(output_audio_format), voice: own });
  return without({
    instructions,
    tools: ownTools,
    tool_choice,
    max_output_tokens,
    metadata,
    input: input_items,
    output_modalities: gaModalities(modalities),
    audio: Object.keys(output).length === 0 ? undefined : { output },
    pre_generated_assistant_message: given['pre_generated_assistant_message'],
  });
}

/** Events of GA that its types do not have. */
const UNSENT: ReadonlySet<string> = new Set(['conversation.item.done', 'rate_limits.updated']);

/** Azure Voice Live. */
export const VOICE_LIVE: ServerDialect = {
  read(event) {
    if (event.type === 'conversation.item.create') return { ...event, item: gaItem(event['item']) };
    if (event.type !== 'response.create' || !isObject(event['response'])) return event;
    return { ...event, response: gaResponse(event['response']) };
  },
  write(event) {
    if (UNSENT.has(event.type)) return undefined;
    const written = betaEvent(event);
    return { ...written, ...(isObject(event['session']) ? { session: event['session'] } : {}) } as WireEvent;
  },
  update(current, patch, locks) {
    if (patch === undefined) throw missing('session');
    sessionRule(patch, 'session');
    const own = { ...current.own, ...(patch as JsonObject) };
    checkVoice(current.own['voice'], own['voice'], locks, 'session.voice');
    return meant(current, own);
  },
  show: ({ own, audio }) => ({ ...own, output_audio_format: betaFormatName(audio.output.format) }),
  starts: (session) => meant(session, { model: session.model, ...DEFAULTS }),
  lacks: [],
  namesConversation: false,
  rewritesHeard: false,
  namesEnd: true,
};
