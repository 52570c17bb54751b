import { BridgeError } from '../errors.ts';
import { shortText } from '../short-text.ts';

const MAX_MESSAGE = 1000;
/** Enough to find a message of the wanted length in, little enough to search. */
const MAX_SEARCHED = 8000;
/** Of a network inside, with its port. */
const PRIVATE_V4 =
  /(?<![\w.])(?:(?:10|127)\.\d{1,3}|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))(?:\.\d{1,3}){2}(?!\.?\w)(?::\d{1,5})?/g;
const PRIVATE_V6 =
  /(?<![\w:.])(?:\[(?:::1|(?:f[cd][\da-f]{2}|fe[89ab][\da-f]):[\da-f:.%\w]{1,60})\](?::\d{1,5})?|(?:::1(?::\d{1,5})?|(?:f[cd][\da-f]{2}|fe[89ab][\da-f]):[\da-f:]{1,45}(?:%\w{1,16})?)(?![\w:]))/gi;
const SILENT = 'the function failed and did not say why';

/** Anything that a handler may throw as a BridgeError. Never throws, which `String(thrown)` may do. */
export function failureOf(thrown: unknown): BridgeError {
  if (thrown instanceof BridgeError) return thrown;
  const options = { cause: thrown };
  return new BridgeError('TOOL_FAILED', bounded(messageOf(thrown)), options);
}

/**
 * The error result for a failure: its message without a stack, without names of files, credentials and private
 * addresses, at most 1000 characters.
 * @param effect what is known of what the function has done
 */
export function failureText(error: BridgeError, effect?: string): string {
  const told = withoutPlaces(withoutKeys(error.plainMessage.slice(0, MAX_SEARCHED))) || SILENT;
  return JSON.stringify({ error: effect === undefined ? bounded(told) : `${bounded(told)}; ${effect}` });
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

/**
 * Drivers put the address that they were given into their errors, with its password, and the model may read it out.
 * Every repetition has a limit, so that the time grows with the length alone.
 */
function withoutKeys(message: string): string {
  return message
    .replace(/:\/\/[^\s"'`/@:]{0,256}:[^\s"'`]{0,256}@/g, '://[removed]@')
    .replace(/:\/\/[^\s"'`/@?#[\]]{1,256}@/g, '://[removed]@')
    .replace(/\b(bearer)\s{1,8}[\w+/=.~-]{6,}/gi, '$1 [removed]')
    .replace(/\b([Bb]asic)\s{1,8}(?=[a-z+/]{0,256}[\dA-Z=])[\w+/=]{6,}/g, '$1 [removed]')
    .replace(/\beyJ[\w-]{5,512}\.[\w-]{1,4096}(?:\.[\w-]{0,4096})?/g, '[removed]')
    .replace(
      /((?:passw(?:or)?d|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key)\w{0,16}=)[^\s&;,"'`]+/gi,
      '$1[removed]',
    )
    .replace(PRIVATE_V4, '[address]')
    .replace(PRIVATE_V6, '[address]');
}

/** Where things lie on the machine is nobody's business on the phone. */
function withoutPlaces(message: string): string {
  return message
    .replace(/^[ \t]+at .*$/gm, '')
    .replace(/(["'`])(?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])[^"'`\n]*\1/g, '$1[file]$1')
    .replace(/(?<![\w:/.\]-])(?:file:\/\/)?(?:\/[\w.@+~-]+){2,}\/?/g, '[file]')
    .replace(/(?<!\w)[A-Za-z]:\\[^\s"'`]+/g, '[file]')
    .trim();
}

function bounded(text: string): string {
  return shortText(text, MAX_MESSAGE);
}
