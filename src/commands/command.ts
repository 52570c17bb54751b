import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Env } from '../config.ts';
import { BridgeError } from '../errors.ts';

/** What a command may touch of the process. */
export interface Terminal {
  readonly env: Env;
  readonly isTty: boolean;
  out(text: string): void;
  err(text: string): void;
  /** Calls `listener` once, on the first SIGINT or SIGTERM; the result takes it back. */
  onInterrupt(listener: () => void): () => void;
  /** Calls `listener` with exceptions that nobody caught, in the place of ending the process. */
  onStray(listener: (error: unknown) => void): void;
}

export interface Command {
  readonly name: string;
  readonly help: string;
  /** It imports modules of others, which may keep the process alive when it is done. */
  readonly importsModules?: boolean;
  /** Resolves to the exit status; rejects with a BridgeError. */
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

/** `parseArgs` whose complaints are BAD_INPUT. */
export function readArguments<const T extends NonNullable<ParseArgsConfig['options']>>(
  argv: readonly string[],
  options: T,
  positionals = false,
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: boolean; strict: true }>> {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: positionals, strict: true });
  } catch (cause) {
    throw new BridgeError('BAD_INPUT', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** A whole number given as an option. Throws BAD_INPUT. */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new BridgeError(
    'BAD_INPUT',
    `--${name}: found ${JSON.stringify(text)}, wanted a whole number from ${min} to ${max}`,
  );
}
