import { describe, expect, it } from 'vitest';
import { Goodbye } from '../src/goodbye.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** A goodbye, the speech that the caller has still to hear, and whether more of it may come. */
function make() {
  const clock = new VirtualClock();
  const over: [string, boolean, number][] = [];
  let heardAt = 0;
  const line = {
    open: false,
    speech: (ms: number): void => {
      heardAt = Math.max(heardAt, clock.now()) + ms;
    },
  };
  const goodbye = new Goodbye({
    clock,
    aheadMs: () => Math.max(0, heardAt - clock.now()),
    speaking: () => line.open,
    onOver: (reason, whole) => over.push([reason, whole, Math.round(clock.now())]),
  });
  return { clock, goodbye, line, over };
}

describe('a goodbye', () => {
  it('is over when all is quiet after it, and not while it has not begun', () => {
    const { goodbye, over, clock } = make();
    goodbye.begin('agent-hung-up', false, undefined);
    goodbye.quiet();
    expect(over).toEqual([]);
    goodbye.spoken('r');
    goodbye.quiet();
    goodbye.quiet();
    expect(over).toEqual([['agent-hung-up', true, 0]]);
    expect(clock.pending).toBe(0);
  });

  it('that never comes is over after twenty seconds, and was not heard', () => {
    const { goodbye, over, clock } = make();
    goodbye.begin('message-left', true, 2000);
    clock.advance(60_000);
    expect(over).toEqual([['message-left', false, 20_000]]);
  });

  it('goes on to its end when the provider has sent all of it, however long the text was said to be', () => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, 1500);
    goodbye.spoken('r');
    line.speech(90_000);
    clock.advance(200_000);
    expect(over).toEqual([['message-left', true, 90_000]]);
  });

  it('goes on as long as a provider that speaks no faster than people do has more to say', () => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, 1500);
    clock.advance(1000);
    line.open = true;
    for (let ms = 0; ms < 90_000; ms += 100) {
      goodbye.spoken('r');
      line.speech(100);
      clock.advance(100);
      // It is a little late now and then.
      if (ms % 5000 === 0) clock.advance(300);
    }
    expect(over).toEqual([]);
    line.open = false;
    goodbye.quiet();
    expect(over).toEqual([['message-left', true, expect.any(Number)]]);
  });

  it('is over ten seconds after a provider has stopped in the middle of it, and was not heard whole', () => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, 1500);
    line.open = true;
    goodbye.spoken('r');
    line.speech(40_000);
    clock.advance(200_000);
    const [[reason, whole, ms] = []] = over;
    expect([reason, whole]).toEqual(['message-left', false]);
    expect(ms).toBeGreaterThanOrEqual(50_000);
    expect(ms).toBeLessThanOrEqual(50_600);
  });

  it.each([
    ['a short one', 40, 60_000],
    ['one in the model’s own words', undefined, 60_000],
    ['the longest message', 2000, 520_000],
  ])('that never ends is cut in the end: %s', (_name, characters, limitMs) => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, characters);
    line.open = true;
    for (let ms = 0; ms < 600_000 && over.length === 0; ms += 1000) {
      goodbye.spoken('r');
      line.speech(1000);
      clock.advance(1000);
    }
    expect(over).toEqual([['message-left', false, limitMs]]);
  });

  it('of which the provider did not say all was not heard whole', () => {
    const { goodbye, over } = make();
    goodbye.begin('message-left', true, 100);
    // What was said before it matters no more.
    goodbye.cutShort('before');
    goodbye.spoken('r');
    goodbye.cutShort('other');
    goodbye.cutShort('r');
    goodbye.quiet();
    expect(over).toEqual([['message-left', false, 0]]);
  });

  it('can be called off unless it is final, and a final one is not replaced', () => {
    const { goodbye, over, clock } = make();
    goodbye.begin('caller-silent', false, 10);
    goodbye.callOff();
    expect(goodbye.leaving).toBe(false);
    expect(clock.pending).toBe(0);
    goodbye.begin('caller-silent', false, 10);
    goodbye.begin('message-left', true, 10);
    goodbye.begin('max-duration', true, 10);
    goodbye.callOff();
    expect(goodbye.final).toBe(true);
    goodbye.spoken('r');
    goodbye.quiet();
    expect(over).toEqual([['message-left', true, 0]]);
    clock.advance(60_000);
    expect(over).toHaveLength(1);
  });

  it('is not over while somebody else is still being waited for, but at the limit it is', () => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('agent-hung-up', false, undefined);
    goodbye.spoken('r');
    line.speech(3000);
    clock.advance(60_000);
    expect(over).toEqual([['agent-hung-up', true, 20_000]]);
  });
});
