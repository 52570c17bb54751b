import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { SignatureFault } from '../faults.ts';

/** What stands before the 32 bytes of an Ed25519 private key in PKCS#8, and the length of what does so in SPKI. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_HEAD_BYTES = 12;
/** Receivers take five minutes. */
const STALE_S = 301;

/** The private key that the simulated Telnyx signs with for an account whose secret is `authToken`. */
export function signingKey(authToken: string, seed?: string): KeyObject {
  const bytes =
    seed === undefined
      ? createHash('sha256').update(authToken, 'utf8').digest()
      : Buffer.from(seed, 'base64');
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, bytes]), format: 'der', type: 'pkcs8' });
}

/**
 * The public key, base64 of 32 bytes as the portal shows it, for webhooks of an account with this secret; `seed` is the
 * setting `signingSeed`, if there is one.
 */
export function telnyxPublicKey(authToken: string, seed?: string): string {
  const spki = createPublicKey(signingKey(authToken, seed)).export({ format: 'der', type: 'spki' });
  return spki.subarray(SPKI_HEAD_BYTES).toString('base64');
}

/** `telnyx-signature-ed25519` for a body at this time, in seconds since 1970. */
export function telnyxSignature(key: KeyObject, timestampS: number, body: string): string {
  return sign(null, Buffer.from(`${timestampS}|${body}`, 'utf8'), key).toString('base64');
}

/** Headers of a webhook that is sent now. */
export function signedHeaders(
  key: KeyObject,
  epochMs: number,
  body: string,
  fault: SignatureFault,
): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'telnyx-webhooks' };
  if (fault === 'missing') return headers;
  const timestampS = Math.floor(epochMs / 1000) - (fault === 'stale' ? STALE_S : 0);
  headers['telnyx-timestamp'] = String(timestampS);
  headers['telnyx-signature-ed25519'] = telnyxSignature(key, timestampS, fault === 'bad' ? `${body} ` : body);
  return headers;
}
