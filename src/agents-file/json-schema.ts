import { z } from 'zod';
import { agentsFileSchema } from './schema.ts';

type Json = Readonly<Record<string, unknown>>;

const TITLE = 'Patchcord agents file';

/**
 * The JSON Schema (draft 7) of an agents file as users write it, made from the schema that checks it. What one value
 * says of another (names of agents, of functions, of variables) is only known to `patchcord check`.
 */
export function agentsJsonSchema(): Json {
  const { $schema, ...schema } = z.toJSONSchema(agentsFileSchema, {
    io: 'input',
    // The one that editors know whole.
    target: 'draft-7',
    override({ jsonSchema }) {
      // Editors show a pattern, and this one says less than its meaning.
      if (jsonSchema.pattern === '\\S') {
        delete jsonSchema.pattern;
        jsonSchema.minLength = 1;
      }
      // The limits of whole numbers in JavaScript are nobody's concern.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return { $schema, title: TITLE, ...schema };
}

/** The text of `docs/agents.schema.json`. */
export function agentsJsonSchemaText(): string {
  return `${printed(agentsJsonSchema(), '', 0)}\n`;
}

const LINE_WIDTH = 110;

/** JSON as formatters like it: lists of words on one line where they fit. `column` is where the value begins. */
function printed(value: unknown, indent: string, column: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const plain = value.every((item) => typeof item !== 'object');
    const line = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`;
    // Room for the comma behind it.
    if (plain && column + line.length < LINE_WIDTH) return line;
    return `[\n${value.map((item) => inner + printed(item, inner, inner.length)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, item]) => {
    const start = `${inner}${JSON.stringify(key)}: `;
    return start + printed(item, inner, start.length);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}
