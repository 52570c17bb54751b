import type { JsonObject } from '../common/json.ts';
import { type Entry, itemTokens, textTokens } from './conversation.ts';

/** The service finds what it has read before in the cache, in steps of this many tokens. */
const CACHE_STEP = 64;

/** A piece of what the model reads; the same piece has the same `content`. */
export interface InputPart {
  readonly content: string;
  readonly text: number;
  readonly audio: number;
}

/** What a response is charged for having read. Both counts hold what was cached of them. */
export interface InputTokens {
  readonly text: number;
  readonly audio: number;
  readonly cachedText: number;
  readonly cachedAudio: number;
}

/** What stands before the conversation. */
export function instructionPart(instructions: string, tools: readonly JsonObject[]): InputPart {
  const functions = JSON.stringify(tools);
  return {
    content: `${instructions} ${functions}`,
    text: textTokens(instructions) + textTokens(functions),
    audio: 0,
  };
}

/** An item of the conversation; one that was cut is another one. */
export function itemPart(entry: Entry): InputPart {
  const { text, audio } = itemTokens(entry);
  return { content: `${entry.id} ${text} ${audio}`, text, audio };
}

/** So many different readings are remembered: a response with instructions of its own does not spoil the others. */
const REMEMBERED = 4;

/**
 * Counts what the model reads for each response: everything again every time. What it read before from the beginning on
 * comes out of the cache, up to the first piece that is another one.
 */
export class InputCount {
  /** The newest first. */
  #readings: (readonly InputPart[])[] = [];

  /** Of the last response. */
  get lastTokens(): number {
    return lengthOf(this.#readings[0] ?? []);
  }

  count(parts: readonly InputPart[]): InputTokens {
    let known: readonly InputPart[] = [];
    for (const reading of this.#readings) {
      const same = beginning(parts, reading);
      if (lengthOf(same) > lengthOf(known)) known = same;
    }
    this.#readings = [parts, ...this.#readings].slice(0, REMEMBERED);
    let text = 0;
    let audio = 0;
    for (const part of parts) {
      text += part.text;
      audio += part.audio;
    }
    return { text, audio, ...cached(known) };
  }
}

function lengthOf(parts: readonly InputPart[]): number {
  return parts.reduce((sum, part) => sum + part.text + part.audio, 0);
}

/** The pieces that both have from the beginning on. */
function beginning(parts: readonly InputPart[], before: readonly InputPart[]): readonly InputPart[] {
  const differs = parts.findIndex((part, at) => part.content !== before[at]?.content);
  return differs === -1 ? parts : parts.slice(0, differs);
}

/** The beginning in whole steps, by kinds: within a piece, text comes first. */
function cached(parts: readonly InputPart[]): Pick<InputTokens, 'cachedText' | 'cachedAudio'> {
  let left = Math.floor(lengthOf(parts) / CACHE_STEP) * CACHE_STEP;
  let cachedText = 0;
  let cachedAudio = 0;
  for (const part of parts) {
    const text = Math.min(left, part.text);
    const audio = Math.min(left - text, part.audio);
    cachedText += text;
    cachedAudio += audio;
    left -= text + audio;
  }
  return { cachedText, cachedAudio };
}
