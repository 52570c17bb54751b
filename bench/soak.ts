import { parseArgs } from 'node:util';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';
import { soakInMemory } from './soak/in-memory.ts';
import { memoryPerCall, soakLive } from './soak/measures.ts';

/**
 * What calls cost in memory, and what they leave behind: `npm run bench -- soak`, or
 * `node dist/bench/soak.js [--minutes 60] [--calls 40] [--only memory,live,in-memory]`.
 */
const { values } = parseArgs({
  options: {
    ...BENCH_OPTIONS,
    /** How long calls come and go over real sockets. */
    minutes: { type: 'string' },
    /** How many of them are up at once. */
    calls: { type: 'string', default: '40' },
    /** How many calls in memory are looked at. */
    'in-memory': { type: 'string' },
    /** In the place of both. */
    audio: { type: 'string' },
    /** Of `memory`, `live` and `in-memory`, with commas; default: all of them. */
    only: { type: 'string' },
    /** Beginning of the names of heap snapshots. */
    snapshots: { type: 'string' },
  },
});
const quick = values.quick;
const parts = values.only?.split(',') ?? ['memory', 'in-memory', 'live'];
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const results: Result[] = [];
const paths = (['passthrough', 'wideband'] as const).filter(
  (audio) => values.audio === undefined || values.audio === audio,
);

if (parts.includes('memory')) {
  for (const audio of paths) {
    results.push(...(await memoryPerCall({ audio, calls: 200, upMs: quick ? 12_000 : 30_000, say })));
  }
}
if (parts.includes('in-memory')) {
  const calls = Number(values['in-memory'] ?? (quick ? 3_000 : 20_000));
  const batch = 260;
  for (const audio of paths) {
    const warmup = quick ? 1_000 : 6_000;
    results.push(...(await soakInMemory({ calls, batch, warmup, audio, snapshots: values.snapshots, say })));
  }
}
if (parts.includes('live')) {
  const minutes = Number(values.minutes ?? (quick ? 3 : 60));
  results.push(...(await soakLive({ minutes, atOnce: Number(values.calls), quick, say })));
}
finish('soak', results, values);
