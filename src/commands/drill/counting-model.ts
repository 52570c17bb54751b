import { HELLO, type Lexicon, NUMBERS } from './lexicon.ts';
import type { Ask, Reply } from './stand-ins.ts';

/** How a model counts. */
export interface CountingOptions {
  readonly lexicon: Lexicon;
  readonly voice: string;
  /** How many numbers one answer has; default: all that are left. */
  readonly atOnce?: number | undefined;
  /** Ends the call when so many numbers have been said; undefined: never. */
  readonly endsFrom?: number | undefined;
  /** Function that is called before the first answer; undefined: none. */
  readonly calls?: string | undefined;
}

/** A text that is to be said word for word, as the adapters ask for it. */
const VERBATIM = /-----\n(.*)\n-----/s;

/**
 * A model that counts: every answer goes on after the number that it believes was said last. So whatever a provider is
 * told wrongly of the conversation is heard: a number that is missing, or one that comes again.
 */
export function countingModel({
  lexicon,
  voice,
  atOnce,
  endsFrom,
  calls,
}: CountingOptions): (ask: Ask) => Reply {
  return (ask) => {
    const verbatim = VERBATIM.exec(ask.text)?.[1];
    if (verbatim !== undefined) return spoken(lexicon, voice, knownWords(verbatim));
    if (calls !== undefined && !ask.knowsResult)
      return { toolCalls: [{ name: calls, args: { what: 'the cupboard' } }] };
    const from = 1 + lastSaid(ask.said);
    // It takes its leave when the function has been run.
    if (endsFrom !== undefined && ask.kind === 'tool-result') return spoken(lexicon, voice, [HELLO]);
    if (endsFrom !== undefined && from >= endsFrom) return { toolCalls: [{ name: 'end_call', args: {} }] };
    const texts = NUMBERS.slice(from, atOnce === undefined ? undefined : from + atOnce);
    return texts.length === 0 ? {} : spoken(lexicon, voice, texts);
  };
}

function spoken(lexicon: Lexicon, voice: string, texts: readonly string[]): Reply {
  return { transcript: texts.join(' '), audio: lexicon.sentence(texts, voice) };
}

function knownWords(text: string): readonly string[] {
  const known: readonly string[] = [HELLO, ...NUMBERS];
  return text
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => known.includes(word));
}

/** Index of the number that was said last; -1: none was. */
function lastSaid(said: readonly string[]): number {
  const numbers: readonly string[] = NUMBERS;
  const found = said.flatMap((text) => knownWords(text)).filter((word) => numbers.includes(word));
  return numbers.indexOf(found.at(-1) ?? '');
}
