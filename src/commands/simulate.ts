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

const NAMES = [...Object.keys(PROVIDERS), ...CARRIERS];

export const simulate: Command = {
  name: 'simulate',
  summary: 'plays a provider, or a carrier and whoever it rings',
  help: `patchcord simulate ${NAMES.join('|')} …

Plays the other side of the wire on this machine, until it is interrupted. The first line is "listening on URL".

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
    throw new BridgeError(
      'BAD_INPUT',
      `simulate: found ${JSON.stringify(what)}, wanted one of ${NAMES.join(', ')}`,
    );
  },
};
