import type { AudioFormat } from '../../audio/format.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import {
  anything,
  arrayOf,
  missing,
  nullable,
  numberOf,
  object,
  oneOf,
  type Rule,
  record,
  tagged,
  text,
  textOr,
  truth,
  whole,
} from './check.ts';
import { shortText, tokensOf } from './tokens.ts';
import { Refusal } from './wire.ts';

const MOST_INSTRUCTION_TOKENS = 16_384;
const MOST_INPUT_MESSAGES = 128;
const MOST_INPUT_TOKENS = 8_192;

/** Built-in voices; three of the older API are refused by name (aplisay/llm-agent#306). */
const VOICES = (
  'alloy ash ballad beacon bossa cedar cinder coral delta echo gleam marin meridian quartz ripple sage shida ' +
  'shimmer stone tempo verse vesper willow'
).split(' ');

const voiceName: Rule = (value, path) => {
  if (typeof value === 'string' && VOICES.includes(value)) return;
  throw new Refusal('forbidden', `The voice '${String(value)}' cannot be used.`, path);
};

const format = tagged('type', {
  'audio/pcm': object({ type: text, rate: numberOf(16_000, 24_000) }, ['rate']),
  'audio/pcmu': object({ type: text, rate: numberOf(8_000) }, ['rate']),
  'audio/pcma': object({ type: text, rate: numberOf(8_000) }, ['rate']),
});

const audio = object({ format, output: object({ voice: textOr(voiceName, object({ id: text }, ['id'])) }) });

const plainTool: Rule = object({ type: text });

const tool = tagged('type', {
  function: object(
    {
      type: text,
      name: text,
      description: nullable(text),
      parameters: nullable(record),
      strict: nullable(truth),
    },
    ['name'],
  ),
  web_search: plainTool,
  file_search: plainTool,
  code_interpreter: plainTool,
  shell: object({ type: text, environment: anything }),
  image_generation: plainTool,
  mcp: plainTool,
  custom: plainTool,
  namespace: plainTool,
  tool_search: plainTool,
  programmatic_tool_calling: plainTool,
  computer: plainTool,
  apply_patch: plainTool,
});

const reasoning = object({
  effort: nullable(oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh')),
  summary: nullable(oneOf('concise', 'detailed', 'auto')),
});

const BACKEND: Readonly<Record<string, Rule>> = {
  model: text,
  instructions: nullable(text),
  max_output_tokens: nullable(whole(1)),
  parallel_tool_calls: nullable(truth),
  reasoning: nullable(reasoning),
  service_tier: nullable(oneOf('auto', 'default', 'fast_tier_temp_pilot', 'flex', 'priority', 'ultrafast')),
  text: nullable(object({ verbosity: nullable(oneOf('low', 'medium', 'high')) })),
  tool_choice: textOr(oneOf('auto', 'none', 'required'), record),
  tools: arrayOf(tool),
};

const clientDelegation = object({ type: text, acknowledgement_delay_ms: whole(0) });

// The Decisions API is another service, which this one does not play.
const noDecisions: Rule = (_value, path) => {
  throw new Refusal('invalid_value', `'${path}': Decisions are not available on this server.`, path);
};

const delegation = tagged('type', {
  client: clientDelegation,
  responses: object(
    { type: text, acknowledgement_delay_ms: whole(0), responses: object(BACKEND, ['model']) },
    ['responses'],
  ),
  decisions: noDecisions,
});

const delegationUpdate = tagged('type', {
  client: clientDelegation,
  responses: object({ type: text, acknowledgement_delay_ms: whole(0), responses: object(BACKEND) }),
  decisions: noDecisions,
});

const triggers: Rule = (value, path) => {
  arrayOf(noDecisions)(value, path);
};

function message(...contents: readonly string[]): Rule {
  const part = object({ type: oneOf(...contents), text }, ['text']);
  const one: Rule = (value, path) => {
    arrayOf(part, 1)(value, path);
    if ((value as readonly unknown[]).length === 0) throw missing(`${path}[0]`);
  };
  return object(
    {
      type: oneOf('message'),
      role: text,
      id: nullable(text),
      status: nullable(oneOf('incomplete', 'completed')),
      content: one,
    },
    ['role', 'content'],
  );
}

const inputItem = tagged('role', {
  developer: message('input_text'),
  user: message('input_text'),
  assistant: message('text', 'output_text'),
});

const input: Rule = (value, path) => {
  arrayOf(inputItem, MOST_INPUT_MESSAGES)(value, path);
  const tokens = (value as readonly JsonObject[]).reduce((sum, item) => sum + tokensOf(textOfItem(item)), 0);
  if (tokens <= MOST_INPUT_TOKENS) return;
  const wanted = `Expected at most ${MOST_INPUT_TOKENS} tokens, but got ${tokens} tokens instead.`;
  throw new Refusal('input_too_long', `Invalid '${path}': ${wanted}`, path);
};

const noClient: Rule = (_value, path) => {
  throw new Refusal('invalid_value', `'${path}' is only supported for WebRTC sessions.`, path);
};

const sessionRule = object(
  {
    model: text,
    audio,
    client: noClient,
    delegation: nullable(delegation),
    input,
    instructions: nullable(shortText(MOST_INSTRUCTION_TOKENS)),
    store: truth,
    triggers,
  },
  ['model'],
);

const updateRule = object({ delegation: nullable(delegationUpdate), triggers });

/** Settings of the Responses backend, in wire shape. */
export type Backend = JsonObject & { readonly model: string };

/** What a session was started with, and what was changed since, with every default filled in. */
export interface SessionConfig {
  readonly model: string;
  readonly instructions: string;
  readonly audio: {
    readonly format: { readonly type: string; readonly rate: number };
    readonly output: { readonly voice: string | JsonObject };
  };
  readonly delegation: JsonObject & { readonly type: 'client' | 'responses' };
  readonly input: readonly JsonObject[];
  readonly store: boolean;
  readonly triggers: readonly JsonObject[];
}

const DEFAULTS = {
  instructions: '',
  audio: { format: { type: 'audio/pcm', rate: 24_000 }, output: { voice: 'marin' } },
  delegation: { type: 'client' },
  input: [],
  store: false,
  triggers: [],
} as const;

function given(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

/** The session that `session.start` asks for; throws a Refusal for what the service does not take. */
export function startedSession(session: unknown): SessionConfig {
  if (session === undefined) throw missing('session');
  sessionRule(session, 'session');
  const fields = Object.fromEntries(Object.entries(given(session)).filter(([, value]) => value !== null));
  const sound = given(fields['audio']);
  return {
    ...DEFAULTS,
    ...fields,
    audio: { ...DEFAULTS.audio, ...sound, output: { ...DEFAULTS.audio.output, ...given(sound['output']) } },
  } as unknown as SessionConfig;
}

/** The session after a `session.update`; throws a Refusal for what cannot change. */
export function updatedSession(before: SessionConfig, session: unknown): SessionConfig {
  if (session === undefined) throw missing('session');
  updateRule(session, 'session');
  const change = given(given(session)['delegation']);
  if (change['type'] === undefined) return before;
  if (change['type'] !== before.delegation.type) {
    throw new Refusal('invalid_value', 'The delegation type cannot change.', 'session.delegation.type');
  }
  const responses = { ...given(before.delegation['responses']), ...given(change['responses']) };
  const merged = { ...before.delegation, ...change };
  return {
    ...before,
    delegation: (before.delegation.type === 'responses'
      ? { ...merged, responses }
      : merged) as SessionConfig['delegation'],
  };
}

/** The settings of the Responses backend; undefined: the application does the work. */
export function backendOf(config: SessionConfig): Backend | undefined {
  const backend = config.delegation['responses'];
  return isObject(backend) && typeof backend['model'] === 'string' ? (backend as Backend) : undefined;
}

/** How audio goes in and out. */
export function formatOf(config: SessionConfig): AudioFormat {
  const { type, rate } = config.audio.format;
  if (type === 'audio/pcmu') return { encoding: 'mulaw', rate: 8000 };
  if (type === 'audio/pcma') return { encoding: 'alaw', rate: 8000 };
  return { encoding: 'pcm16', rate: rate === 16_000 ? 16_000 : 24_000 };
}

/** The words of a message. */
export function textOfItem(item: JsonObject): string {
  const [part] = Array.isArray(item['content']) ? (item['content'] as readonly unknown[]) : [];
  return isObject(part) && typeof part['text'] === 'string' ? part['text'] : '';
}
