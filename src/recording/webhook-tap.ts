import type { Answer, WebhookRequest, WebhookRoute } from '../carrier.ts';
import type { CallLines } from './call-lines.ts';
import type { Signed, WebhookIn } from './format.ts';

/** A webhook of a call as it came in, before its id in the recording is known. */
export interface WebhookArrival {
  readonly route: WebhookRoute;
  readonly request: WebhookRequest;
  readonly signed: Signed;
}

/** The line of a request. Headers are left out: all that a call depends on is how the request proved itself. */
export function requestLine(id: number, { route, request, signed }: WebhookArrival): WebhookIn {
  const { method, target, body } = request;
  const contentType = contentTypeOf(request);
  return { id, route, method, target, signed, contentType, ...bodyOf(contentType, body) };
}

/** Writes down the answer. */
export function answerLine(lines: CallLines, id: number, { status, contentType, body }: Answer): void {
  lines.left(() => ({ on: 'webhook', dir: 'out', msg: { id, status, contentType, body } }));
}

function contentTypeOf({ headers }: WebhookRequest): string {
  const found = headers['content-type'];
  return (typeof found === 'string' ? found : found?.[0]) ?? '';
}

function bodyOf(contentType: string, bytes: Uint8Array): Pick<WebhookIn, 'form' | 'json' | 'text'> {
  if (bytes.length === 0) return {};
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType)) return { form: formOf(text) };
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)) return { text };
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { text };
  }
}

/** In the order in which the names first stand; a name that stands more than once has a list. */
function formOf(text: string): Readonly<Record<string, string | readonly string[]>> {
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [value]);
    else values.push(value);
  }
  return Object.fromEntries(
    [...fields].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}
