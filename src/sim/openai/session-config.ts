import { type AudioFormat, MULAW_8K, type Rate } from '../../audio/format.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import { missing, oneOf } from './check.ts';
import { sessionRule, transcriptionSessionRule } from './rules.ts';
import { Refusal } from './wire.ts';

/** A format as the session object spells it. */
export type WireFormat =
  | { readonly type: 'audio/pcm'; readonly rate: Rate }
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
  /** What the client has asked for, in the words of a dialect that has more of them than this. */
  readonly own: JsonObject;
}

/** 24 kHz, what a session has that names no format. */
export const PCM: WireFormat = Object.freeze({ type: 'audio/pcm', rate: 24000 });

/** Turn detection of a session that asks for no other. */
export const SERVER_VAD: ServerVad = Object.freeze({
  type: 'server_vad',
  threshold: 0.5,
  prefix_padding_ms: 300,
  silence_duration_ms: 500,
  idle_timeout_ms: null,
  create_response: true,
  interrupt_response: true,
});

/** What it leaves out of the semantic one. */
export const SEMANTIC_VAD: SemanticVad = Object.freeze({
  type: 'semantic_vad',
  eagerness: 'auto',
  create_response: true,
  interrupt_response: true,
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
    own: {},
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
  const merged = mergeSession(current, fields) as unknown as SessionConfig;
  checkReasoning(fields, current.model, 'session');
  checkLocks(current, merged, locks);
  return fillIn(merged);
}

/** Objects that are merged field by field; all others, and arrays, replace what was there. */
const NESTED = new Set(['audio', 'audio.input', 'audio.output']);

/** Field by field where a field is a part of the session, and as a whole where it is a setting. */
export function mergeSession(base: object, patch: JsonObject, path = ''): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(patch)) {
    const at = path === '' ? name : `${path}.${name}`;
    const old = merged[name];
    merged[name] = NESTED.has(at) && isObject(value) && isObject(old) ? mergeSession(old, value, at) : value;
  }
  return merged;
}

function checkLocks(current: SessionConfig, next: SessionConfig, locks: SessionLocks): void {
  if (next.model !== current.model) {
    const message = `Cannot update the model of a session: found '${next.model}', it is '${current.model}'.`;
    throw new Refusal('invalid_value', message, 'session.model');
  }
  checkVoice(current.audio.output.voice, next.audio.output.voice, locks, 'session.audio.output.voice');
  if (locks.responding && next.audio.output.speed !== current.audio.output.speed) {
    const message = 'Cannot update the speed while a response is in progress.';
    throw new Refusal('invalid_value', message, 'session.audio.output.speed');
  }
  if (current.tracing !== null && !same(next.tracing, current.tracing)) {
    const message = 'Cannot update the tracing configuration of a session once it is set.';
    throw new Refusal('invalid_value', message, 'session.tracing');
  }
}

/** Throws a Refusal when the voice changes after it was heard. */
export function checkVoice(before: unknown, after: unknown, { hasSpoken }: SessionLocks, path: string): void {
  if (!hasSpoken || same(before, after)) return;
  const message = "Cannot update a conversation's voice if assistant audio is present.";
  throw new Refusal('cannot_update_voice', message, path);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The keys that a partial `turn_detection` leaves out fall back to the defaults, not to what they were. */
export function fillIn(config: SessionConfig): SessionConfig {
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
  return given.type === 'audio/pcm' ? { ...PCM, ...given } : given;
}

/** What the bytes of a format are. */
export function audioFormat(wire: WireFormat): AudioFormat {
  switch (wire.type) {
    case 'audio/pcmu':
      return MULAW_8K;
    case 'audio/pcma':
      return { encoding: 'alaw', rate: 8000 };
    case 'audio/pcm':
      return { encoding: 'pcm16', rate: wire.rate };
  }
}
