import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Change, changes } from './compare/changes.ts';
import { columns, figure, RESULTS_FOLDER, type ResultFile, readResults } from './results.ts';

/**
 * What got better or worse between two results beyond the noise: `npm run bench:compare -- OLD NEW`, each a file or the
 * beginning of a commit that has files in `bench/results/`. Ends with 1 when something that does not depend on the hour (a
 * ratio, a size, a number of things) got worse by more than `--threshold` percent, 10 if not said; `--times` makes times
 * count as well; `--all` shows what has not changed too.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threshold: { type: 'string', default: '10' },
    times: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
});

/** Fewer letters could mean many commits. */
const SHORTEST_COMMIT = 4;

/** The files that an argument means: the newest of each bench. Throws a RangeError when there is none. */
function filesOf(argument: string): ReadonlyMap<string, ResultFile> {
  const found = new Map<string, ResultFile>();
  for (const file of candidates(argument).map(readResults)) {
    const known = found.get(file.bench);
    if (known === undefined || known.takenAt < file.takenAt) found.set(file.bench, file);
  }
  if (found.size === 0)
    throw new RangeError(`${argument} is neither a file nor a commit in ${RESULTS_FOLDER}`);
  return found;
}

function candidates(argument: string): readonly string[] {
  if (existsSync(argument) && statSync(argument).isFile()) return [argument];
  if (argument.length < SHORTEST_COMMIT || !existsSync(RESULTS_FOLDER)) return [];
  const paths = readdirSync(RESULTS_FOLDER)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(RESULTS_FOLDER, name));
  return paths.filter((path) => readResults(path).commit.startsWith(argument));
}

function origin({ commit, dirty, takenAt, quick, runs, machine }: ResultFile): string {
  const { cpu, cores, node, kernel } = machine;
  const kind = `${runs.length} ${quick ? 'quick ' : ''}run${runs.length === 1 ? '' : 's'}`;
  return `${commit}${dirty ? ' with changes' : ''}, ${takenAt}, ${kind}, ${cpu} (${cores}), ${node}, ${kernel}`;
}

function row({ bench, name, unit, before, after, worse, noise, verdict }: Change): readonly string[] {
  const show = (value: number | undefined): string => (value === undefined ? '' : figure(value, unit));
  const percent = (value: number): string => `${value > 0 ? '+' : ''}${(100 * value).toFixed(0)} %`;
  const known = before !== undefined && after !== undefined;
  return [
    `${bench}: ${name}`,
    show(before),
    show(after),
    known ? percent(worse) : '',
    known ? percent(noise).replace('+', '±') : '',
    verdict === 'same' ? '' : verdict,
  ];
}

/** Prints what changed in one bench; returns whether there is a regression. */
function compareFiles(before: ResultFile, after: ResultFile): boolean {
  const found = changes(before, after, { threshold: Number(values.threshold) / 100, times: values.times });
  const told = values.all ? found : found.filter(({ verdict }) => verdict !== 'same');
  process.stdout.write(`${after.bench}\n  ${origin(before)}\n  ${origin(after)}\n`);
  if (JSON.stringify(before.machine) !== JSON.stringify(after.machine)) {
    process.stdout.write('  not the same kind of machine: only ratios and sizes say something\n');
  }
  const head = ['', 'before', 'after', 'worse by', 'noise', ''];
  process.stdout.write(
    told.length === 0 ? '  nothing beyond the noise\n\n' : `${columns([head, ...told.map(row)])}\n\n`,
  );
  return found.some(({ verdict }) => verdict === 'regression');
}

function main(): boolean {
  const [old, now, ...rest] = positionals;
  if (old === undefined || now === undefined || rest.length > 0) {
    throw new RangeError('wanted two results, each a file or a commit: npm run bench:compare -- OLD NEW');
  }
  const before = filesOf(old);
  const after = filesOf(now);
  const both = [...after].flatMap(([bench, file]) => {
    const older = before.get(bench);
    return older === undefined ? [] : [[older, file] as const];
  });
  if (both.length === 0) throw new RangeError(`${old} and ${now} have no bench in common`);
  return both.map(([older, file]) => compareFiles(older, file)).includes(true);
}

try {
  if (main()) process.exitCode = 1;
} catch (error) {
  // What was asked for was wrong, and no regression.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
