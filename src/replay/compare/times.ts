import type { CallEvent } from '../../call-events.ts';
import { isRecord } from '../../is-record.ts';
import type { Line } from '../../recording/format.ts';

type TimesOf<Kind extends string> = Readonly<Record<Kind, readonly string[]>>;

/** Fields of what observers are told that are times, or computed from times. `*` is any place in a list. */
const OF_EVENTS: TimesOf<CallEvent['type']> = {
  started: ['atMs'],
  providerReady: ['atMs', 'connectMs', 'replayedMs'],
  providerFailed: ['atMs', 'ms'],
  failover: ['atMs', 'gapMs', 'connectMs', 'answerMs', 'addedMs'],
  usage: ['atMs'],
  mediaStarted: ['atMs'],
  firstAudio: ['atMs'],
  transcript: ['atMs'],
  bargeIn: ['atMs', 'heard.*.playedMs', 'heard.*.receivedMs'],
  turn: ['atMs', 'speechEndMs', 'commitMs', 'firstDeltaMs', 'firstFrameMs', 'firstMarkMs'],
  tool: ['atMs', 'ms'],
  digit: ['atMs'],
  transfer: ['atMs'],
  machine: ['atMs'],
  recording: ['atMs'],
  ended: ['atMs', 'transcript.*.atMs'],
};

/** Of messages to providers, by their type. */
const OF_MESSAGES: TimesOf<string> = {
  'conversation.item.truncate': ['audio_end_ms'],
};

/** Of what a provider's session is told, by the name of the method. */
const OF_CALLS: TimesOf<string> = {
  interrupt: ['args.*.*.playedMs', 'args.*.*.receivedMs'],
};

const NONE: readonly string[] = [];

function timesOf(line: Line): readonly string[] {
  if (!('msg' in line) || !isRecord(line.msg)) return NONE;
  if (line.on === 'call') return OF_EVENTS[line.msg.type] ?? NONE;
  if (line.on !== 'provider') return NONE;
  const { type, call } = line.msg;
  if (typeof type === 'string') return own(OF_MESSAGES, type);
  return typeof call === 'string' ? own(OF_CALLS, call) : NONE;
}

function own(table: TimesOf<string>, name: string): readonly string[] {
  return Object.hasOwn(table, name) ? (table[name] ?? NONE) : NONE;
}

/**
 * Whether a field of a line is a time, and so has a tolerance.
 * @param path names and places in lists on the way to it, from `msg` on, without `msg`
 */
export function isTime(line: Line, path: readonly (string | number)[]): boolean {
  const times = timesOf(line);
  if (times.length === 0) return false;
  const name = path.map((step) => (typeof step === 'number' ? '*' : step)).join('.');
  return times.includes(name);
}
