import { parseArgs } from 'node:util';
import { makeLexicon } from '../src/commands/drill/lexicon.ts';
import { breakerCost } from './failover/breaker.ts';
import { type Case, deadPort, LIMIT_CASES, midCallCases, openAiStartCases } from './failover/cases.ts';
import { resources } from './failover/resources.ts';
import { runCases } from './failover/run.ts';
import { breakerComplaints, breakerLines, stormComplaints, stormLines } from './failover/sentences.ts';
import { storm } from './failover/storm.ts';
import { complaints, header, reportRow, traces } from './failover/table.ts';

/**
 * Proof that no call is lost because a provider died: every fault at the start and in the middle of calls, measured by
 * the caller's ear and the simulated providers' own logs. Fails if a sentence does not hold.
 */
const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '20' },
    'at-once': { type: 'string', default: '40' },
    only: { type: 'string' },
    storm: { type: 'string', default: '1000' },
    'storm-at-once': { type: 'string', default: '100' },
    'no-cases': { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
  },
});

const out = (text: string): void => void process.stdout.write(text);
const calls = values.quick ? 2 : Number(values.calls);
const lexicon = await makeLexicon();
let failed = 0;

async function runAll(title: string, cases: readonly Case[], perStage: number): Promise<void> {
  const wanted = cases.filter(({ name }) => values.only === undefined || name.includes(values.only));
  if (wanted.length === 0) return;
  out(`\n${header(title)}`);
  for await (const report of runCases(wanted, {
    lexicon,
    calls,
    perStage,
    atOnce: Number(values['at-once']),
  })) {
    failed += complaints(report).length;
    out(reportRow(report));
    if (values.trace) out(traces(report));
  }
}

async function runStorm(): Promise<void> {
  const size = Number(values.quick ? 20 : values.storm);
  if (size === 0) return;
  const atOnce = Number(values['storm-at-once']);
  out(`\n${size} CALLS WHOSE FIRST PROVIDER DIES (seed ${values.seed}, ${atOnce} at once)\n`);
  const options = { lexicon, atOnce, progress: () => out('.') };
  // What a process needs once is no leak.
  await storm({ ...options, calls: Math.min(size, atOnce), seed: Number(values.seed) + 1 });
  const before = await resources();
  const startedAt = performance.now();
  const report = await storm({ ...options, calls: size, seed: Number(values.seed) });
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const after = await resources();
  out(`\n${stormLines(report, { before, after, calls: size, seconds })}`);
  failed += stormComplaints(report, { before, after, calls: size }).length;
}

async function runBreaker(): Promise<void> {
  const report = await breakerCost(lexicon, values.quick ? 20 : 100);
  out(`\n${breakerLines(report)}`);
  failed += breakerComplaints(report).length;
}

const all = values.only === undefined;
if (all || values.only === 'breaker') await runBreaker();
if (!values['no-cases']) {
  // One service for each call: a failure at the start is not to open a breaker for others.
  await runAll('AT THE START', openAiStartCases(await deadPort()), 1);
  await runAll('IN MID-CALL', [...midCallCases(['openai', 'gemini'], 'nova'), ...LIMIT_CASES], 10);
}
if (all || values.only === 'storm') await runStorm();
out(failed === 0 ? '\nevery sentence holds\n' : `\n${failed} sentences do not hold\n`);
process.exitCode = failed === 0 ? 0 : 1;
