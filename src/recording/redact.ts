import { type AudioFormat, sameFormat } from '../audio/format.ts';
import type { RecordingRedaction } from '../recording-terms.ts';
import { type AudioRef, type CallFile, type Line, type RecordingEnd, WAVS } from './format.ts';
import { SpeechNoise, StereoNoise } from './noise.ts';
import { Redactor } from './redact-redactor.ts';
import { type Delta, deltaOf, REACH } from './redact-stream.ts';
import type { CallSink } from './sink.ts';
import type { StoredCall, StoredWav } from './stored-call.ts';

/** Which WAV files hold whose speech, by their names without `-2`. */
const CALLERS: ReadonlySet<string> = new Set([WAVS.carrierIn, WAVS.providerOut]);

/** A piece that ends like a number waits at most so long for the next one, and so many lines for the line after it. */
const WAIT_MS = 1000;
const MOST_WAITING = 1000;
/** It may go on as a number. */
const OPEN_END = /\+?\d[\d\s(),./\u2010-\u2015-]*$|\+$/;
const CLOSED = /[^\d\s(),./\u2010-\u2015-]/;
const MOST_STREAMS = 200;

/** A sink that takes out what the rules name before it hands anything on to another sink. */
export function redactingSink(sink: CallSink, rules: RecordingRedaction): CallSink {
  return new RedactingSink(sink, rules);
}

/** The same call without what the rules name: every reference still holds, and nothing has another length. */
export function redactCall(stored: StoredCall, rules: RecordingRedaction): StoredCall {
  const redactor = new Redactor(rules);
  // Twice: what is found out at the end may stand at the beginning as well.
  redactLines(redactor, stored.lines);
  redactor.call(stored.call);
  const lines = redactLines(redactor, stored.lines);
  const wavs = new Map<string, StoredWav>();
  for (const [name, wav] of stored.wavs) {
    const bytes = isNoised(rules, name) ? noiseFor(name, wav.format).push(wav.bytes) : wav.bytes;
    wavs.set(name, { format: wav.format, bytes });
  }
  return { ...stored, call: redactor.call(stored.call), lines, wavs };
}

function redactLines(redactor: Redactor, lines: readonly Line[]): Line[] {
  const redacted: Line[] = [];
  const queue = new LineQueue(redactor, Number.POSITIVE_INFINITY, (line) => redacted.push(line));
  for (const line of lines) queue.push(line);
  queue.end();
  return redacted;
}

/** Whether the speech in a WAV of messages is to be noise. */
function isNoised({ speech }: RecordingRedaction, wav: string): boolean {
  if (speech === 'none') return false;
  const whose = CALLERS.has(wav.replace(/-\d+$/, '')) ? 'caller' : 'agent';
  return speech === 'both' || speech === whose;
}

/** Makes noise of the channels of call.wav whose speech is taken out. */
export function stereoNoise(format: AudioFormat, { speech }: RecordingRedaction): StereoNoise {
  const both = speech === 'both';
  return new StereoNoise(format, { left: both || speech === 'caller', right: both || speech === 'agent' });
}

function noiseFor(wav: string, format: AudioFormat): SpeechNoise {
  return new SpeechNoise(
    format,
    [...wav].reduce((sum, unit) => Math.imul(sum, 31) + unit.charCodeAt(0), 7),
  );
}

interface Waiting {
  readonly line: Line;
  readonly delta: Delta | undefined;
}

/** Lines in their order, each held until it is known whether what it ends with is a number. */
class LineQueue {
  readonly #redactor: Redactor;
  readonly #waitMs: number;
  readonly #write: (line: Line) => void;
  #waiting: Waiting[] = [];
  /** What came of each text last. */
  readonly #before = new Map<string, string>();

  constructor(redactor: Redactor, waitMs: number, write: (line: Line) => void) {
    this.#redactor = redactor;
    this.#waitMs = waitMs;
    this.#write = write;
  }

  /** Lines wait here. */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  push(line: Line): void {
    const delta = deltaOf(line);
    if ((delta === undefined || delta.kind === 'whole') && this.#waiting.length === 0) {
      this.#write(this.#redactor.line(line));
      return;
    }
    this.#waiting.push({ line, delta });
    this.#release(line.t);
  }

  end(): void {
    this.#release(Number.POSITIVE_INFINITY);
  }

  #release(now: number): void {
    let released = 0;
    for (const [at, { line, delta }] of this.#waiting.entries()) {
      const after = delta === undefined ? '' : this.#after(delta, at);
      const late =
        now - line.t > this.#waitMs ||
        this.#waiting.length - at > MOST_WAITING ||
        now === Number.POSITIVE_INFINITY;
      if (delta !== undefined && !late && this.#isOpen(delta, after)) break;
      this.#write(this.#redacted(line, delta, after));
      released += 1;
    }
    if (released > 0) this.#waiting.splice(0, released);
  }

  #redacted(line: Line, delta: Delta | undefined, after: string): Line {
    if (delta === undefined || delta.kind === 'whole') return this.#redactor.line(line);
    if (delta.kind === 'so-far') return this.#redactor.line(line, { before: '', after });
    const before = this.#before.get(delta.key) ?? '';
    this.#before.delete(delta.key);
    this.#before.set(delta.key, (before + delta.text).slice(-REACH));
    const [oldest] = this.#before.keys();
    if (this.#before.size > MOST_STREAMS && oldest !== undefined) this.#before.delete(oldest);
    return this.#redactor.line(line, { before, after });
  }

  /** More may come that makes a number of its end. */
  #isOpen({ key, text, kind }: Delta, after: string): boolean {
    if (kind === 'whole' || after.length >= REACH || CLOSED.test(after)) return false;
    const before = kind === 'piece' ? (this.#before.get(key) ?? '') : '';
    return (
      OPEN_END.test(before + text) &&
      !this.#waiting.some(({ delta }) => delta?.key === key && delta.kind === 'whole')
    );
  }

  /** What has come of the same text since. */
  #after({ key, text, kind }: Delta, at: number): string {
    if (kind === 'whole') return '';
    let after = '';
    for (let i = at + 1; i < this.#waiting.length && after.length < REACH; i++) {
      const next = this.#waiting[i]?.delta;
      if (next?.key !== key) continue;
      if (next.kind === 'piece') after += next.text;
      else if (kind === 'piece') break;
      else if (next.text.startsWith(text)) after = next.text.slice(text.length, text.length + REACH);
    }
    return after.slice(0, REACH);
  }
}

class RedactingSink implements CallSink {
  readonly #sink: CallSink;
  readonly #redactor: Redactor;
  readonly #lines: LineQueue;
  readonly #noises = new Map<string, SpeechNoise>();
  #stereo: { readonly format: AudioFormat; readonly noise: StereoNoise } | undefined;

  constructor(sink: CallSink, rules: RecordingRedaction) {
    this.#sink = sink;
    this.#redactor = new Redactor(rules);
    this.#lines = new LineQueue(this.#redactor, WAIT_MS, (line) => sink.line(line));
  }

  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined {
    if (!isNoised(this.#redactor.rules, wav)) return this.#sink.audio(wav, format, bytes);
    let noise = this.#noises.get(wav);
    if (noise === undefined) {
      noise = noiseFor(wav, format);
      this.#noises.set(wav, noise);
    }
    return this.#sink.audio(wav, format, noise.push(bytes));
  }

  line(line: Line): void {
    // It may wait here, and what it holds may change meanwhile.
    const waits = this.#lines.busy || deltaOf(line) !== undefined;
    this.#lines.push(waits ? JSON.parse(JSON.stringify(line)) : line);
  }

  stereo(format: AudioFormat, bytes: Uint8Array): void {
    const { speech } = this.#redactor.rules;
    if (speech === 'none') {
      this.#sink.stereo(format, bytes);
      return;
    }
    if (this.#stereo === undefined || !sameFormat(this.#stereo.format, format)) {
      this.#stereo = { format, noise: stereoNoise(format, this.#redactor.rules) };
    }
    this.#sink.stereo(format, this.#stereo.noise.push(bytes));
  }

  transcript(text: string): void {
    this.#sink.transcript(this.#redactor.text(text));
  }

  describe(call: CallFile): void {
    this.#sink.describe(this.#redactor.call(call));
  }

  async finish(end: RecordingEnd): Promise<void> {
    this.#lines.end();
    await this.#sink.finish(end);
  }
}
