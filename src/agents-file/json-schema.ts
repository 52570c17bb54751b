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
  return `${JSON.stringify(agentsJsonSchema(), null, 2)}\n`;
}
