import { isObject, type JsonObject } from '../common/json.ts';
import {
  anything,
  float,
  int32,
  int64,
  lazy,
  listOf,
  mapOf,
  message,
  oneOf,
  type Reader,
  struct,
  text,
  truth,
} from './proto.ts';
import { invalid, Refusal } from './wire.ts';

/** What a client message can be. */
export type MessageKind = 'setup' | 'clientContent' | 'realtimeInput' | 'toolResponse' | 'contextUpdate';

export interface ClientMessage {
  readonly kind: MessageKind;
  /** The member of that name in canonical form. */
  readonly body: JsonObject;
}

const blob = message({ mimeType: text, data: text, displayName: text });

const functionResponse = message({
  id: text,
  name: text,
  response: struct,
  scheduling: oneOf('SILENT', 'WHEN_IDLE', 'INTERRUPT'),
  willContinue: truth,
  parts: anything,
});

const content = message({
  role: text,
  parts: listOf(
    message({
      text,
      inlineData: blob,
      fileData: anything,
      thought: truth,
      thoughtSignature: text,
      functionCall: message({ id: text, name: text, args: struct }),
      functionResponse,
      executableCode: anything,
      codeExecutionResult: anything,
      videoMetadata: anything,
      mediaResolution: anything,
      partMetadata: struct,
    }),
  ),
});

const TYPES = ['STRING', 'NUMBER', 'INTEGER', 'BOOLEAN', 'ARRAY', 'OBJECT', 'NULL'];

/** The subset of OpenAPI that `parameters` takes. Lower-case types are accepted as the service accepts them. */
const schema: Reader = message({
  type: oneOf(...TYPES, ...TYPES.map((type) => type.toLowerCase())),
  format: text,
  title: text,
  description: text,
  nullable: truth,
  enum: listOf(text),
  items: lazy(() => schema),
  properties: mapOf(lazy(() => schema)),
  required: listOf(text),
  propertyOrdering: listOf(text),
  anyOf: listOf(lazy(() => schema)),
  minItems: int64,
  maxItems: int64,
  minLength: int64,
  maxLength: int64,
  minProperties: int64,
  maxProperties: int64,
  minimum: float,
  maximum: float,
  pattern: text,
  default: anything,
  example: anything,
});

const tool = message({
  functionDeclarations: listOf(
    message({
      name: text,
      description: text,
      parameters: schema,
      parametersJsonSchema: anything,
      response: schema,
      responseJsonSchema: anything,
      behavior: oneOf('BLOCKING', 'NON_BLOCKING'),
    }),
  ),
  googleSearch: struct,
  googleSearchRetrieval: struct,
  googleMaps: struct,
  codeExecution: struct,
  computerUse: struct,
  urlContext: struct,
  fileSearch: struct,
  enterpriseWebSearch: struct,
  retrieval: struct,
  mcpServers: listOf(struct),
});

const speechConfig = message({
  languageCode: text,
  voiceConfig: message({
    prebuiltVoiceConfig: message({ voiceName: text }),
    replicatedVoiceConfig: struct,
    voice: text,
  }),
  multiSpeakerVoiceConfig: struct,
});

const transcriptionConfig = message({
  languageCodes: listOf(text),
  languageAuto: struct,
  languageHints: struct,
  customVocabulary: listOf(text),
  adaptationPhrases: listOf(text),
  diarization: truth,
  wordTimestamp: truth,
  mode: text,
});

const generationConfig = message({
  responseModalities: listOf(oneOf('TEXT', 'IMAGE', 'AUDIO')),
  temperature: float,
  topP: float,
  topK: float,
  maxOutputTokens: int32,
  candidateCount: int32,
  presencePenalty: float,
  frequencyPenalty: float,
  seed: int32,
  mediaResolution: oneOf('MEDIA_RESOLUTION_LOW', 'MEDIA_RESOLUTION_MEDIUM', 'MEDIA_RESOLUTION_HIGH'),
  speechConfig,
  thinkingConfig: message({
    includeThoughts: truth,
    thinkingBudget: int32,
    thinkingLevel: oneOf('MINIMAL', 'LOW', 'MEDIUM', 'HIGH'),
  }),
  enableAffectiveDialog: truth,
  translationConfig: message({ targetLanguageCode: text, echoTargetLanguage: truth }),
});

const realtimeInputConfig = message({
  automaticActivityDetection: message({
    disabled: truth,
    startOfSpeechSensitivity: oneOf('START_SENSITIVITY_HIGH', 'START_SENSITIVITY_LOW'),
    endOfSpeechSensitivity: oneOf('END_SENSITIVITY_HIGH', 'END_SENSITIVITY_LOW'),
    prefixPaddingMs: int32,
    silenceDurationMs: int32,
  }),
  activityHandling: oneOf('START_OF_ACTIVITY_INTERRUPTS', 'NO_INTERRUPTION'),
  turnCoverage: oneOf(
    'TURN_INCLUDES_ONLY_ACTIVITY',
    'TURN_INCLUDES_ALL_INPUT',
    'TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO',
  ),
  interimTranscriptTimestampEnabled: truth,
});

const clientMessage = message({
  setup: message({
    model: text,
    generationConfig,
    systemInstruction: content,
    tools: listOf(tool),
    realtimeInputConfig,
    sessionResumption: message({ handle: text, transparent: truth }),
    contextWindowCompression: message({
      triggerTokens: int64,
      slidingWindow: message({ targetTokens: int64 }),
    }),
    inputAudioTranscription: transcriptionConfig,
    outputAudioTranscription: transcriptionConfig,
    proactivity: message({ proactiveAudio: truth }),
    historyConfig: message({ initialHistoryInClientContent: truth }),
    explicitVadSignal: truth,
    avatarConfig: struct,
    safetySettings: listOf(message({ category: text, method: text, threshold: text })),
    labels: mapOf(text),
  }),
  clientContent: message({ turns: listOf(content), turnComplete: truth }),
  realtimeInput: message({
    audio: blob,
    video: blob,
    text,
    mediaChunks: listOf(blob),
    audioStreamEnd: truth,
    activityStart: message({}),
    activityEnd: message({}),
  }),
  toolResponse: message({ functionResponses: listOf(functionResponse) }),
  contextUpdate: message({
    systemInstruction: content,
    tools: message({ tools: listOf(tool) }),
  }),
});

/** Parses one frame. Throws a Refusal with the words of the service for everything that it does not take. */
export function readMessage(frame: string): ClientMessage {
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    throw new Refusal(1007, 'Invalid JSON payload received. Parsing terminated before end of input.');
  }
  return audioFrame(value) ?? readAny(value);
}

function readAny(value: unknown): ClientMessage {
  const read = clientMessage(value, '') as Record<string, unknown>;
  const [kind, second] = Object.keys(read) as MessageKind[];
  if (kind === undefined) throw invalid('a message holds one of its kinds, found none');
  if (second !== undefined) {
    throw new Refusal(
      1007,
      `Invalid value at '' (oneof), oneof field 'message_type' is already set. Cannot set '${second}'`,
    );
  }
  return { kind, body: read[kind] as JsonObject };
}

/** The one message that comes fifty times a second is recognised without the checks of all others. */
function audioFrame(value: unknown): ClientMessage | undefined {
  if (!isObject(value) || !isObject(value['realtimeInput'])) return undefined;
  for (const key in value) if (key !== 'realtimeInput') return undefined;
  const body = value['realtimeInput'];
  for (const key in body) if (key !== 'audio') return undefined;
  const audio = body['audio'];
  if (!isObject(audio) || typeof audio['data'] !== 'string' || typeof audio['mimeType'] !== 'string') {
    return undefined;
  }
  for (const key in audio) if (key !== 'data' && key !== 'mimeType') return undefined;
  return { kind: 'realtimeInput', body };
}
