import { basename } from 'node:path';
import type { Line } from '../recording/format.ts';
import type { StoredCall } from '../recording/stored-call.ts';
import { spreadOf } from '../recording/story/answers.ts';
import { EVENT_KINDS } from '../recording/story/events.ts';
import type { LeadPoint } from '../recording/story/hearing.ts';
import type { Story } from '../recording/story.ts';
import { plain, shortened } from './plain.ts';
import type { Peaks } from './sound.ts';

/** What the script of the page is given, but for the sound. It has no other source. */
export interface PageData {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly lengthMs: number;
  readonly peaks: Peaks;
  readonly story: unknown;
  readonly latencies: unknown;
  readonly kinds: readonly string[];
  /** `[atMs, index of its kind, dir, label, note, bad, detail]`, the last one JSON or undefined. */
  readonly events: readonly unknown[];
  /** Why there is no sound; undefined: there is. */
  readonly silent: string | undefined;
}

const MOST_NOTE = 300;
const MOST_DETAIL = 3000;
/** Beyond it, details are left out: the page says so. */
const MOST_DETAILS = 12_000_000;
const MOST_TEXT = 5000;
/** Of one turn, and of one word. */
const MOST_WORDS = 3000;
const MOST_WORD = 200;
const MOST_LEAD = 6000;

/** Everything that the page of this call shows. Texts of the call are made plain: they are data, whatever they say. */
export function pageData(
  stored: StoredCall,
  story: Story,
  peaks: Peaks,
  silent: string | undefined,
): PageData {
  return {
    ...cleaned({
      title: titleOf(stored),
      facts: factsOf(stored, story),
      story: shownStory(story),
      latencies: latenciesOf(story),
      events: eventsOf(stored.lines, story),
      silent,
    }),
    lengthMs: story.lengthMs,
    peaks,
    kinds: EVENT_KINDS,
  };
}

function titleOf({ folder, call }: StoredCall): string {
  return folder === undefined ? `${call.carrier} call` : basename(folder);
}

function factsOf({ call, damage }: StoredCall, story: Story): readonly (readonly [string, string])[] {
  const { origin, redacted } = call;
  const models = story.spans.map(({ provider, model }) =>
    model === undefined ? provider : `${provider} ${model}`,
  );
  const hidden = redacted === undefined ? [] : redactions(redacted);
  const facts: [string, string | undefined][] = [
    ['proves', call.proves],
    ['carrier', `${call.carrier}, ${call.control} style, ${call.direction}`],
    ['agent', call.agent.name],
    ['providers', (models.length > 0 ? models : call.providers.map(({ name }) => name)).join(' → ')],
    ['began', new Date(call.epochMs).toISOString()],
    ['ended', story.end?.reason],
    ['origin', [origin.how, origin.by].filter((part) => part !== undefined).join(', ')],
    ['command', origin.command],
    ['recording', recordingText(story)],
    ['damage', damage.join(' ')],
    ['taken out', hidden.join(', ')],
    ['lead', `the carrier is given speech up to ${call.leadMs} ms ahead`],
    [
      'settings',
      Object.entries(call.settings)
        .map((pair) => pair.join('='))
        .join(', '),
    ],
  ];
  return facts.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]]));
}

function redactions({
  numbers,
  fields,
  speech,
  words,
  keys = false,
}: NonNullable<StoredCall['call']['redacted']>): string[] {
  return [
    ...(numbers ? ['numbers'] : []),
    ...(fields.length > 0 ? [`fields ${fields.join(', ')}`] : []),
    ...(speech === 'none' ? [] : [`speech of ${speech} (noise of the same length)`]),
    ...(words ? ['words'] : []),
    ...(keys ? ['keys'] : []),
  ];
}

function recordingText({ recording }: Story): string {
  return recording.complete ? 'complete' : `not complete: ${recording.why ?? 'nobody knows why'}`;
}

/** Without what the page does not draw: an hour holds a great many frames. */
function shownStory(story: Story): unknown {
  const { findings, turns, answers, cutIns, functions, keys, spans, failures, failovers, truncations } =
    story;
  const { streams, end, mediaMs } = story;
  return {
    findings,
    turns: turns.map((turn) => ({
      ...turn,
      text: undefined,
      words: turn.words
        .slice(0, MOST_WORDS)
        .map(({ text, atMs, heard }) => [shortened(text, MOST_WORD), Math.round(atMs), heard]),
      left: Math.max(0, turn.words.length - MOST_WORDS),
    })),
    answers,
    cutIns,
    functions: functions.map((call) => ({ ...call, args: jsonOf(call.args), result: jsonOf(call.result) })),
    keys,
    notes: story.notes,
    spans,
    failures,
    failovers,
    truncations,
    marks: streams.flatMap(({ marks }) =>
      marks.map(({ name, sentMs, backMs, fate }) => [name, sentMs, backMs, fate]),
    ),
    clears: streams.flatMap(({ clears }) => clears),
    holes: story.holes,
    lead: streams.map(({ lead }) =>
      thinned(lead).map(({ atMs, leadMs }) => [Math.round(atMs), Math.round(leadMs)]),
    ),
    end,
    mediaMs,
  };
}

/** The highest of so many neighbours that enough are left. */
function thinned(lead: readonly LeadPoint[]): readonly LeadPoint[] {
  const step = Math.ceil(lead.length / MOST_LEAD);
  if (step <= 1) return lead;
  const kept: LeadPoint[] = [];
  for (let from = 0; from < lead.length; from += step) {
    const group = lead.slice(from, from + step);
    kept.push(group.reduce((most, point) => (point.leadMs > most.leadMs ? point : most)));
  }
  return kept;
}

function jsonOf(value: unknown): string {
  return value === undefined ? '' : shortened(JSON.stringify(value, null, 1), MOST_TEXT);
}

function latenciesOf({ answers, cutIns, functions }: Story): unknown {
  const asked = answers.flatMap(({ stoppedMs, sentMs, heardMs }) =>
    stoppedMs === undefined
      ? []
      : [{ sent: sentMs === undefined ? undefined : sentMs - stoppedMs, heard: heardMs - stoppedMs }],
  );
  const [first] = answers;
  return {
    firstSent: first?.sentMs,
    firstHeard: first?.heardMs,
    toSent: spreadOf(asked.flatMap(({ sent }) => sent ?? [])),
    toHeard: spreadOf(asked.map(({ heard }) => heard)),
    toClear: spreadOf(
      cutIns.flatMap(({ spokeMs, clearMs }) => (spokeMs === undefined ? [] : [clearMs - spokeMs])),
    ),
    functions: spreadOf(
      functions.flatMap(({ startMs, endMs }) => (endMs === undefined ? [] : [endMs - startMs])),
    ),
  };
}

function eventsOf(lines: readonly Line[], { events }: Story): readonly unknown[] {
  let left = MOST_DETAILS;
  return events.map(({ atMs, kind, dir, label, note, bad, line }) => {
    const detail = left > 0 ? shortened(JSON.stringify(lines[line]), MOST_DETAIL) : undefined;
    left -= detail?.length ?? 0;
    const index = EVENT_KINDS.indexOf(kind);
    return [atMs, index, dir === 'in' ? 0 : 1, label, shortened(note, MOST_NOTE), bad ? 1 : 0, detail];
  });
}

/** The same value with all its texts plain, and none longer than anybody reads. */
function cleaned<T>(value: T): T;
function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return plain(shortened(value, MOST_TEXT));
  if (Array.isArray(value)) return value.map((one) => cleaned(one));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, cleaned(one)]));
}
