import type { BreakerReport } from './breaker.ts';
import type { Resources } from './resources.ts';
import { type StormReport, unwanted } from './storm.ts';

/** What storm and breaker have shown, in words. */

const MOST_COST_MS = 50;
/**
 * A call may leave so much behind, in bytes. A call that is held by something keeps more than 80 kB with its ring alone; what
 * is compiled meanwhile, and the connections that this bench asks its 200 services by, come to about 15 kB.
 */
const MOST_LEFT = 30_000;

/** Of fewer calls a heap says nothing: it grows by what a process needs once. */
const TELLING_CALLS = 200;

interface Around {
  readonly before: Resources;
  readonly after: Resources;
  readonly calls: number;
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, times]) => `${what} ${times}`)
    .join(', ');
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

export function stormLines(report: StormReport, around: Around & { readonly seconds: number }): string {
  const { before, after, calls, seconds } = around;
  const resources = (of: Resources): string => listed(new Map(Object.entries(of.active)));
  return [
    `deaths           ${listed(report.deaths)}`,
    `ended as         ${listed(report.ends)}`,
    `taken over       ${report.changes} of ${calls} calls were held by another provider at some time`,
    `left before      ${resources(before)}; heap ${mib(before.heap)}`,
    `left after       ${resources(after)}; heap ${mib(after.heap)}`,
    `took             ${seconds} s; ${report.lateTicks} ticks of the simulated phones were late`,
    ...stormComplaints(report, around).map((line) => `    ✗ ${line}`),
    '',
  ].join('\n');
}

export function stormComplaints(report: StormReport, { before, after, calls }: Around): readonly string[] {
  const complaints = [...new Set(report.leaks)];
  const lost = unwanted(report);
  if (lost > 0) complaints.push(`${lost} calls ended though nobody wanted them to`);
  if (report.stuck.length > 0) {
    complaints.push(
      `in ${report.stuck.length} calls nobody said anything any more; the first:\n${report.stuck[0]}`,
    );
  }
  for (const [kind, count] of Object.entries(after.active)) {
    if (count > (before.active[kind] ?? 0))
      complaints.push(`${kind}: ${count}, were ${before.active[kind] ?? 0}`);
  }
  const left = (after.heap - before.heap) / calls;
  if (calls >= TELLING_CALLS && left > MOST_LEFT)
    complaints.push(`each call leaves ${Math.round(left)} bytes behind`);
  return complaints;
}

export function breakerLines(report: BreakerReport): string {
  const { calls, finders, next, healthy } = report;
  const ms = (time: number): string => `${Math.round(time)} ms`.padStart(8);
  return [
    'A BREAKER THAT OPENS (from the webhook to the first sound, medians)',
    `${calls} callers at once find that the first provider does not answer    ${ms(finders)}`,
    `those who call next                                                  ${ms(next)}`,
    `with the healthy provider in the first place                         ${ms(healthy)}`,
    ...breakerComplaints(report).map((line) => `    ✗ ${line}`),
    '',
  ].join('\n');
}

export function breakerComplaints({ next, healthy, open }: BreakerReport): readonly string[] {
  const complaints: string[] = [];
  if (!open) complaints.push('the breaker did not open');
  if (next - healthy > MOST_COST_MS)
    complaints.push(`it costs the next caller ${Math.round(next - healthy)} ms`);
  return complaints;
}
