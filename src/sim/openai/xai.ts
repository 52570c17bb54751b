import { isObject, type JsonObject } from '../common/json.ts';
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
} from './check.ts';
import type { ServerDialect } from './dialect.ts';
import { functionTool, mcpTool, metadataRule } from './rules.ts';
import { mergeSession, PCM, SERVER_VAD, type ServerVad, type SessionConfig } from './session-config.ts';
import { Refusal, type WireEvent } from './wire.ts';

// As docs.x.ai/voice-realtime.ws.json has it. What that schema does not know is refused here, though the service itself
// may be more patient.

/** Of the rates of PCM16 the ones that this simulator can hear and say. */
const format: Rule = tagged('type', {
  'audio/pcm': object({ type: text, rate: oneRate }),
  'audio/pcmu': object({ type: text, rate: oneRate }),
  'audio/pcma': object({ type: text, rate: oneRate }),
});

function oneRate(value: unknown, path: string): void {
  if (value === 8_000 || value === 16_000 || value === 24_000) return;
  throw new Refusal('invalid_value', `Invalid value for '${path}': ${JSON.stringify(value)}.`, path);
}

const turnDetection: Rule = nullable(
  object({
    type: nullable(oneOf('server_vad')),
    threshold: decimal(0.1, 0.9),
    silence_duration_ms: whole(0, 10_000),
    prefix_padding_ms: whole(0, 10_000),
    idle_timeout_ms: nullable(whole(1)),
  }),
);

const search = object({ type: text }, []);

const sessionRule: Rule = object({
  model: text,
  instructions: text,
  reasoning: object({ effort: oneOf('high', 'none') }),
  voice: text,
  turn_detection: turnDetection,
  resumption: object({ enabled: truth }, ['enabled']),
  audio: object({
    input: object({
      format,
      transport: oneOf('json'),
      transcription: object({
        model: oneOf('grok-transcribe'),
        language_hint: text,
        keyterms: arrayOf(text),
      }),
    }),
    output: object({ format, transport: oneOf('json'), speed: decimal(0.7, 1.5) }),
  }),
  tools: arrayOf(
    tagged('type', {
      function: functionTool,
      mcp: mcpTool,
      web_search: search,
      x_search: search,
      file_search: anything,
    }),
  ),
  replace: record,
});

const responseRule: Rule = object({
  modalities: arrayOf(oneOf('text', 'audio')),
  instructions: text,
  metadata: metadataRule,
});

const scriptRule: Rule = object(
  {
    type: text,
    role: oneOf('assistant'),
    interruptible: truth,
    content: arrayOf(object({ type: oneOf('output_text', 'input_text', 'text'), text }, ['text'])),
  },
  ['content'],
);

/** Where a session is that has asked for nothing. */
const DEFAULTS: JsonObject = {
  voice: 'eve',
  instructions: '',
  turn_detection: {
    type: 'server_vad',
    threshold: 0.85,
    prefix_padding_ms: 333,
    silence_duration_ms: 500,
    idle_timeout_ms: null,
  },
  audio: { input: { format: PCM }, output: { format: PCM } },
  tools: [],
};

function part(of: unknown, name: string): JsonObject {
  const value = isObject(of) ? of[name] : undefined;
  return isObject(value) ? value : {};
}

function ownFormat(side: JsonObject): SessionConfig['audio']['input']['format'] {
  const { type, rate } = part(side, 'format');
  if (type === 'audio/pcmu' || type === 'audio/pcma') return { type };
  return { type: 'audio/pcm', rate: rate === 8_000 || rate === 16_000 ? rate : 24_000 };
}

/** Turns are always answered, and speech always interrupts. */
function ownDetection(own: JsonObject): ServerVad | null {
  const vad = own['turn_detection'];
  if (!isObject(vad) || vad['type'] !== 'server_vad') return null;
  return { ...SERVER_VAD, threshold: 0.85, prefix_padding_ms: 333, ...vad } as ServerVad;
}

/** The session that `own`, as the client gave it, means. */
function meant(current: SessionConfig, own: JsonObject): SessionConfig {
  const input = part(own['audio'], 'input');
  const output = part(own['audio'], 'output');
  const transcription = input['transcription'];
  return {
    ...current,
    own,
    instructions: String(own['instructions']),
    tools: own['tools'] as readonly JsonObject[],
    audio: {
      input: {
        format: ownFormat(input),
        noise_reduction: null,
        transcription: isObject(transcription) ? transcription : null,
        turn_detection: ownDetection(own),
      },
      output: { ...current.audio.output, format: ownFormat(output), voice: String(own['voice']) },
    },
  };
}

/** Events of GA that docs.x.ai lists as not sent. */
const UNSENT: ReadonlySet<string> = new Set([
  'conversation.item.done',
  'conversation.item.input_audio_transcription.failed',
  'conversation.item.input_audio_transcription.segment',
  'rate_limits.updated',
]);

function ownResponse(response: JsonObject): JsonObject {
  const {
    usage,
    status_details,
    output_modalities: _,
    audio: __,
    max_output_tokens: ___,
    ...same
  } = response;
  const { total_tokens, input_tokens, output_tokens } = isObject(usage) ? usage : {};
  return {
    ...same,
    // A text has been seen in the place of nothing.
    status_details: status_details ?? 'unimplemented',
    usage: isObject(usage) ? { total_tokens, input_tokens, output_tokens } : null,
  };
}

const EXPIRED = 'The conversation reached its maximum duration.';

/** xAI's Voice Agent API. */
export const XAI: ServerDialect = {
  read(event) {
    if (event.type !== 'response.create' || !isObject(event['response'])) return event;
    responseRule(event['response'], 'response');
    const { modalities: _, ...response } = event['response'];
    return { ...event, response };
  },
  write(event) {
    if (UNSENT.has(event.type)) return undefined;
    const { response } = event;
    return (isObject(response) ? { ...event, response: ownResponse(response) } : event) as WireEvent;
  },
  update(current, patch) {
    if (patch === undefined) throw missing('session');
    sessionRule(patch, 'session');
    return meant(current, mergeSession(current.own, patch as JsonObject));
  },
  show: ({ own }) => own,
  starts: (session) => meant(session, { model: session.model, ...DEFAULTS }),
  lacks: ['conversation.item.retrieve', 'output_audio_buffer.clear'],
  namesConversation: true,
  rewritesHeard: true,
  namesEnd: false,
  resumes: true,
  script(item) {
    if (!isObject(item) || item['type'] !== 'force_message') return undefined;
    scriptRule(item, 'item');
    const content = item['content'] as readonly JsonObject[];
    return content.map((piece) => String(piece['text'])).join(' ');
  },
  expiry: {
    error: { type: 'max_duration', code: null, message: EXPIRED },
    close: { code: 1000, reason: EXPIRED },
  },
  pingMs: 10_000,
};
