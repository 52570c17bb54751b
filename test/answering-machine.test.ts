import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { AnsweringMachine, type MachinePolicy } from '../src/answering-machine.ts';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { readWav } from '../src/audio/wav.ts';
import { MACHINE_RESULTS, type MachineResult } from '../src/carrier.ts';
import { createKit, REOPENING } from './support/call-kit.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const MESSAGE = 'This is the workshop. Your bicycle is ready.';
const LEAVE: MachinePolicy = { mode: 'leave-message', message: MESSAGE };

/** A sentence as it sounds on the telephone: mu-law, 8 kHz. */
async function sentence(name: string): Promise<Uint8Array> {
  const file = readWav(await readFile(new URL(`../fixtures/speech/${name}.wav`, import.meta.url)));
  return encodeG711('mulaw', resampleWhole(file.channel(0), file.rate, 8000));
}

function silence(ms: number): Uint8Array {
  return new Uint8Array(ms * 8).fill(0xff);
}

/** 1000 Hz for as long as a beep. */
function beep(): Uint8Array {
  return encodeG711(
    'mulaw',
    Int16Array.from({ length: 4000 }, (_, i) => Math.round(9000 * Math.sin((2 * Math.PI * i) / 8))),
  );
}

function make(policy: MachinePolicy, greetingEndTold = false, format: AudioFormat = MULAW_8K) {
  const clock = new VirtualClock();
  const done: string[] = [];
  const machine = new AnsweringMachine({
    policy,
    clock,
    greetingEndTold,
    onMachine: () => done.push('machine'),
    onHangUp: () => done.push('hang-up'),
    onLeaveMessage: (message) => done.push(message),
  });
  machine.setFormat(format);
  /** What is on the line, frame by frame, as time goes by; gives the ms after which something happened. */
  const play = (...parts: readonly Uint8Array[]): number | undefined => {
    const before = done.length;
    let ms = 0;
    for (const part of parts) {
      for (let at = 0; at < part.length; at += 160) {
        machine.hear(part.subarray(at, at + 160));
        clock.advance(20);
        ms += 20;
        if (done.length > before) return ms;
      }
    }
    return undefined;
  };
  return { clock, done, machine, play };
}

describe('a call that is only to be reported on', () => {
  it.each(MACHINE_RESULTS)('goes on, whatever has picked up: %s', (result) => {
    const { machine, done, clock } = make({ mode: 'report' });
    machine.found(result, true);
    clock.advance(60_000);
    expect(done).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a call that is not for machines', () => {
  it.each([
    ['machine', true],
    ['machine-beep', true],
    ['fax', true],
    ['human', false],
    ['silence', false],
    ['unknown', false],
  ] as const)('answered by %s is hung up: %s', (result, over) => {
    const { machine, done } = make({ mode: 'hang-up' });
    machine.found(result, false);
    machine.found(result, true);
    expect(done).toEqual(over ? ['hang-up'] : []);
  });

  it('is not said anything to meanwhile', () => {
    const { machine, done, clock } = make({ mode: 'hang-up' });
    machine.found('machine', false);
    clock.advance(60_000);
    expect(done).toEqual(['hang-up']);
  });
});

describe('a message', () => {
  it('is left at once when the carrier has heard the beep', () => {
    const { machine, done } = make(LEAVE, true);
    machine.found('machine-beep', true);
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('is left when the carrier says that the greeting is over, and not before', async () => {
    const { machine, done, play } = make(LEAVE, true);
    machine.found('machine', false);
    expect(done).toEqual(['machine']);
    // A long breath in the middle of the greeting is none of its end.
    expect(
      play(await sentence('librivox-0880'), silence(3000), await sentence('librivox-0890')),
    ).toBeUndefined();
    machine.found('machine', true);
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('is left after the greeting where the carrier says no more than that it is a machine', async () => {
    const { machine, done, play } = make(LEAVE);
    const greeting = await sentence('librivox-0870');
    // The carrier needs a second or two of it to know.
    play(greeting.subarray(0, 12_000));
    machine.found('machine', false);
    const said = play(greeting.subarray(12_000), silence(600), beep(), silence(5000));
    expect(done).toEqual(['machine', MESSAGE]);
    const overMs = (greeting.length - 12_000) / 8;
    // After the beep, and soon after it: machines record silence for a few seconds only.
    expect((said ?? 0) - overMs).toBeGreaterThan(1100);
    expect((said ?? 0) - overMs).toBeLessThan(3000);
  });

  it('is not left between the sentences of a greeting', async () => {
    const { machine, done, play } = make(LEAVE);
    machine.found('machine', false);
    const pause = silence(700);
    expect(
      play(await sentence('librivox-0880'), pause, await sentence('librivox-0890'), pause),
    ).toBeUndefined();
    expect(done).toEqual(['machine']);
    play(silence(3000));
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('is left soon when the greeting was over before it was known for one', () => {
    const { machine, play, done } = make(LEAVE);
    machine.found('machine', false);
    const said = play(silence(10_000));
    expect(done).toEqual(['machine', MESSAGE]);
    expect(said).toBeLessThanOrEqual(4100);
  });

  it('is left to a carrier that does not keep its word, though later', async () => {
    const { machine, play, done } = make(LEAVE, true);
    machine.found('machine', false);
    play(await sentence('librivox-0880'));
    const said = play(silence(12_000));
    expect(done).toEqual(['machine', MESSAGE]);
    expect(said).toBeGreaterThan(5000);
  });

  it('is left after three quarters of a minute to something that never stops talking', async () => {
    const { machine, done, play } = make(LEAVE);
    machine.found('machine', false);
    const speech = await sentence('librivox-0870');
    let ms = 0;
    while (done.length === 1 && ms < 120_000) ms += play(speech) ?? speech.length / 8;
    expect(done).toEqual(['machine', MESSAGE]);
    expect(ms).toBeGreaterThan(44_000);
    expect(ms).toBeLessThan(46_000);
  });

  it('is left once, whatever else is found out', () => {
    const { machine, done, clock } = make(LEAVE);
    machine.found('machine-beep', true);
    for (const result of MACHINE_RESULTS) machine.found(result, true);
    clock.advance(120_000);
    expect(done).toEqual(['machine', MESSAGE]);
    expect(clock.pending).toBe(0);
  });

  it('is left also when the second opinion on a greeting is unsure', () => {
    const { machine, done } = make(LEAVE);
    machine.found('machine', false);
    machine.found('unknown', true);
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it.each(['human', 'silence', 'unknown'] as const)('is not left to %s', (result) => {
    const { machine, done, clock } = make(LEAVE);
    machine.found(result, true);
    clock.advance(120_000);
    expect(done).toEqual([]);
  });

  it('is not left to a fax', () => {
    const { machine, done } = make(LEAVE);
    machine.found('fax', false);
    expect(done).toEqual(['hang-up']);
  });

  it('is not left after the call, and leaves no timer', () => {
    const { machine, done, clock, play } = make(LEAVE);
    machine.found('machine', false);
    machine.close();
    play(silence(5000));
    machine.found('machine-beep', true);
    clock.advance(120_000);
    expect(done).toEqual(['machine']);
    expect(clock.pending).toBe(0);
  });

  it('waits for the line to come back, and then for the end of what the machine says', async () => {
    const { machine, done, clock, play } = make(LEAVE);
    machine.found('machine', false);
    const greeting = await sentence('librivox-0870');
    play(greeting.subarray(0, 12_000));
    machine.pause();
    expect(clock.pending).toBe(0);
    clock.advance(8000);
    machine.setFormat(MULAW_8K);
    machine.resume();
    expect(play(greeting.subarray(0, 24_000))).toBeUndefined();
    const said = play(silence(6000));
    expect(done).toEqual(['machine', MESSAGE]);
    expect(said).toBeGreaterThan(1400);
    expect(said).toBeLessThan(3000);
  });

  it('is left when nothing more is said after the line came back', async () => {
    const { machine, done, play } = make(LEAVE);
    machine.found('machine', false);
    // It was speaking when the line went away.
    play((await sentence('librivox-0870')).subarray(0, 12_000));
    machine.pause();
    machine.resume();
    const said = play(silence(6000));
    expect(done).toEqual(['machine', MESSAGE]);
    expect(said).toBeLessThanOrEqual(4100);
  });

  it('waits no longer than three quarters of a minute in all, breaks of the line included', async () => {
    const { machine, done, clock, play } = make(LEAVE);
    const speech = await sentence('librivox-0870');
    machine.found('machine', false);
    clock.advance(3000);
    machine.pause();
    clock.advance(39_000);
    machine.resume();
    expect(play(speech.subarray(0, 16_000))).toBeUndefined();
    expect(play(speech)).toBeLessThanOrEqual(1100);
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('does not matter to a line that breaks before anything is found, or after all is done', () => {
    const { machine, done, clock } = make(LEAVE);
    machine.pause();
    machine.resume();
    expect(clock.pending).toBe(0);
    machine.found('machine-beep', true);
    machine.pause();
    machine.resume();
    clock.advance(60_000);
    expect(done).toEqual(['machine', MESSAGE]);
    expect(clock.pending).toBe(0);
  });

  it('waits for the end of a greeting in wideband too', async () => {
    const file = readWav(await readFile(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url)));
    const { machine, done, play } = make(LEAVE, false, { encoding: 'pcm16', rate: 16_000 });
    machine.found('machine', false);
    expect(play(file.data)).toBeUndefined();
    play(new Uint8Array(640 * 200));
    expect(done).toEqual(['machine', MESSAGE]);
  });
});

describe('a machine that somebody has found out by listening', () => {
  it('is told the message when nothing has been heard of it for a moment', () => {
    const { machine, done, play } = make({ mode: 'report' });
    machine.leave(MESSAGE);
    expect(done).toEqual(['machine']);
    const said = play(silence(5000));
    expect(done).toEqual(['machine', MESSAGE]);
    expect(said).toBeLessThanOrEqual(1600);
  });

  it('is told it after the greeting and the beep, also when it is in the middle of them', async () => {
    const { machine, done, play } = make({ mode: 'report' });
    machine.leave(MESSAGE);
    expect(play(await sentence('librivox-0880'), silence(700), beep())).toBeUndefined();
    const said = play(silence(5000));
    expect(done).toEqual(['machine', MESSAGE]);
    expect(said).toBeLessThan(3000);
  });

  it('is told it at once when the carrier hears the beep after all', () => {
    const { machine, done, clock } = make({ mode: 'report' });
    machine.leave(MESSAGE);
    machine.found('machine-beep', true);
    expect(done).toEqual(['machine', MESSAGE]);
    expect(clock.pending).toBe(0);
  });

  it('is hung up when it is a fax', () => {
    const { machine, done } = make({ mode: 'report' });
    machine.leave(MESSAGE);
    machine.found('fax', false);
    expect(done).toEqual(['machine', 'hang-up']);
  });

  it('is told it once, in the first words, however often that is wanted', () => {
    const { machine, done, play } = make({ mode: 'report' });
    machine.leave(MESSAGE);
    machine.leave('Something else.');
    play(silence(5000));
    machine.leave('Something else again.');
    play(silence(5000));
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('keeps the message that waits for the end of its greeting, and the time of it', async () => {
    const { machine, done, clock } = make(LEAVE, true);
    machine.found('machine', false);
    machine.leave('The model’s own words.');
    clock.advance(9000);
    expect(done).toEqual(['machine']);
    machine.found('machine', true);
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('is told nothing while the line is away, and then after a moment of quiet', () => {
    const { machine, done, clock, play } = make({ mode: 'report' });
    machine.pause();
    machine.leave(MESSAGE);
    expect(clock.pending).toBe(0);
    clock.advance(10_000);
    expect(done).toEqual(['machine']);
    machine.resume();
    expect(play(silence(3900))).toBeUndefined();
    play(silence(500));
    expect(done).toEqual(['machine', MESSAGE]);
  });

  it('is nobody’s business after the call', () => {
    const { machine, done, clock } = make({ mode: 'report' });
    machine.close();
    machine.leave(MESSAGE);
    clock.advance(60_000);
    expect(done).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a call that a machine answers', () => {
  const found = (result: MachineResult, greetingOver: boolean) =>
    ({ type: 'machine', callId: 'CA1', ref: undefined, result, greetingOver }) as const;

  it('ends when the message was heard, and is hung up', async () => {
    const kit = createKit({ machine: LEAVE });
    const call = await kit.talk();
    call.session.onCarrierEvent(found('machine-beep', true));
    expect(kit.provider.insisted).toEqual([MESSAGE]);
    kit.provider.speak('r', 'a', 3000);
    await kit.pass(2900, 100);
    expect(call.endReason).toBeUndefined();
    await kit.pass(300, 100);
    expect(call.endReason).toBe('message-left');
    expect(call.ask()).toEqual({ type: 'hang-up' });
    expect(kit.events).toContainEqual(expect.objectContaining({ type: 'machine', result: 'machine-beep' }));
  });

  it('neither hears the agent’s greeting nor an answer to its own', async () => {
    const kit = createKit({ machine: LEAVE, capabilities: REOPENING });
    const call = await kit.talk();
    kit.provider.speak('r0', 'a0', 2000, false);
    kit.clock.advance(300);
    call.session.onCarrierEvent(found('machine', false));
    expect(call.leg.log).toContain('clear');
    const before = call.leg.played.length;
    // What was asked for before comes after all, and the model takes the machine's greeting for a caller.
    kit.provider.speak('r1', 'a1', 500);
    kit.provider.emit({ type: 'responseStarted', responseId: 'r2', asked: false });
    kit.provider.emit({ type: 'audio', responseId: 'r2', itemId: 'a2', bytes: new Uint8Array(4000) });
    kit.provider.emit({ type: 'responseDone', responseId: 'r2', status: 'completed', reason: undefined });
    await kit.pass(1000);
    expect(call.leg.played.length).toBe(before);
    call.session.onCarrierEvent(found('machine-beep', true));
    kit.provider.emit({ type: 'responseStarted', responseId: 'r3', asked: false });
    kit.provider.emit({ type: 'audio', responseId: 'r3', itemId: 'a3', bytes: new Uint8Array(4000) });
    kit.provider.emit({ type: 'responseDone', responseId: 'r3', status: 'completed', reason: undefined });
    await kit.pass(100);
    expect(call.leg.played.length).toBe(before);
    kit.provider.speak('r4', 'a4', 500);
    expect(call.leg.played.length).toBeGreaterThan(before);
  });

  it('is silence to the provider, so that a turn which was open there ends', async () => {
    const kit = createKit({ machine: LEAVE });
    const call = await kit.talk();
    call.hear(0x11);
    call.session.onCarrierEvent(found('machine', false));
    call.hear(0x12);
    call.hear(0x13);
    expect(kit.provider.audio.filter((_, i) => i % 160 === 0)).toEqual([0x11, 0xff, 0xff]);
    // Not even what was said before it was known, and is only now understood, cuts the message off.
    call.session.onCarrierEvent(found('machine-beep', true));
    kit.provider.speak('r', 'a', 3000);
    kit.clock.advance(500);
    kit.provider.emit({ type: 'speechStarted', itemId: 'u' });
    call.session.onLegEvent({ type: 'dtmf', digit: '1' });
    await kit.pass(1000, 100);
    expect(call.endReason).toBeUndefined();
    expect(kit.provider.texts).toEqual([]);
    await kit.pass(2000, 100);
    expect(call.endReason).toBe('message-left');
  });

  it('is not asked whether it is there', async () => {
    const kit = createKit({
      machine: LEAVE,
      agent: { greeting: undefined, silence: { afterMs: 3000, prompts: ['There?'], goodbye: 'Bye.' } },
    });
    const call = await kit.talk();
    call.session.onCarrierEvent(found('machine', false));
    await kit.pass(9000);
    expect(kit.provider.said).toEqual([]);
  });

  it('is told the whole message, whatever limit comes in between', async () => {
    const kit = createKit({ machine: LEAVE, agent: { maxCallMs: 5000 } });
    const call = await kit.talk();
    await kit.pass(4000);
    call.session.onCarrierEvent(found('machine-beep', true));
    kit.provider.speak('r', 'a', 3000);
    call.session.leave('shutdown', 'Goodbye.');
    await kit.pass(2900, 100);
    expect(kit.provider.said).toEqual(['Hello.', MESSAGE]);
    await kit.pass(300, 100);
    expect(call.endReason).toBe('message-left');
  });

  it('hears a message of a minute and a half to its end, however fast the provider speaks', async () => {
    for (const pace of ['at once', 'as people do'] as const) {
      const kit = createKit({ machine: { mode: 'leave-message', message: 'word '.repeat(300) } });
      const call = await kit.talk();
      call.session.onCarrierEvent(found('machine-beep', true));
      kit.provider.speak('r', 'a', pace === 'at once' ? 90_000 : 1000, pace === 'at once');
      for (let s = 1; s <= 89; s++) {
        await kit.pass(1000, 100);
        if (pace === 'at once') continue;
        const bytes = new Uint8Array(8000);
        kit.provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes });
      }
      kit.provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
      await kit.pass(900, 100);
      expect(call.endReason).toBeUndefined();
      await kit.pass(2500, 100);
      expect(call.endReason).toBe('message-left');
      expect(Math.round(call.leg.heardBytes / 8000)).toBe(90);
    }
  });

  it('is left the message on the next stream when its own breaks before or during it', async () => {
    for (const breaks of ['in the greeting', 'in the message'] as const) {
      const kit = createKit({ machine: LEAVE, capabilities: REOPENING });
      const call = await kit.talk();
      call.session.onCarrierEvent(found('machine', false));
      if (breaks === 'in the message') {
        await kit.pass(4500);
        kit.provider.speak('r', 'a', 3000);
      }
      await kit.pass(1000);
      const asked = kit.provider.insisted.length;
      call.cut();
      // Longer than any silence after which the message is due.
      await kit.pass(6000);
      expect(call.endReason).toBeUndefined();
      expect(kit.provider.insisted).toHaveLength(asked);
      call.stream();
      await kit.pass(4500);
      expect(kit.provider.insisted).toHaveLength(asked + 1);
      expect(kit.provider.insisted.at(-1)).toBe(MESSAGE);
      kit.provider.speak('r2', 'b', 3000);
      await kit.pass(2500);
      expect(call.endReason).toBeUndefined();
      await kit.pass(1000);
      expect(call.endReason).toBe('message-left');
      expect(call.leg.heardBytes).toBe(24_000);
      // The model is asked for nothing else, which the machine would record.
      expect(kit.provider.texts).toEqual([]);
    }
  });

  it('hears all of a message that begins to come while the stream is away, once', async () => {
    const kit = createKit({ machine: LEAVE, capabilities: REOPENING });
    const call = await kit.talk();
    call.session.onCarrierEvent(found('machine-beep', true));
    call.cut();
    await kit.pass(500);
    kit.provider.speak('r', 'a', 3000);
    await kit.pass(5000);
    expect(call.endReason).toBeUndefined();
    call.stream();
    await kit.pass(3500);
    expect(call.endReason).toBe('message-left');
    expect(call.leg.heardBytes).toBe(24_000);
    expect(kit.provider.insisted).toEqual([MESSAGE]);
  });

  it('is told nothing of what was being said when the stream broke', async () => {
    const kit = createKit({ machine: LEAVE, capabilities: REOPENING });
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 3000);
    await kit.pass(1000);
    call.cut();
    call.session.onCarrierEvent(found('machine-beep', true));
    await kit.pass(1000);
    expect(kit.provider.insisted).toEqual([]);
    call.stream();
    expect(kit.provider.insisted).toEqual([MESSAGE]);
    expect(kit.provider.texts).toEqual([]);
  });

  it('whose stream does not come back was not left a message', async () => {
    for (const begun of [true, false]) {
      const kit = createKit({ machine: LEAVE, capabilities: REOPENING });
      const call = await kit.talk();
      call.session.onCarrierEvent(found(begun ? 'machine-beep' : 'machine', begun));
      if (begun) kit.provider.speak('r', 'a', 3000);
      await kit.pass(1000);
      call.cut();
      await kit.pass(7500);
      expect(call.endReason).toBeUndefined();
      await kit.pass(1000);
      expect(call.endReason).toBe('media-lost');
    }
  });

  it('was not left a message that never came, or of which the end is missing', async () => {
    for (const status of ['failed', 'incomplete', undefined] as const) {
      const kit = createKit({ machine: LEAVE });
      const call = await kit.talk();
      call.session.onCarrierEvent(found('machine-beep', true));
      if (status !== undefined) {
        kit.provider.speak('r', 'a', 2000, false);
        kit.provider.emit({ type: 'responseDone', responseId: 'r', status, reason: undefined });
      }
      await kit.pass(21_000);
      expect(call.endReason).toBe('machine-answered');
      expect(call.ask()).toEqual({ type: 'hang-up' });
    }
  });

  it('before the provider or the stream is there is neither greeted nor forgotten', async () => {
    for (const first of ['provider', 'stream'] as const) {
      const kit = createKit({ machine: LEAVE });
      const call = kit.admit();
      call.session.onCarrierEvent(found('machine-beep', true));
      if (first === 'provider') await kit.provider.ready();
      else call.stream();
      expect(kit.provider.insisted).toEqual([]);
      if (first === 'provider') call.stream();
      else await kit.provider.ready();
      expect(kit.provider.said.at(-1)).toBe(MESSAGE);
      expect(kit.provider.said.filter((text) => text === 'Hello.')).toHaveLength(
        first === 'provider' ? 1 : 0,
      );
      kit.provider.speak('r', 'a', 1000);
      await kit.pass(1200, 100);
      expect(call.endReason).toBe('message-left');
    }
  });

  it('before anything is there ends cleanly where machines are hung up on', async () => {
    for (const first of ['provider', 'stream'] as const) {
      const kit = createKit({
        machine: { mode: 'hang-up' },
        capabilities: { needsSilenceWhenIdle: true },
      });
      const call = kit.admit();
      call.session.onCarrierEvent(found('machine', false));
      if (first === 'provider') await kit.provider.ready();
      call.stream();
      if (first === 'stream') await kit.provider.ready();
      expect(call.endReason).toBe('machine-answered');
      expect(call.leg.closed).toBe('machine-answered');
      await kit.pass(5000);
      expect(kit.pacer.size).toBe(0);
      // The carrier has not asked: it is hung up on by request.
      expect(call.orders.map(({ what }) => what)).toEqual(['hangUp']);
    }
  });

  it('that is a fax is hung up on', async () => {
    const kit = createKit({ machine: LEAVE });
    const call = await kit.talk();
    call.session.onCarrierEvent(found('fax', false));
    expect(call.endReason).toBe('machine-answered');
  });
});
