import { z } from 'zod';
import { isSecret, SECRET_WANTED } from './signature.ts';

/** What a webhook's address has to be, for messages. */
export const URL_WANTED =
  'an https address without user name or password; http only for localhost and loopback addresses';

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** The address of a webhook; undefined for one that webhooks are not sent to (`URL_WANTED`). */
export function hookUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '') return undefined;
  if (url.protocol === 'https:') return url;
  return url.protocol === 'http:' && LOOPBACK.test(url.hostname) ? url : undefined;
}

/**
 * `url` and `secret` of every webhook. Checked by functions and not by patterns: in the JSON Schema that editors use
 * they may also hold `${NAME}`.
 */
export const hookFields = {
  url: z
    .string({ error: URL_WANTED })
    .refine((text) => hookUrl(text) !== undefined, { error: URL_WANTED })
    .describe('Where it is sent: https, or http on this machine.'),
  secret: z
    .string({ error: SECRET_WANTED })
    .refine(isSecret, { error: SECRET_WANTED })
    .describe(
      'Signs it (Standard Webhooks): whsec_…; while it is changed the new and the old one with a space between.',
    ),
};

/** A whole number of a setting, with what was wanted as its message. */
export function whole(min: number, max: number, unit = '') {
  const error = `a whole number from ${min} to ${max}${unit}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}
