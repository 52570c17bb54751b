import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AudioFormat } from '../audio/format.ts';
import { encodeWav } from '../audio/wav.ts';
import { CALL_FIELDS } from './call-shape.ts';
import type { CallFile, Line } from './format.ts';
import { badRecording } from './shape.ts';
import { isWavName } from './sink.ts';

/** What is written of a call. */
interface Written {
  readonly call: CallFile;
  readonly lines: readonly Line[];
  readonly wavs: ReadonlyMap<string, { readonly format: AudioFormat; readonly bytes: Uint8Array }>;
}

/** A line of events.jsonl with its end; the same line gives the same text. Throws for what is no JSON. */
export function lineText(line: Line): string {
  const { t, on, dir } = line;
  const conn = 'conn' in line ? line.conn : undefined;
  const rest = 'ctl' in line ? { ctl: line.ctl } : { msg: line.msg };
  return `${JSON.stringify({ t, on, dir, conn, ...rest })}\n`;
}

/** call.json; the same call gives the same text, in whatever order its fields were put together. */
export function callFileText(call: CallFile): string {
  const found = new Map<string, unknown>(Object.entries(call));
  const names = [...CALL_FIELDS.filter((name) => found.has(name)), ...found.keys()];
  const ordered = Object.fromEntries(names.map((name) => [name, found.get(name)]));
  return `${JSON.stringify(ordered, undefined, 2)}\n`;
}

/** Writes all files of a call, call.json last: see `writeCall`. */
export async function writeFiles(folder: string, { call, lines, wavs }: Written): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // What is private stays private, and fixtures of a repository are as its other files.
  const isPrivate = ((await stat(folder)).mode & 0o077) === 0;
  const put = (name: string, data: string | Uint8Array): Promise<void> =>
    replaceFile(folder, name, data, isPrivate ? 0o600 : 0o644);
  for (const [name, { format, bytes }] of wavs) {
    if (!isWavName(name))
      throw badRecording('a WAV', 'found a name that none has, wanted one such as caller-2');
    await put(`${name}.wav`, encodeWav({ ...format, channels: 1 }, bytes));
  }
  await put('events.jsonl', lines.map(lineText).join(''));
  await put('call.json', callFileText(call));
  for (const file of await readdir(folder)) {
    const name = file.endsWith('.wav') ? file.slice(0, -4) : '';
    if (isWavName(name) && !wavs.has(name)) await rm(join(folder, file));
  }
}

/** Writes a file that is the old one or the new one at any time. Rejects with the file system's error. */
export async function replaceFile(
  folder: string,
  name: string,
  data: string | Uint8Array,
  mode: number,
): Promise<void> {
  const draft = join(folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(draft, 'wx', mode);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, join(folder, name));
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}
