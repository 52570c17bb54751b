import { z } from 'zod';
import { matching, text, whole } from '../schema-parts.ts';
import { CALL_ADDRESS, MAX_VARIABLE_CHARS, SAYABLE, VARIABLE_NAME } from '../text-forms.ts';

/** Building blocks of the schema of the agents file. The message of every rule is what was wanted. */

/** Something that is said on the phone; may hold `{{variables}}`. */
export function spoken(): z.ZodString {
  return text(SAYABLE);
}

/** A number from `min` to `max`, with a fraction or without. */
export function fraction(min: number, max: number): z.ZodNumber {
  const error = `a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

/** One of a few words. */
export function oneOf<const T extends readonly [string, ...string[]]>(
  values: T,
): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(values, { error: alternatives(values.map((value) => JSON.stringify(value))) });
}

/** `a`, `a or b`, `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

export const yesOrNo = z.boolean({ error: 'true or false' });

/** A name that DNS and shells take as well. */
export const AGENT_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
export const agentName = matching(
  AGENT_NAME,
  'the name of an agent: 1 to 64 small letters, digits and -, not beginning with -',
);

const VARIABLE_VALUE = `text of at most ${MAX_VARIABLE_CHARS} characters, a number, true or false`;

/** Variables of calls: a name and what it stands for until somebody says otherwise. */
export const variables = z
  .record(
    matching(VARIABLE_NAME, 'the name of a variable: a letter or _, then letters, digits, _ and .'),
    z
      .union([z.string().max(MAX_VARIABLE_CHARS, { error: VARIABLE_VALUE }), z.number(), z.boolean()], {
        error: VARIABLE_VALUE,
      })
      .transform(String),
  )
  .describe(
    'What {{name}} stands for in texts; later ones win: file, agent, number, start webhook, POST /calls.',
  );

function isTimeZone(name: string): boolean {
  // Offsets such as +01:00 are taken by some versions of Node and not by others.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

const TIME_ZONE = 'an IANA time zone such as "Europe/Berlin"';
export const timeZone = z
  .string({ error: TIME_ZONE })
  .refine(isTimeZone, { error: TIME_ZONE })
  .describe('Of {{time}}, {{date}} and {{weekday}}: an IANA name such as Europe/Berlin.');

function isLanguage(tag: string): boolean {
  // A longer first part is allowed on paper only, and in practice the name of a language where its code belongs.
  if (!/^[A-Za-z]{2,3}(-|$)/.test(tag)) return false;
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

const LANGUAGE = 'a language tag such as "en" or "de-AT"';
export const language = z.string({ error: LANGUAGE }).refine(isLanguage, { error: LANGUAGE });

/** Of a clip that is for all languages that have none of their own. */
export const ANY_LANGUAGE = 'default';
const CLIP_LANGUAGE = `${LANGUAGE}, or "${ANY_LANGUAGE}"`;
export const clipLanguage = z
  .string({ error: CLIP_LANGUAGE })
  .refine((tag) => tag === ANY_LANGUAGE || isLanguage(tag), { error: CLIP_LANGUAGE });

/** Names, digits and addresses as they go to a carrier. */
export const address = matching(CALL_ADDRESS, '"+" and 3 to 15 digits in quotes, or "sip:…"');

/** How long the other end of a transfer may be rung, in seconds: what carriers take. */
export const ringSeconds = whole(5, 600);

const KEY = 'one key in quotes: a digit, "*" or "#"';
export const key = matching(/^[0-9*#]$/, KEY);
/** The key that ends an input, or none. */
export const endKey = z.union([key, z.literal(false)], { error: `${KEY}; or false for none` });
