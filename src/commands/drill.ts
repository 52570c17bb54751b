import { join } from 'node:path';
import { CARRIERS } from '../carrier.ts';
import { BridgeError } from '../errors.ts';
import { type Command, readArguments } from './command.ts';
import { AGENT_VOICES, makeLexicon } from './drill/lexicon.ts';
import { KILLS, perform } from './drill/performance.ts';
import { STAND_INS, type StandInName } from './drill/stand-ins.ts';
import { held, print, timeline, verdict } from './drill/timeline.ts';
import { keepCall } from './phone-call.ts';

export const drill: Command = {
  name: 'drill',
  help: `patchcord drill [--kill WHEN] [--carrier NAME] [--providers NAMES] [--out FOLDER]

Starts simulated providers and the real service with signatures on, has a simulated phone call it, kills the first
provider, and prints what happened when. Needs no key, no phone and no network. Leaves caller.wav, agent.wav, call.wav
(caller left, agent right) and transcript.txt in a folder: calls/drill, or --out. Fails if the call was lost.

The agent counts, each provider in a voice of its own; the caller spells. So whatever is missing, or comes twice, is heard.

  --kill WHEN        mid-sentence (default), while-caller-speaks, during-tool, or stall: the connection stays, but
                     nothing comes any more
  --carrier NAME     twilio (default), telnyx or plivo
  --providers NAMES  two or three of openai, gemini, nova, in the order in which the agent tries them;
                     default openai,gemini
`,
  async run(argv, terminal) {
    const { values } = readArguments(argv, {
      kill: { type: 'string', default: 'mid-sentence' },
      carrier: { type: 'string', default: 'twilio' },
      providers: { type: 'string', default: 'openai,gemini' },
      out: { type: 'string', default: join('calls', 'drill') },
    });
    const plan = {
      kill: oneOf('kill', values.kill, KILLS),
      carrier: oneOf('carrier', values.carrier, CARRIERS),
      providers: readProviders(values.providers),
      lexicon: await makeLexicon(),
    };
    terminal.out(`an agent with ${plan.providers.join(', then ')} is called by way of ${plan.carrier}\n\n`);
    const stop = new AbortController();
    const release = terminal.onInterrupt(() => stop.abort());
    await using result = await perform(plan, stop.signal);
    release();
    const ended = result.call.events.find((event) => event.type === 'ended');
    const files = await keepCall(values.out, result.call.phone, result.report, ended?.transcript);
    terminal.out(`${print(timeline(result))}\n`);
    terminal.out(`${verdict(result).join('\n')}\n\n`);
    terminal.out(`listen to ${join(values.out, 'call.wav')} (caller left, agent right)\n`);
    terminal.out(`kept in ${values.out}: ${files.join(', ')}\n`);
    return held(result) ? 0 : 1;
  },
};

function oneOf<const T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  throw new BridgeError(
    'BAD_INPUT',
    `--${option}: found ${JSON.stringify(text)}, wanted one of ${known.join(', ')}`,
  );
}

function readProviders(text: string): readonly StandInName[] {
  const names = text.split(',').map((name) => oneOf('providers', name.trim(), STAND_INS));
  if (names.length >= 2 && names.length <= AGENT_VOICES.length && new Set(names).size === names.length) {
    return names;
  }
  throw new BridgeError(
    'BAD_INPUT',
    `--providers: found ${JSON.stringify(text)}, wanted two or three different ones of ${STAND_INS.join(', ')}`,
  );
}
