import { BridgeError } from '../errors.ts';
import type { Tool } from '../tools.ts';
import { failureOf, failureText } from './failure.ts';
import type { CheckedArguments } from './parameters.ts';
import { repairArguments } from './repair.ts';
import { timeBox } from './time-box.ts';

/**
 * A pattern that takes for ever on the right text would otherwise stop all calls; checks take microseconds. In ms,
 * of the wall clock, because only a clock that nobody drives can stop a thread.
 */
const MAX_CHECK_MS = 50;
/** For a function, or in a call, whose checks were stopped so often that somebody does it on purpose. */
const SHORT_CHECK_MS = 10;
const PATIENCE = 3;

/**
 * How often the check of a function was stopped. It is not refused to everybody: then one caller could take it from
 * all others. Goes with the function, which is why the rest of the process does not matter to it.
 */
const stopped = new WeakMap<Tool, number>();

/** The check of a schema that is compiled when it is needed, which has a limit of its own and is no part of a check. */
export type LateCheck = Tool['check'] & { prepare(): void };

/** `problems`: the arguments are wrong; `broken`: the check is; `slow`: it was stopped. */
export type Check =
  | { readonly status: 'right'; readonly args: unknown }
  | { readonly status: 'wrong'; readonly problems: readonly string[] }
  | { readonly status: 'slow' }
  | { readonly status: 'broken'; readonly error: BridgeError; readonly output: string };

/**
 * Checks arguments, and repaired ones if these are wrong and can be repaired (see `repairArguments`). Never throws,
 * and takes no longer than 50 ms (10 ms once it was stopped three times) whatever the check does; twice that on a
 * machine that is too busy.
 * @param slowInCall so many other checks of this call were stopped
 */
export function checkArguments(
  tool: Tool,
  args: Readonly<Record<string, unknown>>,
  slowInCall: number,
): Check {
  const before = stopped.get(tool) ?? 0;
  const maxMs = Math.max(before, slowInCall) < PATIENCE ? MAX_CHECK_MS : SHORT_CHECK_MS;
  try {
    const { check } = tool;
    if (isLate(check)) check.prepare();
    const checked = timeBox(maxMs, () => checkOrRepair(tool, args));
    if (!checked.inTime) {
      stopped.set(tool, before + 1);
      return { status: 'slow' };
    }
    if (checked.value.ok) return { status: 'right', args: checked.value.args };
    return { status: 'wrong', problems: checked.value.problems };
  } catch (thrown) {
    const why = failureOf(thrown);
    const error = new BridgeError(
      'TOOL_FAILED',
      `the check of the arguments of ${tool.definition.name} threw: ${why.plainMessage}`,
      { cause: thrown },
    );
    return { status: 'broken', error, output: failureText(error, 'the function was not run') };
  }
}

function isLate(check: Tool['check']): check is LateCheck {
  return typeof Reflect.get(check, 'prepare') === 'function';
}

function checkOrRepair(tool: Tool, args: Readonly<Record<string, unknown>>): CheckedArguments {
  const written = tool.check(args);
  if (written.ok) return written;
  const repaired = repairArguments(args, tool.definition.parameters);
  const again = repaired === undefined ? written : tool.check(repaired);
  return again.ok ? again : written;
}
