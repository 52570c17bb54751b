import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { collectDigits, currentTime, leaveMessage, sendDigits, transferCall } from '../src/tools/built-in.ts';
import { type CheckedArguments, readParameters } from '../src/tools/parameters.ts';
import type { Tool } from '../src/tools.ts';

const DESTINATIONS = [
  { name: 'desk', to: '+15550100111', description: undefined, ringS: 20 },
  { name: 'the "other" one', to: '+15550100112', description: 'for the rest', ringS: 20 },
].map((one) => ({ ...one, callerId: undefined, announce: undefined, language: undefined }));

/** The bridge's own functions, each with the zod schema that says the same. */
const FUNCTIONS: readonly { readonly tool: Tool; readonly same: z.ZodType }[] = [
  {
    tool: currentTime,
    same: z.object({
      time_zone: z.string().optional().describe('IANA name such as Europe/Berlin; the default is UTC'),
    }),
  },
  {
    tool: transferCall(DESTINATIONS),
    same: z.object({ destination: z.enum(DESTINATIONS.map(({ name }) => name)) }),
  },
  {
    tool: sendDigits,
    same: z.object({
      digits: z.string().regex(/^[0-9*#A-DwW]{1,64}$/, 'wanted 1 to 64 of 0-9 * # A-D w W'),
    }),
  },
  {
    tool: collectDigits({ max: 4, endKey: '#', firstMs: 1, nextMs: 1 }),
    same: z.object({
      max_digits: z.int().min(1).max(64).optional().describe('so many keys are enough'),
      end_key: z.enum(['#', '*', 'none']).optional().describe('the key that finishes the input'),
    }),
  },
  {
    tool: leaveMessage(undefined),
    same: z.object({ message: z.string().min(1).max(2000).describe('what is said after the beep') }),
  },
];

/** What models write, and what they could. */
const VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  0,
  1,
  1.5,
  -3,
  64,
  65,
  Number.POSITIVE_INFINITY,
  '',
  ' ',
  '1',
  '12#',
  'desk',
  'the "other" one',
  'none',
  '#',
  'Europe/Berlin',
  'x'.repeat(61),
  'x'.repeat(2000),
  'x'.repeat(2001),
  '😀'.repeat(1001),
  [],
  ['desk'],
  {},
  { toString: null },
];

/** Of an empty array in the place of text zod says two things: that it is none, and that it is too short. */
function firstOfEach(checked: CheckedArguments): CheckedArguments {
  if (checked.ok) return checked;
  const places = checked.problems.map((problem) => problem.split(':', 1)[0]);
  return { ok: false, problems: checked.problems.filter((_, i) => places.indexOf(places[i]) === i) };
}

describe.each(FUNCTIONS)('the parameters of $tool.definition.name', ({ tool, same }) => {
  const asZod = readParameters(tool.definition.name, same, tool.redact);
  const names = Object.keys(asZod.schema['properties'] as object);

  it('are told to the model as zod would tell them', () => {
    expect(JSON.stringify(tool.definition.parameters)).toBe(JSON.stringify(asZod.schema));
  });

  it('are checked as zod would check them, in the same words', () => {
    const outcomes = new Set<boolean>();
    const check = (args: Readonly<Record<string, unknown>>): void => {
      const found: CheckedArguments = tool.check(args);
      expect(found).toEqual(firstOfEach(asZod.check(args)));
      outcomes.add(found.ok);
    };
    check({});
    check({ unknown: 1 });
    check(JSON.parse('{"__proto__":{"digits":"1","destination":"desk","message":"x"},"constructor":1}'));
    for (const first of VALUES) {
      for (const second of VALUES) {
        check({ ...Object.fromEntries(names.map((name, i) => [name, i === 0 ? first : second])), more: 1 });
      }
    }
    expect(outcomes).toEqual(new Set([true, false]));
  });
});
