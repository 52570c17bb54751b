import type { AudioFormat } from '../../audio/format.ts';
import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';
import { babbleMs, type PlannedCall, type PlannedMessage } from '../common/plan.ts';
import { cut, type Track, type Voice } from '../common/voice.ts';
import { bytesIn, msOf } from '../common/voice-activity.ts';
import { type Entry, silentEntry, textTokens } from './conversation.ts';

/** Written text comes in words, one in this time. */
const WORD_MS = 30;
/** Arguments come in pieces of this many letters, one in the time of a word. */
const ARGUMENT_PIECE = 12;
/** The words run ahead of the audio by this factor. */
const TRANSCRIPT_LEAD = 1.5;

/** What is left of `max_output_tokens`, and what was spent. */
export class Budget {
  #left: number;
  text = 0;
  audio = 0;

  constructor(tokens: number | 'inf') {
    this.#left = tokens === 'inf' ? Number.POSITIVE_INFINITY : tokens;
  }

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  spend(kind: 'text' | 'audio', tokens: number): void {
    this.#left -= tokens;
    this[kind] += tokens;
  }
}

/** What an output needs of the response that it belongs to. */
export interface OutputHost {
  readonly responseId: string;
  readonly dice: Dice;
  readonly voice: Voice;
  readonly format: AudioFormat;
  readonly deltaMs: number;
  readonly speedFactor: number;
  readonly keepAudio: boolean;
  readonly budget: Budget;
  emit(type: string, fields: JsonObject): void;
  /** Puts the item into the conversation that the response belongs to, if any, and says so. */
  itemAdded(entry: Entry): void;
  itemDone(entry: Entry): void;
  audioSent(entry: Entry, ms: number): void;
}

/** Milliseconds until the next step, or how the output ended. */
export type Step = number | 'done' | 'spent';

/** One output item while it is being made. */
export interface OutputRun {
  readonly entry: Entry;
  begin(): void;
  step(): Step;
  /** Sends the closing events, which come for what is cut off as well. */
  end(status: 'completed' | 'incomplete'): void;
}

function newEntry(host: OutputHost, item: JsonObject): Entry {
  const id = host.dice.id('item');
  const shown = { id, object: 'realtime.item', status: 'in_progress', ...item };
  return silentEntry(id, shown);
}

/** The events that frame every output item, and the ids that all its events carry. */
abstract class Output {
  readonly entry: Entry;
  protected readonly host: OutputHost;
  readonly #index: number;

  constructor(host: OutputHost, index: number, item: JsonObject) {
    this.host = host;
    this.#index = index;
    this.entry = newEntry(host, item);
  }

  protected get place(): JsonObject {
    return { response_id: this.host.responseId, item_id: this.entry.id, output_index: this.#index };
  }

  protected open(): void {
    const { host, entry } = this;
    const at = { response_id: host.responseId, output_index: this.#index };
    host.emit('response.output_item.added', { ...at, item: entry.item });
    host.itemAdded(entry);
  }

  protected close(fields: JsonObject): void {
    const { host, entry } = this;
    if (!entry.isTruncated) entry.item = { ...entry.item, ...fields };
    host.itemDone(entry);
    const at = { response_id: host.responseId, output_index: this.#index };
    host.emit('response.output_item.done', { ...at, item: entry.item });
  }
}

function messageItem(plan: PlannedMessage): JsonObject {
  const phase = plan.phase === undefined ? {} : { phase: plan.phase };
  return { type: 'message', role: 'assistant', content: [], ...phase };
}

/** Pieces that, put together, are the text. */
function words(text: string): readonly string[] {
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? [];
}

/** A spoken message: deltas of audio, and of the transcript, which runs ahead. */
export class SpokenMessage extends Output implements OutputRun {
  readonly #words: readonly string[];
  readonly #track: Track;
  #said = 0;
  #sentBytes = 0;
  #transcript = '';

  constructor(host: OutputHost, index: number, plan: PlannedMessage) {
    super(host, index, messageItem(plan));
    this.#words = words(plan.transcript ?? '');
    this.#track =
      plan.audio === undefined
        ? host.voice.babble(babbleMs(plan), host.format)
        : host.voice.samples(plan.audio, host.format);
  }

  begin(): void {
    this.open();
    const part = { type: 'audio', transcript: '' };
    this.host.emit('response.content_part.added', { ...this.#part, part });
  }

  get #part(): JsonObject {
    return { ...this.place, content_index: 0 };
  }

  step(): Step {
    const { host } = this;
    if (host.budget.isSpent) return 'spent';
    const step = bytesIn(host.deltaMs, host.format);
    const to = Math.min(this.#track.totalBytes, this.#sentBytes + Math.max(step, 2));
    this.#say(to);
    const ms = to > this.#sentBytes ? this.#play(to) : 0;
    return to >= this.#track.totalBytes ? 'done' : ms / host.speedFactor;
  }

  #say(toBytes: number): void {
    const share = this.#track.totalBytes === 0 ? 1 : toBytes / this.#track.totalBytes;
    const count = Math.min(this.#words.length, Math.ceil(this.#words.length * share * TRANSCRIPT_LEAD));
    const delta = this.#words.slice(this.#said, count).join('');
    this.#said = count;
    if (delta === '') return;
    this.#transcript += delta;
    this.host.budget.spend('text', textTokens(delta));
    this.host.emit('response.output_audio_transcript.delta', { ...this.#part, delta });
  }

  #play(toBytes: number): number {
    const { host, entry } = this;
    const bytes = cut(this.#track, this.#sentBytes, toBytes);
    const ms = msOf(bytes.length, host.format);
    this.#sentBytes = toBytes;
    if (!entry.isTruncated) entry.audioMs += ms;
    entry.sentMs += ms;
    if (host.keepAudio) entry.audio.push(bytes);
    host.budget.spend('audio', Math.ceil(ms / 50));
    this.sendDelta(bytes);
    host.audioSent(entry, ms);
    return ms;
  }

  /** Audio that nobody asked for any more, when `bytes` is left out: it repeats the beginning. */
  sendDelta(bytes: Uint8Array = cut(this.#track, 0, bytesIn(this.host.deltaMs, this.host.format))): void {
    const delta = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
    this.host.emit('response.output_audio.delta', { ...this.#part, delta });
  }

  end(status: 'completed' | 'incomplete'): void {
    const { host } = this;
    const transcript = this.#transcript;
    host.emit('response.output_audio.done', this.#part);
    host.emit('response.output_audio_transcript.done', { ...this.#part, transcript });
    host.emit('response.content_part.done', { ...this.#part, part: { type: 'audio', transcript } });
    this.close({ status, content: [{ type: 'output_audio', transcript }] });
  }
}

/** A written message, for sessions whose output is text. */
export class WrittenMessage extends Output implements OutputRun {
  readonly #words: readonly string[];
  #at = 0;
  #text = '';

  constructor(host: OutputHost, index: number, plan: PlannedMessage) {
    super(host, index, messageItem(plan));
    this.#words = words(plan.transcript ?? '');
  }

  begin(): void {
    this.open();
    this.host.emit('response.content_part.added', { ...this.#part, part: { type: 'text', text: '' } });
  }

  get #part(): JsonObject {
    return { ...this.place, content_index: 0 };
  }

  step(): Step {
    const delta = this.#words[this.#at];
    if (delta === undefined) return 'done';
    if (this.host.budget.isSpent) return 'spent';
    this.#at++;
    this.#text += delta;
    this.host.budget.spend('text', textTokens(delta));
    this.host.emit('response.output_text.delta', { ...this.#part, delta });
    return WORD_MS / this.host.speedFactor;
  }

  end(status: 'completed' | 'incomplete'): void {
    const text = this.#text;
    this.host.emit('response.output_text.done', { ...this.#part, text });
    this.host.emit('response.content_part.done', { ...this.#part, part: { type: 'text', text } });
    this.close({ status, content: [{ type: 'output_text', text }] });
  }
}

/** A function call: its arguments in pieces, then as a whole. */
export class FunctionCall extends Output implements OutputRun {
  readonly #callId: string;
  readonly #name: string;
  readonly #arguments: string;
  #at = 0;

  constructor(host: OutputHost, index: number, plan: PlannedCall) {
    const callId = plan.callId ?? host.dice.id('call');
    super(host, index, { type: 'function_call', call_id: callId, name: plan.name, arguments: '' });
    this.#callId = callId;
    this.#name = plan.name;
    this.#arguments = typeof plan.args === 'string' ? plan.args : JSON.stringify(plan.args);
  }

  begin(): void {
    this.open();
  }

  step(): Step {
    if (this.#at >= this.#arguments.length) return 'done';
    if (this.host.budget.isSpent) return 'spent';
    const delta = this.#arguments.slice(this.#at, this.#at + ARGUMENT_PIECE);
    this.#at += delta.length;
    this.host.budget.spend('text', textTokens(delta));
    const fields = { ...this.place, call_id: this.#callId, delta };
    this.host.emit('response.function_call_arguments.delta', fields);
    return WORD_MS / this.host.speedFactor;
  }

  end(status: 'completed' | 'incomplete'): void {
    const said = this.#arguments.slice(0, this.#at);
    const fields = { ...this.place, call_id: this.#callId, name: this.#name, arguments: said };
    this.host.emit('response.function_call_arguments.done', fields);
    this.close({ status, arguments: said });
  }
}
