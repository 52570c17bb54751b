import { voiceAgent } from '../agents.ts';
import { agentsJsonSchemaText } from '../agents-file/json-schema.ts';
import type { ProviderKnowledge } from '../agents-file/known-names.ts';
import { lineOf, mistakesOf } from '../agents-file/mistakes.ts';
import { type AgentSummary, type NumberSummary, type Summary, summarize } from '../agents-file/summary.ts';
import { readAgentsFile } from '../agents-file.ts';
import { readProviderList } from '../config/provider-choice.ts';
import { modelOf, readProviders, voiceOf } from '../config/providers.ts';
import { Reader } from '../config/reader.ts';
import { type Config, type Env, loadConfig } from '../config.ts';
import { BridgeError } from '../errors.ts';
import type { TurnDetection } from '../provider.ts';
import { type BuiltInProvider, builtInProviders } from '../server/providers.ts';
import { askServers } from './check-servers.ts';
import { type Command, readArguments, type Terminal } from './command.ts';

export const check: Command = {
  name: 'check',
  importsModules: true,
  help: `patchcord check [FILE] [--json] [--connect] [--provider NAME]…
patchcord check --schema

Reads an agents file (default: AGENTS_FILE) with everything that it names, imports its handler modules, and prints what
becomes of the calls of each number. Of a file that cannot be used it prints every mistake, one a line, and exits with 2.

  --json      prints JSON: the summary, or {"ok":false,"mistakes":[{file,line,column,path,text}]}
  --connect   starts the MCP servers of the file as well, and prints the functions that they have; one that does not come
              up is a mistake
  --provider  a provider that the program brings (defineProvider), so that agents may name it
  --schema    prints the JSON Schema of the file, for editors
`,
  async run(argv, terminal) {
    const { values, positionals } = readArguments(
      argv,
      {
        json: { type: 'boolean', default: false },
        connect: { type: 'boolean', default: false },
        schema: { type: 'boolean', default: false },
        provider: { type: 'string', multiple: true, default: [] },
      },
      true,
    );
    if (values.schema) {
      terminal.out(agentsJsonSchemaText());
      return 0;
    }
    const path = onePath(positionals, terminal.env);
    const print = values.json ? printJson : printText;
    try {
      print(await checked(path, terminal, values.connect, values.provider), terminal);
      return 0;
    } catch (thrown) {
      const mistakes = mistakesOf(thrown)?.mistakes;
      if (mistakes === undefined) throw thrown;
      if (values.json) terminal.out(`${JSON.stringify({ ok: false, mistakes }, null, 2)}\n`);
      else {
        const count = mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`;
        terminal.err(`${mistakes.map((one) => `${lineOf(one)}\n`).join('')}${count}\n`);
      }
      return 2;
    }
  },
};

interface Checked extends Summary {
  /** Functions of MCP servers by server; undefined: they were not asked. */
  readonly servers: Readonly<Record<string, readonly string[]>> | undefined;
  /** Of the prices and budgets. */
  readonly currency: string | undefined;
}

function onePath(positionals: readonly string[], env: Env): string {
  if (positionals.length > 1) {
    throw new BridgeError('BAD_INPUT', `found ${positionals.length} files, wanted one`);
  }
  const path = positionals[0] ?? env['AGENTS_FILE'];
  if (path === undefined || path === '') {
    throw new BridgeError('BAD_INPUT', 'found no file, wanted one as an argument or in AGENTS_FILE');
  }
  return path;
}

async function checked(
  path: string,
  { env, err }: Terminal,
  connect: boolean,
  own: readonly string[],
): Promise<Checked> {
  const { config, problem } = configOf(env);
  const brought = own.map((name) => ({ name, lacks: undefined }));
  const builtIn = builtInProviders(config).filter(({ name }) => !own.includes(name));
  const providers = [...brought, ...builtIn];
  const file = await readAgentsFile(path, env, { providers });
  const { maxCallMs, silenceMs, failover, lastResort, agent } = config;
  const base = voiceAgent({ ...agent, maxCallMs, silenceMs, failover, lastResort, voice: undefined }, []);
  const knowledge = await knowledgeOf(builtIn, config);
  const summary = summarize(file, {
    ...knowledge,
    providers,
    usual: config.providers,
    base,
    recording: config.recordings.by,
  });
  const mcp = connect ? await askServers(file, err) : undefined;
  return {
    ...summary,
    notes: [...summary.notes, ...problem, ...(mcp?.notes ?? [])],
    servers: mcp?.servers,
    currency: file.prices?.currency,
  };
}

async function knowledgeOf(entries: readonly BuiltInProvider[], config: Config): Promise<ProviderKnowledge> {
  const facts = await Promise.all(entries.map(async (entry) => [entry.name, await entry.facts()] as const));
  return {
    facts: new Map(facts),
    usualOf(provider) {
      const name = entries.find((entry) => entry.name === provider)?.name;
      return { model: name && modelOf(name, config), voice: name && voiceOf(name, config) };
    },
  };
}

/** A mistake in the environment is the matter of `serve`; here it is worth a note. */
function configOf(env: Env): { readonly config: Config; readonly problem: readonly string[] } {
  try {
    return { config: loadConfig(env), problem: [] };
  } catch (thrown) {
    const message = BridgeError.from(thrown).message.replace(/^BAD_CONFIG: /, '');
    const problem = [`environment: ${message}; \`serve\` will not start here`];
    // Which providers there are is not in doubt because a port is.
    const read = new Reader(env);
    const sections = readProviders(read);
    const listed = readProviderList(read, sections);
    return { config: { ...loadConfig({}), ...sections, provider: listed[0], providers: listed }, problem };
  }
}

function printJson(summary: Checked, terminal: Terminal): void {
  terminal.out(`${JSON.stringify({ ok: true, ...summary }, null, 2)}\n`);
}

function printText(summary: Checked, terminal: Terminal): void {
  const { numbers, agents, notes, servers, budget, currency = '' } = summary;
  const blocks = [
    numbers.flatMap((entry) => numberLines(entry, currency)),
    budget === undefined
      ? []
      : [`all calls: ${budget.perDay} ${currency} a day, then callers are told: ${budget.refusal}`],
    ...agents.map((agent) => agentLines(agent, currency)),
    ...Object.entries(servers ?? {}).map(([name, functions]) => [
      `MCP server ${name}`,
      row('functions', listed(functions)),
    ]),
    notes.map((note) => `note: ${note}`),
  ];
  const filled = blocks.filter((lines) => lines.length > 0);
  terminal.out(`${filled.map((lines) => lines.join('\n')).join('\n\n')}\n`);
}

/** So much of a greeting tells which one it is. */
const FIRST_WORDS = 60;

function numberLines(
  { number, carrier, agent, greeting, perDay }: NumberSummary,
  currency: string,
): string[] {
  const says = greeting === undefined ? 'waits for the caller' : JSON.stringify(firstWords(greeting));
  const budget = perDay === undefined ? '' : `, ${perDay} ${currency} a day`;
  return [`${number.padEnd(16)} ${(carrier ?? 'any carrier').padEnd(11)} -> ${agent}: ${says}${budget}`];
}

function firstWords(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= FIRST_WORDS ? line : `${line.slice(0, FIRST_WORDS)}…`;
}

function agentLines(agent: AgentSummary, currency: string): string[] {
  const { providers, functions, language, turnDetection, audio, recording, perCall } = agent;
  const { maxCallSeconds, webhooks } = agent;
  return [
    `agent ${agent.name}`,
    row('providers', providerWords(providers)),
    row('fail-over', failoverWords(agent)),
    row('functions', listed(functions)),
    row('language', language ?? 'as the model decides'),
    row('turns end', turnWords(turnDetection)),
    row('audio', audio),
    row('recording', recordingWords(recording)),
    row('longest call', `${maxCallSeconds} s`),
    row('budget', perCall === undefined ? 'none' : `${perCall} ${currency} a call`),
    row('webhooks', listed(webhookWords(webhooks))),
    row('last resort', lastResortWords(agent)),
  ];
}

const RECORDERS = {
  off: 'no',
  carrier: 'by the carrier, from the first second',
  bridge: 'by the service, from the first second',
  both: 'by the carrier and by the service, from the first second',
} as const;

/** Who records, and what is taken out of what the service records. */
function recordingWords({ by, redact }: AgentSummary['recording']): string {
  if (redact === undefined) return RECORDERS[by];
  const { numbers, fields, speech, words, keys } = redact;
  const out = [
    ...(numbers ? ['numbers'] : []),
    ...fields,
    ...(speech === 'none' ? [] : [speech === 'both' ? 'all speech' : `speech of the ${speech}`]),
    ...(words ? ['words'] : []),
    ...(keys ? ['keys'] : []),
  ];
  return out.length === 0 ? RECORDERS[by] : `${RECORDERS[by]}; without ${out.join(', ')}`;
}

type Providers = AgentSummary['providers'];

/** In which order they are tried, and who is not. */
function providerWords(providers: Providers): string {
  const usable = providers.filter(({ lacks }) => lacks === undefined).map(fullName);
  const lacking = lackWords(providers);
  if (usable.length === 0) return `none: ${lacking.join(', ')}`;
  return `${usable.join(', then ')}${lacking.length === 0 ? '' : ` (${lacking.join(', ')})`}`;
}

/** How long a provider is waited for, as far as it matters with so many of them. */
function failoverWords({ providers, failover }: AgentSummary): string {
  const { connectSeconds, hedgeSeconds, answerSeconds, filler, fillerAfterMs } = failover;
  const several = providers.filter(({ lacks }) => lacks === undefined).length > 1;
  const words = [
    `${connectSeconds} s to connect`,
    several && hedgeSeconds > 0 && hedgeSeconds < connectSeconds
      ? `the next one beside it after ${hedgeSeconds} s`
      : undefined,
    answerSeconds > 0 ? `${answerSeconds} s to answer` : 'any time to answer',
    filler === 'none' ? 'silence meanwhile' : `a ${filler} after ${fillerAfterMs} ms`,
  ];
  return words.filter((one) => one !== undefined).join(', ');
}

function lastResortWords({ lastResort, lastResortText }: AgentSummary): string {
  return lastResortText === undefined
    ? lastResort
    : `${lastResort}: ${JSON.stringify(firstWords(lastResortText))}`;
}

function lackWords(providers: Providers): string[] {
  const lacking = providers.filter(({ lacks }) => lacks !== undefined);
  return lacking.map((one) => `${fullName(one)} lacks ${one.lacks}`);
}

function fullName({ name, model }: Providers[number]): string {
  return model === undefined ? name : `${name} ${model}`;
}

function turnWords({ mode, threshold, prefixMs, silenceMs, eagerness }: TurnDetection): string {
  const settings =
    mode === 'semantic'
      ? [eagerness && `eagerness ${eagerness}`]
      : [
          threshold === undefined ? undefined : `threshold ${threshold}`,
          prefixMs === undefined ? undefined : `${prefixMs} ms before it`,
          silenceMs === undefined ? undefined : `pause of ${silenceMs} ms`,
        ];
  const said = settings.filter((one) => one !== undefined);
  const kind = mode === 'semantic' ? 'by what was said' : 'by loudness and pauses';
  return said.length === 0 ? kind : `${kind} (${said.join(', ')})`;
}

function webhookWords({ start, end }: AgentSummary['webhooks']): readonly string[] {
  const words = [start && `start ${start}`, end && `end ${end}`];
  return words.filter((one) => one !== undefined);
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(13)} ${value}`;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}
