import { type AudioFormat, PCM16_24K, RATES, sameFormat } from '../../audio/format.ts';
import type { ConnectRequest } from '../../provider.ts';
import { type Fields, fieldsOf } from '../common/fields.ts';

const MULAW: AudioFormat = Object.freeze({ encoding: 'mulaw', rate: 8000 });
const ALAW: AudioFormat = Object.freeze({ encoding: 'alaw', rate: 8000 });
const PCM16_16K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 16000 });
const PCM16_8K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 8000 });

/** What OpenAI takes and gives; a rate of PCM16 other than 24 kHz is not among them. */
export const FORMATS: readonly AudioFormat[] = Object.freeze([MULAW, ALAW, PCM16_24K]);

/** What relatives take and give that know more rates of PCM16. */
export const MANY_FORMATS: readonly AudioFormat[] = Object.freeze([
  MULAW,
  ALAW,
  PCM16_24K,
  PCM16_16K,
  PCM16_8K,
]);

/** The first format that a request prefers of those that there are, else PCM16 of 24 kHz. */
export function pickFormat(request: ConnectRequest, formats: readonly AudioFormat[]): AudioFormat {
  for (const wanted of request.preferredFormats) {
    const found = formats.find((format) => sameFormat(format, wanted));
    if (found) return found;
  }
  return PCM16_24K;
}

/** How a nested session spells a format. */
export function nestedFormat({ encoding, rate }: AudioFormat): Fields {
  switch (encoding) {
    case 'mulaw':
      return { type: 'audio/pcmu' };
    case 'alaw':
      return { type: 'audio/pcma' };
    case 'pcm16':
      return { type: 'audio/pcm', rate };
  }
}

/** How a flat session spells a format; a rate other than 24 kHz only on the way out. */
export function flatFormat({ encoding, rate }: AudioFormat): string {
  switch (encoding) {
    case 'mulaw':
      return 'g711_ulaw';
    case 'alaw':
      return 'g711_alaw';
    case 'pcm16':
      return rate === 24000 ? 'pcm16' : `pcm16_${rate}hz`;
  }
}

/** The format that a nested session has; undefined: one that nothing here can read. */
export function readNestedFormat(value: unknown): AudioFormat | undefined {
  const format = fieldsOf(value);
  if (format['type'] === 'audio/pcmu') return MULAW;
  if (format['type'] === 'audio/pcma') return ALAW;
  const rate = RATES.find((known) => known === (format['rate'] ?? 24000));
  return format['type'] === 'audio/pcm' && rate !== undefined ? { encoding: 'pcm16', rate } : undefined;
}

const FLAT_FORMATS: ReadonlyMap<unknown, AudioFormat> = new Map<unknown, AudioFormat>(
  MANY_FORMATS.map((format) => [flatFormat(format), format]),
);

/**
 * The format that a flat session has; undefined: one that nothing here can read. `rate`: what the session says beside
 * it, for what comes in.
 */
export function readFlatFormat(name: unknown, rate: unknown): AudioFormat | undefined {
  const known = RATES.find((one) => one === rate);
  return name === 'pcm16' && known !== undefined
    ? { encoding: 'pcm16', rate: known }
    : FLAT_FORMATS.get(name);
}
