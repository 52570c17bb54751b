import { z } from 'zod';
import { RECORDED_BY, type RecordedBy } from '../recording-terms.ts';
import { MAX_VARIABLE_CHARS, VARIABLE_NAME } from '../text-forms.ts';

/** Why a call is not taken, as carriers can say it. */
export type RejectReason = 'busy' | 'rejected';

/** What an answer of the start webhook says, or what is wrong with it. */
export type ReadAnswer =
  | {
      readonly type: 'answer';
      readonly agent: string | undefined;
      readonly variables: Readonly<Record<string, string>>;
      /** Who records the call; undefined: not said. */
      readonly recording: RecordedBy | undefined;
    }
  | { readonly type: 'reject'; readonly reason: RejectReason }
  | { readonly type: 'wrong'; readonly problem: string };

const MAX_VARIABLES = 64;
const AGENT = /^[a-z0-9][a-z0-9-]{0,63}$/;

const VALUE_WANTED = `text of at most ${MAX_VARIABLE_CHARS} characters, a number, true or false`;
const NAME_WANTED = 'names of letters, digits, _ and ., at most 64 characters, not beginning with a digit';

const RECORDING_WANTED = '"off", "bridge", "carrier" or "both"';

const Value = z
  .union([z.string().max(MAX_VARIABLE_CHARS, { error: VALUE_WANTED }), z.number(), z.boolean()], {
    error: VALUE_WANTED,
  })
  .transform(String);

const Answer = z.strictObject(
  {
    agent: z
      .string({ error: 'the name of an agent' })
      .regex(AGENT, { error: 'the name of an agent' })
      .optional(),
    variables: z
      .record(z.string().regex(VARIABLE_NAME, { error: NAME_WANTED }), Value, { error: 'an object' })
      .refine((found) => Object.keys(found).length <= MAX_VARIABLES, {
        error: `at most ${MAX_VARIABLES} variables`,
      })
      .default({}),
    recording: z.enum(RECORDED_BY, { error: RECORDING_WANTED }).optional(),
    reject: z
      .union([z.literal(true), z.enum(['busy', 'rejected'])], { error: 'true, "busy" or "rejected"' })
      .optional(),
  },
  { error: 'a JSON object' },
);

/** Reads the body of an answer: an empty one is "go on", undefined one that is too long. What is wrong is told without what was found in it. */
export function readStartAnswer(text: string | undefined): ReadAnswer {
  if (text === undefined) return { type: 'wrong', problem: 'the answer is longer than 64 KiB' };
  if (text.trim() === '') return { type: 'answer', agent: undefined, variables: {}, recording: undefined };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // Not the parser's own words: they quote the text.
    return { type: 'wrong', problem: 'the answer is no JSON' };
  }
  const read = Answer.safeParse(json);
  if (!read.success) return { type: 'wrong', problem: problemsOf(read.error) };
  const { agent, variables, recording, reject } = read.data;
  if (reject === undefined) return { type: 'answer', agent, variables, recording };
  return { type: 'reject', reason: reject === 'busy' ? 'busy' : 'rejected' };
}

function problemsOf(error: z.ZodError): string {
  const shown = error.issues.slice(0, 5).map(problemOf);
  const more = error.issues.length - shown.length;
  return `the answer: ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

function problemOf(issue: z.core.$ZodIssue): string {
  const path = issue.path.map((part) => plain(String(part))).join('.');
  if (issue.code === 'unrecognized_keys') {
    const found = issue.keys.map(plain).join(', ');
    return `found ${found}, wanted only agent, variables, recording and reject`;
  }
  // A record tells of a bad key by an issue inside its own.
  const wanted = issue.code === 'invalid_key' ? NAME_WANTED : issue.message;
  return `${path === '' ? '' : `${path}: `}wanted ${wanted}`;
}

/** A key that is a name; anything else may be what nobody wants in a log. */
function plain(key: string): string {
  return /^[A-Za-z_][A-Za-z_.-]{0,63}$/.test(key) ? key : `a key of ${key.length} characters`;
}
