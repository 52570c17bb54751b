import type { ConnectRequest } from '../../provider.ts';

/** `German (de-AT)` for the model to read; the tag alone where it names no language. */
export function languageName(tag: string): string {
  try {
    const name = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' }).of(tag);
    return name === undefined ? tag : `${name} (${tag})`;
  } catch {
    return tag;
  }
}

/** What the model is told to be, and the language of the call where it is known. */
export function instructions(request: ConnectRequest): string {
  if (request.language === undefined) return request.instructions;
  const line = `The language of this call is ${languageName(request.language)}.`;
  return request.instructions === '' ? line : `${request.instructions}\n\n${line}`;
}
