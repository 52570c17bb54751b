import type { WebhookRequest } from '../../src/carrier.ts';

/** By name in small letters without `_`, the caller's leg first. */
const FIELDS = ['dialaleguuid', 'aleguuid', 'calluuid', 'requestuuid', 'alegrequestuuid'] as const;

/**
 * Ids of the calls that a request speaks of, before anybody has checked it: good for finding out who knows more, and for
 * nothing else. Never throws.
 */
export function callIds({ target, body }: Pick<WebhookRequest, 'target' | 'body'>): readonly string[] {
  const fields = new Map<string, string>();
  const add = (name: string, value: unknown): void => {
    const key = name.toLowerCase().replaceAll('_', '');
    if (typeof value === 'string' && value !== '' && !fields.has(key)) fields.set(key, value);
  };
  for (const [name, value] of new URLSearchParams(Buffer.from(body).toString('latin1'))) add(name, value);
  for (const [name, value] of new URLSearchParams(target.split('?')[1] ?? '')) add(name, value);
  // Answers to requests by REST that come later are JSON in one field.
  for (const [name, value] of Object.entries(readJson(fields.get('response')))) add(name, value);
  return FIELDS.flatMap((name) => fields.get(name) ?? []);
}

function readJson(text: string | undefined): object {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
