import { describe, expect, it } from 'vitest';
import { BARGE_IN, type BargeInPolicy } from '../src/agents.ts';
import type { MachinePolicy } from '../src/answering-machine.ts';
import { MULAW_8K } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { CutIn } from '../src/cut-in.ts';
import { Hearing } from '../src/hearing.ts';
import { Pacer } from '../src/pacer.ts';
import type { ProviderSession } from '../src/provider.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { onLine, sentence } from './support/onsets.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

/** A second of noise, three of speech, 400 ms of noise. */
const SAID = encodeG711('mulaw', onLine(sentence('0880'), -18, -50)).subarray(0, 35_200);
const NOISE = encodeG711('mulaw', onLine(new Int16Array(80_000).fill(1), -100, -50)).subarray(0, 80_000);
const GUARDLESS: BargeInPolicy = { ...BARGE_IN, detector: 'provider', guardMs: 0 };

function make(policy: MachinePolicy = { mode: 'report' }, bargeIn: BargeInPolicy = BARGE_IN) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const heard: number[] = [];
  const done: string[] = [];
  const ear: string[] = [];
  const agent = { speaks: false };
  const hearing = new Hearing({
    policy,
    greetingEndTold: true,
    clock,
    pacer,
    cutIn: new CutIn({
      policy: bargeIn,
      clock,
      createTranscoder,
      agentSpeaks: () => agent.speaks,
      onSpeech: () => ear.push('speech'),
      onQuiet: () => ear.push('quiet'),
      onCutIn: () => {
        if (ear.at(-1) !== 'cut in') ear.push('cut in');
      },
    }),
    createTranscoder,
    onMachine: () => done.push('machine'),
    onHangUp: () => done.push('hang-up'),
    onLeaveMessage: () => done.push('message'),
    onFailed: (error) => {
      throw error;
    },
  });
  const provider: ProviderSession = {
    input: MULAW_8K,
    output: MULAW_8K,
    sendAudio: (bytes) => {
      for (let at = 0; at < bytes.length; at += 160) heard.push(bytes[at] ?? -1);
      return true;
    },
    sendText: () => undefined,
    say: () => undefined,
    sendToolResult: () => undefined,
    interrupt: () => undefined,
    close: () => Promise.resolve(),
  };
  const frame = (value: number, atMs?: number): void => hearing.hear(new Uint8Array(160).fill(value), atMs);
  /** In real time. */
  const hear = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; at += 160) {
      hearing.hear(bytes.subarray(at, at + 160), undefined);
      clock.advance(20);
    }
  };
  const { capabilities } = new ManualProvider();
  return {
    ear,
    agent,
    hear,
    clock,
    pacer,
    hearing,
    provider,
    capabilities,
    heard,
    done,
    frame,
    leg: () => new VirtualLeg(clock),
  };
}

describe('what the agent hears', () => {
  it('goes on from leg to leg, each with times of its own, and is counted together', () => {
    const { hearing, provider, capabilities, heard, frame, leg } = make();
    hearing.connect(provider, capabilities);
    hearing.attach(leg());
    frame(1, 5000);
    frame(2, 5060);
    hearing.detach();
    hearing.attach(leg());
    // The next stream begins to count where it likes: that is no hole.
    frame(3, 0);
    frame(4, 20);
    expect(heard).toEqual([1, 0xff, 0xff, 2, 3, 4]);
    expect(hearing.counts).toMatchObject({ framesIn: 4, filledMs: 40, refused: 0 });
  });

  it('is kept for a provider that is not ready, of the leg that is there', () => {
    const { hearing, provider, capabilities, heard, frame, leg, clock } = make();
    hearing.attach(leg());
    frame(1, 0);
    frame(2, 20);
    hearing.connect(provider, capabilities);
    clock.advance(100);
    expect(heard).toEqual([1, 2]);
  });

  it('is nothing while there is no leg, and nobody is on the pacer then', () => {
    const { hearing, provider, capabilities, heard, frame, leg, pacer } = make();
    hearing.connect(provider, capabilities);
    hearing.attach(leg());
    hearing.speechStarted();
    expect(pacer.size).toBe(1);
    hearing.detach();
    hearing.detach();
    frame(1);
    expect(heard).toEqual([]);
    expect(pacer.size).toBe(0);
    expect(hearing.lastMediaAt).toBeUndefined();
  });

  it('says when it heard something last, also of a machine that is not listened to', () => {
    const { hearing, provider, capabilities, frame, leg, clock } = make({
      mode: 'leave-message',
      message: 'x',
    });
    hearing.connect(provider, capabilities);
    clock.advance(1000);
    hearing.attach(leg());
    expect(hearing.lastMediaAt).toBe(1000);
    hearing.machine('machine', false);
    clock.advance(500);
    frame(1);
    expect(hearing.lastMediaAt).toBe(1500);
  });

  it('is silence instead of a machine’s greeting, holes and all', () => {
    const { hearing, provider, capabilities, heard, frame, leg, done } = make({
      mode: 'leave-message',
      message: 'x',
    });
    hearing.connect(provider, capabilities);
    hearing.attach(leg());
    frame(1, 0);
    hearing.machine('machine', false);
    expect(hearing.deaf).toBe(true);
    frame(2, 20);
    frame(3, 80);
    expect(heard).toEqual([1, 0xff, 0xff, 0xff, 0xff]);
    expect(done).toEqual(['machine']);
  });

  it('does not matter of a machine that is only reported', () => {
    const { hearing, provider, capabilities, heard, frame, leg } = make();
    hearing.connect(provider, capabilities);
    hearing.attach(leg());
    hearing.machine('machine', true);
    frame(2, 0);
    expect(hearing.deaf).toBe(false);
    expect(heard).toEqual([2]);
  });

  it('of a machine is acted upon when both the leg and the provider are there, in order', () => {
    const { hearing, provider, capabilities, leg, done } = make({ mode: 'leave-message', message: 'x' });
    hearing.machine('machine', false);
    hearing.attach(leg());
    hearing.machine('machine-beep', true);
    expect(done).toEqual([]);
    hearing.connect(provider, capabilities);
    expect(done).toEqual(['machine', 'message']);
  });

  it('of a machine waits while there is no leg, whatever is found out meanwhile', () => {
    const { hearing, provider, capabilities, leg, done, clock } = make({
      mode: 'leave-message',
      message: 'x',
    });
    hearing.connect(provider, capabilities);
    hearing.attach(leg());
    hearing.machine('machine', false);
    hearing.detach();
    clock.advance(60_000);
    hearing.machine('machine-beep', true);
    expect(done).toEqual(['machine']);
    hearing.attach(leg());
    expect(done).toEqual(['machine', 'message']);
    clock.advance(60_000);
    expect(done).toEqual(['machine', 'message']);
  });

  it('is over with the call', () => {
    const { hearing, provider, capabilities, heard, frame, leg, clock, pacer } = make({ mode: 'hang-up' });
    hearing.connect(provider, capabilities);
    hearing.attach(leg());
    hearing.close();
    frame(1);
    hearing.machine('machine', false);
    expect(heard).toEqual([]);
    expect(clock.pending).toBe(0);
    expect(pacer.size).toBe(0);
  });
});

describe('what the agent hears when its provider is exchanged', () => {
  it('is what nobody has answered, and then what comes', () => {
    const { hearing, provider, capabilities, heard, hear, leg, clock } = make();
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    hear(NOISE.subarray(0, 16_000));
    expect(hearing.positionMs).toBe(2000);
    hearing.accountedFor(hearing.positionMs);
    hear(SAID.subarray(0, 20_000));
    hearing.disconnect();
    hear(SAID.subarray(20_000));
    const { spokenMs, speaking } = hearing.unanswered();
    expect(spokenMs).toBeGreaterThan(2000);
    expect(speaking).toBe(false);
    expect(hearing.positionMs).toBe(2000 + SAID.length / 8);
    heard.length = 0;
    expect(hearing.connect(provider, capabilities, { replay: true })).toEqual({
      replayedMs: spokenMs,
      speaking,
    });
    clock.advance(500);
    expect(heard.length * 20).toBeGreaterThanOrEqual(spokenMs);
    expect(heard.length * 20).toBeLessThan(SAID.length / 8);
    hearing.accountedFor(hearing.positionMs);
    expect(hearing.unanswered()).toEqual({ spokenMs: 0, speaking: false });
  });

  it('is nothing of the past for a provider that wants it in real time, whatever was asked for', () => {
    const { hearing, provider, capabilities, heard, frame, hear, leg } = make();
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    hear(SAID);
    hearing.disconnect();
    heard.length = 0;
    const handed = hearing.connect(provider, { ...capabilities, catchUp: false }, { replay: true });
    expect(handed).toEqual({ replayedMs: 0, speaking: false });
    frame(0x21);
    expect(heard).toEqual([0x21]);
  });

  it('is all that was kept for the first one, also if that wants it in real time', () => {
    const { hearing, provider, capabilities, heard, hear, leg, clock } = make();
    hearing.attach(leg());
    hear(SAID);
    hearing.connect(provider, { ...capabilities, catchUp: false });
    clock.advance(500);
    expect(heard.length).toBe(SAID.length / 160);
  });

  it('is nothing without a line, of which there is nothing to tell', () => {
    const { hearing, provider, capabilities, leg, hear } = make();
    expect(hearing.positionMs).toBe(0);
    hearing.accountedFor(500);
    expect(hearing.unanswered()).toEqual({ spokenMs: 0, speaking: false });
    hearing.connect(provider, capabilities);
    hearing.disconnect();
    expect(hearing.connect(provider, capabilities, { replay: true })).toEqual({
      replayedMs: 0,
      speaking: false,
    });
    hearing.attach(leg());
    hear(SAID);
    hearing.detach();
    expect(hearing.positionMs).toBe(0);
    expect(hearing.unanswered().spokenMs).toBe(0);
    // The next line begins anew.
    hearing.attach(leg());
    hear(SAID.subarray(0, 1600));
    expect(hearing.positionMs).toBe(200);
    expect(hearing.unanswered().spokenMs).toBe(0);
  });

  it('is not the echo of the agent, but whoever talks over it', () => {
    const { hearing, provider, capabilities, agent, hear, leg } = make();
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    agent.speaks = true;
    // 20 dB weaker than an agent who speaks up.
    const echo = encodeG711('mulaw', onLine(sentence('0890'), -34, -55));
    hear(echo.subarray(0, 32_000));
    agent.speaks = false;
    // Its last part is still on the way.
    hear(echo.subarray(32_000, 34_400));
    hear(NOISE.subarray(0, 8000));
    expect(hearing.unanswered()).toEqual({ spokenMs: 0, speaking: false });
    hear(echo);
    expect(hearing.unanswered().spokenMs).toBeGreaterThan(3000);
    hearing.accountedFor(hearing.positionMs);
    agent.speaks = true;
    hear(SAID);
    expect(hearing.unanswered().spokenMs).toBeGreaterThan(2000);
  });

  it('may begin on a line that came while nobody was there', () => {
    const { hearing, provider, capabilities, heard, hear, leg, clock } = make();
    hearing.connect(provider, capabilities);
    hearing.disconnect();
    hearing.attach(leg());
    hear(SAID);
    // Much longer than the ring, but nothing is said.
    hear(NOISE);
    const handed = hearing.connect(provider, capabilities, { replay: true });
    clock.advance(500);
    expect(handed.replayedMs).toBeGreaterThan(2000);
    expect(heard.length * 20).toBeLessThan(5000);
  });

  it('is noticed by the bridge itself while nobody is there, whatever the policy', () => {
    const { hearing, provider, capabilities, ear, agent, hear, leg } = make(undefined, GUARDLESS);
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    hear(SAID);
    expect(ear).toEqual([]);
    agent.speaks = true;
    hearing.disconnect();
    hear(SAID);
    expect(ear).toEqual(['speech', 'cut in']);
    hear(NOISE.subarray(0, 8000));
    expect(ear).toEqual(['speech', 'cut in', 'quiet']);
    hearing.connect(provider, capabilities, { replay: true });
    hear(SAID);
    expect(ear).toHaveLength(3);
  });

  it('is noticed at once of somebody who is in the middle of a word', () => {
    const { hearing, provider, capabilities, ear, hear, leg } = make(undefined, GUARDLESS);
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    // Noise, and a vowel that goes on.
    hear(SAID.subarray(0, 13_600));
    hearing.disconnect();
    hear(SAID.subarray(13_600, 13_600 + 8 * 240));
    expect(ear).toEqual(['speech']);
  });

  it('has a machine wait with its beep for somebody who can leave a message', () => {
    const { hearing, provider, capabilities, leg, done, clock } = make({
      mode: 'leave-message',
      message: 'x',
    });
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    hearing.machine('machine', false);
    hearing.disconnect();
    clock.advance(60_000);
    hearing.machine('machine-beep', true);
    expect(done).toEqual(['machine']);
    hearing.connect(provider, capabilities, { replay: true });
    expect(done).toEqual(['machine', 'message']);
  });

  it('is silence in the place of a machine’s greeting', () => {
    const { hearing, provider, capabilities, leg, hear } = make({ mode: 'leave-message', message: 'x' });
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    hearing.machine('machine', false);
    hear(SAID);
    hearing.disconnect();
    hear(SAID);
    expect(hearing.unanswered()).toEqual({ spokenMs: 0, speaking: false });
  });

  it('leaves nothing running when the call ends in between', () => {
    const { hearing, provider, capabilities, leg, hear, clock, pacer } = make();
    hearing.attach(leg());
    hearing.connect(provider, capabilities);
    hear(SAID.subarray(0, 20_000));
    hearing.disconnect();
    hear(SAID.subarray(20_000, 24_000));
    hearing.speechStarted();
    hearing.close();
    expect(clock.pending).toBe(0);
    expect(pacer.size).toBe(0);
  });
});
