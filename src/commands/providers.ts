import { readProviderList } from '../config/provider-choice.ts';
import { laterOf, modelOf, type ProviderSections, readProviders } from '../config/providers.ts';
import { Reader } from '../config/reader.ts';
import type { ProviderFacts } from '../provider.ts';
import { type BuiltInProvider, builtInProviders } from '../server/providers.ts';
import { type Command, readArguments, type Terminal } from './command.ts';
import { audioTable, type ListedProvider, plainTable, turnTable } from './provider-tables.ts';

export const providers: Command = {
  name: 'providers',
  help: `patchcord providers [--json]

Prints every provider that can take calls, whether the environment has what it needs, and what it can do. The one with *
takes the calls of agents that name none, and *2 takes over when it fails. docs/providers.md says how to configure each.

  --json   prints JSON: {usual, order, mistakes, providers: [{name, title, lacks, later, model, capabilities, …}]}
`,
  async run(argv, terminal) {
    const { values } = readArguments(argv, { json: { type: 'boolean', default: false } });
    const overview = await overviewOf(terminal);
    if (values.json) terminal.out(`${JSON.stringify(overview, null, 2)}\n`);
    else printText(overview, terminal);
    return 0;
  },
};

interface Listed extends ProviderFacts {
  readonly name: string;
  /** What the environment lacks for it. */
  readonly lacks: string | undefined;
  /** What becomes known with the first call only; undefined: nothing. */
  readonly later: string | undefined;
  /** Of the environment, or its default; undefined: it has no models to choose from, or has to be told. */
  readonly model: string | undefined;
}

interface Overview {
  readonly usual: string;
  /** Who takes the calls of agents that name none, in the order in which they are tried; the usual one first. */
  readonly order: readonly string[];
  /** Of the settings of providers. */
  readonly mistakes: readonly string[];
  readonly providers: readonly Listed[];
}

async function overviewOf({ env }: Terminal): Promise<Overview> {
  const read = new Reader(env);
  const config = readProviders(read);
  const order = readProviderList(read, config);
  const entries = builtInProviders(config);
  return {
    usual: order[0],
    order,
    mistakes: read.bad,
    providers: await Promise.all(entries.map((entry) => listed(entry, config))),
  };
}

async function listed(entry: BuiltInProvider, config: ProviderSections): Promise<Listed> {
  const { name, lacks } = entry;
  const facts = await entry.facts();
  const model = modelOf(name, config) ?? facts.defaultModel;
  return { name, lacks, later: laterOf(name, config), model, ...facts };
}

function printText({ order, mistakes, providers: all }: Overview, terminal: Terminal): void {
  const rows: readonly ListedProvider[] = all.map((one) => ({ name: one.name, facts: one }));
  const states = [
    ['provider', 'what it is', 'model', 'in this environment'],
    ...all.flatMap((one) => stateRows(one, order)),
  ];
  const footnotes = [
    '* takes the calls of agents that name no provider',
    ...(order.length > 1 ? ['*2 and so on take over when those before it fail'] : []),
    ...all.flatMap(({ name, later }) => (later === undefined ? [] : [`${name}: ${later}`])),
  ];
  const blocks = [
    plainTable(states),
    `${footnotes.join('\n')}\n`,
    plainTable(audioTable(rows)),
    plainTable(turnTable(rows)),
  ];
  terminal.out(blocks.join('\n'));
  terminal.err(mistakes.map((mistake) => `mistake: ${mistake}\n`).join(''));
}

/** One row; each further variable that is lacking has its own, because all of them in one would be too long to read. */
function stateRows(
  { name, title, lacks, model }: Listed,
  order: readonly string[],
): readonly (readonly string[])[] {
  const turn = order.indexOf(name);
  const [first, ...others] = lacks?.split(/, | and /) ?? [];
  return [
    [
      `${name}${turn < 0 ? '' : ` *${turn === 0 ? '' : turn + 1}`}`,
      title,
      model ?? '-',
      first === undefined ? 'can be used' : `lacks ${first}`,
    ],
    ...others.map((variable) => ['', '', '', `      ${variable}`]),
  ];
}
