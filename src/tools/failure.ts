import { BridgeError } from '../errors.ts';

const MAX_MESSAGE = 1000;
/** Enough to find a message of the wanted length in, little enough to search. */
const MAX_SEARCHED = 8000;
const SILENT = 'the function failed and did not say why';

/** Anything that a handler may throw as a BridgeError. Never throws, which `String(thrown)` may do. */
export function failureOf(thrown: unknown): BridgeError {
  if (thrown instanceof BridgeError) return thrown;
  const options = { cause: thrown };
  return new BridgeError('TOOL_FAILED', bounded(messageOf(thrown)), options);
}

/**
 * The error result for a failure: its message without a stack, without names of files, at most 1000 characters.
 * @param effect what is known of what the function has done
 */
export function failureText(error: BridgeError, effect?: string): string {
  const told = withoutPlaces(plainMessage(error)) || SILENT;
  return JSON.stringify({ error: effect === undefined ? bounded(told) : `${bounded(told)}; ${effect}` });
}

/** Our codes are no help to a model. */
export function plainMessage({ code, message }: BridgeError): string {
  const prefix = `${code}: `;
  return message.startsWith(prefix) ? message.slice(prefix.length) : message;
}

function messageOf(thrown: unknown): string {
  try {
    if (typeof thrown === 'string') return thrown || SILENT;
    if (typeof thrown !== 'object' || thrown === null) return thrown === undefined ? SILENT : String(thrown);
    return textIn(thrown) ?? SILENT;
  } catch {
    return SILENT;
  }
}

/** Errors of Node that stand for several (all addresses of a host refused) have a code but no message. */
function textIn(thrown: object): string | undefined {
  for (const key of ['message', 'error', 'code', 'name']) {
    const value: unknown = Reflect.get(thrown, key);
    if (typeof value === 'string' && value.trim() !== '') return value;
  }
  return undefined;
}

/** Where things lie on the machine is nobody's business on the phone. */
function withoutPlaces(message: string): string {
  return message
    .slice(0, MAX_SEARCHED)
    .replace(/^[ \t]+at .*$/gm, '')
    .replace(/(["'`])(?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])[^"'`\n]*\1/g, '$1[file]$1')
    .replace(/(?<![\w:/.\]-])(?:file:\/\/)?(?:\/[\w.@+~-]+){2,}\/?/g, '[file]')
    .replace(/(?<!\w)[A-Za-z]:\\[^\s"'`]+/g, '[file]')
    .trim();
}

function bounded(text: string): string {
  if (text.length <= MAX_MESSAGE) return text;
  return `${text.slice(0, MAX_MESSAGE - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
