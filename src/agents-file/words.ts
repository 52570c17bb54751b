import type { Path } from './document.ts';

/** Longest piece of a value that a message shows. */
const SHOWN = 40;
/** So many digits in a row, however they are grouped, may be somebody's number. */
const LIKE_A_NUMBER = /(?:\d[\s().\-/]?){6,}/;

/** How secrets begin that services give out, and what a long one looks like that says nothing of itself. */
const LIKE_A_SECRET =
  /^(?:whsec_|sk[-_]|rk_|xox[a-z]-|gh[a-z]_|github_pat_|AKIA|AIza|eyJ)|^(?=.*\d)(?=.*[A-Z])[\w+/=.-]{24,}$/;

/** Sections whose values may be secrets: they are known by their length only. */
const SECRET_SECTIONS: readonly PropertyKey[] = ['tools', 'webhooks'];
const SECRET_FIELDS: readonly PropertyKey[] = ['startWebhook', 'endWebhook', 'overrides'];

/** Whether a text, such as a key that stands in a wrong place, may be a secret. */
export function likeASecret(text: string): boolean {
  return LIKE_A_SECRET.test(text);
}

/** Whether values below this path are not for showing. */
export function isSecret(path: Path): boolean {
  if (path[0] === 'agents') return path.slice(2).some((step) => SECRET_FIELDS.includes(step));
  return SECRET_SECTIONS.includes(path[0] ?? '');
}

/** `found` of a message: a short value itself, the kind and size of any other, and of secrets. */
export function foundWords(value: unknown, secret: boolean): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'nothing (an empty value)';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  switch (typeof value) {
    case 'string':
      return foundText(value, secret);
    case 'number':
    case 'bigint':
      return secret || Math.abs(Number(value)) >= 100_000 ? 'a number' : String(value);
    case 'boolean':
      return String(value);
    default:
      return Object.keys(value as object).length === 0 ? 'an object without keys' : 'an object';
  }
}

function foundText(value: string, secret: boolean): string {
  if (value === '') return 'empty text';
  if (value.trim() === '') return 'blanks';
  const hidden =
    secret || value.length > SHOWN || likeASecret(value) || LIKE_A_NUMBER.test(value) || value.includes('\n');
  return hidden ? `text of ${value.length} characters` : JSON.stringify(value);
}

/** The candidate that somebody may have meant: at most two letters off, or one in a short word. */
export function meant(typed: string, candidates: readonly string[]): string | undefined {
  const small = typed.toLowerCase().replace(/[_-]/g, '');
  let best: string | undefined;
  let least = typed.length <= 4 ? 2 : 3;
  for (const candidate of candidates) {
    const steps = distance(small, candidate.toLowerCase().replace(/[_-]/g, ''));
    if (steps < least) {
      best = candidate;
      least = steps;
    }
  }
  return best;
}

/** `did you mean "x"?` where something is near, else what there is. */
export function suggestion(typed: string, candidates: readonly string[], none: string): string {
  const near = meant(typed, candidates);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  return candidates.length === 0
    ? none
    : `wanted ${candidates.length === 1 ? '' : 'one of '}${candidates.join(', ')}`;
}

/** Letters that have to be changed, put in, left out or swapped to make one word of the other. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const change = at(last, j - 1) + (same ? 0 : 1);
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(change, at(last, j) + 1, at(row, j - 1) + 1, swap ? at(before, j - 2) + 1 : Infinity),
      );
    }
    before = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
