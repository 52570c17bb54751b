import { z } from 'zod';
import { assertNever } from '../errors.ts';
import { matching, text, whole } from '../schema-parts.ts';
import type { Destination } from '../tools/built-in.ts';
import type { DigitWish } from '../tools.ts';
import { address, endKey, language, ringSeconds, spoken } from './fields.ts';

/** Entries of an agent's list of functions. */

/** What the bridge brings along; each is there only for the agents that list it. */
export const BUILT_IN = [
  'end_call',
  'current_time',
  'transfer_call',
  'send_digits',
  'collect_digits',
  'leave_message',
] as const;
export type BuiltInName = (typeof BUILT_IN)[number];

/** A built-in function as an agent wants it. */
export type BuiltInEntry =
  | { readonly type: 'built-in'; readonly name: 'end_call' | 'current_time' | 'send_digits' }
  | {
      readonly type: 'built-in';
      readonly name: 'transfer_call';
      readonly destinations: readonly Destination[];
    }
  | {
      readonly type: 'built-in';
      readonly name: 'collect_digits';
      readonly wish: DigitWish;
    }
  | {
      readonly type: 'built-in';
      readonly name: 'leave_message';
      /** Undefined: the model says what it likes. */
      readonly text: string | undefined;
    };

/**
 * One entry of an agent's list of functions: a built-in one, one by its name (handlers, HTTP, or given to the library),
 * or some of an MCP server (`pattern` is a name, or a glob with `*`).
 */
export type ToolEntry =
  | BuiltInEntry
  | { readonly type: 'named'; readonly name: string }
  | { readonly type: 'mcp'; readonly server: string; readonly pattern: string };

const TOOL_ENTRY =
  'the name of a function, server/function of an MCP server, or a built-in one with settings such as { name: leave_message, text: … }';
const DESTINATION_NAME = 'a name of 1 to 64 letters, digits, _, - and blanks';
const WITHOUT_DESTINATIONS = 'at least one destination';

const destination = z
  .strictObject({
    name: matching(/^[\p{L}\p{N}][\p{L}\p{N}_ -]{0,63}$/u, DESTINATION_NAME).describe(
      'What the model calls it.',
    ),
    to: address.describe('A number in E.164 ("+15550199") or a SIP address.'),
    description: text(500).optional().describe('For the model: when to choose it.'),
    announce: spoken()
      .optional()
      .describe('Told to the other end before it is connected, where the carrier can.'),
    callerId: address.optional().describe('The number that the other end sees.'),
    ringSeconds: ringSeconds.default(25).describe('How long the other end is rung.'),
    language: language.optional().describe('Of the announcement; left out: that of the agent.'),
  })
  .describe('Somebody whom the caller can be put through to.');

const plain = (name: 'end_call' | 'current_time' | 'send_digits') =>
  z.strictObject({ name: z.literal(name) });

const withSettings = z.discriminatedUnion('name', [
  plain('end_call').describe('Ends the call once the goodbye was heard.'),
  plain('current_time').describe('The date and time.'),
  plain('send_digits').describe('Presses keys for the other end.'),
  z
    .strictObject({
      name: z.literal('transfer_call'),
      destinations: z
        .array(destination, { error: WITHOUT_DESTINATIONS })
        .min(1, { error: WITHOUT_DESTINATIONS })
        .max(64, { error: 'at most 64 destinations' }),
    })
    .describe('Puts the caller through to one of the destinations.'),
  z
    .strictObject({
      name: z.literal('collect_digits'),
      max: whole(1, 64).default(32).describe('So many keys are enough; the model may ask for fewer.'),
      endKey: endKey.default('#').describe('Ends the input and is not part of it; false: none does.'),
      firstSeconds: whole(1, 120).default(10).describe('How long the caller may take for the first key.'),
      nextSeconds: whole(1, 60).default(4).describe('The longest pause between two keys.'),
    })
    .describe('Has the caller type a number, which the model is then given.'),
  z
    .strictObject({
      name: z.literal('leave_message'),
      text: spoken().optional().describe('What is said after the beep; left out: what the model says.'),
    })
    .describe('Leaves a message on an answering machine and ends the call.'),
]);

const shortEntry = matching(
  /^(?:[A-Za-z0-9_-]{1,64}|[a-z0-9][a-z0-9_-]{0,63}\/[\x21-\x7e]{1,128})$/,
  TOOL_ENTRY,
).describe('The name of a function, or server/function of an MCP server, where * stands for any characters.');

export const toolEntry = z.union([shortEntry, withSettings], { error: TOOL_ENTRY });

/** The settings of a built-in function that was listed by its name alone. transfer_call has none without destinations. */
function builtInByName(name: BuiltInName): z.output<typeof withSettings> {
  return withSettings.parse({ name });
}

/** An entry as the file has it, as what is meant. Throws for `transfer_call` without destinations. */
export function readToolEntry(raw: z.output<typeof toolEntry>): ToolEntry {
  if (typeof raw !== 'string') return settled(raw);
  const builtIn = BUILT_IN.find((name) => name === raw);
  if (builtIn !== undefined) return settled(builtInByName(builtIn));
  const slash = raw.indexOf('/');
  if (slash < 0) return { type: 'named', name: raw };
  return { type: 'mcp', server: raw.slice(0, slash), pattern: raw.slice(slash + 1) };
}

function settled(raw: z.output<typeof withSettings>): BuiltInEntry {
  switch (raw.name) {
    case 'end_call':
    case 'current_time':
    case 'send_digits':
      return { type: 'built-in', name: raw.name };
    case 'transfer_call':
      return { type: 'built-in', name: raw.name, destinations: raw.destinations.map(readDestination) };
    case 'collect_digits':
      return {
        type: 'built-in',
        name: raw.name,
        wish: {
          max: raw.max,
          endKey: raw.endKey === false ? undefined : raw.endKey,
          firstMs: raw.firstSeconds * 1000,
          nextMs: raw.nextSeconds * 1000,
        },
      };
    case 'leave_message':
      return { type: 'built-in', name: raw.name, text: raw.text };
    default:
      return assertNever(raw);
  }
}

function readDestination(raw: z.output<typeof destination>): Destination {
  const { name, to, description, announce, callerId, ringSeconds: ringS, language: tag } = raw;
  return { name, to, description, announce, callerId, ringS, language: tag };
}
