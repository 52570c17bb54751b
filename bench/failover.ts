import { parseArgs } from 'node:util';
import { makeLexicon } from '../src/commands/drill/lexicon.ts';
import { type Case, deadPort, LIMIT_CASES, midCallCases, openAiStartCases } from './failover/cases.ts';
import { runCases } from './failover/run.ts';
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

// One service for each call: a failure at the start is not to open a breaker for others.
await runAll('AT THE START', openAiStartCases(await deadPort()), 1);
await runAll('IN MID-CALL', [...midCallCases(['openai', 'gemini'], 'nova'), ...LIMIT_CASES], 10);
out(failed === 0 ? '\nevery sentence holds\n' : `\n${failed} sentences do not hold\n`);
process.exitCode = failed === 0 ? 0 : 1;
