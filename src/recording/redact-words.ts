import { isRecord } from '../is-record.ts';
import type { Line } from './format.ts';

/** Where in the messages of all carriers and providers words stand that were spoken, or that are to be spoken. */

type Json = Readonly<Record<string, unknown>>;

/** Fields of providers' messages that hold words, if they hold text. */
const PROVIDER_WORDS: ReadonlySet<string> = new Set([
  'transcript',
  'text',
  'instructions',
  'content',
  'delta',
  'token',
  'greeting',
  'commentary',
]);
/** Fields of carriers' messages that do. */
const CARRIER_WORDS: ReadonlySet<string> = new Set([
  'speechresult',
  'unstablespeechresult',
  'stablespeechresult',
  'transcriptiontext',
  'transcript',
  'transcription',
]);
/** Texts of an agent. */
const AGENT_WORDS: ReadonlySet<string> = new Set([
  'instructions',
  'greeting',
  'goodbye',
  'maxCallGoodbye',
  'message',
  'say',
  'announce',
  'prompt',
  'prompts',
  'question',
  'questions',
  'text',
  'texts',
]);
/** What functions are given and return: it is not words, whatever its fields are called. */
const DATA: ReadonlySet<string> = new Set([
  'arguments',
  'args',
  'toolUse',
  'toolResult',
  'functionCall',
  'functionCalls',
  'functionResponses',
]);
/** What describes functions, and has the names of their arguments without their values. */
const SCHEMAS: ReadonlySet<string> = new Set([
  'parameters',
  'parametersJsonSchema',
  'inputSchema',
  'definition',
]);
/** What carriers hand through on their media streams. */
const HANDED_THROUGH = /param|header|client_?state/i;
/** Elements of documents whose text a carrier speaks. */
const SPOKEN_ELEMENT = /(<(Say|Speak)\b[^>]*>)([\s\S]*?)(<\/\2>)/g;

/** What is known of the place of a value in a message. */
export interface Place {
  readonly on: Line['on'] | 'agent';
  /** What functions are given or return. */
  readonly data: boolean;
  /** People or a model have written it. */
  readonly free: boolean;
  /** Names of fields are those that somebody has given to values, and no protocol's. */
  readonly named: boolean;
  /** `type` of the innermost message. */
  readonly type: string;
}

/** The place of what stands in a field of a value that stands at `place`. */
export function within(place: Place, record: Json, name: string, value: unknown): Place {
  const own = record['type'];
  const type = typeof own === 'string' ? own : place.type;
  const saying = name === 'args' && (record['call'] === 'say' || record['call'] === 'sendText');
  const isSchema = SCHEMAS.has(name) && place.on !== 'tool';
  const given = (DATA.has(name) && !saying) || isResult(record, name, value);
  const data = isSchema || place.data || given;
  const free = place.free || given || saying || isFree(place, name);
  const named = !isSchema && (place.named || isNamed(place, record, name, value));
  const { on } = place;
  const same = type === place.type && data === place.data && free === place.free && named === place.named;
  return same ? place : { on, type, data, free, named };
}

/** Whether fields have names of their own from here on. */
function isNamed({ on, data }: Place, record: Json, name: string, value: unknown): boolean {
  switch (on) {
    case 'provider':
      return (
        name === 'arguments' ||
        name === 'args' ||
        isResult(record, name, value) ||
        (data && name === 'content')
      );
    case 'call':
      return name === 'args';
    case 'tool':
      return name === 'args' || name === 'returned' || name === 'with';
    case 'agent':
      return name === 'variables';
    case 'carrier':
      return HANDED_THROUGH.test(name);
    case 'webhook':
      return name === 'form' || name === 'json' || name === 'target' || name === 'body' || name === 'text';
    case 'rest':
      return name === 'url' || name === 'body';
    default:
      return false;
  }
}

function isResult(record: Json, name: string, value: unknown): boolean {
  if (name === 'output') return typeof value === 'string';
  return name === 'response' && 'name' in record && 'id' in record;
}

function isFree({ on }: Place, name: string): boolean {
  if (on === 'tool') return true;
  if (on === 'agent') return AGENT_WORDS.has(name) || name === 'variables';
  if (on === 'provider') return PROVIDER_WORDS.has(name);
  if (on === 'call') return name === 'text' || name === 'heardText' || name === 'transcript';
  return CARRIER_WORDS.has(name.toLowerCase());
}

/** Whether a text of this name at this place is words. */
export function isWords(place: Place, name: string, text: string): boolean {
  if (place.data) return false;
  switch (place.on) {
    case 'provider':
      return isProvidersWords(place, name, text);
    case 'call':
      return name === 'text' || name === 'heardText';
    case 'agent':
      return AGENT_WORDS.has(name);
    case 'tool':
    case 'operator':
      return name === 'announce' || name === 'goodbye';
    case 'webhook':
    case 'carrier':
      return CARRIER_WORDS.has(name.toLowerCase());
    case 'rest':
      return name === 'payload' || CARRIER_WORDS.has(name.toLowerCase());
    case 'clock':
      return false;
    default:
      return false;
  }
}

function isProvidersWords({ type }: Place, name: string, text: string): boolean {
  if (!PROVIDER_WORDS.has(name) && name !== SAID) return false;
  if (name === 'delta') return !/audio\.delta$|arguments/.test(type);
  // A signal that comes as a text.
  return !(name === 'content' && isJson(text));
}

/** What a session is told to say is the first of what it is called with. */
export const SAID = '\u0000said';

function isJson(text: string): boolean {
  try {
    return isRecord(JSON.parse(text));
  } catch {
    return false;
  }
}

/** A document of a carrier, with something done to what it speaks. */
export function changeSpoken(document: string, change: (text: string) => string): string {
  if (!document.includes('</S')) return document;
  return document.replace(
    SPOKEN_ELEMENT,
    (_whole, begin: string, _name: string, text: string, end: string) => begin + change(text) + end,
  );
}
