import {
  fillText,
  onlyPlace,
  parseTemplate,
  type Template,
  textOf,
  type Values,
  valueAt,
} from './template.ts';

/** The body of a request with places to fill. */
export type BodyTemplate =
  /** The arguments themselves: those with these names, or with `others` all but `not`. */
  | {
      readonly type: 'arguments';
      readonly names: readonly string[];
      readonly others: boolean;
      readonly not: readonly string[];
      readonly contentType: string;
      readonly form: boolean;
    }
  | {
      readonly type: 'json';
      readonly node: Node;
      readonly contentType: string;
      readonly form: boolean;
    };

type Node =
  | { readonly type: 'text'; readonly template: Template }
  | { readonly type: 'list'; readonly items: readonly Node[] }
  | { readonly type: 'object'; readonly entries: readonly (readonly [key: string, node: Node])[] }
  | { readonly type: 'constant'; readonly value: unknown };

interface BodySpec {
  readonly method: string;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  readonly body?: unknown;
}

interface CompiledBody {
  readonly body: BodyTemplate | undefined;
  readonly templates: readonly Template[];
  readonly problem: string | undefined;
}

const JSON_TYPE = 'application/json';

/** Reads the body of a request; `used` are the arguments that go elsewhere. */
export function compileBody(
  spec: BodySpec,
  contentType: string = JSON_TYPE,
  used: readonly string[],
): CompiledBody {
  const kind = bodyKind(contentType);
  const isRead = spec.method === 'GET' || spec.method === 'HEAD';
  if (isRead || (spec.body === undefined && spec.method === 'DELETE')) {
    const problem =
      spec.body === undefined
        ? undefined
        : `found a body in a ${spec.method}, wanted POST, PUT, PATCH or DELETE for it`;
    return { body: undefined, templates: [], problem };
  }
  if (kind === undefined) {
    const problem = `found the content type ${contentType}, wanted application/json or application/x-www-form-urlencoded`;
    return { body: undefined, templates: [], problem };
  }
  const form = kind === 'form';
  if (spec.body === undefined) return argumentsBody(spec, contentType, form, used);
  const node = compileNode(spec.body);
  const body: BodyTemplate = { type: 'json', node, contentType, form };
  return { body, templates: templatesIn(node), problem: nodeProblem(node, form) };
}

/** The body as it goes over the wire. */
export function fillBody(body: BodyTemplate, values: Values): string {
  const value = body.type === 'json' ? fillNode(body.node, values) : pickArguments(body, values.args);
  return body.form ? formText(value) : (JSON.stringify(value) ?? '{}');
}

function argumentsBody(
  spec: BodySpec,
  contentType: string,
  form: boolean,
  used: readonly string[],
): CompiledBody {
  const properties = spec.parameters?.['properties'];
  const declared = typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
  // Models invent arguments; the service gets them only where the schema says that there may be more.
  const additional = spec.parameters?.['additionalProperties'] ?? false;
  const body: BodyTemplate = {
    type: 'arguments',
    names: declared.filter((name) => !used.includes(name)),
    others: additional !== false,
    not: used,
    contentType,
    form,
  };
  return { body, templates: [], problem: undefined };
}

function bodyKind(contentType: string): 'json' | 'form' | undefined {
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === JSON_TYPE || type.endsWith('+json')) return 'json';
  return type === 'application/x-www-form-urlencoded' ? 'form' : undefined;
}

function compileNode(value: unknown): Node {
  if (typeof value === 'string') return { type: 'text', template: parseTemplate(value) };
  if (Array.isArray(value)) return { type: 'list', items: value.map(compileNode) };
  if (typeof value === 'object' && value !== null) {
    return {
      type: 'object',
      entries: Object.entries(value).map(([key, child]) => [key, compileNode(child)]),
    };
  }
  return { type: 'constant', value };
}

function nodeProblem(node: Node, form: boolean): string | undefined {
  if (node.type === 'text' && onlyPlace(node.template) === undefined) {
    return 'found text, wanted an object, a list, or one "{argument}"';
  }
  return form && node.type !== 'object'
    ? 'found a form that is no object, wanted names and values'
    : undefined;
}

function templatesIn(node: Node): readonly Template[] {
  switch (node.type) {
    case 'text':
      return [node.template];
    case 'list':
      return node.items.flatMap(templatesIn);
    case 'object':
      return node.entries.flatMap(([, child]) => templatesIn(child));
    case 'constant':
      return [];
  }
}

/** Undefined: a place in it has no value, so that whatever holds it goes without. */
function fillNode(node: Node, values: Values): unknown {
  switch (node.type) {
    case 'constant':
      return node.value;
    case 'text': {
      const place = onlyPlace(node.template);
      return place === undefined ? fillText(node.template, values, (text) => text) : valueAt(place, values);
    }
    case 'list':
      return node.items.map((item) => fillNode(item, values)).filter((item) => item !== undefined);
    case 'object':
      return Object.fromEntries(
        node.entries
          .map(([key, child]) => [key, fillNode(child, values)] as const)
          .filter(([, value]) => value !== undefined),
      );
  }
}

function pickArguments(
  { names, others, not }: Extract<BodyTemplate, { readonly type: 'arguments' }>,
  args: Values['args'],
): unknown {
  const wanted = ([name]: readonly [string, unknown]): boolean =>
    names.includes(name) || (others && !not.includes(name));
  return Object.fromEntries(Object.entries(args).filter(wanted));
}

function formText(value: unknown): string {
  const form = new URLSearchParams();
  if (typeof value !== 'object' || value === null) return '';
  for (const [key, entry] of Object.entries(value)) {
    if (entry === null) continue;
    for (const one of Array.isArray(entry) ? entry : [entry]) form.append(key, textOf(one));
  }
  return form.toString();
}
