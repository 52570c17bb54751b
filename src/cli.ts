#!/usr/bin/env node
import { call } from './commands/call.ts';
import { carriers } from './commands/carriers.ts';
import { check } from './commands/check.ts';
import type { Command, Terminal } from './commands/command.ts';
import { demo } from './commands/demo.ts';
import { dial } from './commands/dial.ts';
import { providers } from './commands/providers.ts';
import { serve } from './commands/serve.ts';
import { simulate } from './commands/simulate.ts';
import { BridgeError } from './errors.ts';
import { packageVersion } from './package-file.ts';

const COMMANDS: readonly Command[] = [serve, check, call, dial, simulate, demo, providers, carriers];

function usage(): string {
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`);
  return `patchcord: phone calls to realtime voice models\n\n${lines.join('\n')}\n\npatchcord COMMAND --help says more.\n`;
}

/** Exit status: 0 done, 1 the command failed, 2 it was called wrongly. */
async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === 'help') {
    terminal.out(usage());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    terminal.out(`${packageVersion()}\n`);
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    terminal.err(`patchcord: ${JSON.stringify(name)} is not a command\n\n${usage()}`);
    return 2;
  }
  if (rest.includes('--help')) {
    terminal.out(command.help);
    return 0;
  }
  try {
    return await command.run(rest, terminal);
  } catch (thrown) {
    const error = BridgeError.from(thrown);
    terminal.err(
      error.code === 'INTERNAL'
        ? `${error.stack ?? error.message}\n`
        : `patchcord ${name}: ${error.message}\n`,
    );
    return error.code === 'BAD_INPUT' || error.code === 'BAD_CONFIG' ? 2 : 1;
  }
}

const interrupts = new Set<() => void>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Whoever listens stops in good order; a second signal finds nobody left and ends the process.
    if (interrupts.size === 0) process.exit(130);
    const listeners = [...interrupts];
    interrupts.clear();
    for (const listener of listeners) listener();
  });
}

function onStray(listener: (error: unknown) => void): void {
  process.on('uncaughtException', listener);
}

const argv = process.argv.slice(2);
process.exitCode = await main(argv, {
  env: process.env,
  isTty: process.stdout.isTTY === true,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  onStray,
  onInterrupt: (listener) => {
    interrupts.add(listener);
    return () => interrupts.delete(listener);
  },
});

if (COMMANDS.find(({ name }) => name === argv[0])?.importsModules === true) {
  // Not before the last word has been written: a pipe takes its time.
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
}
