import type { AudioRef, Line } from './format.ts';
import { parseLine } from './line-shape.ts';
import { badRecording } from './shape.ts';

/** events.jsonl as it was found. */
export interface FoundLines {
  readonly lines: readonly Line[];
  /** Undefined: every line is whole. */
  readonly damage: string | undefined;
}

const NEWLINE = 0x0a;
/** No call lasts longer than a day; a replay goes through all of its time. */
const LONGEST_MS = 2 * 86_400_000;

/**
 * The lines of events.jsonl. A last line without its end that cannot be read was being written when the process died, and
 * is left out. Throws BAD_RECORDING that names the line, for anything else that is wrong, and for a time that goes
 * backwards; `where`: the file.
 */
export function foundLines(bytes: Uint8Array, where: string): FoundLines {
  const lines: Line[] = [];
  let last = 0;
  for (let start = 0, number = 1; start < bytes.length; number += 1) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    const text = textOf(bytes, start, end);
    start = end + 1;
    const line = newline === -1 ? tornLine(text) : parseLine(text, `${where} line ${number}`);
    if (line === undefined) {
      return { lines, damage: `${where} line ${number}: torn after ${text.length} characters, left out` };
    }
    if (line.t < last) {
      throw badRecording(
        `${where} line ${number}`,
        `t: found ${line.t}, wanted ${last} or more as in the line before`,
      );
    }
    if (line.t > LONGEST_MS) {
      throw badRecording(
        `${where} line ${number}`,
        `t: found more than two days, wanted ms since the call began`,
      );
    }
    last = line.t;
    lines.push(line);
  }
  return { lines, damage: undefined };
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}

/** The last line, which nothing ends: undefined when it is not whole. */
function tornLine(text: string): Line | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return parseLine(text, 'the last line');
}

/** What is wrong with the form of a reference to a file of this many bytes for a sample; undefined: nothing. */
export function refMistake({ at, n }: AudioRef, width: 1 | 2): string | undefined {
  const whole = Number.isInteger(at * width) && Number.isInteger(n * width);
  if (whole && at >= 0 && n >= 0) return undefined;
  return `found samples ${at} to ${at + n}, wanted whole bytes from 0 on`;
}
