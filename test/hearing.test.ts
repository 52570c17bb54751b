import { describe, expect, it } from 'vitest';
import { BARGE_IN } from '../src/agents.ts';
import type { MachinePolicy } from '../src/answering-machine.ts';
import { MULAW_8K } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { CutIn } from '../src/cut-in.ts';
import { Hearing } from '../src/hearing.ts';
import { Pacer } from '../src/pacer.ts';
import type { ProviderSession } from '../src/provider.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

function make(policy: MachinePolicy = { mode: 'report' }) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const heard: number[] = [];
  const done: string[] = [];
  const hearing = new Hearing({
    policy,
    greetingEndTold: true,
    clock,
    pacer,
    cutIn: new CutIn({
      policy: BARGE_IN,
      clock,
      createTranscoder,
      agentSpeaks: () => false,
      onSpeech: () => undefined,
      onQuiet: () => undefined,
      onCutIn: () => undefined,
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
  const { capabilities } = new ManualProvider();
  return {
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
