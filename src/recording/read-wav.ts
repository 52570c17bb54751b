import { type AudioFormat, bytesPerSample, RATES } from '../audio/format.ts';
import { frameBytes, readWav, type WavFile } from '../audio/wav.ts';
import { UNKNOWN_BYTES } from './out-file.ts';
import { badRecording } from './shape.ts';

/** A WAV of messages as it was found on disk. */
export interface FoundWav {
  readonly format: AudioFormat;
  /** Whole samples. */
  readonly bytes: Uint8Array;
  /** What was wrong with it, and was put right. */
  readonly damage: string | undefined;
}

/** As much audio as a recording that was cut off may lack at its end, in ms: it is given as zeros. */
const MOST_LACKING_MS = 60_000;

/**
 * The mono audio of a WAV file whose header may be behind what is in it. Throws BAD_RECORDING for what is no WAV, or one
 * of a format that no call has; `where`: the file; `isOpen`: its header is not expected to be finished.
 */
export function foundWav(bytes: Uint8Array, where: string, isOpen: boolean): FoundWav {
  const file = parsed(bytes, where);
  const format = formatOf(file, where);
  const audio = audioOf(file, bytes);
  const damage = damageOf(file, audio, isOpen && isGrowing(file, bytes));
  return { format, bytes: audio, damage: damage && `${where}: ${damage}` };
}

/** Whether the header leaves the length open: neither it nor a reader can say whether anything is missing. */
function isGrowing({ data }: WavFile, bytes: Uint8Array): boolean {
  const size = new DataView(bytes.buffer, data.byteOffset - 4, 4).getUint32(0, true);
  return size === 0 || size === UNKNOWN_BYTES;
}

function damageOf(file: WavFile, audio: Uint8Array, isGrowing: boolean): string | undefined {
  if (!file.complete) return isGrowing ? undefined : 'its header was never finished';
  const more = audio.length - file.data.length;
  return more === 0 ? undefined : `its header is behind: ${more} bytes follow`;
}

/** What the header says, or all there is when it says too little, up to a whole sample by zeros. */
function audioOf(file: WavFile, bytes: Uint8Array): Uint8Array {
  const start = file.data.byteOffset - bytes.byteOffset;
  const end = start + file.data.length;
  // The padding of an odd size and other chunks are no audio.
  const isAll =
    file.complete && (bytes.length - end < 2 || isChunk(bytes.subarray(end + (file.data.length % 2))));
  if (isAll) return file.data;
  const width = frameBytes(file);
  const lacking = (width - ((bytes.length - start) % width)) % width;
  return lacking === 0
    ? bytes.subarray(start)
    : Buffer.concat([bytes.subarray(start), Buffer.alloc(lacking)]);
}

function parsed(bytes: Uint8Array, where: string): WavFile {
  try {
    return readWav(bytes);
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : 'found no WAV, wanted one';
    throw badRecording(where, what, { cause });
  }
}

function formatOf({ encoding, rate, channels }: WavFile, where: string): AudioFormat {
  const known = RATES.find((candidate) => candidate === rate);
  if (known === undefined || channels !== 1) {
    const found = `${channels} channels at ${rate} Hz`;
    throw badRecording(where, `found ${found}, wanted one channel at ${RATES.join(', ')} Hz`);
  }
  return { encoding, rate: known };
}

/** Names of chunks are four printable characters; in G.711 and quiet PCM those are rare, in a row of LIST, cue, id3 not. */
function isChunk(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  return /^(?:LIST|cue |id3 |ID3 |JUNK|bext|iXML|PEAK|fact)$/.test(
    Buffer.from(bytes.subarray(0, 4)).toString('latin1'),
  );
}

/** A WAV of a recording that was cut off, with zeros up to this many samples; undefined: it lacks too much. */
export function filledUp(wav: FoundWav, samples: number, where: string): FoundWav | undefined {
  const width = bytesPerSample(wav.format);
  const wanted = Math.ceil(samples) * width;
  const lacking = wanted - wav.bytes.length;
  if (lacking <= 0) return wav;
  if (lacking / width > (wav.format.rate / 1000) * MOST_LACKING_MS) return undefined;
  const bytes = new Uint8Array(wanted);
  bytes.set(wav.bytes);
  return { format: wav.format, bytes, damage: `${where}: ${lacking / width} samples at its end are lost` };
}
