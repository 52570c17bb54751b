import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeG711 } from '../../audio/g711.ts';
import { encodeWav, interleave, samplesToBytes } from '../../audio/wav.ts';

const MONO = { encoding: 'pcm16', rate: 8000, channels: 1 } as const;

/**
 * Writes `caller.wav` and `agent.wav` (mono) and `call.wav` (caller left, agent right), all PCM16 at 8 kHz and of the
 * same length. `sent` and `heard` are mu-law on one time line.
 */
export async function saveRecordings(folder: string, sent: Uint8Array, heard: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all([
    writeFile(join(folder, 'caller.wav'), encodeWav(MONO, pcm(sent))),
    writeFile(join(folder, 'agent.wav'), encodeWav(MONO, pcm(heard))),
    writeFile(join(folder, 'call.wav'), stereoWav(sent, heard)),
  ]);
}

/** A recording as carriers keep it: caller left, agent right, PCM16 at 8 kHz. Both are mu-law of one length. */
export function stereoWav(sent: Uint8Array, heard: Uint8Array): Uint8Array {
  return encodeWav({ ...MONO, channels: 2 }, interleave(pcm(sent), pcm(heard), 'pcm16'));
}

function pcm(mulaw: Uint8Array): Uint8Array {
  return samplesToBytes(decodeG711('mulaw', mulaw), 'pcm16');
}
