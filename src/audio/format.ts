export const ENCODINGS = ['mulaw', 'alaw', 'pcm16'] as const;
export type Encoding = (typeof ENCODINGS)[number];
export const RATES = [8000, 16000, 24000] as const;
export type Rate = (typeof RATES)[number];

/** How audio bytes are to be read: mono; PCM16 is signed and little-endian; `rate` in samples per second. */
export interface AudioFormat {
  readonly encoding: Encoding;
  readonly rate: Rate;
}

export const MULAW_8K: AudioFormat = Object.freeze({ encoding: 'mulaw', rate: 8000 });
export const PCM16_24K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 24000 });

export function bytesPerSample(format: AudioFormat): 1 | 2 {
  return format.encoding === 'pcm16' ? 2 : 1;
}

/** Bytes in one millisecond of audio. */
export function bytesPerMs(format: AudioFormat): number {
  return (format.rate / 1000) * bytesPerSample(format);
}

export function sameFormat(a: AudioFormat, b: AudioFormat): boolean {
  return a.encoding === b.encoding && a.rate === b.rate;
}

/** For log lines and messages: `mulaw/8000`. */
export function formatName(format: AudioFormat): string {
  return `${format.encoding}/${format.rate}`;
}

/** The byte that is silence: 0xFF in mu-law, 0xD5 in A-law, 0 in PCM16. */
export function silenceByte(format: AudioFormat): number {
  switch (format.encoding) {
    case 'mulaw':
      return 0xff;
    case 'alaw':
      return 0xd5;
    case 'pcm16':
      return 0;
  }
}
