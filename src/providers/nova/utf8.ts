/** How many bytes a character takes. */
function bytesOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

/** A text in pieces of at most `most` bytes of UTF-8 (4 or more), never cut within a character; one piece at least. */
export function utf8Pieces(text: string, most: number): string[] {
  const pieces: string[] = [];
  let from = 0;
  let bytes = 0;
  let at = 0;
  for (const character of text) {
    const size = bytesOf(character.codePointAt(0) ?? 0);
    if (bytes + size > most) {
      pieces.push(text.slice(from, at));
      from = at;
      bytes = 0;
    }
    bytes += size;
    at += character.length;
  }
  pieces.push(text.slice(from));
  return pieces;
}

/** The beginning of a text that fits into `most` bytes of UTF-8. */
export function utf8Head(text: string, most: number): string {
  let bytes = 0;
  let at = 0;
  for (const character of text) {
    bytes += bytesOf(character.codePointAt(0) ?? 0);
    if (bytes > most) break;
    at += character.length;
  }
  return text.slice(0, at);
}

/** The end of a text that fits into `most` bytes of UTF-8. */
export function utf8Tail(text: string, most: number): string {
  let bytes = Buffer.byteLength(text);
  let at = 0;
  for (const character of text) {
    if (bytes <= most) break;
    bytes -= bytesOf(character.codePointAt(0) ?? 0);
    at += character.length;
  }
  return text.slice(at);
}
