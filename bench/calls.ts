import { parseArgs } from 'node:util';
import { complaints, describe, summaries } from './load/report.ts';
import { runRounds } from './load/rounds.ts';
import { SUBJECTS, type SubjectName } from './load/subjects.ts';
import { BENCH_OPTIONS } from './results.ts';

/**
 * What calls cost, and how long audio is under way, beside the smallest relay that one can write. See bench/README.md.
 */
const { values } = parseArgs({
  options: {
    ...BENCH_OPTIONS,
    calls: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    subject: { type: 'string', default: 'bridge,floor,bridge-24k,floor-fir' },
    'per-second': { type: 'string', default: '100' },
    talk: { type: 'boolean', default: false },
  },
});

const FLOORS: ReadonlyMap<SubjectName, SubjectName> = new Map<SubjectName, SubjectName>([
  ['bridge', 'floor'],
  ['bridge-recorded', 'bridge'],
  ['bridge-24k', 'floor-fir'],
]);

function subjects(text: string): readonly SubjectName[] {
  return text.split(',').map((name) => {
    const found = SUBJECTS.find((one) => one === name);
    if (found === undefined) throw new Error(`there is no subject ${name}; there are ${SUBJECTS.join(', ')}`);
    return found;
  });
}

const rounds = await runRounds({
  subjects: subjects(values.subject),
  calls: Number(values.calls),
  seconds: Number(values.seconds),
  rounds: Number(values.rounds),
  perSecond: Number(values['per-second']),
  talk: values.talk,
  onStep: (text) => void process.stderr.write(`${text}\n`),
});
process.stdout.write(`${describe(summaries(rounds), FLOORS)}\n`);
for (const text of complaints(rounds)) process.stdout.write(`${text}\n`);
