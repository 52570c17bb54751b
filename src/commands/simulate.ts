import { CARRIERS } from '../carrier.ts';
import { BridgeError } from '../errors.ts';
import type { Command } from './command.ts';
import { CARRIER_HELP, simulateCarrier } from './simulate-carrier.ts';
import { OPENAI_HELP, simulateOpenAi } from './simulate-openai.ts';

export const simulate: Command = {
  name: 'simulate',
  summary: 'plays a provider, or a carrier and whoever it rings',
  help: `patchcord simulate openai|${CARRIERS.join('|')} …

Plays the other side of the wire on this machine, until it is interrupted. The first line is "listening on URL".

${OPENAI_HELP}
${CARRIER_HELP}`,
  async run(argv, terminal) {
    const [what, ...rest] = argv;
    if (what === 'openai') return await simulateOpenAi(rest, terminal);
    const carrier = CARRIERS.find((candidate) => candidate === what);
    if (carrier !== undefined) return await simulateCarrier(carrier, rest, terminal);
    const wanted = ['openai', ...CARRIERS].join(', ');
    throw new BridgeError(
      'BAD_INPUT',
      `simulate: found ${JSON.stringify(what ?? '')}, wanted one of ${wanted}`,
    );
  },
};
