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

/** For editors, which see the file before `${NAME}` is filled in: such a text may become anything. */
const FROM_ENVIRONMENT = String.raw`\$\{[A-Za-z_][A-Za-z0-9_]*\}`;
const URL_PATTERN = String.raw`^(https://[^/@]|http://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])([:/?#]|$))|${FROM_ENVIRONMENT}`;
const SECRET_PATTERN = String.raw`^\s*whsec_[A-Za-z0-9+/]{32,86}={0,2}(\s+whsec_[A-Za-z0-9+/]{32,86}={0,2})*\s*$|${FROM_ENVIRONMENT}`;

/**
 * `url` and `secret` of every webhook. Checked by functions: the patterns are those of the JSON Schema that editors use,
 * and let pass what these do, but for addresses in a spelling that is only possible (`HTTPS:`, `127.1`).
 */
export const hookFields = {
  url: z
    .string({ error: URL_WANTED })
    .refine((text) => hookUrl(text) !== undefined, { error: URL_WANTED })
    .meta({ description: 'Where it is sent: https, or http on this machine.', pattern: URL_PATTERN }),
  secret: z.string({ error: SECRET_WANTED }).refine(isSecret, { error: SECRET_WANTED }).meta({
    description:
      'Signs it (Standard Webhooks): whsec_…; while it is changed the new and the old one with a space between.',
    pattern: SECRET_PATTERN,
  }),
};
