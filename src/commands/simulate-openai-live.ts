import { startOpenAiLiveSimulator } from '../sim/openai-live.ts';
import { readArguments, type Terminal, wholeNumber } from './command.ts';
import { listening } from './simulated-port.ts';
import { playUntilInterrupted, readFaults, showEvents } from './simulated-provider.ts';

export const OPENAI_LIVE_HELP = `patchcord simulate openai-live [--port N] [--api-key KEY] [--first-audio-ms N] [--session-ms N] [--noise N] [--backchannel-ms N] [--faults FILE] [--quiet]

  An OpenAI Live server (gpt-live-1) for trying and testing without a key. Give its URL to a bridge as OPENAI_LIVE_BASE_URL. It
  sends one stream in real time, silence too, as long as it is sent audio; it says what it is given to say, and falls silent
  when somebody talks over it.

  --session-ms      longest session; default 7200000
  --noise           loudest sample of what stands for silence, 0 to 32767; default 0
  --backchannel-ms  a sound of agreement each time somebody has talked for so long; default never
  --port, --api-key, --first-audio-ms, --faults, --quiet as above
`;

const AUDIO = ['session.input_audio.append', 'session.output_audio.delta'];

/** Plays OpenAI Live until it is interrupted. */
export async function simulateOpenAiLive(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = readArguments(argv, {
    port: { type: 'string', default: '0' },
    'api-key': { type: 'string' },
    'first-audio-ms': { type: 'string', default: '250' },
    'session-ms': { type: 'string', default: '7200000' },
    noise: { type: 'string', default: '0' },
    'backchannel-ms': { type: 'string' },
    faults: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  });
  const backchannel = values['backchannel-ms'];
  const port = wholeNumber('port', values.port, 0, 65_535);
  await using simulator = await listening(
    port,
    startOpenAiLiveSimulator({
      port,
      firstAudioMs: wholeNumber('first-audio-ms', values['first-audio-ms'], 0, 600_000),
      sessionMs: wholeNumber('session-ms', values['session-ms'], 1, 86_400_000),
      noise: wholeNumber('noise', values.noise, 0, 32_767),
      ...(backchannel === undefined
        ? {}
        : { backchannelMs: wholeNumber('backchannel-ms', backchannel, 100, 600_000) }),
      ...(values['api-key'] === undefined ? {} : { apiKey: values['api-key'] }),
      ...(values.faults === undefined ? {} : { faults: await readFaults(values.faults) }),
      ...(values.quiet ? {} : { onEvent: showEvents(terminal, AUDIO) }),
    }),
  );
  return await playUntilInterrupted(simulator.url, terminal);
}
