import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeG711 } from '../../audio/g711.ts';
import { encodeWav, interleave, samplesToBytes } from '../../audio/wav.ts';

/**
 * Writes `caller.wav` and `agent.wav` (mono) and `call.wav` (caller left, agent right), all PCM16 at 8 kHz and of the
 * same length. `sent` and `heard` are mu-law on one time line.
 */
export async function saveRecordings(folder: string, sent: Uint8Array, heard: Uint8Array): Promise<void> {
  const caller = samplesToBytes(decodeG711('mulaw', sent), 'pcm16');
  const agent = samplesToBytes(decodeG711('mulaw', heard), 'pcm16');
  const mono = { encoding: 'pcm16', rate: 8000, channels: 1 } as const;
  await mkdir(folder, { recursive: true });
  await Promise.all([
    writeFile(join(folder, 'caller.wav'), encodeWav(mono, caller)),
    writeFile(join(folder, 'agent.wav'), encodeWav(mono, agent)),
    writeFile(
      join(folder, 'call.wav'),
      encodeWav({ ...mono, channels: 2 }, interleave(caller, agent, 'pcm16')),
    ),
  ]);
}
