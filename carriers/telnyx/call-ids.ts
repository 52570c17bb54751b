import type { WebhookRequest } from '../../src/carrier.ts';
import { readClientState } from './client-state.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Ids of the calls that a request speaks of, the caller's leg first, before anybody has checked it: good for finding out
 * who knows more, and for nothing else. Never throws.
 */
export function callIds({ body }: Pick<WebhookRequest, 'body'>): readonly string[] {
  const text = Buffer.from(body).toString('utf8');
  const json = /^\s*\{/.test(text) ? parse(text) : undefined;
  if (json !== undefined) return ofEvent(json) ?? ofForm((name) => json[name]);
  const form = new URLSearchParams(text);
  return ofForm((name) => form.get(name));
}

/** The `ref` of a call that was placed, as Telnyx gives it back in every event; undefined where there is none. */
export function refOf({ body }: Pick<WebhookRequest, 'body'>): string | undefined {
  const text = Buffer.from(body).toString('utf8');
  return /^\s*\{/.test(text) ? stateOf(payloadOf(parse(text)))['ref'] : undefined;
}

function ofEvent(json: Fields): readonly string[] | undefined {
  const payload = payloadOf(json);
  if (payload === undefined) return undefined;
  const { transferOf, of } = stateOf(payload);
  return texts([transferOf, of, payload['call_control_id']]);
}

function ofForm(field: (name: string) => unknown): readonly string[] {
  return texts([field('ParentCallSid'), field('CallSid')]);
}

function payloadOf(json: Fields | undefined): Fields | undefined {
  const data = json?.['data'];
  const payload = isRecord(data) ? data['payload'] : undefined;
  return isRecord(payload) ? payload : undefined;
}

function stateOf(payload: Fields | undefined): Readonly<Record<string, string | undefined>> {
  return readClientState(payload?.['client_state']);
}

function texts(values: readonly unknown[]): readonly string[] {
  return values.filter((value): value is string => typeof value === 'string' && value !== '');
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
