import { parseArgs } from 'node:util';
import { type Capacity, findCapacity } from './load/capacity.ts';
import { FLOORS, figuresOf } from './load/figures.ts';
import { complaints, describe, summaries } from './load/report.ts';
import { Bench, runRounds } from './load/rounds.ts';
import { hasCompiler, SUBJECTS, type SubjectName } from './load/subjects.ts';
import { BENCH_OPTIONS, finish } from './results.ts';

/**
 * What calls cost, and how long audio is under way, beside the smallest relay that one can write; see bench/README.md.
 * `node dist/bench/calls.js [--calls N] [--seconds S] [--rounds N] [--subject A,B] [--talk A,B] [--tls] [--capacity]`
 */
const { values } = parseArgs({
  options: {
    ...BENCH_OPTIONS,
    calls: { type: 'string', default: '100' },
    /** Of each round. */
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    subject: { type: 'string', default: 'bridge,floor,bridge-24k,floor-fir,bridge-recorded,floor-c++' },
    /** Measured once more, with callers who cut in. */
    talk: { type: 'string', default: 'bridge' },
    /** Calls that begin within a second. */
    'per-second': { type: 'string', default: '100' },
    /** Between what is measured and the provider. */
    tls: { type: 'boolean', default: false },
    /** How many calls a core carries; done for `npm run bench` unless it is to be quick. */
    capacity: { type: 'boolean' },
    /** Folder for profiles (`.cpuprofile`) of what is measured and of the generator. */
    profile: { type: 'string' },
    /** For the engine of what is measured, such as `--trace-gc`. */
    flags: { type: 'string' },
    /** Calls that the search never exceeds. */
    most: { type: 'string', default: '700' },
  },
});

function subjects(text: string): readonly SubjectName[] {
  const names = text.split(',').filter((name) => name !== '' && name !== 'none');
  return names.map((name) => {
    const found = SUBJECTS.find((one) => one === name);
    if (found === undefined) throw new RangeError(`there is no ${name}, wanted ${SUBJECTS.join(', ')}`);
    return found;
  });
}

/** Nobody asks how many calls they carry. */
const NOT_COUNTED: readonly SubjectName[] = ['bridge-recorded', 'floor-c++'];

function unknown(found: readonly Capacity[]): readonly string[] {
  const least = found.filter(({ subject, isLeast }) => isLeast && subject.startsWith('floor'));
  return least.map(
    ({ subject }) => `${subject}: the generator could not do more, so there is no ratio to it`,
  );
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
/** Those that are asked for and that this machine can run. */
function possible(names: readonly SubjectName[]): readonly SubjectName[] {
  const can = names.filter((name) => name !== 'floor-c++' || (hasCompiler() && !values.tls));
  if (can.length < names.length) say('floor-c++ is left out: it needs g++, and speaks no TLS');
  return can;
}

const quick = values.quick ?? false;
const calls = Number(values.calls);
const most = Number(values.most);
const wantsCapacity = values.capacity ?? (values.results !== undefined && !quick);
await using bench = await Bench.start({
  calls: Math.max(calls, wantsCapacity ? most : 0),
  tls: values.tls,
  profile: values.profile,
  flags: values.flags?.split(' '),
  onStep: say,
});
const rounds = await runRounds(bench, {
  subjects: possible(subjects(values.subject)),
  talking: subjects(values.talk),
  calls,
  seconds: Number(values.seconds ?? (quick ? 3 : 4)),
  rounds: Number(values.rounds ?? (quick ? 1 : 3)),
  perSecond: Number(values['per-second']),
  onStep: say,
});
const all = summaries(rounds);
let capacity: readonly Capacity[] = [];
if (wantsCapacity) {
  const alone = all.filter(({ subject, talk }) => !talk && !NOT_COUNTED.includes(subject));
  capacity = await findCapacity(bench, new Map(alone.map((one) => [one.subject, one.cpuMs])), most, say);
}
say(describe(all, FLOORS));
for (const { subject, calls: carried, stoppedBy, isLeast } of capacity) {
  say(`${subject}: ${isLeast ? 'at least ' : ''}${carried} calls per core, then ${stoppedBy}`);
}
const wrong = [...complaints(rounds), ...unknown(capacity)];
for (const text of wrong) say(text);
finish('calls', figuresOf(all, capacity), values);
// A figure that cannot be believed is none.
if (wrong.length > 0) process.exitCode = 1;
