import { describe, expect, it } from 'vitest';
import { BARGE_IN, type BargeInPolicy } from '../src/agents.ts';
import { type AudioFormat, bytesPerMs, formatName, MULAW_8K } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { CutIn, listensLocally } from '../src/cut-in.ts';
import type { CallLeg } from '../src/leg.ts';
import type { PlayoutLeg } from '../src/playout-options.ts';
import type { ProviderCapabilities } from '../src/provider.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { noiseSamples } from './support/noise.ts';
import { BEFORE_MS, onLine, sentence, voiceOnset } from './support/onsets.ts';
import { toBytes, toInt16 } from './support/signal.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

const PCM_8K: AudioFormat = { encoding: 'pcm16', rate: 8000 };

function provider(more: Partial<ProviderCapabilities> = {}): ProviderCapabilities {
  return new ManualProvider(undefined, { bargeIn: 'interrupted', ...more }).capabilities;
}

/** Whole samples at 8 kHz in another format. */
function inFormat(samples: Int16Array, format: AudioFormat): Uint8Array {
  return createTranscoder(PCM_8K, format).push(toBytes(samples)).slice();
}

class OddLeg extends VirtualLeg {
  override readonly input: AudioFormat;
  override readonly output: AudioFormat;

  constructor(clock: VirtualClock, format: AudioFormat) {
    super(clock);
    this.input = format;
    this.output = format;
  }
}

function make(policy: Partial<BargeInPolicy> = {}, format = MULAW_8K) {
  const clock = new VirtualClock();
  const told: string[] = [];
  const at: number[] = [];
  const agent = { speaks: true };
  const tell = (what: string) => (): void => {
    // A caller who speaks on is told again and again; here once is enough.
    if (told.at(-1) === what) return;
    told.push(what);
    at.push(clock.now());
  };
  const cutIn = new CutIn({
    policy: { ...BARGE_IN, guardMs: 0, ...policy },
    clock,
    createTranscoder,
    agentSpeaks: () => agent.speaks,
    onSpeech: tell('speech'),
    onQuiet: tell('quiet'),
    onCutIn: tell('cut in'),
  });
  const leg: CallLeg = new OddLeg(clock, format);
  const line = cutIn.attach(leg);
  cutIn.connect(provider());
  /** The caller's side, 20 ms after 20 ms; meanwhile `before` happens before every frame. */
  const hear = (samples: Int16Array, before: (ms: number) => void = () => undefined): void => {
    const bytes = inFormat(samples, format);
    const size = 20 * bytesPerMs(format);
    for (let from = 0; from + size <= bytes.length; from += size) {
      before((from / size) * 20);
      clock.advance(20);
      cutIn.hear(bytes.subarray(from, from + size));
    }
  };
  return { clock, cutIn, told, at, agent, leg, line, hear };
}

/** Hands the agent's speech to the line as playout does: at most `leadMs` ahead. */
function player(line: PlayoutLeg, samples: Int16Array, leadMs: number, fromMs = 0): (ms: number) => void {
  const bytes = inFormat(samples, line.output);
  const size = 100 * bytesPerMs(line.output);
  let at = 0;
  return (ms) => {
    while (at < bytes.length && at / bytesPerMs(line.output) < ms - fromMs + leadMs) {
      line.play(bytes.subarray(at, at + size));
      at += size;
    }
  };
}

function silence(ms: number): Int16Array {
  return onLine(new Int16Array(ms * 8), -90, -60);
}

function mixed(one: Int16Array, other: Int16Array, atMs: number, gain = 1): Int16Array {
  const sum = Float64Array.from(one);
  for (let i = 0; i < other.length && atMs * 8 + i < sum.length; i++) {
    sum[atMs * 8 + i] = (sum[atMs * 8 + i] ?? 0) + gain * (other[i] ?? 0);
  }
  return toInt16(sum);
}

describe('who listens for the caller', () => {
  it.each([
    ['auto', 'speech-started', 'turns', false],
    ['auto', 'interrupted', 'turns', true],
    ['auto', 'none', 'turns', true],
    // It stops by itself, but says nothing of the caller.
    ['auto', 'none', 'continuous', true],
    ['local', 'speech-started', 'turns', true],
    ['local', 'none', 'continuous', true],
    ['provider', 'interrupted', 'turns', false],
  ] as const)(
    '%s with a provider that tells %s and speaks in %s: %s',
    (detector, bargeIn, speech, wanted) => {
      expect(listensLocally({ ...BARGE_IN, detector }, provider({ bargeIn, speech }))).toBe(wanted);
    },
  );
});

describe('a caller who cuts in', () => {
  it.each<AudioFormat>([
    MULAW_8K,
    { encoding: 'alaw', rate: 8000 },
    PCM_8K,
    { encoding: 'pcm16', rate: 16_000 },
    { encoding: 'pcm16', rate: 24_000 },
  ])('is heard within 150 ms on a line of %o', (format) => {
    const { hear, told, at } = make({}, format);
    hear(onLine(sentence('0880'), -18, -55));
    expect(told.slice(0, 2), formatName(format)).toEqual(['speech', 'cut in']);
    expect((at[0] ?? 0) - BEFORE_MS - voiceOnset(sentence('0880'))).toBeLessThanOrEqual(150);
  });

  it('is heard in media messages of any length', () => {
    const { cutIn, clock, told } = make();
    const bytes = inFormat(onLine(sentence('0880'), -18, -55), MULAW_8K);
    for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 403) {
      clock.advance(size / 8);
      cutIn.hear(bytes.subarray(at, at + size));
    }
    expect(told).toContain('cut in');
  });

  it('only speaks when the agent is quiet', () => {
    const { hear, told, agent } = make();
    agent.speaks = false;
    hear(onLine(sentence('0880'), -18, -55));
    hear(silence(800));
    expect(told).toEqual(['speech', 'quiet']);
  });

  it('has to go on for a moment to cut off an agent that begins while they speak', () => {
    const { hear, told, agent, at } = make();
    agent.speaks = false;
    const line = onLine(sentence('0870'), -18, -55);
    hear(line.subarray(0, 16_000));
    expect(told).toEqual(['speech']);
    agent.speaks = true;
    const began = 2000;
    hear(line.subarray(16_000));
    expect(told.slice(0, 2)).toEqual(['speech', 'cut in']);
    expect((at[1] ?? 0) - began).toBeGreaterThanOrEqual(60);
  });
});

describe('the echo of the agent', () => {
  const speech = onLine(sentence('0870'), -11, -80);
  const quiet = (): Int16Array => silence(speech.length / 8 + 1500);

  it.each([0, 20, 110, 250, 430, 700])('20 dB down and %i ms late does not cut it off', (delayMs) => {
    const { hear, told, line } = make();
    hear(mixed(quiet(), speech, delayMs, 0.1), player(line, speech, 1000));
    expect(told).toEqual([]);
  });

  it('does not when the network is slow as well', () => {
    const { hear, told, line, leg } = make();
    Object.assign(leg, { roundTripMs: 400 });
    hear(mixed(quiet(), speech, 1000, 0.1), player(line, speech, 1000));
    expect(told).toEqual([]);
  });

  it('does not after the agent was cut off either, while it is in the air', () => {
    const { hear, told, line } = make();
    const play = player(line, speech, 1000);
    hear(mixed(quiet(), speech.subarray(0, 20_000), 600, 0.1), (ms) => {
      if (ms < 2500) play(ms);
      if (ms === 2500) line.clear();
    });
    expect(told).toEqual([]);
  });

  it('does when it is as loud as speech, because then it cannot be told apart', () => {
    const { hear, told, line } = make();
    hear(mixed(quiet(), speech, 100, 1), player(line, speech, 1000));
    expect(told).toContain('cut in');
  });

  // Over a loud agent, only the loud vowels of a soft voice stand out.
  it.each([
    [-16, 150],
    [-22, 600],
  ])('does not hide a caller who speaks at %i dBm0 over it: %i ms', (level, most) => {
    const { hear, told, at, line } = make();
    const echo = mixed(quiet(), speech, 250, 0.1);
    const caller = onLine(sentence('0890'), level, -80);
    hear(mixed(echo, caller, 1500), player(line, speech, 1000));
    expect(told.slice(0, 2)).toEqual(['speech', 'cut in']);
    const delay = (at[0] ?? 0) - 1500 - BEFORE_MS - voiceOnset(sentence('0890'));
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThanOrEqual(most);
  });

  it('is forgotten a second after it was heard last: a soft caller counts again', () => {
    const { hear, told, line } = make();
    hear(
      mixed(silence(5000), speech.subarray(0, 16_000), 100, 0.1),
      player(line, speech.subarray(0, 16_000), 0),
    );
    hear(onLine(sentence('0880'), -38, -60));
    expect(told).toContain('speech');
  });
});

describe('the first second of the greeting', () => {
  const greeting = onLine(sentence('0890'), -14, -80);
  /** Voice of this length, as in "hello?". */
  const hello = (ms: number): Int16Array => {
    const speech = sentence('0890');
    const from = voiceOnset(speech) * 8;
    return onLine(speech.subarray(from, from + ms * 8), -14, -80);
  };

  it('is not cut off by a hello', () => {
    const { hear, told, line } = make({ guardMs: 1000 });
    hear(mixed(silence(6000), hello(350), 500), player(line, greeting.subarray(8000), 0, BEFORE_MS));
    expect(told).toEqual([]);
  });

  it('is cut off by who goes on', () => {
    const { hear, told, at, line } = make({ guardMs: 1000 });
    hear(mixed(silence(6000), hello(3000), 500), player(line, greeting.subarray(8000), 0, BEFORE_MS));
    expect(told).toContain('cut in');
    expect(at[0]).toBeGreaterThanOrEqual(BEFORE_MS + 500 + 600);
    expect(at[0]).toBeLessThanOrEqual(BEFORE_MS + 500 + 1200);
  });

  it('is over after a second, and needs to be heard to count', () => {
    const { hear, told, at, line } = make({ guardMs: 1000 });
    const silent = new Int16Array(24_000);
    hear(mixed(silence(8000), hello(400), 2800), (ms) => {
      player(line, silent, 3000)(ms === 0 ? 0 : -9000);
    });
    expect(told[0]).toBe('speech');
    expect((at[0] ?? 0) - BEFORE_MS - 2800).toBeLessThanOrEqual(150);
  });

  it.each(['cough', 'door-slam', 'dtmf-number', 'hum-50', 'ringback-us', 'breath'] as const)(
    'is not cut off by %s, nor is what comes later',
    (name) => {
      const { hear, told, line } = make({ guardMs: 1000 });
      const noise = noiseSamples(name);
      hear(mixed(silence(7000), noise, 200), player(line, greeting, 1000));
      hear(noise);
      expect(told).toEqual([]);
    },
  );
});

describe('an ear for callers', () => {
  it('is told that the speech is over when the carrier stops sending', () => {
    const { hear, told, clock } = make();
    hear(onLine(sentence('0880'), -18, -55).subarray(0, 20_000));
    expect(told).toEqual(['speech', 'cut in']);
    clock.advance(990);
    expect(told).toHaveLength(2);
    clock.advance(20);
    expect(told).toEqual(['speech', 'cut in', 'quiet']);
    expect(clock.pending).toBe(0);
  });

  it('waits no longer for a carrier that sends while the caller speaks', () => {
    const { hear, told, clock } = make();
    hear(onLine(sentence('0870'), -18, -55));
    hear(silence(1500));
    expect(told.filter((what) => what === 'quiet')).toHaveLength(1);
    clock.advance(5000);
    expect(told.filter((what) => what === 'quiet')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('goes on with the next provider of its kind, which is told that the caller speaks', () => {
    const { hear, told, cutIn } = make();
    hear(onLine(sentence('0880'), -18, -55).subarray(0, 20_000));
    told.splice(0);
    cutIn.connect(provider());
    expect(told).toEqual(['speech']);
  });

  it('leaves it to a provider that tells by itself, and comes back with one that does not', () => {
    const { hear, told, cutIn, clock } = make();
    const line = onLine(sentence('0880'), -18, -55);
    hear(line.subarray(0, 20_000));
    cutIn.connect(provider({ bargeIn: 'speech-started' }));
    expect(told).toEqual(['speech', 'cut in', 'quiet']);
    expect(cutIn.on).toBe(false);
    hear(line);
    expect(told).toHaveLength(3);
    expect(clock.pending).toBe(0);
    cutIn.connect(provider());
    hear(line);
    expect(told.slice(3, 5)).toEqual(['speech', 'cut in']);
  });

  it('hears the next leg, in its format', () => {
    const { told, cutIn, clock } = make();
    cutIn.detach();
    cutIn.hear(new Uint8Array(160));
    const format: AudioFormat = { encoding: 'alaw', rate: 8000 };
    cutIn.attach(new OddLeg(clock, format));
    const bytes = inFormat(onLine(sentence('0880'), -18, -55), format);
    for (let at = 0; at < bytes.length; at += 160) {
      clock.advance(20);
      cutIn.hear(bytes.subarray(at, at + 160));
    }
    expect(told.slice(0, 2)).toEqual(['speech', 'cut in']);
  });

  it('is done with a caller whom it is not to listen to, or whose line is gone', () => {
    const { hear, told, cutIn } = make();
    const line = onLine(sentence('0880'), -18, -55).subarray(0, 20_000);
    hear(line);
    cutIn.abandon();
    cutIn.abandon();
    expect(told).toEqual(['speech', 'cut in', 'quiet']);
    hear(line);
    cutIn.detach();
    expect(told).toEqual(['speech', 'cut in', 'quiet', 'speech', 'cut in', 'quiet']);
  });

  it('says nothing any more when it is closed', () => {
    const { hear, told, cutIn, clock } = make();
    const line = onLine(sentence('0880'), -18, -55);
    hear(line.subarray(0, 20_000));
    cutIn.close();
    clock.advance(5000);
    expect(told).toEqual(['speech', 'cut in']);
    hear(line);
    expect(told).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });
});
