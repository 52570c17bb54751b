import { decodeG711 } from '../../audio/g711.ts';
import { agentPresent } from './lexicon.ts';
import type { StagedCall } from './stage.ts';
import type { StandInSession } from './stand-ins.ts';

/** What the caller's ear says of one change of provider; in ms. */
export interface Gap {
  /** Nothing of the agent was heard, though the agent owed something. */
  readonly silentMs: number;
  /** Of this, the new providers' own time: to connect, to find the end of the caller's turn, to begin to speak. */
  readonly theirsMs: number;
  /** Of this, time that passed by agreement: until a provider that keeps still is given up, or a function has run. */
  readonly agreedMs: number;
  /** The rest. */
  readonly addedMs: number;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

const TICK_MS = 20;
/** Silence after which the simulated providers take the caller's turn as ended; see the stage. */
export const TURN_SILENCE_MS = 500;

/** When what the recording begins with was heard, in ms since the call was placed; undefined: the agent never was. */
export function recordingOffset({ phone }: StagedCall, firstAgentMs: number | undefined): number | undefined {
  const first = phone.events.find(({ type }) => type === 'agent-speaking');
  return first === undefined || firstAgentMs === undefined ? undefined : first.atMs - firstAgentMs;
}

/**
 * How long the caller heard nothing after the provider died, from the recording of what was heard and from the simulated
 * providers' own logs; all that is the service's word is when it began to dial. `diedMs` counts since the call was placed; `excusedUntilMs`:
 * time that passes by agreement, such as that for noticing a provider that keeps still. Undefined: nobody took over.
 */
export function gapOf(
  call: StagedCall,
  firstAgentMs: number | undefined,
  diedMs: number,
  excusedUntilMs = 0,
): Gap | undefined {
  const offset = recordingOffset(call, firstAgentMs);
  const later = call.sessions.filter(({ openedMs }) => openedMs - call.placedMs > diedMs);
  const speaking = later.find(({ firstAudioMs }) => firstAudioMs !== undefined);
  if (offset === undefined || speaking?.firstAudioMs === undefined) return undefined;
  const spokeMs = speaking.firstAudioMs - call.placedMs;
  const owedMs = Math.max(diedMs, callerEnd(call, spokeMs));
  const spans = [...later.flatMap((session) => ownTimes(session, call.placedMs)), ...dialling(call)];
  const present = agentPresent(decodeG711('mulaw', call.phone.heard));
  let [silent, agreed, added] = [0, 0, 0];
  for (let frame = 0; frame < present.length; frame++) {
    const atMs = offset + frame * TICK_MS;
    if (atMs < owedMs) continue;
    if (present[frame] === 1 && atMs >= spokeMs) break;
    if (present[frame] === 1) continue;
    silent += TICK_MS;
    if (spans.some(({ from, to }) => atMs >= from && atMs < to)) continue;
    if (atMs < excusedUntilMs) agreed += TICK_MS;
    else added += TICK_MS;
  }
  return { silentMs: silent, agreedMs: agreed, addedMs: added, theirsMs: silent - agreed - added };
}

/** The other end does not see what a client does before it connects, such as to load what it is made of. */
function dialling({ stamped, placedMs }: StagedCall): readonly Span[] {
  return stamped.flatMap(({ clockMs, event }) => {
    if (event.type !== 'providerReady') return [];
    const to = clockMs - placedMs;
    return [{ from: to - event.connectMs, to }];
  });
}

/** When the caller last stopped speaking before a time; 0: never. */
function callerEnd({ phone }: StagedCall, beforeMs: number): number {
  return phone.eventsOf('caller-quiet').findLast(({ atMs }) => atMs <= beforeMs)?.atMs ?? 0;
}

function ownTimes(
  { openedMs, readyMs, asked, firstAudioMs }: StandInSession,
  placedMs: number,
): readonly Span[] {
  const spans: Span[] = [];
  if (readyMs !== undefined) spans.push({ from: openedMs - placedMs, to: readyMs - placedMs });
  const ask = asked.find(({ atMs }) => firstAudioMs === undefined || atMs <= firstAudioMs);
  if (ask !== undefined && firstAudioMs !== undefined) {
    const waited = ask.kind === 'user-turn' ? TURN_SILENCE_MS : 0;
    spans.push({ from: ask.atMs - waited - placedMs, to: firstAudioMs - placedMs });
  }
  return spans;
}
