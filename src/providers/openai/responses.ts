import type { HeardItem } from '../../provider.ts';
import { fittingText, MOST_ARGUMENTS, MOST_CALLS_AT_ONCE, MOST_TEXT } from '../common/limits.ts';
import type { WireCall } from './wire.ts';

/** One message of the agent: what of it was handed on, and what became of it. */
export interface Spoken {
  readonly id: string;
  readonly responseId: string;
  readonly outputIndex: number;
  contentIndex: number;
  /** Audio handed on, in bytes. */
  received: number;
  /** Audio thrown away because the response was given up. */
  dropped: number;
  /** No more audio will come. */
  complete: boolean;
  /** Later messages need not wait for this one any more. */
  passed: boolean;
  /** `audioDone` was handed on. */
  told: boolean;
  /** All pieces of its transcript that were handed on. */
  text: string;
  /** The finished transcript of each part, by content index. */
  readonly finals: Map<number, string>;
  fate: 'kept' | 'cut' | 'deleted';
  /** Audio that has to wait for an earlier message of the same response. */
  readonly held: Uint8Array[];
}

export interface Response {
  readonly id: string;
  /** Position among all events of the session: tells what came before what. */
  readonly bornAt: number;
  /** Nothing of it is handed on any more. */
  discarded: boolean;
  /** Nothing of it was ever handed on, not even its start. */
  hidden: boolean;
  done: boolean;
  /** It was given up as silent and told to be over; its real end may come yet. */
  lost: boolean;
  cancelled: boolean;
  wroteText: boolean;
  /** Audio that waits in its messages, with what it takes to keep it, in bytes. */
  heldBytes: number;
  /** Characters of all calls below. */
  callLength: number;
  /** Calls that were written, for servers that do not repeat them at the end. */
  readonly written: WireCall[];
  /** Calls of which only the arguments were told, for servers that tell of no items at all. */
  readonly drafted: WireCall[];
  /** In the order in which they are to be heard. */
  readonly items: Spoken[];
}

export type Correction =
  | {
      readonly type: 'truncate';
      readonly itemId: string;
      readonly contentIndex: number;
      readonly endMs: number;
    }
  | { readonly type: 'delete'; readonly itemId: string };

/** Some audio of one message. */
interface Piece {
  readonly responseId: string;
  readonly itemId: string;
  readonly bytes: Uint8Array;
}

export interface ResponsesSink {
  /** `bytes` is only valid during the call. */
  audio(item: Spoken, bytes: Uint8Array): void;
  audioDone(item: Spoken): void;
  /** A piece of a transcript, or with `final` the whole of it. */
  words(item: Spoken, text: string, final: boolean): void;
  /** Once a response: it contains writing, which nobody will hear. */
  wroteText(): void;
  /** It is not known any more, though its end has not come: there are too many. */
  forgotten(response: Response): void;
  /** More of something has come than is kept of it; what, in words. */
  excess(what: string): void;
}

/** A piece of transcript, or the whole of one part of a message. */
export interface Words {
  readonly contentIndex: number;
  readonly text: string;
  readonly final: boolean;
  readonly voiced: boolean;
}

/** Enough for any answer under way; a session of an hour must not keep all of its past. */
const MOST_RESPONSES = 64;
/** Messages of one response. */
const MOST_ITEMS = 256;
const MOST_HELD_BYTES = 4 * 1_048_576;
/** What a piece of audio costs beside its bytes. */
const PIECE_BYTES = 128;

/** The responses of a session and their messages: order of play, what was received, what was given up. */
export class Responses {
  readonly #sink: ResponsesSink;
  readonly #responses = new Map<string, Response>();
  readonly #items = new Map<string, Spoken>();
  /** Of what audio was handed on last. */
  #speaks: { readonly response: Response; readonly item: Spoken } | undefined;

  constructor(sink: ResponsesSink) {
    this.#sink = sink;
  }

  find(responseId: string): Response | undefined {
    return this.#responses.get(responseId);
  }

  add(id: string, bornAt: number, hidden: boolean): Response {
    const response: Response = {
      id,
      bornAt,
      hidden,
      discarded: hidden,
      done: false,
      lost: false,
      cancelled: false,
      wroteText: false,
      heldBytes: 0,
      callLength: 0,
      written: [],
      drafted: [],
      items: [],
    };
    this.#responses.set(id, response);
    for (const old of this.#responses.values()) {
      if (this.#responses.size <= MOST_RESPONSES) break;
      this.#forget(old);
    }
    return response;
  }

  /** Those that are not done. */
  open(): Response[] {
    return [...this.#responses.values()].filter((response) => !response.done);
  }

  /** The message of this name, which may be a new one; undefined: the response has too many. */
  item(response: Response, itemId: string, outputIndex: number | undefined): Spoken | undefined {
    // For every delta: no closure.
    for (const item of response.items) if (item.id === itemId) return item;
    const known = this.#items.get(itemId);
    // Some servers count their messages anew in every response.
    if (known && this.#responses.get(known.responseId)?.done === false) return known;
    if (response.items.length >= MOST_ITEMS) {
      this.#sink.excess(`messages than ${MOST_ITEMS} in one response`);
      return undefined;
    }
    const item: Spoken = {
      id: itemId,
      responseId: response.id,
      outputIndex: outputIndex ?? response.items.length,
      contentIndex: 0,
      received: 0,
      dropped: 0,
      complete: false,
      passed: false,
      told: false,
      text: '',
      finals: new Map(),
      fate: 'kept',
      held: [],
    };
    this.#items.set(itemId, item);
    const after = response.items.findIndex((other) => other.outputIndex > item.outputIndex);
    response.items.splice(after === -1 ? response.items.length : after, 0, item);
    return item;
  }

  /** A call that the model has written; `draft`: its item is not known to be whole. */
  write(response: Response, call: WireCall, draft: boolean): void {
    const calls = draft ? response.drafted : response.written;
    response.callLength += call.args.length;
    if (calls.length >= MOST_CALLS_AT_ONCE || response.callLength > MOST_ARGUMENTS) {
      this.#sink.excess('function calls in one response than are kept');
    } else {
      calls.push(call);
    }
  }

  /** Its calls were run, or never will be. */
  dropCalls(response: Response): void {
    response.written.length = 0;
    response.drafted.length = 0;
    response.callLength = 0;
  }

  /**
   * The message of which audio was handed on last, if this is more of it, as it comes fifty times a second: it is for `more`.
   * Undefined: it has to be looked at, and is for `audio`.
   */
  goesOn({ responseId, itemId, bytes }: Piece): Spoken | undefined {
    const speaks = this.#speaks;
    if (speaks === undefined || speaks.item.id !== itemId || speaks.response.id !== responseId)
      return undefined;
    const { response, item } = speaks;
    if (response.discarded || response.done || item.received === 0 || bytes.length === 0) return undefined;
    return this.#blocked(response, item) ? undefined : item;
  }

  /** More audio of a message that `goesOn`. */
  more(item: Spoken, bytes: Uint8Array): void {
    this.#hand(item, bytes);
  }

  /** Audio of one message; it is handed on at once unless an earlier message of the response is still open. */
  audio(response: Response, item: Spoken, bytes: Uint8Array): void {
    if (response.discarded) {
      item.dropped += bytes.length;
    } else if (this.#blocked(response, item)) {
      // They are only lent.
      item.held.push(Uint8Array.from(bytes));
      response.heldBytes += bytes.length + PIECE_BYTES;
      if (response.heldBytes > MOST_HELD_BYTES) this.#letPass(response);
    } else {
      this.#hand(item, bytes);
      this.#speaks = { response, item };
    }
  }

  /** The transcript runs ahead of the audio; of a response that was given up nothing new is told. */
  spoken(response: Response, item: Spoken, words: Words): void {
    if (!words.voiced && !response.wroteText) {
      response.wroteText = true;
      this.#sink.wroteText();
    }
    if (words.final) {
      this.#spokenWhole(response, item, words);
    } else if (!response.discarded && words.text !== '') {
      // Some servers send all of the words so far with every piece.
      const grown =
        item.text !== '' && words.text.length > item.text.length && words.text.startsWith(item.text);
      const piece = this.#fitting(grown ? words.text.slice(item.text.length) : words.text, item.text.length);
      item.text += piece;
      if (piece !== '') this.#sink.words(item, piece, false);
    }
  }

  /** No more audio of this message will come. */
  complete(response: Response, item: Spoken): void {
    item.complete = true;
    item.passed = true;
    if (!response.discarded) this.#advance(response);
  }

  /** The response is over: whatever was still open is complete now. */
  finish(response: Response): void {
    response.done = true;
    for (const item of response.items) item.complete = true;
    this.#letPass(response);
  }

  /** Nothing more of this response is handed on. */
  discard(response: Response): void {
    response.discarded = true;
    for (const item of response.items) {
      for (const bytes of item.held) item.dropped += bytes.length;
      item.held.length = 0;
    }
    response.heldBytes = 0;
  }

  /**
   * What the conversation at the provider has to forget, given what was heard. Each message is corrected once:
   * unheard ones are deleted because a message cut at 0 ms is refused, and those heard to their end stay.
   */
  corrections(heard: readonly HeardItem[], bytesPerMs: number): Correction[] {
    const found: Correction[] = [];
    for (const { itemId, playedMs } of heard) {
      const item = this.#items.get(itemId);
      if (item === undefined || item.fate !== 'kept') continue;
      const correction = correct(item, playedMs, Math.floor(item.received / bytesPerMs));
      if (correction) found.push(correction);
    }
    return found;
  }

  /** Messages of a given-up response of which nothing was ever handed on, once it is over. */
  unheard(response: Response): Correction[] {
    if (!response.discarded) return [];
    const found: Correction[] = [];
    for (const item of response.items) {
      if (item.fate !== 'kept' || item.received > 0 || (item.dropped === 0 && item.text === '')) continue;
      item.fate = 'deleted';
      found.push({ type: 'delete', itemId: item.id });
    }
    return found;
  }

  #spokenWhole(response: Response, item: Spoken, words: Words): void {
    item.finals.set(words.contentIndex, this.#fitting(words.text, 0));
    const places = [...item.finals.keys()].sort((a, b) => a - b);
    const parts = places.map((place) => item.finals.get(place) ?? '').filter((part) => part !== '');
    const whole = this.#fitting(parts.join(' '), 0);
    const text = response.discarded ? item.text : whole || item.text;
    if (text !== '') this.#sink.words(item, text, true);
  }

  #fitting(text: string, length: number): string {
    const fitting = fittingText(text, length);
    if (fitting.length < text.length) this.#sink.excess(`characters than ${MOST_TEXT} in one message`);
    return fitting;
  }

  #blocked(response: Response, item: Spoken): boolean {
    for (const other of response.items) {
      if (other === item) return false;
      if (!other.passed) return true;
    }
    return false;
  }

  #hand(item: Spoken, bytes: Uint8Array): void {
    // A second part of the same message may come after the first was done.
    item.told = false;
    item.received += bytes.length;
    this.#sink.audio(item, bytes);
  }

  #advance(response: Response): void {
    for (const item of response.items) {
      this.#handHeld(response, item);
      if (!item.passed || response.discarded) return;
      if (item.complete && item.received > 0 && !item.told) {
        item.told = true;
        this.#sink.audioDone(item);
      }
    }
  }

  #handHeld(response: Response, item: Spoken): void {
    for (const bytes of item.held.splice(0)) {
      response.heldBytes -= bytes.length + PIECE_BYTES;
      if (!response.discarded) this.#hand(item, bytes);
    }
  }

  #letPass(response: Response): void {
    for (const item of response.items) item.passed = true;
    this.#advance(response);
  }

  #forget(response: Response): void {
    if (this.#speaks?.response === response) this.#speaks = undefined;
    this.#responses.delete(response.id);
    if (!response.done) this.#sink.forgotten(response);
    for (const item of response.items) {
      if (this.#items.get(item.id) === item) this.#items.delete(item.id);
    }
  }
}

function correct(item: Spoken, playedMs: number, receivedMs: number): Correction | undefined {
  // More than was received is refused, by as little as 85 ms (pipecat-ai/pipecat#2106).
  const endMs = Math.min(Math.floor(playedMs), receivedMs);
  if (!(endMs > 0)) {
    item.fate = 'deleted';
    return { type: 'delete', itemId: item.id };
  }
  if (item.complete && item.dropped === 0 && endMs >= receivedMs) return undefined;
  item.fate = 'cut';
  return { type: 'truncate', itemId: item.id, contentIndex: item.contentIndex, endMs };
}
