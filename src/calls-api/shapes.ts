import { z } from 'zod';
import { BUILT_IN_VARIABLES, isBuiltInVariable } from '../agents-file/template.ts';
import { END_REASONS } from '../call-events.ts';
import type { CallView, RecordedEvent } from '../call-records.ts';
import { CALL_OUTCOMES, CARRIERS, MACHINE_RESULTS } from '../carrier.ts';
import { ERRORS, type ErrorCode } from '../errors.ts';
import { RECORDED_BY } from '../recording-terms.ts';
import { matching, text, whole } from '../schema-parts.ts';
import { CALL_ADDRESS, MAX_VARIABLE_CHARS, VARIABLE_NAME } from '../text-forms.ts';

/**
 * Everything that goes in and out of the operators' interface. Requests are read by these schemas, answers have their
 * types, and the OpenAPI description is made from them. The message of a rule is what was wanted.
 */

/** Longest and shortest time that a telephone may be let ring, in seconds. */
export const RING_S = { min: 5, max: 600 } as const;
const LONGEST_CALL_S = 86_400;
const ADDRESS_WANTED = '+ and 3 to 15 digits, or sip:…';

function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(', ')}` });
}

const address = matching(CALL_ADDRESS, ADDRESS_WANTED);
const VARIABLE_WANTED =
  'a name of letters, digits, _ and ., at most 64 characters, not beginning with a digit';
/** They reach reports and functions as what the bridge itself knows. */
const VARIABLE_TAKEN = `another name than those that the bridge fills in itself (${BUILT_IN_VARIABLES.join(', ')})`;
const A_BODY = { error: 'a JSON object' };

const MachineDetection = z
  .union(
    [
      z.literal('off'),
      z.strictObject({ mode: z.enum(['report', 'hang-up']) }),
      z.strictObject({ mode: z.literal('leave-message'), message: text(2000) }),
    ],
    {
      error:
        '"off", {"mode":"report"}, {"mode":"hang-up"} or {"mode":"leave-message","message":text of 1 to 2000 characters}',
    },
  )
  .describe(
    'What is done when a machine answers: nothing is found out, it is only told, the call ends, or a message is left after the beep.',
  );

const PlaceCall = z
  .strictObject(
    {
      carrier: oneOf(CARRIERS)
        .optional()
        .describe('By whom the call goes out; may be left out where only one carrier is configured.'),
      to: address.describe('Who is called: a number in E.164, or a SIP address.'),
      from: address.describe('The number that they see; it has to belong to the account at the carrier.'),
      ringSeconds: whole(RING_S.min, RING_S.max).default(40).describe('How long it rings.'),
      maxSeconds: whole(1, LONGEST_CALL_S)
        .optional()
        .describe('Longest duration at the carrier. Default, and never more: MAX_CALL_SECONDS.'),
      machineDetection: MachineDetection.default('off'),
      agent: text(64)
        .optional()
        .describe('Who talks; default: whoever the agents file has for the number `from`.'),
      variables: z
        .record(
          matching(VARIABLE_NAME, VARIABLE_WANTED).refine((name) => !isBuiltInVariable(name), {
            error: VARIABLE_TAKEN,
          }),
          z
            .string({ error: 'text' })
            .max(MAX_VARIABLE_CHARS, { error: `text of at most ${MAX_VARIABLE_CHARS} characters` }),
        )
        .optional()
        .describe('What the agent is told: fills `{{name}}` in its texts.'),
      recording: oneOf(RECORDED_BY)
        .optional()
        .describe(
          'Who records the call: this service (bridge), the carrier, both, or nobody (off); default: as the agent has it.',
        ),
    },
    A_BODY,
  )
  .meta({
    description: 'A call to be placed.',
    examples: [{ to: '+14155550123', from: '+14155550100', machineDetection: { mode: 'hang-up' } }],
  });

const TransferCall = z
  .strictObject(
    {
      to: address.describe('To whom the caller is put through.'),
      callerId: address.optional().describe('What they see; default: what the carrier shows by itself.'),
      ringSeconds: whole(RING_S.min, RING_S.max).default(25).describe('How long they are rung.'),
      announce: text(1000)
        .optional()
        .describe('Told to them before they are connected, where the carrier can.'),
      language: matching(/^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$/, 'a language such as en or en-GB')
        .optional()
        .describe('Of the announcement.'),
    },
    A_BODY,
  )
  .meta({
    description: 'To whom the caller is put through.',
    examples: [{ to: '+14155550155', announce: 'A caller with a question about an invoice.' }],
  });

const SendDigits = z
  .strictObject(
    {
      digits: matching(/^[0-9A-Da-d*#wW]{1,64}$/, '1 to 64 of 0-9 A-D * # w W').describe(
        'Keys to be pressed; w is a pause of half a second, W of a second.',
      ),
    },
    A_BODY,
  )
  .meta({ description: 'Keys to be pressed.', examples: [{ digits: '1w2#' }] });

/** What may follow the question mark of a list of calls. */
export const ListQuery = z.strictObject({
  status: oneOf(['live', 'ended', 'all']).default('all').describe('Which calls.'),
  limit: whole(1, 1000).default(100).describe('At most so many.'),
});

/** What may follow the question mark of the events of a call. */
export const EventsQuery = z.strictObject({
  after: whole(0, Number.MAX_SAFE_INTEGER)
    .default(0)
    .describe('Only events with a higher number; Last-Event-ID says the same.'),
});

/** Codes of mistakes that only this interface knows, beside those of `docs/errors.md`. */
export const API_CODES = [
  'API_OFF',
  'UNAUTHORIZED',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'NOT_READY',
  'NOT_CONNECTED',
  'ALREADY_ENDED',
  'KEY_REUSED',
  'TOO_LARGE',
  'UNSUPPORTED_TYPE',
] as const;
export type ProblemCode = (typeof API_CODES)[number] | ErrorCode;

const Fault = z.object({
  code: z.enum([...API_CODES, ...(Object.keys(ERRORS) as ErrorCode[])]),
  message: z.string().describe('For people: what was found and what is wanted.'),
  retry: z.boolean().describe('The same request may succeed when it is made again.'),
});
const Problem = z.object({ error: Fault }).meta({
  description: 'Why nothing was done.',
  examples: [
    {
      error: {
        code: 'BAD_INPUT',
        message: 'ringSeconds: found 3, wanted a whole number from 5 to 600',
        retry: false,
      },
    },
  ],
});
const Conflict = z
  .object({
    status: z
      .literal('already-ended')
      .optional()
      .describe('The call is over: nothing is left to be done to it.'),
    error: Fault,
  })
  .meta({ description: 'The call is not in a state for this.' });

const time = z.iso.datetime();
const Call = z
  .object({
    id: z.string().describe("The service's own id of the call."),
    carrier: z.enum(CARRIERS),
    carrierCallId: z
      .string()
      .optional()
      .describe("The carrier's id; not there for a call that was placed and does not ring yet."),
    direction: z.enum(['inbound', 'outbound']),
    from: z.string(),
    to: z.string(),
    agent: z.string(),
    status: z.enum(['queued', 'ringing', 'in-progress', 'ended']),
    outcome: z.enum(CALL_OUTCOMES).optional().describe('Once the call is over.'),
    endReason: z
      .enum(END_REASONS)
      .optional()
      .describe('Why the conversation ended; not there for a call that never had one.'),
    machine: z.enum(MACHINE_RESULTS).optional().describe('What answering-machine detection found.'),
    recordingFolder: z
      .string()
      .optional()
      .describe(
        'Folder in RECORDINGS_DIR of what this service records of the call; not there when it does not.',
      ),
    createdAt: time,
    answeredAt: time.optional(),
    endedAt: time.optional(),
  })
  .meta({
    description: 'One call.',
    examples: [
      {
        id: 'call_5f0c5f1f6a1be0b0a1c2d3e4',
        carrier: 'twilio',
        carrierCallId: 'CA00000000000000000000000000000001',
        direction: 'outbound',
        from: '+14155550100',
        to: '+14155550123',
        agent: 'voice-agent',
        status: 'in-progress',
        machine: 'human',
        createdAt: '2026-11-21T09:30:00.000Z',
        answeredAt: '2026-11-21T09:30:08.250Z',
      },
    ],
  });
const CallList = z.object({ calls: z.array(Call) }).meta({ description: 'Calls, the newest first.' });
const CallEvent = z
  .object({
    number: z.int().min(1).describe('Counts the events of the call.'),
    type: z.string(),
    at: time,
    data: z.record(z.string(), z.unknown()),
  })
  .meta({
    description: 'Something that happened in a call. Keys that the caller pressed are blanked.',
    examples: [{ number: 2, type: 'answered', at: '2026-11-21T09:30:08.250Z', data: {} }],
  });
const Done = z.object({ status: z.literal('ok') }).meta({ description: 'It was done, or ordered.' });
const Alive = z.object({ status: z.literal('ok') }).meta({ description: 'The process lives.' });
const ProviderState = z.object({
  provider: z.string(),
  state: z
    .enum(['closed', 'open', 'half-open'])
    .describe(
      'Of its circuit breaker. closed: it is dialled. open: calls pass it by. half-open: one call tries whether it works again.',
    ),
  why: z
    .string()
    .optional()
    .describe('Code of the error that opened it, or `slow`; not there while it is closed.'),
  forMs: z.int().min(0).describe('For how long it has been in this state.'),
});
const Readiness = z
  .object({
    status: z
      .enum(['ready', 'full', 'draining', 'starting'])
      .describe('starting: of several worker processes none is up at the moment.'),
    calls: z.int().min(0).describe('Calls that are up.'),
    maxCalls: z.int().min(1),
    providers: z
      .array(ProviderState)
      .describe(
        'Providers that were dialled since the service started; the state of an open one changes with a call.',
      ),
    workers: z
      .object({
        wanted: z.int().min(1),
        up: z.int().min(0),
        restarts: z.int().min(0).describe('How many took the place of one that had died.'),
      })
      .optional()
      .describe(
        'Worker processes; not there for a service that is one process. Of a provider it is told what the worker says that has the most trouble with it.',
      ),
  })
  .meta({
    description: 'Whether new calls are welcome, and with whom they could be held.',
    examples: [
      {
        status: 'ready',
        calls: 12,
        maxCalls: 100,
        providers: [
          { provider: 'openai', state: 'open', why: 'PROVIDER_UNAVAILABLE', forMs: 4200 },
          { provider: 'gemini', state: 'closed', forMs: 86_400_000 },
        ],
      },
    ],
  });
const Description = z.looseObject({ openapi: z.string() }).meta({ description: 'This description.' });

/** Schemas of requests, by the names that they have in the description. */
export const REQUESTS = { PlaceCall, TransferCall, SendDigits } as const;
/** Schemas of answers, by the names that they have in the description. */
export const ANSWERS = {
  Call,
  CallList,
  CallEvent,
  Done,
  Conflict,
  Problem,
  Alive,
  Readiness,
  Description,
} as const;
export type RequestName = keyof typeof REQUESTS;
export type AnswerName = keyof typeof ANSWERS;
export type AnswerOf<T extends AnswerName> = z.output<(typeof ANSWERS)[T]>;

/** A call as it is told to operators. */
export function callAnswer({ createdAt, answeredAt, endedAt, ...view }: CallView): AnswerOf<'Call'> {
  return {
    ...view,
    createdAt: iso(createdAt),
    answeredAt: isoOrNone(answeredAt),
    endedAt: isoOrNone(endedAt),
  };
}

/** An event as it is told to operators. */
export function eventAnswer({ number, type, at, data }: RecordedEvent): AnswerOf<'CallEvent'> {
  return { number, type, at: iso(at), data };
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

function isoOrNone(epochMs: number | undefined): string | undefined {
  return epochMs === undefined ? undefined : iso(epochMs);
}
