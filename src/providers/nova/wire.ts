import { BridgeError } from '../../errors.ts';
import type { Usage } from '../../provider.ts';
import { type Fields, fieldsOf, isFields, jsonOf, textOf } from '../common/fields.ts';
import { KnownForm } from '../common/known-form.ts';
import { MOST_ID } from '../common/limits.ts';
import type { SpeechDecoder } from '../common/speech-decoder.ts';
import { UsageReader } from './usage.ts';

/** What one block of output is: words of the caller, words planned or spoken by the agent, speech, a function call. */
export type ContentKind = 'heard' | 'planned' | 'said' | 'speech' | 'call';

/** `more`: the turn goes on; `tool`: it waits for a function. */
export type StopReason = 'more' | 'end' | 'interrupted' | 'tool';

/** What the service tells, as far as anybody needs it. */
export type ServerEvent =
  | { readonly type: 'completionStart' }
  | { readonly type: 'contentStart'; readonly contentId: string; readonly kind: ContentKind }
  | { readonly type: 'words'; readonly contentId: string; readonly kind: ContentKind; readonly text: string }
  | { readonly type: 'audio'; readonly contentId: string; readonly bytes: Uint8Array }
  | {
      readonly type: 'call';
      readonly contentId: string;
      readonly callId: string;
      readonly name: string;
      readonly args: string;
    }
  /** The caller has cut in. */
  | { readonly type: 'interrupted' }
  | {
      readonly type: 'contentEnd';
      readonly contentId: string;
      readonly kind: ContentKind;
      readonly stop: StopReason;
    }
  | { readonly type: 'completionEnd' }
  | { readonly type: 'usage'; readonly usage: Usage };

const STOPS: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['END_TURN', 'end'],
  ['INTERRUPTED', 'interrupted'],
  ['TOOL_USE', 'tool'],
]);

/** A session is short and its blocks come one by one; those that still matter are far fewer. */
const MOST_BLOCKS = 256;
/** What is kept of a block to know a duplicate by: longer pieces are not sent twice so often. */
const MOST_LAST = 65_536;
/** Digital silence, which may well come twice. */
const SILENCE = /^A*=*$/;

function required(name: string, body: Fields, key: string, most = MOST_ID): string {
  const value = body[key];
  if (typeof value === 'string' && value !== '' && value.length <= most) return value;
  throw new BridgeError(
    'BAD_FRAME',
    `${name} has ${value === undefined ? 'no' : 'a strange'} ${key}, wanted text`,
  );
}

/** The planned text comes before its speech, the spoken one after it; a text that does not say which is what was said. */
function textKind(body: Fields): ContentKind {
  if (body['role'] === 'USER') return 'heard';
  const model = body['additionalModelFields'];
  const fields = typeof model === 'string' ? fieldsOf(jsonOf(model)) : fieldsOf(model);
  return fields['generationStage'] === 'SPECULATIVE' ? 'planned' : 'said';
}

function kindOf(body: Fields): ContentKind | undefined {
  switch (body['type']) {
    case 'TEXT':
      return textKind(body);
    case 'AUDIO':
      return 'speech';
    case 'TOOL':
      return 'call';
    default:
      return undefined;
  }
}

/** A signal in the clothes of a text; its spaces are not to be relied on. */
function isInterruption(content: string): boolean {
  return content.trimStart().startsWith('{') && fieldsOf(jsonOf(content))['interrupted'] === true;
}

/**
 * The arguments of a call as one JSON text: the service sometimes encodes them twice. What is no JSON is left as it is,
 * for whoever runs the function to complain about.
 */
export function callArguments(content: unknown): string {
  if (typeof content !== 'string') return JSON.stringify(content ?? {});
  if (content.trim() === '') return '{}';
  const once = jsonOf(content);
  if (typeof once !== 'string') return content;
  return isFields(jsonOf(once)) ? once : content;
}

function unwrap(text: string, length: number): [string, Fields] {
  const message = jsonOf(text);
  if (!isFields(message)) {
    throw new BridgeError('BAD_FRAME', `an event of ${length} bytes is not a JSON object`);
  }
  const { event } = message;
  if (!isFields(event)) throw new BridgeError('BAD_FRAME', 'an event has no field event');
  for (const [name, body] of Object.entries(event)) return [name, fieldsOf(body)];
  throw new BridgeError('BAD_FRAME', 'an event has no name');
}

/** Reads what the service sends on one stream, and drops what it sends twice. */
export class ServerEventReader {
  /** The newest blocks; a duplicate comes soon or never. */
  readonly #blocks = new Map<string, { readonly kind: ContentKind; ended: boolean; last: string }>();
  readonly #usage = new UsageReader();
  /** Says to which block its speech belongs. */
  readonly #form: KnownForm<string> | undefined;

  /** @param decoder undefined: every event is read as JSON, which gives the same, and costs more */
  constructor(decoder?: SpeechDecoder) {
    this.#form = decoder && new KnownForm(decoder);
  }

  /**
   * One event; undefined for news that nobody needs, or told just before. Bytes of audio are lent, see `SpeechDecoder`.
   * Throws BAD_FRAME for nonsense.
   */
  read(bytes: Uint8Array): ServerEvent | undefined {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const form = this.#form;
    // A known form has nothing but ASCII, which is cheaper to read so.
    const speech = form?.speechIn(view.toString('latin1'))?.[0];
    if (speech === undefined || form?.says === undefined) return this.#any(view);
    return this.#audio(form.says, form.written[0] ?? '', speech);
  }

  #any(bytes: Buffer): ServerEvent | undefined {
    const text = bytes.toString();
    const [name, body] = unwrap(text, bytes.length);
    switch (name) {
      case 'audioOutput':
        return this.#anyAudio(text, body);
      case 'textOutput':
        return this.#words(body);
      case 'contentStart':
        return this.#start(body);
      case 'contentEnd':
        return this.#end(body);
      case 'toolUse':
        return this.#call(body);
      case 'completionStart':
        return { type: 'completionStart' };
      case 'completionEnd':
        return { type: 'completionEnd' };
      case 'usageEvent': {
        const usage = this.#usage.read(body);
        return usage && { type: 'usage', usage };
      }
      default:
        return undefined;
    }
  }

  #start(body: Fields): ServerEvent | undefined {
    const contentId = required('contentStart', body, 'contentId');
    const kind = kindOf(body);
    if (kind === undefined || this.#blocks.has(contentId)) return undefined;
    this.#begin(contentId, kind);
    return { type: 'contentStart', contentId, kind };
  }

  #anyAudio(text: string, body: Fields): ServerEvent | undefined {
    const contentId = required('audioOutput', body, 'contentId');
    const base64 = required('audioOutput', body, 'content', Number.POSITIVE_INFINITY);
    if (Buffer.byteLength(text) === text.length) this.#form?.learn(text, contentId, [base64], {});
    return this.#audio(contentId, base64, Buffer.from(base64, 'base64'));
  }

  #audio(contentId: string, base64: string, bytes: Uint8Array): ServerEvent | undefined {
    const block = this.#block(contentId, 'speech');
    if (block.ended || (base64 === block.last && !SILENCE.test(base64))) return undefined;
    block.last = base64.length > MOST_LAST ? '' : base64;
    return { type: 'audio', contentId, bytes };
  }

  #words(body: Fields): ServerEvent | undefined {
    const contentId = required('textOutput', body, 'contentId');
    const text = textOf(body['content']);
    if (text === undefined) throw new BridgeError('BAD_FRAME', 'textOutput has no content, wanted text');
    if (isInterruption(text)) return { type: 'interrupted' };
    const block = this.#block(contentId, textKind(body));
    if (block.ended || text === block.last || text.trim() === '') return undefined;
    block.last = text.length > MOST_LAST ? '' : text;
    return { type: 'words', contentId, kind: block.kind, text };
  }

  #call(body: Fields): ServerEvent | undefined {
    const callId = required('toolUse', body, 'toolUseId');
    const contentId = textOf(body['contentId']) ?? callId;
    const name = required('toolUse', body, 'toolName');
    const block = this.#block(contentId, 'call');
    if (block.ended || block.last === callId) return undefined;
    block.last = callId;
    return { type: 'call', contentId, callId, name, args: callArguments(body['content']) };
  }

  #end(body: Fields): ServerEvent | undefined {
    const contentId = required('contentEnd', body, 'contentId');
    const kind = this.#blocks.get(contentId)?.kind ?? kindOf(body);
    if (kind === undefined) return undefined;
    const block = this.#block(contentId, kind);
    if (block.ended) return undefined;
    block.ended = true;
    block.last = '';
    return { type: 'contentEnd', contentId, kind, stop: STOPS.get(body['stopReason']) ?? 'more' };
  }

  /** A block whose start was lost begins with what came of it. */
  #block(contentId: string, kind: ContentKind) {
    return this.#blocks.get(contentId) ?? this.#begin(contentId, kind);
  }

  #begin(contentId: string, kind: ContentKind) {
    const block = { kind, ended: false, last: '' };
    this.#blocks.set(contentId, block);
    const [oldest] = this.#blocks.keys();
    if (this.#blocks.size > MOST_BLOCKS && oldest !== undefined) this.#blocks.delete(oldest);
    return block;
  }
}
