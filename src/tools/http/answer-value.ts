import type { Answer } from './exchange.ts';

/** What the model is told of an answer. */
export type AnswerValue =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string };

/** So much of the body of a refusal is told. */
const MAX_REFUSAL_CHARS = 600;
const LONG_NUMBER = /\d{16}/;

/** Reads an answer for the model. `secrets` are texts that are blanked wherever the service repeats them. */
export function readAnswer(answer: Answer, secrets: readonly string[]): AnswerValue {
  const { status, body, cut } = answer;
  if (status >= 300) return refusal(answer, secrets);
  if (cut)
    return wrong(`the service answered with more than ${body.length} bytes, which is too much to read`);
  if (body.length === 0) return { ok: true, value: { ok: true } };
  const text = decode(answer);
  if (text === undefined) return wrong(`the service answered with ${typeName(answer)}, wanted JSON or text`);
  return readText(answer, blank(text, secrets));
}

function readText({ contentType }: Answer, text: string): AnswerValue {
  const announced = isJson(contentType);
  if (!announced && !/^\s*[[{]/.test(text)) return { ok: true, value: text };
  try {
    const value: unknown = JSON.parse(text);
    // Order numbers of twenty digits are only right as they were written.
    return { ok: true, value: LONG_NUMBER.test(text) ? text : value };
  } catch {
    return announced
      ? wrong('the service announced JSON and answered with something else')
      : { ok: true, value: text };
  }
}

function refusal(answer: Answer, secrets: readonly string[]): AnswerValue {
  const { status, cut } = answer;
  if (status < 400) return wrong(`the service answered ${status}, a redirect that is not followed`);
  const text = blank(decode(answer) ?? '', secrets).trim();
  if (text === '') return wrong(`the service answered ${status}`);
  const short = text.slice(0, MAX_REFUSAL_CHARS);
  return wrong(
    `the service answered ${status}: ${short}${cut || short.length < text.length ? ' … [cut]' : ''}`,
  );
}

/** The body as text; undefined when it is none. */
function decode({ contentType, body, cut }: Answer): string | undefined {
  const text = isText(contentType);
  if (contentType !== '' && !text && !isJson(contentType)) return undefined;
  const charset = /;\s*charset="?([^\s;"]+)/i.exec(contentType)?.[1];
  // Old services write text in the way of the West without saying so.
  const read =
    decodeAs(charset ?? 'utf-8', body, cut) ?? (text ? decodeAs('windows-1252', body, cut) : undefined);
  return read?.includes('\0') ? undefined : read;
}

/** Undefined for a charset that nobody knows, and for bytes that are not in it; half a letter at a cut is left out. */
function decodeAs(charset: string, body: Buffer, cut: boolean): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body, { stream: cut });
  } catch {
    return undefined;
  }
}

function isJson(contentType: string): boolean {
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(contentType.trim());
}

function isText(contentType: string): boolean {
  return /^(?:text\/|application\/(?:[\w.-]+\+)?(?:xml|yaml|x-www-form-urlencoded|javascript)\b)/i.test(
    contentType.trim(),
  );
}

function typeName({ contentType }: Answer): string {
  const type = /^[\w.+-]{1,60}\/[\w.+-]{1,60}/.exec(contentType.trim())?.[0];
  return type === undefined ? 'something that is no text' : `${type} that is no text`;
}

function blank(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '[removed]'), text);
}

function wrong(message: string): AnswerValue {
  return { ok: false, message };
}
