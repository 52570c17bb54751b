import type { EndReason } from '../call-events.ts';
import type { CallFile, Line } from './format.ts';
import type { StoredCall } from './stored-call.ts';
import { type Answer, answersOf, type CutIn, cutInsOf } from './story/answers.ts';
import { hearingOf } from './story/ear.ts';
import { eventsOf, type StoryEvent } from './story/events.ts';
import { type Finding, findingsOf } from './story/findings.ts';
import { type FunctionCall, functionsOf } from './story/functions.ts';
import type { Hole, Piece, StreamHearing } from './story/hearing.ts';
import { mediaFact } from './story/messages.ts';
import { type Note, notesOf } from './story/notes.ts';
import {
  type ProviderFailure,
  type ProviderSpan,
  providerFailuresOf,
  providerSpansOf,
  type Truncation,
  truncationsOf,
} from './story/provider-spans.ts';
import { saidOf } from './story/said.ts';
import { ratesOf, trackOf } from './story/tracks.ts';
import { type Turn, turnsOf } from './story/turns.ts';
import { type Span, voiceOf } from './story/voice.ts';

/** A key that the caller pressed. */
export interface Key {
  readonly atMs: number;
  readonly key: string;
}

/** After a change of provider the caller heard the agent again. */
export interface Failover {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly why: string;
  readonly gapMs: number;
}

/**
 * What happened in a call, in words and figures for people. All times are ms since the first webhook. Made from a fixture
 * as well as from a recording, however much of it there is.
 */
export interface Story {
  readonly call: CallFile;
  /** Until the last that is known of it, or its last sound. */
  readonly lengthMs: number;
  /** Undefined: it was not told. */
  readonly end: { readonly atMs: number; readonly reason: EndReason } | undefined;
  readonly recording: { readonly complete: boolean; readonly why: string | undefined };
  readonly damage: readonly string[];
  /** The caller could first be heard. */
  readonly mediaMs: number | undefined;
  /** From then on there was nothing more to hear. */
  readonly quietMs: number;
  readonly turns: readonly Turn[];
  readonly answers: readonly Answer[];
  readonly cutIns: readonly CutIn[];
  readonly functions: readonly FunctionCall[];
  readonly keys: readonly Key[];
  readonly spans: readonly ProviderSpan[];
  readonly failures: readonly ProviderFailure[];
  readonly failovers: readonly Failover[];
  readonly truncations: readonly Truncation[];
  /** Transfers, orders from outside and the like. */
  readonly notes: readonly Note[];
  /** Within what was said in one go. */
  readonly holes: readonly Hole[];
  readonly streams: readonly StreamHearing[];
  readonly said: readonly Piece[];
  readonly callerVoice: readonly Span[];
  readonly agentVoice: readonly Span[];
  readonly events: readonly StoryEvent[];
  readonly findings: readonly Finding[];
}

/** What the two sides said and heard, on the time line of the call: mu-law at 8 kHz. */
export interface Tracks {
  readonly said: Uint8Array;
  readonly heard: Uint8Array;
  /** What was sent to the carrier and never heard, where it would have been. */
  readonly unheard: Uint8Array;
}

/** The story of a call. Never throws: what cannot be understood is left out. */
export function storyOf(stored: StoredCall): Story {
  return readStory(stored).story;
}

/** The story of a call, with the sound that it was made from. */
export function readStory(stored: StoredCall): { readonly story: Story; readonly tracks: Tracks } {
  const { lines, call } = stored;
  const rateOf = ratesOf(stored);
  const said = saidOf(lines, rateOf);
  const lastMs = lines.at(-1)?.t ?? 0;
  const streams = hearingOf(lines, rateOf, lastMs);
  const soundMs = lastOf([...said, ...streams.flatMap(({ heard }) => heard)]);
  const lengthMs = Math.max(lastMs, soundMs);
  const end = endOf(lines);
  const tracks = {
    said: trackOf(stored, said, lengthMs),
    heard: trackOf(
      stored,
      streams.flatMap(({ heard }) => heard),
      lengthMs,
    ),
    unheard: trackOf(
      stored,
      streams.flatMap(({ unheard }) => unheard),
      lengthMs,
    ),
  };
  const callerVoice = voiceOf(tracks.said);
  const agentVoice = voiceOf(tracks.heard);
  const turns = turnsOf({ lines, streams, voice: callerVoice, rateOf });
  const clears = streams.flatMap((stream) => stream.clears);
  const told = {
    call,
    lengthMs,
    end,
    recording: recordingOf(call),
    damage: stored.damage,
    mediaMs: said[0]?.atMs,
    quietMs: Math.min(soundMs, end?.atMs ?? soundMs),
    turns,
    answers: answersOf(agentVoice, callerVoice, streams, turns),
    cutIns: cutInsOf(clears, callerVoice, lines),
    functions: functionsOf(lines),
    keys: keysOf(lines),
    spans: providerSpansOf(lines, end?.atMs ?? lengthMs),
    failures: providerFailuresOf(lines),
    failovers: failoversOf(lines),
    truncations: truncationsOf(lines),
    notes: notesOf(lines),
    holes: streams.flatMap(({ holes }) => holes).filter((hole) => isWithin(hole, turns)),
    streams,
    said,
    callerVoice,
    agentVoice,
    events: eventsOf(lines),
  };
  return { story: { ...told, findings: findingsOf(told) }, tracks };
}

function isWithin({ atMs, ms }: Hole, turns: readonly Turn[]): boolean {
  return turns.some(
    ({ role, startMs, endMs }) => role === 'assistant' && startMs < atMs - 1 && endMs > atMs + ms + 1,
  );
}

function lastOf(pieces: readonly Piece[]): number {
  return pieces.reduce((last, { atMs, ms }) => Math.max(last, atMs + ms), 0);
}

function endOf(lines: readonly Line[]): Story['end'] {
  for (const line of lines) {
    if (line.on === 'call' && line.msg.type === 'ended') return { atMs: line.t, reason: line.msg.reason };
  }
  return undefined;
}

/** A call that was written by hand has no end, and lacks nothing. */
function recordingOf({ end, origin }: CallFile): Story['recording'] {
  if (end !== undefined) return { complete: end.complete, why: end.why };
  const goesOn = origin.how !== 'written';
  return { complete: !goesOn, why: goesOn ? 'it goes on, or its process has died' : undefined };
}

function failoversOf(lines: readonly Line[]): readonly Failover[] {
  return lines.flatMap((line) => {
    if (line.on !== 'call' || line.msg.type !== 'failover') return [];
    const { from, to, why, gapMs } = line.msg;
    return [{ atMs: line.t, from, to, why, gapMs }];
  });
}

/** As the bridge took them, which knows a key that came twice; without that, as the carrier told them. */
function keysOf(lines: readonly Line[]): readonly Key[] {
  const taken = lines.flatMap((line) =>
    line.on === 'call' && line.msg.type === 'digit' ? [{ atMs: line.t, key: line.msg.digit }] : [],
  );
  if (taken.length > 0) return taken;
  return lines.flatMap((line) => {
    if (line.on !== 'carrier' || line.dir !== 'in' || !('msg' in line)) return [];
    const fact = mediaFact(line.msg);
    return fact.kind === 'keys' ? [{ atMs: line.t, key: fact.keys }] : [];
  });
}
