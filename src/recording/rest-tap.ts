import type { CallLines } from './call-lines.ts';
import { codeOf } from './socket-tap.ts';

/** What is asked of a carrier, as far as it is written down. */
export interface RestAsked {
  readonly method: string;
  readonly url: string;
  readonly body: string | undefined;
}

/** A request as it is handed to `fetch`; undefined: one of a kind that the bridge does not make. */
export function askedOf(
  input: Parameters<typeof fetch>[0],
  init: RequestInit | undefined,
): RestAsked | undefined {
  if (typeof input !== 'string' && !(input instanceof URL)) return undefined;
  const body = init?.body ?? undefined;
  if (body !== undefined && typeof body !== 'string') return undefined;
  return { method: init?.method ?? 'GET', url: String(input), body };
}

/**
 * Makes the request and writes down both it and its answer, which `onAnswer` is told too. Headers are left out: they hold
 * the credentials.
 */
export async function tapRest(
  lines: CallLines,
  id: number,
  asked: RestAsked,
  ask: () => Promise<Response>,
  onAnswer: (text: string) => void,
): Promise<Response> {
  const { method, url, body } = asked;
  lines.left(() => {
    const shown = body === undefined ? undefined : lines.hide.body(body);
    return { on: 'rest', dir: 'out', msg: { id, method, url: urlOf(url), body: shown } };
  });
  const failed = (thrown: unknown): void =>
    lines.arrived(() => ({ on: 'rest', dir: 'in', msg: { id, error: lines.hide.text(reason(thrown)) } }));
  let response: Response;
  try {
    response = await ask();
  } catch (thrown) {
    failed(thrown);
    throw thrown;
  }
  return answered(response, failed, (text) => {
    const { status } = response;
    onAnswer(text);
    lines.arrived(() => ({ on: 'rest', dir: 'in', msg: { id, status, body: lines.hide.body(text) } }));
  });
}

/** The same answer, whose text is told before whoever asked has it. */
function answered(
  response: Response,
  failed: (thrown: unknown) => void,
  tell: (text: string) => void,
): Response {
  const readText = response.text.bind(response);
  const text = async (): Promise<string> => {
    let read: string;
    try {
      read = await readText();
    } catch (thrown) {
      failed(thrown);
      throw thrown;
    }
    tell(read);
    return read;
  };
  return Object.defineProperty(response, 'text', { value: text });
}

function urlOf(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url.href;
}

/** `fetch` says no more than "fetch failed"; the cause has the name of the trouble. */
function reason(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return 'the connection failed';
  return codeOf(cause) ?? (cause.message === '' ? cause.name : cause.message);
}
