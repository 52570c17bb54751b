import { BridgeError } from '../../errors.ts';
import { fillBody } from './body-template.ts';
import { hasControl, isDotSegment, type NamedTemplate, type RequestTemplate } from './request-template.ts';
import { fillText, onlyPlace, type Template, textOf, type Values, valueAt } from './template.ts';

/** A request that is ready to be made. */
export interface FilledRequest {
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/**
 * Fills the places of a request. Throws TOOL_FAILED, in words that the model can act on, for a value that cannot
 * stand where it belongs: no value changes the host, the depth of the path, or any other entry.
 */
export function fillRequest(request: RequestTemplate, values: Values): FilledRequest {
  const path = request.segments.map((segment) => fillSegment(segment, values)).join('/');
  const search = request.query.flatMap((entry) => fillQuery(entry, values)).join('&');
  const url = new URL(`${request.origin}/${path}${search === '' ? '' : `?${search}`}`);
  const headers: Record<string, string> = {};
  for (const [name, template] of request.headers) {
    const value = fillText(template, values, headerText);
    if (value !== undefined) headers[name] = value;
  }
  if (request.body === undefined) return { url, headers, body: undefined };
  headers['content-type'] ??= request.body.contentType;
  return { url, headers, body: fillBody(request.body, values) };
}

function fillSegment(template: Template, values: Values): string {
  const text = fillText(template, values, pathText);
  const names = template.flatMap((part) => (part.type === 'text' ? [] : [part.name])).join(', ');
  if (text === undefined) throw unfit(names, 'it is missing, and the address needs it');
  if (names === '') return text;
  if (text === '') throw unfit(names, 'it is empty, and the address needs it');
  if (isDotSegment(text)) throw unfit(names, 'dots alone cannot be part of the address');
  return text;
}

/**
 * A slash is refused although it could be written %2F: many servers decode it before they look for the route, and
 * then one order's number is another resource.
 */
function pathText(text: string, value: unknown, name: string): string {
  if (typeof value === 'object') throw unfit(name, 'found a list or an object, wanted text or a number');
  if (/[/\\]/.test(text) || hasControl(text)) {
    throw unfit(name, 'found a slash, backslash or control character, which cannot be part of the address');
  }
  return encoded(text, name);
}

function fillQuery([name, template]: NamedTemplate, values: Values): readonly string[] {
  const place = onlyPlace(template);
  const value = place === undefined ? undefined : valueAt(place, values);
  const label = place?.name ?? name;
  const texts = Array.isArray(value) ? value.map(textOf) : [fillText(template, values, (text) => text)];
  return texts.flatMap((text) =>
    text === undefined ? [] : [`${encodeURIComponent(name)}=${encoded(text, label)}`],
  );
}

/** Node refuses line ends too, but with a message that is no use to the model. */
function headerText(text: string, value: unknown, name: string): string {
  if (typeof value === 'object') throw unfit(name, 'found a list or an object, wanted text or a number');
  if (!/^[\x20-\x7e]*$/.test(text)) {
    throw unfit(name, 'found line ends or letters beyond ASCII, which cannot stand in a header');
  }
  return text;
}

function encoded(text: string, name: string): string {
  try {
    return encodeURIComponent(text);
  } catch (cause) {
    throw unfit(name, 'found half of a surrogate pair, wanted whole characters', cause);
  }
}

function unfit(name: string, why: string, cause?: unknown): BridgeError {
  return new BridgeError('TOOL_FAILED', `${name}: ${why}`, cause === undefined ? {} : { cause });
}
