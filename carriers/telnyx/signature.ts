import type { KeyObject } from 'node:crypto';
import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import type { IncomingCall, RefusalReason, Verdict, WebhookRequest } from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';

/** What signatures are checked against. */
export interface SignatureOptions {
  readonly key: KeyObject | undefined;
  readonly insecure: boolean;
  /** Milliseconds since 1970. */
  readonly epochMs: () => number;
  /** Signatures of form bodies that were accepted already. */
  readonly seen: {
    has(key: string, nowMs: number): boolean;
    add(key: string, untilMs: number, nowMs: number): void;
  };
}

const OK: Verdict = { ok: true };
const TOLERANCE_S = 300;
/** A request that was signed in this second has arrived by then, and not been recorded and sent again. */
const SAME_SECOND_S = 5;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** What stands before the 32 bytes of an Ed25519 key in the form that node:crypto reads (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** The public key of the portal: base64 of 32 bytes. Undefined for none; throws BAD_CONFIG for anything else. */
export function readPublicKey(publicKey: string | undefined): KeyObject | undefined {
  const text = publicKey?.trim() ?? '';
  if (text === '') return undefined;
  const raw = strictBase64(text);
  if (raw?.length !== KEY_BYTES) {
    const found =
      raw === undefined ? `${text.length} characters that are no base64` : `base64 of ${raw.length} bytes`;
    throw new BridgeError(
      'BAD_CONFIG',
      `the Telnyx public key is ${found}; wanted base64 of ${KEY_BYTES} bytes`,
    );
  }
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
}

/**
 * Checks the Ed25519 signature of a webhook over `timestamp|body`. Never throws.
 *
 * A signature covers the time and the body, not the address, so what was recorded could be sent again for five minutes.
 * Bodies that are forms (TeXML) are therefore taken once. Telnyx's own second attempt carries the time of its sending
 * and with it another signature, unless it follows within the same second. Bodies that are JSON (Call Control) are let
 * through: their `data.id` tells a duplicate, and to refuse one would make Telnyx think that the bridge is down and
 * turn to the failover address, or give the call up, although the first answer got lost on the way. What kind of body
 * it is says the body and not its content type, which nobody has signed.
 */
export function verifyWebhook(options: SignatureOptions, request: WebhookRequest): Verdict {
  if (options.insecure) return OK;
  if (options.key === undefined) return refuse('not-configured');
  const timestamp = header(request, 'telnyx-timestamp');
  const given = header(request, 'telnyx-signature-ed25519');
  if (timestamp === undefined || given === undefined) return refuse('missing-signature');
  const signature = strictBase64(given);
  const atS = /^\d{1,15}$/.test(timestamp) ? Number(timestamp) : undefined;
  if (signature?.length !== SIGNATURE_BYTES || atS === undefined) return refuse('bad-signature');
  const nowMs = options.epochMs();
  if (Math.abs(Math.floor(nowMs / 1000) - atS) > TOLERANCE_S) return refuse('stale');
  const signed = Buffer.concat([Buffer.from(`${timestamp}|`), request.body]);
  if (!verify(null, signed, options.key, signature)) return refuse('bad-signature');
  if (isJson(request.body)) return OK;
  const first = once(options, `${timestamp}|${given}`, (atS + TOLERANCE_S + 1) * 1000, nowMs);
  return asksAgain(request.target) && nowMs <= (atS + SAME_SECOND_S) * 1000 ? OK : first;
}

/**
 * What comes after a stream is asked at one address with one and the same body, and a stream that fails at once makes
 * two such questions in one second: the second one is no replay. The address holds a secret of the call.
 */
function asksAgain(target: string): boolean {
  return /\/after\/telnyx\/[^/?]/.test(target);
}

function once(options: SignatureOptions, key: string, untilMs: number, nowMs: number): Verdict {
  if (options.seen.has(key, nowMs)) return refuse('replayed');
  options.seen.add(key, untilMs, nowMs);
  return OK;
}

/** Whether a webhook's body is JSON: by what it begins with, since its content type is not signed. */
export function isJson(body: Uint8Array): boolean {
  for (const byte of body) {
    if (byte === 0x7b) return true;
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
  }
  return false;
}

/**
 * What Telnyx is told to send with the upgrade request of the media socket at `mediaUrl`. It follows from the address
 * and a secret of the process, so nothing has to be kept. Only the part from `/media/` counts: a proxy may take the
 * prefix of the public URL off.
 */
export function streamToken(secret: Uint8Array, mediaUrl: string): string {
  return createHmac('sha256', secret).update(mediaPath(mediaUrl)).digest('base64url');
}

/**
 * Checks the upgrade of a media socket. TeXML has no way to make Telnyx send the token, so its calls are known by the
 * token in the path alone; one that is there all the same must be right. Never throws.
 */
export function verifyUpgrade(
  options: { readonly secret: Uint8Array; readonly insecure: boolean },
  request: WebhookRequest,
  call: IncomingCall,
): Verdict {
  if (options.insecure) return OK;
  const given = header(request, 'x-telnyx-streaming-auth-token');
  if (given === undefined) return call.control === 'document' ? OK : refuse('missing-signature');
  const wanted = Buffer.from(streamToken(options.secret, request.target));
  const found = Buffer.from(given);
  return found.length === wanted.length && timingSafeEqual(found, wanted) ? OK : refuse('bad-signature');
}

function mediaPath(url: string): string {
  const path = url.split(/[?#]/, 1)[0] ?? '';
  return path.slice(Math.max(0, path.lastIndexOf('/media/')));
}

function refuse(reason: RefusalReason): Verdict {
  return { ok: false, reason };
}

/** Undefined when it is missing, empty, or there more than once. */
function header(request: WebhookRequest, name: string): string | undefined {
  const value = request.headers[name] ?? otherCase(request, name);
  const only = typeof value === 'string' || value === undefined ? value : value.length === 1 ? value[0] : '';
  return only === '' ? undefined : only;
}

function otherCase(request: WebhookRequest, name: string): string | readonly string[] | undefined {
  const found = Object.keys(request.headers).find((key) => key.toLowerCase() === name);
  return found === undefined ? undefined : request.headers[found];
}

/** Padded and canonical: Buffer reads much that is none, and one signature must not have two spellings. */
function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
