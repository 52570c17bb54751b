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
  let isNew = false;
  const flush = (): void => {
    isDue = false;
    file.flush();
  };
  const soon = (): void => {
    if (isDue) return;
    isDue = true;
    setTimeout(flush, TOGETHER_MS).unref();
  };
  // A flush does nothing while something is being written: what came meanwhile gets one of its own.
  file.on('drain', () => {
    if (isNew) soon();
    isNew = false;
  });
  return {
    write(line) {
      isNew = true;
      file.write(line);
      soon();
    },
    flushSync: () => file.flushSync(),
  };
}
