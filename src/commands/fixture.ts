import { assertNever, BridgeError } from '../errors.ts';
import { type Command, readArguments, type Terminal, wholeNumber } from './command.ts';
import { askedFixture, recordedFixture } from './fixture/asked.ts';
import { LIMITS, type LintLimits } from './fixture/lint.ts';
import { lint } from './fixture/lint-report.ts';
import { make, scenariosIn, type Wanted } from './fixture/new.ts';
import { LINES, PHONE_FAULTS, PLAYED } from './fixture/scenario.ts';
import { plainTerminal } from './plain-terminal.ts';

export const fixture: Command = {
  name: 'fixture',
  help: `patchcord fixture new NAME --proves TEXT [--carrier NAME] [--provider NAME]… [--say WAV]… [--keys KEYS] [--cut-in MS]
                        [--fault FAULT]… [--agent FILE] [--script FILE] [--in FOLDER]
patchcord fixture new --scenario NAME|all [--in FOLDER]
patchcord fixture new NAME --from RECORDING --proves TEXT [--in FOLDER]
patchcord fixture lint FOLDER… [--json FILE] [--max-kb N] [--max-mb N]

  new plays a call on this machine: the real service with signatures on, a simulated carrier and its caller, simulated
  providers. What crossed the edges of the call is recorded, replayed, and written to FOLDER/NAME (default folder: fixtures),
  together with scenario.yaml, from which --scenario makes it anew. A call whose two replays differ is not written.

  --proves TEXT    one sentence: what would be different if it were wrong
  --carrier NAME   ${LINES.join(', ')}; default twilio
  --provider NAME  whom the agent has, in order; default openai. One of
                   ${PLAYED.join(', ')}
  --say WAV        what the caller says, after the agent has finished: a file, or the name of a recording of fixtures/speech
                   (in the sources also of fixtures/noise)
  --keys KEYS      keys that the caller presses at the end
  --cut-in MS      the caller begins to speak when the agent was heard for so long
  --fault FAULT    of the carrier, such as omitStop or marks=never:
                   ${wrapped(PHONE_FAULTS)}
  --agent FILE     YAML of one agent, as in an agents file
  --script FILE    YAML of a whole scenario, with what the models do and what goes wrong with them; docs/recordings.md
  --scenario NAME  makes the fixture of this name anew, or all of them
  --from RECORDING the folder of a recorded call, to be redacted before; what was late on that day is not in the fixture

  lint looks at every call in and below these folders: that its files can be read and fit together (times, connections,
  requests and answers, audio), that it says what it proves and how it is made anew, that it is small, and that nothing was
  left in it that others must not read: numbers of people, keys, addresses.

  --json FILE      a report for programs; - prints it instead of the text
  --max-kb N       what one call may weigh; default 600
  --max-mb N       what all of them may weigh; default 15

Exit status: 0 made, or nothing found; 1 it could not be made, or something was found; 2 a folder or an argument cannot be
used.
`,
  async run(argv, terminal) {
    const [what, ...rest] = argv;
    const known = WHAT.find((one) => one === what);
    switch (known) {
      case 'new':
        return await runNew(rest, terminal);
      case 'lint':
        return await runLint(rest, terminal);
      case undefined: {
        const found = what === undefined ? 'nothing' : JSON.stringify(what);
        throw new BridgeError('BAD_INPUT', `fixture: found ${found}, wanted ${WHAT.join(' or ')}`);
      }
      default:
        return assertNever(known);
    }
  },
};

const WHAT = ['new', 'lint'] as const;
/** Calls take their time, and little of the machine's. */
const AT_ONCE = 4;

async function runNew(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = readArguments(
    argv,
    {
      proves: { type: 'string' },
      carrier: { type: 'string' },
      provider: { type: 'string', multiple: true },
      say: { type: 'string', multiple: true },
      keys: { type: 'string' },
      'cut-in': { type: 'string' },
      fault: { type: 'string', multiple: true },
      agent: { type: 'string' },
      script: { type: 'string' },
      scenario: { type: 'string' },
      from: { type: 'string' },
      in: { type: 'string', default: 'fixtures' },
    },
    true,
  );
  const [name, ...others] = positionals;
  const parent = values.in;
  if (values.scenario !== undefined) {
    if (name !== undefined) throw new BridgeError('BAD_INPUT', 'fixture new: found a name beside --scenario');
    return await makeAll(await scenariosIn(parent, values.scenario), terminal);
  }
  if (name === undefined || others.length > 0) {
    throw new BridgeError('BAD_INPUT', `fixture new: found ${positionals.length} names, wanted one`);
  }
  if (values.from !== undefined) {
    return await makeAll([await recordedFixture(parent, name, values.from, values.proves)], terminal);
  }
  const { 'cut-in': cutIn, ...given } = values;
  const asked = {
    ...given,
    ...(cutIn === undefined ? {} : { cutIn: wholeNumber('cut-in', cutIn, 0, 60_000) }),
  };
  return await makeAll([await askedFixture(parent, name, asked)], terminal);
}

/** Several at a time; what goes wrong with one of them is told, and the others are made. */
async function makeAll(all: readonly Wanted[], terminal: Terminal): Promise<number> {
  const waiting = [...all];
  let failed = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        await make(next, terminal);
      } catch (thrown) {
        failed += 1;
        terminal.err(`${next.folder}: ${BridgeError.from(thrown).message}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, all.length) }, work));
  return failed === 0 ? 0 : 1;
}

async function runLint(argv: readonly string[], terminal: Terminal): Promise<number> {
  const options = {
    json: { type: 'string' },
    'max-kb': { type: 'string' },
    'max-mb': { type: 'string' },
  } as const;
  const { values, positionals } = readArguments(argv, options, true);
  if (positionals.length === 0) {
    throw new BridgeError('BAD_INPUT', 'fixture lint: found no folder, wanted at least one');
  }
  const limits: LintLimits = {
    each: sizeOf('max-kb', values['max-kb'], 1000) ?? LIMITS.each,
    inAll: sizeOf('max-mb', values['max-mb'], 1_000_000) ?? LIMITS.inAll,
  };
  return await lint(positionals, values.json, plainTerminal(terminal), limits);
}

/** In bytes. */
function sizeOf(option: string, given: string | undefined, unit: number): number | undefined {
  if (given === undefined) return undefined;
  const size = given.trim() === '' ? Number.NaN : Number(given);
  if (size > 0 && Number.isFinite(size)) return size * unit;
  const message = `--${option}: found ${JSON.stringify(given)}, wanted a number above 0`;
  throw new BridgeError('BAD_INPUT', message);
}

/** A list that goes on in the column of what an option means. */
function wrapped(names: readonly string[]): string {
  const lines: string[] = [];
  let line = '';
  for (const name of names) {
    if (line.length + name.length > 90) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? name : `, ${name}`;
  }
  return [...lines, line].join(`,\n${' '.repeat(19)}`);
}
