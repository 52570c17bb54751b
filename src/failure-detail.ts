import { beginningOf } from './short-text.ts';

const MOST_CHARACTERS = 300;
/** Services quote what they object to, which may be what somebody has said; names and values have no spaces in them. */
const QUOTED = /(["'`“])([^"'`“”]*)(["'`”])/g;
/** Longer than ports, statuses, times and close codes. */
const NUMBER = /\+?\d(?:[ ().-]{0,2}\d){6,}/g;

/** What a log may say of a provider's failure: host, status and codes, but nobody's words or telephone number. */
export function failureDetail(message: string): string {
  const cleaned = message
    .slice(0, 10 * MOST_CHARACTERS)
    .replace(QUOTED, (quoted: string, open: string, words: string, close: string) =>
      /\s/.test(words) ? `${open}…${close}` : quoted,
    )
    .replace(NUMBER, '[number]');
  return beginningOf(cleaned, MOST_CHARACTERS);
}
