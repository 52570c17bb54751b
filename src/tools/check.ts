import { BridgeError } from '../errors.ts';
import type { Tool } from '../tools.ts';
import { failureOf, failureText, plainMessage } from './failure.ts';
import type { CheckedArguments } from './parameters.ts';
import { repairArguments } from './repair.ts';
import { timeBox } from './time-box.ts';

/**
 * A pattern that takes for ever on the right text would otherwise stop all calls; checks take microseconds. In ms,
 * of the wall clock, because only a clock that nobody drives can stop a thread.
 */
const MAX_CHECK_MS = 500;

/** `problems`: the arguments are wrong; `broken`: the check is. */
export type Check =
  | { readonly status: 'right'; readonly args: unknown }
  | { readonly status: 'wrong'; readonly problems: readonly string[] }
  | { readonly status: 'broken'; readonly error: BridgeError; readonly output: string };

/**
 * Checks arguments, and repaired ones if these are wrong and can be repaired (see `repairArguments`). Never throws,
 * and takes no longer than 500 ms whatever the check does.
 */
export function checkArguments(tool: Tool, args: Readonly<Record<string, unknown>>): Check {
  try {
    const checked = timeBox(MAX_CHECK_MS, () => checkOrRepair(tool, args));
    if (!checked.inTime) {
      return { status: 'wrong', problems: ['they took too long to check: write shorter and simpler ones'] };
    }
    if (checked.value.ok) return { status: 'right', args: checked.value.args };
    return { status: 'wrong', problems: checked.value.problems };
  } catch (thrown) {
    const why = failureOf(thrown);
    const error = new BridgeError(
      'TOOL_FAILED',
      `the check of the arguments of ${tool.definition.name} threw: ${plainMessage(why)}`,
      { cause: thrown },
    );
    return { status: 'broken', error, output: failureText(error, 'the function was not run') };
  }
}

function checkOrRepair(tool: Tool, args: Readonly<Record<string, unknown>>): CheckedArguments {
  const written = tool.check(args);
  if (written.ok) return written;
  const repaired = repairArguments(args, tool.definition.parameters);
  const again = repaired === undefined ? written : tool.check(repaired);
  return again.ok ? again : written;
}
