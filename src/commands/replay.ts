import { writeFile } from 'node:fs/promises';
import { CARRIERS } from '../carrier.ts';
import { BridgeError } from '../errors.ts';
import { callFolders } from '../testing/call-folders.ts';
import { type Command, readArguments, type Terminal } from './command.ts';
import { plainTerminal } from './plain-terminal.ts';
import type { ReplayJob } from './replay/job.ts';

export const replay: Command = {
  name: 'replay',
  help: `patchcord replay FOLDER… [--speed 1|max] [--update] [--listen FILE] [--json FILE|-] [--quiet]
                 [--agents FILE [--agent NAME]] [--provider NAME] [--carrier NAME]

Plays the other side of every edge of a stored call (carrier, providers, functions, clock) to the real bridge on a
virtual clock, and compares what the bridge does with what it did. Each folder is that of a call, or one with calls
below it.

  --speed 1|max     max (the default): as fast as the machine; 1: in real time, and shows what happens
  --update          accepts what is different: writes what was found into the folder
  --listen FILE     writes the replay of one call as a WAV: left what the caller said, right what the caller heard
  --json FILE|-     writes a report for programs; -: to standard output, with nothing else there
  --quiet           shows only what is different

What would have gone differently, shown side by side:

  --agents FILE     another agent takes the call: that of the same name in this agents file, or --agent NAME; results of
                    functions are those of the call, by name and arguments
  --provider NAME   the caller's side of the call, spoken in real time to this provider, with the settings of the
                    environment; simulated:NAME: to a simulated one, which says what was said in the call
  --carrier NAME    the call by way of another carrier (${CARRIERS.join(', ')}), in real time on simulated phones;
                    without --provider the provider says what it said in the call, each word at its cue

Exit status: 0 nothing is different, or it was accepted; 1 something is; 2 a folder cannot be used, or the command was
called wrongly. With --provider and --carrier nothing can be quite the same, and the status is 0.
`,
  // Functions of an agents file are modules of others.
  importsModules: true,
  async run(argv, terminal) {
    const { values, positionals } = readArguments(
      argv,
      {
        speed: { type: 'string', default: 'max' },
        update: { type: 'boolean', default: false },
        listen: { type: 'string' },
        json: { type: 'string' },
        quiet: { type: 'boolean', default: false },
        agents: { type: 'string' },
        agent: { type: 'string' },
        provider: { type: 'string' },
        carrier: { type: 'string' },
      },
      true,
    );
    if (positionals.length === 0)
      throw wrong('found no folder, wanted that of a call, or one with calls below it');
    const { folders, leftOut } = callFolders(positionals);
    for (const folder of leftOut) {
      terminal.err(`left out ${folder}: it is not finished (name it to replay it as far as it goes)\n`);
    }
    if (folders.length === 0) throw wrong('found only calls that are not finished');
    const job: ReplayJob = {
      folders,
      speed: oneOf('speed', values.speed, ['1', 'max']),
      update: values.update,
      listen: values.listen,
      quiet: values.quiet,
      agents: values.agents,
      agent: values.agent,
      provider: values.provider,
      carrier: values.carrier === undefined ? undefined : oneOf('carrier', values.carrier, CARRIERS),
    };
    checkTogether(job);
    const toOut = values.json === '-';
    const stop = new AbortController();
    const release = terminal.onInterrupt(() => stop.abort(new BridgeError('CANCELLED', 'interrupted')));
    const { runReplays } = await import('./replay/run.ts');
    const { report, status } = await runReplays(
      job,
      plainTerminal(toOut ? onError(terminal) : terminal),
      stop.signal,
    );
    release();
    if (values.json !== undefined) await writeReport(values.json, report, terminal);
    return status;
  },
};

function wrong(text: string): BridgeError {
  return new BridgeError('BAD_INPUT', text);
}

function oneOf<const Name extends string>(option: string, found: string, names: readonly Name[]): Name {
  const name = names.find((one) => one === found);
  if (name !== undefined) return name;
  throw wrong(`--${option}: found ${JSON.stringify(found)}, wanted ${names.join(' or ')}`);
}

function checkTogether(job: ReplayJob): void {
  const { folders, listen, update, agents, agent, provider, carrier, speed } = job;
  const isLive = provider !== undefined || carrier !== undefined;
  if (update && isLive) {
    throw wrong('--update: found --provider or --carrier, wanted a replay that can be the same');
  }
  if (agent !== undefined && agents === undefined)
    throw wrong('--agent: found no --agents, wanted the file that it is in');
  for (const [name, value] of [
    ['listen', listen],
    ['speed 1', speed === '1' ? speed : undefined],
  ] as const) {
    if (value !== undefined && folders.length > 1)
      throw wrong(`--${name}: found ${folders.length} calls, wanted one`);
  }
}

/** Standard output belongs to the report. */
function onError(terminal: Terminal): Terminal {
  return { ...terminal, isTty: false, out: (text) => terminal.err(text) };
}

async function writeReport(file: string, report: unknown, terminal: Terminal): Promise<void> {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (file === '-') {
    terminal.out(text);
    return;
  }
  try {
    await writeFile(file, text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `--json ${file}: cannot be written: ${why}`, { cause });
  }
}
