import type { HeardItem } from '../../provider.ts';
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
  readonly finals: string[];
  fate: 'kept' | 'cut' | 'deleted';
  /** Audio that has to wait for an earlier message of the same response. */
  readonly held: Buffer[];
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

export interface ResponsesSink {
  audio(item: Spoken, bytes: Buffer): void;
  audioDone(item: Spoken): void;
  /** A piece of a transcript, or with `final` the whole of it. */
  words(item: Spoken, text: string, final: boolean): void;
  /** Once a response: it contains writing, which nobody will hear. */
  wroteText(): void;
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
const MOST_HELD_BYTES = 4 * 1_048_576;

/** The responses of a session and their messages: order of play, what was received, what was given up. */
export class Responses {
  readonly #sink: ResponsesSink;
  readonly #responses = new Map<string, Response>();
  readonly #items = new Map<string, Spoken>();

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

  item(response: Response, itemId: string, outputIndex: number | undefined): Spoken {
    const own = response.items.find((item) => item.id === itemId);
    if (own) return own;
    const known = this.#items.get(itemId);
    // Some servers count their messages anew in every response.
    if (known && this.#responses.get(known.responseId)?.done === false) return known;
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
      finals: [],
      fate: 'kept',
      held: [],
    };
    this.#items.set(itemId, item);
    const after = response.items.findIndex((other) => other.outputIndex > item.outputIndex);
    response.items.splice(after === -1 ? response.items.length : after, 0, item);
    return item;
  }

  /** Audio of one message; it is handed on at once unless an earlier message of the response is still open. */
  audio(response: Response, item: Spoken, bytes: Buffer): void {
    if (response.discarded) {
      item.dropped += bytes.length;
    } else if (this.#blocked(response, item)) {
      item.held.push(bytes);
      if (heldBytes(response) > MOST_HELD_BYTES) this.#letPass(response);
    } else {
      this.#hand(item, bytes);
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
      const piece = grown ? words.text.slice(item.text.length) : words.text;
      item.text += piece;
      this.#sink.words(item, piece, false);
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
    item.finals[words.contentIndex] = words.text;
    const whole = item.finals.filter((part) => part !== undefined && part !== '').join(' ');
    const text = response.discarded ? item.text : whole || item.text;
    if (text !== '') this.#sink.words(item, text, true);
  }

  #blocked(response: Response, item: Spoken): boolean {
    for (const other of response.items) {
      if (other === item) return false;
      if (!other.passed) return true;
    }
    return false;
  }

  #hand(item: Spoken, bytes: Buffer): void {
    // A second part of the same message may come after the first was done.
    item.told = false;
    item.received += bytes.length;
    this.#sink.audio(item, bytes);
  }

  #advance(response: Response): void {
    for (const item of response.items) {
      for (const bytes of item.held.splice(0)) if (!response.discarded) this.#hand(item, bytes);
      if (!item.passed || response.discarded) return;
      if (item.complete && item.received > 0 && !item.told) {
        item.told = true;
        this.#sink.audioDone(item);
      }
    }
  }

  #letPass(response: Response): void {
    for (const item of response.items) item.passed = true;
    this.#advance(response);
  }

  #forget(response: Response): void {
    this.#responses.delete(response.id);
    for (const item of response.items) {
      if (this.#items.get(item.id) === item) this.#items.delete(item.id);
    }
  }
}

function heldBytes(response: Response): number {
  let sum = 0;
  for (const item of response.items) for (const bytes of item.held) sum += bytes.length;
  return sum;
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
