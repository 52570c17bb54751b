/** Telephone numbers and addresses of the agents file, and how they match those of calls. */

/** What a call has to be to match; `text` is in the form of `plainNumber`, without the `*`. */
export interface NumberPattern {
  readonly kind: 'exact' | 'prefix';
  readonly text: string;
}

const ADDRESS = /^(?:sips?|client|tel|user|agent):/i;
const PUNCTUATION = /[\s().\-/\u2010-\u2015\u00a0]/g;
const PATTERN = /^(?:\*|\+?[0-9][0-9\s().\-/]{0,39}\*?|(?:sips?|client):[\x21-\x29\x2b-\x7e]{0,250}\*?)$/i;

/** The same for JSON Schema, which has no flags. */
export const NUMBER_PATTERN = String.raw`^(\*|\+?[0-9][0-9\s().\-/]{0,39}\*?|([sS][iI][pP][sS]?|[cC][lL][iI][eE][nN][tT]):([!-)+-~]{1,250}\*?|\*))$`;

/** Whether a text can stand under `number` in the agents file. */
export function isNumberPattern(text: string): boolean {
  return PATTERN.test(text) && !/^(?:sips?|client):$/i.test(text);
}

/**
 * A number or address as it is compared: digits alone for numbers, whether they were written with `+` and punctuation
 * or without; addresses in small letters and without the parameters that carriers add to them.
 */
export function plainNumber(text: string): string {
  const trimmed = text.trim();
  if (!ADDRESS.test(trimmed)) return trimmed.replace(PUNCTUATION, '').replace(/^\+/, '').toLowerCase();
  const [bare = ''] = trimmed.split(/[;?]/, 1);
  return bare
    .toLowerCase()
    .replace(/^sips:/, 'sip:')
    .replace(/^tel:\+?/, '');
}

/** Reads what stands under `number`. */
export function readNumberPattern(text: string): NumberPattern {
  const trimmed = text.trim();
  if (!trimmed.endsWith('*')) return { kind: 'exact', text: plainNumber(trimmed) };
  return { kind: 'prefix', text: plainNumber(trimmed.slice(0, -1)) };
}
