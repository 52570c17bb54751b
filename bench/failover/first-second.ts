import { decodeG711 } from '../../src/audio/g711.ts';
import type { StagedCall } from '../../src/commands/drill/stage.ts';

/** One second at 8 kHz. */
const SECOND = 8000;
/** Correlation of what was sent with what came: filters leave more than 0.95 of it. */
const SAME = 0.9;

/** What is wrong with the first second of the caller's speech as the provider received it that answered; nothing: []. */
export function firstSecond(call: StagedCall, primary: string | undefined): readonly string[] {
  const session = call.sessions.findLast(
    ({ provider, firstAudioMs }) => provider !== primary && firstAudioMs !== undefined,
  );
  if (session === undefined) return ['no other provider answered'];
  const sent = decodeG711('mulaw', call.phone.sent);
  const from = sent.findIndex((sample) => Math.abs(sample) > 1000);
  const found = likest(sent.subarray(from, from + SECOND), session.received());
  return found >= SAME ? [] : [`the caller's first second came with a likeness of ${found.toFixed(2)}`];
}

/** Highest normalised correlation of `piece` with any place of `whole`; 1: the same. */
function likest(piece: Int16Array, whole: Int16Array): number {
  let best = 0;
  let most = 0;
  const look = (first: number, last: number, stride: number, step: number): void => {
    for (let at = Math.max(0, first); at <= last && at + piece.length <= whole.length; at += stride) {
      const found = likeness(piece, whole, at, step);
      if (found <= most) continue;
      most = found;
      best = at;
    }
  };
  look(0, whole.length, 3, 7);
  most = 0;
  look(best - 4, best + 4, 1, 1);
  return most;
}

function likeness(piece: Int16Array, whole: Int16Array, at: number, step: number): number {
  let dot = 0;
  let energy = 1;
  let other = 1;
  for (let i = 0; i < piece.length; i += step) {
    const a = piece[i] ?? 0;
    const b = whole[at + i] ?? 0;
    dot += a * b;
    energy += a * a;
    other += b * b;
  }
  return dot / Math.sqrt(energy * other);
}
