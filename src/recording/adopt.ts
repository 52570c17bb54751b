import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { frameBytes, readWav, type WavFile, wavHeader } from '../audio/wav.ts';
import { isMissing } from '../file-errors.ts';
import type { Random } from '../random.ts';
import { OWNER_FILE } from './call-folder.ts';
import { parseCallFile } from './call-shape.ts';
import { systemFiles } from './files.ts';
import { parseLine } from './line-shape.ts';
import { letters, partialName } from './names.ts';
import { UNKNOWN_BYTES } from './out-file.ts';
import { type Owner, ownerText } from './owner.ts';
import { callFileText } from './write.ts';

/** What became of a recording that nobody writes any more. `empty`: it had not begun, and is removed. */
export type Adopted = 'finished' | 'empty' | 'taken';

const NEWLINE = 0x0a;
const TAIL_BYTES = 64 * 1024;
/** The longest header that is written here has 58 bytes. */
const HEADER_BYTES = 64;
const OWN_FILES = /^(?:owner\.json|events\.jsonl|transcript\.txt|\.call\.json\.\d+\.tmp|[a-z0-9-]+\.wav)$/;
const DRAFT = /^\.call\.json\.\d+\.tmp$/;

export interface Adoption {
  readonly parent: string;
  /** Of the folder as it is, and of the recording. */
  readonly partial: string;
  readonly name: string;
  readonly own: Owner;
  readonly epochMs: number;
  readonly random: Random;
}

/**
 * Finishes the recording of a process that has died: torn ends are cut off, headers are put right, and `end` says what
 * happened. `taken`: another process was faster. Rejects with the errors of the file system, or with BAD_RECORDING for a
 * folder that is no recording; it is then left as it is.
 */
export async function adopt(adoption: Adoption): Promise<Adopted> {
  const { parent, name, random, partial } = adoption;
  // Whoever renames it first has it. Links are not followed: the name has been looked at, and was a folder.
  const folder = join(parent, partialName(`${name}.${letters(random, 8)}`));
  try {
    await rename(join(parent, partial), folder);
  } catch (error) {
    if (isMissing(error)) return 'taken';
    throw error;
  }
  await claim(folder, adoption);
  const files = await readdir(folder);
  if (!files.includes('call.json')) return discard(folder, files);
  await finish(folder, files);
  await rm(join(folder, OWNER_FILE), { force: true });
  await systemFiles.syncFolder(folder);
  if (await systemFiles.exists(join(parent, name))) throw new Error('there is a recording of this name');
  await rename(folder, join(parent, name));
  await systemFiles.syncFolder(parent);
  return 'finished';
}

/** Should this process die as well, the next one sees that. */
async function claim(folder: string, { own, epochMs }: Adoption): Promise<void> {
  const path = join(folder, OWNER_FILE);
  await rm(path, { force: true });
  await writeFile(path, ownerText(own), { flag: 'wx', mode: 0o600 });
  await utimes(path, epochMs / 1000, epochMs / 1000);
}

/** Its process died before it had written what the call is. */
async function discard(folder: string, files: readonly string[]): Promise<Adopted> {
  if (!files.every((file) => OWN_FILES.test(file))) throw new Error('a partial recording holds other files');
  await rm(folder, { recursive: true, force: true });
  return 'empty';
}

async function finish(folder: string, files: readonly string[]): Promise<void> {
  const call = parseCallFile(await readOwn(join(folder, 'call.json')));
  const t = files.includes('events.jsonl') ? await cutEvents(join(folder, 'events.jsonl')) : 0;
  for (const file of files) if (file.endsWith('.wav')) await finishWav(join(folder, file));
  for (const file of files) if (DRAFT.test(file)) await unlink(join(folder, file));
  if (!files.includes('events.jsonl'))
    await writeFile(join(folder, 'events.jsonl'), '', { flag: 'wx', mode: 0o600 });
  // It may have got its end and not its name.
  const end = call.end ?? { t, complete: false, why: 'process-died' };
  const draft = join(folder, '.call.json.0.tmp');
  await writeFile(draft, callFileText({ ...call, end }), { flag: 'wx', mode: 0o600, flush: true });
  await rename(draft, join(folder, 'call.json'));
}

/** Opens a file and no link. */
function openOwn(path: string, flags: number): Promise<FileHandle> {
  return open(path, flags | constants.O_NOFOLLOW);
}

async function readOwn(path: string): Promise<string> {
  const file = await openOwn(path, constants.O_RDONLY);
  return file.readFile('utf8').finally(() => file.close());
}

/** Cuts off a torn last line; gives the time of the last one that is whole, 0 if there is none. */
async function cutEvents(path: string): Promise<number> {
  const file = await openOwn(path, constants.O_RDWR);
  try {
    const { size } = await file.stat();
    const end = await lineEndBefore(file, size);
    await file.truncate(end);
    await file.datasync();
    if (end === 0) return 0;
    const start = await lineEndBefore(file, end - 1);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    return timeOf(buffer.subarray(0, bytesRead).toString('utf8'));
  } finally {
    await file.close();
  }
}

function timeOf(line: string): number {
  try {
    const { t } = parseLine(line);
    return t;
  } catch {
    return 0;
  }
}

/** The place behind the last end of a line before `before`; 0 if there is none. */
async function lineEndBefore(file: FileHandle, before: number): Promise<number> {
  const buffer = Buffer.alloc(TAIL_BYTES);
  for (let end = before; end > 0; ) {
    const start = Math.max(0, end - TAIL_BYTES);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (newline !== -1) return start + newline + 1;
    end = start;
  }
  return 0;
}

/** Writes the header of a WAV that was cut off. One that has not even got a header is removed. */
async function finishWav(path: string): Promise<void> {
  const file = await openOwn(path, constants.O_RDWR);
  try {
    const { size } = await file.stat();
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    const header = headerOf(buffer.subarray(0, bytesRead));
    if (header !== undefined) await putHeader(file, header, size);
    else if (size < HEADER_BYTES) await unlink(path);
  } finally {
    await file.close();
  }
}

/** Undefined: it is not whole. */
function headerOf(bytes: Uint8Array): WavFile | undefined {
  try {
    return readWav(bytes);
  } catch {
    return undefined;
  }
}

async function putHeader(file: FileHandle, wav: WavFile, size: number): Promise<void> {
  const start = wavHeader(wav, 0).length;
  const old = wavHeader(wav, UNKNOWN_BYTES);
  const { buffer } = await file.read(Buffer.alloc(start), 0, start, 0);
  // Any other header was finished.
  if (!buffer.equals(old)) return;
  const width = frameBytes(wav);
  const audio = Math.ceil(Math.max(0, size - start) / width) * width;
  // Longer by zeros, to whole frames and then to an even number of bytes.
  await file.truncate(start + audio + (audio % 2));
  await file.write(wavHeader(wav, audio), 0, start, 0);
  await file.datasync();
}
