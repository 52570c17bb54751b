import { basename } from 'node:path';
import type { BridgeError } from '../errors.ts';

/** What a log may say of a failure whose words may be private. */
export interface FailureTrace {
  /** Class or code of what was thrown, such as `TypeError` or `ECONNREFUSED`. */
  readonly kind: string | undefined;
  /** File and line where the handler threw, such as `booking.js:41`; undefined: not known. */
  readonly at: string | undefined;
}

/** `at` of a stack frame: `(file:///app/handlers/booking.js?v=1:41:11)` or `at /app/booking.js:41:11`. */
const FRAME = /^\s*at .*?((?:file:\/\/)?\/[^()?]*|[A-Za-z]:[^()?]*?)(?:\?[^:()]*)?:(\d{1,7}):\d{1,7}\)?$/;
const NAME = /^[A-Za-z_$][\w$]{0,63}$/;
const MAX_STACK = 20_000;

/** Tells the kind and the place of what a handler threw; never its message. Never throws. */
export function traceOf(error: BridgeError): FailureTrace {
  const thrown = error.cause instanceof Error ? error.cause : error;
  try {
    return { kind: kindOf(thrown), at: placeOf(thrown) };
  } catch {
    return { kind: undefined, at: undefined };
  }
}

function kindOf(thrown: Error): string | undefined {
  const code = 'code' in thrown ? thrown.code : undefined;
  const named = typeof code === 'string' && NAME.test(code) ? code : thrown.name;
  return NAME.test(named) ? named : undefined;
}

/** The first frame that is neither Node's nor a package's. */
function placeOf({ message, stack = '' }: Error): string | undefined {
  // The message comes first and may look like anything.
  const start = stack.indexOf(message);
  const frames = start < 0 ? stack : stack.slice(start + message.length);
  for (const line of frames.slice(0, MAX_STACK).split('\n')) {
    const [, file, row] = FRAME.exec(line) ?? [];
    if (file === undefined || file.includes('/node_modules/') || line.includes('node:internal')) continue;
    return `${basename(file)}:${row}`;
  }
  return undefined;
}
