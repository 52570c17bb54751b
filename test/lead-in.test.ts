import { describe, expect, it } from 'vitest';
import { LeadIn } from '../src/lead-in.ts';
import { Pacer } from '../src/pacer.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

function make() {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const leg = new VirtualLeg(clock);
  let over = false;
  const leadIn = new LeadIn(leg, pacer, () => over);
  return {
    clock,
    pacer,
    leg,
    leadIn,
    speak: () => {
      over = true;
    },
  };
}

describe('the silence before the agent speaks', () => {
  it('is a whole frame every 20 ms, and silent', () => {
    const { clock, leg } = make();
    clock.advance(1500);
    expect(leg.played).toHaveLength(75);
    expect(leg.played.every((frame) => frame.length === 160 && frame.every((byte) => byte === 0xff))).toBe(
      true,
    );
    // Not ahead of time: what the agent says is not to wait behind it.
    expect(leg.aheadMs).toBeLessThanOrEqual(20);
  });

  it('is over when the agent speaks', () => {
    const { clock, leg, pacer, speak } = make();
    clock.advance(200);
    speak();
    clock.advance(1000);
    expect(leg.played).toHaveLength(10);
    expect(pacer.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('is over with the stream, and ending it twice takes nobody else off the pacer', () => {
    const { clock, leg, pacer, leadIn } = make();
    leadIn.close();
    const other = new LeadIn(leg, pacer, () => false);
    leadIn.close();
    clock.advance(100);
    expect(leg.played).toHaveLength(5);
    other.close();
    expect(pacer.size).toBe(0);
  });

  it('does not go on when the leg cannot be played to', () => {
    const { clock, leg, pacer, leadIn } = make();
    leg.play = () => {
      throw new Error('gone');
    };
    clock.advance(100);
    expect(pacer.size).toBe(0);
    leadIn.close();
    expect(clock.pending).toBe(0);
  });
});
