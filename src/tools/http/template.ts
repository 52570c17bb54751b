/** A text with places to fill: `{arg}` is an argument of the function, `{{name}}` a variable of the call. */
export type Template = readonly Part[];

/** One piece of a template. */
export type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'argument'; readonly name: string }
  | { readonly type: 'variable'; readonly name: string };

/** What the places are filled with. */
export interface Values {
  readonly args: Readonly<Record<string, unknown>>;
  readonly variables: Readonly<Record<string, string>>;
}

const PLACE = /\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}/g;

/** Reads a template; braces around anything that is no name are text. */
export function parseTemplate(source: string): Template {
  const parts: Part[] = [];
  let end = 0;
  for (const match of source.matchAll(PLACE)) {
    if (match.index > end) parts.push({ type: 'text', text: source.slice(end, match.index) });
    const [whole, variable, argument] = match;
    if (variable !== undefined) parts.push({ type: 'variable', name: variable });
    else if (argument !== undefined) parts.push({ type: 'argument', name: argument });
    end = match.index + whole.length;
  }
  if (end < source.length) parts.push({ type: 'text', text: source.slice(end) });
  return parts;
}

/** The names of its arguments or its variables, each once. */
export function namesIn(templates: readonly Template[], type: 'argument' | 'variable'): readonly string[] {
  const names = templates.flat().flatMap((part) => (part.type === type ? [part.name] : []));
  return [...new Set(names)];
}

/** The value of a place; undefined when there is none for it. */
export function valueAt(
  part: Exclude<Part, { readonly type: 'text' }>,
  { args, variables }: Values,
): unknown {
  const source: Readonly<Record<string, unknown>> = part.type === 'argument' ? args : variables;
  // Not what every object has: `{constructor}` is a place like any other.
  return Object.hasOwn(source, part.name) ? source[part.name] : undefined;
}

/**
 * The text with its places filled, each through `encode`; undefined when a place has no value or null. What a value
 * holds is never read as a template.
 */
export function fillText(
  template: Template,
  values: Values,
  encode: (text: string, value: unknown, name: string) => string,
): string | undefined {
  let text = '';
  for (const part of template) {
    if (part.type === 'text') {
      text += part.text;
      continue;
    }
    const value = valueAt(part, values);
    if (value === undefined || value === null) return undefined;
    text += encode(textOf(value), value, part.name);
  }
  return text;
}

/** The only place of a template that is nothing else; undefined for every other template. */
export function onlyPlace(template: Template): Exclude<Part, { readonly type: 'text' }> | undefined {
  const [only, ...others] = template;
  return only !== undefined && others.length === 0 && only.type !== 'text' ? only : undefined;
}

/** A value inside other text: scalars as they are, everything else as JSON. */
export function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
