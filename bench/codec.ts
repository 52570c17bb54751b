import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { type AudioFormat, bytesPerMs, formatName, RATES, type Rate } from '../src/audio/format.ts';
import { type Cost, frames, measure, median, QUICK, spread, WHOLE } from './codec/measure.ts';
import { type Method, PACKAGES, PATCHCORD, speex } from './codec/methods.ts';
import { type Quality, quality } from './codec/quality.ts';
import { BENCH_OPTIONS, columns, finish, type Result } from './results.ts';

/**
 * What converting 20 ms of audio costs, every chain of a call in both directions: nanoseconds of CPU time and bytes of
 * garbage, beside the two packages that samples combine and a resampler in WebAssembly, in the same rounds. What each
 * method does to the sound stands beside it. `npm run bench -- codec`, or `node dist/bench/codec.js [--calls N]`.
 */
const { values } = parseArgs({
  options: {
    ...BENCH_OPTIONS,
    /** Legs whose frames come in turn, each with a state of its own. */
    calls: { type: 'string', default: '200' },
    /** Only chains whose name holds this. */
    only: { type: 'string', default: '' },
  },
});

const LAWS: readonly AudioFormat[] = [
  { encoding: 'mulaw', rate: 8000 },
  { encoding: 'alaw', rate: 8000 },
];
const PCM: readonly AudioFormat[] = RATES.map((rate) => ({ encoding: 'pcm16', rate }));
/** The two chains of a call between a telephone and a model that takes 24 kHz. */
const HOT: readonly string[] = ['mulaw/8000 > pcm16/24000', 'pcm16/24000 > mulaw/8000'];
/** For the hot chains. */
const OF_PACKAGES = { limit: 0.1, aim: 0.05 };
const OF_SPEEX = { limit: 1, aim: 0.5 };
const BYTES = { limit: 16, aim: 0 };

interface Chain {
  readonly name: string;
  readonly from: AudioFormat;
  readonly to: AudioFormat;
}

function chains(): readonly Chain[] {
  const pairs: (readonly [AudioFormat, AudioFormat])[] = [];
  for (const law of LAWS) {
    for (const pcm of PCM) pairs.push([law, pcm], [pcm, law]);
    for (const other of LAWS) pairs.push([law, other]);
  }
  for (const from of PCM) for (const to of PCM) if (from !== to) pairs.push([from, to]);
  return pairs
    .map(([from, to]) => ({ name: `${formatName(from)} > ${formatName(to)}`, from, to }))
    .filter(({ name }) => name.includes(values.only));
}

/** Ratios of the same rounds, so that a slow moment of the machine is in both. */
function ratios(ours: Cost, theirs: Cost): readonly number[] {
  return ours.ns.map((ns, i) => ns / (theirs.ns[i] ?? Number.NaN));
}

function figuresOf(
  chain: Chain,
  calls: number,
  methods: readonly Method[],
): { results: readonly Result[]; row: readonly string[] } {
  const used: Method[] = [];
  const ways = methods.flatMap((method) => {
    const first = method.create(chain.from, chain.to);
    if (first === undefined) return [];
    used.push(method);
    const rest = Array.from({ length: calls - 1 }, () => method.create(chain.from, chain.to) ?? first);
    return [[first, ...rest]];
  });
  const costs = measure(ways, frames(20 * bytesPerMs(chain.from)), values.quick ? QUICK : WHOLE);
  const results: Result[] = [];
  const ours = costs[0];
  if (ours === undefined) return { results, row: [] };
  const hot = HOT.includes(chain.name);
  const base = { bench: 'codec', better: 'lower' } as const;
  const noise = spread(ours.ns);
  results.push({ ...base, name: `${chain.name}, CPU`, value: median(ours.ns), unit: 'ns/frame', noise });
  results.push({
    ...base,
    name: `${chain.name}, garbage`,
    value: ours.bytes,
    unit: 'bytes/frame',
    ...(hot ? BYTES : {}),
  });
  for (const [i, method] of used.entries()) {
    const theirs = costs[i];
    if (i === 0 || theirs === undefined) continue;
    const shares = ratios(ours, theirs);
    results.push({
      ...base,
      name: `${chain.name}, against ${method.name}`,
      value: median(shares),
      unit: 'x',
      noise: spread(shares),
      ...(hot ? (method === PACKAGES ? OF_PACKAGES : OF_SPEEX) : {}),
      detail: { nsPerFrame: Math.round(median(theirs.ns)), bytesPerFrame: Math.round(theirs.bytes) },
    });
  }
  const cells = methods.flatMap((method) => {
    const cost = costs[used.indexOf(method)];
    return cost === undefined ? ['', ''] : [median(cost.ns).toFixed(0), cost.bytes.toFixed(0)];
  });
  return { results, row: [chain.name, ...cells, ''] };
}

function qualityRow(method: Method, from: Rate, to: Rate): readonly (readonly string[])[] {
  const found: Quality | undefined = quality(method, from, to);
  if (found === undefined) return [];
  const dB = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(0));
  const delay = Number.isNaN(found.delayMs) ? '' : found.delayMs.toFixed(1);
  return [[`${from} > ${to}  ${method.name}`, dB(found.worstSinad), dB(found.rejection), delay, '']];
}

function say(text: string): void {
  if (values.results === undefined) process.stdout.write(`${text}\n\n`);
}

// One core throughout: moving to another one costs caches, and the round in which it happens.
if (process.platform === 'linux') spawnSync('taskset', ['-apc', '0', String(process.pid)]);
const methods = [PATCHCORD, PACKAGES, await speex()];
const all = chains().map((chain) => figuresOf(chain, Number(values.calls), methods));
const head = methods.flatMap(({ name }) => [`${name}: ns`, 'bytes']);
say(columns([[`20 ms, ${values.calls} legs in turn`, ...head, ''], ...all.map(({ row }) => row)]));
say(
  columns([
    ['PCM16, 20 ms at a time', 'worst SINAD dB', 'rejection dB', 'delay ms', ''],
    ...PCM.flatMap(({ rate: from }) =>
      PCM.filter(({ rate: to }) => to !== from).flatMap(({ rate: to }) =>
        methods.flatMap((method) => qualityRow(method, from, to)),
      ),
    ),
  ]),
);
finish(
  'codec',
  all.flatMap(({ results }) => results),
  values,
);
