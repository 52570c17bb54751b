import { isRecord } from '../is-record.ts';
import { isAudioRef } from './audio-refs.ts';

/** What stands where a secret stood. */
export const HIDDEN = '[secret]';

/** Names of fields that hold credentials, without hyphens, underscores and capitals. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'accesskeyid',
  'accesstoken',
  'apikey',
  'apitoken',
  'authorization',
  'authtoken',
  'bearertoken',
  'calltoken',
  'clientsecret',
  'cookie',
  'credential',
  'credentials',
  'idtoken',
  'passphrase',
  'password',
  'privatekey',
  'proxyauthorization',
  'refreshtoken',
  'secret',
  'secretaccesskey',
  'secretkey',
  'securitytoken',
  'sessiontoken',
  'setcookie',
  'subscriptionkey',
  'ocpapimsubscriptionkey',
  'xapikey',
  'xgoogapikey',
]);

/** Names of groups of fields that hold nothing else, such as the headers of a function that a service calls itself. */
const SECRET_GROUPS: ReadonlySet<string> = new Set(['clientsecret', 'headers']);

/** Parameters of a provider's address that say which service, model and version, and nothing secret. */
const OPEN_PARAMETERS: ReadonlySet<string> = new Set([
  'agent-id',
  'agent-project-name',
  'agent_id',
  'alt',
  'api-version',
  'deployment',
  'intent',
  'language',
  'model',
  'version',
  'voice',
]);

/** Secrets by their look, for text that a service or a library has written. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:sk|ek|rk|pk)[-_][\w*.-]{8,512}/g, HIDDEN],
  [/\bAIza[\w-]{8,128}/g, HIDDEN],
  [/\bya29\.[\w.-]{4,2048}/g, HIDDEN],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{12,32}\b/g, HIDDEN],
  [/\beyJ[\w-]{5,2048}\.[\w-]{1,4096}(?:\.[\w-]{0,4096})?/g, HIDDEN],
  [/\b((?:bearer|basic)\s{1,8})[\w+/=.~-]{6,4096}/gi, `$1${HIDDEN}`],
  [/:\/\/[^\s"'`/@]{1,512}@/g, `://${HIDDEN}@`],
  [
    /([?&](?:access_token|key|token|api[-_]?key|sig|signature|x-amz-[\w-]{1,40})=)[^&\s"]{1,4096}/gi,
    `$1${HIDDEN}`,
  ],
];

/** Shorter ones are words, which are no secrets, and would be found everywhere. */
const SHORTEST = 8;

/** Takes secrets out of what is written down. */
export interface Hide {
  /** A message: what stands under the name of a credential, and known secrets anywhere. Itself when there are none. */
  message<T>(value: T): T;
  /** Known secrets anywhere in a JSON value. Itself when there are none. */
  known<T>(value: T): T;
  /** The body of a request or an answer, as text: JSON, a form, or anything else. Itself when it holds no secret. */
  body(text: string): string;
  /** Text of a service or a library: what looks like a secret, too. */
  text(text: string): string;
}

/** @param known secrets of the service, such as its keys: they are hidden wherever they stand, also as an address spells them */
export function hider(known: readonly string[]): Hide {
  const secrets = spellings(known);
  const named = new Named();
  const plain = (text: string): string => {
    let hidden = text;
    for (const secret of secrets) if (hidden.includes(secret)) hidden = hidden.replaceAll(secret, HIDDEN);
    return hidden;
  };
  return {
    // What is hidden is text and stays text.
    message: <T>(value: T) => hideIn(value, plain, named) as T,
    known: <T>(value: T) => hideIn(value, plain, undefined) as T,
    body: (text) => hideInJson(text, plain, named) ?? hideInForm(plain(text)),
    text: (text) => {
      let hidden = plain(text);
      for (const [look, instead] of LOOKS) hidden = hidden.replace(look, instead);
      return hidden;
    },
  };
}

/** An address as it may be seen: without credentials, and with nothing under parameters that could be one. */
export function openUrl(url: URL): string {
  const open = new URL(url);
  open.username = '';
  open.password = '';
  open.hash = '';
  for (const name of new Set(url.searchParams.keys())) {
    if (!OPEN_PARAMETERS.has(name.toLowerCase())) open.searchParams.set(name, HIDDEN);
  }
  return open.href;
}

/** Longest first, so that none is cut to pieces by another that it holds. */
function spellings(known: readonly string[]): readonly string[] {
  const all = new Set<string>();
  for (const secret of known) {
    if (secret.length < SHORTEST) continue;
    all.add(secret);
    all.add(encodeURIComponent(secret));
    all.add(Buffer.from(secret).toString('base64').replace(/=+$/, ''));
  }
  return [...all].sort((a, b) => b.length - a.length);
}

/** Copies only what changes: most messages hold no secret, and there are fifty a second. */
function hideIn(value: unknown, plain: (text: string) => string, named: Named | undefined): unknown {
  if (typeof value === 'string') return plain(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return hideInList(value, plain, named);
  if (!isRecord(value) || isAudioRef(value)) return value;
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(value)) {
    const inner = value[name];
    const hidden = named?.holdsSecret(name, inner) ? hideAll(inner) : hideIn(inner, plain, named);
    if (hidden === inner) continue;
    // Of what it has itself, so that its keys stay in their order and one called `__proto__` is one.
    copy ??= { ...value };
    copy[name] = hidden;
  }
  return copy ?? value;
}

function hideInList(
  list: readonly unknown[],
  plain: (text: string) => string,
  named: Named | undefined,
): unknown {
  const hidden = list.map((inner) => hideIn(inner, plain, named));
  return hidden.some((inner, index) => inner !== list[index]) ? hidden : list;
}

/** So many different names of fields are remembered: protocols have fewer, and whoever makes up more gains nothing. */
const MOST_NAMES = 2000;

/** Knows fields by their names. */
class Named {
  readonly #known = new Map<string, { readonly isSecret: boolean; readonly isGroup: boolean }>();

  /** A schema may have a field of such a name, and what it says of that field is no secret. */
  holdsSecret(name: string, value: unknown): boolean {
    const { isSecret, isGroup } = this.#known.get(name) ?? this.#learn(name);
    return isRecord(value) ? isGroup && !('type' in value) : isSecret;
  }

  #learn(name: string): { readonly isSecret: boolean; readonly isGroup: boolean } {
    const plainName = name.replace(/[-_]/g, '').toLowerCase();
    const found = { isSecret: isSecretName(plainName), isGroup: SECRET_GROUPS.has(plainName) };
    if (this.#known.size < MOST_NAMES) this.#known.set(name, found);
    return found;
  }
}

/** @param plainName without hyphens, underscores and capitals */
function isSecretName(plainName: string): boolean {
  return SECRET_NAMES.has(plainName) || plainName.endsWith('authtoken');
}

/** A body as text; undefined: it is no JSON. */
function hideInJson(text: string, plain: (text: string) => string, named: Named): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    const hidden = hideIn(json, plain, named);
    return hidden === json ? text : JSON.stringify(hidden);
  } catch {
    return undefined;
  }
}

/** Of a form, or of what may be one; the rest of the text stays as it is. */
function hideInForm(text: string): string {
  return text.replace(/(^|[?&])([\w.%-]{1,64})=([^&\s]+)/g, (field, before: string, name: string) =>
    isSecretName(name.replace(/[-_]/g, '').toLowerCase())
      ? `${before}${name}=${encodeURIComponent(HIDDEN)}`
      : field,
  );
}

/** Every text, at any depth. */
function hideAll(value: unknown): unknown {
  if (typeof value === 'string') return value === '' ? value : HIDDEN;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(hideAll);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, hideAll(inner)]));
}
