import type { Line } from '../format.ts';

/** Something that happened to the call beside what was said. */
export interface Note {
  readonly atMs: number;
  readonly text: string;
  readonly bad: boolean;
}

/** Transfers, who picked up, recordings of the carrier, orders of operators. */
export function notesOf(lines: readonly Line[]): readonly Note[] {
  return lines.flatMap((line) => {
    const told = tell(line);
    return told === undefined ? [] : [{ atMs: line.t, bad: false, ...told }];
  });
}

function tell(line: Line): { readonly text: string; readonly bad?: boolean } | undefined {
  if (line.on === 'operator') return { text: `order from outside: ${line.msg.does}` };
  if (line.on !== 'call') return undefined;
  const { msg } = line;
  switch (msg.type) {
    case 'transfer':
      if (msg.status === 'started') return { text: 'transfer begins' };
      return { text: `transfer failed${msg.outcome === undefined ? '' : ` (${msg.outcome})`}`, bad: true };
    case 'machine':
      return { text: `picked up by: ${msg.result}` };
    case 'recording':
      return { text: 'recording of the carrier is there' };
    default:
      return undefined;
  }
}
