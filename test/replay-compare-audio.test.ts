import { describe, expect, it } from 'vitest';
import type { AudioFormat } from '../src/audio/format.ts';
import { encodeG711, lawTables } from '../src/audio/g711.ts';
import { type Line, TOLERANCE } from '../src/recording/format.ts';
import type { StoredCall } from '../src/recording/stored-call.ts';
import type { AudioCause, Difference } from '../src/replay/compare/difference.ts';
import { compareCalls, tellDifference } from '../src/replay/compare.ts';
import { noise, seeded, toInt16 } from './support/signal.ts';
import { babble, CallMaker, smallCall } from './support/small-call.ts';

const MULAW: AudioFormat = { encoding: 'mulaw', rate: 8000 };
const ALAW: AudioFormat = { encoding: 'alaw', rate: 8000 };
const PCM: AudioFormat = { encoding: 'pcm16', rate: 24_000 };
const FORMATS = [MULAW, ALAW, PCM] as const;

function compare(expected: StoredCall, found: StoredCall): readonly Difference[] {
  return compareCalls(expected, found, TOLERANCE);
}

/** A call in which these samples are sent in time, in messages of 20 ms from 1 s on, and nothing else. */
function sent(samples: Int16Array, format: AudioFormat = MULAW, times?: (at: number) => number): StoredCall {
  const maker = new CallMaker();
  const each = format.rate / 50;
  for (let at = 0; at < samples.length; at += each) {
    const payload = maker.ref('agent', format, samples.slice(at, at + each));
    const t = times?.(at / each) ?? 1000 + (at * 1000) / format.rate;
    maker.line(t, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'media', media: { payload } } });
  }
  return maker.stored();
}

function ms(format: AudioFormat, count: number): number {
  return (format.rate / 1000) * count;
}

function joined(...pieces: readonly Int16Array[]): Int16Array {
  return Int16Array.from(pieces.flatMap((piece) => [...piece]));
}

function causes(expected: StoredCall, found: StoredCall): readonly (AudioCause | undefined)[] {
  return compare(expected, found).map(({ audio }) => audio?.cause);
}

describe('audio of a call and of its replay', () => {
  it.each(FORMATS)('is compared by its samples, as $encoding', (format) => {
    const samples = babble(600, format.rate);
    const random = seeded(3);
    for (let i = 0; i < 20; i++) {
      const at = Math.floor(random() * samples.length);
      const other = samples.with(at, (samples[at] ?? 0) > 0 ? -3000 : 3000);
      const [first, ...others] = compare(sent(samples, format), sent(other, format));
      expect(others).toEqual([]);
      expect(first).toMatchObject({ kind: 'audio', what: 'to the carrier: audio', edge: 'carrier', conn: 1 });
      expect(first?.audio).toMatchObject({ wav: 'agent', sample: at, foundSample: at, differing: 1 });
      expect(first?.audio?.ms).toBeCloseTo((at * 1000) / format.rate, 6);
      // The message that it is in.
      expect(first?.expectedLine).toBe(Math.floor(at / ms(format, 20)));
      expect(first?.t).toBeCloseTo(1000 + Math.floor(at / ms(format, 20)) * 20, 6);
    }
  });

  it('may differ by the tolerance, and by no more', () => {
    const samples = babble(300, 24_000);
    const near = samples.map((sample, i) => sample + (i % 2 === 0 ? 64 : -64));
    const far = samples.with(1234, (samples[1234] ?? 0) + 65);
    expect(compare(sent(samples, PCM), sent(near, PCM))).toEqual([]);
    expect(compare(sent(samples, PCM), sent(far, PCM))).toMatchObject([{ audio: { sample: 1234 } }]);
  });

  it('is compared decoded: neighbouring codes of G.711 may be near, or far', () => {
    const { decode } = lawTables('mulaw');
    const codes = encodeG711('mulaw', babble(600));
    const call = (bytes: Uint8Array): StoredCall => sent(Int16Array.from(bytes, (code) => decode[code] ?? 0));
    const quiet = Uint8Array.from(codes, (code) => ((code & 0x70) >= 0x50 ? code ^ 1 : code));
    expect(compare(call(codes), call(quiet))).toEqual([]);
    const loud = Uint8Array.from(codes, (code) => ((code & 0x70) <= 0x30 ? code ^ 1 : code));
    expect(compare(call(codes), call(loud))).toHaveLength(1);
  });

  it('may lie anywhere in the WAV, and may be cut within a sample', () => {
    const samples = babble(200, 24_000);
    const maker = new CallMaker();
    maker.ref('agent', PCM, babble(100, 24_000, 9));
    const { at } = maker.ref('agent', PCM, samples);
    const parts = [0, 1000.5, 1001, 3333.5, 4800];
    for (const [i, from] of parts.slice(0, -1).entries()) {
      const payload = { wav: 'agent', at: at + from, n: (parts[i + 1] ?? 0) - from };
      maker.line(1000, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'media', media: { payload } } });
    }
    expect(
      compare(
        sent(samples, PCM, () => 1000),
        maker.stored(),
      ),
    ).toEqual([]);
    expect(
      compare(
        maker.stored(),
        sent(samples, PCM, () => 1000),
      ),
    ).toEqual([]);
  });

  it('is missed whole', () => {
    const samples = babble(400);
    const [missing] = compare(sent(samples), sent(new Int16Array()));
    expect(missing).toMatchObject({
      kind: 'missing',
      t: 1000,
      what: 'to the carrier: audio',
      expectedLine: 0,
    });
    expect(missing?.audio).toMatchObject({ expectedMs: 400, foundMs: 0 });
    const [additional] = compare(sent(new Int16Array()), sent(samples));
    expect(additional).toMatchObject({ kind: 'additional', t: 1000, foundLine: 0 });
    expect(additional?.audio).toMatchObject({ wav: 'agent', expectedMs: 0, foundMs: 400 });
  });

  it('is found in messages that differ in something else', () => {
    const call = smallCall();
    const edited = (from: string, to: string): StoredCall => {
      const at = call.lines.findIndex((line) => line.t === 1200 && JSON.stringify(line).includes(from));
      const lines = call.lines.with(at, JSON.parse(JSON.stringify(call.lines[at]).replace(from, to)) as Line);
      return { ...call, lines };
    };
    expect(compare(call, edited('MZ1', 'MZ2'))).toMatchObject([
      { kind: 'value', path: 'msg.streamSid', expected: 'MZ1', found: 'MZ2', t: 1200 },
    ]);
  });

  it('is nothing where its WAV is not there', () => {
    const call = sent(babble(200));
    expect(compare(call, { ...call, wavs: new Map() })).toMatchObject([{ kind: 'missing', t: 1000 }]);
  });
});

describe('what is wrong with audio', () => {
  it.each(FORMATS)('is known where some of it was lost or inserted, as $encoding', (format) => {
    const samples = babble(1200, format.rate);
    const [at, n] = [ms(format, 500), ms(format, 60)];
    const lost = joined(samples.slice(0, at), samples.slice(at + n));
    const inserted = joined(samples.slice(0, at), new Int16Array(n), samples.slice(at));
    const burst = (): number => 1000;
    expect(causes(sent(samples, format, burst), sent(lost, format, burst))).toEqual([
      { type: 'lost', ms: 60 },
    ]);
    expect(causes(sent(samples, format, burst), sent(inserted, format, burst))).toMatchObject([
      { type: 'inserted', ms: 60 },
    ]);
    const [first] = compare(sent(samples, format), sent(lost, format));
    expect(first?.audio?.sample).toBeGreaterThanOrEqual(at);
    expect(first?.audio?.sample).toBeLessThan(at + ms(format, 3));
  });

  it('is known of silence, too, by the times of what comes behind it', () => {
    const call = sent(new Int16Array(1600));
    for (const at of [0, 4, 9]) {
      const found = { ...call, lines: call.lines.toSpliced(at, 1) };
      const type = at === 9 ? 'short' : 'lost';
      expect(compare(call, found)).toMatchObject([
        { kind: 'audio', t: 1000 + at * 20, audio: { cause: { type, ms: 20 } } },
      ]);
    }
  });

  it.each(FORMATS)('is known where it is late or early in the sound, as $encoding', (format) => {
    const samples = babble(1000, format.rate);
    for (const by of [1, 20, 137.5, 250]) {
      const n = Math.round(ms(format, by));
      const late = joined(new Int16Array(n), samples).slice(0, samples.length);
      const early = joined(samples.slice(n), babble(by, format.rate, 5)).slice(0, samples.length);
      expect(causes(sent(samples, format), sent(late, format)), `${by}`).toEqual([
        { type: 'shifted', ms: by },
      ]);
      expect(causes(sent(samples, format), sent(early, format)), `${by}`).toEqual([
        { type: 'shifted', ms: -by },
      ]);
    }
  });

  it('is known where it is too loud or too quiet', () => {
    const samples = babble(600, 24_000).map((sample) => sample / 2);
    for (const db of [-20, -6, -1, 3, 6]) {
      const other = toInt16(Float64Array.from(samples, (sample) => sample * 10 ** (db / 20)));
      const [cause] = causes(sent(samples, PCM), sent(other, PCM));
      expect(cause?.type).toBe('gain');
      expect(cause?.type === 'gain' ? cause.db : 0).toBeCloseTo(db, 0);
    }
  });

  it('is known where it is silent, or should be', () => {
    const [loud, quiet] = [babble(600), new Int16Array(4800)];
    expect(causes(sent(loud), sent(quiet))).toEqual([{ type: 'silent' }]);
    expect(causes(sent(quiet), sent(loud))).toEqual([{ type: 'not-silent' }]);
    const gap = joined(loud.slice(0, 1600), new Int16Array(3200));
    const [first] = compare(sent(loud), sent(gap));
    expect(first).toMatchObject({ t: 1200, audio: { cause: { type: 'silent' }, foundDbm0: undefined } });
  });

  it('is known where it ends too early or too late', () => {
    const samples = babble(600);
    const short = samples.slice(0, 4000);
    expect(compare(sent(samples), sent(short))).toMatchObject([
      { kind: 'audio', t: 1500, audio: { sample: 4000, cause: { type: 'short', ms: 100 }, foundMs: 500 } },
    ]);
    expect(compare(sent(short), sent(samples))).toMatchObject([
      { kind: 'audio', audio: { sample: 4000, cause: { type: 'long', ms: 100 }, expectedMs: 500 } },
    ]);
  });

  it('is known where there is noise on it, or where it is upside down', () => {
    const samples = babble(600, 24_000);
    const hiss = noise(samples.length, 400, 4);
    const noisy = toInt16(Float64Array.from(samples, (sample, i) => sample + (hiss[i] ?? 0)));
    const [cause] = causes(sent(samples, PCM), sent(noisy, PCM));
    expect(cause?.type).toBe('noise');
    expect(cause?.type === 'noise' ? cause.snrDb : 0).toBeGreaterThan(3);
    const inverted = samples.map((sample) => -sample);
    expect(causes(sent(samples, PCM), sent(inverted, PCM))).toEqual([{ type: 'inverted' }]);
  });

  it('is that it is something else, if it is', () => {
    expect(causes(sent(babble(600)), sent(babble(600, 8000, 77)))).toEqual([{ type: 'other' }]);
  });

  it('is that it has another format', () => {
    const samples = babble(200);
    expect(causes(sent(samples), sent(samples, ALAW))).toEqual([
      { type: 'format', expected: 'mulaw/8000', found: 'alaw/8000' },
    ]);
  });

  it('is told in words, with the place', () => {
    const samples = babble(600);
    const [expected, found] = [sent(samples), sent(samples.slice(0, 4000))];
    const [first] = compare(expected, found);
    const text = first === undefined ? '' : tellDifference(first, expected, found);
    expect(text).toContain('1.500 s  to the carrier: audio: cut short by 100 ms');
    expect(text).toContain('place     agent.wav at 0.500 s (sample 4000)');
    expect(text).toContain('found     nothing; 500 ms in all');
  });

  it('is looked at for the first of many only', () => {
    const [one, other] = [new CallMaker(), new CallMaker()];
    for (let i = 0; i < 30; i++) {
      for (const [maker, seed] of [
        [one, 1],
        [other, 2],
      ] as const) {
        const payload = maker.ref('agent', MULAW, babble(100, 8000, seed + i * 7));
        maker.line(i * 100, {
          on: 'carrier',
          dir: 'out',
          conn: 1,
          msg: { event: 'media', media: { payload } },
        });
        maker.line(i * 100, {
          on: 'carrier',
          dir: 'out',
          conn: 1,
          msg: { event: 'mark', mark: { name: `m${i}` } },
        });
      }
    }
    expect(compare(one.stored(), other.stored())).toHaveLength(30);
  });
});

describe('when audio was sent', () => {
  it('counts for its beginning', () => {
    const samples = babble(200);
    expect(
      compare(
        sent(samples),
        sent(samples, MULAW, (i) => 1004 + i * 20),
      ),
    ).toEqual([]);
    expect(
      compare(
        sent(samples),
        sent(samples, MULAW, (i) => 1040 + i * 20),
      ),
    ).toMatchObject([{ kind: 'time', path: 't', t: 1000, expected: 1000, found: 1040, expectedLine: 0 }]);
  });

  it('counts within it: the first message that is late is told', () => {
    const samples = babble(600);
    const late = sent(samples, MULAW, (i) => 1000 + i * 20 + (i >= 10 ? 30 : 0));
    expect(compare(sent(samples), late)).toMatchObject([
      { kind: 'time', t: 1200, expected: 1200, found: 1230 },
    ]);
    const burst = sent(samples, MULAW, (i) => 1000 + Math.floor(i / 10) * 20);
    expect(compare(sent(samples), burst)).toMatchObject([{ kind: 'time', t: 1020, found: 1000 }]);
  });

  it('does not count for how it was cut', () => {
    const samples = babble(600);
    const maker = new CallMaker();
    for (let at = 0; at < samples.length; at += 480) {
      const payload = maker.ref('agent', MULAW, samples.slice(at, at + 480));
      const t = 1000 + at / 8;
      maker.line(t, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'media', media: { payload } } });
    }
    expect(compare(sent(samples), maker.stored())).toEqual([]);
    expect(compare(maker.stored(), sent(samples))).toEqual([]);
  });

  it('says nothing behind a place where the audio is another', () => {
    const samples = babble(600);
    const other = samples.map((sample, i) => (i < 1600 ? sample : -sample));
    const late = sent(other, MULAW, (i) => 1000 + i * 20 + (i >= 15 ? 300 : 0));
    expect(compare(sent(samples), late)).toMatchObject([{ kind: 'audio', t: 1200 }]);
  });
});
