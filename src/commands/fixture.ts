import { BridgeError } from '../errors.ts';
import { type Command, readArguments, type Terminal } from './command.ts';
import { lint } from './fixture/lint-report.ts';

export const fixture: Command = {
  name: 'fixture',
  summary: 'makes calls that serve as tests, and looks whether they may be kept',
  help: `patchcord fixture lint FOLDER… [--json FILE]

  Looks at every call in and below these folders: that its files can be read and fit together (times, connections, requests
  and answers, audio), that it says what it proves and how it is made anew, that it is small, and that nothing was left in it
  that others must not read: numbers of people, keys, addresses. Exit status: 0 nothing found, 1 something found, 2 a folder or
  an argument cannot be used.

  --json FILE   a report for programs; - prints it instead of the text
`,
  async run(argv, terminal) {
    const [what, ...rest] = argv;
    if (what === 'lint') return await runLint(rest, terminal);
    const found = what === undefined ? 'nothing' : JSON.stringify(what);
    throw new BridgeError('BAD_INPUT', `fixture: found ${found}, wanted new or lint`);
  },
};

async function runLint(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = readArguments(argv, { json: { type: 'string' } }, true);
  if (positionals.length === 0) {
    throw new BridgeError('BAD_INPUT', 'fixture lint: found no folder, wanted at least one');
  }
  return await lint(positionals, values.json, terminal);
}
