import { createResampler } from '../../src/audio/resample.ts';

/** By how much the bridge's resampler delays audio, in ms. */
export const RESAMPLER_DELAY_MS = createResampler(24_000, 8_000).delayMs;
