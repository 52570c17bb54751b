import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readWav } from '../audio/wav.ts';
import type { CallEvent } from '../call-events.ts';
import { CARRIERS, type CarrierName } from '../carrier.ts';
import { type Config, loadConfig } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { packageFile } from '../package-file.ts';
import { createBridge } from '../server.ts';
import { type CallReport, type Exchange, startExchange } from '../sim/phone.ts';
import { type Command, readArguments, type Terminal } from './command.ts';
import { LiveView } from './live-view.ts';
import { converse, keepCall, type Step, summary } from './phone-call.ts';
import { type Account, newAccount, settingsFor } from './simulated-account.ts';

const NUMBER = /^\+[1-9]\d{2,14}$/;

export const call: Command = {
  name: 'call',
  help: `patchcord call [--to URL] [--carrier NAME] [--wav FILE]… [--keys KEYS] [--out FOLDER]

Plays the carrier and the caller: signs the webhook, opens the media stream, speaks, listens, and keeps the call.
Without --to, a service is started for this one call, with the settings of the environment; with RECORDING=bridge it
records the call.

  --agents FILE     without --to: agents and their numbers; the same as AGENTS_FILE
  --to URL          voice webhook of the service, such as http://127.0.0.1:8080/voice/twilio
  --carrier NAME    twilio, telnyx or plivo; default: the last part of --to, else twilio
  --call-control    without --to: a Telnyx number of a Call Control application (else: of TeXML)
  --from NUMBER     who calls: + and digits; default +14155550100
  --number NUMBER   who is called, which decides on the agent; default +14155550101
  --secret TEXT     what signs the call: the service says it when no carrier is configured; default: TWILIO_AUTH_TOKEN
                    or PLIVO_AUTH_TOKEN, which must be those of the service (and TWILIO_ACCOUNT_SID)
  --public-url URL  the service's PUBLIC_URL, when --to reaches it by another address
  --wav FILE        what the caller says, WAV of any rate; may be given several times; default: a sentence
  --keys KEYS       keys that the caller presses at the end (0-9 * # A-D)
  --out FOLDER      where caller.wav, agent.wav, call.wav and report.json go; default: calls/<call id>
`,
  async run(argv, terminal) {
    const { values } = readArguments(argv, {
      to: { type: 'string' },
      agents: { type: 'string' },
      carrier: { type: 'string' },
      'call-control': { type: 'boolean', default: false },
      from: { type: 'string' },
      number: { type: 'string' },
      secret: { type: 'string' },
      'public-url': { type: 'string' },
      wav: { type: 'string', multiple: true },
      keys: { type: 'string' },
      out: { type: 'string' },
    });
    const steps = await readSteps(values.wav, values.keys);
    const carrier = carrierOf(values.carrier, values.to);
    const parties = readParties(values.from, values.number);
    if (values.to === undefined) {
      const route = values['call-control'] ? 'events' : 'voice';
      return callOwnService(terminal, steps, values.out, { carrier, route, agents: values.agents, parties });
    }
    const outcome = await placeAndKeep(terminal, steps, values.out, {
      carrier,
      parties,
      webhookUrl: voiceUrl(values.to, carrier),
      publicUrl: values['public-url'],
      authToken: values.secret ?? secretFrom(terminal.env, carrier),
    });
    return outcome;
  },
};

async function readSteps(wavs: readonly string[] | undefined, keys: string | undefined): Promise<Step[]> {
  const files = wavs ?? [packageFile('fixtures/speech/librivox-0880.wav')];
  const steps: Step[] = [];
  for (const file of files) {
    try {
      const wav = await readFile(file);
      // Said before anybody is called.
      readWav(wav);
      steps.push({ do: 'speak', what: basename(file), wav });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new BridgeError('BAD_INPUT', `--wav ${file}: cannot be read: ${why}`, { cause });
    }
  }
  if (keys !== undefined) {
    if (!/^[0-9*#A-D]+$/.test(keys)) {
      throw new BridgeError('BAD_INPUT', `--keys: found ${JSON.stringify(keys)}, wanted 0-9 * # A-D`);
    }
    steps.push({ do: 'press', keys });
  }
  return steps;
}

/** What is asked for, or what the address says. */
function carrierOf(asked: string | undefined, to: string | undefined): CarrierName {
  const name = asked ?? CARRIERS.find((candidate) => to?.endsWith(`/${candidate}`)) ?? 'twilio';
  const carrier = CARRIERS.find((candidate) => candidate === name);
  if (carrier !== undefined) return carrier;
  throw new BridgeError(
    'BAD_INPUT',
    `--carrier: found ${JSON.stringify(name)}, wanted ${CARRIERS.join(', ')}`,
  );
}

function secretFrom(env: Terminal['env'], carrier: CarrierName): string | undefined {
  return carrier === 'telnyx' ? undefined : env[`${carrier.toUpperCase()}_AUTH_TOKEN`];
}

/** Lets people give the address of the service alone. */
function voiceUrl(to: string, carrier: CarrierName): string {
  if (!URL.canParse(to))
    throw new BridgeError('BAD_INPUT', `--to: found ${JSON.stringify(to)}, wanted an http:// address`);
  const url = new URL(to);
  if (url.pathname === '/') url.pathname = `/voice/${carrier}`;
  return url.href;
}

interface OwnService {
  readonly carrier: CarrierName;
  readonly route: 'voice' | 'events';
  /** Agents file. */
  readonly agents: string | undefined;
  readonly parties: Parties;
}

async function callOwnService(
  terminal: Terminal,
  steps: readonly Step[],
  out: string | undefined,
  { carrier, route, agents, parties }: OwnService,
): Promise<number> {
  const account = newAccount(carrier);
  await using exchange = await startExchange({
    carrier,
    defaults: { accountSid: account.id, authToken: account.secret },
  });
  const config = loadConfig({
    ...terminal.env,
    ...Object.fromEntries(settingsFor(carrier, account, exchange.restBaseUrl ?? '')),
    ...(agents === undefined ? {} : { AGENTS_FILE: agents }),
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: terminal.env['LOG_LEVEL'] ?? 'error',
  });
  const { folder } = config.recordings;
  const before = await recordingsIn(folder);
  const status = await callBridge(terminal, steps, out, {
    config,
    exchange,
    account,
    carrier,
    route,
    parties,
  });
  // Now that the service is closed, its recording is finished and has its name.
  const made = (await recordingsIn(folder)).filter((name) => !before.includes(name));
  for (const name of made) terminal.out(`recorded in ${join(folder, name)}\n`);
  return status;
}

/** Names of those that are finished; none where there is no folder. */
async function recordingsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !name.endsWith('.partial'));
}

interface CalledBridge extends Pick<OwnService, 'carrier' | 'route' | 'parties'> {
  readonly config: Config;
  readonly exchange: Exchange;
  readonly account: Account;
}

async function callBridge(
  terminal: Terminal,
  steps: readonly Step[],
  out: string | undefined,
  { config, exchange, account, carrier, route, parties }: CalledBridge,
): Promise<number> {
  const events: CallEvent[] = [];
  let watch: (event: CallEvent) => void = (event) => events.push(event);
  await using bridge = await createBridge({
    config,
    env: terminal.env,
    observe: (_callId, event) => watch(event),
  });
  const url = await bridge.listen();
  // Awaited here: the service is disposed of when this function returns.
  return await placeAndKeep(terminal, steps, out, {
    carrier,
    parties,
    exchange,
    webhookUrl: `${url}/${route}/${carrier}`,
    publicUrl: config.publicUrl,
    authToken: account.secret,
    onBridgeEvent: (listener) => {
      for (const event of events) listener(event);
      watch = listener;
    },
  });
}

/** What a service in this process says of a call that is over. */
type BridgeEnd = Extract<CallEvent, { type: 'ended' }>;

/** Undefined: the simulated phone's own. */
interface Parties {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

function readParties(from: string | undefined, number: string | undefined): Parties {
  for (const [name, value] of Object.entries({ from, number })) {
    if (value !== undefined && !NUMBER.test(value))
      throw new BridgeError(
        'BAD_INPUT',
        `--${name}: found ${JSON.stringify(value)}, wanted + and 3 to 15 digits`,
      );
  }
  return { from, to: number };
}

interface Target {
  readonly carrier: CarrierName;
  readonly parties: Parties;
  /** Default: one of its own. */
  readonly exchange?: Exchange;
  readonly webhookUrl: string;
  readonly publicUrl: string | undefined;
  readonly authToken: string | undefined;
  /** Where the service runs in this process. */
  readonly onBridgeEvent?: (listener: (event: CallEvent) => void) => void;
}

async function placeAndKeep(
  terminal: Terminal,
  steps: readonly Step[],
  out: string | undefined,
  target: Target,
): Promise<number> {
  await using own =
    target.exchange === undefined ? await startExchange({ carrier: target.carrier }) : undefined;
  const exchange = target.exchange ?? own;
  if (exchange === undefined) throw new BridgeError('INTERNAL', 'there is no telephone exchange');
  const view = new LiveView(terminal);
  const end = new Promise<BridgeEnd | undefined>((resolve) => {
    if (target.onBridgeEvent === undefined) resolve(undefined);
    target.onBridgeEvent?.((event) => {
      view.bridge(event);
      if (event.type === 'ended') resolve(event);
    });
  });
  view.line('phone', `calling ${target.webhookUrl}`);
  const placed = exchange.placeCall({
    ...target.parties,
    webhookUrl: target.webhookUrl,
    publicUrl: target.publicUrl,
    authToken: target.authToken,
    ...(target.exchange === undefined ? { accountSid: terminal.env['TWILIO_ACCOUNT_SID'] } : {}),
  });
  const stop = new AbortController();
  const release = terminal.onInterrupt(() => stop.abort());
  const report = await converse(placed, steps, view, stop.signal);
  release();
  const folder = out ?? join('calls', placed.callId);
  const ended = report.outcome === 'completed' ? await end : undefined;
  const files = await keepCall(folder, placed, report, ended?.transcript);
  terminal.out(`\n${summary(report)}\nkept in ${folder}: ${files.join(', ')}\n`);
  const wrong = whatWentWrong(report, ended);
  if (wrong !== undefined) terminal.err(`patchcord call: ${wrong}\n`);
  return wrong === undefined ? 0 : 1;
}

/** A call can be completed for the carrier and still have been no conversation. */
function whatWentWrong(report: CallReport, ended: BridgeEnd | undefined): string | undefined {
  if (report.failure?.includes('403') === true) {
    return 'the service refused the webhook: --secret (or the AUTH_TOKEN setting of the carrier) has to be that of the service';
  }
  if (report.outcome !== 'completed') return report.failure ?? `the call was ${report.outcome}`;
  const happened = (type: CallReport['events'][number]['type']): boolean =>
    report.events.some((event) => event.type === type);
  if (happened('beep')) return 'the caller was asked for a message: the log of the service says why';
  if (happened('say')) return 'the service apologised: its log says why';
  if (ended?.reason === 'provider-failed') return 'no provider was left: the caller got the last resort';
  if (report.firstAgentMs !== undefined) return undefined;
  return happened('dial')
    ? 'the agent was never heard, and the caller was put through: the log of the service says why'
    : 'the agent was never heard';
}
