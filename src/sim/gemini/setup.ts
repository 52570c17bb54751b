import { isObject, type JsonObject } from '../common/json.ts';
import type { Door } from './address.ts';
import { MODELS } from './catalog.ts';
import { type Generation, generationOf } from './generations.ts';
import { unknownName } from './proto.ts';
import { invalid, Refusal } from './wire.ts';

/** How the caller's turns are found. */
export interface Detection {
  /** False: the client says when speech begins and ends. */
  readonly automatic: boolean;
  /** 0..1, as the energy detector counts it. */
  readonly threshold: number;
  /** So much speech is needed before it counts. */
  readonly prefixMs: number;
  readonly silenceMs: number;
  readonly interrupts: boolean;
}

export interface Compression {
  readonly triggerTokens: number;
  readonly targetTokens: number;
}

/** What a session is, read from its setup. */
export interface SessionConfig {
  readonly setup: JsonObject;
  readonly model: string;
  readonly generation: Generation;
  readonly isVertex: boolean;
  readonly instructions: string;
  readonly tools: readonly JsonObject[];
  /** Whether the model stops for it; by the name of the function. */
  readonly blocking: ReadonlyMap<string, boolean>;
  readonly detection: Detection;
  readonly transcribesCaller: boolean;
  readonly transcribesModel: boolean;
  readonly resumption: { readonly handle: string | undefined; readonly transparent: boolean } | undefined;
  readonly compression: Compression | undefined;
  readonly historyFirst: boolean;
  readonly maxOutputTokens: number;
}

/** What the setup is checked against. */
export interface SetupRules {
  /** Undefined: those that the service has at the door. */
  readonly models: readonly string[] | 'any' | undefined;
  readonly voices: readonly string[] | 'any';
  readonly contextTokens: number;
}

/** Detectors that are easily started need less energy. The service publishes no levels and no waits; these are ours. */
const START = { START_SENSITIVITY_HIGH: 0.45, START_SENSITIVITY_LOW: 0.6 } as const;
const END_WAIT_MS = { END_SENSITIVITY_HIGH: 500, END_SENSITIVITY_LOW: 1_000 } as const;
const DEFAULT_PREFIX_MS = 30;

/** Reads a setup in canonical form. Throws a Refusal, worded as the service words it, for what it does not take. */
export function readSetup(setup: JsonObject, door: Door, rules: SetupRules): SessionConfig {
  const isVertex = door.endpoint === 'vertex';
  const model = modelOf(setup['model'], door, rules);
  const generation = generationOf(model);
  checkGeneration(object(setup['generationConfig']), generation, door);
  checkVoice(setup, rules.voices);
  checkFields(setup, generation, isVertex);
  const tools = declarations(setup['tools']);
  const blocking = behaviors(tools, generation, model);
  return {
    setup,
    model,
    generation,
    isVertex,
    instructions: wordsOf(setup['systemInstruction']),
    tools,
    blocking,
    detection: detectionOf(object(setup['realtimeInputConfig']), isVertex),
    transcribesCaller: setup['inputAudioTranscription'] !== undefined,
    transcribesModel: setup['outputAudioTranscription'] !== undefined,
    resumption: resumptionOf(setup['sessionResumption'], isVertex),
    compression: compressionOf(setup['contextWindowCompression'], rules.contextTokens),
    historyFirst: object(setup['historyConfig'])['initialHistoryInClientContent'] === true,
    maxOutputTokens: Number(object(setup['generationConfig'])['maxOutputTokens'] ?? Number.POSITIVE_INFINITY),
  };
}

/** The same session after a `contextUpdate`; throws a Refusal. */
export function updateContext(config: SessionConfig, update: JsonObject): SessionConfig {
  if (!config.generation.contextUpdate) {
    throw invalid(`contextUpdate is new in 3.8, the model is of ${config.generation.name}`);
  }
  const setup: Record<string, unknown> = { ...config.setup };
  if (update['systemInstruction'] !== undefined) setup['systemInstruction'] = update['systemInstruction'];
  // The wrapper tells an empty list from none: with it, functions can be taken away.
  if (update['tools'] !== undefined) setup['tools'] = object(update['tools'])['tools'] ?? [];
  const tools = declarations(setup['tools']);
  return {
    ...config,
    setup,
    instructions: wordsOf(setup['systemInstruction']),
    tools,
    blocking: behaviors(tools, config.generation, config.model),
  };
}

function modelOf(given: unknown, door: Door, rules: SetupRules): string {
  const path = typeof given === 'string' ? given : '';
  const pattern =
    door.endpoint === 'vertex'
      ? /^projects\/[^/]+\/locations\/[^/]+\/publishers\/google\/models\/([^/]+)$/
      : /^models\/([^/]+)$/;
  const model = pattern.exec(path)?.[1];
  if (model === undefined) throw invalid(`the model has no such path: ${JSON.stringify(path)}`);
  const models = rules.models ?? (door.endpoint === 'vertex' ? MODELS.vertex : MODELS.gemini);
  if (models === 'any' || models.some((known) => known === model)) return model;
  throw new Refusal(1008, door.endpoint === 'vertex' ? noPublished(path) : noModel(path, door.apiVersion));
}

function noModel(path: string, apiVersion: string): string {
  return `${path} is not found for API version ${apiVersion}, or is not supported for bidiGenerateContent. Call ListModels to see the list of available models and their supported methods.`;
}

/** The words of Vertex AI (google/adk-python#3314). */
function noPublished(path: string): string {
  return `Publisher Model \`${path}\` was not found or your project does not have access to it. Please ensure you are using a valid model version.`;
}

/**
 * A voice that does not exist ends the session (BerriAI/litellm#38395); the words are those of older models. How names
 * are spelt does not matter here, for lists of the service itself have them in small letters: whether it matters there
 * is unsure.
 */
function checkVoice(setup: JsonObject, voices: SetupRules['voices']): void {
  const speech = object(object(setup['generationConfig'])['speechConfig']);
  const voice = object(object(speech['voiceConfig'])['prebuiltVoiceConfig'])['voiceName'] ?? '';
  if (voices === 'any' || voice === '') return;
  const small = String(voice).toLowerCase();
  if (voices.some((known) => known.toLowerCase() === small)) return;
  throw new Refusal(1007, `Requested voice api_name '${voice}' is not available for model ${setup['model']}`);
}

function checkGeneration(config: JsonObject, generation: Generation, door: Door): void {
  const modalities = config['responseModalities'];
  if (modalities !== undefined && JSON.stringify(modalities) !== '["AUDIO"]') {
    throw invalid(`these models answer in AUDIO and nothing else, found ${JSON.stringify(modalities)}`);
  }
  if (config['enableAffectiveDialog'] !== undefined) {
    // The field is known to the preview version of the API only.
    if (door.endpoint !== 'vertex' && door.apiVersion !== 'v1alpha') {
      throw unknownName('enableAffectiveDialog', 'setup.generation_config');
    }
    if (!generation.affectiveDialog) throw invalid(`no affective dialog in ${generation.name}`);
  }
  const thinking = object(config['thinkingConfig']);
  for (const field of ['thinkingBudget', 'thinkingLevel'] as const) {
    if (thinking[field] !== undefined && generation.thinking !== field) {
      throw invalid(`${field} is not for models of ${generation.name}`);
    }
  }
  if (config['thinkingConfig'] !== undefined && generation.thinking === 'none') {
    throw invalid(`thinkingConfig is not for models of ${generation.name}`);
  }
}

function checkFields(setup: JsonObject, generation: Generation, isVertex: boolean): void {
  if (object(setup['proactivity'])['proactiveAudio'] === false && !generation.proactivityMayBeOff) {
    throw invalid(`models of ${generation.name} are always proactive`);
  }
  if (setup['explicitVadSignal'] !== undefined && !isVertex) {
    throw unknownName('explicitVadSignal', 'setup');
  }
}

/** All function declarations of all tools. */
function declarations(tools: unknown): readonly JsonObject[] {
  if (!Array.isArray(tools)) return [];
  return tools.flatMap((tool: JsonObject) => (tool['functionDeclarations'] ?? []) as readonly JsonObject[]);
}

function behaviors(
  tools: readonly JsonObject[],
  generation: Generation,
  model: string,
): ReadonlyMap<string, boolean> {
  const blocking = new Map<string, boolean>();
  for (const tool of tools) {
    const name = String(tool['name'] ?? '');
    checkDeclaration(tool, name);
    if (blocking.has(name)) throw invalid(`function '${name}' is declared twice`);
    const behavior = tool['behavior'] ?? generation.behavior;
    if (behavior === 'NON_BLOCKING' && !generation.nonBlocking) {
      throw invalid(`functions of ${generation.name} are BLOCKING, '${name}' is not`);
    }
    if (behavior === 'BLOCKING' && model.includes('extended-thinking')) {
      throw invalid(`functions of ${model} are NON_BLOCKING, '${name}' is not`);
    }
    blocking.set(name, behavior === 'BLOCKING');
  }
  return blocking;
}

function checkDeclaration(tool: JsonObject, name: string): void {
  if (!/^[A-Za-z_][\w.:-]{0,127}$/.test(name))
    throw invalid(`no name of a function: ${JSON.stringify(name)}`);
  if (tool['parameters'] !== undefined && tool['parametersJsonSchema'] !== undefined) {
    throw invalid(`function '${name}' has both parameters and parametersJsonSchema`);
  }
}

function detectionOf(config: JsonObject, isVertex: boolean): Detection {
  const automatic = object(config['automaticActivityDetection']);
  const start = (automatic['startOfSpeechSensitivity'] ??
    (isVertex ? 'START_SENSITIVITY_LOW' : 'START_SENSITIVITY_HIGH')) as keyof typeof START;
  const end = (automatic['endOfSpeechSensitivity'] ?? 'END_SENSITIVITY_HIGH') as keyof typeof END_WAIT_MS;
  const prefixMs = Number(automatic['prefixPaddingMs'] ?? DEFAULT_PREFIX_MS);
  const silenceMs = Number(automatic['silenceDurationMs'] ?? END_WAIT_MS[end]);
  if (prefixMs < 0 || silenceMs < 0) throw invalid('a duration is negative');
  return {
    automatic: automatic['disabled'] !== true,
    threshold: START[start],
    prefixMs,
    silenceMs,
    interrupts: config['activityHandling'] !== 'NO_INTERRUPTION',
  };
}

function resumptionOf(given: unknown, isVertex: boolean): SessionConfig['resumption'] {
  if (!isObject(given)) return undefined;
  if (given['transparent'] !== undefined && !isVertex) {
    throw unknownName('transparent', 'setup.session_resumption');
  }
  const handle = given['handle'];
  return {
    handle: typeof handle === 'string' && handle !== '' ? handle : undefined,
    transparent: given['transparent'] === true,
  };
}

function compressionOf(given: unknown, contextTokens: number): Compression | undefined {
  if (!isObject(given)) return undefined;
  const triggerTokens = Number(given['triggerTokens'] ?? Math.floor(contextTokens * 0.8));
  const targetTokens = Number(object(given['slidingWindow'])['targetTokens'] ?? triggerTokens / 2);
  if (targetTokens > triggerTokens) throw invalid('the compressed context is larger than what triggers it');
  return { triggerTokens, targetTokens };
}

/** The text of a content. */
export function wordsOf(content: unknown): string {
  const parts = object(content)['parts'];
  if (!Array.isArray(parts)) return '';
  return parts.map((part: JsonObject) => String(part['text'] ?? '')).join('\n');
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}
