import type { Lexicon } from '../../src/commands/drill/lexicon.ts';
import type { Case } from './cases.ts';
import { hold, type Judge, type Outcome, openPlay } from './scene.ts';

/** Between two calls of one stage: they are to be at different points of their conversation. */
const APART_MS = 120;

/** What the calls of one case came to. */
export interface Report {
  readonly name: string;
  readonly group: Case['group'];
  readonly outcomes: readonly Outcome[];
}

export interface RunOptions {
  readonly lexicon: Lexicon;
  /** Of each case. */
  readonly calls: number;
  /** So many are up at a time: each is in real time, and they share this machine. */
  readonly atOnce: number;
  /** Of one service: a breaker that opens would keep the later ones from trying the provider that is to fail. */
  readonly perStage: number;
}

/** Calls that share a service. */
interface Unit {
  readonly wanted: Case;
  readonly calls: number;
}

/** Holds the calls of all cases, in waves, and judges each wave when it is over; reports come in the order of the cases. */
export async function* runCases(cases: readonly Case[], options: RunOptions): AsyncGenerator<Report> {
  const outcomes = new Map<Case, Outcome[]>(cases.map((wanted) => [wanted, []]));
  const waiting = [...cases];
  for (const wave of wavesOf(cases, options)) {
    const judges = await Promise.all(
      wave.map(async (unit) => ({ unit, judges: await runUnit(unit, options) })),
    );
    for (const { unit, judges: own } of judges) {
      outcomes.get(unit.wanted)?.push(...own.map((judge) => judge()));
    }
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const done = outcomes.get(next) ?? [];
      if (done.length < options.calls) break;
      waiting.shift();
      yield { name: next.name, group: next.group, outcomes: done };
    }
  }
}

function wavesOf(
  cases: readonly Case[],
  { calls, atOnce, perStage }: RunOptions,
): readonly (readonly Unit[])[] {
  const waves: Unit[][] = [];
  let free = 0;
  for (const wanted of cases) {
    for (let left = calls; left > 0; left -= perStage) {
      const unit = { wanted, calls: Math.min(left, perStage) };
      if (free < unit.calls) {
        waves.push([]);
        free = atOnce;
      }
      waves.at(-1)?.push(unit);
      free -= unit.calls;
    }
  }
  return waves;
}

async function runUnit({ wanted, calls }: Unit, { lexicon }: RunOptions): Promise<readonly Judge[]> {
  await using play = await openPlay(wanted, lexicon);
  const judges: Promise<Judge>[] = [];
  for (let i = 0; i < calls; i++) {
    const scene = play.begin();
    judges.push(hold(wanted, scene));
    await scene.pause(APART_MS);
  }
  return await Promise.all(judges);
}

/** The value below which this share (0..1) of them lies; undefined: there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
