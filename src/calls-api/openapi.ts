import { z } from 'zod';
import { CALL_OPERATIONS, type Operation, SERVICE_OPERATIONS } from './operations.ts';
import { ANSWERS, EventsQuery, ListQuery, REQUESTS } from './shapes.ts';

const QUERIES = { ListQuery, EventsQuery };

type Json = { readonly [key: string]: unknown };

const ABOUT = `Places, watches and controls phone calls.

Everything under \`/calls\` asks for the bearer token that the service has as API_TOKEN; without one there is no such
interface, and every request is answered 404. Times are ISO 8601 in UTC. Answers may get more fields. Another method than
those below is answered 405.`;

/** The OpenAPI 3.1 description of the operators' interface, made from the table that the routes are made from. */
export function describeApi(): Json {
  const operations: [string, Operation][] = [
    ...Object.entries(CALL_OPERATIONS),
    ...Object.entries(SERVICE_OPERATIONS),
  ];
  const paths: Record<string, Record<string, Json>> = {};
  for (const [name, operation] of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][operation.method] = describeOperation(name, operation);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Patchcord', version: '1.0.0', description: ABOUT },
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'API_TOKEN of the service.' },
      },
      schemas: { ...schemasOf(REQUESTS, 'input'), ...schemasOf(ANSWERS, 'output') },
    },
  };
}

function describeOperation(name: string, operation: Operation): Json {
  const { summary, text, access, request, answers } = operation;
  const parameters = parametersOf(operation);
  return {
    operationId: name,
    tags: [operation.path.startsWith('/calls') ? 'calls' : 'service'],
    summary,
    ...(text === undefined ? {} : { description: text }),
    security: { open: [], token: [{ token: [] }], 'token-if-set': [{ token: [] }, {}] }[access],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(request === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: reference(request) } } } }),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer)]),
    ),
  };
}

function describeAnswer({ text, schema, type, headers }: Operation['answers'][number]): Json {
  const content =
    schema === undefined
      ? { [type ?? 'text/plain']: { schema: { type: 'string' } } }
      : { 'application/json': { schema: reference(schema) } };
  return {
    description: text,
    ...(headers === undefined ? {} : { headers: mapValues(headers, (meaning) => described(meaning, TEXT)) }),
    content,
  };
}

const TEXT: Json = { type: 'string' };

function described(description: string, schema: Json): Json {
  return { description, schema };
}

function parametersOf({ path, query, headers = {} }: Operation): Json[] {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    ...described('The id of the call.', TEXT),
  }));
  const fields =
    query === undefined ? {} : (z.toJSONSchema(QUERIES[query], { io: 'input' }).properties ?? {});
  const inQuery = Object.entries(fields).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema,
  }));
  const inHeader = Object.entries(headers).map(([name, meaning]) => ({
    name,
    in: 'header',
    required: false,
    ...described(meaning, TEXT),
  }));
  return [...inPath, ...inQuery, ...inHeader];
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function schemasOf(
  schemas: Readonly<Record<string, z.ZodType>>,
  io: 'input' | 'output',
): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const made = z.toJSONSchema(registry, {
    io,
    uri: (id) => `#/components/schemas/${id}`,
    override: ({ jsonSchema }) => {
      // Whoever reads answers must be ready for fields that come with a later version.
      if (io === 'output' && jsonSchema.additionalProperties === false)
        delete jsonSchema.additionalProperties;
      // The format says it, and the pattern fills the screen.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
  return mapValues(made.schemas, ({ $schema: _, $id: __, ...schema }) => ({ ...schema }));
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
