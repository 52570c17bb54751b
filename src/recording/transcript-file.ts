import type { AudioFormat } from '../audio/format.ts';
import type { CallEvent } from '../call-events.ts';
import type { HeardItem } from '../provider.ts';
import { cutAtWord } from '../transcript.ts';
import type { AudioRef, CallFile, Line, RecordingEnd } from './format.ts';
import type { CallSink } from './sink.ts';
import type { StoredCall } from './stored-call.ts';

type Turn = {
  readonly kind: 'turn';
  readonly role: 'user' | 'assistant';
  readonly itemId: string;
  readonly atMs: number;
  text: string;
  final: boolean;
  /** How much of it was heard, 0 to 1; undefined: nobody cut in. */
  share: number | undefined;
};
type Note = { readonly kind: 'note'; readonly atMs: number; readonly text: string };

/** A turn of which nobody says whether it was heard holds what is after it up for so long at most, in ms; */
const PATIENCE_MS = 15_000;
/** and one whose text does not come to an end. */
const LONGEST_PATIENCE_MS = 60_000;
/** Nor more than so many others. */
const MOST_OPEN = 64;
const WHO_CHARS = 7;

/**
 * What was said in a call, for people: a line for every turn, with when it began, who spoke and what was heard of it,
 * and for functions, keys, and changes of the provider. A turn is written when no more can come of it, in the order in
 * which people spoke.
 */
export class TranscriptFile {
  readonly #write: (text: string) => void;
  /** In the order of the file; those in front of it are written. */
  #open: (Turn | Note)[] = [];
  readonly #turns = new Map<string, Turn>();
  #over = false;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** One event of the call, in order. */
  event(event: CallEvent): void {
    if (this.#over) return;
    switch (event.type) {
      case 'transcript':
        this.#said(event);
        break;
      case 'bargeIn':
        this.#cut(event.heard);
        break;
      case 'ended':
        this.#ended(event);
        break;
      default:
        this.#note(event);
    }
    this.#release(event.atMs);
  }

  /** Nothing more will come. Idempotent. */
  end(): void {
    this.#over = true;
    this.#release(Number.POSITIVE_INFINITY);
  }

  #said({ role, itemId, text, final, atMs }: Extract<CallEvent, { type: 'transcript' }>): void {
    const key = `${role} ${itemId}`;
    let turn = this.#turns.get(key);
    if (turn === undefined) {
      turn = { kind: 'turn', role, itemId, atMs, text: '', final: false, share: undefined };
      this.#turns.set(key, turn);
      this.#open.push(turn);
    }
    turn.text = text;
    turn.final ||= final;
  }

  #cut(heard: readonly HeardItem[]): void {
    for (const { itemId, playedMs, receivedMs } of heard) {
      const turn = this.#turns.get(`assistant ${itemId}`);
      if (turn !== undefined) turn.share = receivedMs === 0 ? 0 : playedMs / receivedMs;
    }
  }

  /** The call knows best what was heard, and when a turn began. */
  #ended({ transcript, reason, atMs }: Extract<CallEvent, { type: 'ended' }>): void {
    for (const { role, itemId, text, heardText, interrupted } of transcript) {
      const turn = this.#turns.get(`${role} ${itemId}`);
      if (turn === undefined) continue;
      turn.text = text;
      turn.final = true;
      if (interrupted && text !== '') turn.share = (heardText ?? '').length / text.length;
    }
    this.#open.push({ kind: 'note', atMs, text: `the call ends: ${reason}` });
    this.end();
  }

  #note(event: CallEvent): void {
    const text = noteOf(event);
    if (text !== undefined) this.#open.push({ kind: 'note', atMs: event.atMs, text });
  }

  /** Writes what stands in front and is settled. */
  #release(now: number): void {
    while (this.#open[0] !== undefined && this.#isSettled(this.#open[0], now)) {
      const entry = this.#open.shift();
      if (entry === undefined) return;
      if (entry.kind === 'turn') this.#turns.delete(`${entry.role} ${entry.itemId}`);
      const line = lineOf(entry);
      if (line !== undefined) this.#write(line);
    }
  }

  #isSettled(entry: Turn | Note, now: number): boolean {
    if (this.#over || entry.kind === 'note' || this.#open.length > MOST_OPEN) return true;
    if (now - entry.atMs > PATIENCE_MS && entry.final) return true;
    if (now - entry.atMs > LONGEST_PATIENCE_MS) return true;
    if (entry.role === 'user') return entry.final;
    // Whoever answers has heard it, or has cut in.
    return (
      entry.final &&
      (entry.share !== undefined || this.#open.some((other) => isUser(other) && other.text !== ''))
    );
  }
}

function isUser(entry: Turn | Note): entry is Turn {
  return entry.kind === 'turn' && entry.role === 'user';
}

function noteOf(event: CallEvent): string | undefined {
  switch (event.type) {
    case 'tool':
      return `function ${plainName(event.name)}: ${event.outcome} after ${Math.round(event.ms)} ms`;
    case 'digit':
      return `key ${event.digit}`;
    case 'providerReady':
      return event.why === 'start' ? `${event.provider} answers` : `${event.provider} goes on (${event.why})`;
    case 'providerFailed':
      return `${event.provider} failed: ${event.code}`;
    case 'transfer':
      return `transfer ${event.status}${event.outcome === undefined ? '' : `: ${event.outcome}`}`;
    case 'machine':
      return `answered by: ${event.result}`;
    case 'recording':
      return 'the carrier has recorded';
    case 'started':
      return `the call begins: ${event.carrier}, agent ${plainName(event.agent)}`;
    default:
      return undefined;
  }
}

function lineOf(entry: Turn | Note): string | undefined {
  const time = clockTime(entry.atMs);
  if (entry.kind === 'note') return `${time}  ${'-'.padEnd(WHO_CHARS)} ${entry.text}\n`;
  const { role, text, share, final } = entry;
  if (text.trim() === '') return undefined;
  const who = (role === 'user' ? 'caller' : 'agent').padEnd(WHO_CHARS);
  if (share === undefined || share >= 1)
    return `${time}  ${who} ${oneLine(text)}${final ? '' : ' [not finished]'}\n`;
  const heard = oneLine(cutAtWord(text, share));
  return `${time}  ${who} ${heard === '' ? '' : `${heard} `}[cut off]\n`;
}

/** What is said is one line, whatever is in it: nobody can make a line of their own by saying one. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has no place in a line.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
}

function plainName(name: string): string {
  return oneLine(name).slice(0, 100);
}

/** `01:02.345`; with hours where there are some. */
function clockTime(atMs: number): string {
  const ms = Math.max(0, Math.round(atMs));
  const hours = Math.floor(ms / 3_600_000);
  const minutes = two(Math.floor(ms / 60_000) % 60);
  const seconds = `${two(Math.floor(ms / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}`;
  return hours > 0 ? `${hours}:${minutes}:${seconds}` : `${minutes}:${seconds}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** transcript.txt of a stored call, from its lines: as it is written while the call is recorded. */
export function transcriptOf(stored: StoredCall): string {
  let text = '';
  const file = new TranscriptFile((line) => {
    text += line;
  });
  for (const line of stored.lines) if (line.on === 'call') file.event(line.msg);
  file.end();
  return text;
}

/** A sink that makes transcript.txt of the lines that it hands on; what was redacted before is redacted in it. */
export function transcribingSink(sink: CallSink): CallSink {
  return new TranscribingSink(sink);
}

class TranscribingSink implements CallSink {
  readonly #sink: CallSink;
  readonly #file: TranscriptFile;

  constructor(sink: CallSink) {
    this.#sink = sink;
    this.#file = new TranscriptFile((text) => sink.transcript(text));
  }

  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined {
    return this.#sink.audio(wav, format, bytes);
  }

  line(line: Line): void {
    this.#sink.line(line);
    if (line.on === 'call') this.#file.event(line.msg);
  }

  stereo(format: AudioFormat, bytes: Uint8Array): void {
    this.#sink.stereo(format, bytes);
  }

  transcript(text: string): void {
    this.#sink.transcript(text);
  }

  describe(call: CallFile): void {
    this.#sink.describe(call);
  }

  finish(end: RecordingEnd): Promise<void> {
    this.#file.end();
    return this.#sink.finish(end);
  }
}
