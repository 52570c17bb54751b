import { meant } from '../agents-file/words.ts';
import { CARRIERS } from '../carrier.ts';
import { BridgeError } from '../errors.ts';
import type { Command, Terminal } from './command.ts';
import { CARRIER_HELP, simulateCarrier } from './simulate-carrier.ts';
import { GEMINI_HELP, simulateGemini } from './simulate-gemini.ts';
import { NOVA_HELP, simulateNova } from './simulate-nova.ts';
import { OPENAI_HELP, simulateOpenAi } from './simulate-openai.ts';
import { OPENAI_LIVE_HELP, simulateOpenAiLive } from './simulate-openai-live.ts';

interface Simulation {
  readonly help: string;
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

/** The providers that can be played; the help shows them in this order. */
const PROVIDERS: Readonly<Record<string, Simulation>> = {
  openai: { help: OPENAI_HELP, run: simulateOpenAi },
  'openai-live': { help: OPENAI_LIVE_HELP, run: simulateOpenAiLive },
  gemini: { help: GEMINI_HELP, run: simulateGemini },
  nova: { help: NOVA_HELP, run: simulateNova },
};

/** Providers that the server of another one plays, and how. */
const RELATIVES: Readonly<Record<string, string>> = {
  xai: '`simulate openai --dialect xai`; its URL is XAI_BASE_URL',
  azure: '`simulate openai`; its address (http://127.0.0.1:PORT) is AZURE_OPENAI_ENDPOINT',
  'azure-voice-live': '`simulate openai`; its address (http://127.0.0.1:PORT) is AZURE_VOICE_LIVE_ENDPOINT',
  inworld: '`simulate openai`; with the path /api/v1/realtime/session its address is INWORLD_BASE_URL',
};

const NAMES = [...Object.keys(PROVIDERS), ...CARRIERS];

export const simulate: Command = {
  name: 'simulate',
  help: `patchcord simulate ${NAMES.join('|')} …

Plays the other side of the wire on this machine, until it is interrupted. The first line is "listening on URL".
Providers show their events on standard error, without audio: messages that carry audio are counted, one line a second for
each kind.

${Object.values(PROVIDERS)
  .map(({ help }) => help)
  .join('\n')}
${CARRIER_HELP}`,
  async run(argv, terminal) {
    const [what = '', ...rest] = argv;
    const provider = Object.hasOwn(PROVIDERS, what) ? PROVIDERS[what] : undefined;
    if (provider !== undefined) return await provider.run(rest, terminal);
    const carrier = CARRIERS.find((candidate) => candidate === what);
    if (carrier !== undefined) return await simulateCarrier(carrier, rest, terminal);
    throw new BridgeError('BAD_INPUT', unknown(what));
  },
};

function unknown(what: string): string {
  if (Object.hasOwn(RELATIVES, what)) return `simulate: ${what} is played by ${RELATIVES[what]}`;
  const near = meant(what, [...NAMES, ...Object.keys(RELATIVES)]);
  const wanted = near === undefined ? `wanted one of ${NAMES.join(', ')}` : `did you mean ${near}?`;
  return `simulate: found ${JSON.stringify(what)}, ${wanted}`;
}
