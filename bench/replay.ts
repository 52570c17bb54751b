import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type AudioFormat, bytesPerSample } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { audioRefsOf } from '../src/recording/audio-refs.ts';
import { audioOf, readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { replay } from '../src/replay/replay.ts';

/**
 * What replaying a call costs, comparison included: `npm run bench:replay [-- FOLDER…]`; without folders, every fixture.
 * Counts the time of the processor, so that other programs make little difference. `setup` is what a call costs that ends
 * with its first webhook; `x real time` is without it. `codecs` is the same audio through the codec stage alone, in the same
 * run: the ratio is what to compare between machines.
 */

const ROUNDS = 5;
/** Calls that are shorter say little but what setting up costs. */
const SHORTEST_MS = 1000;
const PCM24: AudioFormat = { encoding: 'pcm16', rate: 24_000 };
const FIXTURES = 'fixtures';

interface Cost {
  readonly name: string;
  readonly callMs: number;
  readonly setupMs: number;
  readonly callCpuMs: number;
  readonly codecMs: number;
  readonly differences: number;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The least of several rounds, and one before that to warm up. */
async function least(work: () => Promise<unknown> | undefined): Promise<number> {
  await work();
  let found = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const from = cpuMs();
    await work();
    found = Math.min(found, cpuMs() - from);
  }
  return found;
}

/** Every message of audio between the bridge and the carrier, there and back. */
function throughCodecs(stored: StoredCall): void {
  for (const name of ['caller', 'agent']) {
    const format = stored.wavs.get(name)?.format;
    if (format === undefined) continue;
    const there = createTranscoder(format, PCM24);
    const back = createTranscoder(PCM24, format);
    for (const line of stored.lines) {
      for (const ref of audioRefsOf(line)) {
        if (ref.wav === name) back.push(there.push(audioOf(stored, ref)));
      }
    }
  }
}

function audioMs(stored: StoredCall): number {
  const wav = stored.wavs.get('caller');
  return wav === undefined ? 0 : (wav.bytes.length * 1000) / (bytesPerSample(wav.format) * wav.format.rate);
}

async function costOf(folder: string): Promise<Cost | undefined> {
  const stored = await readCall(folder);
  const callMs = stored.lines.at(-1)?.t ?? 0;
  if (callMs < SHORTEST_MS || audioMs(stored) === 0) return undefined;
  const barest = { ...stored, lines: stored.lines.slice(0, 1) };
  const { differences } = await replay(stored);
  const setupMs = await least(() => replay(barest));
  const wholeMs = await least(() => replay(stored));
  const codecMs = await least(() => {
    throughCodecs(stored);
    return undefined;
  });
  const callCpuMs = Math.max(0.001, wholeMs - setupMs);
  return { name: basename(folder), callMs, setupMs, callCpuMs, codecMs, differences: differences.length };
}

async function foldersIn(parent: string): Promise<readonly string[]> {
  const entries = await readdir(parent, { recursive: true, withFileTypes: true });
  return entries
    .filter(({ name }) => name === 'events.jsonl')
    .map(({ parentPath }) => parentPath)
    .sort();
}

function row(name: string, callMs: number, cost: Omit<Cost, 'name' | 'callMs' | 'differences'>): string {
  const { setupMs, callCpuMs, codecMs } = cost;
  const cells = [
    (callMs / 1000).toFixed(1),
    setupMs.toFixed(1),
    ((1000 * callCpuMs) / callMs).toFixed(2),
    (callMs / callCpuMs).toFixed(0),
    (callMs / (callCpuMs + setupMs)).toFixed(0),
    (callCpuMs / codecMs).toFixed(1),
  ];
  return `${name.padEnd(40)}${cells.map((cell) => cell.padStart(11)).join('')}`;
}

const given = process.argv.slice(2);
const folders = given.length > 0 ? given : await foldersIn(FIXTURES);
const head = ['call s', 'setup ms', 'ms/call s', 'x real', 'with setup', 'x codecs'];
process.stdout.write(`${''.padEnd(40)}${head.map((cell) => cell.padStart(11)).join('')}\n`);
const all: Cost[] = [];
for (const folder of folders) {
  const cost = await costOf(join(folder));
  if (cost === undefined) continue;
  all.push(cost);
  const note = cost.differences === 0 ? '' : `  ${cost.differences} differences`;
  process.stdout.write(`${row(cost.name, cost.callMs, cost)}${note}\n`);
}
const sum = (of: (cost: Cost) => number): number => all.reduce((total, cost) => total + of(cost), 0);
const total = {
  setupMs: sum(({ setupMs }) => setupMs) / all.length,
  callCpuMs: sum(({ callCpuMs }) => callCpuMs),
  codecMs: sum(({ codecMs }) => codecMs),
};
const peak = (process.resourceUsage().maxRSS / 1024).toFixed(0);
process.stdout.write(
  `${row(
    `all ${all.length}`,
    sum(({ callMs }) => callMs),
    total,
  )}\n`,
);
process.stdout.write(`Node ${process.version}, ${peak} MB at most\n`);
