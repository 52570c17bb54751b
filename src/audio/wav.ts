import { AudioError } from './audio-error.ts';
import type { Encoding } from './format.ts';
import { decodeG711, encodeG711 } from './g711.ts';

/** What a WAV header says about its audio; `rate` is any number of frames per second. */
export interface WavFormat {
  readonly encoding: Encoding;
  readonly rate: number;
  readonly channels: number;
}

/** A WAV file that was read. A frame is one sample of every channel. */
export interface WavFile extends WavFormat {
  readonly frames: number;
  /** The audio as it is in the file, channels interleaved, whole frames; a view of what was read. */
  readonly data: Uint8Array;
  /** False when the header promises other than what is there, as after a crash of the recorder. */
  readonly complete: boolean;
  /** Decodes one channel, counted from 0, to new PCM16 samples. Throws BAD_AUDIO when there is no such channel. */
  channel(index: number): Int16Array;
}

const PCM_TAG = 1;
const EXTENSIBLE_TAG = 0xfffe;
const TAGS = { pcm16: PCM_TAG, alaw: 6, mulaw: 7 } as const satisfies Record<Encoding, number>;
const OTHER_TAGS: Readonly<Record<number, string>> = {
  2: 'MS ADPCM',
  3: 'float',
  17: 'IMA ADPCM',
  85: 'MP3',
};
const UNKNOWN_SIZE = 0xffff_ffff;

function widthOf(encoding: Encoding): 1 | 2 {
  return encoding === 'pcm16' ? 2 : 1;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function textAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

interface Chunk {
  readonly id: string;
  readonly at: number;
  /** As the header says it; the file may hold less. */
  readonly size: number;
}

/** The chunk whose header begins at `at`; undefined where no header fits. */
function chunkAt(bytes: Uint8Array, at: number): Chunk | undefined {
  if (at + 8 > bytes.length) return undefined;
  return { id: textAt(bytes, at), at: at + 8, size: viewOf(bytes).getUint32(at + 4, true) };
}

/** Chunks of odd size are padded with a zero byte, which some writers leave out. */
function afterChunk(bytes: Uint8Array, chunk: Chunk): number {
  const end = chunk.at + chunk.size;
  return chunk.size % 2 === 1 && bytes[end] === 0 ? end + 1 : end;
}

/** Whether the bytes from `at` to the end are a row of chunks and nothing else. */
function onlyChunksFrom(bytes: Uint8Array, at: number): boolean {
  let next = at;
  while (next < bytes.length) {
    const chunk = chunkAt(bytes, next);
    if (chunk === undefined || chunk.at + chunk.size > bytes.length) return false;
    next = afterChunk(bytes, chunk);
  }
  return true;
}

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly honest: boolean;
}

/** A recorder that crashed leaves 0, the largest number, or more than it came to write: then the rest is audio. */
function dataExtent(bytes: Uint8Array, chunk: Chunk): Extent {
  const end = chunk.at + chunk.size;
  const unfinished = chunk.size === 0 && !onlyChunksFrom(bytes, chunk.at);
  if (unfinished || end > bytes.length) return { start: chunk.at, end: bytes.length, honest: false };
  return { start: chunk.at, end, honest: true };
}

interface Layout {
  readonly format: Extent | undefined;
  readonly data: Extent | undefined;
}

function findChunks(bytes: Uint8Array): Layout {
  let format: Extent | undefined;
  let data: Extent | undefined;
  let chunk = chunkAt(bytes, 12);
  while (chunk !== undefined && (format === undefined || data === undefined)) {
    if (chunk.id === 'fmt ') format = { start: chunk.at, end: chunk.at + chunk.size, honest: true };
    if (chunk.id === 'data') data = dataExtent(bytes, chunk);
    chunk = chunkAt(bytes, data?.honest === false ? bytes.length : afterChunk(bytes, chunk));
  }
  return { format, data };
}

function encodingOf(tag: number, bits: number): Encoding {
  if (tag === TAGS.pcm16 && bits === 16) return 'pcm16';
  if (tag === TAGS.mulaw && bits === 8) return 'mulaw';
  if (tag === TAGS.alaw && bits === 8) return 'alaw';
  const name = tag === PCM_TAG ? 'PCM' : (OTHER_TAGS[tag] ?? `format ${tag}`);
  throw new AudioError(`WAV holds ${name} with ${bits} bits, wanted 16-bit PCM, 8-bit mu-law or 8-bit A-law`);
}

function parseFormat(bytes: Uint8Array, chunk: Extent): WavFormat {
  if (chunk.end - chunk.start < 16 || chunk.end > bytes.length) {
    throw new AudioError(`WAV fmt chunk has ${chunk.end - chunk.start} bytes, wanted at least 16`);
  }
  const view = viewOf(bytes.subarray(chunk.start, chunk.end));
  const tag = view.getUint16(0, true);
  // WAVE_FORMAT_EXTENSIBLE: the real tag is at the front of the sub-format.
  const realTag = tag === EXTENSIBLE_TAG && view.byteLength >= 26 ? view.getUint16(24, true) : tag;
  const encoding = encodingOf(realTag, view.getUint16(14, true));
  const channels = view.getUint16(2, true);
  const rate = view.getUint32(4, true);
  if (channels < 1 || rate < 1) {
    throw new AudioError(`WAV has ${channels} channels at ${rate} Hz, wanted at least one of each`);
  }
  return { encoding, rate, channels };
}

function decodeChannel(file: WavFile, index: number): Int16Array {
  if (!Number.isInteger(index) || index < 0 || index >= file.channels) {
    throw new AudioError(`WAV has ${file.channels} channels, wanted number ${index} (counted from 0)`);
  }
  const { data, channels, frames } = file;
  if (file.encoding === 'pcm16') {
    const view = viewOf(data);
    const samples = new Int16Array(frames);
    for (let i = 0; i < frames; i++) samples[i] = view.getInt16((i * channels + index) * 2, true);
    return samples;
  }
  const codes = new Uint8Array(frames);
  for (let i = 0; i < frames; i++) codes[i] = data[i * channels + index]!;
  return decodeG711(file.encoding, codes);
}

/**
 * Reads a WAV file with 16-bit PCM, mu-law or A-law, of any rate and number of channels. Unknown chunks are skipped;
 * where the sizes in the header cannot be true, everything after the header of the data is taken as audio.
 * Throws BAD_AUDIO for anything that is no such file.
 */
export function readWav(bytes: Uint8Array): WavFile {
  const magic = bytes.length < 12 ? undefined : `${textAt(bytes, 0)} ${textAt(bytes, 8)}`;
  if (magic !== 'RIFF WAVE') {
    throw new AudioError(
      `file of ${bytes.length} bytes begins with ${JSON.stringify(magic ?? '')}, wanted "RIFF WAVE"`,
    );
  }
  const layout = findChunks(bytes);
  if (layout.format === undefined || layout.data === undefined) {
    throw new AudioError(`WAV has no ${layout.format === undefined ? 'fmt' : 'data'} chunk`);
  }
  const format = parseFormat(bytes, layout.format);
  const width = frameBytes(format);
  const { start, end, honest } = layout.data;
  const frames = Math.floor((end - start) / width);
  const file: WavFile = {
    ...format,
    frames,
    data: bytes.subarray(start, start + frames * width),
    complete: honest && (end - start) % width === 0,
    channel: (index) => decodeChannel(file, index),
  };
  return file;
}

/** Bytes of one frame, that is one sample of every channel. */
export function frameBytes(format: WavFormat): number {
  return format.channels * widthOf(format.encoding);
}

function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

/**
 * The header for `dataBytes` of audio, of a length that depends on the encoding only. Sizes that do not fit 32 bits are
 * given as unknown. Throws BAD_AUDIO for a format that cannot be written.
 */
export function wavHeader(format: WavFormat, dataBytes: number): Uint8Array {
  assertWritable(format);
  const { encoding, rate, channels } = format;
  // The formats other than PCM need an extension field and a `fact` chunk.
  const size = encoding === 'pcm16' ? 44 : 58;
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  const width = frameBytes(format);
  putText(bytes, 0, 'RIFF');
  view.setUint32(4, Math.min(size - 8 + dataBytes + (dataBytes % 2), UNKNOWN_SIZE), true);
  putText(bytes, 8, 'WAVEfmt ');
  view.setUint32(16, encoding === 'pcm16' ? 16 : 18, true);
  view.setUint16(20, TAGS[encoding], true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * width, true);
  view.setUint16(32, width, true);
  view.setUint16(34, 8 * widthOf(encoding), true);
  if (encoding !== 'pcm16') {
    putText(bytes, 38, 'fact');
    view.setUint32(42, 4, true);
    view.setUint32(46, Math.min(Math.floor(dataBytes / width), UNKNOWN_SIZE), true);
  }
  putText(bytes, size - 8, 'data');
  view.setUint32(size - 4, Math.min(dataBytes, UNKNOWN_SIZE), true);
  return bytes;
}

function assertWritable(format: WavFormat): void {
  const { rate, channels, encoding } = format;
  const whole = Number.isInteger(rate) && Number.isInteger(channels);
  const inRange = rate >= 1 && rate <= 1_000_000 && channels >= 1 && channels <= 255;
  if (Object.hasOwn(TAGS, encoding) && whole && inRange) return;
  throw new AudioError(
    `cannot write a WAV of ${encoding} with ${channels} channels at ${rate} Hz, wanted pcm16, mulaw or alaw, 1 to 255 channels and 1 to 1000000 Hz`,
  );
}

/** A whole WAV file around `data`, which is in the format's encoding with its channels interleaved. */
export function encodeWav(format: WavFormat, data: Uint8Array): Uint8Array {
  const header = wavHeader(format, data.length);
  const file = new Uint8Array(header.length + data.length + (data.length % 2));
  file.set(header, 0);
  file.set(data, header.length);
  return file;
}

/** PCM16 samples as new bytes of an encoding (PCM16 little-endian). */
export function samplesToBytes(samples: Int16Array, encoding: Encoding): Uint8Array {
  if (encoding !== 'pcm16') return encodeG711(encoding, samples);
  const bytes = new Uint8Array(samples.length * 2);
  const view = viewOf(bytes);
  for (let i = 0; i < samples.length; i++) view.setInt16(i * 2, samples[i]!, true);
  return bytes;
}

/** Bytes of an encoding (PCM16 little-endian; an odd last byte is dropped) as new PCM16 samples. */
export function bytesToSamples(bytes: Uint8Array, encoding: Encoding): Int16Array {
  if (encoding !== 'pcm16') return decodeG711(encoding, bytes);
  const view = viewOf(bytes);
  const samples = new Int16Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(i * 2, true);
  return samples;
}

const SILENCE = { pcm16: 0, mulaw: 0xff, alaw: 0xd5 } as const satisfies Record<Encoding, number>;

/** Two mono buffers of one encoding as new stereo bytes; the shorter one is filled up with silence. */
export function interleave(left: Uint8Array, right: Uint8Array, encoding: Encoding): Uint8Array {
  const width = widthOf(encoding);
  const frames = Math.ceil(Math.max(left.length, right.length) / width);
  const stereo = new Uint8Array(frames * 2 * width).fill(SILENCE[encoding]);
  placeChannel(left, stereo, 0, width);
  placeChannel(right, stereo, width, width);
  return stereo;
}

function placeChannel(mono: Uint8Array, stereo: Uint8Array, first: number, width: number): void {
  for (let at = 0, to = first; at < mono.length; at += width, to += 2 * width) {
    stereo[to] = mono[at]!;
    if (width === 2) stereo[to + 1] = mono[at + 1] ?? 0;
  }
}
