import type { EndReason } from '../../call-events.ts';
import type { Story } from '../story.ts';

/** Something that a person who looks for what went wrong wants to know first. */
export interface Finding {
  readonly atMs: number;
  /** `bad`: the call, or a part of it, failed. `slow`: it worked, and the caller noticed. `note`: worth to know. */
  readonly level: 'bad' | 'slow' | 'note';
  readonly text: string;
}

const BAD_ENDS: ReadonlySet<EndReason> = new Set([
  'provider-failed',
  'media-lost',
  'media-never-came',
  'failed',
  'max-duration',
  'budget-spent',
]);
/** People take longer pauses than these for something broken. */
const SLOW_ANSWER_MS = 2000;
const SLOW_FIRST_MS = 3000;
const SLOW_CUT_MS = 700;
const SLOW_FUNCTION_MS = 3000;
const LONG_SILENCE_MS = 8000;
/** What happens because something else happened. */
const AT_ONCE_MS = 200;
/** More of the same kind are counted. */
const MOST_OF_A_KIND = 4;

type Told = Omit<Story, 'findings'>;

/** What stands out in a call: what failed first, then what was slow; each in order of time. */
export function findingsOf(story: Told): readonly Finding[] {
  const groups = [
    ends(story),
    providers(story),
    edges(story),
    functions(story),
    transfers(story),
    answers(story),
    cutIns(story),
    playout(story),
    silences(story),
    recording(story),
  ];
  const all = groups.flatMap(limited);
  const rank = { bad: 0, slow: 1, note: 2 };
  return all.sort((a, b) => rank[a.level] - rank[b.level] || a.atMs - b.atMs);
}

function limited(group: readonly Finding[]): readonly Finding[] {
  if (group.length <= MOST_OF_A_KIND) return group;
  const worst = [...group].sort((a, b) => (a.level === b.level ? 0 : a.level === 'bad' ? -1 : 1));
  const shown = worst.slice(0, MOST_OF_A_KIND - 1);
  const next = worst[MOST_OF_A_KIND - 1];
  if (next === undefined) return shown;
  const more = `${group.length - shown.length} more of this kind, the next: ${next.text}`;
  return [...shown, { ...next, text: more }];
}

function ends({ end, lengthMs, answers: spoken, streams }: Told): Finding[] {
  const found: Finding[] = [];
  if (end === undefined) {
    if (streams.length > 0) found.push(note(lengthMs, 'The end of the call is not in the recording.'));
  } else if (BAD_ENDS.has(end.reason)) found.push(bad(end.atMs, `The call ended with ${end.reason}.`));
  if (streams.length > 0 && spoken.length === 0) found.push(bad(0, 'The caller never heard the agent.'));
  return found;
}

function providers({ failures, spans, failovers, end }: Told): Finding[] {
  const found = failures.map(({ atMs, provider, phase, code }) => {
    const next = spans.find(({ fromMs }) => fromMs >= atMs);
    const took = next === undefined ? 'nobody took over' : `${next.provider} took over`;
    const where = phase === 'in-call' ? 'was lost in mid-call' : 'could not be reached';
    if (end !== undefined && next === undefined && atMs >= end.atMs - AT_ONCE_MS)
      return note(atMs, `Provider ${provider} ${where} (${code}) as the call ended.`);
    if (next?.why === 'renewal' && next.provider === provider)
      return note(atMs, `The session with ${provider} was over (${code}), and went on as another.`);
    return bad(atMs, `Provider ${provider} ${where} (${code}); ${took}.`);
  });
  const gaps = failovers
    .filter(({ gapMs }) => gapMs > SLOW_ANSWER_MS)
    .map(({ atMs, to, gapMs }) =>
      slow(atMs, `The caller waited ${seconds(gapMs)} in silence until ${to} spoke.`),
    );
  return [...found, ...gaps];
}

/** Refusals, errors and closes at the edges that nothing above has told of. */
function edges({ events, end }: Told): Finding[] {
  const endMs = (end?.atMs ?? Number.POSITIVE_INFINITY) - AT_ONCE_MS;
  const kinds = new Set(['webhook', 'carrier', 'rest', 'provider']);
  return events
    .filter(({ kind, bad: isBad }) => isBad && kinds.has(kind))
    .map(({ atMs, kind, label, note: more }) => {
      const text = `${kind}: ${label}${more === '' ? '' : ` (${more.slice(0, 120)})`}`;
      // Of a call that is over, a carrier knows nothing more.
      const isLate = kind === 'rest' && atMs >= endMs;
      return kind === 'provider' || isLate ? note(atMs, text) : bad(atMs, text);
    });
}

function functions({ functions: calls }: Told): Finding[] {
  return calls.flatMap(({ name, startMs, endMs, outcome, isError }) => {
    if (endMs === undefined) return [bad(startMs, `Function ${name} never answered.`)];
    if (outcome === 'cancelled') return [note(endMs, `Function ${name} was called off.`)];
    if (isError || (outcome !== undefined && outcome !== 'done'))
      return [bad(endMs, `Function ${name} failed${outcome === undefined ? '' : ` (${outcome})`}.`)];
    const ms = endMs - startMs;
    return ms > SLOW_FUNCTION_MS ? [slow(startMs, `Function ${name} took ${seconds(ms)}.`)] : [];
  });
}

function transfers({ notes }: Told): Finding[] {
  return notes.flatMap(({ atMs, text, bad: isBad }) => (isBad ? [bad(atMs, `The ${text}.`)] : []));
}

function answers({ answers: all }: Told): Finding[] {
  const [first] = all;
  const late = all.flatMap(({ stoppedMs, heardMs }) => {
    const ms = stoppedMs === undefined ? 0 : heardMs - stoppedMs;
    return ms > SLOW_ANSWER_MS ? [slow(heardMs, `The caller waited ${seconds(ms)} for an answer.`)] : [];
  });
  if (first === undefined || first.stoppedMs !== undefined || first.heardMs < SLOW_FIRST_MS) return late;
  return [
    slow(first.heardMs, `The first word was heard ${seconds(first.heardMs)} after the webhook.`),
    ...late,
  ];
}

function cutIns({ cutIns: all }: Told): Finding[] {
  return all.flatMap(({ spokeMs, clearMs }) => {
    const ms = spokeMs === undefined ? 0 : clearMs - spokeMs;
    return ms > SLOW_CUT_MS
      ? [slow(clearMs, `The agent spoke on for ${seconds(ms)} after the caller had cut in.`)]
      : [];
  });
}

function playout({ streams, holes }: Told): Finding[] {
  const lost = streams.flatMap(({ marks }) => marks.filter(({ fate }) => fate === 'lost'));
  const found: Finding[] = [];
  const [hole] = holes;
  if (hole !== undefined) {
    const longest = Math.max(...holes.map(({ ms }) => ms));
    const text = `The agent's speech stopped ${times(holes.length)} for want of audio, for at most ${seconds(longest)}.`;
    found.push(slow(hole.atMs, text));
  }
  const [mark] = lost;
  if (mark !== undefined) {
    const text = `${lost.length} of ${streams.flatMap(({ marks }) => marks).length} marks never came back.`;
    found.push(note(mark.sentMs, text));
  }
  return found;
}

/** Nobody says anything, and it is the agent's turn or nobody's. */
function silences({ callerVoice, agentVoice, quietMs: endMs, streams, mediaMs }: Told): Finding[] {
  if (streams.length === 0 || mediaMs === undefined) return [];
  const spans = [...callerVoice, ...agentVoice].sort((a, b) => a.startMs - b.startMs);
  const found: Finding[] = [];
  let quietMs = mediaMs;
  for (const span of [...spans, { startMs: endMs, endMs }]) {
    const ms = span.startMs - quietMs;
    if (ms > LONG_SILENCE_MS) found.push(note(quietMs, `Nobody spoke for ${seconds(ms)}.`));
    quietMs = Math.max(quietMs, span.endMs);
  }
  return found;
}

function recording({ recording: { complete, why }, damage, lengthMs }: Told): Finding[] {
  const found = damage.map((text) => note(lengthMs, text));
  if (!complete)
    found.push(note(lengthMs, `The recording is not complete${why === undefined ? '' : `: ${why}`}.`));
  return found;
}

function bad(atMs: number, text: string): Finding {
  return { atMs, level: 'bad', text };
}

function slow(atMs: number, text: string): Finding {
  return { atMs, level: 'slow', text };
}

function note(atMs: number, text: string): Finding {
  return { atMs, level: 'note', text };
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
