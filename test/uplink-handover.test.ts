import { describe, expect, it } from 'vitest';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { Pacer } from '../src/pacer.ts';
import { Uplink, type UplinkSession } from '../src/uplink.ts';
import { find, samplesOf } from './support/likeness.ts';
import { onLine, sentence } from './support/onsets.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const PCM_24K: AudioFormat = { encoding: 'pcm16', rate: 24_000 };
const PCM_8K: AudioFormat = { encoding: 'pcm16', rate: 8000 };
const REPLAY = { replay: true };
const NO_REPLAY = { replay: false };
/** A second of noise, three of speech, half a second of noise. */
const SAID = encodeG711('mulaw', onLine(sentence('0880'), -18, -50)).subarray(0, 35_200);
const MORE = encodeG711('mulaw', onLine(sentence('0870'), -18, -50)).subarray(8000, 40_000);
const NOISE = encodeG711('mulaw', onLine(new Int16Array(160_000).fill(1), -100, -50)).subarray(0, 160_000);

class Listener implements UplinkSession {
  readonly pieces: Uint8Array[] = [];
  takes = true;
  onAudio: () => void = () => undefined;

  sendAudio(bytes: Uint8Array): boolean {
    this.pieces.push(bytes.slice());
    this.onAudio();
    return this.takes;
  }

  get heard(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

function make(format = MULAW_8K) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const errors: unknown[] = [];
  const uplink = new Uplink({ format, clock, pacer, onFailed: (error) => errors.push(error) });
  let atMs = 0;
  const perFrame = format.encoding === 'pcm16' ? (format.rate / 50) * 2 : 160;
  /** In real time; a hole of `skipMs` before it. */
  const hear = (bytes: Uint8Array, skipMs = 0): void => {
    atMs += skipMs;
    for (let at = 0; at < bytes.length; at += perFrame) {
      uplink.receive(bytes.subarray(at, at + perFrame), atMs);
      clock.advance(20);
      atMs += 20;
    }
  };
  const join = (options?: { replay: boolean }, to = MULAW_8K) => {
    const listener = new Listener();
    const handed = uplink.connect(listener, createTranscoder(format, to), options);
    return { listener, handed };
  };
  return { clock, pacer, uplink, hear, join, errors };
}

describe('a provider that takes the place of another', () => {
  it('hears what nobody has answered, then what came meanwhile, then all that comes', () => {
    const { uplink, hear, join, clock, pacer } = make();
    const first = join();
    hear(SAID.subarray(0, 24_000));
    uplink.disconnect();
    // In the middle of a word.
    hear(SAID.subarray(24_000, 30_000));
    const { listener, handed } = join(REPLAY);
    const live = MORE.subarray(0, 16_000);
    hear(live);
    expect(first.listener.heard.equals(SAID.subarray(0, 24_000))).toBe(true);
    expect(handed.speaking).toBe(true);
    expect(handed.replayedMs).toBeGreaterThan(2000);
    const at = listener.heard.indexOf(SAID.subarray(10_000, 30_000));
    expect(at).toBeGreaterThan(0);
    expect(listener.heard.subarray(at + 20_000).equals(live)).toBe(true);
    clock.advance(1000);
    expect(pacer.size).toBe(0);
  });

  it('is sent the past in pieces, one at every beat, and nothing of the present before it', () => {
    const { uplink, hear, join, clock } = make();
    join();
    hear(SAID);
    uplink.disconnect();
    const { listener } = join(REPLAY);
    expect(listener.pieces.map(({ length }) => length)).toEqual([4000]);
    uplink.receive(new Uint8Array(160).fill(0x11), undefined);
    expect(listener.pieces).toHaveLength(1);
    const sizes: number[] = [];
    for (let i = 0; i < 20; i++) {
      const before = listener.pieces.length;
      clock.advance(20);
      sizes.push(listener.pieces.length - before);
    }
    expect(Math.max(...sizes)).toBe(1);
    expect(Math.max(...listener.pieces.map(({ length }) => length))).toBe(4000);
    expect(listener.pieces.at(-1)).toEqual(new Uint8Array(160).fill(0x11));
    expect(listener.heard.length).toBeLessThan(SAID.length);
    uplink.receive(new Uint8Array(160).fill(0x12), undefined);
    expect(listener.pieces.at(-1)).toEqual(new Uint8Array(160).fill(0x12));
  });

  it('hears the words whole in a format of its own', () => {
    const { uplink, hear, join } = make();
    join();
    hear(SAID.subarray(0, 26_000));
    uplink.disconnect();
    const { listener } = join(REPLAY, PCM_24K);
    hear(SAID.subarray(26_000));
    const word = samplesOf(createTranscoder(MULAW_8K, PCM_8K).push(SAID.subarray(22_000, 28_000)));
    const heard = samplesOf(createTranscoder(PCM_24K, PCM_8K).push(listener.heard));
    // Over the seam between what is replayed and what comes live.
    expect(find(word, heard).likeness).toBeGreaterThan(0.98);
  });

  it('hears nothing of the past when it is not to', () => {
    const { uplink, hear, join } = make();
    join();
    hear(SAID);
    uplink.disconnect();
    hear(MORE.subarray(0, 8000));
    const { listener, handed } = join(NO_REPLAY);
    expect(handed).toEqual({ replayedMs: 0, speaking: true });
    expect(listener.pieces).toEqual([]);
    hear(MORE.subarray(8000, 9600));
    expect(listener.heard.equals(MORE.subarray(8000, 9600))).toBe(true);
  });

  it('hears nothing of what is accounted for, and not even the noise when nothing was said', () => {
    const { uplink, hear, join } = make();
    join();
    hear(SAID);
    expect(uplink.positionMs).toBe(SAID.length / 8);
    expect(uplink.unanswered().spokenMs).toBeGreaterThan(2000);
    uplink.accountedFor(uplink.positionMs);
    uplink.disconnect();
    hear(NOISE.subarray(0, 16_000));
    const { listener, handed } = join(REPLAY);
    expect(handed).toEqual({ replayedMs: 0, speaking: false });
    // Just enough for a word that begins at this moment.
    expect(listener.heard.equals(NOISE.subarray(16_000 - 1600, 16_000))).toBe(true);
  });

  it('may die while it is told: the next one is told all of it', () => {
    const { uplink, hear, join, clock } = make();
    join();
    hear(SAID);
    uplink.disconnect();
    const second = join(REPLAY);
    clock.advance(40);
    const told = second.listener.heard.length;
    uplink.disconnect();
    clock.advance(500);
    expect(second.listener.heard.length).toBe(told);
    const third = join(REPLAY);
    clock.advance(500);
    expect(third.handed.replayedMs).toBe(second.handed.replayedMs);
    expect(third.listener.heard.indexOf(SAID.subarray(10_000, 30_000))).toBeGreaterThan(0);
  });

  it('may die at the very first piece, from within', () => {
    const { uplink, hear, join, clock, pacer } = make();
    join();
    hear(SAID);
    uplink.disconnect();
    const listener = new Listener();
    listener.onAudio = () => uplink.disconnect();
    uplink.connect(listener, createTranscoder(MULAW_8K, MULAW_8K), REPLAY);
    clock.advance(200);
    expect(listener.pieces).toHaveLength(1);
    expect(pacer.size).toBe(0);
    const next = join(REPLAY);
    clock.advance(500);
    expect(next.listener.heard.indexOf(SAID.subarray(10_000, 30_000))).toBeGreaterThan(0);
  });

  it('takes over at once from one that still lives', () => {
    const { uplink, hear, join } = make();
    const first = join();
    hear(NOISE.subarray(0, 8000));
    const second = join(NO_REPLAY);
    hear(MORE.subarray(0, 1600));
    expect(first.listener.heard.equals(NOISE.subarray(0, 8000))).toBe(true);
    expect(second.listener.heard.equals(MORE.subarray(0, 1600))).toBe(true);
    expect(uplink.counts.lostBeforeReadyMs).toBe(0);
  });

  it('hears a question that is half a minute old when the one before it kept still', () => {
    const { hear, join, uplink, clock } = make();
    join();
    hear(SAID);
    hear(NOISE);
    hear(NOISE.subarray(0, 80_000));
    uplink.disconnect();
    const { listener, handed } = join(REPLAY);
    clock.advance(500);
    expect(handed.speaking).toBe(false);
    expect(handed.replayedMs).toBeGreaterThan(2000);
    expect(listener.heard.indexOf(SAID.subarray(10_000, 30_000))).toBeGreaterThan(0);
    expect(listener.heard.length).toBeLessThan(40_000);
  });

  it('is not told what was lost, which is counted: more speech than ten seconds while nobody was there', () => {
    const { hear, join, uplink, clock } = make();
    join();
    hear(SAID);
    uplink.disconnect();
    for (let i = 0; i < 4; i++) hear(MORE);
    const { listener } = join(REPLAY);
    clock.advance(1000);
    expect(listener.heard.length).toBeLessThanOrEqual(80_000);
    expect(listener.heard.subarray(-24_000).equals(MORE.subarray(-24_000))).toBe(true);
    expect(uplink.counts.lostBeforeReadyMs).toBeGreaterThan(4000);
    expect(uplink.counts.lostBeforeReadyMs).toBeLessThan(7000);
  });

  it('is not told of a machine’s greeting, and of holes only so much that words do not run into each other', () => {
    const { hear, join, uplink, clock } = make();
    join();
    hear(SAID.subarray(0, 30_000));
    hear(SAID.subarray(10_000, 30_000), 6000);
    uplink.disconnect();
    const { listener } = join(REPLAY);
    clock.advance(500);
    const silence = listener.heard.indexOf(Buffer.alloc(1600, 0xff));
    expect(silence).toBeGreaterThan(0);
    expect(listener.heard.subarray(silence, silence + 4000).every((byte) => byte === 0xff)).toBe(false);
    uplink.accountedFor(uplink.positionMs);
    for (let at = 0; at < SAID.length; at += 160) uplink.mute(SAID.subarray(at, at + 160), undefined);
    expect(uplink.unanswered()).toEqual({ spokenMs: 0, speaking: false });
  });

  it('has the speech closed that the carrier left open while nobody was there', () => {
    const { hear, join, uplink, clock } = make();
    join();
    hear(SAID.subarray(0, 24_000));
    uplink.disconnect();
    uplink.speechStarted();
    clock.advance(2000);
    expect(uplink.counts.filledMs).toBe(1000);
    const { listener, handed } = join(REPLAY);
    clock.advance(500);
    expect(handed.speaking).toBe(false);
    expect(listener.heard.subarray(-6000).every((byte) => byte === 0xff)).toBe(true);
  });

  it('does not lose its place in samples that came by half', () => {
    const { hear, join, uplink } = make(PCM_8K);
    join(undefined, PCM_8K);
    const pcm = createTranscoder(MULAW_8K, PCM_8K).push(SAID).slice();
    hear(pcm);
    uplink.disconnect();
    uplink.receive(pcm.subarray(0, 321), undefined);
    const { listener } = join(NO_REPLAY, PCM_8K);
    uplink.receive(pcm.subarray(321, 641), undefined);
    uplink.receive(pcm.subarray(641, 960), undefined);
    uplink.tick(0);
    uplink.tick(0);
    expect(listener.heard.equals(pcm.subarray(320, 960))).toBe(true);
  });

  it('counts what it does not take', () => {
    const { hear, join, uplink, clock } = make();
    join();
    hear(SAID);
    uplink.disconnect();
    const listener = new Listener();
    listener.takes = false;
    uplink.connect(listener, createTranscoder(MULAW_8K, MULAW_8K), REPLAY);
    clock.advance(500);
    expect(uplink.counts.refused).toBe(listener.pieces.length);
    expect(listener.pieces.length).toBeGreaterThan(5);
  });
});

describe('the first provider', () => {
  it('is given all that was kept, the silence as well', () => {
    const { hear, join, clock } = make();
    hear(SAID);
    const { listener, handed } = join();
    clock.advance(500);
    expect(listener.heard.equals(SAID)).toBe(true);
    expect(handed).toEqual({ replayedMs: 0, speaking: false });
  });

  it('has nothing to be told when nothing came yet', () => {
    const { join, pacer } = make();
    expect(join().handed).toEqual({ replayedMs: 0, speaking: false });
    expect(pacer.size).toBe(0);
  });

  it('never came, and so the second one is told what was said before it', () => {
    const { hear, join, uplink, clock } = make();
    uplink.disconnect();
    hear(SAID);
    const { listener, handed } = join(REPLAY);
    clock.advance(500);
    expect(handed.replayedMs).toBeGreaterThan(2000);
    expect(listener.heard.indexOf(SAID.subarray(10_000, 30_000))).toBeGreaterThan(0);
  });
});
