import { type AudioFormat, formatName, PCM16_24K, RATES, sameFormat } from '../../audio/format.ts';
import { BridgeError } from '../../errors.ts';
import type { ConnectRequest, TurnDetection } from '../../provider.ts';
import { type Fields, fieldsOf, isFields, textOf } from '../common/fields.ts';
import { instructions } from '../common/instructions.ts';

/** The shape of session and items: `ga` is nested (OpenAI, Azure, xAI), `beta` is flat (compatible servers). */
export type Dialect = 'ga' | 'beta';

/** Formats that both dialects take and give; a rate of PCM16 other than 24 kHz is not among them. */
export const FORMATS: readonly AudioFormat[] = Object.freeze([
  Object.freeze({ encoding: 'mulaw', rate: 8000 }),
  Object.freeze({ encoding: 'alaw', rate: 8000 }),
  PCM16_24K,
]);

export interface SessionChoice {
  readonly dialect: Dialect;
  readonly voice: string | undefined;
  readonly transcriptionModel: string;
  /** Raw session fields, merged before those of the request. */
  readonly session: Fields;
}

/** What the session does, read from its own fields, since overrides and the server may change what was asked for. */
export interface SessionShape {
  readonly input: AudioFormat;
  readonly output: AudioFormat;
  readonly instructions: string;
  /** The server cuts its response off by itself when the caller starts to speak. */
  readonly interrupts: boolean;
  /** The server answers by itself when the caller has finished. */
  readonly answers: boolean;
  /** What writes down the caller's words; undefined: nothing does, or nobody knows what. */
  readonly transcriptionModel: string | undefined;
  /** Unix seconds. */
  readonly expiresAt: number | undefined;
}

function pickFormat(request: ConnectRequest): AudioFormat {
  for (const wanted of request.preferredFormats) {
    const found = FORMATS.find((format) => sameFormat(format, wanted));
    if (found) return found;
  }
  return PCM16_24K;
}

const WIRE_NAMES = {
  mulaw: { ga: { type: 'audio/pcmu' }, beta: 'g711_ulaw' },
  alaw: { ga: { type: 'audio/pcma' }, beta: 'g711_alaw' },
  pcm16: { ga: { type: 'audio/pcm', rate: 24000 }, beta: 'pcm16' },
} as const;

// A key that is left out falls back to a default of the server, which may differ from the one documented, so every
// key is always sent (openai/openai-realtime-console#35).
function turnDetection(wanted: TurnDetection, dialect: Dialect): Fields {
  if (wanted.mode === 'semantic') {
    return {
      type: 'semantic_vad',
      eagerness: wanted.eagerness ?? 'auto',
      create_response: true,
      interrupt_response: true,
    };
  }
  return {
    type: 'server_vad',
    threshold: wanted.threshold ?? 0.5,
    prefix_padding_ms: wanted.prefixMs ?? 300,
    silence_duration_ms: wanted.silenceMs ?? 500,
    // Younger than the flat dialect.
    ...(dialect === 'ga' ? { idle_timeout_ms: null } : {}),
    create_response: true,
    interrupt_response: true,
  };
}

/** `de` of `de-AT`: transcription takes the language alone. */
function primaryLanguage(tag: string): string {
  return tag.split('-', 1)[0]?.toLowerCase() ?? tag;
}

function transcription(request: ConnectRequest, model: string): Fields | null {
  if (!request.transcribeCaller) return null;
  return request.language === undefined ? { model } : { model, language: primaryLanguage(request.language) };
}

function tools(request: ConnectRequest): readonly Fields[] {
  return request.tools.map(({ name, description, parameters }) => ({
    type: 'function',
    name,
    description,
    parameters,
  }));
}

function voiceOf(voice: string): string | Fields {
  return voice.startsWith('voice_') ? { id: voice } : voice;
}

function nestedSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const format = WIRE_NAMES[pickFormat(request).encoding].ga;
  const voice = request.voice ?? choice.voice;
  return {
    type: 'realtime',
    instructions: instructions(request),
    // Text-only turns in the history tempt the model to write instead of to speak.
    output_modalities: ['audio'],
    audio: {
      input: {
        format,
        transcription: transcription(request, choice.transcriptionModel),
        turn_detection: turnDetection(request.turnDetection, 'ga'),
      },
      output: voice === undefined ? { format } : { format, voice: voiceOf(voice) },
    },
    tools: tools(request),
    tool_choice: 'auto',
  };
}

function flatSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const format = WIRE_NAMES[pickFormat(request).encoding].beta;
  const voice = request.voice ?? choice.voice;
  return {
    modalities: ['text', 'audio'],
    instructions: instructions(request),
    ...(voice === undefined ? {} : { voice }),
    input_audio_format: format,
    output_audio_format: format,
    input_audio_transcription: transcription(request, choice.transcriptionModel),
    turn_detection: turnDetection(request.turnDetection, 'beta'),
    tools: tools(request),
    tool_choice: 'auto',
  };
}

const VAD_DEFAULTS: ReadonlyMap<unknown, Fields> = new Map<unknown, Fields>([
  ['server_vad', turnDetection({ mode: 'server' }, 'ga')],
  ['semantic_vad', turnDetection({ mode: 'semantic' }, 'ga')],
]);

function merge(base: Fields, over: Fields): Fields {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined || key === '__proto__') continue;
    const below = result[key];
    result[key] = isFields(value) && isFields(below) ? merge(baseFor(key, below, value), value) : value;
  }
  return result;
}

// Keys of one kind of turn detection are refused by the other, so a change of kind starts from its own defaults.
function baseFor(key: string, base: Fields, over: Fields): Fields {
  if (key !== 'turn_detection' || over['type'] === undefined || over['type'] === base['type']) return base;
  return VAD_DEFAULTS.get(over['type']) ?? {};
}

/** The `session` of `session.update`: complete, with the raw overrides of the options and of the request on top. */
export function buildSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const own = choice.dialect === 'ga' ? nestedSession(request, choice) : flatSession(request, choice);
  return merge(merge(own, choice.session), request.overrides);
}

function nestedFormat(value: unknown): AudioFormat | undefined {
  const format = fieldsOf(value);
  if (format['type'] === 'audio/pcmu') return { encoding: 'mulaw', rate: 8000 };
  if (format['type'] === 'audio/pcma') return { encoding: 'alaw', rate: 8000 };
  const rate = RATES.find((known) => known === (format['rate'] ?? 24000));
  return format['type'] === 'audio/pcm' && rate !== undefined ? { encoding: 'pcm16', rate } : undefined;
}

const FLAT_FORMATS: ReadonlyMap<unknown, AudioFormat> = new Map<unknown, AudioFormat>([
  ['pcm16', PCM16_24K],
  ['pcm16_16000hz', { encoding: 'pcm16', rate: 16000 }],
  ['pcm16_8000hz', { encoding: 'pcm16', rate: 8000 }],
  ['g711_ulaw', { encoding: 'mulaw', rate: 8000 }],
  ['g711_alaw', { encoding: 'alaw', rate: 8000 }],
]);

function formatOf(side: 'input' | 'output', session: Fields, before: AudioFormat | undefined): AudioFormat {
  const nested = fieldsOf(fieldsOf(session['audio'])[side])['format'] ?? undefined;
  const flat = session[`${side}_audio_format`] ?? undefined;
  if (nested === undefined && flat === undefined && before) return before;
  const found = isFields(nested) ? nestedFormat(nested) : FLAT_FORMATS.get(flat);
  if (found) return found;
  throw new BridgeError(
    'PROVIDER_CONFIG',
    `the session has ${side} audio ${JSON.stringify(nested ?? flat)}, wanted ${FORMATS.map(formatName).join(', ')}`,
  );
}

function vadOf(session: Fields): Fields | null | undefined {
  const input = fieldsOf(fieldsOf(session['audio'])['input']);
  const found = input['turn_detection'] === undefined ? session['turn_detection'] : input['turn_detection'];
  return found === undefined || found === null ? found : fieldsOf(found);
}

function transcriberOf(session: Fields, before: SessionShape | undefined): string | undefined {
  const input = fieldsOf(fieldsOf(session['audio'])['input']);
  const nested = input['transcription'];
  const found = nested === undefined ? session['input_audio_transcription'] : nested;
  return found === undefined ? before?.transcriptionModel : textOf(fieldsOf(found)['model']);
}

/** When the session ends, in Unix seconds. */
export function readExpiry(session: Fields): number | undefined {
  const expiresAt = session['expires_at'];
  return typeof expiresAt === 'number' && expiresAt > 0 ? expiresAt : undefined;
}

/**
 * Reads what a session does out of its fields; `before` fills in what the server does not repeat. Throws
 * PROVIDER_CONFIG when the audio has a format that nothing here can read.
 */
export function readSession(session: Fields, before?: SessionShape): SessionShape {
  const vad = vadOf(session);
  return {
    input: formatOf('input', session, before?.input),
    output: formatOf('output', session, before?.output),
    instructions: textOf(session['instructions']) ?? before?.instructions ?? '',
    interrupts:
      vad === undefined ? (before?.interrupts ?? false) : vad !== null && vad['interrupt_response'] !== false,
    answers:
      vad === undefined ? (before?.answers ?? false) : vad !== null && vad['create_response'] !== false,
    transcriptionModel: transcriberOf(session, before),
    expiresAt: readExpiry(session) ?? before?.expiresAt,
  };
}
