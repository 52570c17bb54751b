import type { CallEvent } from '../../call-events.ts';
import { cutAtWord } from '../../transcript.ts';
import type { Line } from '../format.ts';
import { type StreamHearing, stretchAt, timeAt } from './hearing.ts';
import { type ItemAudio, itemAudioOf } from './item-audio.ts';
import { type Span, spanAt } from './voice.ts';

/** A word and when it was said; `heard`: not by whom it was for, if somebody cut in before. */
export interface Word {
  readonly text: string;
  readonly atMs: number;
  readonly heard: boolean;
}

/** What one side said in one go. */
export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly itemId: string;
  /** For a turn that was cut off: what was generated. */
  readonly text: string;
  readonly words: readonly Word[];
  /** When it was heard; for a turn of which nothing was heard, when it came. */
  readonly startMs: number;
  readonly endMs: number;
  readonly interrupted: boolean;
  readonly final: boolean;
}

interface Draft {
  readonly role: 'user' | 'assistant';
  readonly itemId: string;
  atMs: number;
  text: string;
  /** Undefined: it is not known, or all of it. */
  heardText: string | undefined;
  interrupted: boolean;
  final: boolean;
}

/** What of a call turns are made from. */
export interface TurnSources {
  readonly lines: readonly Line[];
  readonly streams: readonly StreamHearing[];
  /** Where the caller spoke. */
  readonly voice: readonly Span[];
  readonly rateOf: (wav: string) => number;
}

/** The turns of a call, in the order in which they were heard. */
export function turnsOf(sources: TurnSources): readonly Turn[] {
  const drafts = draftsOf(sources.lines);
  const spoken = drafts.filter(({ role }) => role === 'assistant');
  const audio = itemAudioOf(sources.lines, spoken, sources.rateOf);
  const callers = drafts.filter(({ role }) => role === 'user');
  let heardMs = 0;
  const turns = drafts.map((draft) => {
    if (draft.role === 'assistant') return agentTurn(draft, audio.get(draft.itemId), sources.streams);
    const nextMs = callers[callers.indexOf(draft) + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const turn = callerTurn(draft, { afterMs: heardMs, nextMs }, sources.voice);
    heardMs = turn.endMs;
    return turn;
  });
  return turns.sort((a, b) => a.startMs - b.startMs);
}

/** What observers were told; the end of the call knows more than what was told as it went on. */
function draftsOf(lines: readonly Line[]): readonly Draft[] {
  const drafts = new Map<string, Draft>();
  for (const line of lines) if (line.on === 'call') learn(drafts, line.msg);
  return [...drafts.values()].filter(({ text }) => text !== '').sort((a, b) => a.atMs - b.atMs);
}

function learn(drafts: Map<string, Draft>, event: CallEvent): void {
  if (event.type === 'transcript') addText(drafts, event);
  else if (event.type === 'bargeIn') {
    for (const item of event.heard) cut(drafts.get(item.itemId), item.playedMs, item.receivedMs);
  } else if (event.type === 'ended') {
    for (const { itemId, role, atMs, text, heardText, interrupted, final } of event.transcript) {
      const soFar = heardText ?? drafts.get(itemId)?.heardText;
      drafts.set(itemId, { itemId, role, atMs, text, heardText: soFar, interrupted, final });
    }
  }
}

interface Told {
  readonly role: 'user' | 'assistant';
  readonly itemId: string;
  readonly atMs: number;
  /** All that there was of it by then. */
  readonly text: string;
  readonly final: boolean;
}

function addText(drafts: Map<string, Draft>, { role, itemId, atMs, text, final }: Told): void {
  const known = drafts.get(itemId);
  if (known === undefined) {
    drafts.set(itemId, { role, itemId, atMs, text, heardText: undefined, interrupted: false, final });
    return;
  }
  if (final || !known.final) known.text = text;
  known.final ||= final;
}

function cut(draft: Draft | undefined, playedMs: number, receivedMs: number): void {
  if (draft === undefined) return;
  draft.interrupted = true;
  draft.heardText = receivedMs === 0 ? '' : cutAtWord(draft.text, playedMs / receivedMs);
}

interface RawWord {
  readonly text: string;
  /** Characters of the text before it. */
  readonly at: number;
}

function rawWords(text: string): readonly RawWord[] {
  return [...text.matchAll(/\S+/g)].map((match) => ({ text: match[0], at: match.index }));
}

function agentTurn(draft: Draft, audio: ItemAudio | undefined, streams: readonly StreamHearing[]): Turn {
  const { role, itemId, text, interrupted, final, atMs } = draft;
  const times = audio === undefined ? [] : heardTimes(audio, streams);
  const startMs = times[0]?.startMs ?? atMs;
  const endMs = times.at(-1)?.endMs ?? startMs;
  const heardTo = interrupted ? (draft.heardText ?? '').length : text.length;
  const words = rawWords(text).map((word): Word => {
    const offset = (word.at / text.length) * (audio?.receivedMs ?? 0);
    const time = times.find((one) => offset >= one.offset && offset < one.offset + one.endMs - one.startMs);
    const heard = word.at + word.text.length <= heardTo || (!interrupted && times.length > 0);
    return { text: word.text, atMs: time === undefined ? endMs : time.startMs + offset - time.offset, heard };
  });
  return { role, itemId, text, words, startMs, endMs, interrupted, final };
}

interface HeardTime extends Span {
  readonly offset: number;
}

function heardTimes({ parts }: ItemAudio, streams: readonly StreamHearing[]): readonly HeardTime[] {
  const times: HeardTime[] = [];
  for (const { conn, position, offset, ms } of parts) {
    const stream = streams.find((one) => one.conn === conn);
    const startMs = stream === undefined ? undefined : timeAt(stream, position + 1e-3);
    if (stream === undefined || startMs === undefined) continue;
    const last = timeAt(stream, position + ms - 1e-3);
    const endMs = last ?? startMs + heardFrom(stream, position);
    times.push({ offset, startMs, endMs: Math.min(endMs, startMs + ms) });
  }
  return times;
}

/** ms that were heard from this position on. */
function heardFrom({ stretches }: StreamHearing, position: number): number {
  const stretch = stretchAt(stretches, position + 1e-3);
  return stretch === undefined ? 0 : stretch.to - position;
}

/** A provider says some time after the first sound that the caller speaks. */
const NOTICED_MS = 1000;
/** Within a turn, people think. */
const THINKING_MS = 2000;
const MS_PER_CHARACTER = 60;

/** Where a turn of the caller can lie: behind the one before it, and it has begun before the next one is noticed. */
interface Room {
  readonly afterMs: number;
  readonly nextMs: number;
}

function callerTurn(draft: Draft, room: Room, voice: readonly Span[]): Turn {
  const { role, itemId, text, interrupted, final, atMs } = draft;
  const { startMs, endMs } = spokenAt(atMs, room, voice) ?? {
    startMs: atMs,
    endMs: atMs + text.length * MS_PER_CHARACTER,
  };
  const words = rawWords(text).map((word): Word => {
    return { text: word.text, atMs: startMs + (word.at / text.length) * (endMs - startMs), heard: true };
  });
  return { role, itemId, text, words, startMs, endMs, interrupted, final };
}

function spokenAt(atMs: number, { afterMs, nextMs }: Room, voice: readonly Span[]): Span | undefined {
  const first = spanAt(voice, Math.max(afterMs, atMs - NOTICED_MS));
  if (first === undefined || first.startMs > atMs + NOTICED_MS || first.startMs >= nextMs) return undefined;
  let { endMs } = first;
  for (let next = voice.indexOf(first) + 1; next < voice.length; next += 1) {
    const span = voice[next];
    if (span === undefined || span.startMs - endMs > THINKING_MS) break;
    if (span.startMs > nextMs - NOTICED_MS) break;
    endMs = span.endMs;
  }
  // Where a noise goes on all the time, the turns share it.
  const startMs = Math.max(first.startMs, afterMs);
  return { startMs, endMs: Math.max(startMs, Math.min(endMs, nextMs)) };
}
