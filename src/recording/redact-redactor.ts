import { isRecord } from '../is-record.ts';
import type { RecordingRedaction } from '../recording-terms.ts';
import { isAudioRef } from './audio-refs.ts';
import type { CallFile, Line, RedactionRecord } from './format.ts';
import { withinText } from './redact-encodings.ts';
import { SecretFields } from './redact-fields.ts';
import { maskKeys, maskText, maskWords } from './redact-masks.ts';
import { FictitiousNumbers, isParty } from './redact-numbers.ts';
import { type Delta, deltaOf, withDelta } from './redact-stream.ts';
import { changeSpoken, isWords, type Place, SAID, within } from './redact-words.ts';

/** Fields that say what a message is and what it is about: what is taken out elsewhere may stand there by chance. */
const STRUCTURE =
  /^(?:type|event|event_type|status|role|object|id|on|dir|conn|track|encoding|mediaType|mimeType|mime_type|format|kind|code|reason|route|method|signed|contentType|provider|model|voice|[a-z]\w*(?:_id|Id|Sid|SID|UUID|Uuid))$/;
/** Who a carrier says that the caller is, and where. */
const CALLER =
  /^(?:callername|calleridname|callernamelookup|fromname|displayname|fromdisplayname|(?:from|to|caller|called)(?:city|state|zip|country))$/;
const KEYS = /^(?:digits?|dtmf|senddigits|dtmfdigits?)$/i;
const PRESSED = /(\bpressed the keys? )([0-9A-Da-d*#]+)/g;
/** A whole name in an address, where a number could stand. */
const USER = /(\b(?:sips?:|client:))([^@;>\s"'<&]+)/gi;
const FORM = /^[\w.%~+[\]-]{1,200}=[^{}<>\s;,]*$/;
const ANY_SAMPLE = 65_536;
/** Addresses in parameters of addresses: those of carriers have two. */
const MOST_WITHIN = 8;
/** Of an address, what follows the question mark. */
const QUERY = /^([^?\s]{0,2000}\?)([^\s#]+)$/;

/** Takes out of the lines of one call, in their order, what its rules name. Nothing that is handed in is changed. */
export class Redactor {
  readonly rules: RecordingRedaction;
  readonly #numbers = new FictitiousNumbers();
  readonly #fields: SecretFields;
  /** How many forms and queries the one that is looked at stands in. */
  #within = 0;

  constructor(rules: RecordingRedaction) {
    this.rules = rules;
    this.#fields = new SecretFields(rules.fields);
  }

  /**
   * A line without what the rules name; the very same when there is nothing of it.
   * @param around of a piece of a text that comes in pieces: what came before and what comes after
   */
  line(line: Line, around?: { readonly before: string; readonly after: string }): Line {
    const place: Place = { on: line.on, data: false, free: line.on === 'tool', named: false, type: '' };
    const delta = around === undefined ? undefined : deltaOf(line);
    // A field of a line that is data stays what it was.
    if (delta === undefined || around === undefined) return this.#fieldsOf(line, place) as Line;
    const text = this.#piece(delta, around);
    const rest = withDelta(line, delta, '');
    const redacted = this.#fieldsOf(rest, place) as Line;
    return redacted === rest && text === delta.text ? line : withDelta(redacted, delta, text);
  }

  /** call.json, with what was taken out. */
  call(file: CallFile): CallFile {
    const place: Place = { on: 'agent', data: false, free: false, named: false, type: '' };
    const redacted = this.#value(file.agent, 'agent', place) as CallFile['agent'];
    const agent = this.rules.words
      ? { ...redacted, variables: mapTexts(redacted.variables, maskWords) }
      : redacted;
    const plain: Place = { on: 'rest', data: true, free: false, named: false, type: '' };
    const bare = { ...file, agent: undefined, redacted: undefined, providers: [], settings: {} };
    const rest = this.#fieldsOf(bare, plain) as CallFile;
    return {
      ...rest,
      providers: this.#value(file.providers, 'providers', place) as CallFile['providers'],
      settings: this.#fieldsOf(file.settings, place) as CallFile['settings'],
      seed: file.seed,
      agent,
      redacted: joined(file.redacted, this.rules),
      // Noise that is made of speech is another one every time: it is compared by its length.
      ...(this.rules.speech === 'none' ? {} : { tolerance: { ...file.tolerance, sample: ANY_SAMPLE } }),
    };
  }

  /** A text for people. */
  text(text: string): string {
    if (this.rules.words) return maskWords(text);
    const place: Place = { on: 'call', data: false, free: true, named: false, type: '' };
    return this.#text(text, '', place);
  }

  /** A piece of a text, which is as long as it was. */
  #piece({ text }: Delta, { before, after }: { readonly before: string; readonly after: string }): string {
    if (this.rules.words) return maskWords(text);
    const whole = before + text + after;
    const numbers = this.rules.numbers ? this.#numbers.spoken(whole) : whole;
    const redacted = this.#fields.values(numbers);
    // Only an encoding changes lengths, and people do not speak in one.
    return redacted.length === whole.length
      ? redacted.slice(before.length, before.length + text.length)
      : maskText(text);
  }

  #fieldsOf(record: object, place: Place): object {
    const entries = Object.entries(record);
    let copy: [string, unknown][] | undefined;
    for (const [index, [name, value]] of entries.entries()) {
      const inner = this.#field(record, name, value, place);
      const key = this.rules.numbers && /\d{7}/.test(name) ? this.#numbers.written(name) : name;
      if (inner === value && key === name) continue;
      copy ??= [...entries];
      copy[index] = [key, inner];
    }
    // Made of entries, because an assignment to `__proto__` would be none.
    return copy === undefined ? record : Object.fromEntries(copy);
  }

  #field(record: object, name: string, value: unknown, place: Place): unknown {
    if (!isRecord(record)) return this.#value(value, name, place);
    const named = nameOf(record, name);
    if (place.named && this.#fields.has(named)) return this.#fields.hide(value);
    const inner = within(place, record, name, value);
    if (name === 'args' && (record['call'] === 'say' || record['call'] === 'sendText'))
      return this.#said(value, inner);
    if (name === 'with' && Array.isArray(value)) return this.#does(record['does'], value, inner);
    if (isLogprobs(name, record)) return this.rules.words ? [] : value;
    return this.#value(value, named, inner);
  }

  /** What a session is told to say. */
  #said(args: unknown, place: Place): unknown {
    if (!Array.isArray(args)) return args;
    return args.map((one: unknown, at) => this.#value(one, at === 0 ? SAID : 'options', place));
  }

  /** What a function does with its call. */
  #does(what: unknown, args: readonly unknown[], place: Place): unknown {
    if (what === 'leaveMessage' && this.rules.words) {
      return args.map((one) => (typeof one === 'string' ? maskWords(one) : one));
    }
    const name = what === 'sendDigits' ? 'digits' : 'with';
    return args.map((one) => this.#value(one, name, place));
  }

  #value(value: unknown, name: string, place: Place): unknown {
    if (typeof value === 'string') return this.#text(value, name, place);
    if (typeof value === 'number') return this.#number(value, name);
    if (typeof value !== 'object' || value === null || isAudioRef(value)) return value;
    if (!Array.isArray(value)) return this.#fieldsOf(value, place);
    const list = value.map((one: unknown) => this.#value(one, name, place));
    return list.some((one, at) => one !== value[at]) ? list : value;
  }

  #number(value: number, name: string): number {
    if (this.rules.keys && KEYS.test(name)) return 0;
    return this.rules.numbers ? this.#numbers.value(value, name) : value;
  }

  #text(text: string, name: string, place: Place): string {
    if (text === '') return text;
    if (this.rules.keys && KEYS.test(name)) return maskKeys(text);
    if (this.rules.words && isWords(place, name, text)) return maskWords(text);
    // What functions are given and return is no protocol's, whatever its fields are called.
    const isProtocols = !(place.named && (place.data || place.on === 'tool')) && STRUCTURE.test(name);
    if (text.length < 3 || isProtocols) return this.#known(text, name);
    if (isArguments(place, name)) return this.#anyPiece(text);
    const inner = withinText(text, (value) => this.#value(value, name, insideText(place)));
    if (inner !== undefined) return inner;
    return this.#plain(this.#pairs(text, place), name, place);
  }

  /** What is no free text: only what is known to be secret is taken out of it. */
  #known(text: string, name: string): string {
    if (this.rules.numbers && isOfCaller(name)) return maskText(text);
    const known = isSentence(text) ? this.#fields.values(text) : text;
    return this.rules.numbers && /\d{7}/.test(known) && !/^(?:type|event)$/.test(name)
      ? this.#numbers.written(known)
      : known;
  }

  #plain(text: string, name: string, place: Place): string {
    let plain = text;
    if (place.named || place.free) plain = this.#fields.text(text);
    else if (isSentence(text)) plain = this.#fields.values(text);
    if (this.rules.words) plain = changeSpoken(plain, maskWords);
    if (this.rules.keys)
      plain = plain.replace(PRESSED, (_all, before: string, keys: string) => before + maskKeys(keys));
    return this.rules.numbers ? this.#withoutNumbers(plain, name, place) : plain;
  }

  #withoutNumbers(text: string, name: string, place: Place): string {
    if (isOfCaller(name)) return maskText(text);
    const hidden = text.replace(USER, (whole, scheme: string, user: string) =>
      /^\+?\d+$/.test(user) || /%2b/i.test(user) ? whole : scheme + maskText(user),
    );
    if (isParty(name)) return this.#numbers.party(hidden);
    return place.free ? this.#numbers.spoken(hidden) : this.#numbers.written(hidden);
  }

  /** Forms and queries hold texts under names, each in an encoding of its own. */
  #pairs(text: string, place: Place): string {
    const [, before = '', query = text] = QUERY.exec(text) ?? [];
    if (this.#within >= MOST_WITHIN || !FORM.test(query)) return text;
    this.#within += 1;
    try {
      const pairs = query.split('&').map((pair) => this.#pair(pair, place));
      return before + pairs.join('&');
    } finally {
      this.#within -= 1;
    }
  }

  #pair(pair: string, place: Place): string {
    const cut = pair.indexOf('=');
    if (cut < 0) return pair;
    const name = decoded(pair.slice(0, cut));
    const value = decoded(pair.slice(cut + 1));
    if (name === undefined || value === undefined) return pair;
    const redacted =
      place.named && this.#fields.has(name) ? this.#fields.hide(value) : this.#text(value, name, place);
    return redacted === value ? pair : `${pair.slice(0, cut + 1)}${encodeURIComponent(String(redacted))}`;
  }

  /** Of arguments that come in pieces, which nobody reads before they are whole. */
  #anyPiece(text: string): string {
    if (this.rules.fields.length > 0) return maskText(text);
    const numbers = this.rules.numbers || this.rules.keys;
    return numbers ? text.replace(/\d/g, '0') : text;
  }
}

/** Written for people: it may say what a field held, and not by chance. */
function isSentence(text: string): boolean {
  return /\s/.test(text.trim());
}

/** JSON in a text: at a provider and of functions it is what functions are given or return. */
function insideText(place: Place): Place {
  if (place.on !== 'provider' && place.on !== 'tool' && place.on !== 'call') return place;
  return { ...place, data: true, free: true };
}

function isArguments({ type, on }: Place, name: string): boolean {
  return on === 'provider' && name === 'delta' && /arguments/.test(type);
}

/** Words are repeated there, one by one and in bytes. */
function isLogprobs(name: string, record: Readonly<Record<string, unknown>>): boolean {
  return (
    name === 'logprobs' || (name === 'bytes' && 'token' in record) || (name === 'words' && 'text' in record)
  );
}

/** Of a pair `{ name, value }`, what the value is called. */
function nameOf(record: Readonly<Record<string, unknown>>, name: string): string {
  return name === 'value' && typeof record['name'] === 'string' ? record['name'] : name;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function mapTexts(
  texts: Readonly<Record<string, string>>,
  change: (text: string) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, change(text)]));
}

function joined(before: RedactionRecord | undefined, rules: RecordingRedaction): RedactionRecord {
  const { speech = 'none' } = before ?? {};
  const both = speech !== 'none' && rules.speech !== 'none' && speech !== rules.speech;
  return {
    numbers: rules.numbers || (before?.numbers ?? false),
    fields: [...new Set([...(before?.fields ?? []), ...rules.fields])],
    speech: both ? 'both' : rules.speech === 'none' ? speech : rules.speech,
    words: rules.words || (before?.words ?? false),
    keys: rules.keys || (before?.keys ?? false),
  };
}

/** The rules by which a call was redacted; undefined: it was not. */
export function rulesOf({ redacted }: CallFile): RecordingRedaction | undefined {
  return redacted && { ...redacted, keys: redacted.keys ?? false };
}

function isOfCaller(name: string): boolean {
  return CALLER.test(name.toLowerCase().replace(/[^a-z0-9]/g, ''));
}
