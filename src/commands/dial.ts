import { type AnswerOf, RING_S } from '../calls-api/shapes.ts';
import { CARRIERS } from '../carrier.ts';
import { type Clock, systemClock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { CallsClient, type OrderBody, type Trouble } from './calls-client.ts';
import { type Command, readArguments, type Terminal, wholeNumber } from './command.ts';
import { DialView } from './dial-view.ts';

const HELP = `patchcord dial NUMBER --from NUMBER [--follow] [--carrier NAME] [--ring SECONDS]
               [--machine report|hang-up|leave-message] [--message TEXT] [--agent NAME] [--var NAME=TEXT]…
               [--url URL] [--token TOKEN]

Has a running service call somebody, who then talks with its agent. It asks the service's operators' interface (/calls),
so the service needs an API_TOKEN, and this command the same one.

  NUMBER            who is called: + and digits, or sip:…
  --from NUMBER     the number that they see; it has to belong to the account at the carrier
  --follow          shows what happens until the call is over; an interrupt hangs up
  --carrier NAME    ${CARRIERS.join(', ')}; needed where several are configured
  --ring SECONDS    how long it rings; default 40
  --machine WHAT    when a machine answers: report it, hang-up, or leave-message; default: nobody finds out
  --message TEXT    what is said after the beep with --machine leave-message
  --agent NAME      who talks; default: whoever the service's agents file has for the number of --from
  --var NAME=TEXT   what the agent is told of the call; may be given several times
  --url URL         where the service listens; default http://127.0.0.1:8080
  --token TOKEN     default: API_TOKEN of the environment

Exit status: 0 when the call was placed, with --follow when it was completed; 1 when not; 2 for an order that cannot be used.
`;

const DEFAULT_URL = 'http://127.0.0.1:8080';
/** A connection that breaks is opened again so many times in a row. */
const MAX_TRIES = 5;
const PAUSE_MS = 1000;

export const dial: Command = createDial(systemClock);

/** The command, by another clock than that of the system. */
export function createDial(clock: Clock): Command {
  return {
    name: 'dial',
    help: HELP,
    async run(argv, terminal) {
      const { values, positionals } = readArguments(
        argv,
        {
          from: { type: 'string' },
          follow: { type: 'boolean', default: false },
          carrier: { type: 'string' },
          ring: { type: 'string' },
          machine: { type: 'string' },
          message: { type: 'string' },
          agent: { type: 'string' },
          var: { type: 'string', multiple: true },
          url: { type: 'string', default: DEFAULT_URL },
          token: { type: 'string' },
        },
        true,
      );
      const order = readOrder(positionals, values);
      const token = readToken(values.token, terminal);
      const client = new CallsClient(clock, readUrl(values.url), token);
      const placed = await client.place(order);
      if (placed.status === 'trouble') return complain(terminal, placed);
      const { id, carrier, carrierCallId } = placed.value;
      terminal.out(
        `placed ${id} at ${carrier}${carrierCallId === undefined ? '' : ` as ${carrierCallId}`}\n`,
      );
      return values.follow ? await follow(clock, client, placed.value, terminal) : 0;
    },
  };
}

interface OrderValues {
  readonly from?: string | undefined;
  readonly carrier?: string | undefined;
  readonly ring?: string | undefined;
  readonly machine?: string | undefined;
  readonly message?: string | undefined;
  readonly agent?: string | undefined;
  readonly var?: readonly string[] | undefined;
}

/** Only what the service cannot see is judged here: it says better what is wrong with an order. */
function readOrder(positionals: readonly string[], values: OrderValues): OrderBody {
  const [to] = positionals;
  if (to === undefined || positionals.length !== 1) {
    throw new BridgeError('BAD_INPUT', `dial: found ${positionals.length} numbers, wanted one`);
  }
  if (values.from === undefined) throw new BridgeError('BAD_INPUT', '--from: found nothing, wanted a number');
  const carrier = CARRIERS.find((name) => name === values.carrier);
  if (values.carrier !== undefined && carrier === undefined) {
    const found = JSON.stringify(values.carrier);
    throw new BridgeError('BAD_INPUT', `--carrier: found ${found}, wanted one of ${CARRIERS.join(', ')}`);
  }
  return {
    to,
    from: values.from,
    ...(carrier === undefined ? {} : { carrier }),
    ...(values.ring === undefined
      ? {}
      : { ringSeconds: wholeNumber('ring', values.ring, RING_S.min, RING_S.max) }),
    machineDetection: readMachine(values),
    ...(values.agent === undefined ? {} : { agent: values.agent }),
    ...(values.var === undefined ? {} : { variables: Object.fromEntries(values.var.map(readVariable)) }),
  };
}

function readVariable(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new BridgeError('BAD_INPUT', `--var: found ${JSON.stringify(text)}, wanted NAME=TEXT`);
}

function readMachine({ machine, message }: OrderValues): NonNullable<OrderBody['machineDetection']> {
  if (message !== undefined && machine !== 'leave-message') {
    throw new BridgeError('BAD_INPUT', '--message: wanted only together with --machine leave-message');
  }
  switch (machine) {
    case undefined:
      return 'off';
    case 'report':
    case 'hang-up':
      return { mode: machine };
    case 'leave-message':
      if (message === undefined) {
        throw new BridgeError('BAD_INPUT', '--machine leave-message: wanted --message with it');
      }
      return { mode: machine, message };
    default:
      throw new BridgeError(
        'BAD_INPUT',
        `--machine: found ${JSON.stringify(machine)}, wanted report, hang-up or leave-message`,
      );
  }
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new BridgeError('BAD_INPUT', `--url: found ${JSON.stringify(text)}, wanted an http:// address`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function readToken(option: string | undefined, { env }: Terminal): string {
  const token = (option ?? env['API_TOKEN'] ?? '').trim();
  // What HTTP cannot carry is complained about by the platform with the token in the message.
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new BridgeError(
    'BAD_INPUT',
    token === ''
      ? 'the token: found none, wanted API_TOKEN in the environment, or --token'
      : `the token: found ${token.length} characters that HTTP cannot carry, wanted the API_TOKEN of the service`,
  );
}

/** Status of the process: 2 where the order itself was wrong. */
function complain(terminal: Terminal, { kind, message }: Trouble): number {
  terminal.err(`patchcord dial: ${message}\n`);
  return kind === 'input' ? 2 : 1;
}

async function follow(
  clock: Clock,
  client: CallsClient,
  call: AnswerOf<'Call'>,
  terminal: Terminal,
): Promise<number> {
  const view = new DialView(terminal, call.createdAt);
  const release = terminal.onInterrupt(() => {
    terminal.err('hanging up\n');
    void client.hangUp(call.id).then((asked) => {
      if (asked.status === 'trouble') complain(terminal, asked);
    });
  });
  try {
    const end = await untilOver(clock, client, call.id, view);
    if (end.status === 'ok') {
      view.end(end.value);
      return end.value.outcome === 'completed' ? 0 : 1;
    }
    complain(terminal, { ...end, kind: 'final', message: `${end.message}; the call ${call.id} may go on` });
    return 1;
  } finally {
    release();
  }
}

/** Follows the call over broken connections too. */
async function untilOver(
  clock: Clock,
  client: CallsClient,
  id: string,
  view: DialView,
): ReturnType<CallsClient['follow']> {
  let last = 0;
  for (let tries = 1; ; tries++) {
    const end = await client.follow(id, last, (event) => {
      last = event.number;
      tries = 0;
      view.event(event);
    });
    // A service that restarts is away for a moment, and then does not know the call.
    const again = end.status === 'trouble' && (end.kind === 'passing' || end.kind === 'nobody');
    if (!again || tries >= MAX_TRIES) return end;
    await new Promise<void>((resolve) => {
      clock.after(PAUSE_MS, resolve);
    });
  }
}
