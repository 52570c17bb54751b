import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { MAX_ARGUMENT_BYTES, parseArguments } from '../src/tools/arguments.ts';
import { checkArguments } from '../src/tools/check.ts';
import { repairArguments } from '../src/tools/repair.ts';
import { timeBox } from '../src/tools/time-box.ts';
import { defineTool, type Tool } from '../src/tools.ts';
import { asked, startRunner } from './support/tool-runs.ts';

const echo = defineTool({ name: 'echo', description: 'returns its arguments', run: (args) => args });

/** Says what it was run with. */
function recorder(parameters: Readonly<Record<string, unknown>> | z.ZodType): {
  readonly tool: Tool;
  readonly ran: unknown[];
} {
  const ran: unknown[] = [];
  const run = (args: unknown): string => {
    ran.push(args);
    return 'ok';
  };
  const traits = { name: 'book', description: '', run };
  const tool =
    parameters instanceof z.ZodType
      ? defineTool({ ...traits, parameters })
      : defineTool({ ...traits, parameters });
  return { tool, ran };
}

const BOOKING = {
  type: 'object',
  properties: {
    date: { type: 'string' },
    people: { type: 'integer', minimum: 1 },
    guests: { type: 'array', items: { type: 'object', properties: { age: { type: 'number' } } } },
    options: { type: 'object', properties: { outside: { type: 'boolean' } } },
    area: { enum: ['inside', 'terrace'] },
    note: { type: 'string' },
  },
  required: ['date', 'people'],
  additionalProperties: false,
};

describe('the time that a check may take', () => {
  /** Goes on until it is stopped. */
  function forEver(onBegin: () => void): never {
    onBegin();
    for (;;);
  }

  it.each([
    ['is given once more to work that was kept waiting by a busy machine', 0, 2],
    ['is given once to work that used it', 1000, 1],
  ])('%s', (_what, usedMs, times) => {
    let cpuMs = 0;
    let runs = 0;
    const work = (): never =>
      forEver(() => {
        runs += 1;
        cpuMs += usedMs;
      });
    expect(timeBox(20, work, () => cpuMs)).toEqual({ inTime: false });
    expect(runs).toBe(times);
  });
});

describe('the text of arguments', () => {
  it.each([
    ['nothing', ''],
    ['white space', ' \n\t'],
    ['null', 'null'],
    ['an empty text in JSON', '""'],
    ['a fence around nothing', '```json\n```'],
  ])('may be %s, for none', (_what, text) => {
    expect(parseArguments(text)).toEqual({ ok: true, args: {} });
  });

  it.each([
    ['once', '{"a":"x"}'],
    ['twice', JSON.stringify('{"a":"x"}')],
    ['three times', JSON.stringify(JSON.stringify('{"a":"x"}'))],
    ['four times', JSON.stringify(JSON.stringify(JSON.stringify('{"a":"x"}')))],
    ['with a byte order mark', '\uFEFF{"a":"x"}'],
    ['twice, with a byte order mark inside', JSON.stringify('\uFEFF {"a":"x"}')],
    ['in a fence', '```json\n{"a":"x"}\n```'],
    ['in a fence without a language', '```\n{"a":"x"}```'],
    ['in a fence on one line', '```json{"a":"x"}```'],
    ['in an open fence', '```json\n{"a":"x"}'],
    ['with a bracket too many', '{"a":"x"}}'],
    ['with the end of a fence', '{"a":"x"}\n```'],
    ['with a tag after it', '{"a":"x"}</tool_call>'],
    ['with words after it', '{"a":"x"} I have booked the table.'],
  ])('is read when it is encoded %s', (_how, text) => {
    expect(parseArguments(text)).toEqual({ ok: true, args: { a: 'x' } });
  });

  it('is read to the end of the object, whatever its strings hold', () => {
    const args = { a: '}"{', b: '\\', c: { d: '\\"}' } };
    expect(parseArguments(`${JSON.stringify(args)} and so on`)).toEqual({ ok: true, args });
  });

  it.each([
    ['{"a":1}{"a":2}', 'more than one JSON object'],
    ['{"a":1}\n{"a":1}', 'more than one JSON object'],
    ['{"a":', 'ends in the middle'],
    ['{"a":"x', 'ends in the middle'],
    ['{"a":"x\\', 'ends in the middle'],
    ['{a:1}', 'not valid JSON'],
    ['{"a":1,} done', 'not valid JSON'],
    ['book {"a":1}', 'not valid JSON'],
    ['```hello```', 'not valid JSON'],
    ['[{"a":1}]', 'an array'],
    ['7', 'a number'],
    ['true', 'a boolean'],
    ['"text"', 'not valid JSON'],
  ])('is refused when it is %j', (text, why) => {
    expect(parseArguments(text)).toEqual({ ok: false, problem: expect.stringContaining(why) });
  });

  it('is refused when it is too large, in bytes of UTF-8', () => {
    const fits = JSON.stringify({ a: 'x'.repeat(MAX_ARGUMENT_BYTES - 8) });
    expect(parseArguments(fits).ok).toBe(true);
    expect(parseArguments(`${fits} `).ok).toBe(false);
    const wide = JSON.stringify({ a: 'é'.repeat(MAX_ARGUMENT_BYTES / 2) });
    expect(parseArguments(wide)).toEqual({
      ok: false,
      problem: expect.stringContaining('larger than 262144'),
    });
  });

  it('is refused when it is nested so deep that checks would fail on it', () => {
    const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    expect(parseArguments(nested(64)).ok).toBe(true);
    expect(parseArguments(nested(65))).toEqual({ ok: false, problem: expect.stringContaining('64 levels') });
    expect(parseArguments(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`).ok).toBe(false);
  });

  it('does not reach a prototype, and keeps keys that only look so', () => {
    const text =
      '{"__proto__":{"admin":true},"a":[{"__proto__":1}],"constructor":{"prototype":{"admin":true}},"b":{"constructor":"Ferrari"}}';
    const read = parseArguments(text);
    expect(read).toEqual({ ok: true, args: { a: [{}], b: { constructor: 'Ferrari' } } });
    const args = read.ok ? read.args : {};
    expect(Object.hasOwn(args, '__proto__')).toBe(false);
    expect(Object.hasOwn(args, 'constructor')).toBe(false);
    expect(Object.assign({}, args)).not.toHaveProperty('admin');
  });
});

describe('arguments of another type', () => {
  it.each([
    [{ people: '4' }, { people: 4 }],
    [{ guests: '[{"age":"7"}]' }, { guests: [{ age: 7 }] }],
    [{ guests: ['{"age":7}'] }, { guests: [{ age: 7 }] }],
    [{ options: '{"outside":"true"}' }, { options: { outside: true } }],
    [{ note: null }, {}],
  ])('are repaired: %j', async (wrong, right) => {
    const { tool, ran } = recorder(BOOKING);
    const args = { date: '2026-11-27', people: 2, ...wrong };
    const { outcome } = await asked(startRunner([tool]), 'book', args);
    expect(outcome).toBe('done');
    expect(ran).toEqual([{ ...('note' in wrong ? { date: '2026-11-27', people: 2 } : args), ...right }]);
  });

  it.each([
    [{ people: 'four' }],
    [{ people: '0' }],
    [{ people: '2.5' }],
    [{ people: null }],
    [{ date: 20261127 }],
    [{ people: '12345678901234567890' }],
    [{ guests: '[1' }],
    [{ area: 'garden' }],
  ])('are not guessed: %j', async (wrong) => {
    const { tool, ran } = recorder(BOOKING);
    const args = { date: '2026-11-27', people: 2, ...wrong };
    const { outcome } = await asked(startRunner([tool]), 'book', args);
    expect(outcome).toBe('refused');
    expect(ran).toEqual([]);
  });

  it('stay as they are where they are right: a string that holds JSON may be what is wanted', async () => {
    const { tool, ran } = recorder(BOOKING);
    const args = { date: '{"a":1}', people: 2, note: '4' };
    await asked(startRunner([tool]), 'book', args);
    expect(ran).toEqual([args]);
  });

  it('are repaired with a zod schema as well, through references, unions and maps', async () => {
    const guest = z.object({ age: z.number() }).meta({ id: 'guest' });
    const { tool, ran } = recorder(
      z.object({
        one: guest,
        many: z.array(guest),
        by: z.record(z.string(), z.number()),
        either: z.union([z.number(), z.boolean()]),
        maybe: z.number().optional(),
      }),
    );
    const args = { one: '{"age":"1"}', many: [{ age: '2' }], by: { a: '3' }, either: 'false', maybe: null };
    const { outcome } = await asked(startRunner([tool]), 'book', args);
    expect(outcome).toBe('done');
    expect(ran).toEqual([{ one: { age: 1 }, many: [{ age: 2 }], by: { a: 3 }, either: false }]);
  });

  it('stay as they are where they are right, also when others are repaired', () => {
    const parameters = {
      type: 'object',
      properties: {
        either: { type: ['string', 'number'] },
        anything: {},
        code: { enum: ['1', '2'] },
        unset: { type: ['string', 'null'] },
        must: { type: 'string' },
        people: { type: 'number' },
      },
      required: ['must'],
    };
    const right = { either: '4', anything: '[1]', code: '1', unset: null, must: null };
    expect(repairArguments({ ...right, people: '4' }, parameters)).toEqual({ ...right, people: 4 });
    expect(repairArguments(right, parameters)).toBeUndefined();
  });

  it('come to an end with a schema that refers to itself', () => {
    const parameters = { type: 'object', properties: { next: { $ref: '#' } }, allOf: [{ $ref: '#' }] };
    expect(repairArguments({ next: '{"next":"{}"}' }, parameters)).toEqual({ next: { next: {} } });
    expect(repairArguments({ a: 1 }, parameters)).toBeUndefined();
  });

  it('cannot smuggle a prototype in', () => {
    const parameters = { type: 'object', properties: { options: { type: 'object' } } };
    const repaired = repairArguments({ options: '{"__proto__":{"admin":true},"a":1}' }, parameters);
    expect(repaired).toEqual({ options: { a: 1 } });
    expect(repaired?.['options']).not.toHaveProperty('admin');
    expect(Object.hasOwn(Object(repaired?.['options']), '__proto__')).toBe(false);
  });
});

describe('wrong arguments', () => {
  it('are told with place, wish, finding and parameters', async () => {
    const { tool } = recorder(BOOKING);
    const run = await asked(startRunner([tool]), 'book', { people: 'four', area: 'roof', gests: [] });
    expect(run.outcome).toBe('refused');
    const told = JSON.parse(run.result.output);
    expect(told).toMatchObject({
      error: 'the arguments of book are wrong; it was not run',
      parameters: BOOKING,
      next: 'correct the arguments and call book again',
    });
    expect(told.problems.sort()).toEqual([
      'area: must be one of ["inside","terrace"], found "roof"',
      'date: it is missing',
      'gests: there is no such parameter; the nearest is guests',
      'people: must be integer, found "four"',
    ]);
  });

  it('are told for a zod schema as well, and an author’s own words stand as they are', async () => {
    const { tool } = recorder(
      z.object({
        people: z.number(),
        date: z.string().regex(/^\d{4}-\d\d-\d\d$/, 'wanted YYYY-MM-DD'),
        size: z.union([z.number(), z.literal('all')]),
      }),
    );
    const run = await asked(startRunner([tool]), 'book', { people: 'four', date: 'Friday', size: [] });
    expect(JSON.parse(run.result.output).problems).toEqual([
      'people: Invalid input: expected number, received string, found "four"',
      'date: wanted YYYY-MM-DD',
      expect.stringMatching(/^size: none of these holds: .*number.*; or .*"all".*, found an array of 0$/),
    ]);
  });

  it('are not repeated where they are secret, nor in the error for the log', async () => {
    const tool = defineTool({
      name: 'pay',
      description: '',
      parameters: { type: 'object', properties: { code: { type: 'integer' }, pin: { type: 'integer' } } },
      redact: ['code'],
      run: () => 'paid',
    });
    const run = await asked(startRunner([tool]), 'pay', { code: 'four-two', pin: 'seven-one' });
    expect(run.outcome).toBe('refused');
    expect(run.result.output).toContain('code: must be integer, found a string of 8 characters');
    expect(JSON.stringify(run)).not.toMatch(/four-two|seven-one/);
  });

  it('never stand in the error for the log', async () => {
    const { tool } = recorder(BOOKING);
    for (const text of [
      '{"date":"27 November","people":',
      '{"date":"27 November","people":"many"}',
      '"27 November"',
    ]) {
      const { error } = await startRunner([tool]).tools.run('c', 'book', text);
      expect(error?.code).toBe('TOOL_FAILED');
      expect(error?.message).not.toMatch(/27 November|many/);
    }
  });

  it('are cut to what a model reads, however many there are', async () => {
    const { tool } = recorder({
      type: 'object',
      properties: { a: { type: 'array', items: { type: 'integer' } } },
    });
    const run = await asked(startRunner([tool]), 'book', { a: Array.from({ length: 1000 }, () => 'x') });
    expect(run.outcome).toBe('refused');
    expect(run.result.output.length).toBeLessThan(5000);
    expect(JSON.parse(run.result.output).problems.at(-1)).toMatch(/^and \d+ more$/);
  });

  it('are told in outline when the parameters are long', async () => {
    const properties = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`p${i}`, { type: 'string', description: 'x'.repeat(200) }]),
    );
    const { tool } = recorder({ type: 'object', properties, required: ['p0'] });
    const run = await asked(startRunner([tool]), 'book', {});
    expect(JSON.parse(run.result.output).parameters).toEqual({
      properties: Object.keys(properties),
      required: ['p0'],
    });
  });

  it('three times in a row: the model is told to ask instead of guessing; right ones make good for it', async () => {
    const { tool } = recorder(BOOKING);
    const runner = startRunner([tool]);
    const next = async (): Promise<string> =>
      JSON.parse((await asked(runner, 'book', { people: 0 })).result.output).next;
    expect(await next()).toContain('call book again');
    expect(await next()).toContain('call book again');
    expect(await next()).toContain('ask the caller');
    await asked(runner, 'book', { date: 'x', people: 1 });
    expect(await next()).toContain('call book again');
  });

  it('of a function that is not there: the names are told, the nearest first, and it is cut', async () => {
    const tools = ['end_call', 'book_table', 'find_customer'].map((name) =>
      defineTool({ name, description: '', run: () => 1 }),
    );
    const run = await asked(startRunner(tools), 'bookTable', {});
    expect(run.outcome).toBe('refused');
    expect(JSON.parse(run.result.output).error).toMatch(
      /^there is no function "bookTable"; there are: book_table, /,
    );
    const long = await asked(startRunner(tools), 'x'.repeat(5000), {});
    expect(long.result.output.length).toBeLessThan(300);
    const none = await asked(startRunner([]), 'any', {});
    expect(none.result.output).toContain('there are: none');
  });

  it.each(['__proto__', 'constructor', 'toString', ''])(
    'of a function named %j: there is none',
    async (name) => {
      expect((await asked(startRunner([echo]), name, {})).outcome).toBe('refused');
    },
  );
});

describe('the name that the model writes', () => {
  it('is cut to the length of the longest there are', async () => {
    const runner = startRunner([echo]);
    const { name, outcome } = await asked(runner, `call_${'z'.repeat(57)}😀${'z'.repeat(100_000)}`);
    expect([outcome, name]).toEqual(['refused', `call_${'z'.repeat(57)}…`]);
    expect((await asked(runner, 'z'.repeat(64))).name).toBe('z'.repeat(64));
  });
});

describe('a check', () => {
  const hanging = defineTool({
    name: 'hanging',
    description: '',
    // The pattern is bad on purpose: it takes 2^n steps for n letters.
    parameters: { type: 'object', properties: { name: { type: 'string', pattern: '^(a+)+$' } } },
    run: () => 'ran',
  });

  it('that would take for ever is given up, and the function is not run', async () => {
    const run = await asked(startRunner([hanging]), 'hanging', { name: `${'a'.repeat(60)}!` });
    expect(run).toMatchObject({ outcome: 'refused', result: { isError: true } });
    expect(run.result.output).toContain('too long to check');
    expect((await asked(startRunner([hanging]), 'hanging', { name: 'aaa' })).outcome).toBe('done');
  });

  it('that was stopped is not done again in the same call, and other functions go on', async () => {
    let checks = 0;
    const slow: Tool = {
      ...echo,
      definition: { ...echo.definition, name: 'slow' },
      check: () => {
        checks += 1;
        for (;;);
      },
    };
    const runner = startRunner([slow, echo]);
    const all = await Promise.all(Array.from({ length: 6 }, () => asked(runner, 'slow')));
    expect(all.map(({ outcome }) => outcome)).toEqual(Array(6).fill('refused'));
    expect(all[5]?.result.output).toContain('cannot be used any more in this call');
    // Twice, if the machine was so busy that the first time says nothing.
    expect(checks).toBeLessThanOrEqual(2);
    expect((await asked(runner, 'echo')).outcome).toBe('done');
  });

  it('has less time where checks of the function, or others of the call, were stopped three times', () => {
    const working = (wallMs: number): Tool => ({
      ...echo,
      check: (args) => {
        const from = performance.now();
        while (performance.now() - from < wallMs);
        return { ok: true, args };
      },
    });
    // Longer than the short time and much shorter than the long one.
    const tool = working(15);
    expect(checkArguments(tool, {}, 2).status).toBe('right');
    expect(checkArguments(tool, {}, 3).status).toBe('slow');
    expect(checkArguments(tool, {}, 0).status).toBe('right');
    for (let i = 0; i < 2; i++) expect(checkArguments(tool, {}, 3).status).toBe('slow');
    expect(checkArguments(tool, {}, 0).status).toBe('slow');
    expect(checkArguments(working(0), {}, 0).status).toBe('right');
  });

  it('that throws or cannot be done at once fails the call, and the function is not run', async () => {
    const throwing = recorder(z.object({}).refine(() => JSON.parse('{')));
    const run = await asked(startRunner([throwing.tool]), 'book', {});
    expect(run.outcome).toBe('failed');
    expect(run.result.output).toContain('it was not run'.replace('it', 'the function'));
    const later = recorder(z.object({}).refine(async () => true));
    expect((await asked(startRunner([later.tool]), 'book', {})).outcome).toBe('failed');
    expect([...throwing.ran, ...later.ran]).toEqual([]);
  });

  it('has a limit of time, also within another one, and passes on what it finds and throws', () => {
    expect(timeBox(1000, () => timeBox(1000, () => 7))).toEqual({
      inTime: true,
      value: { inTime: true, value: 7 },
    });
    expect(() =>
      timeBox(1000, () => {
        throw new RangeError('own');
      }),
    ).toThrow(RangeError);
    expect(timeBox(1000, () => undefined)).toEqual({ inTime: true, value: undefined });
  });
});

describe('parameters', () => {
  const define = (parameters: Readonly<Record<string, unknown>>): Tool =>
    defineTool({ name: 'f', description: '', parameters, run: () => 1 });

  it.each([
    ['refer to the outside', { type: 'object', properties: { a: { $ref: 'https://example.com/a.json' } } }],
    ['are checked later', { type: 'object', $async: true }],
    ['are of another type', { type: 'array' }],
    ['are of no type', {}],
    ['are no schema', { type: 'object', properties: { a: { type: 'text' } } }],
    ['hold a pattern that is none', { type: 'object', properties: { a: { pattern: '(' } } }],
    ['are too long', { type: 'object', description: 'x'.repeat(100_001) }],
  ])('that %s are refused', (_what, parameters) => {
    expect(() => define(parameters)).toThrow(/BAD_INPUT: tool f: /);
  });

  it('that name what every object inherits are those of the arguments', () => {
    const tool = define({
      type: 'object',
      properties: { constructor: { type: 'string' }, toString: { type: 'string' } },
      required: ['constructor'],
    });
    expect(tool.check({}).ok).toBe(false);
    expect(tool.check({ constructor: 'Ferrari' }).ok).toBe(true);
  });

  it('of draft 7 are read as such', () => {
    const parameters = {
      type: 'object',
      properties: { at: { type: 'array', items: [{ type: 'number' }, { type: 'string' }] } },
    };
    const tool = define({ ...parameters, $schema: 'http://json-schema.org/draft-07/schema#' });
    expect(tool.check({ at: [1, 'x'] }).ok).toBe(true);
    expect(tool.check({ at: ['x', 1] }).ok).toBe(false);
    expect(() => define(parameters)).toThrow(/no JSON Schema/);
  });

  it('may have formats and keywords that nobody knows', () => {
    const tool = define({
      type: 'object',
      properties: { a: { type: 'string', format: 'dial-code', example: 'x' } },
    });
    expect(tool.check({ a: 'x' }).ok).toBe(true);
  });

  it.each([
    { timeoutMs: 0 },
    { timeoutMs: Number.NaN },
    { timeoutMs: Number.POSITIVE_INFINITY },
    { maxResultChars: 0 },
    { maxResultChars: -1 },
    { fillerAfterMs: -1 },
  ])('go with amounts that can be kept to: not %j', (traits) => {
    expect(() => defineTool({ name: 'f', description: '', ...traits, run: () => 1 })).toThrow(
      /BAD_INPUT: tool f: found a/,
    );
  });
});
