/** The first `max` characters (UTF-16 units) of a text, or one less where that would leave half of one. */
export function beginningOf(text: string, max: number): string {
  return text.slice(0, max).replace(/[\uD800-\uDBFF]$/, '');
}

/** A text of at most `max` characters; one that was longer ends with `…`. */
export function shortText(text: string, max: number): string {
  return text.length <= max ? text : `${beginningOf(text, max - 1)}…`;
}
