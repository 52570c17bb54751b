import { isObject, type JsonObject } from '../common/json.ts';
import {
  anything,
  arrayOf,
  missing,
  nullable,
  object,
  oneOf,
  type Rule,
  tagged,
  text,
  truth,
} from './check.ts';
import { Refusal } from './wire.ts';

/** An item of the conversation; `item` is what the client sees of it. */
export interface Entry {
  readonly id: string;
  item: JsonObject;
  /** Speech of the agent that was sent for it, or of the caller that was committed, in ms. */
  audioMs: number;
  /** All speech of the agent that was sent, truncated later or not, in ms. */
  sentMs: number;
  /** The client has cut it: what the model still makes of it is not added any more. */
  isTruncated: boolean;
  /** The audio as bytes, kept only on demand. */
  readonly audio: Uint8Array[];
}

const ID = /^[a-zA-Z0-9_-]+$/;

const itemId: Rule = (value, path) => {
  text(value, path);
  if (ID.test(String(value))) return;
  const message = `Invalid '${path}': string does not match pattern. Expected a string that matches the pattern '${ID.source}'.`;
  throw new Refusal('invalid_value', message, path);
};

const inputText = object({ type: text, text }, ['text']);

const userContent = tagged('type', {
  input_text: inputText,
  input_audio: object({ type: text, audio: text, transcript: nullable(text) }),
  input_image: object({ type: text, image_url: text, detail: oneOf('auto', 'low', 'high') }, ['image_url']),
});

/** What the agent has said may be told by its words only: audio of it can come from the server alone. */
const assistantContent = tagged('type', {
  output_text: object({ type: text, text }, ['text']),
  output_audio: object({ type: text, transcript: nullable(text) }),
});

const COMMON: Readonly<Record<string, Rule>> = {
  id: itemId,
  type: text,
  object: oneOf('realtime.item'),
  status: oneOf('completed', 'incomplete', 'in_progress'),
};

const message: Rule = (value, path) => {
  const role = isObject(value) ? value['role'] : undefined;
  if (role === undefined) throw missing(`${path}.role`);
  oneOf('system', 'user', 'assistant')(role, `${path}.role`);
  const content =
    role === 'user'
      ? userContent
      : role === 'system'
        ? tagged('type', { input_text: inputText })
        : assistantContent;
  object({ ...COMMON, role: text, content: arrayOf(content), phase: anything }, ['content'])(value, path);
};

const itemRule = tagged('type', {
  message,
  function_call: object({ ...COMMON, call_id: text, name: text, arguments: text }, ['name', 'arguments']),
  function_call_output: object({ ...COMMON, call_id: text, output: text }, ['call_id', 'output']),
  mcp_approval_response: object(
    { ...COMMON, approval_request_id: text, approve: truth, reason: nullable(text) },
    ['approval_request_id', 'approve'],
  ),
});

/** Throws a Refusal unless `item` is one that a client may add. */
export function checkItem(item: unknown, path: string): JsonObject {
  if (item === undefined) throw missing(path);
  itemRule(item, path);
  return item as JsonObject;
}

/** An item without audio. */
export function silentEntry(id: string, item: JsonObject): Entry {
  return { id, item, audioMs: 0, sentMs: 0, isTruncated: false, audio: [] };
}

/** The ordered items of one session and the function calls that may be answered. */
export class Conversation {
  readonly id: string;
  readonly #entries: Entry[] = [];
  readonly #callIds = new Set<string>();

  constructor(id: string) {
    this.id = id;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Id of the last item, or null. */
  get lastId(): string | null {
    return this.#entries.at(-1)?.id ?? null;
  }

  find(id: unknown): Entry | undefined {
    return this.#entries.find((entry) => entry.id === id);
  }

  /** Throws a Refusal unless an item with this id may be put after `previous` (undefined: last, `root`: first). */
  checkPlace(id: unknown, previous: unknown): void {
    if (id !== undefined && this.find(id) !== undefined) {
      const text = `Error adding item: an item with ID '${String(id)}' already exists in the conversation.`;
      throw new Refusal('item_create_duplicate_item_id', text, 'item.id');
    }
    if (previous === undefined || previous === null || previous === 'root') return;
    if (this.find(previous) !== undefined) return;
    const text = `Error adding item: the previous item with id '${String(previous)}' does not exist.`;
    throw new Refusal('item_create_invalid_previous_item_id', text, 'previous_item_id');
  }

  /** Throws a Refusal when a function output answers a call that was never made. */
  checkCall(item: JsonObject, path: string): void {
    if (item['type'] !== 'function_call_output' || this.#callIds.has(String(item['call_id']))) return;
    const text = `Tool call ID '${String(item['call_id'])}' not found in conversation.`;
    throw new Refusal('invalid_tool_call_id', text, `${path}.call_id`);
  }

  /** Returns the id of the item before it, or null. */
  add(entry: Entry, previous?: unknown): string | null {
    if (entry.item['type'] === 'function_call') this.#callIds.add(String(entry.item['call_id']));
    const before = this.#place(previous);
    this.#entries.splice(before + 1, 0, entry);
    return this.#entries[before]?.id ?? null;
  }

  /** Position of the item that the new one follows; -1: none. */
  #place(previous: unknown): number {
    if (previous === undefined || previous === null) return this.#entries.length - 1;
    return this.#entries.findIndex((entry) => entry.id === previous);
  }

  remove(id: string): boolean {
    const at = this.#entries.findIndex((entry) => entry.id === id);
    if (at !== -1) this.#entries.splice(at, 1);
    return at !== -1;
  }

  /** Id of the item before this one, or null. */
  before(id: string): string | null {
    const at = this.#entries.findIndex((entry) => entry.id === id);
    return at > 0 ? (this.#entries[at - 1]?.id ?? null) : null;
  }

  /**
   * Cuts the agent's speech at `endMs`, and with it the words of it, for the client cannot say where they were. Throws
   * a Refusal, worded as the service words it, when there is nothing to cut there.
   */
  truncate(id: string, contentIndex: number, endMs: number): Entry {
    const entry = this.find(id);
    if (entry === undefined) {
      const text = `Error truncating item: item with item_id '${id}' not found.`;
      throw new Refusal('item_truncate_invalid_item_id', text, 'item_id');
    }
    const isSpeech = entry.item['type'] === 'message' && entry.item['role'] === 'assistant';
    if (!isSpeech || entry.audioMs === 0) {
      const text = 'Only model output audio messages can be truncated';
      throw new Refusal('unsupported_content_type', text, 'item_id');
    }
    if (contentIndex !== 0) {
      const text = `Error truncating item: the item has no content part ${contentIndex}.`;
      throw new Refusal('invalid_value', text, 'content_index');
    }
    const lengthMs = Math.floor(entry.audioMs);
    if (endMs > lengthMs) {
      const text = `Audio content of ${lengthMs}ms is already shorter than ${endMs}ms`;
      throw new Refusal('invalid_value', text, 'audio_end_ms');
    }
    entry.audioMs = endMs;
    entry.isTruncated = true;
    entry.item = { ...entry.item, status: 'incomplete', content: [{ type: 'output_audio', transcript: '' }] };
    return entry;
  }
}

/** Tokens as the bill would count them, roughly: 4 letters, 100 ms of the caller or 50 ms of the agent each. */
export function itemTokens(entry: Entry): { readonly text: number; readonly audio: number } {
  if (entry.audioMs > 0) {
    const msPerToken = entry.item['role'] === 'user' ? 100 : 50;
    return { text: 0, audio: Math.ceil(entry.audioMs / msPerToken) };
  }
  return { text: textTokens(wordsOf(entry.item)), audio: 0 };
}

/** Roughly 4 letters make a token. */
export function textTokens(words: string): number {
  return Math.ceil(words.length / 4);
}

/** All text that an item holds. */
function wordsOf(item: JsonObject): string {
  const parts: unknown[] = [item['output'], item['arguments'], item['name']];
  const content = item['content'];
  if (Array.isArray(content)) {
    for (const part of content) if (isObject(part)) parts.push(part['text'], part['transcript']);
  }
  return parts.filter((part) => typeof part === 'string').join(' ');
}
