import type { CallEvent } from '../../call-events.ts';
import { AGENT_VOICES, HELLO } from './lexicon.ts';
import type { DrillResult, Kill } from './performance.ts';
import type { StandInSession } from './stand-ins.ts';
import type { FoundWord } from './words.ts';

/** One line of a timeline; `atMs` since the call was placed. */
export interface Line {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

const DEATHS: Readonly<Record<Kill, string>> = {
  'mid-sentence': 'killed in mid-sentence: its connection is cut',
  'while-caller-speaks': 'killed while the caller speaks: its connection is cut',
  'during-tool': 'killed while a function runs: its connection is cut',
  stall: 'stalls while the caller speaks: the connection stays, nothing comes any more',
};

/** Everything that matters of a drill, in order. */
export function timeline(result: DrillResult): readonly Line[] {
  const lines: Line[] = [...phoneLines(result), ...serviceLines(result), ...sessionLines(result)];
  const [first] = result.plan.providers;
  lines.push({ atMs: result.killedMs, who: first ?? '', what: DEATHS[result.plan.kill] });
  return lines.filter(({ atMs }) => Number.isFinite(atMs)).sort((a, b) => a.atMs - b.atMs);
}

/** As it is printed: `  7061 ms  agent     “one two three”`. */
export function print(lines: readonly Line[]): string {
  return lines
    .map(({ atMs, who, what }) => `${String(Math.round(atMs)).padStart(6)} ms  ${who.padEnd(8)}${what}\n`)
    .join('');
}

function phoneLines({ report, recordingMs, heard, said, plan }: DrillResult): Line[] {
  const lines: Line[] = [];
  const caller = report.events.find(({ type }) => type === 'caller-speaking');
  const quiet = report.events.findLast(({ type }) => type === 'caller-quiet');
  if (caller !== undefined) lines.push({ atMs: caller.atMs, who: 'caller', what: `“${said.join(' ')}”` });
  if (quiet !== undefined) lines.push({ atMs: quiet.atMs, who: 'caller', what: 'has finished' });
  for (const stretch of stretches(heard)) {
    const [first] = stretch;
    if (first === undefined) continue;
    const provider = plan.providers[AGENT_VOICES.indexOf(first.voice)] ?? '';
    const words = stretch.map(({ text }) => text).join(' ');
    lines.push({
      atMs: recordingMs + first.startMs,
      who: 'agent',
      what: `is heard: “${words}” (${provider})`,
    });
  }
  return lines;
}

/** What one provider said without another one in between; a greeting stands for itself. */
function stretches(heard: readonly FoundWord[]): readonly (readonly FoundWord[])[] {
  const found: FoundWord[][] = [];
  for (const word of heard) {
    const last = found.at(-1);
    const before = last?.at(-1);
    if (before === undefined || before.voice !== word.voice || before.text === HELLO) found.push([word]);
    else last?.push(word);
  }
  return found;
}

function serviceLines({ call }: DrillResult): Line[] {
  return call.stamped.flatMap(({ clockMs, event }) => {
    const what = told(event);
    return what === undefined ? [] : [{ atMs: clockMs - call.placedMs, who: 'service', what }];
  });
}

function told(event: CallEvent): string | undefined {
  switch (event.type) {
    case 'providerFailed':
      return `notices that ${event.provider} is gone (${event.code})`;
    case 'providerReady':
      return event.why === 'start' ? `${event.provider} is ready` : takenOver(event);
    case 'tool':
      return `${event.name} was run in ${Math.round(event.ms)} ms`;
    case 'ended':
      return `the call is over: ${event.reason}`;
    default:
      return undefined;
  }
}

function takenOver(event: Extract<CallEvent, { type: 'providerReady' }>): string {
  const { provider, connectMs, historyItems, replayedMs, resumed } = event;
  const replay = replayedMs > 0 ? `, ${Math.round(replayedMs)} ms of the caller's speech replayed` : '';
  const connected = `connected in ${Math.round(connectMs)} ms`;
  if (resumed) return `${provider} goes on with its own session: ${connected}${replay}`;
  const pieces = `${historyItems} ${historyItems === 1 ? 'piece' : 'pieces'} of the conversation told`;
  return `${provider} has taken over: ${connected}, ${pieces}${replay}`;
}

function sessionLines({ call }: DrillResult): Line[] {
  return call.sessions.slice(1).map((session: StandInSession) => ({
    atMs: session.openedMs - call.placedMs,
    who: session.provider,
    what: 'has a new connection',
  }));
}

/** The last lines: what it came to. */
export function verdict(result: DrillResult): readonly string[] {
  const { report, heard, lost, twice, skipped, said } = result;
  const numbers = heard.filter(({ text }) => text !== HELLO).length;
  const lines = [
    waited(result),
    lost.length === 0
      ? `no word was lost: all ${said.length} words of the caller reached a provider`
      : `LOST: ${lost.join(' ')} reached no provider`,
    twice.length === 0 ? `none of the ${numbers} numbers was heard twice` : `HEARD TWICE: ${twice.join(' ')}`,
  ];
  if (result.seam.length > 0) lines.push(`said once more, to be sure: ${result.seam.join(' ')}`);
  if (skipped.length > 0) {
    lines.push(
      `never heard: ${skipped.join(' ')} (the words had come when the provider died, their sound had not)`,
    );
  }
  if (report.outcome !== 'completed') lines.push(`THE CALL WAS LOST: ${report.failure ?? report.outcome}`);
  return lines;
}

function waited({ gap, plan }: DrillResult): string {
  if (gap === undefined) return 'NOBODY TOOK OVER';
  const { silentMs, theirsMs, agreedMs, addedMs } = gap;
  if (silentMs === 0)
    return 'the caller heard no silence: what had been said lasted until the new provider spoke';
  const wait = plan.kill === 'stall' ? 'for a word of the old one' : 'for the function';
  const agreed = agreedMs === 0 ? '' : `${agreedMs} ms are the wait ${wait}, `;
  return `the caller heard nothing for ${silentMs} ms: ${agreed}${theirsMs} ms are the new provider's, ${addedMs} ms are ours`;
}

/** Somebody took over, the call came to its end, and nothing was lost, said twice or run twice. */
export function held({ report, call, gap, lost, twice, toolRuns, plan }: DrillResult): boolean {
  const ended = call.events.find((event) => event.type === 'ended');
  return (
    report.outcome === 'completed' &&
    ended?.reason === 'caller-hung-up' &&
    gap !== undefined &&
    lost.length === 0 &&
    twice.length === 0 &&
    (plan.kill !== 'during-tool' || toolRuns === 1)
  );
}
