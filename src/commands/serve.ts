import { availableParallelism } from 'node:os';
import type { AfterStream } from '../carrier.ts';
import { type BegunProvider, begunProviders, unusedProviders } from '../config/provider-choice.ts';
import { type Config, type Env, loadConfig } from '../config.ts';
import { assertNever } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import { bridgeRecords } from '../recording-terms.ts';
import type { Outlook } from '../roster.ts';
import type { Bridge } from '../server.ts';
import { type Command, readArguments, type Terminal } from './command.ts';

const DAY_MS = 86_400_000;
/** Of agents, on one line. */
const MOST_NAMES = 8;

export const serve: Command = {
  name: 'serve',
  help: `patchcord serve [--agents FILE] [--port N] [--host ADDRESS] [--workers N] [--insecure]

Answers calls until it is told to stop. Settings come from the environment; the README lists them.
--port 0 lets the system choose; the first line on standard output is "listening on URL".
On SIGTERM or SIGINT it takes no new calls and lets live ones finish (DRAIN_SECONDS); a second signal ends them.

  --agents FILE  agents and their numbers; the same as AGENTS_FILE. A changed file is used for new calls at once
  --workers N    processes that calls are spread over, or auto for one per core; the same as WORKERS (default 1)
  --insecure     accepts webhooks and media without a signature; anybody who finds the address can call
`,
  async run(argv, terminal) {
    const { values } = readArguments(argv, {
      agents: { type: 'string' },
      port: { type: 'string' },
      host: { type: 'string' },
      workers: { type: 'string' },
      insecure: { type: 'boolean', default: false },
    });
    const env = {
      ...terminal.env,
      ...(values.agents === undefined ? {} : { AGENTS_FILE: values.agents }),
      ...(values.port === undefined ? {} : { PORT: values.port }),
      ...(values.host === undefined ? {} : { HOST: values.host }),
      ...(values.workers === undefined ? {} : { WORKERS: values.workers }),
    };
    const config = loadConfig(env);
    const log = createLog(config.logLevel);
    // A mistake in one function handler must not end everybody's call.
    terminal.onStray((error) =>
      log.fatal({ err: error }, 'an exception that nobody caught; live calls go on'),
    );
    const { insecure } = values;
    await using service = await begin({ config, log, env, insecure }, terminal.env);
    const stopped = untilInterrupted(terminal);
    const { url } = service;
    terminal.out(`listening on ${url}\n`);
    terminal.err(introduction({ config, bridge: service, url, insecure, env: terminal.env }));
    await stopped;
    terminal.err('draining: no new calls; send the signal again to end the live ones\n');
    const again = untilInterrupted(terminal);
    await Promise.race([service.drain(), again]);
    return 0;
  },
};

/** Who takes the calls, of one process or of several. */
interface Running
  extends Pick<Bridge, 'agents' | 'carriers' | 'providerName' | 'outlook' | 'localAuthToken' | 'drain'>,
    AsyncDisposable {
  readonly url: string;
  /** Worker processes; undefined: there are none. */
  readonly count?: number;
}

interface Beginning {
  readonly config: Config;
  readonly log: Log;
  /** With what the command line says. */
  readonly env: Env;
  readonly insecure: boolean;
}

/** Listens. What only one kind of service needs is loaded for that kind only. */
async function begin({ config, log, env, insecure }: Beginning, given: Env): Promise<Running> {
  const count = config.workers === 'auto' ? availableParallelism() : config.workers;
  if (count > 1) {
    const { startWorkers } = await import('../workers/workers.ts');
    return await startWorkers({ config, env, log, insecure, count });
  }
  const { createBridge } = await import('../server.ts');
  const bridge = await createBridge({ config, log, env: given, insecure });
  try {
    return Object.assign(bridge, { url: await bridge.listen() });
  } catch (thrown) {
    await bridge.close();
    throw thrown;
  }
}

function untilInterrupted(terminal: Terminal): Promise<void> {
  return new Promise((resolve) => {
    terminal.onInterrupt(resolve);
  });
}

interface Started {
  readonly config: Config;
  readonly bridge: Running;
  readonly url: string;
  readonly insecure: boolean;
  readonly env: Env;
}

/** What somebody who starts the service has to know before the first call. */
function introduction({ config, bridge, url, insecure, env }: Started): string {
  const lines = [
    whoAnswers(config, bridge),
    ...(bridge.count === undefined ? [] : [`calls are spread over ${bridge.count} worker processes`]),
    ...whatIfItFails(config, bridge, env),
    ...aboutProviders(config, bridge, env),
    ...aboutRecordings(config),
  ];
  if (insecure) lines.push('INSECURE: signatures are not checked, anybody who finds this address can call');
  const { localAuthToken } = bridge;
  if (localAuthToken !== undefined && !insecure) {
    lines.push(
      'no carrier is configured; a simulated call gets in with a secret made for this run:',
      `  patchcord call --to ${url}/voice/twilio --secret ${localAuthToken}`,
      '(or /voice/telnyx, /voice/plivo)',
    );
  } else if (insecure) {
    lines.push(`a simulated call: patchcord call --to ${url}/voice/twilio`);
  } else if (config.publicUrl === undefined) {
    lines.push(`PUBLIC_URL is not set: only calls that are signed for ${url} get in`);
  } else {
    const addresses = bridge.carriers.map((name) => `${config.publicUrl}/voice/${name}`);
    if (bridge.carriers.includes('telnyx'))
      addresses.push(`${config.publicUrl}/events/telnyx (Call Control)`);
    lines.push(`point the number at ${addresses.join(' or ')}; docs/carriers.md says where to type it`);
  }
  lines.push(...withoutRest(config));
  return `${lines.join('\n')}\n`;
}

/** Callers may have to be told, so whoever starts the service has to know. */
function aboutRecordings({ recordings: { by, folder, maxAgeMs } }: Config): readonly string[] {
  if (!bridgeRecords(by)) return [];
  const kept = maxAgeMs === undefined ? 'kept for ever' : `kept for ${maxAgeMs / DAY_MS} days`;
  return [`RECORDING: calls are recorded in ${folder}, ${kept}, unless their agent says otherwise`];
}

/** Why it is not the provider that somebody may have meant. */
function aboutProviders(config: Config, bridge: Running, env: Env): readonly string[] {
  // Who names one has been told already what that one lacks.
  const begun = (env['PROVIDER'] ?? '').trim() === '' ? begunProviders(env, config) : [];
  const lines = begun.map(({ name, lacks }) => `${name} is begun: lacks ${listed(lacks)}`);
  if (bridge.providerName !== 'local' || config.agentsFile !== undefined) return lines;
  return [
    ...lines,
    `no provider ${begun.length === 0 ? 'is configured' : 'has all that it needs'}: the built-in line check answers; set ${advice(begun)}`,
    '("patchcord providers" lists what else there is, and what each needs)',
  ];
}

/** What has to be set for another answer than that of the line check. */
function advice(begun: readonly BegunProvider[]): string {
  if (begun.length === 0) return 'OPENAI_API_KEY or GEMINI_API_KEY for a voice agent';
  return begun.map(({ name, lacks }) => `${listed(lacks)} for ${name}`).join(', or ');
}

function listed(names: readonly string[]): string {
  return names.join(' and ');
}

function whoAnswers({ agentsFile }: Config, { agents, outlook }: Running): string {
  const [first = ''] = agents;
  if (agentsFile === undefined) return `agent ${first} on provider ${inOrder(outlook(first))}`;
  return `agents of ${agentsFile}: ${few(agents)}; "patchcord check ${agentsFile}" says who answers which number`;
}

/** Whom callers get when a provider fails. */
function whatIfItFails({ agentsFile, ...config }: Config, bridge: Running, env: Env): readonly string[] {
  const groups = grouped(bridge);
  const [group] = groups;
  if (agentsFile !== undefined) return ofTheFile(groups);
  // The line check has nobody to fail.
  if (group === undefined || group.outlook.providers.every(({ name }) => name === 'local')) return [];
  const last = `when no provider is left, ${lastWords(group.last)}`;
  if (!isAlone(group.outlook)) return [last];
  const { providers } = config;
  const unused = unusedProviders(env, config, providers);
  const more = `; PROVIDER=${[...providers, ...unused].join()} has ${unused.join(' and ')} take over`;
  return [last, `${ALONE}${unused.length === 0 ? '' : more}`];
}

const ALONE = 'one provider and no other: a call that loses it is dialled anew at it';

function ofTheFile(groups: readonly Group[]): readonly string[] {
  const alone = groups.filter(({ outlook }) => isAlone(outlook)).flatMap(({ agents }) => agents);
  const lines = groups
    .slice(0, MOST_NAMES)
    .map(({ words, last, agents }) => `  ${few(agents)}: ${words}; when none is left, ${lastWords(last)}`);
  return alone.length === 0 ? lines : [...lines, `${few(alone)}: ${ALONE}`];
}

interface Group {
  readonly outlook: Outlook;
  readonly words: string;
  readonly last: AfterStream['type'];
  readonly agents: string[];
}

/** Agents of which the same is to be said, together. */
function grouped({ agents, outlook: of }: Running): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const agent of agents) {
    const outlook = of(agent);
    if (outlook === undefined) continue;
    const words = inOrder(outlook);
    const last = outlook.lastResort;
    const key = `${words} ${last}`;
    const group = groups.get(key) ?? { outlook, words, last, agents: [] };
    group.agents.push(agent);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function inOrder(outlook: Outlook | undefined): string {
  const names = outlook?.providers.map(({ name, model }) =>
    model === undefined ? name : `${name} ${model}`,
  );
  return (names ?? []).join(', then ');
}

function isAlone({ providers }: Outlook): boolean {
  return providers.length === 1 && providers[0]?.name !== 'local';
}

function lastWords(last: AfterStream['type']): string {
  switch (last) {
    case 'hang-up':
      return 'the call is hung up';
    case 'say':
      return 'the carrier says so and hangs up';
    case 'message':
      return 'the carrier takes a message';
    case 'transfer':
      return 'the caller is put through to somebody';
    default:
      return assertNever(last);
  }
}

function few(names: readonly string[]): string {
  const rest = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `${names.slice(0, MOST_NAMES).join(', ')}${rest}`;
}

/** A carrier whose webhooks can be checked and that cannot be asked for anything. */
function withoutRest({ twilio, telnyx, plivo }: Config): string[] {
  const lacks =
    'nothing can be hung up, transferred or placed by request, and no last resort outlives this process';
  const lines: string[] = [];
  if (twilio.authToken !== undefined && twilio.accountSid === undefined) {
    lines.push(`TWILIO_ACCOUNT_SID is not set: ${lacks}`);
  }
  if (telnyx.publicKey !== undefined && telnyx.apiKey === undefined) {
    lines.push(`TELNYX_API_KEY is not set: ${lacks}, and calls of Call Control cannot be answered`);
  }
  if (plivo.authToken !== undefined && plivo.authId === undefined) {
    lines.push(`PLIVO_AUTH_ID is not set: ${lacks}`);
  }
  return lines;
}
