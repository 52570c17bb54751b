#!/usr/bin/env node
import type { Command, Terminal } from './commands/command.ts';
import { BridgeError } from './errors.ts';
import { packageVersion } from './package-file.ts';

interface Listed {
  /** For the help. */
  readonly summary: string;
  load(): Promise<Command>;
}

/** In the order of the help. Only the one that is asked for is loaded, and for the help none. */
const COMMANDS: ReadonlyMap<string, Listed> = new Map<string, Listed>([
  [
    'serve',
    { summary: 'answers phone calls', load: async () => (await import('./commands/serve.ts')).serve },
  ],
  [
    'check',
    {
      summary: 'checks an agents file and says what each number will do',
      load: async () => (await import('./commands/check.ts')).check,
    },
  ],
  [
    'call',
    { summary: 'places a simulated phone call', load: async () => (await import('./commands/call.ts')).call },
  ],
  [
    'dial',
    {
      summary: 'has a running service call somebody',
      load: async () => (await import('./commands/dial.ts')).dial,
    },
  ],
  [
    'simulate',
    {
      summary: 'plays a provider, or a carrier and whoever it rings',
      load: async () => (await import('./commands/simulate.ts')).simulate,
    },
  ],
  [
    'demo',
    {
      summary: 'a simulated call to the built-in line check, with something to hear at the end',
      load: async () => (await import('./commands/demo.ts')).demo,
    },
  ],
  [
    'drill',
    {
      summary: 'kills the provider in the middle of a simulated call, and shows what the caller hears',
      load: async () => (await import('./commands/drill.ts')).drill,
    },
  ],
  [
    'replay',
    {
      summary: 'lets recorded calls and fixtures happen once more, and says what is different',
      load: async () => (await import('./commands/replay.ts')).replay,
    },
  ],
  [
    'fixture',
    {
      summary: 'makes calls that serve as tests, and looks whether they may be kept',
      load: async () => (await import('./commands/fixture.ts')).fixture,
    },
  ],
  [
    'inspect',
    {
      summary: 'makes a web page of a recorded call or a fixture',
      load: async () => (await import('./commands/inspect.ts')).inspect,
    },
  ],
  [
    'redact',
    {
      summary: 'takes numbers, names, speech and words out of a recording',
      load: async () => (await import('./commands/redact.ts')).redact,
    },
  ],
  [
    'providers',
    {
      summary: 'says what each provider can do, and what it lacks here',
      load: async () => (await import('./commands/providers.ts')).providers,
    },
  ],
  [
    'carriers',
    {
      summary: 'says what each carrier can do',
      load: async () => (await import('./commands/carriers.ts')).carriers,
    },
  ],
]);

function usage(): string {
  const lines = [...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
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
  const command = await COMMANDS.get(name)?.load();
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

if ((await COMMANDS.get(argv[0] ?? '')?.load())?.importsModules === true) {
  // Not before the last word has been written: a pipe takes its time.
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
}
