import { describe, expect, it } from 'vitest';
import type { FillerPolicy } from '../src/agents.ts';
import { type AudioFormat, bytesPerMs, MULAW_8K, RATES } from '../src/audio/format.ts';
import { decodeG711 } from '../src/audio/g711.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { Downlink } from '../src/downlink.ts';
import { Filler } from '../src/filler.ts';
import { Pacer } from '../src/pacer.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const POLICY: FillerPolicy = {
  afterMs: 2000,
  texts: ['One moment.', 'Nearly there.'],
  clip: undefined,
  everyMs: 8000,
  atMost: 3,
};
const CLIP = { pcm: new Uint8Array(320), rate: 8000 } as const;

function make(change: Partial<FillerPolicy> | 'none' = {}) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const underWay = new Set<string>();
  const others = new Set<string>();
  const filler = new Filler({
    clock,
    policy: change === 'none' ? undefined : { ...POLICY, ...change },
    say: (text) => log.push(text),
    play: () => log.push('clip'),
    stopClip: () => log.push('stop clip'),
    isUnderWay: (responseId) => underWay.has(responseId),
    hasOther: (responseId) => [...others].some((id) => id !== responseId),
    cut: () => log.push('cut'),
  });
  /** The filler that was asked for last is said for `ms`, and then nobody speaks. */
  const spoken = (responseId: string, ms: number): void => {
    filler.askedResponse(responseId);
    filler.busy();
    clock.advance(ms);
    filler.quiet(POLICY.afterMs);
  };
  return { clock, log, underWay, others, filler, spoken };
}

describe('a caller who waits for a function', () => {
  it('hears something after the time of the policy, not a moment sooner', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(1999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toEqual(['One moment.']);
  });

  it('has to wait in silence for all of that time: speech makes it begin anew', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(1500);
    filler.busy();
    clock.advance(5000);
    filler.quiet(2000);
    clock.advance(1999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toHaveLength(1);
  });

  it('does not wait longer because it is noticed again that all is quiet', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(1500);
    filler.quiet(2000);
    clock.advance(500);
    expect(log).toHaveLength(1);
  });

  it('hears it as soon as the least patient of the functions wants it, counted from the same moment', () => {
    const { clock, filler, log } = make();
    filler.quiet(5000);
    clock.advance(500);
    filler.quiet(1000);
    clock.advance(499);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toHaveLength(1);
  });

  it('waits for the more patient one once the other is over', () => {
    const { clock, filler, log } = make();
    filler.quiet(1000);
    clock.advance(500);
    filler.quiet(5000);
    clock.advance(4499);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toHaveLength(1);
  });

  it('hears it at once when the time of a more patient one has passed already', () => {
    const { clock, filler, log } = make();
    filler.quiet(5000);
    clock.advance(3000);
    filler.quiet(1000);
    clock.advance(0);
    expect(log).toHaveLength(1);
  });

  it('hears nothing when only functions are left that want none', () => {
    const { clock, filler, log } = make();
    filler.quiet(1000);
    filler.quiet(0);
    clock.advance(60_000);
    expect(log).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('hears nothing from an agent without a policy', () => {
    const { clock, filler, log } = make('none');
    filler.quiet(2000);
    clock.advance(60_000);
    filler.end();
    expect(log).toEqual(['stop clip']);
  });

  it('hears the texts in turn, each so long after the end of the one before, and no more than so many', () => {
    const { clock, filler, log, spoken } = make();
    filler.quiet(2000);
    clock.advance(2000);
    spoken('f1', 1500);
    clock.advance(7999);
    expect(log).toEqual(['One moment.']);
    clock.advance(1);
    expect(log).toEqual(['One moment.', 'Nearly there.']);
    spoken('f2', 1500);
    clock.advance(8000);
    expect(log).toEqual(['One moment.', 'Nearly there.', 'One moment.']);
    spoken('f3', 1500);
    clock.advance(600_000);
    expect(log).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  it('hears the next text in the next wait, and as many as before', () => {
    const { clock, filler, log, spoken } = make({ atMost: 1 });
    filler.quiet(2000);
    clock.advance(2000);
    spoken('f1', 1000);
    filler.end();
    filler.quiet(2000);
    clock.advance(2000);
    expect(log.filter((one) => one !== 'stop clip')).toEqual(['One moment.', 'Nearly there.']);
  });

  it('is not promised a second one while the first has not come', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.quiet(2000);
    clock.advance(60_000);
    expect(log).toEqual(['One moment.']);
  });

  it('hears the clip in place of the texts, again after its end', () => {
    const { clock, filler, log } = make({ clip: CLIP });
    filler.quiet(2000);
    clock.advance(2000);
    expect(log).toEqual(['clip']);
    clock.advance(300);
    filler.quiet(2000);
    clock.advance(7999);
    expect(log).toEqual(['clip']);
    clock.advance(1);
    expect(log).toEqual(['clip', 'clip']);
  });

  it('hears nothing of a policy that has neither text nor clip', () => {
    const { clock, filler, log } = make({ texts: [] });
    filler.quiet(2000);
    clock.advance(60_000);
    expect(log).toEqual([]);
  });
});

describe('the end of the wait', () => {
  it('cuts off what is being said', () => {
    const { clock, filler, log, underWay } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.askedResponse('f1');
    underWay.add('f1');
    filler.end();
    expect(log).toEqual(['One moment.', 'stop clip', 'cut']);
    filler.end();
    expect(log.filter((one) => one === 'cut')).toHaveLength(1);
  });

  it('takes back what was asked for and has not begun', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.end();
    expect(log).toContain('cut');
  });

  it('cuts nothing when it was heard to its end, was never asked for, or was interrupted', () => {
    const { clock, filler, log, spoken } = make();
    filler.quiet(2000);
    filler.end();
    filler.quiet(2000);
    clock.advance(2000);
    spoken('f1', 1000);
    filler.end();
    filler.quiet(2000);
    clock.advance(2000);
    filler.interrupted();
    filler.end();
    expect(log).not.toContain('cut');
  });

  it('never cuts a response that is another’s, whether the filler has begun or not', () => {
    for (const begun of [true, false]) {
      const { clock, filler, log, underWay, others } = make();
      filler.quiet(2000);
      clock.advance(2000);
      if (begun) {
        filler.askedResponse('f1');
        underWay.add('f1');
        others.add('f1');
      }
      others.add('answer');
      filler.end();
      expect(log).not.toContain('cut');
    }
  });

  it('does not take a later answer for the filler that was interrupted', () => {
    const { clock, filler, log, underWay } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.interrupted();
    filler.askedResponse('goodbye');
    underWay.add('goodbye');
    filler.end();
    expect(log).not.toContain('cut');
  });

  it('leaves nothing on the clock', () => {
    const { clock, filler } = make();
    filler.quiet(2000);
    filler.end();
    expect(clock.pending).toBe(0);
  });
});

/** 600 ms of 500 Hz. */
function hum(rate: number): Uint8Array {
  const samples = Int16Array.from({ length: rate * 0.6 }, (_, i) =>
    Math.round(8000 * Math.sin((2 * Math.PI * 500 * i) / rate)),
  );
  return new Uint8Array(samples.buffer);
}

/** How often the samples change their sign, per second. */
function crossings(samples: Int16Array, rate: number): number {
  let count = 0;
  for (let i = 1; i < samples.length; i++) {
    if ((samples[i - 1] ?? 0) < 0 !== (samples[i] ?? 0) < 0) count += 1;
  }
  return (count * rate) / samples.length;
}

function line(output: AudioFormat) {
  const clock = new VirtualClock();
  const played: number[] = [];
  const log: string[] = [];
  const marks: string[] = [];
  let drained = 0;
  const downlink = new Downlink({
    clock,
    pacer: new Pacer(clock),
    leadMs: 1000,
    createTranscoder,
    onDrained: () => {
      drained += 1;
    },
    onHeard: () => undefined,
    onFailed: (error) => log.push(String(error)),
  });
  const leg = {
    output,
    roundTripMs: 0,
    play: (bytes: Uint8Array) => void played.push(...bytes),
    mark: (name: string) => void marks.push(name),
    clear: () => void log.push('clear'),
  };
  const heard = (): void => {
    for (const mark of marks.splice(0)) downlink.acknowledge(mark);
  };
  return { clock, played, log, downlink, leg, heard, drained: () => drained };
}

describe('a clip on the line', () => {
  const lines: AudioFormat[] = [
    MULAW_8K,
    { encoding: 'alaw', rate: 8000 },
    { encoding: 'pcm16', rate: 8000 },
    { encoding: 'pcm16', rate: 16_000 },
    { encoding: 'pcm16', rate: 24_000 },
  ];
  const pairs = RATES.flatMap((rate) => lines.map((output) => ({ rate, output, name: output.encoding })));

  it.each(pairs)('of $rate Hz sounds as it should on $name/$output.rate', ({ rate, output }) => {
    const { clock, played, downlink, leg } = line(output);
    downlink.attach(leg);
    expect(downlink.clip(hum(rate), { encoding: 'pcm16', rate })).toBe(true);
    clock.advance(1000);
    // Whole frames, and what the conversion holds back.
    expect(played.length / bytesPerMs(output)).toBeGreaterThanOrEqual(600);
    expect(played.length / bytesPerMs(output)).toBeLessThanOrEqual(640);
    const bytes = Uint8Array.from(played).subarray(0, 600 * bytesPerMs(output));
    const samples =
      output.encoding === 'pcm16'
        ? new Int16Array(bytes.buffer, 0, bytes.length / 2)
        : decodeG711(output.encoding, bytes);
    const middle = samples.subarray(output.rate / 10, output.rate / 2);
    expect(crossings(middle, output.rate)).toBeGreaterThan(980);
    expect(crossings(middle, output.rate)).toBeLessThan(1020);
    expect(Math.max(...middle)).toBeGreaterThan(6500);
    expect(Math.max(...middle)).toBeLessThan(9500);
  });

  it('plays only where nothing plays and nothing waits to be played', () => {
    const { downlink, leg, played } = line(MULAW_8K);
    expect(downlink.clip(hum(8000), { encoding: 'pcm16', rate: 8000 })).toBe(false);
    downlink.setSource(MULAW_8K, false);
    downlink.audio('r', 'a', new Uint8Array(800).fill(0x55));
    downlink.attach(leg);
    expect(downlink.clip(hum(8000), { encoding: 'pcm16', rate: 8000 })).toBe(false);
    downlink.endResponse('r');
    expect(new Set(played)).toEqual(new Set([0x55]));
  });

  it('is over when it was heard, and what is said after that is not cut off by it', () => {
    const { clock, downlink, leg, heard, log, drained } = line(MULAW_8K);
    downlink.setSource(MULAW_8K, false);
    downlink.attach(leg);
    downlink.clip(hum(8000), { encoding: 'pcm16', rate: 8000 });
    clock.advance(700);
    heard();
    clock.advance(100);
    expect(drained()).toBe(1);
    downlink.audio('r', 'a', new Uint8Array(800).fill(0x55));
    downlink.audio('r', 'a', new Uint8Array(800).fill(0x55));
    downlink.stopClip();
    expect(log).toEqual([]);
  });

  it('is cut off by speech and never among what was heard of the agent', () => {
    const { clock, downlink, leg, log } = line(MULAW_8K);
    downlink.setSource(MULAW_8K, false);
    downlink.attach(leg);
    downlink.clip(hum(8000), { encoding: 'pcm16', rate: 8000 });
    clock.advance(100);
    expect(downlink.interrupt([])).toEqual([]);
    downlink.clip(hum(8000), { encoding: 'pcm16', rate: 8000 });
    clock.advance(100);
    downlink.audio('r', 'a', new Uint8Array(4000).fill(0x55));
    expect(log).toEqual(['clear', 'clear']);
    clock.advance(100);
    expect(downlink.interrupt([]).map(({ itemId }) => itemId)).toEqual(['a']);
  });
});
