import { BridgeError } from '../errors.ts';
import { startGeminiSimulator } from '../sim/gemini.ts';
import { readArguments, type Terminal, wholeNumber } from './command.ts';
import { listening } from './simulated-port.ts';
import { playUntilInterrupted, readFaults, readNames, showEvents } from './simulated-provider.ts';

export const GEMINI_HELP = `patchcord simulate gemini [--port N] [--api-key KEY] [--first-audio-ms N] [--speed N] [--session-ms N] [--frames binary|text] [--models NAMES] [--voices NAMES] [--faults FILE] [--quiet]

  A Gemini Live server for trying and testing without a key, at the paths of the Gemini API and of Vertex AI. Give its URL to a
  bridge as GEMINI_BASE_URL. It keeps the rules of the generation (2.5, 3.1, 3.8) that the name of the model tells.

  --session-ms      longest connection, announced a minute before by goAway; default 600000
  --frames          how messages are sent: binary as the service does, or text
  --models, --voices  names that are good, with commas between them, or any; default: those of the service
  --port, --api-key, --first-audio-ms, --speed, --faults, --quiet as above
`;

const AUDIO = ['realtimeInput.audio', 'modelTurn'];

/** Plays Gemini Live until it is interrupted. */
export async function simulateGemini(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = readArguments(argv, {
    port: { type: 'string', default: '0' },
    'api-key': { type: 'string' },
    'first-audio-ms': { type: 'string', default: '250' },
    speed: { type: 'string', default: '4' },
    'session-ms': { type: 'string', default: '600000' },
    frames: { type: 'string', default: 'binary' },
    models: { type: 'string' },
    voices: { type: 'string' },
    faults: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  });
  const { frames } = values;
  if (frames !== 'binary' && frames !== 'text') {
    throw new BridgeError('BAD_INPUT', `--frames: found ${JSON.stringify(frames)}, wanted binary or text`);
  }
  const port = wholeNumber('port', values.port, 0, 65_535);
  await using simulator = await listening(
    port,
    startGeminiSimulator({
      port,
      firstAudioMs: wholeNumber('first-audio-ms', values['first-audio-ms'], 0, 600_000),
      speedFactor: wholeNumber('speed', values.speed, 1, 1000),
      sessionMs: wholeNumber('session-ms', values['session-ms'], 1, 86_400_000),
      frames,
      ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
      ...(values.models === undefined ? {} : { models: readNames('models', values.models) }),
      ...(values.voices === undefined ? {} : { voices: readNames('voices', values.voices) }),
      ...(values.faults === undefined ? {} : { faults: await readFaults(values.faults) }),
      ...(values.quiet ? {} : { onEvent: showEvents(terminal, AUDIO) }),
    }),
  );
  return await playUntilInterrupted(simulator.url, terminal);
}
