import * as z from 'zod';
import type { ControlResult, Transfer } from '../carrier.ts';
import { assertNever, BridgeError } from '../errors.ts';
import { type BuiltIn, type DigitWish, defineTool, type Tool } from '../tools.ts';

/** For what waits for the caller, and for the carrier after that. */
const LONG_MS = 180_000;

/** Ends the call after the goodbye. */
export const endCall = builtIn(
  defineTool({
    name: 'end_call',
    description: 'Ends the phone call. Say goodbye first; the call ends when the caller has heard it.',
    run(_args, call) {
      call.hangUpAfterGoodbye();
      return { ok: true };
    },
  }),
);

/** The time, so that every agent has one function that really runs. */
export const currentTime = builtIn(
  defineTool({
    name: 'current_time',
    description: 'The current date and time.',
    parameters: z.object({
      time_zone: z.string().optional().describe('IANA name such as Europe/Berlin; the default is UTC'),
    }),
    run({ time_zone: zone = 'UTC' }, call) {
      const now = new Date(call.epoch());
      const local = new Intl.DateTimeFormat('en-GB', {
        dateStyle: 'full',
        timeStyle: 'short',
        timeZone: zone,
      });
      return { utc: now.toISOString(), time_zone: zone, local: local.format(now) };
    },
  }),
);

/** What the bridge knows of the line, for the line check. */
export const lineStatus = builtIn(
  defineTool({
    name: 'line_status',
    description: 'The network round trip between this service and the phone carrier, in milliseconds.',
    run: (_args, call) => ({ roundTripMs: Math.round(call.roundTripMs() * 10) / 10 }),
  }),
);

/** Somebody to whom callers may be put through. */
export interface Destination extends Transfer {
  /** What the model calls it. */
  readonly name: string;
  /** For the model: when to put somebody through there. */
  readonly description: string | undefined;
}

/** Puts the caller through to one of these, and to nobody else: the model never chooses a number. Needs at least one. */
export function transferCall(destinations: readonly Destination[]): Tool {
  const names = destinations.map(({ name }) => name);
  const list = destinations.map(({ name, description }) => (description ? `${name} (${description})` : name));
  const tool = defineTool({
    name: 'transfer_call',
    description:
      `Puts the caller through to somebody else: ${list.join('; ')}. Tell the caller first that you do so. ` +
      'If nobody answers there, the caller comes back to you.',
    parameters: z.object({ destination: z.enum(names) }),
    // A caller who speaks up before they are put through may not want it.
    cancelOnInterrupt: true,
    fillerAfterMs: 0,
    timeoutMs: LONG_MS,
    async run({ destination }, call) {
      await call.heard();
      call.signal.throwIfAborted();
      const found = destinations.find(({ name }) => name === destination);
      if (found === undefined) throw new BridgeError('TOOL_FAILED', `there is no destination ${destination}`);
      const { name: _name, description: _description, ...transfer } = found;
      return told(await call.transfer(transfer), 'the caller is being put through; say nothing more');
    },
  });
  return builtIn(tool, { destinations });
}

/** Presses keys for whoever is at the other end: menus, extensions, door openers. */
export const sendDigits = builtIn(
  defineTool({
    name: 'send_digits',
    description:
      'Presses telephone keys for the other end of the line, for example to get through a menu. ' +
      'Keys: 0-9 * # A-D; w waits half a second, W a second.',
    parameters: z.object({
      digits: z.string().regex(/^[0-9*#A-DwW]{1,64}$/, 'wanted 1 to 64 of 0-9 * # A-D w W'),
    }),
    // The caller's card number as likely as the choice of a menu.
    redact: ['digits'],
    fillerAfterMs: 0,
    timeoutMs: LONG_MS,
    async run({ digits }, call) {
      await call.heard();
      call.signal.throwIfAborted();
      return told(await call.sendDigits(digits), 'the keys were pressed');
    },
  }),
);

/** Has the caller type something in: a card number, a date, a choice. What the model says of keys goes before the defaults. */
export function collectDigits(defaults: DigitWish): Tool {
  const tool = defineTool({
    name: 'collect_digits',
    description:
      'Waits for the caller to type on the telephone keypad and returns the keys. ' +
      'Ask for them in the same turn, and say how to finish.',
    parameters: z.object({
      max_digits: z.int().min(1).max(64).optional().describe('so many keys are enough'),
      end_key: z.enum(['#', '*', 'none']).optional().describe('the key that finishes the input'),
    }),
    fillerAfterMs: 0,
    timeoutMs: LONG_MS,
    // Whatever it is: a card number as likely as a choice.
    redact: ['*'],
    async run({ max_digits: max = defaults.max, end_key: end }, call) {
      const endKey = end === undefined ? defaults.endKey : end === 'none' ? undefined : end;
      const result = await call.collectDigits({ ...defaults, max, endKey }, call.signal);
      if (result.status === 'gone') return { status: 'not collected' };
      return {
        status: result.status === 'complete' ? 'complete' : 'the caller stopped',
        digits: result.digits,
      };
    },
  });
  return builtIn(tool, { defaults });
}

/** For an agent who notices that nobody but a machine listens. @param text undefined: the model chooses its words */
export function leaveMessage(text: string | undefined): Tool {
  const description =
    'Use this as soon as you notice that an answering machine or a voice mailbox has answered: waits for its beep, ' +
    'leaves a message and ends the call.';
  const traits = { name: 'leave_message', description, fillerAfterMs: 0 };
  if (text !== undefined) {
    const fixed = defineTool({
      ...traits,
      run(_args, call) {
        call.leaveMessage(text);
        return { ok: true };
      },
    });
    return builtIn(fixed, { text });
  }
  const tool = defineTool({
    ...traits,
    parameters: z.object({ message: z.string().min(1).max(2000).describe('what is said after the beep') }),
    // Whoever may read what is said has it in the transcript.
    redact: ['message'],
    run({ message }, call) {
      call.leaveMessage(message);
      return { ok: true };
    },
  });
  return builtIn(tool);
}

function told(result: ControlResult, done: string): unknown {
  switch (result.status) {
    case 'ok':
      return { ok: true, note: done };
    case 'already-ended':
      return { ok: false, note: 'the call is over' };
    case 'error':
      throw result.error;
    default:
      return assertNever(result);
  }
}

/** Put on every one of them, so that a recording knows how to make it again. */
function builtIn(tool: Tool, options?: Readonly<Record<string, unknown>>): Tool {
  return { ...tool, builtIn: { name: tool.definition.name, options } };
}

const DESTINATION = z.object({
  name: z.string(),
  to: z.string(),
  description: z.string().optional(),
  callerId: z.string().optional(),
  ringS: z.number(),
  announce: z.string().optional(),
  language: z.string().optional(),
});
const WISH = z.object({
  max: z.number(),
  endKey: z.string().optional(),
  firstMs: z.number(),
  nextMs: z.number(),
});

/** The function that a recording names, made again. Throws BAD_INPUT for one that there is not, or that lacks something. */
export function builtInTool({ name, options = {} }: BuiltIn): Tool {
  switch (name) {
    case 'end_call':
      return endCall;
    case 'current_time':
      return currentTime;
    case 'line_status':
      return lineStatus;
    case 'send_digits':
      return sendDigits;
    case 'transfer_call': {
      const found = z.array(DESTINATION).min(1).safeParse(options['destinations']);
      if (found.success) return transferCall(found.data.map(completeDestination));
      throw lacking(name, 'destinations');
    }
    case 'collect_digits': {
      const found = WISH.safeParse(options['defaults']);
      if (found.success) return collectDigits({ ...found.data, endKey: found.data.endKey });
      throw lacking(name, 'defaults');
    }
    case 'leave_message': {
      const { text } = options;
      return leaveMessage(typeof text === 'string' ? text : undefined);
    }
    default:
      throw new BridgeError(
        'BAD_INPUT',
        `there is no built-in function ${JSON.stringify(name.slice(0, 64))}`,
      );
  }
}

function completeDestination(found: z.output<typeof DESTINATION>): Destination {
  const { description, callerId, announce, language } = found;
  return { ...found, description, callerId, announce, language };
}

function lacking(name: string, what: string): BridgeError {
  return new BridgeError(
    'BAD_INPUT',
    `the built-in function ${name} has no ${what}, or such that it cannot use`,
  );
}
