import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { RefusalReason, Verdict, WebhookRequest, WebhookRoute } from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';

/** What a signature is checked against. */
export interface SignatureOptions {
  readonly authToken: string | undefined;
  readonly publicUrl: () => string;
  readonly insecure: boolean;
  /** True: a media socket without a signature is refused. */
  readonly requireUpgradeSignature: boolean;
  /** Told in which form the URL of a media socket was signed, such as `wss` or `http/websocket`. */
  readonly onUpgradeSignature: ((candidate: string) => void) | undefined;
  /** Asked for requests with a good signature only, so that nobody else can fill its memory. */
  readonly isReplay: (nonce: string, fingerprint: string) => boolean;
}

/** The public URL in three parts; the path prefix has no slash at its end. */
interface PublicUrl {
  readonly scheme: string;
  readonly authority: string;
  readonly prefix: string;
}

interface Credentials {
  readonly authToken: string;
  readonly publicUrl: PublicUrl;
  readonly nonce: string;
  readonly signatures: readonly Buffer[];
}

const OK: Verdict = { ok: true };
const NO_FIELDS = new URLSearchParams();

// V2 is not among them: its signature covers neither the query nor the body.
const SIGNATURES = ['x-plivo-signature-v3', 'x-plivo-signature-ma-v3'] as const;
const NONCE = 'x-plivo-signature-v3-nonce';

/** Checks the V3 signature of a webhook over the configured public URL, and its nonce. Never throws. */
export function verifyWebhook(options: SignatureOptions, request: WebhookRequest): Verdict {
  if (options.insecure) return OK;
  const found = credentials(options, request);
  if ('ok' in found) return found;
  const method = request.method.toUpperCase();
  // Plivo makes no other requests, and says for no other what it would sign.
  if (method !== 'GET' && method !== 'POST') return refuse('bad-signature');
  const form = method === 'POST' ? readForm(request) : NO_FIELDS;
  if (form === undefined) return refuse('bad-body');
  const [path, query] = splitTarget(request.target);
  const { scheme, authority, prefix } = found.publicUrl;
  const good = paths(prefix, path).some((one) =>
    isSigned(found, signedText(`${scheme}://${authority}${one}`, query, form)),
  );
  if (!good) return refuse('bad-signature');
  return options.isReplay(found.nonce, fingerprint(method, path, query, form)) ? refuse('replayed') : OK;
}

/** Checks the signature of a media socket's upgrade, in any of the forms that Plivo is known by. Never throws. */
export function verifyUpgrade(options: SignatureOptions, request: WebhookRequest): Verdict {
  if (options.insecure) return OK;
  if (![...SIGNATURES, NONCE].some((name) => header(request, name) !== '')) {
    return options.requireUpgradeSignature ? refuse('missing-signature') : OK;
  }
  const found = credentials(options, request);
  // Half a signature is not none: somebody has made it.
  if ('ok' in found) return found.ok || found.reason === 'not-configured' ? found : refuse('bad-signature');
  const candidate = upgradeCandidate(found, request.target);
  if (candidate === undefined) return refuse('bad-signature');
  // Not through the memory of nonces: a connection that failed is tried again, and the token counts its uses.
  options.onUpgradeSignature?.(candidate);
  return OK;
}

/** Plivo's own clients disagree about what is signed: the scheme as well as the end of the path. */
const UPGRADE_SCHEMES = ['wss', 'https', 'http', 'ws'] as const;
const UPGRADE_ENDINGS = ['', '/websocket'] as const;

function upgradeCandidate(found: Credentials, target: string): string | undefined {
  const [path, query] = splitTarget(target);
  const { authority, prefix } = found.publicUrl;
  const all = paths(prefix, path);
  for (const ending of UPGRADE_ENDINGS) {
    for (const scheme of UPGRADE_SCHEMES) {
      const good = all.some((one) =>
        isSigned(found, signedText(`${scheme}://${authority}${one}${ending}`, query, NO_FIELDS)),
      );
      if (good) return scheme + ending;
    }
  }
  return undefined;
}

function credentials(options: SignatureOptions, request: WebhookRequest): Credentials | Verdict {
  const publicUrl = readPublicUrl(options.publicUrl);
  const { authToken } = options;
  if (authToken === undefined || publicUrl === undefined) return refuse('not-configured');
  const nonce = header(request, NONCE);
  // More than one while the account has a second token, of which either may be ours.
  const signatures = SIGNATURES.flatMap((name) => header(request, name).split(','))
    .map((one) => Buffer.from(one.trim()))
    .filter((one) => one.length > 0);
  if (nonce === '' || signatures.length === 0) return refuse('missing-signature');
  return { authToken, publicUrl, nonce, signatures };
}

function refuse(reason: RefusalReason): Verdict {
  return { ok: false, reason };
}

function readPublicUrl(publicUrl: () => string): PublicUrl | undefined {
  try {
    // Not through `new URL`: Plivo signs the characters that it was given; `:443` is not the same as no port.
    const [, scheme, authority, path = ''] = /^(https?):\/\/([^/?#]+)([^?#]*)/i.exec(publicUrl()) ?? [];
    if (scheme === undefined || authority === undefined) return undefined;
    return { scheme, authority, prefix: path.replace(/\/+$/, '') };
  } catch {
    return undefined;
  }
}

/** Empty when it is missing. */
function header(request: WebhookRequest, name: string): string {
  const value = request.headers[name];
  return (typeof value === 'string' ? value : (value?.join(',') ?? '')).trim();
}

/** A proxy may pass the prefix on or take it off, and a route may begin like the prefix: then both are possible. */
function paths(prefix: string, path: string): string[] {
  if (!path.startsWith('/')) return [];
  if (prefix === '') return [path];
  return path === prefix || path.startsWith(`${prefix}/`) ? [path, prefix + path] : [prefix + path];
}

function splitTarget(target: string): [path: string, query: URLSearchParams] {
  const at = target.indexOf('?');
  return at < 0 ? [target, NO_FIELDS] : [target.slice(0, at), new URLSearchParams(target.slice(at + 1))];
}

/** What is signed, but for the nonce: decoded, sorted, the fields of a form without anything between them. */
function signedText(address: string, query: URLSearchParams, form: URLSearchParams): string {
  const pairs = sorted(query).map(([name, value]) => `${name}=${value}`);
  const url = pairs.length === 0 ? address : `${address}?${pairs.join('&')}`;
  const fields = sorted(form);
  if (fields.length === 0) return url;
  // The question mark stands there although no query follows.
  return `${url}${pairs.length === 0 ? '?' : '.'}${fields.map(([name, value]) => name + value).join('')}`;
}

/** By name, and by value where a name comes more than once. */
function sorted(fields: URLSearchParams): [name: string, value: string][] {
  return [...fields].sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function isSigned({ authToken, nonce, signatures }: Credentials, text: string): boolean {
  const wanted = Buffer.from(createHmac('sha256', authToken).update(`${text}.${nonce}`).digest('base64'));
  return signatures.some((found) => found.length === wanted.length && timingSafeEqual(found, wanted));
}

/** Tells requests apart that have the same signature. The order of fields may change when a request is repeated. */
function fingerprint(method: string, path: string, query: URLSearchParams, form: URLSearchParams): string {
  const parts = JSON.stringify([method, path, sorted(query), sorted(form)]);
  return createHash('sha256').update(parts).digest('base64');
}

/** Undefined for a body that nothing would cover. */
function readForm(request: WebhookRequest): URLSearchParams | undefined {
  if (request.body.length === 0) return NO_FIELDS;
  const type = header(request, 'content-type').toLowerCase();
  if (type !== '' && !type.startsWith('application/x-www-form-urlencoded')) return undefined;
  try {
    return decodeForm(request.body);
  } catch {
    return undefined;
  }
}

/** Throws a TypeError when the body is not UTF-8. */
function decodeForm(body: Uint8Array): URLSearchParams {
  return new URLSearchParams(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
}

/** What the signature of a webhook covers, decoded. */
export interface SignedParts {
  /** The fields of the form, or those of the query for a request without body. */
  readonly fields: URLSearchParams;
  /** The query of the address that Plivo was given. */
  readonly query: URLSearchParams;
}

/** The parts of a verified webhook; the body of a GET is not among them. Throws BAD_FRAME for a body that is not UTF-8. */
export function readSigned(request: WebhookRequest, route: WebhookRoute): SignedParts {
  const [, query] = splitTarget(request.target);
  if (request.method.toUpperCase() === 'GET') return { fields: query, query };
  try {
    return { fields: decodeForm(request.body), query };
  } catch (cause) {
    const message = `the body of a Plivo ${route} webhook is not UTF-8; wanted form fields`;
    throw new BridgeError('BAD_FRAME', message, { cause });
  }
}
