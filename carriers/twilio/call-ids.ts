import type { WebhookRequest } from '../../src/carrier.ts';

/** That of the caller's leg first, where another one asks. */
const FIELDS = ['ParentCallSid', 'CallSid'] as const;

/**
 * Ids of the calls that a request speaks of, before anybody has checked it: good for finding out who knows more, and for
 * nothing else. Never throws.
 */
export function callIds({ target, body }: Pick<WebhookRequest, 'target' | 'body'>): readonly string[] {
  const query = new URLSearchParams(target.split('?')[1] ?? '');
  const form = new URLSearchParams(Buffer.from(body).toString('latin1'));
  return FIELDS.flatMap((name) => form.get(name) || query.get(name) || []);
}
