import { describe, expect, it } from 'vitest';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { SpeechRing } from '../src/fallback/speech-ring.ts';
import { onLine, sentence } from './support/onsets.ts';
import { seeded } from './support/signal.ts';

const PCM_16K: AudioFormat = { encoding: 'pcm16', rate: 16_000 };
const SECOND = 8000;

/** About three seconds of speech, a second of noise before and half a second after it; mu-law. */
function said(seed = 3): Uint8Array {
  return encodeG711('mulaw', onLine(sentence('0880'), -18, -50, seed));
}

function noise(ms: number, seed = 7): Uint8Array {
  return encodeG711('mulaw', onLine(new Int16Array(ms * 8).fill(1), -100, -50, seed).subarray(0, ms * 8));
}

function make(format = MULAW_8K) {
  const lost: number[] = [];
  const ring = new SpeechRing(format, (bytes) => lost.push(bytes));
  return { ring, lost: () => lost.reduce((sum, bytes) => sum + bytes, 0) };
}

/** As carriers send it. */
function pushed(ring: SpeechRing, bytes: Uint8Array, size = 160): void {
  for (let at = 0; at < bytes.length; at += size) ring.push(bytes.subarray(at, at + size));
}

function read(ring: SpeechRing, size = 4000): Buffer {
  const parts: Uint8Array[] = [];
  const piece = new Uint8Array(size);
  for (let count = ring.read(piece); count > 0; count = ring.read(piece)) parts.push(piece.slice(0, count));
  return Buffer.concat(parts);
}

function bytesOf(length: number, seed: number): Uint8Array {
  const random = seeded(seed);
  return Uint8Array.from({ length }, () => 256 * random());
}

describe('the ring of what the caller said', () => {
  it('gives back what came, however it was cut, and whatever is asked for at once', () => {
    for (const [seed, largest] of [
      [1, 7],
      [2, 400],
      [3, 3000],
      [4, 20_000],
    ] as const) {
      const random = seeded(seed);
      const whole = bytesOf(60_000, seed);
      const { ring, lost } = make(seed % 2 === 0 ? PCM_16K : MULAW_8K);
      const out: Uint8Array[] = [];
      for (let at = 0; at < whole.length; ) {
        const end = at + 1 + Math.floor(random() * largest);
        ring.push(whole.subarray(at, end));
        at = Math.min(end, whole.length);
        if (random() < 0.05) out.push(read(ring, 1 + Math.floor(random() * 5000)));
      }
      out.push(read(ring));
      expect(Buffer.concat(out).equals(whole)).toBe(true);
      expect(ring.pending).toBe(0);
      expect(ring.end).toBe(60_000);
      expect(lost()).toBe(0);
    }
  });

  it('gives holes as silence, short and long ones, at the end as well', () => {
    const { ring } = make();
    const [one, two] = [bytesOf(100, 5), bytesOf(250, 6)];
    ring.push(one);
    ring.pushSilence(160);
    ring.push(two);
    ring.pushSilence(3 * SECOND);
    ring.push(one);
    ring.pushSilence(SECOND);
    const silence = (count: number): Uint8Array => new Uint8Array(count).fill(0xff);
    expect(ring.end).toBe(100 + 160 + 250 + 3 * SECOND + 100 + SECOND);
    expect(read(ring, 777)).toEqual(
      Buffer.concat([one, silence(160), two, silence(3 * SECOND), one, silence(SECOND)]),
    );
  });

  it.each([160, 80, 100])('holds ten seconds of messages of %i bytes, and says what was lost', (size) => {
    const { ring, lost } = make();
    const whole = bytesOf(13 * SECOND, 8);
    pushed(ring, whole, size);
    expect(lost()).toBe(3 * SECOND);
    expect(read(ring).equals(whole.subarray(3 * SECOND))).toBe(true);
    ring.push(whole.subarray(0, 160));
    expect(lost()).toBe(3 * SECOND);
  });

  it('counts a long hole as part of the ten seconds of whoever comes first', () => {
    const { ring, lost } = make();
    pushed(ring, bytesOf(4 * SECOND, 9));
    ring.pushSilence(9 * SECOND);
    expect(lost()).toBe(3 * SECOND);
    expect(ring.pending).toBe(10 * SECOND);
  });

  it('takes a message that is longer than itself', () => {
    const { ring, lost } = make();
    const whole = bytesOf(25 * SECOND, 10);
    ring.push(whole);
    expect(read(ring).equals(whole.subarray(15 * SECOND))).toBe(true);
    expect(lost()).toBe(15 * SECOND);
  });

  it('loses nothing that was delivered, and nothing that is accounted for', () => {
    const { ring, lost } = make();
    ring.trims = true;
    const talk = encodeG711('mulaw', onLine(sentence('0870'), -18, -50)).subarray(SECOND, 8 * SECOND);
    for (let i = 0; i < 3; i++) {
      pushed(ring, talk);
      ring.delivered();
    }
    expect(lost()).toBe(0);
    pushed(ring, talk);
    ring.accountFor(ring.end);
    pushed(ring, noise(12_000));
    expect(lost()).toBe(0);
  });

  it('keeps ten seconds of speech and drops what is older, of somebody who never stops', () => {
    const { ring, lost } = make();
    ring.trims = true;
    const talk = encodeG711('mulaw', onLine(sentence('0870'), -18, -50)).subarray(SECOND, 8 * SECOND);
    for (let i = 0; i < 3; i++) pushed(ring, talk);
    const { bytes, spokenMs } = ring.speech();
    expect(spokenMs).toBeGreaterThan(8000);
    expect(bytes.length).toBeLessThanOrEqual(10 * SECOND);
    expect(Buffer.from(bytes.subarray(-160)).equals(talk.subarray(-160))).toBe(true);
    expect(lost()).toBeGreaterThan(9 * SECOND);
    expect(lost()).toBeLessThanOrEqual(11 * SECOND + 160);
  });

  it('has what was said half a minute ago, when nothing was said since', () => {
    const { ring, lost } = make();
    ring.trims = true;
    const words = said();
    pushed(ring, words);
    const before = ring.speech();
    pushed(ring, noise(30_000));
    const after = ring.speech();
    expect(before.speaking).toBe(false);
    expect(after.spokenMs).toBe(before.spokenMs);
    expect(Buffer.from(after.bytes).includes(Buffer.from(before.bytes.subarray(1600, -4000)))).toBe(true);
    expect(after.bytes.length).toBeLessThan(before.bytes.length + 8 * 1200);
    expect(lost()).toBe(0);
  });

  it('has all that was said in a minute of few words, in order', () => {
    const { ring } = make();
    ring.trims = true;
    const words = [said(11), said(12)];
    pushed(ring, words[0] ?? said());
    pushed(ring, noise(25_000, 13));
    pushed(ring, words[1] ?? said());
    pushed(ring, noise(25_000, 14));
    const { bytes, speaking } = ring.speech();
    const middles = words.map((codes) => Buffer.from(bytes).indexOf(codes.subarray(12_000, 24_000)));
    expect(middles[0]).toBeGreaterThan(0);
    expect(middles[1]).toBeGreaterThan((middles[0] ?? 0) + 12_000);
    expect(speaking).toBe(false);
  });

  it('never gives what is accounted for, which only moves on', () => {
    const { ring } = make();
    ring.trims = true;
    pushed(ring, said(21));
    const first = ring.end;
    expect(ring.unanswered().spokenMs).toBeGreaterThan(2000);
    ring.accountFor(first);
    expect(ring.unanswered()).toEqual({ spokenMs: 0, speaking: false });
    expect(ring.speech().bytes.length).toBe(0);
    pushed(ring, said(22));
    const second = ring.speech();
    ring.accountFor(first - SECOND);
    ring.accountFor(Number.NaN);
    ring.accountFor(-5);
    expect(ring.speech().bytes).toEqual(second.bytes);
    ring.accountFor(Number.POSITIVE_INFINITY);
    expect(ring.unanswered().spokenMs).toBe(0);
    // The future is not accounted for.
    pushed(ring, said(23));
    expect(ring.unanswered().spokenMs).toBeGreaterThan(2000);
  });

  it('begins with what comes after an account in the middle of a word', () => {
    const { ring } = make();
    const words = said(31);
    pushed(ring, words);
    ring.accountFor(20_003);
    expect(Buffer.from(ring.speech().bytes.subarray(0, 320)).equals(words.subarray(20_160, 20_480))).toBe(
      true,
    );
  });

  it('does not tear a sample that has come by half', () => {
    const { ring } = make(PCM_16K);
    const whole = bytesOf(32_001, 40);
    pushed(ring, whole, 641);
    expect(ring.speech().bytes.length % 2).toBe(0);
    ring.skip();
    expect(ring.pending).toBe(1);
    ring.push(whole.subarray(0, 1));
    expect(read(ring)).toEqual(Buffer.from([whole[32_000] ?? 0, whole[0] ?? 0]));
  });

  it('knows the noise of the line, and takes no voice for it', () => {
    const { ring } = make();
    expect(ring.noise().length).toBe(0);
    pushed(ring, said(51).subarray(0, 20_000));
    const heard = ring.noise();
    expect(heard.length).toBe(300 * 8);
    expect(
      Buffer.from(said(51).subarray(0, SECOND + 1600)).includes(Buffer.from(heard.subarray(0, 160))),
    ).toBe(true);
  });

  it('still knows it when it has just made room', () => {
    const { ring } = make();
    ring.trims = true;
    pushed(ring, noise(10_020));
    expect(ring.noise().length).toBe(300 * 8);
    expect(ring.unanswered().spokenMs).toBe(0);
  });

  it('gives its own copy, which later speech does not change', () => {
    const { ring } = make();
    ring.trims = true;
    pushed(ring, said(61));
    const { bytes } = ring.speech();
    const copy = bytes.slice();
    for (let i = 0; i < 4; i++) pushed(ring, said(62 + i));
    expect(bytes).toEqual(copy);
  });
});
