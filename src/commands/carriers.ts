import { type AudioFormat, formatName } from '../audio/format.ts';
import type { CarrierCapabilities } from '../carrier.ts';
import { type Command, readArguments } from './command.ts';

export const carriers: Command = {
  name: 'carriers',
  help: `patchcord carriers

Prints what the bridge can have from each carrier, as a table in Markdown. docs/carriers.md holds the same table.
`,
  async run(argv, terminal) {
    readArguments(argv, {});
    terminal.out(await carrierTable());
    return 0;
  },
};

type Row = readonly [title: string, cell: (can: CarrierCapabilities) => string];

const ROWS: readonly Row[] = [
  ['a webhook proves itself by', (can) => WEBHOOK_AUTH[can.webhookAuth]],
  ['a media socket proves itself by', (can) => `token in its path${UPGRADE_AUTH[can.upgradeAuth]}`],
  ['media sockets per token', (can) => String(can.tokenUses)],
  ['audio from the caller', (can) => formats(can.inputs)],
  ['audio to the caller', (can) => formats(can.outputs)],
  ['media arrives in order', (can) => yesNo(can.orderedMedia)],
  ['says that a stream has ended', (can) => yesNo(can.saysStopped)],
  ['echoes marks that a clear dropped', (can) => yesNo(can.marksEchoedOnClear)],
  ['wants silence until the agent speaks', (can) => yesNo(can.needsSilenceWhenIdle)],
  ['keys from the caller', (can) => DIGITS_IN[can.digitsIn]],
  ['keys to the other end', (can) => DIGITS_OUT[can.digitsOut]],
  ['the media stream during a transfer', (can) => (can.transfer.endsStream ? 'is away' : 'stays')],
  ['a transfer can be announced', (can) => yesNo(can.transfer.announced)],
  ['an unanswered transfer leads back', (can) => yesNo(can.transfer.wayBack)],
  ['answering-machine detection tells', (can) => MACHINE[can.machineDetection]],
  [
    'a placed call is known by',
    (can) => (can.dialGives === 'call-id' ? 'its id' : 'a request id until it rings'),
  ],
];

const WEBHOOK_AUTH: Readonly<Record<CarrierCapabilities['webhookAuth'], string>> = {
  'url-signature': 'signature over address and fields',
  'body-signature': 'signature over time and body',
};
const UPGRADE_AUTH: Readonly<Record<CarrierCapabilities['upgradeAuth'], string>> = {
  signature: ', signature',
  'signature-if-present': ', signature if there is one',
  'token-header': ', secret in a header',
  path: '',
};
const DIGITS_IN: Readonly<Record<CarrierCapabilities['digitsIn'], string>> = {
  socket: 'media socket',
  'socket-and-webhook': 'media socket and webhook (counted once)',
};
const DIGITS_OUT: Readonly<Record<CarrierCapabilities['digitsOut'], string>> = {
  socket: 'media socket',
  request: 'REST request',
  'interrupts-stream': 'the stream is away meanwhile',
};
const MACHINE: Readonly<Record<CarrierCapabilities['machineDetection'], string>> = {
  beep: 'machine, end of greeting, beep',
  'greeting-end': 'machine, end of greeting',
  machine: 'machine',
};

/** The capabilities of all carriers side by side, in Markdown. */
export async function carrierTable(): Promise<string> {
  // Here, because the other commands need not wait for all of them to load.
  const { createTwilio } = await import('../../carriers/twilio.ts');
  const { createTelnyx } = await import('../../carriers/telnyx.ts');
  const { createPlivo } = await import('../../carriers/plivo.ts');
  const account = { publicUrl: () => '', insecure: false, epochMs: () => 0 };
  const twilio = createTwilio({ ...account, accountSid: undefined, authToken: undefined });
  const telnyx = createTelnyx({
    ...account,
    apiKey: undefined,
    publicKey: undefined,
    connectionId: undefined,
  });
  const plivo = createPlivo({ ...account, authId: undefined, authToken: undefined });
  const columns: readonly (readonly [string, CarrierCapabilities])[] = [
    ['Twilio', twilio.capabilities],
    ['Telnyx TeXML', telnyx.capabilities],
    ['Telnyx Call Control', telnyx.commandCapabilities ?? telnyx.capabilities],
    ['Plivo', plivo.capabilities],
  ];
  const lines = [
    `| | ${columns.map(([name]) => name).join(' | ')} |`,
    `|---|${'---|'.repeat(columns.length)}`,
    ...ROWS.map(([title, cell]) => `| ${title} | ${columns.map(([, can]) => cell(can)).join(' | ')} |`),
  ];
  return `${lines.join('\n')}\n`;
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}

function formats(all: readonly AudioFormat[]): string {
  return all.map(formatName).join(', ');
}
