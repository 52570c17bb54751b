import { createHmac } from 'node:crypto';
import type { FormFields } from '../carrier-sim.ts';

/** Address without query, and the query. */
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/[^/?#]+)([^?#]*)(?:\?([^#]*))?/is;

/**
 * What Plivo puts into `X-Plivo-Signature-V3`: base64 HMAC-SHA256 of the address with its query decoded and sorted, the
 * form fields of a POST glued together in order, and a nonce. `url` may be `http(s)` or `ws(s)`; its fragment is not signed.
 */
export function plivoSignature(
  method: 'GET' | 'POST',
  url: string,
  fields: FormFields,
  nonce: string,
  authToken: string,
): string {
  const [, origin = '', path = '', query = ''] = PARTS.exec(url) ?? [];
  const pairs = sorted(queryFields(query), '=');
  const glued = method === 'POST' ? sorted(fields, '').join('') : '';
  let signed = origin + (path === '' ? '/' : path);
  if (pairs.length > 0) signed += `?${pairs.join('&')}`;
  // A form is set off by a dot, but by a bare question mark when there is no query.
  if (glued !== '') signed += (pairs.length > 0 ? '.' : '?') + glued;
  return createHmac('sha256', authToken).update(`${signed}.${nonce}`, 'utf8').digest('base64');
}

function queryFields(query: string): FormFields {
  const fields: Record<string, string[]> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    const values = fields[name] ?? [];
    values.push(value);
    fields[name] = values;
  }
  return fields;
}

function sorted(fields: FormFields, between: string): readonly string[] {
  return Object.keys(fields)
    .sort()
    .flatMap((name) => {
      const value = fields[name] ?? '';
      const values = typeof value === 'string' ? [value] : [...value].sort();
      return values.map((one) => name + between + one);
    });
}
