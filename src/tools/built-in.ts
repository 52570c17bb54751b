import type { ControlResult, Transfer } from '../carrier.ts';
import { assertNever, BridgeError } from '../errors.ts';
import { type DigitWish, defineTool, type Tool, type ToolContext, type ToolOptions } from '../tools.ts';
import {
  described,
  matching,
  oneOf,
  optional,
  type PlainParameters,
  plainParameters,
  textOf,
  whole,
} from './plain-parameters.ts';
import { secretNames } from './redaction.ts';

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
  withParameters({
    name: 'current_time',
    description: 'The current date and time.',
    parameters: plainParameters({
      time_zone: optional(textOf(), 'IANA name such as Europe/Berlin; the default is UTC'),
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
  const tool = withParameters({
    name: 'transfer_call',
    description:
      `Puts the caller through to somebody else: ${list.join('; ')}. Tell the caller first that you do so. ` +
      'If nobody answers there, the caller comes back to you.',
    parameters: plainParameters({ destination: oneOf(names) }),
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
  withParameters({
    name: 'send_digits',
    description:
      'Presses telephone keys for the other end of the line, for example to get through a menu. ' +
      'Keys: 0-9 * # A-D; w waits half a second, W a second.',
    parameters: plainParameters({
      digits: matching(/^[0-9*#A-DwW]{1,64}$/, 'wanted 1 to 64 of 0-9 * # A-D w W'),
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
  const tool = withParameters({
    name: 'collect_digits',
    description:
      'Waits for the caller to type on the telephone keypad and returns the keys. ' +
      'Ask for them in the same turn, and say how to finish.',
    parameters: plainParameters({
      max_digits: optional(whole(1, 64), 'so many keys are enough'),
      end_key: optional(oneOf(['#', '*', 'none']), 'the key that finishes the input'),
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
  const tool = withParameters({
    ...traits,
    parameters: plainParameters({ message: described(textOf(1, 2000), 'what is said after the beep') }),
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

/** A function with parameters of its own kind, and otherwise like any other. */
function withParameters<A>({
  parameters: { schema, check },
  run,
  ...traits
}: Omit<ToolOptions, 'parameters' | 'run'> & {
  readonly parameters: PlainParameters<A>;
  run(args: A, call: ToolContext): unknown;
}): Tool {
  // What `check` has let through is an A.
  const tool = defineTool({ ...traits, run: (args, call) => run(args as A, call) });
  const isSecret = secretNames(tool.redact);
  return {
    ...tool,
    definition: { ...tool.definition, parameters: schema },
    check: (args) => check(args, isSecret),
  };
}
