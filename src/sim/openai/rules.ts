import {
  anything,
  arrayOf,
  decimal,
  notOneOf,
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
import { Refusal } from './wire.ts';

/** Of OpenAI. */
export const VOICES = 'alloy ash ballad coral echo sage shimmer verse marin cedar'.split(' ');
const EFFORTS = ['minimal', 'low', 'medium', 'high', 'xhigh'];

/** A format of OpenAI. */
export const formatRule: Rule = tagged('type', {
  'audio/pcm': object({ type: text, rate: onlyRate }),
  'audio/pcmu': object({ type: text }),
  'audio/pcma': object({ type: text }),
});

function onlyRate(value: unknown, path: string): void {
  if (value !== 24_000) throw notOneOf(path, value, ['24000']);
}

/** The same rules hold for the flat session of the beta dialect. */
export const turnDetectionRule: Rule = nullable(
  tagged('type', {
    server_vad: object({
      type: text,
      threshold: decimal(0, 1),
      prefix_padding_ms: whole(0),
      silence_duration_ms: whole(0),
      idle_timeout_ms: nullable(whole(1)),
      create_response: truth,
      interrupt_response: truth,
    }),
    semantic_vad: object({
      type: text,
      eagerness: oneOf('auto', 'low', 'medium', 'high'),
      create_response: truth,
      interrupt_response: truth,
    }),
  }),
);

/** One of OpenAI's voices, or one of the client's own. */
export const voiceRule: Rule = wordOr(VOICES, object({ id: text }, ['id']));

/** What a session may ask of the transcriber. */
export const transcriptionRule: Rule = nullable(
  object({
    model: text,
    language: text,
    languages: arrayOf(text),
    prompt: text,
    keywords: arrayOf(text),
    delay: oneOf('minimal', 'low', 'medium', 'high', 'xhigh'),
  }),
);

/** What may be done about noise. */
export const noiseReductionRule: Rule = nullable(
  object({ type: oneOf('near_field', 'far_field'), strength: decimal(0, 1) }),
);

/** Speech or writing, one of them. */
export const modalitiesRule: Rule = (value, path) => {
  arrayOf(oneOf('text', 'audio'))(value, path);
  if (Array.isArray(value) && value.length === 1) return;
  throw new Refusal(
    'invalid_value',
    `Invalid modalities: ${JSON.stringify(value)}. Supported combinations are: ['text'] and ['audio'].`,
    path,
  );
};

/** A function that the client runs. */
export const functionTool: Rule = object({ type: text, name: text, description: text, parameters: record }, [
  'name',
]);

/** A server of functions that the service asks itself. */
export const mcpTool: Rule = object(
  {
    type: text,
    server_label: text,
    server_url: text,
    connector_id: text,
    tunnel_id: text,
    authorization: text,
    headers: nullable(record),
    allowed_tools: anything,
    require_approval: anything,
    server_description: text,
    defer_loading: truth,
    allowed_callers: anything,
  },
  ['server_label'],
);

/** All that a model may call. */
export const toolsRule: Rule = arrayOf(tagged('type', { function: functionTool, mcp: mcpTool }));

/** What of it is to be called. */
export const toolChoiceRule: Rule = wordOr(
  ['none', 'auto', 'required'],
  tagged('type', {
    function: object({ type: text, name: text }, ['name']),
    mcp: object({ type: text, server_label: text, name: nullable(text) }, ['server_label']),
  }),
);

/** How long a response may be. */
export const maxTokensRule: Rule = wordOr(['inf'], whole(1, 4096));

const prompt: Rule = nullable(
  object({ id: text, version: nullable(text), variables: nullable(record) }, ['id']),
);
const tracing: Rule = nullable(
  wordOr(['auto'], object({ workflow_name: text, group_id: text, metadata: record })),
);
const truncation: Rule = wordOr(
  ['auto', 'disabled'],
  tagged('type', {
    retention_ratio: object(
      {
        type: text,
        retention_ratio: decimal(0, 1),
        token_limits: object({ post_instructions: whole(0) }),
      },
      ['retention_ratio'],
    ),
  }),
);

const inputRule: Rule = object({
  format: formatRule,
  noise_reduction: noiseReductionRule,
  transcription: transcriptionRule,
  turn_detection: turnDetectionRule,
});

const COMMON: Readonly<Record<string, Rule>> = {
  type: oneOf('realtime', 'transcription'),
  include: nullable(arrayOf(oneOf('item.input_audio_transcription.logprobs'))),
};

const SPOKEN: Readonly<Record<string, Rule>> = {
  instructions: text,
  output_modalities: modalitiesRule,
  tools: toolsRule,
  tool_choice: toolChoiceRule,
  max_output_tokens: maxTokensRule,
  parallel_tool_calls: truth,
  reasoning: object({ effort: oneOf(...EFFORTS) }),
  prompt,
};

/** The `session` of an update. */
export const sessionRule: Rule = object(
  {
    ...COMMON,
    ...SPOKEN,
    model: text,
    audio: object({
      input: inputRule,
      output: object({ format: formatRule, voice: voiceRule, speed: decimal(0.25, 1.5) }),
    }),
    truncation,
    tracing,
  },
  ['type'],
);

/** The same for a session that only writes down. */
export const transcriptionSessionRule: Rule = object({ ...COMMON, audio: object({ input: inputRule }) }, [
  'type',
]);

/** Pairs that come back with a response. */
export const metadataRule: Rule = nullable((value, path) => {
  record(value, path);
  const pairs = Object.entries(value as Record<string, unknown>);
  if (pairs.length > 16) {
    const message = `Invalid '${path}': too many properties. Expected an object with at most 16 properties, but got an object with ${pairs.length} properties instead.`;
    throw new Refusal('object_above_max_properties', message, path);
  }
  for (const [key, entry] of pairs) {
    text(entry, `${path}.${key}`);
    if (key.length > 64 || String(entry).length > 512) {
      const message = `Invalid '${path}.${key}': a key may have 64 characters, a value 512.`;
      throw new Refusal('string_above_max_length', message, `${path}.${key}`);
    }
  }
});

/** The `response` object of `response.create`. */
export const responseRule: Rule = object({
  ...SPOKEN,
  audio: object({ output: object({ format: formatRule, voice: voiceRule }) }),
  conversation: text,
  input: arrayOf(record),
  metadata: metadataRule,
});
