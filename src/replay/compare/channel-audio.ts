import { type AudioFormat, bytesPerSample } from '../../audio/format.ts';
import { decodeG711 } from '../../audio/g711.ts';
import type { StoredWav } from '../../recording/stored-call.ts';
import type { Channel, Slice } from './channels.ts';

/** Where a sample of a channel lies. */
export interface Place {
  readonly wav: string;
  /** Counted in the WAV. */
  readonly sample: number;
  readonly slice: Slice;
}

/** The audio of a channel as one stream, however it was cut into messages. Samples are counted from its beginning. */
export class ChannelAudio {
  /** Whole samples. */
  readonly samples: number;
  /** Undefined: there is no audio. */
  readonly format: AudioFormat | undefined;
  readonly #slices: readonly Slice[];
  readonly #wavs: ReadonlyMap<string, StoredWav>;
  readonly #width: number;

  constructor(channel: Channel, wavs: ReadonlyMap<string, StoredWav>) {
    this.#slices = channel.slices;
    this.#wavs = wavs;
    const [first] = channel.slices;
    this.format = first && wavs.get(first.ref.wav)?.format;
    this.#width = this.format === undefined ? 1 : bytesPerSample(this.format);
    this.samples = Math.floor(channel.samples);
  }

  /** The bytes of these samples; fewer at the end. A view where they lie in one piece. */
  bytes(from: number, to: number): Uint8Array {
    const pieces: Uint8Array[] = [];
    const last = Math.min(Math.ceil(to), this.samples);
    let at = Math.floor(from);
    for (let i = this.#sliceAt(at); at < last && i < this.#slices.length; i++) {
      const slice = this.#slices[i];
      const end = Math.min(last, slice === undefined ? 0 : slice.from + slice.n);
      if (slice === undefined || end <= at) continue;
      pieces.push(this.#piece(slice, at, end));
      at = end;
    }
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
  }

  /** The same, decoded. */
  pcm(from: number, to: number): Int16Array {
    const bytes = this.bytes(from, to);
    const encoding = this.format?.encoding ?? 'pcm16';
    if (encoding !== 'pcm16') return decodeG711(encoding, bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => view.getInt16(2 * i, true));
  }

  /** Where a sample lies; one beyond the last lies behind it. Undefined: there is no audio. */
  place(sample: number): Place | undefined {
    const slice = this.#slices[Math.min(this.#sliceAt(sample), this.#slices.length - 1)];
    if (slice === undefined) return undefined;
    return { wav: slice.ref.wav, sample: Math.floor(slice.ref.at + sample - slice.from), slice };
  }

  ms(samples: number): number {
    return (samples * 1000) / (this.format?.rate ?? 8000);
  }

  #piece(slice: Slice, from: number, to: number): Uint8Array {
    const start = (slice.ref.at + from - slice.from) * this.#width;
    const end = start + (to - from) * this.#width;
    return (
      this.#wavs.get(slice.ref.wav)?.bytes.subarray(Math.round(start), Math.round(end)) ?? new Uint8Array()
    );
  }

  /** The first slice that ends behind a sample. */
  #sliceAt(sample: number): number {
    let [low, high] = [0, this.#slices.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const slice = this.#slices[middle];
      if (slice !== undefined && slice.from + slice.n <= sample) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
