/** Nothing that services, carriers or functions tell is nested so deep; whoever walks through a line may call itself so often. */
export const DEEPEST = 500;
/** What a line puts around a message, with room to spare. */
const AROUND = 20;

/** Whether the JSON of this text is nested deeper than readers take. */
export function isTooDeep(value: unknown, text: string): boolean {
  // Each level takes a bracket at its beginning and one at its end.
  return text.length > 2 * DEEPEST && isDeeper(value, DEEPEST);
}

/** Whether a line with this message would be. */
export function makesTooDeep(message: unknown): boolean {
  return isDeeper(message, DEEPEST - AROUND);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
