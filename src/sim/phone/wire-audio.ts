import { type AudioFormat, MULAW_8K } from '../../audio/format.ts';
import { createTranscoder, type Transcoder } from '../../audio/transcode.ts';
import { FRAME_BYTES } from './playout.ts';

/**
 * Audio as it stands in media messages, before base64. G.722 is only announced: what is sent is no speech, and what
 * comes is heard as silence of the right length.
 */
export type WireFormat =
  | { readonly encoding: 'mulaw' | 'alaw'; readonly rate: 8000 }
  | {
      readonly encoding: 'l16';
      readonly rate: 8000 | 16000 | 24000;
      readonly byteOrder: 'little' | 'big';
    }
  | { readonly encoding: 'g722'; readonly rate: 8000 };

/** What all carriers have: mu-law at 8 kHz. */
export const WIRE_MULAW: WireFormat = Object.freeze({ encoding: 'mulaw', rate: 8000 });

/** From 20 ms of mu-law to the payload of a media message. */
export interface WireEncoder {
  /** `frame` has 160 bytes; it is not looked at when the caller is silent. */
  payload(frame: Buffer, speaking: boolean): string;
}

/** From the bytes of a media message to mu-law. */
export interface WireDecoder {
  /** Bytes of one sample: a message must hold whole ones. */
  readonly sampleBytes: 1 | 2;
  /** What the first `length` bytes of `bytes`, which may be changed, are in mu-law; valid until the next call. */
  push(bytes: Buffer, length: number): Uint8Array;
  /** The bridge has cleared: what comes next has nothing to do with what was. */
  reset(): void;
}

const SILENT_FRAME = new Uint8Array(FRAME_BYTES).fill(0xff);
const SILENT_PAYLOAD = Buffer.from(SILENT_FRAME).toString('base64');
/** G.722 takes 64 kbit/s as G.711 does, so its length says nothing. These bytes are not speech. */
const G722_PAYLOAD = Buffer.alloc(FRAME_BYTES, 0xda).toString('base64');

/** The caller's voice for one stream. */
export function createWireEncoder(format: WireFormat): WireEncoder {
  if (format.encoding === 'mulaw') return { payload: mulawPayload };
  if (format.encoding === 'g722') return { payload: () => G722_PAYLOAD };
  const transcoder = createTranscoder(MULAW_8K, audioFormat(format));
  const isBig = format.encoding === 'l16' && format.byteOrder === 'big';
  return {
    payload: (frame, speaking) => {
      // Silence goes through as well: a resampler still holds the end of the last word.
      const bytes = view(transcoder.push(speaking ? frame : SILENT_FRAME));
      return (isBig ? bytes.swap16() : bytes).toString('base64');
    },
  };
}

function mulawPayload(frame: Buffer, speaking: boolean): string {
  return speaking ? frame.toString('base64') : SILENT_PAYLOAD;
}

/** The agent's voice for one stream; undefined when it comes in mu-law and needs nothing. */
export function createWireDecoder(format: WireFormat): WireDecoder | undefined {
  if (format.encoding === 'mulaw') return undefined;
  if (format.encoding === 'g722') return new SilentDecoder();
  const isBig = format.encoding === 'l16' && format.byteOrder === 'big';
  const transcoder = createTranscoder(audioFormat(format), MULAW_8K);
  return new TranscodingDecoder(transcoder, format.encoding === 'l16' ? 2 : 1, isBig);
}

class TranscodingDecoder implements WireDecoder {
  readonly sampleBytes: 1 | 2;
  readonly #transcoder: Transcoder;
  readonly #isBig: boolean;

  constructor(transcoder: Transcoder, sampleBytes: 1 | 2, isBig: boolean) {
    this.#transcoder = transcoder;
    this.sampleBytes = sampleBytes;
    this.#isBig = isBig;
  }

  push(bytes: Buffer, length: number): Uint8Array {
    const whole = bytes.subarray(0, length - (length % this.sampleBytes));
    if (this.#isBig) whole.swap16();
    return this.#transcoder.push(whole);
  }

  reset(): void {
    this.#transcoder.reset();
  }
}

class SilentDecoder implements WireDecoder {
  readonly sampleBytes = 1;
  #silence = SILENT_FRAME;

  push(_bytes: Buffer, length: number): Uint8Array {
    if (length > this.#silence.length) this.#silence = new Uint8Array(length * 2).fill(0xff);
    return this.#silence.subarray(0, length);
  }

  reset(): void {}
}

function audioFormat(format: Exclude<WireFormat, { readonly encoding: 'g722' }>): AudioFormat {
  return format.encoding === 'l16' ? { encoding: 'pcm16', rate: format.rate } : format;
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
