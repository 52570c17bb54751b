import { createPrivateKey, sign } from 'node:crypto';
import type { TelnyxOptions } from '../../carriers/telnyx.ts';
import { createTelnyx } from '../../carriers/telnyx.ts';
import type {
  AnswerPlan,
  CallRef,
  CallUrls,
  Carrier,
  CarrierEvent,
  IncomingCall,
  WebhookRequest,
  WebhookRoute,
} from '../../src/carrier.ts';

/** The Telnyx carrier, and requests as Telnyx makes them. */

/** Of the private key whose seed is the bytes 0 to 31. */
export const PUBLIC_KEY = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=';
/** 2026-01-02T03:04:05Z. */
export const SENT_S = 1_767_323_045;
export const LEG = 'v3:abc';
export const CONNECTION = '7267xxxxxxxxxxxxxx';

const PRIVATE_KEY = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(Array.from({ length: 32 }, (_, i) => i)),
  ]),
  format: 'der',
  type: 'pkcs8',
});

export function telnyx(options: Partial<TelnyxOptions> = {}): Carrier {
  return createTelnyx({
    apiKey: 'KEY0123',
    publicKey: PUBLIC_KEY,
    connectionId: CONNECTION,
    publicUrl: () => 'https://bridge.example.com',
    insecure: false,
    epochMs: () => SENT_S * 1000,
    ...options,
  });
}

export function signature(body: string | Uint8Array, timestamp: number | string = SENT_S): string {
  const signed = Buffer.concat([Buffer.from(`${timestamp}|`), Buffer.from(body)]);
  return sign(null, signed, PRIVATE_KEY).toString('base64');
}

export type Headers = Record<string, string | string[] | undefined>;

/** Signed as Telnyx signs; `headers` replace or take away. */
export function webhook(
  target: string,
  body: string | Uint8Array,
  options: { readonly headers?: Headers; readonly sentS?: number; readonly method?: string } = {},
): WebhookRequest {
  const sentS = options.sentS ?? SENT_S;
  return {
    method: options.method ?? 'POST',
    target,
    headers: {
      'telnyx-timestamp': String(sentS),
      'telnyx-signature-ed25519': signature(body, sentS),
      ...options.headers,
    },
    body: Buffer.from(body),
  };
}

export const VOICE_FIELDS = {
  AccountSid: '61bf923e-5e4d-4595-a110-56190ea18a1b',
  CallSid: LEG,
  CallStatus: 'ringing',
  From: '+14155550100',
  To: '+14155550101',
};

export function form(fields: Readonly<Record<string, string>>): string {
  return new URLSearchParams(fields).toString();
}

/** What a TeXML webhook means; the fields stand on those of an incoming call. */
export function parseForm(
  route: WebhookRoute,
  fields: Readonly<Record<string, string>> = {},
  target = `/${route}/telnyx`,
): CarrierEvent {
  return telnyx().parse(webhook(target, form({ ...VOICE_FIELDS, ...fields })), route);
}

export function state(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64');
}

/** An event of Call Control as text. */
export function event(
  type: string,
  payload: Readonly<Record<string, unknown>> = {},
  id = `id of ${type}`,
): string {
  const data = {
    record_type: 'event',
    event_type: type,
    id,
    occurred_at: '2026-01-02T03:04:05.678901Z',
    payload: { call_control_id: LEG, connection_id: CONNECTION, ...payload },
  };
  return JSON.stringify({
    data,
    meta: { attempt: 1, delivered_to: 'https://bridge.example.com/events/telnyx' },
  });
}

export function parseEvent(
  type: string,
  payload: Readonly<Record<string, unknown>> = {},
  target = '/events/telnyx',
): CarrierEvent {
  return telnyx().parse(webhook(target, event(type, payload)), 'events');
}

/** The call of `VOICE_FIELDS`, and the same of Call Control. */
export const DOCUMENT_CALL: IncomingCall = {
  callId: LEG,
  control: 'document',
  data: { accountSid: '61bf923e-5e4d-4595-a110-56190ea18a1b' },
  from: '+14155550100',
  to: '+14155550101',
  direction: 'inbound',
  callerName: undefined,
  ref: undefined,
};
export const COMMAND_CALL: IncomingCall = {
  ...DOCUMENT_CALL,
  control: 'command',
  data: { connectionId: CONNECTION, number: '+14155550101' },
};
export const COMMAND_REF: CallRef = { callId: LEG, control: 'command', data: COMMAND_CALL.data };

export const URLS: CallUrls = {
  afterUrl: 'https://bridge.example.com/after/telnyx/tok?a=1&b=2',
  announceUrl: 'https://bridge.example.com/announce/telnyx/tok',
  statusUrl: 'https://bridge.example.com/status/telnyx',
};
export const PLAN: AnswerPlan = {
  ...URLS,
  mediaUrl: 'wss://bridge.example.com/media/telnyx/tok_abc123',
  streamStatusUrl: 'https://bridge.example.com/stream-status/telnyx',
  params: { call: LEG, agent: 'a & b' },
  fallback: { type: 'hang-up' },
  plainCodec: false,
};
