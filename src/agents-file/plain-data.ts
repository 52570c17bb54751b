import { isRecord } from '../is-record.ts';
import type { Path } from './document.ts';

/** Careful steps through data that nobody has checked yet. */

/** The value at a path; undefined where there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)];
    else if (isRecord(value) && Object.hasOwn(value, step)) value = value[String(step)];
    else return undefined;
  }
  return value;
}

/** The entries of an object; none for anything else. */
export function entriesAt(root: unknown, path: Path): readonly (readonly [string, unknown])[] {
  const value = valueAt(root, path);
  return isRecord(value) ? Object.entries(value) : [];
}

/** The items of a list; none for anything else. */
export function itemsAt(root: unknown, path: Path): readonly unknown[] {
  const value = valueAt(root, path);
  return Array.isArray(value) ? value : [];
}

/** A text; undefined for anything else. */
export function textAt(root: unknown, path: Path): string | undefined {
  const value = valueAt(root, path);
  return typeof value === 'string' ? value : undefined;
}
