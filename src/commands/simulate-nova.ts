import { BridgeError } from '../errors.ts';
import { startNovaSimulator } from '../sim/nova.ts';
import { readArguments, type Terminal, wholeNumber } from './command.ts';
import { listening } from './simulated-port.ts';
import { playUntilInterrupted, readFaults, readNames, showEvents } from './simulated-provider.ts';

export const NOVA_HELP = `patchcord simulate nova [--port N] [--access-key-id ID] [--first-audio-ms N] [--speed N] [--session-ms N] [--endpoint-scale PERCENT] [--tool-arguments single|double] [--models NAMES] [--voices NAMES] [--faults FILE] [--quiet]

  Amazon Nova 2 Sonic on a Bedrock runtime endpoint (HTTP/2 without TLS), for trying and testing without an account. Give its
  URL to a bridge as AWS_ENDPOINT_URL_BEDROCK_RUNTIME: for an endpoint on this machine it makes up a region and credentials
  where none are set. Requests must be signed, as the bridge does, but no signature is verified.

  --access-key-id   refuses every other access key; default: any is good
  --session-ms      after this time the session ends with a modelTimeoutException; default 480000
  --endpoint-scale  per cent of the silence (1.5 to 2 s) that ends the caller's turn; default 100
  --tool-arguments  arguments of functions as JSON text, or (double) as JSON text of JSON text; default single
  --models, --voices  names that are good, with commas between them, or any; default: those of the service
  --port, --first-audio-ms, --speed, --faults, --quiet as above
`;

const AUDIO = ['audioInput', 'audioOutput'];

/** Plays Amazon Nova 2 Sonic until it is interrupted. */
export async function simulateNova(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = readArguments(argv, {
    port: { type: 'string', default: '0' },
    'access-key-id': { type: 'string' },
    'first-audio-ms': { type: 'string', default: '250' },
    speed: { type: 'string', default: '4' },
    'session-ms': { type: 'string', default: '480000' },
    'endpoint-scale': { type: 'string', default: '100' },
    'tool-arguments': { type: 'string', default: 'single' },
    models: { type: 'string' },
    voices: { type: 'string' },
    faults: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  });
  const toolArguments = values['tool-arguments'];
  if (toolArguments !== 'single' && toolArguments !== 'double') {
    const found = JSON.stringify(toolArguments);
    throw new BridgeError('BAD_INPUT', `--tool-arguments: found ${found}, wanted single or double`);
  }
  const accessKeyId = values['access-key-id'];
  const port = wholeNumber('port', values.port, 0, 65_535);
  await using simulator = await listening(
    port,
    startNovaSimulator({
      port,
      firstAudioMs: wholeNumber('first-audio-ms', values['first-audio-ms'], 0, 600_000),
      speedFactor: wholeNumber('speed', values.speed, 1, 1000),
      sessionMs: wholeNumber('session-ms', values['session-ms'], 1, 86_400_000),
      endpointScale: wholeNumber('endpoint-scale', values['endpoint-scale'], 1, 1000) / 100,
      toolArguments,
      ...(accessKeyId === undefined ? {} : { accessKeyId }),
      ...(values.models === undefined ? {} : { models: readNames('models', values.models) }),
      ...(values.voices === undefined ? {} : { voices: readNames('voices', values.voices) }),
      ...(values.faults === undefined ? {} : { faults: await readFaults(values.faults) }),
      ...(values.quiet ? {} : { onEvent: showEvents(terminal, AUDIO) }),
    }),
  );
  return await playUntilInterrupted(simulator.url, terminal);
}
