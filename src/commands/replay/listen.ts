import { writeFile } from 'node:fs/promises';
import { encodeWav } from '../../audio/wav.ts';
import { BridgeError } from '../../errors.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { readStory } from '../../recording/story.ts';

const FORMAT = { encoding: 'mulaw', rate: 8000, channels: 2 } as const;
const SILENCE = 0xff;

/** A call to listen to, as a WAV file: left what the caller said, right what the caller heard. */
export function stereoWav(stored: StoredCall): Uint8Array {
  const { said, heard } = readStory(stored).tracks;
  const frames = Math.max(said.length, heard.length);
  const both = new Uint8Array(2 * frames);
  for (let i = 0; i < frames; i++) {
    both[2 * i] = said[i] ?? SILENCE;
    both[2 * i + 1] = heard[i] ?? SILENCE;
  }
  return encodeWav(FORMAT, both);
}

/** Writes such a file. Rejects with BAD_INPUT when that cannot be done. */
export async function writeStereo(file: string, wav: Uint8Array): Promise<void> {
  try {
    await writeFile(file, wav);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `--listen ${file}: cannot be written: ${why}`, { cause });
  }
}
