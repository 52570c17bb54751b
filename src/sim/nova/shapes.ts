import { flag, jsonText, list, number, object, oneOf, type Rule, text } from './check.ts';

const PLAIN = object({ mediaType: oneOf('text/plain') });
const RATES = [8_000, 16_000, 24_000] as const;

const LPCM = {
  mediaType: oneOf('audio/lpcm'),
  sampleRateHertz: oneOf(...RATES),
  sampleSizeBits: oneOf(16),
  channelCount: oneOf(1),
  encoding: oneOf('base64'),
  audioType: oneOf('SPEECH'),
} as const;

const TOOL = object({
  toolSpec: object({
    name: text(true),
    'description?': text(),
    inputSchema: object({ json: jsonText() }),
  }),
});

const NOTHING = object({});
const NAMES = { promptName: text(true), contentName: text(true) } as const;

/** The fields of every event that a client may send; what kind of block a `contentStart` opens is checked by `BLOCKS`. */
export const INPUT_EVENTS: Readonly<Record<string, Rule>> = {
  sessionStart: object({
    'inferenceConfiguration?': object({
      'maxTokens?': number(1, 10_000, true),
      'topP?': number(0, 1),
      'temperature?': number(0, 1),
    }),
    'turnDetectionConfiguration?': object({ 'endpointingSensitivity?': oneOf('HIGH', 'MEDIUM', 'LOW') }),
  }),
  promptStart: object({
    promptName: text(true),
    'textOutputConfiguration?': PLAIN,
    audioOutputConfiguration: object({ ...LPCM, voiceId: text(true) }),
    'toolUseOutputConfiguration?': object({ mediaType: oneOf('application/json') }),
    'toolConfiguration?': object({
      tools: list(TOOL),
      'toolChoice?': object({ 'auto?': NOTHING, 'any?': NOTHING, 'tool?': object({ name: text(true) }) }),
    }),
  }),
  contentStart: (body, path) => {
    const kind = typeof body === 'object' && body !== null && 'type' in body ? body.type : undefined;
    oneOf('TEXT', 'AUDIO', 'TOOL')(kind, `${path}/type`);
    (BLOCKS[String(kind)] ?? NOTHING)(body, path);
  },
  textInput: object({ ...NAMES, content: text() }),
  audioInput: object({ ...NAMES, content: text() }),
  toolResult: object({ ...NAMES, content: text() }),
  contentEnd: object(NAMES),
  promptEnd: object({ promptName: text(true) }),
  sessionEnd: NOTHING,
};

const BLOCKS: Readonly<Record<string, Rule>> = {
  TEXT: object({
    ...NAMES,
    type: oneOf('TEXT'),
    interactive: flag(),
    role: oneOf('SYSTEM', 'USER', 'ASSISTANT', 'SYSTEM_SPEECH'),
    textInputConfiguration: PLAIN,
  }),
  AUDIO: object({
    ...NAMES,
    type: oneOf('AUDIO'),
    interactive: oneOf(true),
    role: oneOf('USER'),
    audioInputConfiguration: object(LPCM),
  }),
  TOOL: object({
    ...NAMES,
    type: oneOf('TOOL'),
    interactive: oneOf(false),
    role: oneOf('TOOL'),
    toolResultInputConfiguration: object({
      toolUseId: text(true),
      type: oneOf('TEXT'),
      textInputConfiguration: PLAIN,
    }),
  }),
};
