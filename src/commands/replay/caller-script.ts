import { type AudioFormat, bytesPerSample } from '../../audio/format.ts';
import { createTranscoder } from '../../audio/transcode.ts';
import { audioRefsOf } from '../../recording/audio-refs.ts';
import type { AudioRef, Line } from '../../recording/format.ts';
import type { StoredCall, StoredWav } from '../../recording/stored-call.ts';

/** What a caller did in a call, for a simulated phone that does it again. Times in ms since the first frame of the caller. */
export interface CallerScript {
  /** What the caller said, with its pauses: PCM16 at 8 kHz. */
  readonly speech: Int16Array;
  readonly keys: readonly { readonly atMs: number; readonly key: string }[];
  /** When the caller hung up; undefined: it was not the caller who ended the call. */
  readonly hangUpMs: number | undefined;
}

const RATE = 8000;
const LINE: AudioFormat = { encoding: 'pcm16', rate: RATE };
/** Frames come with the jitter of the network; what comes later than this came after a hole. */
const HOLE_MS = 200;

/** What the caller did in a stored call. Streams that followed each other are one, with silence between them. */
export function callerScript(stored: StoredCall): CallerScript {
  const track = new Track(stored);
  let beganAt: number | undefined;
  for (const line of stored.lines) {
    if (line.on !== 'carrier' || line.dir !== 'in') continue;
    for (const ref of audioRefsOf(line)) {
      beganAt ??= line.t;
      track.add(ref, line.t - beganAt);
    }
  }
  const origin = beganAt ?? 0;
  return {
    speech: track.samples(),
    keys: stored.lines.flatMap((line) => keyOf(line, origin)),
    hangUpMs: hangUpOf(stored, origin),
  };
}

/** The caller's samples in their places. */
class Track {
  readonly #stored: StoredCall;
  readonly #whole = new Map<string, Int16Array>();
  readonly #pieces: { readonly at: number; readonly samples: Int16Array }[] = [];
  #end = 0;

  constructor(stored: StoredCall) {
    this.#stored = stored;
  }

  add(ref: AudioRef, atMs: number): void {
    const wav = this.#stored.wavs.get(ref.wav);
    if (wav === undefined) return;
    const perSample = RATE / wav.format.rate;
    const from = Math.round(ref.at * perSample);
    const samples = this.#samplesOf(ref.wav, wav).subarray(from, Math.round((ref.at + ref.n) * perSample));
    const due = (atMs * RATE) / 1000;
    const at = due - this.#end > (HOLE_MS * RATE) / 1000 ? Math.round(due) : this.#end;
    this.#pieces.push({ at, samples });
    this.#end = at + samples.length;
  }

  samples(): Int16Array {
    const all = new Int16Array(this.#end);
    for (const { at, samples } of this.#pieces) all.set(samples, at);
    return all;
  }

  #samplesOf(name: string, wav: StoredWav): Int16Array {
    const known = this.#whole.get(name);
    if (known !== undefined) return known;
    const samples = toLine(wav);
    this.#whole.set(name, samples);
    return samples;
  }
}

function toLine({ format, bytes }: StoredWav): Int16Array {
  const whole = bytes.subarray(0, bytes.length - (bytes.length % bytesPerSample(format)));
  const transcoder = createTranscoder(format, LINE);
  const head = transcoder.push(whole).slice();
  const out = Buffer.concat([head, transcoder.flush()]);
  return Int16Array.from({ length: out.length >> 1 }, (_, i) => out.readInt16LE(2 * i));
}

/** Keys as the service took them: the same for all carriers, and each once. */
function keyOf(line: Line, origin: number): CallerScript['keys'] {
  if (line.on !== 'call' || line.msg.type !== 'digit') return [];
  return [{ atMs: line.t - origin, key: line.msg.digit }];
}

function hangUpOf(stored: StoredCall, origin: number): number | undefined {
  const end = stored.lines.find((line) => line.on === 'call' && line.msg.type === 'ended');
  if (end?.on !== 'call' || end.msg.type !== 'ended' || end.msg.reason !== 'caller-hung-up') return undefined;
  return Math.max(0, end.t - origin);
}
