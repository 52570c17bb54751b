import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallReport, SimulatedCall } from '../sim/phone.ts';
import type { TranscriptEntry } from '../transcript.ts';
import type { LiveView } from './live-view.ts';

/** One thing that the caller does. */
export type Step =
  | {
      readonly do: 'speak';
      readonly what: string;
      readonly wav: Uint8Array;
      /** Cuts in when the agent has spoken for so long, instead of letting it finish. */
      readonly cutInAfterMs?: number;
    }
  | { readonly do: 'press'; readonly keys: string };

/** The agent is taken to have finished when it has been quiet for this long. */
const QUIET_MS = 900;
/** An agent that has not begun to speak by then waits for the caller. */
const PATIENCE_MS = 4000;
const STEP_LIMIT_MS = 60_000;

/**
 * Holds a conversation: lets the agent finish before each step (or cuts in) and after the last one, then hangs up. Ends
 * early when the agent hangs up.
 */
export async function converse(
  call: SimulatedCall,
  steps: readonly Step[],
  view: LiveView,
  stop: AbortSignal,
): Promise<CallReport> {
  const stopped = new Promise<false>((resolve) =>
    stop.addEventListener('abort', () => resolve(false), { once: true }),
  );
  const watch = watchEvents(call, view);
  const talk = async (): Promise<void> => {
    await call.streaming;
    for (const step of steps) {
      if (!(await turnComes(call, step))) return;
      await take(call, step, view);
    }
    await agentFinishes(call);
  };
  // A call that is over, or that never came up, has its reasons in the report.
  await Promise.race([talk().catch(() => undefined), stopped, call.ended]);
  const report = await call.hangUp();
  watch.close();
  return report;
}

/** False: the call is over. */
async function turnComes(call: SimulatedCall, step: Step): Promise<boolean> {
  const cutInAfterMs = step.do === 'speak' ? step.cutInAfterMs : undefined;
  if (cutInAfterMs === undefined) return agentFinishes(call);
  if (!(await call.untilHeard(20))) return false;
  await pause(cutInAfterMs);
  return !call.isOver;
}

async function take(call: SimulatedCall, step: Step, view: LiveView): Promise<void> {
  if (step.do === 'press') return press(call, step.keys);
  if (call.isOver) return;
  view.line('caller', `says ${step.what}`);
  await call.speak(step.wav);
}

/** Presses keys and waits for the agent to take them up: unlike speech, a key leaves no pause to wait for. */
async function press(call: SimulatedCall, keys: string): Promise<void> {
  const before = call.events.length;
  await call.pressKeys(keys);
  const answer = call.next('agent-speaking', (event) => call.events.indexOf(event) >= before, PATIENCE_MS);
  await answer.catch(() => undefined);
}

/** Waits for the agent to say its piece; for one that says nothing, not for ever. False: the call is over. */
async function agentFinishes(call: SimulatedCall): Promise<boolean> {
  const over = call.ended.then(() => 'over' as const);
  const done = call.untilQuiet(QUIET_MS).then(() => 'done' as const);
  const begun = call.untilHeard(20).then(() => 'speaking' as const);
  let state = await Promise.race([over, done, begun, pause(PATIENCE_MS)]);
  if (state === 'speaking') state = await Promise.race([over, done, pause(STEP_LIMIT_MS)]);
  return state !== 'over';
}

function pause(ms: number): Promise<'waited'> {
  return new Promise((resolve) => {
    // Whoever wins the race, this timer must not keep the process.
    setTimeout(() => resolve('waited'), ms).unref();
  });
}

/** Shows the phone's events as they come. */
function watchEvents(call: SimulatedCall, view: LiveView): { close(): void } {
  let shown = 0;
  const show = (): void => {
    for (; shown < call.events.length; shown++) {
      const event = call.events[shown];
      if (event !== undefined) view.phone(event);
    }
    view.progress();
  };
  const timer = setInterval(show, 100);
  return {
    close: () => {
      clearInterval(timer);
      show();
      view.close();
    },
  };
}

/** Writes what is left of a call into `folder`: three WAVs, the transcript if there is one, and a summary. */
export async function keepCall(
  folder: string,
  call: SimulatedCall,
  report: CallReport,
  transcript: readonly TranscriptEntry[] | undefined,
): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  if (report.streams.some((stream) => stream.how !== 'failed' || stream.started)) {
    await call.saveRecordings(folder);
    files.push('caller.wav', 'agent.wav', 'call.wav');
  }
  if (transcript !== undefined) {
    await writeFile(join(folder, 'transcript.txt'), transcriptText(transcript));
    files.push('transcript.txt');
  }
  const { events: _events, warnings, ...figures } = report;
  await writeFile(
    join(folder, 'report.json'),
    `${JSON.stringify({ ...figures, warnings: [...warnings] }, null, 2)}\n`,
  );
  files.push('report.json');
  return files;
}

function transcriptText(turns: readonly TranscriptEntry[]): string {
  const lines = turns.map((turn) => {
    const seconds = (turn.atMs / 1000).toFixed(1).padStart(6);
    const who = turn.role === 'user' ? 'caller' : 'agent ';
    const cut = turn.interrupted ? `   [interrupted; heard: ${turn.heardText || 'nothing'}]` : '';
    return `${seconds} s  ${who}  ${turn.text}${cut}`;
  });
  return `${lines.join('\n')}\n`;
}

/** Turn latencies and what went wrong on the line, for the end of the screen. */
export function summary(report: CallReport): string {
  // A caller who spoke over the agent may have been heard by nobody: what the agent says next is no answer then.
  const answers = report.turns.filter((turn) => !turn.cutIn);
  const latencies = answers.flatMap((turn) => (turn.latencyMs === undefined ? [] : [turn.latencyMs]));
  const turns = latencies.map((ms) => `${ms} ms`).join(', ') || 'none';
  const first =
    report.firstAgentMs === undefined ? 'never' : `${report.firstAgentMs} ms after the stream opened`;
  return [
    `outcome          ${report.outcome}${report.failure === undefined ? '' : `: ${report.failure}`}`,
    `length           ${(report.durationMs / 1000).toFixed(1)} s, ended by ${report.endedBy}`,
    `agent heard      ${first}`,
    `answer latency   ${turns} (end of the caller's speech to the agent's first sound)`,
    `holes in speech  ${report.underruns} (${report.underrunMs} ms)`,
    '',
  ].join('\n');
}
