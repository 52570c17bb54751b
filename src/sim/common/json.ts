/** A JSON object that has not been looked into yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for JSON objects, false for arrays, null and everything else. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
