import { type AudioFormat, formatName, PCM16_24K, sameFormat } from '../../audio/format.ts';
import { BridgeError } from '../../errors.ts';
import type { ConnectRequest, HistoryItem } from '../../provider.ts';
import { type Fields, fieldsOf, merged } from '../common/fields.ts';
import { fittingHistory, type HistoryRoom } from '../common/history.ts';
import { instructions } from '../common/instructions.ts';
import { shownFormat } from '../common/limits.ts';
import { openingMove } from '../common/told.ts';
import { FORMATS, MOST_HISTORY_ITEMS } from './facts.ts';
import { BY_TOKENS, KEEP_STILL, pastCall } from './texts.ts';

/**
 * Who does the work that the voice hands on. `responses`: a model of the Responses API, which calls the functions.
 * `client`: one function of the agent, by its name, which is given the caller's words as `{"request": …}` and whose
 * result is spoken; other functions cannot be called then.
 */
export type Delegation =
  | {
      readonly type: 'responses';
      readonly model: string;
      /** For that model; default: those of the agent. */
      readonly instructions?: string | undefined;
      /** More fields of `delegation.responses`: `reasoning`, `max_output_tokens`, further tools, … */
      readonly more?: Fields | undefined;
    }
  | { readonly type: 'client'; readonly function: string | undefined };

/** What a session is made of, beside the request. */
export interface SessionChoice {
  readonly model: string;
  readonly voice: string | undefined;
  readonly delegation: Delegation;
  /** Of the conversation so far, at most. */
  readonly historyTokens: number;
  /** Raw session fields, merged before those of the request. */
  readonly session: Fields;
}

function pickFormat(request: ConnectRequest): AudioFormat {
  for (const wanted of request.preferredFormats) {
    const found = FORMATS.find((format) => sameFormat(format, wanted));
    if (found) return found;
  }
  return PCM16_24K;
}

const WIRE_NAMES = { mulaw: 'audio/pcmu', alaw: 'audio/pcma', pcm16: 'audio/pcm' } as const;

function audioFields(request: ConnectRequest, choice: SessionChoice): Fields {
  const { encoding, rate } = pickFormat(request);
  const format = { type: WIRE_NAMES[encoding], rate };
  const voice = request.voice ?? choice.voice;
  if (voice === undefined) return { format };
  return { format, output: { voice: voice.startsWith('voice_') ? { id: voice } : voice } };
}

/** The voice has no functions: it only knows what can be done for it. */
function voiceInstructions(request: ConnectRequest): string {
  const own = instructions(request);
  if (request.tools.length === 0) return own;
  const list = request.tools.map(({ name, description }) => `- ${description === '' ? name : description}`);
  const lines = [
    'Somebody works for you in the background and can do this:',
    ...list,
    'Hand such work on, wait for what comes back, and never make its results up.',
  ];
  return [own, lines.join('\n')].filter((part) => part !== '').join('\n\n');
}

const BEHIND_A_VOICE =
  'You work for a voice that talks with the caller on the telephone. Call functions where a task needs them, and answer in few plain sentences that can be spoken.';

function delegationFields(request: ConnectRequest, delegation: Delegation): Fields {
  if (delegation.type === 'client') return { type: 'client' };
  const own = delegation.instructions ?? instructions(request);
  return {
    type: 'responses',
    responses: {
      model: delegation.model,
      instructions: own === '' ? BEHIND_A_VOICE : `${own}\n\n${BEHIND_A_VOICE}`,
      tools: request.tools.map(({ name, description, parameters }) => ({
        type: 'function',
        name,
        description,
        parameters,
        strict: false,
      })),
      tool_choice: 'auto',
      parallel_tool_calls: true,
      ...delegation.more,
    },
  };
}

const HISTORY_ROLES = { user: 'user', assistant: 'assistant', system: 'developer' } as const;

function historyMessage(item: HistoryItem): Fields {
  const isMessage = item.type === 'message';
  const role = isMessage ? HISTORY_ROLES[item.role] : 'developer';
  const text = isMessage ? item.text : pastCall(item.name, item.args, item.output);
  const type = role === 'assistant' ? 'output_text' : 'input_text';
  return { type: 'message', role, content: [{ type, text }] };
}

/** About what is counted for a message beside its words: whose it is, or that it tells of a function. */
const MESSAGE_TOKENS = 20;

/** The newest part of the conversation so far that a session takes. */
function historyInput(request: ConnectRequest, mostTokens: number): readonly Fields[] {
  if (mostTokens === 0) return [];
  const order = BY_TOKENS.sizeOf(KEEP_STILL) + MESSAGE_TOKENS;
  const waits = openingMove({ ...request, respond: undefined }) !== undefined;
  const still = request.respond === false && waits && 4 * order <= mostTokens;
  const room: HistoryRoom = {
    maxItems: MOST_HISTORY_ITEMS - (still ? 1 : 0),
    maxSize: mostTokens - (still ? order : 0),
    measure: BY_TOKENS,
    extraSize: MESSAGE_TOKENS,
  };
  const told = fittingHistory(request.history, room);
  const line: HistoryItem = { type: 'message', role: 'system', text: KEEP_STILL };
  return (still ? [...told, line] : told).map(historyMessage);
}

// Unknown fields are refused, and those of one kind of format or delegation are unknown to another kind.
function under(_key: string, base: Fields, over: Fields): Fields {
  return over['type'] === undefined || over['type'] === base['type'] ? base : {};
}

/** The `session` of `session.start`, with the raw overrides of the options and of the request on top. */
export function buildSession(request: ConnectRequest, choice: SessionChoice): Fields {
  const own = {
    model: request.model ?? choice.model,
    instructions: voiceInstructions(request),
    audio: audioFields(request, choice),
    delegation: delegationFields(request, choice.delegation),
    input: historyInput(request, choice.historyTokens),
  };
  return merged(merged(own, choice.session, under), request.overrides, under);
}

/** How audio goes in and out. Throws PROVIDER_CONFIG for a format that nothing here can read. */
export function readFormat(session: Fields): AudioFormat {
  const given = fieldsOf(fieldsOf(session['audio'])['format']);
  const rate = given['rate'];
  const found = FORMATS.find(
    (format) =>
      WIRE_NAMES[format.encoding] === given['type'] &&
      (rate === format.rate || (rate === undefined && format !== FORMATS.at(-1))),
  );
  if (found !== undefined) return found;
  // Without one the service takes what the types call its first: PCM16 with 24 kHz.
  if (given['type'] === undefined) return PCM16_24K;
  const shown = shownFormat(given['type'], rate);
  throw new BridgeError(
    'PROVIDER_CONFIG',
    `the session has audio ${shown}, wanted ${FORMATS.map(formatName).join(', ')}`,
  );
}

/** When the session ends, in Unix seconds. */
export function readExpiry(session: Fields): number | undefined {
  const expiresAt = session['expires_at'];
  return typeof expiresAt === 'number' && expiresAt > 0 ? expiresAt : undefined;
}

/** The model behind the voice, as the session names it; undefined: there is none. */
export function backendModel(session: Fields): string | undefined {
  const model = fieldsOf(fieldsOf(session['delegation'])['responses'])['model'];
  return typeof model === 'string' ? model : undefined;
}
