import { type BodyTemplate, compileBody } from './body-template.ts';
import { secretsOf } from './request-secrets.ts';
import { namesIn, parseTemplate, type Template } from './template.ts';

/** Methods of HTTP functions. */
export const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];

/** What is compiled: the part of a function's entry that makes the request. */
export interface RequestSpec {
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  readonly method: HttpMethod;
  readonly url: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A mistake in a `RequestSpec`, with the way to it. */
export interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

export type NamedTemplate = readonly [name: string, template: Template];

/** A request with places to fill, taken apart so that no value can leave its place. */
export interface RequestTemplate {
  readonly method: HttpMethod;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Between the slashes of the path. */
  readonly segments: readonly Template[];
  readonly query: readonly NamedTemplate[];
  /** Names in lower case. */
  readonly headers: readonly NamedTemplate[];
  readonly body: BodyTemplate | undefined;
  /** Names of the variables of the call that it needs. */
  readonly variables: readonly string[];
  /** What must not come back in an answer; see `secretsOf`. */
  readonly secrets: readonly string[];
}

const URL_PARTS = /^(https?:\/\/[^\s/?#\\@{}]+)(\/[^?#\\]*)?(?:\?([^#]*))?$/i;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_TEXT = /^[\t\x20-\x7e]*$/;
/** The bridge writes these itself, or the connection would not survive them. */
const OWN_HEADERS = [
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Takes the templates of a function apart. With problems, the request is not fit for use. */
export function compileRequest(spec: RequestSpec): {
  readonly request: RequestTemplate;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const { origin, segments, query: urlQuery } = readUrl(spec.url, problems);
  const query = [...urlQuery, ...namedTemplates(spec.query)];
  const headers = readHeaders(spec.headers, problems);
  const elsewhere = [...segments, ...templatesOf(query), ...templatesOf(headers)];
  const contentType = spec.headers[keyOf(spec.headers, 'content-type') ?? ''];
  const { body, templates, problem } = compileBody(spec, contentType, namesIn(elsewhere, 'argument'));
  if (problem !== undefined) problems.push({ path: ['body'], message: problem });
  const all = [...elsewhere, ...templates];
  for (const name of namesIn(all, 'argument')) checkDeclared(name, spec, problems);
  // Where something could not be read, what it uses is not known.
  if (problems.length === 0 && body?.type !== 'arguments')
    checkAllUsed(spec, namesIn(all, 'argument'), problems);
  const request: RequestTemplate = {
    method: spec.method,
    origin,
    segments,
    query,
    headers,
    body,
    variables: namesIn(all, 'variable'),
    secrets: secretsOf({ segments, query, headers, body: spec.body }),
  };
  return { request, problems };
}

/** Names of the parameters that the function declares. */
export function declaredNames({ parameters }: RequestSpec): readonly string[] {
  const properties = parameters?.['properties'];
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

function readUrl(
  source: string,
  problems: Problem[],
): Pick<RequestTemplate, 'origin' | 'segments' | 'query'> {
  const complain = (message: string): void => void problems.push({ path: ['url'], message });
  const [, start = '', path = '/', search = ''] = URL_PARTS.exec(source.trim()) ?? [];
  if (!URL.canParse(start)) {
    complain(
      'found an address that cannot be used, wanted https://host/path, with {arguments} only behind the host, and without user name, # and backslash',
    );
    return { origin: 'https://invalid.invalid', segments: [], query: [] };
  }
  const segments = path.slice(1).split('/');
  const texts = parseTemplate(`${path}?${search}`).map((part) => (part.type === 'text' ? part.text : ''));
  if (/[{}]/.test(texts.join('')))
    complain('found braces that hold no name, wanted {argument} or {{variable}}');
  for (const segment of segments) {
    if (isDotSegment(segment))
      complain(`found ${segment} in the path, wanted a path without steps up or down`);
    if (/%(?![0-9a-f]{2})/i.test(segment)) complain('found a % that is no %-escape in the path');
    if (hasControl(segment)) complain('found control characters in the path');
  }
  return {
    origin: new URL(start).origin,
    segments: segments.map(parseTemplate),
    query: search === '' ? [] : search.split('&').map((entry) => readQueryEntry(entry, complain)),
  };
}

/** `.`, `..` and what the URL parser reads as such. */
export function isDotSegment(segment: string): boolean {
  return /^(?:\.|%2e){1,2}$/i.test(segment);
}

/** ASCII control characters. */
export function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\u0000-\u001f\u007f]/.test(text);
}

function readQueryEntry(entry: string, complain: (message: string) => void): NamedTemplate {
  const at = entry.indexOf('=');
  const name = at < 0 ? entry : entry.slice(0, at);
  if (namesIn([parseTemplate(name)], 'argument').length > 0) {
    complain('found an {argument} as the name of a query entry, wanted it as a value');
  }
  const value = parseTemplate(at < 0 ? '' : entry.slice(at + 1));
  const decoded = value.map((part) =>
    part.type === 'text' ? ({ type: 'text', text: decodeQuery(part.text) } as const) : part,
  );
  return [decodeQuery(name), decoded];
}

function decodeQuery(text: string): string {
  return new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? '';
}

function readHeaders(headers: RequestSpec['headers'], problems: Problem[]): readonly NamedTemplate[] {
  const seen = new Set<string>();
  return Object.entries(headers).map(([given, source]): NamedTemplate => {
    const name = given.toLowerCase();
    const message = headerProblem(name, source, seen);
    if (message !== undefined) problems.push({ path: ['headers', given], message });
    seen.add(name);
    return [name, parseTemplate(source)];
  });
}

/** Never shows the value: it is often a key. */
function headerProblem(name: string, source: string, seen: ReadonlySet<string>): string | undefined {
  if (!TOKEN.test(name))
    return 'found other characters in the name of a header, wanted letters, digits and - only';
  if (OWN_HEADERS.includes(name)) return 'found a header that belongs to the connection, wanted it left out';
  if (seen.has(name)) return 'found this header twice, in another case, wanted it once';
  if (!HEADER_TEXT.test(source)) return 'found characters that headers cannot carry, wanted printable ASCII';
  if (name === 'content-type' && /[{}]/.test(source))
    return 'found a content type to fill in, wanted a fixed one';
  return undefined;
}

function checkDeclared(name: string, spec: RequestSpec, problems: Problem[]): void {
  const declared = declaredNames(spec);
  if (declared.includes(name)) return;
  const there = declared.length === 0 ? 'there are none' : `there are ${declared.join(', ')}`;
  const message = `found {${name}}, which is none of the parameters (${there}), wanted {{${name}}} for a variable of the call, or { ${name} } for text`;
  problems.push({ path: placeOf(name, spec), message });
}

/** An argument that the model is asked for and that then goes nowhere is a mistake nobody would notice. */
function checkAllUsed(spec: RequestSpec, used: readonly string[], problems: Problem[]): void {
  for (const name of declaredNames(spec).filter((declared) => !used.includes(declared))) {
    problems.push({
      path: ['parameters', 'properties', name],
      message: `nothing uses it, wanted {${name}} in url, query, headers or body`,
    });
  }
}

function placeOf(name: string, spec: RequestSpec): readonly string[] {
  const uses = (source: string): boolean => namesIn([parseTemplate(source)], 'argument').includes(name);
  if (uses(spec.url)) return ['url'];
  for (const section of ['query', 'headers'] as const) {
    const found = Object.entries(spec[section]).find(([, source]) => uses(source));
    if (found !== undefined) return [section, found[0]];
  }
  return ['body'];
}

function keyOf(headers: RequestSpec['headers'], name: string): string | undefined {
  return Object.keys(headers).find((key) => key.toLowerCase() === name);
}

function namedTemplates(entries: Readonly<Record<string, string>>): readonly NamedTemplate[] {
  return Object.entries(entries).map(([name, source]) => [name, parseTemplate(source)]);
}

function templatesOf(entries: readonly NamedTemplate[]): readonly Template[] {
  return entries.map(([, template]) => template);
}
