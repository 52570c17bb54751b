const MAX_NAME = 64;

/** Names in the order of how close they are to what was written, the closest first; equally close ones as they were. */
export function byNearness(written: string, names: readonly string[]): readonly string[] {
  return names
    .map((name) => ({ name, distance: distance(plain(written), plain(name)) }))
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
}

function plain(name: string): string {
  return name.slice(0, MAX_NAME).toLowerCase();
}

/** Letters to insert, leave out or change until `a` is `b`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const changed = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
