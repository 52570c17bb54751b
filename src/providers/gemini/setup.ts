import { BridgeError } from '../../errors.ts';
import type { ConnectRequest, TurnDetection } from '../../provider.ts';
import { type Fields, fieldsOf, isFields } from '../common/fields.ts';
import { instructions } from '../common/instructions.ts';
import type { Behavior, Generation } from './generations.ts';

export interface SetupChoice {
  readonly generation: Generation;
  /** As the service names it, `models/…`. */
  readonly model: string;
  readonly voice: string | undefined;
  /** Of all functions; undefined: what the generation does by itself. */
  readonly behavior: Behavior | undefined;
  readonly compression: boolean;
  readonly resumption: boolean;
  /** Raw fields, merged before those of the request. */
  readonly session: Fields;
}

/** What a session does, read from its own setup, since overrides may change what was asked for. */
export interface SetupShape {
  readonly transcribesCaller: boolean;
  /** The model stands still until this function has its result. */
  blocks(name: string): boolean;
}

/**
 * Languages that `speechConfig` is documented to take (ai.google.dev/api/generate-content, SpeechConfig). Others are
 * refused, and native audio follows the instructions anyway (google/adk-python#5542).
 */
const LANGUAGES: readonly string[] = Object.freeze([
  ...['ar-XA', 'bn-IN', 'cmn-CN', 'de-DE', 'en-US', 'en-AU', 'en-GB', 'en-IN', 'es-ES', 'es-US', 'fr-FR'],
  ...['fr-CA', 'gu-IN', 'hi-IN', 'id-ID', 'it-IT', 'ja-JP', 'kn-IN', 'ko-KR', 'ml-IN', 'mr-IN', 'nl-NL'],
  ...['pl-PL', 'pt-BR', 'ru-RU', 'ta-IN', 'te-IN', 'th-TH', 'tr-TR', 'vi-VN'],
]);

/** Primary languages that the service has another name for. */
const RENAMED: ReadonlyMap<string, string> = new Map([['zh', 'cmn']]);

/** `de-AT` becomes `de-DE`; undefined: the service has no setting for it, and the instructions have to do. */
export function languageCode(tag: string): string | undefined {
  const exact = LANGUAGES.find((known) => known.toLowerCase() === tag.toLowerCase());
  if (exact !== undefined) return exact;
  const primary = tag.split('-', 1)[0]?.toLowerCase() ?? '';
  const name = RENAMED.get(primary) ?? primary;
  return LANGUAGES.find((known) => known.startsWith(`${name}-`));
}

/** How long the caller may pause, in ms, when only the eagerness is said. */
const SILENCE_MS = { high: 300, medium: 500, auto: 500, low: 1_000 } as const;

function activityDetection(wanted: TurnDetection): Fields {
  const eagerness = wanted.mode === 'semantic' ? (wanted.eagerness ?? 'auto') : 'auto';
  return {
    disabled: false,
    startOfSpeechSensitivity:
      (wanted.threshold ?? 0.5) > 0.5 ? 'START_SENSITIVITY_LOW' : 'START_SENSITIVITY_HIGH',
    endOfSpeechSensitivity: eagerness === 'low' ? 'END_SENSITIVITY_LOW' : 'END_SENSITIVITY_HIGH',
    // Here it is how much speech it takes to be a turn, so that a long one makes the model deaf to a short yes.
    prefixPaddingMs: wanted.prefixMs ?? 20,
    silenceDurationMs: wanted.silenceMs ?? SILENCE_MS[eagerness],
  };
}

function speechConfig(request: ConnectRequest, choice: SetupChoice): Fields | undefined {
  const voiceName = request.voice ?? choice.voice;
  const code = request.language === undefined ? undefined : languageCode(request.language);
  const fields = {
    ...(voiceName === undefined ? {} : { voiceConfig: { prebuiltVoiceConfig: { voiceName } } }),
    ...(code === undefined ? {} : { languageCode: code }),
  };
  return Object.keys(fields).length === 0 ? undefined : fields;
}

function tools(request: ConnectRequest, choice: SetupChoice): readonly Fields[] {
  if (request.tools.length === 0) return [];
  const { generation } = choice;
  const told = choice.behavior ?? (generation.tellsBehavior ? generation.behavior : undefined);
  const functionDeclarations = request.tools.map(({ name, description, parameters }) => ({
    name,
    description,
    parametersJsonSchema: parameters,
    ...(told === undefined ? {} : { behavior: told }),
  }));
  return [{ functionDeclarations }];
}

function ownSetup(request: ConnectRequest, choice: SetupChoice, seedsHistory: boolean): Fields {
  const speech = speechConfig(request, choice);
  const words = instructions(request);
  const handle = request.resume;
  const declared = tools(request, choice);
  return {
    model: choice.model,
    generationConfig: {
      responseModalities: ['AUDIO'],
      ...(speech === undefined ? {} : { speechConfig: speech }),
    },
    ...(words === '' ? {} : { systemInstruction: { parts: [{ text: words }] } }),
    ...(declared.length === 0 ? {} : { tools: declared }),
    realtimeInputConfig: {
      automaticActivityDetection: activityDetection(request.turnDetection),
      activityHandling: 'START_OF_ACTIVITY_INTERRUPTS',
      turnCoverage: 'TURN_INCLUDES_ONLY_ACTIVITY',
    },
    ...(request.transcribeCaller ? { inputAudioTranscription: {} } : {}),
    outputAudioTranscription: {},
    // An empty handle is refused (strands-agents/harness-sdk#3034).
    ...(handle !== undefined ? { sessionResumption: { handle } } : {}),
    ...(handle === undefined && choice.resumption ? { sessionResumption: {} } : {}),
    // Numbers of 64 bits are strings in this protocol.
    ...(choice.compression
      ? { contextWindowCompression: { triggerTokens: '104857', slidingWindow: { targetTokens: '52428' } } }
      : {}),
    ...(seedsHistory && choice.generation.announcesHistory
      ? { historyConfig: { initialHistoryInClientContent: true } }
      : {}),
  };
}

function merge(base: Fields, over: Fields): Fields {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined || key === '__proto__') continue;
    const below = result[key];
    // A null takes a field away: this protocol knows no null.
    if (value === null) delete result[key];
    else result[key] = isFields(value) && isFields(below) ? merge(below, value) : value;
  }
  return result;
}

/**
 * The `setup` message's contents: complete, with the raw overrides of the options and of the request on top.
 * @param seedsHistory the conversation so far will be told next
 */
export function buildSetup(request: ConnectRequest, choice: SetupChoice, seedsHistory: boolean): Fields {
  return merge(merge(ownSetup(request, choice, seedsHistory), choice.session), request.overrides);
}

function declarations(setup: Fields): readonly Fields[] {
  const all: unknown = setup['tools'];
  return (Array.isArray(all) ? all : [])
    .flatMap((tool): readonly unknown[] => {
      const found: unknown = fieldsOf(tool)['functionDeclarations'];
      return Array.isArray(found) ? found : [];
    })
    .map(fieldsOf);
}

/**
 * Reads what a session does out of its setup. Throws PROVIDER_CONFIG when it leaves it to the client to say where the
 * caller's turns begin and end: nobody would.
 */
export function readSetup(setup: Fields, generation: Generation): SetupShape {
  const detection = fieldsOf(fieldsOf(setup['realtimeInputConfig'])['automaticActivityDetection']);
  if (detection['disabled'] === true) {
    throw new BridgeError(
      'PROVIDER_CONFIG',
      'automaticActivityDetection is disabled, wanted: left on, for the bridge does not mark the turns of the caller',
    );
  }
  const behaviors = new Map<unknown, unknown>();
  for (const { name, behavior } of declarations(setup)) behaviors.set(name, behavior);
  return {
    transcribesCaller: isFields(setup['inputAudioTranscription']),
    blocks: (name) => (behaviors.get(name) ?? generation.behavior) === 'BLOCKING',
  };
}
