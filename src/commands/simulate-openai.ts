import { BridgeError } from '../errors.ts';
import { startOpenAiSimulator } from '../sim/openai.ts';
import { readArguments, type Terminal, wholeNumber } from './command.ts';
import { listening } from './simulated-port.ts';
import { playUntilInterrupted, readFaults, showEvents } from './simulated-provider.ts';

export const OPENAI_HELP = `patchcord simulate openai [--port N] [--api-key KEY] [--first-audio-ms N] [--speed N] [--dialect NAME] [--faults FILE] [--quiet]

  An OpenAI Realtime server for trying and testing without a key: it hears when somebody speaks, answers with babble and a
  transcript of what it heard, and keeps the rules of the real one. Give its URL to a bridge as OPENAI_BASE_URL. It is
  also Azure OpenAI, Azure Voice Live and Inworld, each at its own path.

  --port            0 (the default) lets the system choose
  --api-key         refuses every other key; default: any key is good
  --first-audio-ms  from the start of a response to its first audio; default 250
  --speed           how much faster than it is heard audio is sent; default 4
  --dialect         ga; beta with the old event names; xai, voice-live or inworld, as these speak it
  --faults          JSON file: a list of faults such as {"when":{"after":"audioMs","value":800},"do":"drop"}
  --quiet           shows no events
`;

const DIALECTS = ['ga', 'beta', 'xai', 'voice-live', 'inworld'] as const;

const AUDIO = ['input_audio_buffer.append', 'response.output_audio.delta', 'response.audio.delta'];

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
  const dialect = DIALECTS.find((known) => known === values.dialect);
  if (dialect === undefined) {
    const wanted = DIALECTS.join(', ');
    throw new BridgeError(
      'BAD_INPUT',
      `--dialect: found ${JSON.stringify(values.dialect)}, wanted one of ${wanted}`,
    );
  }
  const port = wholeNumber('port', values.port, 0, 65_535);
  await using simulator = await listening(
    port,
    startOpenAiSimulator({
      port,
      firstAudioMs: wholeNumber('first-audio-ms', values['first-audio-ms'], 0, 600_000),
      speedFactor: wholeNumber('speed', values.speed, 1, 1000),
      dialect,
      ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
      ...(values.faults === undefined ? {} : { faults: await readFaults(values.faults) }),
      ...(values.quiet ? {} : { onEvent: showEvents(terminal, AUDIO) }),
    }),
  );
  return await playUntilInterrupted(simulator.url, terminal);
}
