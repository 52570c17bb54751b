import { encodeWav } from '../../audio/wav.ts';
import { pause, systemClock } from '../../clock.ts';
import { exitCodeOf, type ReplayReport, reportOf } from '../../replay/compare/report.ts';
import { type CheckedCall, checkCall, tellChecked } from '../../testing/check-call.ts';
import type { Terminal } from '../command.ts';
import { LiveView } from '../live-view.ts';
import type { ReplayJob } from './job.ts';
import { stereoWav, writeStereo } from './listen.ts';
import { showLine } from './show.ts';

/** Does what was asked for, one call after the other. Rejects with the reason of `stop` when it aborts. */
export async function runReplays(
  job: ReplayJob,
  terminal: Terminal,
  stop: AbortSignal,
): Promise<{ readonly report: ReplayReport; readonly status: number }> {
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
  if (listen !== undefined && checked.replayed !== undefined) {
    const { stereo, found } = checked.replayed;
    await writeStereo(
      listen,
      stereo === undefined ? stereoWav(found) : encodeWav({ ...stereo.format, channels: 2 }, stereo.bytes),
    );
  }
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
  const text = tellChecked(checked);
  if (text !== '') terminal.out(`${indented(text)}\n`);
  for (const name of new Set(replayed?.unknownTools ?? [])) {
    terminal.out(`           ${name} was called, and the recording has no result for that\n`);
  }
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
