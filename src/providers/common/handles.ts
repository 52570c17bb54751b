/** Shorter than any handle that was seen: a word that a service happens to call one is no secret. */
const LEAST_HANDLE = 8;

/** A text of the service without these: whoever has a handle may go on with the session, and services quote what they refuse. */
export function withoutHandles(text: string, handles: readonly (string | undefined)[]): string {
  let clean = text;
  for (const handle of handles) {
    if (handle !== undefined && handle.length >= LEAST_HANDLE) clean = clean.replaceAll(handle, '[handle]');
  }
  return clean;
}
