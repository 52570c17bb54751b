import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createRequire } from 'node:module';
import type { RefusalReason, Verdict, WebhookRequest, WebhookRoute } from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';

/** What a signature is checked against. */
export interface SignatureOptions {
  readonly authToken: string | undefined;
  readonly publicUrl: () => string;
  readonly insecure: boolean;
}

/** Decoded form fields as Twilio's check takes them; a name that came twice holds an array. */
type SignedFields = Record<string, string | string[]>;

/** The public URL in two parts: scheme and authority, and a path prefix without a slash at its end. */
interface PublicUrl {
  readonly origin: string;
  readonly prefix: string;
}

const OK: Verdict = { ok: true };

/** Checks the signature of a webhook over the configured public URL. Never throws. */
export function verifyWebhook(options: SignatureOptions, request: WebhookRequest): Verdict {
  if (options.insecure) return OK;
  const found = credentials(options, request);
  if ('ok' in found) return found;
  let fields: SignedFields;
  try {
    fields = signedFields(request);
  } catch {
    return refuse('bad-body');
  }
  const urls = webhookUrls(found.publicUrl, request.target);
  if (!signed(found, urls, fields)) return refuse('bad-signature');
  return bodyMatchesHash(request) ? OK : refuse('bad-signature');
}

/** Checks the signature of a media socket's upgrade, which Twilio makes over the `wss` URL. Never throws. */
export function verifyUpgrade(options: SignatureOptions, request: WebhookRequest): Verdict {
  if (options.insecure) return OK;
  const found = credentials(options, request);
  if ('ok' in found) return found;
  return signed(found, upgradeUrls(found.publicUrl, request.target), {}) ? OK : refuse('bad-signature');
}

interface Credentials {
  readonly authToken: string;
  readonly publicUrl: PublicUrl;
  readonly signature: string;
}

function credentials(options: SignatureOptions, request: WebhookRequest): Credentials | Verdict {
  const publicUrl = readPublicUrl(options.publicUrl);
  if (options.authToken === undefined || publicUrl === undefined) return refuse('not-configured');
  const signature = header(request, 'x-twilio-signature');
  if (signature === undefined) return refuse('missing-signature');
  return { authToken: options.authToken, publicUrl, signature };
}

function refuse(reason: RefusalReason): Verdict {
  return { ok: false, reason };
}

function readPublicUrl(publicUrl: () => string): PublicUrl | undefined {
  try {
    // Not through `new URL`: Twilio signs the characters that it was given, not their normal form.
    const parts = /^(https?:\/\/[^/?#]+)([^?#]*)/i.exec(publicUrl());
    if (parts?.[1] === undefined) return undefined;
    return { origin: parts[1], prefix: (parts[2] ?? '').replace(/\/+$/, '') };
  } catch {
    return undefined;
  }
}

function header(request: WebhookRequest, name: string): string | undefined {
  const value = request.headers[name];
  const first = typeof value === 'string' ? value : value?.[0];
  return first === '' ? undefined : first;
}

function signed(found: Credentials, urls: readonly string[], fields: SignedFields): boolean {
  return urls.some((url) => signedAsGiven(found, url, fields)) || signedOtherwise(found, urls, fields);
}

/** The usual case: what was signed are the characters of the URL, and the fields in the order of their names. */
function signedAsGiven({ authToken, signature }: Credentials, url: string, fields: SignedFields): boolean {
  let text = url;
  for (const name of Object.keys(fields).sort()) {
    const value = fields[name] ?? '';
    if (typeof value !== 'string') return false;
    text += name + value;
  }
  const wanted = Buffer.from(createHmac('sha1', authToken).update(text).digest('base64'));
  const given = Buffer.from(signature);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** With a port or without, with fields that came twice, in the normal form of the URL: Twilio's own check knows them all. */
function signedOtherwise(found: Credentials, urls: readonly string[], fields: SignedFields): boolean {
  const { validateRequest } = twilioCheck();
  return urls.some((url) => {
    try {
      return validateRequest(found.authToken, found.signature, url, fields);
    } catch {
      return false; // the last resort of the check is `new URL`, which throws on what is none
    }
  });
}

/** Loaded when it is needed, which it is where something is not as usual. */
function twilioCheck(): typeof import('twilio/lib/webhooks/webhooks.js') {
  return createRequire(import.meta.url)('twilio/lib/webhooks/webhooks.js');
}

function webhookUrls({ origin, prefix }: PublicUrl, target: string): string[] {
  return paths(prefix, target).map((path) => origin + path);
}

/** A proxy may pass the prefix on or take it off, and a route may begin like the prefix: then both are possible. */
function paths(prefix: string, target: string): string[] {
  if (!target.startsWith('/')) return [];
  const inside = target.startsWith(prefix) && '/?'.includes(target.charAt(prefix.length));
  if (prefix === '') return [target];
  return inside ? [target, prefix + target] : [prefix + target];
}

function upgradeUrls({ origin, prefix }: PublicUrl, target: string): string[] {
  const socketOrigin = origin.replace(/^http/i, 'ws');
  const origins = [socketOrigin];
  // Twilio's own check adds the standard port for https only: for wss it would try port 80.
  if (/^wss/i.test(socketOrigin) && !/:\d+$/.test(socketOrigin)) origins.push(`${socketOrigin}:443`);
  // The slash at the end of a stream URL is signed as given by some versions of Twilio, toggled by others.
  const all = paths(prefix, target).flatMap((path) => [path, toggleSlash(path)]);
  return all.flatMap((path) => origins.map((start) => start + path));
}

function toggleSlash(target: string): string {
  const [path, query] = splitTarget(target);
  const toggled = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
  return query === undefined ? toggled : `${toggled}?${query}`;
}

function splitTarget(target: string): [path: string, query: string | undefined] {
  const at = target.indexOf('?');
  return at < 0 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)];
}

function queryOf(request: WebhookRequest): URLSearchParams {
  return new URLSearchParams(splitTarget(request.target)[1] ?? '');
}

function hasBody(request: WebhookRequest): boolean {
  const method = request.method.toUpperCase();
  return method !== 'GET' && method !== 'HEAD';
}

/** The fields that the signature covers beside the URL. Throws for a body that nothing would cover. */
function signedFields(request: WebhookRequest): SignedFields {
  const fields: SignedFields = Object.create(null);
  if (!hasBody(request) || request.body.length === 0) return fields;
  if (queryOf(request).has('bodySHA256')) return fields;
  if (!isForm(request)) throw new BridgeError('BAD_FRAME', 'the body is no form and has no bodySHA256');
  const form = formOf(request);
  for (const name of new Set(form.keys())) {
    const values = form.getAll(name);
    fields[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return fields;
}

function isForm(request: WebhookRequest): boolean {
  const type = header(request, 'content-type')?.toLowerCase();
  return type === undefined || type.startsWith('application/x-www-form-urlencoded');
}

/** Throws a TypeError when the body is not UTF-8. */
function formOf(request: WebhookRequest): URLSearchParams {
  return new URLSearchParams(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(request.body));
}

/** True when no hash was promised. The hash is over the bytes as they came: text would hide a bad byte. */
function bodyMatchesHash(request: WebhookRequest): boolean {
  if (!hasBody(request)) return true;
  const wanted = queryOf(request).get('bodySHA256');
  if (wanted === null) return true;
  const found = Buffer.from(createHash('sha256').update(request.body).digest('hex'));
  const given = Buffer.from(wanted);
  return given.length === found.length && timingSafeEqual(given, found);
}

/** What the signature of a webhook covers, decoded. */
export interface SignedParts {
  /** The fields of the form, or those of the query for a request without body. */
  readonly fields: URLSearchParams;
  /** The query of the address that Twilio was given. */
  readonly query: URLSearchParams;
  /** Alike in every repetition of the same webhook. */
  readonly idempotencyToken: string | undefined;
}

/** The parts of a verified webhook; the body of a GET is not among them. Throws BAD_FRAME for a body that is not UTF-8. */
export function readSigned(request: WebhookRequest, route: WebhookRoute): SignedParts {
  const query = queryOf(request);
  const idempotencyToken = header(request, 'i-twilio-idempotency-token');
  if (!hasBody(request)) return { fields: query, query, idempotencyToken };
  try {
    return { fields: formOf(request), query, idempotencyToken };
  } catch (cause) {
    const message = `the body of a Twilio ${route} webhook is not UTF-8; wanted form fields`;
    throw new BridgeError('BAD_FRAME', message, { cause });
  }
}
