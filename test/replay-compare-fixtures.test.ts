import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { audioRefsOf } from '../src/recording/audio-refs.ts';
import { type Line, TOLERANCE } from '../src/recording/format.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { compareCalls, tellDifference } from '../src/replay/compare.ts';
import { seeded } from './support/signal.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');
const CALLS = readdirSync(FIXTURES).filter((name) => existsSync(join(FIXTURES, name, 'events.jsonl')));
/** One call of each carrier is enough for what takes long. */
const SOME = ['twilio', 'telnyx', 'plivo'].flatMap((carrier) =>
  CALLS.filter((name) => name.startsWith(`${carrier}-barge-in`)).slice(0, 1),
);
/** Audio is one stream for the comparison: what is done to one message may show at the next. */
const NEAR_MS = 120;

const MUTATIONS = {
  missing: () => [],
  twice: (line: Line) => [line, line],
  late: (line: Line) => [{ ...line, t: line.t + 130 }],
  early: (line: Line) => [{ ...line, t: Math.max(0, line.t - 130) }],
} satisfies Record<string, (line: Line) => readonly Line[]>;

function mutated(call: StoredCall, at: number, mutate: (line: Line) => readonly Line[]): StoredCall {
  const lines = call.lines.flatMap((line, i) => (i === at ? mutate(line) : [line]));
  return { ...call, lines: lines.toSorted((a, b) => a.t - b.t) };
}

function outLines(call: StoredCall): readonly (readonly [number, Line])[] {
  return [...call.lines.entries()].filter(([, line]) => line.dir === 'out');
}

describe('the calls in fixtures', () => {
  it.each(SOME)('%s is the same as itself', async (name) => {
    const call = await readCall(join(FIXTURES, name));
    expect(compareCalls(call, call, TOLERANCE)).toEqual([]);
  });

  it('are there for each carrier', () => {
    expect(SOME).toHaveLength(3);
  });

  it.each(SOME.flatMap((name) => Object.keys(MUTATIONS).map((how) => [name, how] as const)))(
    '%s with any line %s differs there',
    async (name, how) => {
      const call = await readCall(join(FIXTURES, name));
      const mutate = MUTATIONS[how as keyof typeof MUTATIONS];
      const lines = outLines(call);
      const random = seeded(how.length + name.length);
      for (let i = 0; i < 12; i++) {
        const [at, line] = lines[Math.floor(random() * lines.length)] ?? [0, undefined];
        if (line === undefined || line.t < 130) continue;
        const found = mutated(call, at, mutate);
        const [first] = compareCalls(call, found, TOLERANCE);
        const text = first === undefined ? 'nothing' : tellDifference(first, call, found);
        expect(first?.edge, `${how} ${at}: ${text}`).toBe(line.on);
        expect(Math.abs((first?.t ?? 0) - line.t), `${how} ${at}: ${text}`).toBeLessThan(130 + NEAR_MS);
      }
    },
  );

  it.each(SOME)('%s with another sample differs at that sample', async (name) => {
    const call = await readCall(join(FIXTURES, name));
    const random = seeded(5);
    const sent = outLines(call).flatMap(([, line]) => audioRefsOf(line));
    for (let i = 0; i < 12; i++) {
      const ref = sent[Math.floor(random() * sent.length)];
      if (ref === undefined) throw new Error('a fixture without audio');
      const sample = ref.at + Math.floor(random() * ref.n);
      expect(compareCalls(call, withSample(call, ref.wav, sample), TOLERANCE)).toMatchObject([
        { kind: 'audio', audio: { wav: ref.wav, sample, foundSample: sample, differing: 1 } },
      ]);
    }
  });
});

/** A call with another sample in one of its WAVs, far from the one that is there. */
function withSample(call: StoredCall, name: string, sample: number): StoredCall {
  const wav = call.wavs.get(name);
  if (wav === undefined) throw new Error(`no ${name}.wav`);
  const bytes = Uint8Array.from(wav.bytes);
  const isPcm = wav.format.encoding === 'pcm16';
  const at = isPcm ? 2 * sample + 1 : sample;
  const byte = bytes[at] ?? 0;
  // The upper byte, or the loudest code of the other sign.
  bytes[at] = isPcm ? byte ^ 0x40 : wav.format.encoding === 'alaw' ? 0xaa ^ (byte & 0x80) : ~byte & 0x80;
  return { ...call, wavs: new Map([...call.wavs, [name, { ...wav, bytes }]]) };
}
