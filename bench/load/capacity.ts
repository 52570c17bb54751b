import { LATE_MS } from './ledger.ts';
import type { Bench, Round } from './rounds.ts';
import type { SubjectName } from './subjects.ts';

/** How many calls one core carries. */
export interface Capacity {
  readonly subject: SubjectName;
  /** The most calls of which nothing was lost, and 99 of 100 frames were under way for less than 20 ms. */
  readonly calls: number;
  /** What stopped the search at the next step. */
  readonly stoppedBy: string;
  /** The generator could not do more, so a core may well carry more calls than these. */
  readonly isLeast: boolean;
}

interface Search {
  readonly subject: SubjectName;
  calls: number;
  good: number;
  stoppedBy: string;
  isLeast: boolean;
  /** A step is tried again once: on a machine that does other things as well, one pause may be its own. */
  tries: number;
}

const STEP = 1.07;
/** The search begins with so much of what the cost of a call allows. */
const FIRST_SHARE = 0.9;
const SECONDS = 4;
const TRIES = 2;
const PER_SECOND = 100;

/** Why a round is too much; empty: it is not. */
function tooMuch({ load, ramp, calls, end }: Round): string {
  if (ramp.up < calls) return `only ${ramp.up} of ${calls} calls came up`;
  if (load.lost + end.lostAtEnd > 0) return `${load.lost + end.lostAtEnd} frames lost`;
  const worst = Math.max(load.up.p99, load.down.p99);
  return worst > LATE_MS ? `p99 ${worst.toFixed(1)} ms` : '';
}

/**
 * Adds calls, 7 % at a time, until it is too much; all subjects in turns, so that they meet the same machine.
 * @param cpuMs what each subject has used for each second of each call, which says where to begin
 * @param most calls that are never exceeded
 */
export async function findCapacity(
  bench: Bench,
  cpuMs: ReadonlyMap<SubjectName, number>,
  most: number,
  onStep: (text: string) => void,
): Promise<readonly Capacity[]> {
  const searches = [...cpuMs].map(([subject, ms]): Search => {
    const calls = Math.min(most, Math.max(1, Math.round((FIRST_SHARE * 1000) / ms)));
    return { subject, calls, good: 0, stoppedBy: '', isLeast: false, tries: 0 };
  });
  while (searches.some(({ stoppedBy }) => stoppedBy === '')) {
    for (const search of searches.filter(({ stoppedBy }) => stoppedBy === '')) {
      await step(bench, search, most, onStep);
    }
  }
  return searches.map(({ subject, good, stoppedBy, isLeast }) => ({
    subject,
    calls: good,
    stoppedBy,
    isLeast,
  }));
}

async function step(
  bench: Bench,
  search: Search,
  most: number,
  onStep: (text: string) => void,
): Promise<void> {
  const { subject, calls } = search;
  const lap = { name: subject, calls, perSecond: PER_SECOND, talk: false };
  const round = await bench.measure(lap, SECONDS);
  const found = round.load.saturated === '' ? tooMuch(round) : `the generator: ${round.load.saturated}`;
  const core = `${Math.round(100 * round.coreShare)} % of its core`;
  onStep(`${subject}, ${calls} calls, ${core}: ${found === '' ? 'carried' : found}`);
  if (found === '') {
    search.tries = 0;
    search.good = calls;
    if (calls === most) stop(search, 'the end of the search', true);
    search.calls = Math.min(most, Math.ceil(calls * STEP));
    return;
  }
  search.tries += 1;
  if (search.tries < TRIES) return;
  search.tries = 0;
  if (search.good > 0) stop(search, found, round.load.saturated !== '');
  else if (calls < 3) stop(search, found, false);
  // It began too high.
  else search.calls = Math.floor(calls / STEP);
}

function stop(search: Search, by: string, isLeast: boolean): void {
  search.stoppedBy = by;
  search.isLeast = isLeast;
}
