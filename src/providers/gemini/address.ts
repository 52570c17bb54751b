import { BridgeError } from '../../errors.ts';
import { codeWord } from '../common/limits.ts';
import { abortError, type Scrub, scrubber } from '../common/network.ts';
import { type OptionChecks, optionsOf } from '../common/options.ts';

export type Platform = 'studio' | 'vertex';

/** A key, or what gives one; asked for again before every connection. */
export type AccessToken = string | (() => string | Promise<string>);

export interface AddressOptions {
  readonly apiKey?: string | undefined;
  readonly accessToken?: AccessToken | undefined;
  readonly platform?: Platform | undefined;
  readonly project?: string | undefined;
  readonly location?: string | undefined;
  readonly baseUrl?: string | undefined;
  readonly apiVersion?: string | undefined;
}

/** Where a session is dialled and what is shown at the door. */
export interface Dial {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Takes what is shown there, and what looks like it, out of messages. */
  readonly scrub: Scrub;
}

export interface Address {
  readonly platform: Platform;
  /** Host and port, for messages. */
  readonly host: string;
  /** Rejects with PROVIDER_AUTH when there is no token to be had. */
  dial(): Promise<Dial>;
  /** The model as the setup names it. */
  modelPath(model: string): string;
}

const EPHEMERAL = 'auth_tokens/';

/** Keys and tokens of Google that the common scrubber does not know by their look. */
const LOOKS = /\b(?:AIza[\w-]{8,}|ya29\.[\w-]+)/g;
/** Far more than is told of any text, so that what is cut off here is not seen. */
const MOST_SCRUBBED = 16_384;

const options: OptionChecks = optionsOf('Gemini provider');

function isEphemeral(token: string): boolean {
  return token.startsWith(EPHEMERAL);
}

/** `ws:` and `wss:` as they are, `http:` and `https:` as what they are for sockets; a bare host is a secure one. */
function baseOf(given: string): URL {
  const named = /^[a-z][a-z\d+.-]*:\/\//i.test(given) ? given : `wss://${given}`;
  return options.url(named.replace(/^http(s?):\/\//i, 'ws$1://'));
}

function defaultBase(platform: Platform, location: string): string {
  if (platform === 'studio') return 'wss://generativelanguage.googleapis.com';
  return location === 'global'
    ? 'wss://aiplatform.googleapis.com'
    : `wss://${location}-aiplatform.googleapis.com`;
}

function methodPath(platform: Platform, version: string, constrained: boolean): string {
  if (platform === 'vertex')
    return `/ws/google.cloud.aiplatform.${version}.LlmBidiService/BidiGenerateContent`;
  const method = constrained ? 'BidiGenerateContentConstrained' : 'BidiGenerateContent';
  return `/ws/google.ai.generativelanguage.${version}.GenerativeService.${method}`;
}

/** A path that names a method of the service is taken as it is; anything else is what the method is appended to. */
function urlFor(base: URL, path: string): URL {
  const url = new URL(base);
  if (/\/ws\/google\./.test(url.pathname)) return url;
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
  return url;
}

function checkName(name: string, value: string | undefined, platform: Platform): string {
  if (platform === 'studio') return value ?? '';
  if (value !== undefined && /^[\w.:-]+$/.test(value)) return value;
  throw options.bad(
    `${name} is ${value === undefined || value === '' ? 'missing' : 'not a name'}, wanted that of Vertex AI`,
  );
}

async function current(token: AccessToken): Promise<string> {
  if (typeof token === 'string') return token;
  try {
    const found = await token();
    if (typeof found === 'string' && /^[\x21-\x7e]+$/.test(found)) return found;
  } catch (thrown) {
    // What a credential library says of itself may hold the secret it was given.
    const what = codeWord(thrown instanceof Error ? thrown.name : typeof thrown, 'Error');
    throw new BridgeError('PROVIDER_AUTH', `no access token could be had (${what})`);
  }
  throw new BridgeError('PROVIDER_AUTH', 'the access token is not made of printable characters');
}

function credentialsOf(given: AddressOptions, platform: Platform): AccessToken | { readonly key: string } {
  const { apiKey, accessToken } = given;
  if (accessToken !== undefined) {
    if (typeof accessToken === 'string') options.key(accessToken, 'accessToken');
    return accessToken;
  }
  if (platform === 'vertex' && apiKey !== undefined) {
    throw options.bad('Vertex AI takes an accessToken (OAuth), not an apiKey');
  }
  if (apiKey === undefined) {
    throw options.bad(
      platform === 'vertex'
        ? 'accessToken is missing, wanted an OAuth token'
        : 'apiKey and accessToken are missing, wanted one of them',
    );
  }
  return { key: options.key(apiKey) };
}

/** A token that goes in the address comes back in pages that repeat the address, spelled as it is there. */
function scrubOf(secret: string): Scrub {
  const scrub = scrubber(secret, new URLSearchParams([['', secret]]).toString().slice(1));
  return (text) => scrub(text.slice(0, MOST_SCRUBBED)).replace(LOOKS, '[key]');
}

/** Where and as whom sessions are dialled. Throws BAD_CONFIG for what cannot be an address. */
export function addressOf(given: AddressOptions): Address {
  const platform = given.platform ?? 'studio';
  if (platform !== 'studio' && platform !== 'vertex') {
    throw options.bad(`platform is ${JSON.stringify(platform)}, wanted studio or vertex`);
  }
  const project = checkName('project', given.project, platform);
  const location = checkName('location', given.location ?? 'us-central1', platform);
  const base = baseOf(given.baseUrl ?? defaultBase(platform, location));
  const version = given.apiVersion ?? (platform === 'vertex' ? 'v1' : 'v1beta');
  if (!/^v\d\w*$/.test(version)) throw options.bad(`apiVersion is ${version}, wanted such as v1beta`);
  const credentials = credentialsOf(given, platform);
  return {
    platform,
    host: base.host,
    async dial() {
      if (typeof credentials === 'object') {
        const url = urlFor(base, methodPath(platform, version, false));
        // Not as `?key=`: addresses end up in the logs of proxies.
        return { url, headers: { 'x-goog-api-key': credentials.key }, scrub: scrubOf(credentials.key) };
      }
      const token = await current(credentials);
      const scrub = scrubOf(token);
      const constrained = platform === 'studio' && isEphemeral(token);
      const url = urlFor(base, methodPath(platform, version, constrained));
      if (!constrained) return { url, headers: { Authorization: `Bearer ${token}` }, scrub };
      // An ephemeral token is good for one session, and this is the only way that is documented for it.
      url.searchParams.set('access_token', token);
      return { url, headers: {}, scrub };
    },
    modelPath(model) {
      if (model.includes('/')) return model;
      if (platform === 'studio') return `models/${model}`;
      return `projects/${project}/locations/${location}/publishers/google/models/${model}`;
    },
  };
}

/** The way to a session; whoever gives up while a token is fetched does not wait for it. */
export async function dialWithin(address: Address, signal: AbortSignal): Promise<Dial> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([address.dial(), aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
