import { decodeG711, encodeG711 } from '../../audio/g711.ts';
import { resampleWhole } from '../../audio/offline.ts';
import { readWav } from '../../audio/wav.ts';
import { BridgeError } from '../../errors.ts';

/**
 * What the caller is to say: PCM16 samples at 8 kHz, samples at another rate, or the bytes of a WAV file of any rate.
 */
export type Speech = Int16Array | Uint8Array | { readonly samples: Int16Array; readonly rate: number };

const LINE_RATE = 8000;

/** About -36 dBFS: louder than line noise, softer than any speech. */
const LOUD_FROM = 500;

/** For each mu-law code 1 when its sample is loud, else 0. Never written. */
export const LOUD: Readonly<Uint8Array> = Uint8Array.from(
  decodeG711(
    'mulaw',
    Uint8Array.from({ length: 256 }, (_, code) => code),
  ),
  (sample) => (Math.abs(sample) >= LOUD_FROM ? 1 : 0),
);

/** The mu-law bytes of what is to be said, 8 bytes a ms. Throws BAD_AUDIO for a WAV that cannot be read. */
export function speechToMulaw(speech: Speech): Uint8Array {
  if (speech instanceof Int16Array) return encodeG711('mulaw', speech);
  if (speech instanceof Uint8Array) return speechToMulaw(readSpeech(speech));
  const { samples, rate } = speech;
  return encodeG711('mulaw', rate === LINE_RATE ? samples : resampleWhole(samples, rate, LINE_RATE));
}

function readSpeech(wav: Uint8Array): { readonly samples: Int16Array; readonly rate: number } {
  try {
    const file = readWav(wav);
    // A telephone has one microphone: the first channel is it.
    return { samples: file.channel(0), rate: file.rate };
  } catch (thrown) {
    throw BridgeError.from(thrown, 'BAD_AUDIO');
  }
}
