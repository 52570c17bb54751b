import { z } from 'zod';

/** Parts of the schemas of whatever people write: settings, requests, answers. The message of a rule is what was wanted. */

/** A name that stands in `{{}}`. */
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_.]{0,63}$/;
/** The most characters that a value of a variable may have. */
export const MAX_VARIABLE_CHARS = 4000;
/** Who can be called: E.164 or a SIP address, with nothing that could get out of an address or a document. */
export const CALL_ADDRESS = /^(?:\+[1-9]\d{2,14}|sips?:[\x21-\x7e]{1,250})$/;

/** Longest text that an agent or a carrier is told to say in one go. */
export const SAYABLE = 2000;

/** Text of 1 to `most` characters that is more than blanks. */
export function text(most: number, what = `text of 1 to ${most} characters`): z.ZodString {
  return z.string({ error: what }).max(most, { error: what }).regex(/\S/, { error: what });
}

/** Text of a certain form, which `wanted` describes. */
export function matching(pattern: RegExp, wanted: string): z.ZodString {
  return z.string({ error: wanted }).regex(pattern, { error: wanted });
}

/** A whole number from `min` to `max`; `unit` follows in the message. */
export function whole(min: number, max: number, unit = ''): z.ZodInt {
  const error = `a whole number from ${min} to ${max}${unit}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}
