import { type AudioFormat, bytesPerSample, sameFormat } from '../audio/format.ts';
import { BridgeError } from '../errors.ts';
import { asJson } from './as-json.ts';
import type { AudioRef, CallFile, Line, RecordingEnd } from './format.ts';
import { type CallSink, isWavName } from './sink.ts';
import type { StoredCall, StoredWav } from './stored-call.ts';

/** Audio that grows. */
class Track {
  readonly format: AudioFormat;
  #bytes = new Uint8Array(16_384);
  #length = 0;

  constructor(format: AudioFormat) {
    this.format = format;
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  /** A copy, filled up to whole frames of so many bytes. */
  whole(width: number): Uint8Array {
    const whole = new Uint8Array(Math.ceil(this.#length / width) * width);
    whole.set(this.#bytes.subarray(0, this.#length));
    return whole;
  }
}

/** A recording that stays in memory, such as that of a replay. */
export class MemorySink implements CallSink {
  readonly #lines: Line[] = [];
  readonly #wavs = new Map<string, Track>();
  #stereo: Track | undefined;
  #transcript = '';
  #call: CallFile | undefined;
  #end: RecordingEnd | undefined;

  constructor(call?: CallFile) {
    this.#call = call;
  }

  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined {
    if (this.#end !== undefined || !isWavName(wav)) return undefined;
    let tape = this.#wavs.get(wav);
    if (tape === undefined) {
      tape = new Track(format);
      this.#wavs.set(wav, tape);
    }
    if (!sameFormat(tape.format, format)) return undefined;
    const width = bytesPerSample(format);
    const at = tape.length / width;
    tape.append(bytes);
    return { wav, at, n: bytes.length / width };
  }

  line(line: Line): void {
    // A copy, because what it holds may change, and because a field that is undefined is none on disk.
    if (this.#end === undefined) this.#lines.push(asJson(line) as Line);
  }

  stereo(format: AudioFormat, bytes: Uint8Array): void {
    if (this.#end !== undefined) return;
    this.#stereo ??= new Track(format);
    this.#stereo.append(bytes);
  }

  transcript(text: string): void {
    if (this.#end === undefined) this.#transcript += text;
  }

  describe(call: CallFile): void {
    if (this.#end === undefined) this.#call = call;
  }

  async finish(end: RecordingEnd): Promise<void> {
    this.#end ??= end;
  }

  /** What was recorded until now. Throws INTERNAL when the call was never described. */
  stored(): StoredCall {
    if (this.#call === undefined) throw new BridgeError('INTERNAL', 'a recording has no description');
    const wavs = new Map<string, StoredWav>();
    for (const [name, tape] of this.#wavs) {
      wavs.set(name, { format: tape.format, bytes: tape.whole(bytesPerSample(tape.format)) });
    }
    const call = { ...this.#call, end: this.#end };
    return { call, lines: [...this.#lines], wavs, damage: [], folder: undefined };
  }

  /** What went to call.wav, both channels interleaved; undefined: nothing. */
  get stereoAudio(): StoredWav | undefined {
    const tape = this.#stereo;
    if (tape === undefined) return undefined;
    return { format: tape.format, bytes: tape.whole(2 * bytesPerSample(tape.format)) };
  }

  /** What went to transcript.txt. */
  get transcriptText(): string {
    return this.#transcript;
  }
}
