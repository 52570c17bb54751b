import { z } from 'zod';

/** Parts of the schemas of whatever people write: settings, requests, answers. The message of a rule is what was wanted. */

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
