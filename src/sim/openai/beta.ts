import { isObject, type JsonObject } from '../common/json.ts';
import { anything, arrayOf, decimal, missing, object, oneOf, text } from './check.ts';
import type { ServerDialect } from './dialect.ts';
import {
  maxTokensRule,
  noiseReductionRule,
  responseRule,
  toolChoiceRule,
  toolsRule,
  transcriptionRule,
  turnDetectionRule,
  voiceRule,
} from './rules.ts';
import { updateSession } from './session-config.ts';
import type { WireEvent } from './wire.ts';

/** Names of the beta dialect for events of the GA one; all others are the same. */
const BETA_NAMES: Readonly<Record<string, string>> = {
  'response.output_audio.delta': 'response.audio.delta',
  'response.output_audio.done': 'response.audio.done',
  'response.output_audio_transcript.delta': 'response.audio_transcript.delta',
  'response.output_audio_transcript.done': 'response.audio_transcript.done',
  'response.output_text.delta': 'response.text.delta',
  'response.output_text.done': 'response.text.done',
  'conversation.item.added': 'conversation.item.created',
};

const FORMATS: ReadonlyMap<string, JsonObject> = new Map<string, JsonObject>([
  ['pcm16', { type: 'audio/pcm', rate: 24_000 }],
  ['g711_ulaw', { type: 'audio/pcmu' }],
  ['g711_alaw', { type: 'audio/pcma' }],
  // Only in the dialect of Azure Voice Live.
  ['pcm16_16000hz', { type: 'audio/pcm', rate: 16_000 }],
  ['pcm16_8000hz', { type: 'audio/pcm', rate: 8_000 }],
]);

const betaFormat = oneOf('pcm16', 'g711_ulaw', 'g711_alaw');
const betaSpoken = {
  modalities: arrayOf(oneOf('text', 'audio')),
  instructions: text,
  voice: voiceRule,
  output_audio_format: betaFormat,
  tools: toolsRule,
  tool_choice: toolChoiceRule,
  temperature: decimal(0.6, 1.2),
};

const betaSessionRule = object({
  ...betaSpoken,
  model: text,
  input_audio_format: betaFormat,
  input_audio_transcription: transcriptionRule,
  input_audio_noise_reduction: noiseReductionRule,
  turn_detection: turnDetectionRule,
  max_response_output_tokens: maxTokensRule,
  speed: decimal(0.25, 1.5),
  tracing: anything,
});

const betaResponseRule = object({
  ...betaSpoken,
  max_output_tokens: maxTokensRule,
  max_response_output_tokens: maxTokensRule,
  conversation: text,
  input: arrayOf(anything),
  metadata: anything,
});

/** The fields that are there. */
export function without(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** A format that a flat session names, as a nested one has it. */
export function gaFormat(name: unknown): JsonObject | undefined {
  return typeof name === 'string' ? FORMATS.get(name) : undefined;
}

/** Both modalities meant speech with its words, which is what `audio` means now. */
export function gaModalities(given: unknown): readonly string[] | undefined {
  if (!Array.isArray(given)) return undefined;
  return given.includes('audio') ? ['audio'] : ['text'];
}

/** A flat session as a nested one. */
function gaSession(patch: unknown, type: string): JsonObject {
  if (patch === undefined) throw missing('session');
  betaSessionRule(patch, 'session');
  const flat = patch as JsonObject;
  const input = without({
    format: gaFormat(flat['input_audio_format']),
    transcription: flat['input_audio_transcription'],
    noise_reduction: flat['input_audio_noise_reduction'],
    turn_detection: flat['turn_detection'],
  });
  const output = without({
    format: gaFormat(flat['output_audio_format']),
    voice: flat['voice'],
    speed: flat['speed'],
  });
  return without({
    type,
    model: flat['model'],
    instructions: flat['instructions'],
    output_modalities: gaModalities(flat['modalities']),
    audio: { input, output },
    tools: flat['tools'],
    tool_choice: flat['tool_choice'],
    max_output_tokens: flat['max_response_output_tokens'],
    tracing: flat['tracing'],
  });
}

/** The `response` of a `response.create`. */
function gaResponse(given: unknown): unknown {
  if (!isObject(given)) return given;
  betaResponseRule(given, 'response');
  const {
    modalities,
    voice,
    output_audio_format,
    temperature: _,
    max_response_output_tokens,
    ...same
  } = given;
  const output = without({ format: gaFormat(output_audio_format), voice });
  return without({
    max_output_tokens: max_response_output_tokens,
    ...same,
    output_modalities: gaModalities(modalities),
    audio: Object.keys(output).length === 0 ? undefined : { output },
  });
}

/** An item as the flat dialects let a client write it. */
export function gaItem(item: unknown): unknown {
  if (!isObject(item) || item['role'] !== 'assistant' || !Array.isArray(item['content'])) return item;
  const content = item['content'].map((part: unknown) =>
    isObject(part) && part['type'] === 'text' ? { ...part, type: 'output_text' } : part,
  );
  return { ...item, content };
}

function read(event: WireEvent): WireEvent {
  switch (event.type) {
    case 'response.create': {
      if (event['response'] === undefined) return event;
      const response = gaResponse(event['response']);
      if (response !== null) responseRule(response, 'response');
      return { ...event, response };
    }
    case 'conversation.item.create':
      return { ...event, item: gaItem(event['item']) };
    default:
      return event;
  }
}

function betaItem(item: JsonObject): JsonObject {
  const content = item['content'];
  if (!Array.isArray(content) || item['role'] !== 'assistant') return item;
  const names: Readonly<Record<string, string>> = { output_text: 'text', output_audio: 'audio' };
  return {
    ...item,
    content: content.map((part: unknown) =>
      isObject(part) ? { ...part, type: names[String(part['type'])] ?? part['type'] } : part,
    ),
  };
}

/** The name of a format on the way out. */
export function betaFormatName(format: unknown): string {
  const { type, rate } = isObject(format) ? format : {};
  for (const [name, known] of FORMATS) if (known['type'] === type && known['rate'] === rate) return name;
  return 'pcm16';
}

function betaModalities(given: unknown): readonly string[] {
  return Array.isArray(given) && given.includes('text') ? ['text'] : ['text', 'audio'];
}

function part(of: unknown, name: string): JsonObject {
  const value = isObject(of) ? of[name] : undefined;
  return isObject(value) ? value : {};
}

function betaSession(session: JsonObject): JsonObject {
  const input = part(session['audio'], 'input');
  const output = part(session['audio'], 'output');
  return {
    object: session['object'],
    id: session['id'],
    expires_at: session['expires_at'],
    model: session['model'],
    modalities: betaModalities(session['output_modalities']),
    instructions: session['instructions'],
    voice: output['voice'],
    input_audio_format: betaFormatName(input['format']),
    output_audio_format: betaFormatName(output['format']),
    input_audio_transcription: input['transcription'],
    input_audio_noise_reduction: input['noise_reduction'],
    turn_detection: input['turn_detection'],
    tools: session['tools'],
    tool_choice: session['tool_choice'],
    temperature: 0.8,
    max_response_output_tokens: session['max_output_tokens'],
    speed: output['speed'],
    tracing: session['tracing'],
  };
}

function betaResponse(response: JsonObject): JsonObject {
  const { output_modalities, audio, output, ...same } = response;
  const spoken = part(audio, 'output');
  return {
    ...same,
    output: Array.isArray(output) ? output.map((item) => (isObject(item) ? betaItem(item) : item)) : [],
    modalities: betaModalities(output_modalities),
    output_audio_format: betaFormatName(spoken['format']),
    voice: spoken['voice'],
  };
}

/** Everything of an event but its session. */
export function betaEvent(event: WireEvent): Record<string, unknown> {
  const renamed: Record<string, unknown> = { ...event, type: BETA_NAMES[event.type] ?? event.type };
  if (isObject(event['response'])) renamed['response'] = betaResponse(event['response']);
  if (isObject(event['item'])) renamed['item'] = betaItem(event['item']);
  return renamed;
}

function write(event: WireEvent): WireEvent | undefined {
  if (event.type === 'conversation.item.done') return undefined;
  const session = isObject(event['session']) ? { session: betaSession(event['session']) } : {};
  return { ...betaEvent(event), ...session } as WireEvent;
}

/** What OpenAI spoke at first, as compatible servers still do. */
export const BETA: ServerDialect = {
  read,
  write,
  update: (current, patch, locks) => updateSession(current, gaSession(patch, current.type), locks),
  show: ({ own: _, ...session }) => session,
  starts: (session) => session,
  lacks: [],
  namesConversation: true,
  rewritesHeard: false,
  namesEnd: true,
};
