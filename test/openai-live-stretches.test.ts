import { describe, expect, it } from 'vitest';
import { type AudioFormat, bytesPerMs, MULAW_8K, PCM16_24K, silenceByte } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { Stretches } from '../src/providers/openai-live/stretches.ts';
import { toBytes, tone } from './support/signal.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const ALAW_8K: AudioFormat = { encoding: 'alaw', rate: 8000 };
const PCM16_16K: AudioFormat = { encoding: 'pcm16', rate: 16_000 };

function samples(ms: number, rate: number, amplitude: number): Int16Array {
  return Int16Array.from(tone((rate * ms) / 1000, { hz: 300, rate, amplitude }), Math.round);
}

function sound(ms: number, format: AudioFormat, amplitude = 8_000): Buffer {
  const pcm = samples(ms, format.rate, amplitude);
  return Buffer.from(format.encoding === 'pcm16' ? toBytes(pcm) : encodeG711(format.encoding, pcm));
}

function nothing(ms: number, format: AudioFormat): Buffer {
  return Buffer.alloc(ms * bytesPerMs(format), silenceByte(format));
}

interface Told {
  readonly atMs: number;
  readonly what: 'begun' | 'over' | number;
}

/** What a listener hears of a stream: when it began and ended, and how many ms came when. */
function setUp(format: AudioFormat = MULAW_8K, quietMs = 800) {
  const clock = new VirtualClock();
  const told: Told[] = [];
  const heard: Buffer[] = [];
  const say = (what: Told['what']): void => {
    told.push({ atMs: clock.now(), what });
  };
  const state = { quietMs };
  const stretches = new Stretches(
    { format, clock, silenceLevel: 100, quietMs: () => state.quietMs, mostQuietMs: quietMs },
    {
      begun: () => say('begun'),
      sound: (bytes) => {
        heard.push(Buffer.from(bytes));
        say(bytes.length / bytesPerMs(format));
      },
      over: () => say('over'),
    },
  );
  return {
    clock,
    told,
    state,
    stretches,
    get heard() {
      return Buffer.concat(heard);
    },
    /** In frames of 100 ms, each at the end of its time. */
    stream(audio: Buffer, frameMs = 100): void {
      const size = frameMs * bytesPerMs(format);
      for (let at = 0; at < audio.length; at += size) {
        clock.advance(frameMs);
        stretches.push(audio.subarray(at, at + size));
      }
    },
    /** What a listener that plays all that it gets hears at which time: silence where it got nothing. */
    get played(): { readonly fromMs: number; readonly toMs: number }[] {
      const spans: { fromMs: number; toMs: number }[] = [];
      let free = 0;
      for (const { atMs, what } of told) {
        if (typeof what !== 'number') continue;
        const fromMs = Math.max(free, atMs);
        free = fromMs + what;
        const last = spans.at(-1);
        if (last !== undefined && last.toMs === fromMs) last.toMs = free;
        else spans.push({ fromMs, toMs: free });
      }
      return spans;
    },
    get marks() {
      return told.filter(({ what }) => typeof what !== 'number');
    },
  };
}

describe('the one stream of a session', () => {
  it.each([MULAW_8K, ALAW_8K, PCM16_24K, PCM16_16K])(
    'is cut into stretches of speech, of which no sample is lost: %o',
    (format) => {
      const on = setUp(format);
      const first = sound(700, format);
      const second = sound(300, format);
      on.stream(Buffer.concat([nothing(500, format), first, nothing(1_000, format), second]));
      on.stream(nothing(1_000, format));
      expect(on.heard.equals(Buffer.concat([first, second]))).toBe(true);
      expect(on.marks.map(({ what }) => what)).toEqual(['begun', 'over', 'begun', 'over']);
    },
  );

  it('is passed on at once, and silence is not passed on at all', () => {
    const on = setUp();
    on.stream(Buffer.concat([nothing(5_000, MULAW_8K), sound(200, MULAW_8K), nothing(5_000, MULAW_8K)]));
    expect(on.told).toEqual([
      { atMs: 5_100, what: 'begun' },
      { atMs: 5_100, what: 100 },
      { atMs: 5_200, what: 100 },
      { atMs: 6_000, what: 'over' },
    ]);
  });

  it('keeps short pauses sample by sample', () => {
    const on = setUp();
    const audio = Buffer.concat([
      sound(130, MULAW_8K),
      nothing(60, MULAW_8K),
      sound(240, MULAW_8K),
      nothing(190, MULAW_8K),
      sound(180, MULAW_8K),
    ]);
    on.stream(Buffer.concat([audio, nothing(1_000, MULAW_8K)]));
    expect(on.heard.equals(audio)).toBe(true);
    expect(on.marks).toHaveLength(2);
  });

  it('has longer pauses last as long as they did, and no queue builds up behind', () => {
    const on = setUp();
    for (let i = 0; i < 20; i++) on.stream(Buffer.concat([sound(400, MULAW_8K), nothing(600, MULAW_8K)]));
    // The first frame is there when it is over: this is the delay of the stream, and it does not grow.
    const starts = Array.from({ length: 20 }, (_, i) => 100 + 1_000 * i);
    expect(on.played).toEqual(starts.map((fromMs) => ({ fromMs, toMs: fromMs + 400 })));
    expect(on.marks.map(({ what }) => what)).toEqual(['begun']);
  });

  it('has its pauses put in when it comes faster than it is heard', () => {
    const on = setUp();
    const audio = Buffer.concat([sound(400, MULAW_8K), nothing(600, MULAW_8K), sound(400, MULAW_8K)]);
    on.stretches.push(audio);
    expect(on.heard.equals(audio)).toBe(true);
    expect(on.played).toEqual([{ fromMs: 0, toMs: 1_400 }]);
  });

  it('loses no sound when a piece holds the end of a stretch and the beginning of the next', () => {
    const on = setUp(MULAW_8K, 200);
    const first = sound(90, MULAW_8K);
    const second = sound(50, MULAW_8K);
    on.stretches.push(Buffer.concat([first, nothing(500, MULAW_8K), second, nothing(300, MULAW_8K)]));
    expect(on.heard.equals(Buffer.concat([first, second]))).toBe(true);
    expect(on.told.map(({ what }) => what)).toEqual(['begun', 90, 'over', 'begun', 50, 'over']);
  });

  it('may come in pieces of any size', () => {
    const on = setUp(PCM16_24K);
    const first = sound(300, PCM16_24K);
    const audio = Buffer.concat([nothing(200, PCM16_24K), first, nothing(900, PCM16_24K)]);
    for (let at = 0, size = 2; at < audio.length; at += size, size = ((size * 7) % 1_230) + 2) {
      size -= size % 2;
      on.stretches.push(audio.subarray(at, at + size));
    }
    expect(on.heard.equals(first)).toBe(true);
    expect(on.marks.map(({ what }) => what)).toEqual(['begun', 'over']);
  });

  it('takes noise for silence, and gives soft beginnings and ends of words their place', () => {
    const on = setUp(PCM16_24K);
    const noise = sound(1_000, PCM16_24K, 40);
    const word = sound(300, PCM16_24K);
    on.stream(Buffer.concat([noise, word, noise]));
    expect(on.marks.map(({ what }) => what)).toEqual(['begun', 'over']);
    const edge = 60 * bytesPerMs(PCM16_24K);
    const wanted = Buffer.concat([noise.subarray(noise.length - edge), word, noise.subarray(0, edge)]);
    expect(on.heard.equals(wanted)).toBe(true);
  });

  it('ends by the clock where silence is not sent', () => {
    const on = setUp();
    on.stream(sound(300, MULAW_8K));
    expect(on.stretches.speaking).toBe(true);
    on.clock.advance(600);
    on.stream(sound(100, MULAW_8K));
    on.clock.advance(799);
    expect(on.marks.map(({ what }) => what)).toEqual(['begun']);
    on.clock.advance(2);
    expect(on.marks.map(({ what }) => what)).toEqual(['begun', 'over']);
    expect(on.played).toEqual([
      { fromMs: 100, toMs: 400 },
      { fromMs: 1_000, toMs: 1_100 },
    ]);
    expect(on.clock.pending).toBe(0);
  });

  it('is cut sooner when somebody waits for what comes next', () => {
    const on = setUp();
    on.stream(Buffer.concat([sound(200, MULAW_8K), nothing(400, MULAW_8K), sound(200, MULAW_8K)]));
    expect(on.marks).toHaveLength(1);
    on.state.quietMs = 300;
    on.stream(Buffer.concat([nothing(400, MULAW_8K), sound(200, MULAW_8K)]));
    expect(on.marks.map(({ what }) => what)).toEqual(['begun', 'over', 'begun']);
  });

  it('brings what is open to its end when it is closed, and leaves no timer behind', () => {
    const on = setUp();
    on.stream(sound(200, MULAW_8K));
    on.stretches.close();
    on.stretches.close();
    expect(on.marks.map(({ what }) => what)).toEqual(['begun', 'over']);
    expect(on.clock.pending).toBe(0);
  });
});
