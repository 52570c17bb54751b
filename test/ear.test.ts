import { describe, expect, it } from 'vitest';
import { formatName, MULAW_8K } from '../src/audio/format.ts';
import { Pacer } from '../src/pacer.ts';
import { Playout } from '../src/playout.ts';
import { Ear } from '../src/recording/ear.ts';
import { FarEnd, type FarEndOptions, frameOf, NUMBERED, NUMBERS } from './support/far-end.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Chance that is the same every time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Compares the channels of a stereo file as it is written: how far apart is what lies side by side? */
class Comparison {
  worstMs = 0;
  frames = 0;
  samples = 0;
  /** Frames that are more than a frame apart. */
  beyond = 0;
  readonly seen = new Set<number>();
  #left = 0;
  #leftSince = 0;
  #right = 0;

  constructor(heardAt: (number: number) => number | undefined) {
    this.#heardAt = heardAt;
  }

  readonly #first: number[] = [];
  readonly #last: number[] = [];
  readonly #heardAt: (number: number) => number | undefined;

  read(bytes: Uint8Array): void {
    const stereo = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    for (let i = 0; i < stereo.length; i += 2) this.#sample(stereo[i] ?? 0, stereo[i + 1] ?? 0);
  }

  #sample(left: number, right: number): void {
    if (left !== this.#left) this.#leftSince = this.samples;
    this.#left = left;
    if (right !== this.#right && right !== 0) this.#begins(right - 1);
    this.#right = right;
    this.samples += 1;
  }

  get seconds(): number {
    return this.samples / NUMBERED.rate;
  }

  /** How much further apart the channels are in the last ten minutes of the hour than in the first, on average. */
  get drift(): number {
    return mean(this.#last) - mean(this.#first);
  }

  #half(atMs: number): number[] {
    if (atMs < 600_000) return this.#first;
    return atMs > 3_000_000 ? this.#last : [];
  }

  #begins(number: number): void {
    this.seen.add(number);
    const truth = this.#heardAt(number);
    if (truth === undefined || this.#left === 0) return;
    const said = (this.#left - 1) * 20 + (this.samples - this.#leftSince) / 8;
    const turn = NUMBERS * 20;
    const off = ((((said - truth) % turn) + turn * 1.5) % turn) - turn / 2;
    this.frames += 1;
    if (Math.abs(off) > 20) this.beyond += 1;
    this.#half(truth).push(off);
    this.worstMs = Math.max(this.worstMs, Math.abs(off));
  }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
}

interface Line {
  readonly ppm?: number;
  readonly jitterMs?: number;
  readonly timed?: boolean;
  readonly isMissing?: (frame: number) => boolean;
  readonly echoes?: (atMs: number) => boolean;
}

/** A call in which the agent speaks and the caller cuts in now and then. */
function call({ ppm = 0, jitterMs = 0, timed = true, isMissing, echoes = () => true }: Line) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const random = dice(7);
  let heldBytes = 0;
  let number = 0;
  let far: FarEnd;
  const ends: FarEnd[] = [];
  const comparison = new Comparison((of) =>
    ends.map((end) => end.heardAt.get(of)).findLast((at) => at !== undefined),
  );
  const ear = new Ear({ stereo: (_format, bytes) => comparison.read(bytes) });
  let playout: Playout;
  const attach = (): void => {
    const options: FarEndOptions = {
      clock,
      ppm,
      delayMs: 30,
      jitterMs,
      random,
      timed,
      ...(isMissing && { isMissing }),
      echoes,
      onFrame: (bytes, atMs) => {
        ear.said(bytes, clock.now(), atMs);
        heldBytes = Math.max(heldBytes, ear.heldBytes);
      },
      onMark: (name) => playout.acknowledge(name),
    };
    far = new FarEnd(options);
    far.roundTripMs = 60;
    ends.push(far);
    ear.stream(NUMBERED, NUMBERED, clock.now());
    playout = new Playout({
      leg: far,
      clock,
      pacer,
      leadMs: 1000,
      ear,
      onDrained: () => undefined,
      onHeard: () => undefined,
      onFailed: (error) => {
        throw error;
      },
    });
  };
  attach();
  const speak = (ms: number): void => {
    const id = `r${number}`;
    for (let said = 0; said < ms; said += 20, number += 1) playout.push(id, id, frameOf(number), 20);
    playout.endResponse(id);
  };
  return {
    clock,
    random,
    comparison,
    speak,
    get heldBytes() {
      return heldBytes;
    },
    get spoken() {
      return number;
    },
    heard: () => ends.flatMap((end) => [...end.heardAt.keys()]),
    cutIn: () => playout.interrupt(),
    /** The stream breaks, and the carrier opens another. */
    replace: (afterMs: number) => {
      playout.interrupt();
      playout.close();
      far.close();
      clock.advance(afterMs);
      attach();
    },
    end: () => {
      ear.close(clock.now());
      playout.close();
      far.close();
      pacer.close();
    },
  };
}

type Call = ReturnType<typeof call>;

/** Turns of one to nine seconds with pauses; every fourth is cut off. */
function talk(line: Call, forMs: number): void {
  const until = line.clock.now() + forMs;
  for (let turn = 0; line.clock.now() < until; turn += 1) {
    const ms = 1000 + Math.floor(line.random() * 400) * 20;
    line.speak(ms);
    if (turn % 4 === 3) {
      line.clock.advance(ms * line.random());
      line.cutIn();
    } else {
      line.clock.advance(ms);
    }
    line.clock.advance(500 + line.random() * 4000);
  }
}

/** Two seconds of an agent whose marks, one for every 200 ms, come back late: where in the file each frame begins, in ms. */
function placesWhen(lateBy: (markMs: number) => number): readonly number[] {
  const pieces: Uint8Array[] = [];
  const ear = new Ear({ stereo: (_format, bytes) => pieces.push(bytes.slice()) });
  ear.stream(NUMBERED, NUMBERED, 0);
  for (let number = 0; number < 100; number++) ear.sent(frameOf(number), 1);
  const marks = Array.from({ length: 10 }, (_, i) => ({ ms: i * 200, at: 50 + i * 200 + lateBy(i * 200) }));
  for (let now = 20; now <= 4000; now += 20) {
    ear.said(new Uint8Array(320), now, now - 20);
    const back = marks.filter(({ at }) => at > now && at <= now + 20);
    for (const { ms, at } of back) ear.heard(ms * 16, at);
  }
  ear.close(4000);
  const both = Buffer.concat(pieces);
  const right = new Int16Array(both.buffer, both.byteOffset, both.length / 2).filter((_, at) => at % 2 === 1);
  return Array.from({ length: 100 }, (_, number) => right.indexOf(number + 1) / 8);
}

const HOUR = 3_600_000;

describe('what is said and heard, side by side', () => {
  for (const ppm of [-200, 0, 200]) {
    it(`stays together for an hour at ${ppm} ppm with packets that come up to 100 ms late`, () => {
      const line = call({ ppm, jitterMs: 100 });
      talk(line, HOUR);
      line.end();
      const { frames, beyond, worstMs, seconds } = line.comparison;
      expect(frames).toBeGreaterThan(100_000);
      // It counts by the carrier's clock.
      expect(Math.abs(seconds - line.clock.now() / 1000)).toBeLessThan(1);
      // Only what was cut off before any mark behind it came back is known no better than the packets are late.
      expect(beyond).toBeLessThan(frames / 1000);
      expect(worstMs).toBeLessThanOrEqual(100);
      expect(Math.abs(line.comparison.drift)).toBeLessThan(1);
    }, 60_000);
  }

  it('holds two seconds and what is under way, however long the call', () => {
    const line = call({ jitterMs: 100 });
    talk(line, 600_000);
    line.end();
    // Two channels of 16 bits: 2 s of both, and a second more of what was sent ahead.
    expect(line.heldBytes).toBeLessThan(100_000);
  });

  it('has in it what was heard, and nothing of what was cut off', () => {
    const line = call({});
    talk(line, 600_000);
    line.end();
    const { seen } = line.comparison;
    const heard = new Set(line.heard());
    const cutOff = line.spoken - heard.size;
    expect(cutOff).toBeGreaterThan(1000);
    // Where speech was cut is known to a frame or so.
    const turns = 100;
    expect([...heard].filter((number) => !seen.has(number)).length).toBeLessThan(turns);
    expect([...seen].filter((number) => !heard.has(number)).length).toBeLessThan(turns);
  });

  for (const timed of [true, false]) {
    it(`fills the holes of a carrier that ${timed ? 'tells' : 'does not tell'} its time`, () => {
      const isMissing = (frame: number) => frame % 3000 > 2950;
      const line = call({ ppm: 100, jitterMs: 60, timed, isMissing });
      talk(line, 600_000);
      line.end();
      expect(line.comparison.frames).toBeGreaterThan(10_000);
      expect(line.comparison.beyond).toBeLessThan(line.comparison.frames / 100);
      expect(line.comparison.seconds).toBeCloseTo(line.clock.now() / 1000, 0);
    });
  }

  it('goes on in time when the caller is silent on the wire for a minute', () => {
    const line = call({ isMissing: (frame) => frame > 1000 && frame < 4000 });
    talk(line, 120_000);
    line.end();
    expect(line.heldBytes).toBeLessThan(150_000);
    expect(line.comparison.worstMs).toBeLessThanOrEqual(40);
    expect(line.comparison.seconds).toBeCloseTo(line.clock.now() / 1000, 0);
  });

  it('goes on with a stream that takes the place of another', () => {
    const line = call({ ppm: 200, jitterMs: 50 });
    for (const afterMs of [0, 300, 5000]) {
      talk(line, 100_000);
      line.speak(3000);
      line.clock.advance(1500);
      line.replace(afterMs);
    }
    talk(line, 100_000);
    line.end();
    expect(line.comparison.beyond).toBeLessThan(line.comparison.frames / 200);
    expect(line.comparison.seconds).toBeCloseTo(line.clock.now() / 1000, 0);
  });

  it('goes by our clock when marks do not come back', () => {
    const line = call({ ppm: 200, echoes: () => false });
    talk(line, HOUR / 4);
    line.end();
    expect(line.comparison.frames).toBeGreaterThan(10_000);
    expect(line.comparison.worstMs).toBeLessThanOrEqual(20);
  });

  it('finds its way again when marks come back after a while', () => {
    const line = call({ ppm: -100, jitterMs: 50, echoes: (atMs) => atMs % 120_000 < 60_000 });
    talk(line, HOUR / 4);
    line.end();
    expect(line.comparison.worstMs).toBeLessThanOrEqual(110);
    expect(line.comparison.beyond).toBeLessThan(line.comparison.frames / 2);
  });

  it('begins with the call, so that a second of the file is a second of the call', () => {
    const pieces: Uint8Array[] = [];
    const ear = new Ear({ stereo: (_format, bytes) => pieces.push(bytes.slice()) });
    ear.stream(MULAW_8K, MULAW_8K, 1500);
    ear.said(new Uint8Array(160).fill(1), 1520, 0);
    ear.sent(new Uint8Array(160).fill(2), 1520);
    ear.heard(0, 1540);
    ear.said(new Uint8Array(160).fill(1), 1540, 20);
    ear.close(1540);
    ear.close(1540);
    const file = Buffer.concat(pieces);
    const left = file.filter((_byte, i) => i % 2 === 0);
    const right = file.filter((_byte, i) => i % 2 === 1);
    expect(left.indexOf(1)).toBe(1500 * 8);
    expect(left.length).toBe(1540 * 8);
    expect(right.indexOf(2)).toBeGreaterThanOrEqual(1520 * 8);
    expect(right.indexOf(2)).toBeLessThan(1540 * 8);
  });

  it('goes on late where two marks in a row are late, and not where one is', () => {
    const near = (found: number | undefined, wanted: number): void =>
      expect(Math.abs((found ?? 0) - wanted)).toBeLessThanOrEqual(30);
    // The carrier had nothing to play, or could not, for 300 ms.
    const paused = placesWhen((ms) => (ms < 400 ? 0 : 300));
    near(paused[15], 350);
    near(paused[20], 750);
    near(paused[99], 2330);
    const heldUp = placesWhen((ms) => (ms === 600 ? 90 : 0));
    near(heldUp[15], 350);
    near(heldUp[35], 750);
  });

  it('makes one format of lines that speak two', () => {
    const formats = new Set<string>();
    let bytes = 0;
    const ear = new Ear({
      stereo: (format, piece) => {
        formats.add(formatName(format));
        bytes += piece.length;
      },
    });
    ear.stream({ encoding: 'alaw', rate: 8000 }, { encoding: 'pcm16', rate: 16_000 }, 0);
    ear.said(new Uint8Array(160).fill(0xd5), 20, 0);
    ear.sent(new Uint8Array(640), 20);
    ear.heard(0, 21);
    ear.stream(MULAW_8K, MULAW_8K, 40);
    ear.said(new Uint8Array(160).fill(0xff), 60, 0);
    ear.close(60);
    expect([...formats]).toEqual(['pcm16/16000']);
    expect(bytes).toBe(60 * 16 * 2 * 2);
  });

  it('is not led astray by times and positions that cannot be', () => {
    let bytes = 0;
    const ear = new Ear({
      stereo: (_format, piece) => {
        bytes += piece.length;
      },
    });
    ear.said(new Uint8Array(160), 0, 0);
    ear.heard(0, 0);
    ear.stream(MULAW_8K, MULAW_8K, 0);
    const times = [0, 1e15, -1e15, 20, 1e9, 40, 60, 3_600_000];
    times.forEach((atMs, i) => {
      ear.said(new Uint8Array(160), 20 * (i + 1), atMs);
      ear.heard(i * 1e9, 20 * (i + 1));
      ear.cleared(-5, 20 * (i + 1));
    });
    ear.close(200);
    expect(bytes / 16).toBeLessThan(200 + times.length * 1100);
  });
});
