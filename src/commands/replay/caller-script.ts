import { decodeG711 } from '../../audio/g711.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { readStory } from '../../recording/story.ts';

/** What a caller did in a call, for a simulated phone that does it again. Times in ms since the caller could be heard. */
export interface CallerScript {
  /** What the caller said, with its pauses: PCM16 at 8 kHz. */
  readonly speech: Int16Array;
  readonly keys: readonly { readonly atMs: number; readonly key: string }[];
  /** When the caller hung up; undefined: it was not the caller who ended the call. */
  readonly hangUpMs: number | undefined;
}

const PER_MS = 8;

/** What the caller did in a stored call. Streams that followed each other are one, with silence between them. */
export function callerScript(stored: StoredCall): CallerScript {
  const { story, tracks } = readStory(stored);
  const { mediaMs = 0, keys, end, said } = story;
  const last = said.at(-1);
  const endMs = last === undefined ? mediaMs : last.atMs + last.ms;
  const codes = tracks.said.subarray(Math.round(mediaMs * PER_MS), Math.round(endMs * PER_MS));
  return {
    speech: decodeG711('mulaw', codes),
    keys: keys.map(({ atMs, key }) => ({ atMs: Math.max(0, atMs - mediaMs), key })),
    hangUpMs: end?.reason === 'caller-hung-up' ? Math.max(0, end.atMs - mediaMs) : undefined,
  };
}
