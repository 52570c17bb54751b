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
    // Not synchronous: a slow reader of standard error must not hold up anybody's audio.
    destination ?? pino.destination({ dest: 2, sync: false }),
  );
}
