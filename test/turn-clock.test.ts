import { describe, expect, it } from 'vitest';
import type { CallEventBody } from '../src/call-events.ts';
import { TurnClock } from '../src/turn-clock.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

const STOPPED = { type: 'speechStopped', itemId: undefined } as const;
const ANSWER = { type: 'responseStarted', responseId: 'r', asked: false } as const;
const CALL = { type: 'toolCall', responseId: 'r', callId: 'c', name: 'look_up', args: '{}' } as const;

/** A turn clock and what it knows; `voiceAt`: what our own ear has heard. */
function start() {
  const clock = new VirtualClock();
  clock.advance(1000);
  const events: CallEventBody[] = [];
  const world = { voiceAt: undefined as number | undefined, speaks: false, open: [] as string[] };
  const turns = new TurnClock({
    clock,
    atMs: () => clock.now() - 1000,
    voiceAt: () => world.voiceAt,
    provider: () => 'openai',
    agentSpeaks: () => world.speaks,
    openResponses: () => world.open,
    emit: (event) => events.push(event),
  });
  const leg = turns.watch(new VirtualLeg(clock));
  /** The caller speaks for a second, from 1000 to 2000 of the clock. */
  const speak = (): void => {
    turns.callerSpeaks();
    clock.advance(1000);
    world.voiceAt = clock.now();
  };
  /** The agent begins to be heard: 20 ms until the frame, 30 ms more until the mark comes back. */
  const answer = (): void => {
    turns.on(ANSWER);
    turns.spoken('r');
    clock.advance(20);
    leg.mark('m1');
    leg.play(new Uint8Array(160));
    clock.advance(30);
    turns.acknowledged('m1');
    world.speaks = true;
  };
  return { clock, events, world, turns, leg, speak, answer };
}

describe('the clock of turns', () => {
  it('tells every stage from the end of the speech, when the answer was heard', () => {
    const { clock, events, turns, speak, answer } = start();
    speak();
    clock.advance(500);
    turns.on(STOPPED);
    turns.callerStopped();
    clock.advance(250);
    answer();
    expect(events).toEqual([]);
    clock.advance(3000);
    turns.drained();
    expect(events).toEqual([
      {
        type: 'turn',
        provider: 'openai',
        speechEndMs: 1000,
        heardBy: 'bridge',
        commitMs: 500,
        firstDeltaMs: 750,
        firstFrameMs: 770,
        firstMarkMs: 800,
        functions: 0,
        interrupted: false,
      },
    ]);
    turns.drained();
    turns.close();
    expect(events).toHaveLength(1);
  });

  it('begins with what the provider says where the bridge has not listened, and says so', () => {
    const { clock, events, turns, world, speak, answer } = start();
    speak();
    world.voiceAt = undefined;
    clock.advance(500);
    turns.on(STOPPED);
    clock.advance(250);
    answer();
    turns.drained();
    expect(events).toMatchObject([
      { heardBy: 'provider', speechEndMs: 1500, commitMs: 0, firstDeltaMs: 250 },
    ]);
  });

  it('leaves out what the provider does not tell, and takes an answer for the end of the turn', () => {
    const { clock, events, turns, speak, answer } = start();
    speak();
    clock.advance(700);
    answer();
    turns.drained();
    expect(events).toMatchObject([{ heardBy: 'bridge', firstDeltaMs: 700, interrupted: false }]);
    expect(events[0]).toHaveProperty('commitMs', undefined);
  });

  it('does not ask what was heard long before, or after the provider had done', () => {
    const { clock, events, turns, world, answer } = start();
    world.voiceAt = clock.now();
    clock.advance(5000);
    turns.callerSpeaks();
    clock.advance(1000);
    turns.on(STOPPED);
    answer();
    turns.drained();
    expect(events).toMatchObject([{ heardBy: 'provider', speechEndMs: 6000 }]);
  });

  it('counts functions that were called before the agent spoke', () => {
    const { clock, events, turns, speak, answer } = start();
    speak();
    turns.on(STOPPED);
    turns.on(CALL);
    turns.on({ ...CALL, callId: 'd' });
    clock.advance(900);
    answer();
    turns.on({ ...CALL, callId: 'e' });
    turns.drained();
    expect(events).toMatchObject([{ functions: 2, firstDeltaMs: 900 }]);
  });

  it('says that an answer was cut off', () => {
    const { clock, events, turns, speak, answer } = start();
    speak();
    turns.on(STOPPED);
    turns.callerStopped();
    answer();
    clock.advance(400);
    turns.callerSpeaks();
    turns.cut();
    expect(events).toMatchObject([{ interrupted: true, firstMarkMs: 50 }]);
  });

  it('tells of a turn that got no answer because the caller spoke on', () => {
    const { clock, events, turns, speak, answer } = start();
    speak();
    clock.advance(500);
    turns.on(STOPPED);
    turns.callerStopped();
    clock.advance(100);
    speak();
    clock.advance(500);
    turns.on(STOPPED);
    turns.callerStopped();
    answer();
    turns.drained();
    expect(events).toMatchObject([
      { speechEndMs: 1000, commitMs: 500, firstDeltaMs: undefined, interrupted: true },
      { speechEndMs: 2600, commitMs: 500, interrupted: false },
    ]);
  });

  it('takes speech that is sent to another provider once more for the same turn', () => {
    const { clock, events, turns, speak, answer } = start();
    speak();
    clock.advance(500);
    turns.on(STOPPED);
    turns.callerStopped();
    clock.advance(2500);
    turns.callerSpeaks();
    clock.advance(50);
    turns.on(STOPPED);
    turns.callerStopped();
    clock.advance(200);
    answer();
    turns.drained();
    expect(events).toMatchObject([{ speechEndMs: 1000, commitMs: 500, firstDeltaMs: 3250 }]);
  });

  it('says nothing of a cough that nobody has answered', () => {
    const { clock, events, turns, speak } = start();
    speak();
    clock.advance(600);
    turns.callerStopped();
    clock.advance(5000);
    turns.prompted();
    turns.spoken('prompt');
    turns.drained();
    turns.close();
    expect(events).toEqual([]);
  });

  it('takes no prompt for an answer, and no speech that began before the turn', () => {
    const { clock, events, turns, world, speak } = start();
    world.open = ['old'];
    speak();
    clock.advance(500);
    turns.on(STOPPED);
    turns.callerStopped();
    turns.spoken('old');
    turns.drained();
    expect(events).toEqual([]);
    clock.advance(8000);
    turns.prompted();
    turns.spoken('prompt');
    expect(events).toMatchObject([{ commitMs: 500, firstDeltaMs: undefined, interrupted: false }]);
  });

  it('believes no mark but the first after the answer began, and none twice', () => {
    const { clock, events, turns, leg, speak } = start();
    leg.mark('before');
    speak();
    turns.on(STOPPED);
    turns.callerStopped();
    clock.advance(100);
    turns.spoken('r');
    leg.mark('m1');
    leg.play(new Uint8Array(160));
    leg.mark('m2');
    clock.advance(100);
    turns.acknowledged('before');
    turns.acknowledged('m2');
    clock.advance(100);
    turns.acknowledged('m1');
    turns.acknowledged('m1');
    turns.drained();
    expect(events).toMatchObject([{ firstFrameMs: 100, firstMarkMs: 300 }]);
  });

  it('tells at the end of a call what is known by then', () => {
    const { clock, events, turns, world, speak } = start();
    speak();
    clock.advance(500);
    turns.on(STOPPED);
    turns.callerStopped();
    turns.close();
    world.speaks = true;
    turns.close();
    expect(events).toMatchObject([{ commitMs: 500, firstDeltaMs: undefined, interrupted: false }]);
  });

  it('passes everything on to the leg', () => {
    const { clock, turns } = start();
    const leg = new VirtualLeg(clock);
    const watched = turns.watch(leg);
    watched.play(new Uint8Array(800));
    watched.clear();
    expect(leg.log).toEqual(['play 800', 'clear']);
    expect([watched.output, watched.roundTripMs]).toEqual([leg.output, 0]);
  });
});
