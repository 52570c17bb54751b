import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Histogram, Registry } from 'prom-client';
import { CallTiming } from '../src/call-timing.ts';
import { createLatencies } from '../src/metrics/latencies.ts';
import { Latency, OWN_MS } from '../src/metrics/latency.ts';
import { type Cost, frames, measure, median, QUICK, spread, WHOLE } from './codec/measure.ts';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';

/**
 * What it costs to know how long things take: `npm run bench -- observe`. One observation of our histogram beside one of
 * the registry's own, in the same rounds, and all that is done for one media message of the caller and for one of the
 * provider, two looks at the clock included.
 */

const CALLS = 200;
/** An observation is to cost no more than this share of what the registry's own costs. */
const LIMIT = 0.1;

type Way = Parameters<typeof measure>[0][number];

/** `count` is of frames: every one has another duration. */
function way(run: (ms: number, call: number) => void): Way {
  let count = 0;
  return Array.from({ length: CALLS }, (_, call) => ({
    delayMs: 0,
    convert: (bytes: Uint8Array) => {
      count += 1;
      run(((count * 7919) % 1000) / 2000, call);
      return bytes;
    },
  }));
}

function ways(): readonly Way[] {
  const registers = [new Registry()];
  const labels = { carrier: 'twilio', provider: 'openai' };
  const labelNames = Object.keys(labels);
  const plain = new Histogram({ name: 'plain', help: 'x', buckets: [...OWN_MS], labelNames, registers });
  const latencies = createLatencies(registers);
  const own = Array.from({ length: CALLS }, () => new Latency(OWN_MS));
  const timings = own.map(() => {
    const timing = new CallTiming({
      now: () => performance.now(),
      latencies: (provider) => latencies.latencies('twilio', provider),
    });
    timing.heldBy('openai');
    return timing;
  });
  return [
    way(() => undefined),
    way((ms) => plain.observe(labels, ms)),
    way((ms, call) => own[call]?.observe(ms)),
    way((_ms, call) => {
      const timing = timings[call];
      timing?.heard(timing.now());
    }),
    way((_ms, call) => {
      const timing = timings[call];
      timing?.said();
      timing?.played();
      timing?.done();
    }),
  ];
}

/** Resolves to the figures. */
export function benchObserve(quick: boolean | undefined): readonly Result[] {
  const [idle, ...costs] = measure(ways(), frames(160), quick ? QUICK : WHOLE);
  const ns = (cost: Cost | undefined): number => median(cost?.ns ?? []) - median(idle?.ns ?? []);
  const [plain, own, up, down] = costs;
  const figure = (name: string, cost: Cost | undefined): Result => ({
    bench: 'observe',
    better: 'lower',
    name,
    value: ns(cost),
    unit: 'ns',
    noise: spread(cost?.ns ?? []),
    detail: { bytes: Math.round((cost?.bytes ?? Number.NaN) - (idle?.bytes ?? Number.NaN)) },
  });
  return [
    figure("one observation, the registry's own", plain),
    figure('one observation', own),
    {
      ...figure("one observation, against the registry's own", own),
      value: ns(own) / ns(plain),
      unit: 'x',
      limit: LIMIT,
    },
    figure('a media message of the caller', up),
    figure('a message of the provider', down),
  ];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: BENCH_OPTIONS });
  finish('observe', benchObserve(values.quick), values);
}
