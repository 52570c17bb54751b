import type { NamedTemplate } from './request-template.ts';
import { parseTemplate, type Template } from './template.ts';

/** The literal parts of a request that a key may stand in. */
interface Literals {
  readonly segments: readonly Template[];
  readonly query: readonly NamedTemplate[];
  /** Names in lower case. */
  readonly headers: readonly NamedTemplate[];
  /** As the agents file has it. */
  readonly body: unknown;
}

const SECRET_NAME = /auth(?!or(?!i))|key|token|secret|cookie|signature|passw(?:or)?d|pwd|passphrase/i;
/** What these say is no secret, and may be a word of the answer. */
const OPEN_HEADERS = [
  'accept',
  'accept-charset',
  'accept-language',
  'cache-control',
  'content-language',
  'content-type',
  'user-agent',
];
/** Shorter texts are words that an answer may hold by chance. */
const MIN_SECRET = 8;
/** A name of a resource has no such mixture: addresses of webhooks often are the key themselves. */
const LIKE_A_KEY = [
  /^(?=(?:\D*\d){2})(?=.*[a-z])[a-z\d]{12,}$/i,
  /^(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w-]{24,}$/,
  /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i,
];

/**
 * The texts of a request that must not come back in an answer: what its headers say, what stands in query and body
 * under names that say that they hold a key, and what looks like a key.
 */
export function secretsOf({ segments, query, headers, body }: Literals): readonly string[] {
  const said = headers.filter(([name]) => !OPEN_HEADERS.includes(name)).map(([, template]) => template);
  const told = query.filter(([name]) => SECRET_NAME.test(name)).map(([, template]) => template);
  const named = [...said, ...told, ...secretTemplates(body, false)].flatMap(literals);
  const others = [...segments, ...query.map(([, template]) => template)].flatMap(literals);
  return spellings([...named, ...others.filter((text) => LIKE_A_KEY.some((form) => form.test(text)))]);
}

/**
 * All the ways in which services write these texts back: as they are, in an address, and in JSON with its slashes
 * escaped. Those that are too short to be told from a word are left out; longest first, so that a part of another one
 * does not leave the rest of it.
 */
export function spellings(secrets: readonly string[]): readonly string[] {
  const all = secrets
    .filter((text) => text.length >= MIN_SECRET)
    .flatMap((text) => [
      text,
      text.replaceAll('/', '\\/'),
      JSON.stringify(text).slice(1, -1),
      inAddress(text),
    ]);
  return longestFirst(all);
}

/** Each once. */
export function longestFirst(secrets: readonly string[]): readonly string[] {
  return [...new Set(secrets)].sort((a, b) => b.length - a.length);
}

function inAddress(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'));
}

/** Whatever is below a telling name belongs to it. */
function secretTemplates(value: unknown, isSecret: boolean): readonly Template[] {
  if (Array.isArray(value)) return value.flatMap((item) => secretTemplates(item, isSecret));
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, item]) =>
      secretTemplates(item, isSecret || SECRET_NAME.test(key)),
    );
  }
  return isSecret && value !== null ? [parseTemplate(String(value))] : [];
}

function literals(template: Template): readonly string[] {
  return template.flatMap((part) => (part.type === 'text' ? pieces(part.text) : []));
}

/** `Bearer key`, `a=key; b=key`: also without the names. */
function pieces(text: string): readonly string[] {
  return text.split(/[\s,;]+/).flatMap((piece) => {
    const at = piece.indexOf('=');
    // At the end it is the padding of base64.
    return at < 0 || /^=+$/.test(piece.slice(at)) ? [piece] : [piece, piece.slice(at + 1)];
  });
}
