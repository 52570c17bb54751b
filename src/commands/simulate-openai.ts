import { readFile } from 'node:fs/promises';
import { BridgeError } from '../errors.ts';
import { type FaultRule, startOpenAiSimulator } from '../sim/openai.ts';
import { readArguments, type Terminal, wholeNumber } from './command.ts';

export const OPENAI_HELP = `patchcord simulate openai [--port N] [--api-key KEY] [--first-audio-ms N] [--speed N] [--dialect ga|beta] [--faults FILE] [--quiet]

  An OpenAI Realtime server for trying and testing without a key: it hears when somebody speaks, answers with babble and a
  transcript of what it heard, and keeps the rules of the real one. Give its URL to a bridge as OPENAI_BASE_URL. Every event
  is then shown on standard error, without audio; --quiet shows none.

  --port            0 (the default) lets the system choose
  --api-key         refuses every other key; default: any key is good
  --first-audio-ms  from the start of a response to its first audio; default 250
  --speed           how much faster than it is heard audio is sent; default 4
  --dialect         ga, or beta with the old event names
  --faults          JSON file: a list of faults such as {"when":{"after":"audioMs","value":800},"do":"drop"}
`;

/** Plays OpenAI Realtime until it is interrupted. */
export async function simulateOpenAi(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = readArguments(argv, {
    port: { type: 'string', default: '0' },
    'api-key': { type: 'string' },
    'first-audio-ms': { type: 'string', default: '250' },
    speed: { type: 'string', default: '4' },
    dialect: { type: 'string', default: 'ga' },
    faults: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  });
  const { dialect } = values;
  if (dialect !== 'ga' && dialect !== 'beta') {
    throw new BridgeError('BAD_INPUT', `--dialect: found ${JSON.stringify(dialect)}, wanted ga or beta`);
  }
  await using simulator = await startOpenAiSimulator({
    port: wholeNumber('port', values.port, 0, 65_535),
    firstAudioMs: wholeNumber('first-audio-ms', values['first-audio-ms'], 0, 600_000),
    speedFactor: wholeNumber('speed', values.speed, 1, 1000),
    dialect,
    ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
    ...(values.faults === undefined ? {} : { faults: await readFaults(values.faults) }),
    ...(values.quiet
      ? {}
      : {
          onEvent: ({ index }, { direction, atMs, event }) => {
            const arrow = direction === 'received' ? '▶' : '◀';
            terminal.err(
              `${String(index).padStart(3)} ${(atMs / 1000).toFixed(3).padStart(8)} ${arrow} ${event.type}\n`,
            );
          },
        }),
  });
  terminal.out(`listening on ${simulator.url}\n`);
  await new Promise<void>((resolve) => {
    terminal.onInterrupt(resolve);
  });
  return 0;
}

async function readFaults(file: string): Promise<readonly FaultRule[]> {
  const wrong = (what: string, cause?: unknown): BridgeError =>
    new BridgeError(
      'BAD_INPUT',
      `--faults ${file}: ${what}, wanted a JSON list of {"when":{"after":…},"do":…}`,
      { cause },
    );
  let rules: unknown;
  try {
    rules = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw wrong('cannot be read as JSON', cause);
  }
  if (!Array.isArray(rules)) throw wrong(`found a ${typeof rules}`);
  for (const [index, rule] of rules.entries()) {
    if (typeof rule?.do !== 'string' || typeof rule?.when?.after !== 'string')
      throw wrong(`entry ${index} is not a fault`);
  }
  return rules;
}
