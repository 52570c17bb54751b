import { readFile } from 'node:fs/promises';
import type { CarrierName } from '../carrier.ts';
import { BridgeError } from '../errors.ts';
import { packageFile } from '../package-file.ts';
import { type Callee, type SimulatedCall, startExchange } from '../sim/phone.ts';
import { readArguments, type Terminal, wholeNumber } from './command.ts';
import { LiveView } from './live-view.ts';
import { converse, type Step, summary } from './phone-call.ts';
import { type Account, newAccount, settingsFor } from './simulated-account.ts';
import { listening } from './simulated-port.ts';

export const CARRIER_HELP = `patchcord simulate twilio|telnyx|plivo [--port N] [--callee KIND] [--transfer RESULT]

  The REST interface of a carrier: calls that a service places there ring at somebody who lives in this program. It prints
  the settings that the service needs, and shows every call.

  --port      0 (the default) lets the system choose
  --callee    human (the default: answers, says a sentence, hangs up), machine, busy, no-answer or rejects
  --transfer  what comes of a transfer: completed (the default), busy, no-answer or failed
`;

const CALLEES = ['human', 'machine', 'busy', 'no-answer', 'rejects'] as const;
const TRANSFERS = ['completed', 'busy', 'no-answer', 'failed'] as const;

/** Plays a carrier until it is interrupted. */
export async function simulateCarrier(
  carrier: CarrierName,
  argv: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const { values } = readArguments(argv, {
    port: { type: 'string', default: '0' },
    callee: { type: 'string', default: 'human' },
    transfer: { type: 'string', default: 'completed' },
  });
  const kind = oneOf('callee', values.callee, CALLEES);
  const status = oneOf('transfer', values.transfer, TRANSFERS);
  const wav = await readFile(packageFile('fixtures/speech/librivox-0880.wav'));
  const account = newAccount(carrier);
  const port = wholeNumber('port', values.port, 0, 65_535);
  await using exchange = await listening(
    port,
    startExchange({
      carrier,
      restPort: port,
      callee: () => makeCallee(kind, wav),
      defaults: {
        accountSid: account.id,
        authToken: account.secret,
        dialResult: { status, ringMs: 2000, durationMs: status === 'completed' ? 3000 : 0 },
      },
    }),
  );
  const url = exchange.restBaseUrl ?? '';
  terminal.out(`listening on ${url}\n`);
  terminal.err(introduction(carrier, account, url));
  const stop = new AbortController();
  const stopped = new Promise<undefined>((resolve) => {
    terminal.onInterrupt(() => {
      stop.abort();
      resolve(undefined);
    });
  });
  const steps: readonly Step[] = kind === 'human' ? [{ do: 'speak', what: 'a sentence', wav }] : [];
  const calls = new Set<Promise<void>>();
  for (;;) {
    const call = await Promise.race([exchange.nextDialled(), stopped]);
    if (call === undefined) break;
    const played = play(call, steps, terminal, stop.signal).finally(() => calls.delete(played));
    calls.add(played);
  }
  await Promise.all(calls);
  return 0;
}

async function play(
  call: SimulatedCall,
  steps: readonly Step[],
  terminal: Terminal,
  stop: AbortSignal,
): Promise<void> {
  const view = new LiveView(terminal);
  view.line('phone', `rings: call ${call.callId}`);
  // A machine records for as long as somebody speaks to it; a person holds a conversation.
  const report = steps.length > 0 ? await converse(call, steps, view, stop) : await call.ended;
  terminal.out(`\n${summary(report)}\n\n`);
}

function makeCallee(kind: (typeof CALLEES)[number], wav: Uint8Array): Callee {
  return kind === 'machine' ? { kind, greeting: wav } : { kind };
}

function introduction(carrier: CarrierName, account: Account, url: string): string {
  const settings = settingsFor(carrier, account, url).map(([name, value]) => `  ${name}=${value} \\`);
  return `a service with this carrier, and a call that it places:
${settings.join('\n')}
  API_TOKEN=secret patchcord serve
  API_TOKEN=secret patchcord dial +14155550177 --from +14155550101 --follow
`;
}

function oneOf<const T extends string>(name: string, found: string, wanted: readonly T[]): T {
  const value = wanted.find((candidate) => candidate === found);
  if (value !== undefined) return value;
  throw new BridgeError(
    'BAD_INPUT',
    `--${name}: found ${JSON.stringify(found)}, wanted ${wanted.join(', ')}`,
  );
}
