import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Logger;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * A log line is a constant sentence plus fields. Phone numbers, spoken words and tool arguments go under `pii`,
 * credentials under the names below; both are blanked before a line leaves the process.
 */
export const REDACTED = [
  'pii',
  '*.pii',
  'authorization',
  '*.authorization',
  'apiKey',
  '*.apiKey',
  'authToken',
  '*.authToken',
  'token',
  '*.token',
];

/** @param destination default: standard output is left to the commands, so log lines go to standard error */
export function createLog(level: LogLevel, destination?: DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      redact: { paths: REDACTED, censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination ?? standardError(),
  );
}

/** Lines of so many ms go out together: to hand one to the system costs more than to make it. */
const TOGETHER_MS = 25;
/** As much goes out at once, in bytes. */
const ENOUGH = 8192;

/** What is left is written when the process exits; a fatal line, and what came before it, at once. */
function standardError(): DestinationStream & { flushSync(): void } {
  // Not synchronous: a slow reader of standard error must not hold up anybody's audio.
  const file = pino.destination({ dest: 2, sync: false, minLength: ENOUGH });
  let isDue = false;
  const flush = (): void => {
    isDue = false;
    // Somebody who waits: without, it does nothing while something is being written, and the rest would lie there.
    file.flush(() => undefined);
  };
  return {
    write(line) {
      file.write(line);
      if (isDue) return;
      isDue = true;
      setTimeout(flush, TOGETHER_MS).unref();
    },
    flushSync: () => file.flushSync(),
  };
}
