import { describe, expect, expectTypeOf, it } from 'vitest';
import * as z from 'zod';
import * as mini from 'zod/mini';
import { BridgeError } from '../src/errors.ts';
import { readParameters } from '../src/tools/parameters.ts';
import { defineTool, type Tool, type ToolContext } from '../src/tools.ts';

/** The compiler is what checks these: `npm run check` fails when a type is another one. */
describe('the types of a function', () => {
  it('are those of its zod schema, after its defaults, transformations and brands', () => {
    const tool = defineTool({
      name: 'book',
      description: 'd',
      parameters: z.object({
        people: z.int(),
        name: z.string().optional(),
        day: z.enum(['today', 'tomorrow']).default('today'),
        at: z.string().transform((text) => new Date(text)),
        tags: z.array(z.string()).nullable(),
        table: z.string().brand<'table'>(),
      }),
      run(args, call) {
        expectTypeOf(args.people).toEqualTypeOf<number>();
        expectTypeOf(args.name).toEqualTypeOf<string | undefined>();
        expectTypeOf(args.day).toEqualTypeOf<'today' | 'tomorrow'>();
        expectTypeOf(args.at).toEqualTypeOf<Date>();
        expectTypeOf(args.tags).toEqualTypeOf<string[] | null>();
        expectTypeOf(args.table).toEqualTypeOf<string & z.core.$brand<'table'>>();
        expectTypeOf(call).toEqualTypeOf<ToolContext>();
        // @ts-expect-error: there is no such argument
        return args.persons;
      },
    });
    expectTypeOf(tool).toEqualTypeOf<Tool>();
    expect(tool.check({ people: 2, at: '2026-11-21T20:00:00Z', tags: null, table: 'a' })).toEqual({
      ok: true,
      args: { people: 2, day: 'today', at: new Date('2026-11-21T20:00:00Z'), tags: null, table: 'a' },
    });
  });

  it('are unknown with a JSON Schema, and with none', () => {
    defineTool({
      name: 'a',
      description: 'd',
      parameters: { type: 'object', properties: { id: { type: 'string' } } },
      run(args) {
        expectTypeOf(args).toEqualTypeOf<Readonly<Record<string, unknown>>>();
        expectTypeOf(args['id']).toEqualTypeOf<unknown>();
      },
    });
    const plain = defineTool({
      name: 'b',
      description: 'd',
      run: (args) => expectTypeOf(args).toEqualTypeOf<Readonly<Record<string, unknown>>>(),
    });
    expect(plain.definition.parameters).toEqual({ type: 'object', properties: {} });
  });

  it('let a handler be async, and return anything', () => {
    const parameters = z.object({ id: z.string() });
    const tools = [
      defineTool({ name: 'a', description: 'd', parameters, run: async ({ id }) => ({ id }) }),
      defineTool({ name: 'b', description: 'd', parameters, run: () => undefined }),
      defineTool({ name: 'c', description: 'd', parameters, run: async () => [1] }),
    ];
    expectTypeOf(tools).toEqualTypeOf<Tool[]>();
    expectTypeOf<ReturnType<Tool['run']>>().toEqualTypeOf<unknown>();
    expect(tools).toHaveLength(3);
  });

  it('do not let a handler take other arguments than its schema gives, nor go without what a function needs', () => {
    const wrong = (): readonly Tool[] => [
      defineTool({
        name: 'a',
        description: 'd',
        // @ts-expect-error: the schema gives text, not a number
        parameters: z.object({ id: z.string() }),
        run: ({ id }: { id: number }) => id,
      }),
      // @ts-expect-error: there is no description
      defineTool({ name: 'a', run: () => 1 }),
      // @ts-expect-error: nothing is run
      defineTool({ name: 'a', description: 'd' }),
      // @ts-expect-error: a word that is not known
      defineTool({ name: 'a', description: 'd', timeout: 5, run: () => 1 }),
    ];
    expectTypeOf(wrong).returns.toEqualTypeOf<readonly Tool[]>();
  });

  it('let a handler do with the call what calls can do, and change nothing of it', () => {
    expectTypeOf<ToolContext['signal']>().toEqualTypeOf<AbortSignal>();
    expectTypeOf<ToolContext['idempotencyKey']>().toEqualTypeOf<string>();
    expectTypeOf<ToolContext['variables']>().toEqualTypeOf<Readonly<Record<string, string>>>();
    expectTypeOf<ToolContext['direction']>().toEqualTypeOf<'inbound' | 'outbound'>();
    const change = (call: ToolContext): void => {
      // @ts-expect-error: whose call it is does not change
      call.from = '';
      // @ts-expect-error: nor what is known of it
      call.variables['a'] = '';
    };
    expectTypeOf(change).returns.toEqualTypeOf<void>();
  });
});

describe('parameters', () => {
  /** The message for parameters that the types would not let pass. */
  function refusal(given: unknown): string {
    try {
      readParameters('fn', given as Readonly<Record<string, unknown>>);
    } catch (thrown) {
      if (thrown instanceof BridgeError && thrown.code === 'BAD_INPUT') return thrown.message;
    }
    throw new Error('they were taken');
  }

  it('may be made by zod mini', () => {
    const { schema, check } = readParameters(
      'fn',
      mini.object({ n: mini.number().check(mini.minimum(1)) }) as unknown as z.ZodType,
    );
    expect(schema).toMatchObject({ type: 'object', required: ['n'] });
    expect(check({ n: 1 })).toEqual({ ok: true, args: { n: 1 } });
    expect(check({ n: 0 })).toMatchObject({ ok: false });
  });

  it.each<[string, unknown, string]>([
    ['zod 3', { _def: { typeName: 'ZodObject' }, parse: () => 1 }, 'zod 3'],
    ['a late zod 3', { _def: {}, '~standard': { vendor: 'zod', version: 1 } }, 'zod 3'],
    ['another library', { '~standard': { vendor: 'valibot', version: 1 } }, 'valibot'],
    ['a library of functions', Object.assign(() => 1, { '~standard': { vendor: 'arktype' } }), 'arktype'],
    ['nobody', [{ type: 'object' }], 'something else'],
  ])('made by %s are refused by their name', (_who, given, name) => {
    expect(refusal(given)).toBe(
      `BAD_INPUT: tool fn: found parameters made by ${name}, wanted a zod 4 schema of an object or a JSON Schema`,
    );
  });

  it('that have no JSON Schema, or are no object, are refused', () => {
    expect(refusal(z.object({ at: z.date() }))).toContain('have no JSON Schema');
    expect(refusal(z.string())).toContain('type "string"');
    expect(refusal({})).toContain('type nothing');
    expect(refusal({ type: 'object', properties: { a: { type: 'strin' } } })).toContain('no JSON Schema');
  });
});
