import { createHmac } from 'node:crypto';
import { BridgeError } from '../errors.ts';

/** Symmetric signatures of Standard Webhooks (https://www.standardwebhooks.com). */

const PREFIX = 'whsec_';
/** The specification's bounds of a secret, in bytes. */
const SECRET_BYTES = { min: 24, max: 64 } as const;
/** What a secret has to look like, for messages. */
export const SECRET_WANTED = `whsec_ and the base64 of ${SECRET_BYTES.min} to ${SECRET_BYTES.max} random bytes (several, newest first, with spaces between them)`;

/** What is signed. */
export interface SignedMessage {
  /** The same for every delivery of the same message; ASCII without a full stop, which is what parts the signed text. */
  readonly id: string;
  /** Of this attempt, seconds since 1970 UTC. */
  readonly timestampS: number;
  readonly body: string;
}

/** Whether every secret in `secret` can be used; see `SECRET_WANTED`. */
export function isSecret(secret: string): boolean {
  return keysOf(secret) !== undefined;
}

/**
 * The headers that prove a message: one signature for each of the secrets in `secret`, so that a receiver may know the
 * old or the new one while they are changed. Throws BAD_CONFIG, without the secret, for one that cannot be used.
 */
export function signedHeaders(
  secret: string,
  { id, timestampS, body }: SignedMessage,
): Record<string, string> {
  const keys = keysOf(secret);
  if (keys === undefined) {
    const found = secret.trim() === '' ? 'nothing' : `${secret.length} characters that are none`;
    throw new BridgeError('BAD_CONFIG', `the secret of a webhook: found ${found}, wanted ${SECRET_WANTED}`);
  }
  const text = `${id}.${timestampS}.${body}`;
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': keys
      .map((key) => `v1,${createHmac('sha256', key).update(text).digest('base64')}`)
      .join(' '),
  };
}

function keysOf(secret: string): Buffer[] | undefined {
  const keys: Buffer[] = [];
  for (const one of secret.split(/\s+/)) {
    if (one === '') continue;
    const key = keyOf(one);
    if (key === undefined) return undefined;
    keys.push(key);
  }
  return keys.length === 0 ? undefined : keys;
}

function keyOf(secret: string): Buffer | undefined {
  if (!secret.startsWith(PREFIX)) return undefined;
  const text = secret.slice(PREFIX.length);
  const key = Buffer.from(text, 'base64');
  // Node skips what is no base64, and receivers do not: both ends would have different keys.
  if (key.toString('base64') !== text) return undefined;
  return key.length >= SECRET_BYTES.min && key.length <= SECRET_BYTES.max ? key : undefined;
}
