import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { JsonSchema } from '../provider.ts';
import { shortText } from '../short-text.ts';
import type { Tool } from '../tools.ts';
import { byNearness } from './nearest.ts';

/** Why a function was not run: `error` for the log, without a value of the arguments; `output` for the model. */
export interface Refusal {
  readonly error: BridgeError;
  readonly output: string;
}

const MAX_NAMES = 50;
const MAX_NAME = 64;
const MAX_PROBLEMS = 8;
const MAX_PROBLEM = 300;
const MAX_PARAMETERS = 4000;
/** A model that has been wrong so often in a row guesses. */
const GUESSES = 3;

/** There is no such function; the model is told the names there are, the nearest first. */
export function unknownFunction(name: string, names: readonly string[]): Refusal {
  const written = name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name;
  const there = byNearness(name, names).slice(0, MAX_NAMES).join(', ') || 'none';
  return refuse(`there is no function ${JSON.stringify(written)}; there are: ${there}`, {
    next:
      names.length === 0 ? 'answer without a function' : 'call one of these, or answer without a function',
  });
}

/**
 * The arguments are wrong; the model is told what was found where, and what the function takes.
 * @param inARow so often has it been wrong about this function, this time included
 */
export function wrongArguments(tool: Tool, problems: readonly string[], inARow: number): Refusal {
  const { name, parameters } = tool.definition;
  const more = problems.length > MAX_PROBLEMS ? [`and ${problems.length - MAX_PROBLEMS} more`] : [];
  const next =
    inARow < GUESSES
      ? `correct the arguments and call ${name} again`
      : 'do not guess: ask the caller for what is missing, or say that it cannot be done';
  const places = problems.length === 1 ? 'one place' : `${problems.length} places`;
  return {
    error: new BridgeError(
      'TOOL_FAILED',
      `the arguments of ${name} are wrong in ${places}; its parameters are what is wanted`,
    ),
    output: JSON.stringify({
      error: `the arguments of ${name} are wrong; it was not run`,
      problems: [...problems.slice(0, MAX_PROBLEMS).map(bounded), ...more],
      parameters: shortened(parameters),
      next,
    }),
  };
}

/** The check of the arguments was stopped, now or earlier in this call. */
export function slowArguments({ definition: { name } }: Tool): Refusal {
  return refuse(
    `the arguments of ${name} took too long to check, so that it was not run and cannot be used any more in this call`,
    { next: 'do without it: say that it cannot be done now' },
  );
}

/** The arguments are not even an object. */
export function unreadableArguments(tool: Tool, problem: string): Refusal {
  const { name, parameters } = tool.definition;
  return refuse(`${problem}; ${name} was not run`, {
    parameters: shortened(parameters),
    next: `write one JSON object of these parameters and call ${name} again`,
  });
}

/** Something else is in the way. */
export function refuse(message: string, more: Readonly<Record<string, unknown>> = {}): Refusal {
  return {
    error: new BridgeError('TOOL_FAILED', message),
    output: JSON.stringify({ error: message, ...more }),
  };
}

function bounded(problem: string): string {
  return shortText(problem, MAX_PROBLEM);
}

/** The model has seen the whole when the session began; what is too long to say again is said in outline. */
function shortened(parameters: JsonSchema): unknown {
  if (JSON.stringify(parameters).length <= MAX_PARAMETERS) return parameters;
  const { properties, required } = parameters;
  return { properties: isRecord(properties) ? Object.keys(properties).slice(0, MAX_NAMES) : [], required };
}
