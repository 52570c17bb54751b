/** The strongest normalised correlation of `piece` within `whole` (0..1), and where; from `from` on. */
export function find(
  piece: Int16Array,
  whole: Int16Array,
  from = 0,
): { readonly at: number; readonly likeness: number } {
  let best = { at: 0, likeness: 0 };
  const energy = piece.reduce((sum, sample) => sum + sample * sample, 0);
  for (let at = from; at + piece.length <= whole.length; at++) {
    let dot = 0;
    let other = 1;
    for (let i = 0; i < piece.length; i++) {
      const sample = whole[at + i] ?? 0;
      dot += sample * (piece[i] ?? 0);
      other += sample * sample;
    }
    const likeness = dot / Math.sqrt(energy * other);
    if (likeness > best.likeness) best = { at, likeness };
  }
  return best;
}

/** A sweep from 400 Hz up: unlike a tone it fits its copy in one place only. */
export function sweep(ms: number, rate: number): Int16Array {
  return Int16Array.from({ length: (ms * rate) / 1000 }, (_, i) => {
    const t = i / rate;
    return Math.round(9000 * Math.sin(2 * Math.PI * (400 * t + (1200 * t * t) / (ms / 1000))));
  });
}

/** PCM16 bytes as samples; half a sample at the end is left out. */
export function samplesOf(bytes: Uint8Array): Int16Array {
  const copy = bytes.slice(0, bytes.length - (bytes.length % 2));
  return new Int16Array(copy.buffer, copy.byteOffset, copy.length / 2);
}
