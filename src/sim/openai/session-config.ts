import { type AudioFormat, MULAW_8K, PCM16_24K } from '../../audio/format.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import {
  anything,
  arrayOf,
  decimal,
  missing,
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

/** A format as the session object spells it. */
export type WireFormat =
  | { readonly type: 'audio/pcm'; readonly rate: 24000 }
  | { readonly type: 'audio/pcmu' }
  | { readonly type: 'audio/pcma' };

export interface ServerVad {
  readonly type: 'server_vad';
  readonly threshold: number;
  readonly prefix_padding_ms: number;
  readonly silence_duration_ms: number;
  readonly idle_timeout_ms: number | null;
  readonly create_response: boolean;
  readonly interrupt_response: boolean;
}

export interface SemanticVad {
  readonly type: 'semantic_vad';
  readonly eagerness: 'auto' | 'low' | 'medium' | 'high';
  readonly create_response: boolean;
  readonly interrupt_response: boolean;
}

/** The effective session, every field filled in, as `session.updated` shows it. */
export interface SessionConfig {
  readonly type: 'realtime' | 'transcription';
  readonly model: string;
  readonly instructions: string;
  readonly output_modalities: readonly ('audio' | 'text')[];
  readonly audio: {
    readonly input: {
      readonly format: WireFormat;
      readonly noise_reduction: JsonObject | null;
      readonly transcription: JsonObject | null;
      readonly turn_detection: ServerVad | SemanticVad | null;
    };
    readonly output: {
      readonly format: WireFormat;
      readonly voice: string | JsonObject;
      readonly speed: number;
    };
  };
  readonly tools: readonly JsonObject[];
  readonly tool_choice: string | JsonObject;
  readonly max_output_tokens: number | 'inf';
  readonly truncation: string | JsonObject;
  readonly tracing: string | JsonObject | null;
  readonly prompt: JsonObject | null;
  readonly include: readonly string[] | null;
}

const VOICES = 'alloy ash ballad coral echo sage shimmer verse marin cedar'.split(' ');
const EFFORTS = ['minimal', 'low', 'medium', 'high', 'xhigh'];
const PCM: WireFormat = Object.freeze({ type: 'audio/pcm', rate: 24000 });

const SERVER_VAD: ServerVad = Object.freeze({
  type: 'server_vad',
  threshold: 0.5,
  prefix_padding_ms: 300,
  silence_duration_ms: 500,
  idle_timeout_ms: null,
  create_response: true,
  interrupt_response: true,
});

const SEMANTIC_VAD: SemanticVad = Object.freeze({
  type: 'semantic_vad',
  eagerness: 'auto',
  create_response: true,
  interrupt_response: true,
});

const format: Rule = tagged('type', {
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

export const voiceRule: Rule = wordOr(VOICES, object({ id: text }, ['id']));

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

export const noiseReductionRule: Rule = nullable(
  object({ type: oneOf('near_field', 'far_field'), strength: decimal(0, 1) }),
);

const modalities: Rule = (value, path) => {
  arrayOf(oneOf('text', 'audio'))(value, path);
  if (Array.isArray(value) && value.length === 1) return;
  throw new Refusal(
    'invalid_value',
    `Invalid modalities: ${JSON.stringify(value)}. Supported combinations are: ['text'] and ['audio'].`,
    path,
  );
};

const functionTool: Rule = object({ type: text, name: text, description: text, parameters: record }, [
  'name',
]);

const mcpTool: Rule = object(
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

export const toolsRule: Rule = arrayOf(tagged('type', { function: functionTool, mcp: mcpTool }));

export const toolChoiceRule: Rule = wordOr(
  ['none', 'auto', 'required'],
  tagged('type', {
    function: object({ type: text, name: text }, ['name']),
    mcp: object({ type: text, server_label: text, name: nullable(text) }, ['server_label']),
  }),
);

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
  format,
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
  output_modalities: modalities,
  tools: toolsRule,
  tool_choice: toolChoiceRule,
  max_output_tokens: maxTokensRule,
  parallel_tool_calls: truth,
  reasoning: object({ effort: oneOf(...EFFORTS) }),
  prompt,
};

const sessionRule: Rule = object(
  {
    ...COMMON,
    ...SPOKEN,
    model: text,
    audio: object({
      input: inputRule,
      output: object({ format, voice: voiceRule, speed: decimal(0.25, 1.5) }),
    }),
    truncation,
    tracing,
  },
  ['type'],
);

const transcriptionSessionRule: Rule = object({ ...COMMON, audio: object({ input: inputRule }) }, ['type']);

const metadataRule: Rule = nullable((value, path) => {
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
  audio: object({ output: object({ format, voice: voiceRule }) }),
  conversation: text,
  input: arrayOf(record),
  metadata: metadataRule,
});

/** What a session is before the first `session.update`. */
export function defaultSession(model: string, type: SessionConfig['type']): SessionConfig {
  return {
    type,
    model,
    instructions: '',
    output_modalities: ['audio'],
    audio: {
      input: { format: PCM, noise_reduction: null, transcription: null, turn_detection: SERVER_VAD },
      output: { format: PCM, voice: 'alloy', speed: 1 },
    },
    tools: [],
    tool_choice: 'auto',
    max_output_tokens: 'inf',
    truncation: 'auto',
    tracing: null,
    prompt: null,
    include: null,
  };
}

/** What an update may not touch at the moment. */
export interface SessionLocks {
  /** The model has spoken, so its voice is fixed. */
  readonly hasSpoken: boolean;
  readonly responding: boolean;
}

/** Models that think before they speak take a few more settings. */
function isReasoningModel(model: string): boolean {
  return model.startsWith('gpt-realtime-2') && !model.startsWith('gpt-realtime-2025');
}

/** Throws a Refusal when a setting needs a model that thinks. `path` leads the names of the fields. */
export function checkReasoning(fields: JsonObject, model: string, path: string): void {
  for (const name of ['reasoning', 'parallel_tool_calls']) {
    if (fields[name] === undefined || isReasoningModel(model)) continue;
    const message = `Unsupported parameter: '${path}.${name}' is not supported with the model '${model}'.`;
    throw new Refusal('unsupported_parameter', message, `${path}.${name}`);
  }
}

/** Merges the `session` of an update into `current`; throws a Refusal and changes nothing when it breaks a rule. */
export function updateSession(current: SessionConfig, patch: unknown, locks: SessionLocks): SessionConfig {
  if (patch === undefined) throw missing('session');
  // The type decides which fields there are, so it is looked at before them.
  const type = isObject(patch) ? patch['type'] : undefined;
  if (type !== undefined && type !== current.type) {
    oneOf('realtime', 'transcription')(type, 'session.type');
    const message = `Passing a ${String(type)} session update event to a ${current.type} session is not allowed.`;
    throw new Refusal('invalid_value', message, 'session.type');
  }
  (current.type === 'transcription' ? transcriptionSessionRule : sessionRule)(patch, 'session');
  const fields = patch as Record<string, unknown>;
  const merged = merge(current, fields) as unknown as SessionConfig;
  checkReasoning(fields, current.model, 'session');
  checkLocks(current, merged, locks);
  return fillIn(merged);
}

/** Objects that are merged field by field; all others, and arrays, replace what was there. */
const NESTED = new Set(['audio', 'audio.input', 'audio.output']);

function merge(base: object, patch: Record<string, unknown>, path = ''): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(patch)) {
    const at = path === '' ? name : `${path}.${name}`;
    const old = merged[name];
    merged[name] = NESTED.has(at) && isObject(value) && isObject(old) ? merge(old, value, at) : value;
  }
  return merged;
}

function checkLocks(current: SessionConfig, next: SessionConfig, locks: SessionLocks): void {
  if (next.model !== current.model) {
    const message = `Cannot update the model of a session: found '${next.model}', it is '${current.model}'.`;
    throw new Refusal('invalid_value', message, 'session.model');
  }
  if (locks.hasSpoken && !same(next.audio.output.voice, current.audio.output.voice)) {
    const message = "Cannot update a conversation's voice if assistant audio is present.";
    throw new Refusal('cannot_update_voice', message, 'session.audio.output.voice');
  }
  if (locks.responding && next.audio.output.speed !== current.audio.output.speed) {
    const message = 'Cannot update the speed while a response is in progress.';
    throw new Refusal('invalid_value', message, 'session.audio.output.speed');
  }
  if (current.tracing !== null && !same(next.tracing, current.tracing)) {
    const message = 'Cannot update the tracing configuration of a session once it is set.';
    throw new Refusal('invalid_value', message, 'session.tracing');
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The keys that a partial `turn_detection` leaves out fall back to the defaults, not to what they were. */
function fillIn(config: SessionConfig): SessionConfig {
  const { input, output } = config.audio;
  const detection = input.turn_detection;
  const defaults = detection?.type === 'semantic_vad' ? SEMANTIC_VAD : SERVER_VAD;
  const turn_detection =
    detection === null ? null : ({ ...defaults, ...detection } as ServerVad | SemanticVad);
  return {
    ...config,
    audio: {
      input: { ...input, format: full(input.format), turn_detection },
      output: { ...output, format: full(output.format) },
    },
  };
}

function full(given: WireFormat): WireFormat {
  return given.type === 'audio/pcm' ? PCM : given;
}

/** What the bytes of a format are. */
export function audioFormat(wire: WireFormat): AudioFormat {
  switch (wire.type) {
    case 'audio/pcmu':
      return MULAW_8K;
    case 'audio/pcma':
      return { encoding: 'alaw', rate: 8000 };
    case 'audio/pcm':
      return PCM16_24K;
  }
}
