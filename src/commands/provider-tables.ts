import { type AudioFormat, sameFormat } from '../audio/format.ts';
import type { ProviderCapabilities, ProviderFacts } from '../provider.ts';

/** One provider, as the tables show it. */
export interface ListedProvider {
  readonly name: string;
  readonly facts: ProviderFacts;
}

/** What a table says of every provider: its title, and a word or two of each. */
type Column = readonly [title: string, cell: (can: ProviderCapabilities) => string];

const AUDIO_COLUMNS: readonly Column[] = [
  ['audio in', ({ inputs }) => formatWords(inputs)],
  ['audio out', ({ inputs, outputs }) => (sameFormats(inputs, outputs) ? 'the same' : formatWords(outputs))],
  ['longest session', sessionWords],
  ['history', ({ history }) => historyWords(history)],
];

const TURN_COLUMNS: readonly Column[] = [
  ['barge-in', ({ bargeIn }) => BARGE_IN[bargeIn]],
  ['speech', ({ speech }) => SPEECH[speech]],
  ['truncate', ({ truncate }) => yesNo(truncate)],
  ['cancel', ({ cancel }) => yesNo(cancel)],
  ['resume', ({ resume }) => yesNo(resume)],
  ['replay', ({ catchUp }) => yesNo(catchUp)],
  ['tools at once', ({ parallelTools }) => (parallelTools ? 'several' : 'one')],
  ['calls tools off', ({ cancelsTools }) => yesNo(cancelsTools)],
];

const BARGE_IN: Readonly<Record<ProviderCapabilities['bargeIn'], string>> = {
  'speech-started': 'told at once',
  interrupted: 'told late',
  none: 'not told',
};
const SPEECH: Readonly<Record<ProviderCapabilities['speech'], string>> = {
  turns: 'in turns',
  continuous: 'one stream',
};

/** Rows of cells; the first is the header. */
export type Table = readonly (readonly string[])[];

/** What providers hear and say, and for how long. */
export function audioTable(providers: readonly ListedProvider[]): Table {
  return tableOf(providers, AUDIO_COLUMNS);
}

/** What becomes of speech and functions when somebody cuts in. */
export function turnTable(providers: readonly ListedProvider[]): Table {
  return tableOf(providers, TURN_COLUMNS);
}

function tableOf(providers: readonly ListedProvider[], columns: readonly Column[]): Table {
  return [
    ['provider', ...columns.map(([title]) => title)],
    ...providers.map(({ name, facts }) => [name, ...columns.map(([, cell]) => cell(facts.capabilities))]),
  ];
}

/** For a terminal: columns as wide as their longest cell, two blanks between them. */
export function plainTable(table: Table): string {
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  const lines = table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

export function markdownTable([header = [], ...rows]: Table): string {
  const lines = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}

const ENCODINGS = { mulaw: 'mu-law', alaw: 'A-law' } as const;

/** `mu-law, A-law, 8/24 kHz`: PCM16 goes by its rates. */
function formatWords(formats: readonly AudioFormat[]): string {
  const words: string[] = formats.flatMap(({ encoding }) =>
    encoding === 'pcm16' ? [] : [ENCODINGS[encoding]],
  );
  const rates = formats.filter(({ encoding }) => encoding === 'pcm16').map(({ rate }) => rate / 1000);
  if (rates.length > 0) words.push(`${rates.toSorted((a, b) => a - b).join('/')} kHz`);
  return words.join(', ');
}

function sameFormats(some: readonly AudioFormat[], others: readonly AudioFormat[]): boolean {
  return some.length === others.length && some.every((one) => others.some((other) => sameFormat(one, other)));
}

function sessionWords({ maxSessionMs, announcesEnd }: ProviderCapabilities): string {
  if (maxSessionMs === undefined) return 'no limit known';
  return `${Math.round(maxSessionMs / 60_000)} min${announcesEnd ? ', announced' : ''}`;
}

function historyWords(history: ProviderCapabilities['history']): string {
  if (history === undefined) return 'no limit known';
  const { maxItems, maxCharacters } = history;
  return `${count(maxItems)} items, ${count(maxCharacters)} characters`;
}

/** `16,384`. */
function count(value: number): string {
  return value.toLocaleString('en-US');
}
