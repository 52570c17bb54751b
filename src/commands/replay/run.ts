import { basename } from 'node:path';
import { pause, systemClock } from '../../clock.ts';
import { readCall, type StoredCall } from '../../recording/stored-call.ts';
import { exitCodeOf, type ReplayReport, reportOf } from '../../replay/compare/report.ts';
import { type Summary, summarise } from '../../replay/compare/summary.ts';
import { tellSummary } from '../../replay/compare/tell-summary.ts';
import { agentFor } from '../../testing/changed-agent.ts';
import { type CheckedCall, checkCall, tellChecked } from '../../testing/check-call.ts';
import type { Terminal } from '../command.ts';
import { LiveView } from '../live-view.ts';
import type { ReplayJob } from './job.ts';
import { stereoWav, writeStereo } from './listen.ts';
import { showLine } from './show.ts';

/** Differences that are shown of a call with another agent. */
const MOST_TOLD = 12;

/** A call that was played once more to somebody else, beside what it was. */
interface ComparedCall {
  readonly folder: string;
  readonly summary: Summary;
  /** What could not be as it was, in sentences. */
  readonly notes: readonly string[];
}

/** The report for programs. */
export interface RunReport extends ReplayReport {
  /** With `--provider` or `--carrier`, in the place of `folders`. */
  readonly compared?: readonly ComparedCall[];
}

/** Does what was asked for, one call after the other. Rejects with the reason of `stop` when it aborts. */
export async function runReplays(
  job: ReplayJob,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<{ readonly report: RunReport; readonly status: number }> {
  if (job.provider !== undefined || job.carrier !== undefined) return await playAll(job, terminal, stop);
  const outcomes: CheckedCall[] = [];
  for (const folder of job.folders) {
    stop.throwIfAborted();
    const checked = await replayOne(folder, job, terminal, stop);
    stop.throwIfAborted();
    tellCall(checked, job, terminal);
    outcomes.push(checked);
  }
  const report = reportOf(outcomes);
  if (outcomes.length > 1) terminal.out(`${counted(report, outcomes)}\n`);
  return { report, status: exitCodeOf(report) };
}

/** Each call once more in real time, with somebody else on the other side. */
async function playAll(
  job: ReplayJob,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<{ readonly report: RunReport; readonly status: number }> {
  const compared: ComparedCall[] = [];
  for (const folder of job.folders) compared.push(await playOne(folder, job, terminal, stop));
  return { report: { ...reportOf([]), compared }, status: 0 };
}

async function playOne(
  folder: string,
  { provider, carrier, agents, agent, listen, quiet }: ReplayJob,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ComparedCall> {
  const { playLive } = await import('./live-call.ts');
  const { env } = terminal;
  const stored = await readCall(folder);
  const view = new LiveView(quiet ? { ...terminal, isTty: false, out: () => undefined } : terminal);
  const changed =
    agents === undefined ? undefined : await agentFor(stored, { file: agents, name: agent, env });
  if (!quiet) terminal.out(`${folder}: ${(lengthOf(stored) / 1000).toFixed(1)} s in real time\n`);
  const { found, notes } = await playLive({ stored, provider, carrier, agent: changed, env, view, signal });
  if (listen !== undefined) await writeStereo(listen, stereoWav(found));
  const summary = summarise(stored, found);
  const headings = { expected: basename(folder), found: [provider, carrier].filter(Boolean).join(', ') };
  terminal.out(`\n${tellSummary(summary, headings)}\n`);
  for (const note of notes) terminal.out(`note: ${note}\n`);
  return { folder, summary, notes };
}

function lengthOf({ lines }: StoredCall): number {
  return lines.at(-1)?.t ?? 0;
}

async function replayOne(
  folder: string,
  job: ReplayJob,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<CheckedCall> {
  const { update, agents, agent, listen, speed } = job;
  const view = speed === '1' ? new LiveView(terminal) : undefined;
  const startedAt = systemClock.now();
  const checked = await checkCall(folder, {
    update,
    agent: agents === undefined ? undefined : { file: agents, name: agent, env: terminal.env },
    replay: {
      signal,
      ...(view === undefined
        ? {}
        : {
            pace: (t) => pause(systemClock, Math.max(0, startedAt + t - systemClock.now()), signal),
            onLine: (line) => showLine(view, line),
          }),
    },
  });
  view?.close();
  const { replayed } = checked;
  if (listen !== undefined && replayed !== undefined) await writeStereo(listen, stereoWav(replayed.found));
  return checked;
}

function tellCall(checked: CheckedCall, job: ReplayJob, terminal: Terminal): void {
  const { folder, status, accepted, callMs, realMs, replayed } = checked;
  if (status === 'same' && job.quiet) return;
  const what = accepted ? 'accepted' : status;
  const pace =
    status === 'broken' || job.speed === '1' ? '' : `, ${Math.round(callMs / realMs)} times real time`;
  const length =
    status === 'broken' ? '' : `  ${(callMs / 1000).toFixed(1)} s in ${(realMs / 1000).toFixed(2)} s${pace}`;
  terminal.out(`${what.padEnd(10)} ${folder}${length}\n`);
  const text = job.agents === undefined ? tellChecked(checked) : tellChanged(checked);
  if (text !== '') terminal.out(`${indented(text)}\n`);
  for (const name of new Set(replayed?.unknownTools ?? [])) {
    terminal.out(`           ${name} was called, and the recording has no result for that\n`);
  }
}

/** With another agent the first difference is known: its own settings. What the caller notices comes first, then all of it. */
function tellChanged(checked: CheckedCall): string {
  const { differences, expected, replayed } = checked;
  if (expected === undefined || replayed === undefined || differences.length === 0)
    return tellChecked(checked);
  const told = reportOf([checked]).folders.flatMap((one) => one.differences.map(({ text }) => text));
  const more = differences.length - MOST_TOLD;
  return [
    tellSummary(summarise(expected, replayed.found)),
    '',
    ...told.slice(0, MOST_TOLD),
    ...(more > 0 ? [`and ${more} more`] : []),
  ].join('\n');
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '    ');
}

function counted({ same, different, broken }: ReplayReport, outcomes: readonly CheckedCall[]): string {
  const accepted = outcomes.filter((one) => one.accepted).length;
  return [
    `${same} the same`,
    ...(different > accepted ? [`${different - accepted} different`] : []),
    ...(accepted > 0 ? [`${accepted} accepted`] : []),
    ...(broken > 0 ? [`${broken} cannot be replayed`] : []),
  ].join(', ');
}
