import { createHmac } from 'node:crypto';
import type { TwilioOptions } from '../../carriers/twilio.ts';
import { createTwilio } from '../../carriers/twilio.ts';
import type { Carrier, IncomingCall, WebhookRequest } from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';
import { seeded } from './signal.ts';

/** The Twilio carrier, requests as Twilio makes them, and seeded damage to both. */

export const ACCOUNT = 'AC00000000000000000000000000000001';
export const CALL = 'CA00000000000000000000000000000001';
export const STREAM = 'MZ00000000000000000000000000000001';
export const TOKEN = '12345678901234567890123456789012';
export const VOICE_FIELDS = {
  CallSid: CALL,
  AccountSid: ACCOUNT,
  From: '+14155550100',
  To: '+14155550101',
  CallStatus: 'ringing',
  ApiVersion: '2010-04-01',
  Direction: 'inbound',
};

/** The call of `VOICE_FIELDS`. */
export const CALLER: IncomingCall = {
  callId: CALL,
  control: 'document',
  from: '+14155550100',
  to: '+14155550101',
  direction: 'inbound',
  callerName: undefined,
  ref: undefined,
};

export function carrier(options: Partial<TwilioOptions> = {}): Carrier {
  return createTwilio({
    accountSid: ACCOUNT,
    authToken: TOKEN,
    publicUrl: () => 'https://bridge.example.com',
    insecure: false,
    ...options,
  });
}

export type Headers = Record<string, string | string[] | undefined>;

export function request(parts: {
  method?: string;
  target: string;
  headers?: Headers;
  body?: string;
}): WebhookRequest {
  return {
    method: parts.method ?? 'POST',
    target: parts.target,
    headers: parts.headers ?? {},
    body: Buffer.from(parts.body ?? ''),
  };
}

export function form(fields: Record<string, string | string[]>): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  return new URLSearchParams(pairs).toString();
}

export function formRequest(
  target: string,
  fields: Record<string, string | string[]>,
  signature?: string,
): WebhookRequest {
  const headers: Headers = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' };
  if (signature !== undefined) headers['x-twilio-signature'] = signature;
  return request({ target, headers, body: form(fields) });
}

/** Twilio's algorithm once more, so that cases beyond the known vectors do not rest on the code under test. */
export function sign(url: string, fields: Record<string, string> = {}): string {
  const tail = Object.keys(fields)
    .sort()
    .map((name) => `${name}${fields[name]}`);
  return createHmac('sha1', TOKEN)
    .update(url + tail.join(''))
    .digest('base64');
}

const VALUES: readonly unknown[] = [
  null,
  0,
  -1,
  1e308,
  '',
  'x',
  true,
  [],
  {},
  [[]],
  { payload: {} },
  '\ud800',
  '=',
];

/** Seeded choices, so that a failure can be repeated. */
export function dice(seed: number) {
  const random = seeded(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const text = (length: number): string =>
    Array.from({ length: below(length) }, () =>
      String.fromCharCode(below(random() < 0.9 ? 128 : 65_536)),
    ).join('');
  return { below, pick, text };
}
export type Dice = ReturnType<typeof dice>;

/** A random edit: cut, insert, overwrite or repeat. */
export function scramble(text: string, { below, pick, text: noise }: Dice): string {
  const at = below(text.length + 1);
  const to = at + below(8);
  return pick([
    () => text.slice(0, at) + text.slice(to),
    () => text.slice(0, at) + noise(8) + text.slice(at),
    () => text.slice(0, at) + noise(8) + text.slice(to),
    () => text + text.slice(at),
  ])();
}

/** The same message with one value, at any depth, swapped for something else or taken out. */
export function swapOne(value: unknown, one: Dice): unknown {
  if (typeof value !== 'object' || value === null || one.below(4) === 0)
    return one.pick([...VALUES, undefined]);
  const name = one.pick(Object.keys(value));
  return { ...value, [name]: swapOne((value as Record<string, unknown>)[name], one) };
}

/** What `run` gave, or the code of the BridgeError that it threw; any other error fails the test. */
export function outcome<T>(run: () => T): T | string {
  try {
    return run();
  } catch (error) {
    if (error instanceof BridgeError) return error.code;
    throw error;
  }
}
