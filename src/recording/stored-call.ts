import { readdir } from 'node:fs/promises';
import { type AudioFormat, bytesPerSample } from '../audio/format.ts';
import { BridgeError } from '../errors.ts';
import { isMissing } from '../file-errors.ts';
import { audioRefsOf } from './audio-refs.ts';
import { parseCallFile } from './call-shape.ts';
import type { AudioRef, CallFile, Line } from './format.ts';
import { readOwnFile } from './read-file.ts';
import { foundLines, refMistake } from './read-lines.ts';
import { type FoundWav, filledUp, foundWav } from './read-wav.ts';
import { badRecording } from './shape.ts';
import { isWavName } from './sink.ts';
import { writeFiles } from './write.ts';

/** A call as it was stored: a recording or a fixture, whole in memory. */
export interface StoredCall {
  readonly call: CallFile;
  /** In order; `t` never goes backwards. */
  readonly lines: readonly Line[];
  /** By their names without `.wav`; `call.wav` is not among them. */
  readonly wavs: ReadonlyMap<string, StoredWav>;
  /** What was not as it should be and could be put right, as sentences: a torn last line, a WAV without its end. */
  readonly damage: readonly string[];
  /** Where it lies; undefined: nowhere yet. */
  readonly folder: string | undefined;
}

/** The audio of a WAV file: whole samples in this format. */
export interface StoredWav {
  readonly format: AudioFormat;
  readonly bytes: Uint8Array;
}

/** The audio that a message refers to, as a view. Throws BAD_RECORDING when the call does not hold it. */
export function audioOf(stored: StoredCall, ref: AudioRef): Uint8Array {
  const wav = stored.wavs.get(ref.wav);
  if (wav === undefined) throw unheld(ref, 'found no such file');
  const width = bytesPerSample(wav.format);
  const mistake = refMistake(ref, width);
  if (mistake !== undefined) throw unheld(ref, mistake);
  const end = (ref.at + ref.n) * width;
  if (end > wav.bytes.length) throw unheld(ref, `found ${wav.bytes.length / width} samples`);
  return wav.bytes.subarray(ref.at * width, end);
}

function unheld({ wav, at, n }: AudioRef, found: string): BridgeError {
  return badRecording(`${wav}.wav`, `${found}, wanted samples ${at} to ${at + n}`);
}

/**
 * Reads the folder of a recording or a fixture. What a process leaves that was killed is put right, and told by `damage`.
 * Rejects with BAD_RECORDING that names the file, the line, what was found and what is wanted.
 */
export async function readCall(folder: string): Promise<StoredCall> {
  const call = parseCallFile(decode(await readOwnFile(folder, 'call.json')));
  const { lines, damage } = foundLines(await eventsOf(folder, call), 'events.jsonl');
  const notes = damage === undefined ? [] : [damage];
  if (call.end === undefined && isCutOff(call)) {
    notes.push('call.json: there is no end, its process died or is still recording');
  }
  const wavs = await readWavs(folder, call, notes);
  settleRefs(lines, wavs, isCutOff(call));
  for (const wav of wavs.values()) if (wav.damage !== undefined) notes.push(wav.damage);
  const audio = new Map([...wavs].map(([name, { format, bytes }]) => [name, { format, bytes }]));
  return { call, lines, wavs: audio, damage: notes, folder };
}

/** The shortest header of a WAV. */
const WAV_HEADER_BYTES = 44;

/** Whether the process may have died in the middle: only then something may be missing. */
function isCutOff({ end, origin }: CallFile): boolean {
  return end === undefined ? origin.how !== 'written' : !end.complete;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A process may die before it has a line to write. */
async function eventsOf(folder: string, call: CallFile): Promise<Uint8Array> {
  try {
    return await readOwnFile(folder, 'events.jsonl');
  } catch (error) {
    const cause = error instanceof BridgeError ? error.cause : undefined;
    if (isMissing(cause) && isCutOff(call)) return new Uint8Array();
    throw error;
  }
}

async function readWavs(folder: string, call: CallFile, notes: string[]): Promise<Map<string, FoundWav>> {
  const mayLack = isCutOff(call);
  const isOpen = mayLack && call.end === undefined;
  const wavs = new Map<string, FoundWav>();
  for (const file of (await readdir(folder)).sort()) {
    const name = file.endsWith('.wav') ? file.slice(0, -4) : '';
    if (!isWavName(name)) continue;
    const bytes = await readOwnFile(folder, file);
    // Just made when the process died: no line can mean it.
    if (mayLack && bytes.length < WAV_HEADER_BYTES) notes.push(`${file}: it has no header, left out`);
    else wavs.set(name, foundWav(bytes, file, isOpen));
  }
  return wavs;
}

/** Every reference has its audio afterwards. Throws BAD_RECORDING for the first one that has not. */
function settleRefs(lines: readonly Line[], wavs: Map<string, FoundWav>, mayLack: boolean): void {
  const found = new Map(wavs);
  for (const [index, line] of lines.entries()) {
    for (const ref of audioRefsOf(line)) {
      const filled = settledRef(ref, found, mayLack, `events.jsonl line ${index + 1}`);
      const reach = wavs.get(ref.wav)?.bytes.length ?? 0;
      if (filled !== undefined && filled.bytes.length > reach) wavs.set(ref.wav, filled);
    }
  }
}

/** The WAV with all that this reference needs; undefined: it has that. */
function settledRef(
  ref: AudioRef,
  wavs: ReadonlyMap<string, FoundWav>,
  mayLack: boolean,
  where: string,
): FoundWav | undefined {
  const file = isWavName(ref.wav) ? `${ref.wav}.wav` : 'a WAV of another name';
  const wav = wavs.get(ref.wav);
  if (wav === undefined) throw badRecording(where, `found audio in ${file}, wanted a file that is there`);
  const width = bytesPerSample(wav.format);
  const mistake = refMistake(ref, width);
  if (mistake !== undefined) throw badRecording(where, `${file}: ${mistake}`);
  const end = ref.at + ref.n;
  const held = wav.bytes.length / width;
  if (end <= held) return undefined;
  const filled = mayLack ? filledUp(wav, end, file) : undefined;
  if (filled !== undefined) return filled;
  throw badRecording(where, `${file}: found ${held} samples, wanted samples ${ref.at} to ${end}`);
}

/**
 * Writes the folder of a call; one that is there keeps its other files, but no WAV of messages that this call has not.
 * The same call gives the same bytes. Every file is the old or the new one at any time. Rejects with the file system's
 * error.
 */
export async function writeCall(folder: string, call: StoredCall): Promise<void> {
  await writeFiles(folder, call);
}
