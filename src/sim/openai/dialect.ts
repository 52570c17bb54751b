import { isObject, type JsonObject } from '../common/json.ts';
import { anything, arrayOf, decimal, missing, object, oneOf, text } from './check.ts';
import {
  maxTokensRule,
  noiseReductionRule,
  toolChoiceRule,
  toolsRule,
  transcriptionRule,
  turnDetectionRule,
  voiceRule,
} from './session-config.ts';
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

const FORMATS: Readonly<Record<string, string>> = {
  pcm16: 'audio/pcm',
  g711_ulaw: 'audio/pcmu',
  g711_alaw: 'audio/pcma',
};

const betaFormat = oneOf(...Object.keys(FORMATS));
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

function without(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function gaFormat(name: unknown): JsonObject | undefined {
  return typeof name === 'string' ? { type: FORMATS[name] } : undefined;
}

/** Both modalities meant speech with its words, which is what `audio` means now. */
function gaModalities(given: unknown): readonly string[] | undefined {
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

/** An item as the beta dialect lets a client write it. */
function gaItem(item: unknown): unknown {
  if (!isObject(item) || item['role'] !== 'assistant' || !Array.isArray(item['content'])) return item;
  const content = item['content'].map((part: unknown) =>
    isObject(part) && part['type'] === 'text' ? { ...part, type: 'output_text' } : part,
  );
  return { ...item, content };
}

/** A client event of the beta dialect in the words of GA; throws a Refusal when it breaks the rules of the beta one. */
export function gaEvent(event: WireEvent, sessionType: string): WireEvent {
  switch (event.type) {
    case 'session.update':
      return { ...event, session: gaSession(event['session'], sessionType) };
    case 'response.create':
      return event['response'] === undefined ? event : { ...event, response: gaResponse(event['response']) };
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

function betaFormatName(format: unknown): string {
  const type = isObject(format) ? format['type'] : undefined;
  return Object.keys(FORMATS).find((name) => FORMATS[name] === type) ?? 'pcm16';
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

/** A server event in the beta dialect; undefined: that dialect does not have it. */
export function betaEvent(event: WireEvent): WireEvent | undefined {
  if (event.type === 'conversation.item.done') return undefined;
  const renamed: Record<string, unknown> = { ...event, type: BETA_NAMES[event.type] ?? event.type };
  if (isObject(event['session'])) renamed['session'] = betaSession(event['session']);
  if (isObject(event['response'])) renamed['response'] = betaResponse(event['response']);
  if (isObject(event['item'])) renamed['item'] = betaItem(event['item']);
  return renamed as WireEvent;
}
