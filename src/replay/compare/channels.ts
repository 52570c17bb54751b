import { bytesPerSample } from '../../audio/format.ts';
import { isRecord } from '../../is-record.ts';
import { audioRefsOf, isAudioRef } from '../../recording/audio-refs.ts';
import type { AudioRef, Edge, Line } from '../../recording/format.ts';
import type { StoredCall, StoredWav } from '../../recording/stored-call.ts';
import { maskIds } from './ids.ts';
import { kindOf } from './words.ts';

/** A line that goes out and is no audio. */
export interface Unit {
  readonly line: Line;
  /** Index of the line in the call. */
  readonly at: number;
  readonly kind: string;
  /** Samples of audio of the channel that were sent before it, and how many messages with audio. */
  readonly samples: number;
  readonly slices: number;
  /** The whole line but its time. */
  readonly text: string;
  /** The same without ids and numbers. */
  readonly masked: string;
}

/** Audio of one message that goes out. Of 16-bit audio that was cut within a sample, the counts have a half. */
export interface Slice {
  readonly line: Line;
  readonly at: number;
  readonly ref: AudioRef;
  /** Samples of the channel before it. */
  readonly from: number;
  /** What is really there of `ref.n`. */
  readonly n: number;
  /** The message without its audio; the same object as the one before it as long as it is the same text. */
  readonly shell: string;
}

/** What goes out over one connection, or over an edge without connections. */
export interface Channel {
  readonly edge: Edge;
  readonly conn: number | undefined;
  readonly units: readonly Unit[];
  readonly slices: readonly Slice[];
  /** Samples of audio in all. */
  readonly samples: number;
}

/** The `out` lines of a call by edge and connection, each in its order. */
export function channelsOf(call: StoredCall): ReadonlyMap<string, Channel> {
  const open = new Map<string, OpenChannel>();
  for (const [at, line] of call.lines.entries()) {
    if (line.dir !== 'out') continue;
    const key = keyOf(line);
    let channel = open.get(key);
    if (channel === undefined) {
      channel = new OpenChannel(line);
      open.set(key, channel);
    }
    channel.add(line, at, call.wavs);
  }
  return open;
}

/** A channel without anything. */
export function emptyChannel({ edge, conn }: Channel): Channel {
  return { edge, conn, units: [], slices: [], samples: 0 };
}

function keyOf(line: Line): string {
  return 'conn' in line ? `${line.on} ${line.conn}` : line.on;
}

class OpenChannel implements Channel {
  readonly edge: Edge;
  readonly conn: number | undefined;
  readonly units: Unit[] = [];
  readonly slices: Slice[] = [];
  samples = 0;
  #shell = '';
  #message: unknown;

  constructor(line: Line) {
    this.edge = line.on;
    this.conn = 'conn' in line ? line.conn : undefined;
  }

  add(line: Line, at: number, wavs: ReadonlyMap<string, StoredWav>): void {
    const refs = audioRefsOf(line);
    if (refs.length === 0) this.#addUnit(line, at);
    for (const ref of refs) this.#addSlice(line, at, ref, wavs.get(ref.wav));
  }

  #addUnit(line: Line, at: number): void {
    const text = JSON.stringify('msg' in line ? line.msg : line.ctl) ?? '';
    const masked = maskIds(text).replace(/(?<=[:,[])-?\d+(?:\.\d+)?(?=[,\]}])/g, '0');
    const { samples } = this;
    this.units.push({ line, at, kind: kindOf(line), samples, slices: this.slices.length, text, masked });
  }

  #addSlice(line: Line, at: number, ref: AudioRef, wav: StoredWav | undefined): void {
    const message = 'msg' in line ? line.msg : undefined;
    // One text for all of a kind: an hour of speech has a hundred thousand of them.
    if (this.#shell === '' || !isSameShell(this.#message, message)) this.#shell = shellOf(message);
    this.#message = message;
    const n = Math.max(0, Math.min(ref.n, samplesIn(wav) - ref.at));
    this.slices.push({ line, at, ref, from: this.samples, n, shell: this.#shell });
    this.samples += n;
  }
}

function shellOf(message: unknown): string {
  return JSON.stringify(message, (_name, value: unknown) => (isAudioRef(value) ? 'audio' : value)) ?? '';
}

/** Whether two messages are the same but for their audio. */
function isSameShell(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (isAudioRef(a) || isAudioRef(b)) return isAudioRef(a) && isAudioRef(b);
  if (isRecord(a) && isRecord(b)) {
    const names = Object.keys(a);
    const others = Object.keys(b);
    const isSame = (name: string, i: number): boolean => name === others[i] && isSameShell(a[name], b[name]);
    return names.length === others.length && names.every(isSame);
  }
  if (!Array.isArray(a) || !Array.isArray(b)) return false;
  return a.length === b.length && a.every((value: unknown, i) => isSameShell(value, b[i]));
}

function samplesIn(wav: StoredWav | undefined): number {
  return wav === undefined ? 0 : wav.bytes.length / bytesPerSample(wav.format);
}
