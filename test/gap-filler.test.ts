import { describe, expect, it } from 'vitest';
import type { Clip } from '../src/agents.ts';
import { dbm0 } from '../src/audio/tone.ts';
import type { Cancel } from '../src/clock.ts';
import { clipFor, GapFiller } from '../src/fallback/gap-filler.ts';
import { gapTone } from '../src/fallback/gap-tone.ts';
import type { GapFillerPolicy } from '../src/fallback/policy.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const AFTER = 800;
/** 500 ms of PCM16 at 8 kHz. */
const clip = (mark: number): Clip => ({ pcm: new Uint8Array(8_000).fill(mark), rate: 8000 });
const TONE: GapFillerPolicy = { afterMs: AFTER, clips: undefined };

/** A filler on a line which is what the test says, and which tells of the end of a clip if it is to. */
function onLine({
  language,
  tells = true,
  ...rest
}: {
  readonly policy?: GapFillerPolicy | undefined;
  readonly language?: string | undefined;
  readonly tells?: boolean;
} = {}) {
  const policy = 'policy' in rest ? rest.policy : TONE;
  const clock = new VirtualClock();
  const line = { quiet: true, playable: true };
  const played: { readonly atMs: number; readonly clip: Clip }[] = [];
  let stops = 0;
  let cancel: Cancel | undefined;
  const filler = new GapFiller({
    clock,
    policy,
    language,
    play: (one) => {
      if (!line.playable) return false;
      played.push({ atMs: clock.now(), clip: one });
      if (!tells) return true;
      line.quiet = false;
      cancel = clock.after((one.pcm.length * 500) / one.rate, () => {
        line.quiet = true;
        filler.soundEnded();
      });
      return true;
    },
    stopClip: () => {
      stops += 1;
      cancel?.();
    },
    quiet: () => line.quiet,
  });
  return {
    clock,
    line,
    filler,
    played,
    times: () => played.map(({ atMs }) => atMs),
    get stops() {
      return stops;
    },
  };
}

/** Of the tone, in ms. */
const TONE_MS = 340;

describe('a gap', () => {
  it('is filled after a while, a few times, and no more', () => {
    const on = onLine();
    on.filler.begin();
    on.clock.advance(AFTER - 1);
    expect(on.played).toEqual([]);
    on.clock.advance(60_000);
    const every = TONE_MS + 4_000;
    expect(on.times()).toEqual([AFTER, AFTER + every, AFTER + 2 * every]);
    expect(on.clock.pending).toBe(0);
  });

  it('is filled as often when nobody tells of the end of a clip', () => {
    const on = onLine({ tells: false });
    on.filler.begin();
    on.clock.advance(60_000);
    expect(on.times()).toEqual([AFTER, AFTER + 4_340, AFTER + 2 * 4_340]);
  });

  it('counts from when it became quiet, not from when the provider was given up', () => {
    const on = onLine();
    on.filler.begin(500);
    on.clock.advance(AFTER - 500);
    expect(on.times()).toEqual([AFTER - 500]);
    const late = onLine();
    late.filler.begin(10_000);
    late.clock.advance(0);
    expect(late.times()).toEqual([0]);
  });

  it('is over before anything is heard of it when the replacement is quick', () => {
    const on = onLine();
    on.filler.begin();
    on.clock.advance(AFTER - 1);
    on.filler.end();
    on.clock.advance(60_000);
    expect(on.played).toEqual([]);
    expect(on.stops).toBe(0);
  });

  it('that is none is not filled', () => {
    const on = onLine();
    on.filler.soundEnded();
    on.filler.busy();
    on.filler.end();
    on.clock.advance(60_000);
    expect(on.played).toEqual([]);
    const none = onLine({ policy: undefined });
    none.filler.begin();
    none.filler.soundEnded();
    none.clock.advance(60_000);
    expect(none.played).toEqual([]);
    expect(none.clock.pending).toBe(0);
  });

  it('is filled anew after the one before it, as often again', () => {
    const on = onLine();
    for (let i = 0; i < 2; i += 1) {
      on.filler.begin();
      on.clock.advance(60_000);
      on.filler.end();
    }
    expect(on.played).toHaveLength(6);
  });

  it('that begins twice is one', () => {
    const on = onLine();
    on.filler.begin();
    on.clock.advance(AFTER / 2);
    on.filler.begin();
    on.clock.advance(60_000);
    expect(on.times()[0]).toBe(AFTER);
    expect(on.played).toHaveLength(3);
  });
});

describe('whoever speaks', () => {
  it('is not spoken over: what is queued of the agent plays on first', () => {
    const on = onLine();
    on.line.quiet = false;
    on.filler.begin();
    on.clock.advance(5_000);
    expect(on.played).toEqual([]);
    on.line.quiet = true;
    on.filler.soundEnded();
    on.clock.advance(AFTER);
    expect(on.times()).toEqual([5_000 + AFTER]);
  });

  it('stops the clip at once, and is waited for', () => {
    const on = onLine();
    on.filler.begin();
    on.clock.advance(AFTER + 100);
    on.line.quiet = false;
    on.filler.busy();
    expect(on.stops).toBe(1);
    on.clock.advance(10_000);
    expect(on.played).toHaveLength(1);
  });

  it('is not spoken over when nobody has told of it', () => {
    const on = onLine();
    on.filler.begin();
    on.clock.advance(AFTER / 2);
    on.line.quiet = false;
    on.clock.advance(3_000);
    expect(on.played).toEqual([]);
    on.line.quiet = true;
    on.clock.advance(500);
    expect(on.played).toHaveLength(1);
  });

  it('makes the time begin anew, but not the count', () => {
    const on = onLine();
    on.filler.begin();
    for (let i = 0; i < 5; i += 1) {
      on.clock.advance(AFTER + TONE_MS);
      on.filler.busy();
      on.clock.advance(3_000);
      on.filler.soundEnded();
    }
    on.clock.advance(60_000);
    expect(on.played).toHaveLength(3);
  });

  it('is the agent again: the clip stops, and nothing follows', () => {
    const on = onLine();
    on.filler.begin();
    on.clock.advance(AFTER + 100);
    on.filler.end();
    expect(on.stops).toBe(1);
    on.clock.advance(60_000);
    expect(on.played).toHaveLength(1);
  });

  it('has nobody to stop when no clip sounds: nothing else is cut', () => {
    const on = onLine();
    on.filler.begin();
    on.filler.busy();
    on.filler.soundEnded();
    on.clock.advance(AFTER + TONE_MS);
    on.filler.busy();
    on.filler.end();
    expect(on.stops).toBe(0);
  });

  it('may be on a line that is away: it is tried again, and does not count', () => {
    const on = onLine();
    on.line.playable = false;
    on.filler.begin();
    on.clock.advance(10_000);
    on.line.playable = true;
    on.clock.advance(60_000);
    expect(on.played).toHaveLength(3);
  });
});

describe('the clip', () => {
  const clips = new Map([
    ['de', clip(1)],
    ['de-AT', clip(2)],
    ['', clip(3)],
  ]);

  it.each([
    ['de-AT', 2],
    ['DE-at', 2],
    ['de', 1],
    ['de-CH', 1],
    ['de-CH-1996', 1],
    ['fr', 3],
    ['deutsch', 3],
    [undefined, 3],
    ['', 3],
  ])('of %s is the nearest', (language, mark) => {
    const on = onLine({ policy: { afterMs: AFTER, clips }, language });
    on.filler.begin();
    on.clock.advance(AFTER);
    expect(on.played[0]?.clip.pcm[0]).toBe(mark);
  });

  it('is a tone where there is none for the language', () => {
    const only = new Map([['de', clip(1)]]);
    expect(clipFor(only, 'fr')).toBeUndefined();
    const on = onLine({ policy: { afterMs: AFTER, clips: only }, language: 'fr' });
    on.filler.begin();
    on.clock.advance(AFTER);
    expect(on.played[0]?.clip).toEqual(gapTone());
  });

  it('is waited for to its end before the next one', () => {
    const on = onLine({ policy: { afterMs: AFTER, clips } });
    on.filler.begin();
    on.clock.advance(60_000);
    expect(on.times()).toEqual([AFTER, AFTER + 4_500, AFTER + 9_000]);
  });
});

describe('the tone', () => {
  const { pcm, rate } = gapTone();
  const samples = new Int16Array(pcm.slice().buffer);
  const level = (fromMs: number, toMs: number): number => {
    const piece = samples.subarray(fromMs * 8, toMs * 8);
    return dbm0(Math.sqrt(piece.reduce((sum, value) => sum + value * value, 0) / piece.length));
  };

  it('is two notes of 150 ms with a short pause between them', () => {
    expect(rate).toBe(8000);
    expect(samples).toHaveLength(TONE_MS * 8);
    expect(level(40, 110)).toBeCloseTo(-25, 0);
    expect(level(150, 190)).toBe(Number.NEGATIVE_INFINITY);
    expect(level(230, 300)).toBeCloseTo(-25, 0);
  });

  it('fades in and out, so that it does not click', () => {
    const loudest = Math.max(...samples);
    let step = 0;
    for (let i = 1; i < samples.length; i += 1) {
      step = Math.max(step, Math.abs((samples[i] ?? 0) - (samples[i - 1] ?? 0)));
    }
    // No more than between two samples of the higher note itself.
    expect(step).toBeLessThan(2 * Math.PI * (659 / 8000) * loudest * 1.05);
    for (const ms of [0, 148, 190, 338]) expect(level(ms, ms + 2)).toBeLessThan(-40);
  });
});
