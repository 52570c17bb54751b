import { createHmac } from 'node:crypto';
import type { PlivoOptions } from '../../carriers/plivo.ts';
import { createPlivo } from '../../carriers/plivo.ts';
import type { AnswerPlan, CallUrls, Carrier, IncomingCall, WebhookRequest } from '../../src/carrier.ts';

/** The Plivo carrier, and requests as Plivo makes them. */

export const AUTH_ID = 'MAMZGYMTK1MJLKNTE0ZD';
export const CALL = '97ceeb52-58b6-11e1-86da-77300b68f8bb';
export const STREAM = '20170ada-f610-433b-8758-c02a2aab3662';
export const TOKEN = 'MjE4ZjVhN2I5ZDJjNGU2ZjgwMTIzNDU2Nzg5YWJj';
export const NONCE = '12345678901234567890';
export const HOST = 'https://bridge.example.com';
export const VOICE_FIELDS = {
  CallUUID: CALL,
  From: '14155550100',
  To: '14155550101',
  CallStatus: 'ringing',
  Direction: 'inbound',
  Event: 'StartApp',
};

/** The call of `VOICE_FIELDS`. */
export const CALLER: IncomingCall = {
  callId: CALL,
  requestId: undefined,
  control: 'document',
  from: '+14155550100',
  to: '+14155550101',
  direction: 'inbound',
  callerName: undefined,
  ref: undefined,
};

export const URLS: CallUrls = {
  afterUrl: `${HOST}/after/plivo/tok?a=1&b=2`,
  announceUrl: `${HOST}/announce/plivo/tok`,
  statusUrl: `${HOST}/status/plivo`,
};

export const PLAN: AnswerPlan = {
  ...URLS,
  mediaUrl: 'wss://bridge.example.com/media/plivo/tok_abc123',
  streamStatusUrl: `${HOST}/stream-status/plivo`,
  params: { call: CALL, agent: 'frontdesk' },
  fallback: { type: 'hang-up' },
  plainCodec: false,
};

export function carrier(options: Partial<PlivoOptions> = {}): Carrier {
  return createPlivo({
    authId: AUTH_ID,
    authToken: TOKEN,
    publicUrl: () => HOST,
    insecure: false,
    epochMs: () => 1_700_000_000_000,
    ...options,
  });
}

export type Fields = Record<string, string | string[]>;

export function form(fields: Fields): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  return new URLSearchParams(pairs).toString();
}

export interface RequestParts {
  readonly method?: string;
  readonly target: string;
  readonly fields?: Fields;
  readonly body?: string | Uint8Array;
  readonly headers?: WebhookRequest['headers'];
}

export function request({
  method = 'POST',
  target,
  fields,
  body,
  headers = {},
}: RequestParts): WebhookRequest {
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  return {
    method,
    target,
    headers: fields === undefined ? headers : { ...type, ...headers },
    body: Buffer.from(fields === undefined ? (body ?? '') : form(fields)),
  };
}

/**
 * Plivo's algorithm once more, by hand and by plain sorting of lines, so that cases beyond the known vectors do not
 * rest on the code under test.
 */
export function sign(
  method: 'GET' | 'POST',
  url: string,
  fields: Fields = {},
  options: { readonly token?: string; readonly nonce?: string } = {},
): string {
  const [address = '', query = ''] = url.split('?', 2);
  const decode = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '));
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('=').map(decode).join('='))
    .sort();
  const glued = Object.keys(fields)
    .sort()
    .flatMap((name) =>
      [fields[name] ?? '']
        .flat()
        .sort()
        .map((value) => name + value),
    )
    .join('');
  let text = pairs.length === 0 ? address : `${address}?${pairs.join('&')}`;
  if (method === 'POST' && glued !== '') text += `${pairs.length === 0 ? '?' : '.'}${glued}`;
  return createHmac('sha256', options.token ?? TOKEN)
    .update(`${text}.${options.nonce ?? NONCE}`)
    .digest('base64');
}

export function signed(signature: string, nonce = NONCE): Record<string, string> {
  return { 'x-plivo-signature-v3': signature, 'x-plivo-signature-v3-nonce': nonce };
}
