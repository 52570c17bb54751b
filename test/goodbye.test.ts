import { describe, expect, it } from 'vitest';
import { Goodbye } from '../src/goodbye.ts';
import { STREAM_BROKE } from '../src/notices.ts';
import { endCall } from '../src/tools/built-in.ts';
import { createKit, type KitOptions, REOPENING } from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const MESSAGE = 'word '.repeat(300);

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
    goodbye.begin('message-left', true, MESSAGE);
    clock.advance(60_000);
    expect(over).toEqual([['message-left', false, 20_000]]);
  });

  it('goes on to its end when the provider has sent all of it, however long the text was said to be', () => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, MESSAGE);
    goodbye.spoken('r');
    line.speech(90_000);
    clock.advance(200_000);
    expect(over).toEqual([['message-left', true, 90_000]]);
  });

  it('goes on as long as a provider that speaks no faster than people do has more to say', () => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, MESSAGE);
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
    goodbye.begin('message-left', true, MESSAGE);
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
    ['a short one', 'Your bicycle is ready.', 60_000],
    ['one in the model’s own words', undefined, 60_000],
    ['the longest message', 'x'.repeat(2000), 520_000],
  ])('that never ends is cut in the end: %s', (_name, text, limitMs) => {
    const { goodbye, over, clock, line } = make();
    goodbye.begin('message-left', true, text);
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
    goodbye.begin('message-left', true, 'Call back.');
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
    goodbye.begin('caller-silent', false, 'Bye.');
    goodbye.callOff();
    expect(goodbye.leaving).toBe(false);
    expect(clock.pending).toBe(0);
    goodbye.begin('caller-silent', false, 'Bye.');
    goodbye.begin('message-left', true, 'Bye.');
    goodbye.begin('max-duration', true, 'Bye.');
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

describe('a goodbye to somebody who is not on the line', () => {
  it('is neither over nor late until they are', () => {
    const { goodbye, over, clock } = make();
    goodbye.hold(true);
    goodbye.begin('max-duration', true, 'Bye.');
    goodbye.spoken('r');
    goodbye.quiet();
    clock.advance(60_000);
    expect(over).toEqual([]);
    expect(clock.pending).toBe(0);
    goodbye.hold(false);
    goodbye.quiet();
    expect(over).toEqual([['max-duration', true, 60_000]]);
    expect(clock.pending).toBe(0);
  });

  it('is said again when it was cut off, once, and never when it has not begun', () => {
    const { goodbye, over } = make();
    goodbye.begin('max-duration', true, 'Bye.');
    goodbye.cutOff();
    expect(goodbye.again()).toBeUndefined();
    goodbye.spoken('r');
    goodbye.cutOff();
    goodbye.cutShort('r');
    expect(goodbye.again()).toEqual({ text: 'Bye.', final: true });
    expect(goodbye.again()).toBeUndefined();
    // The end of the one that was cut off comes late.
    goodbye.cutShort('r');
    goodbye.quiet();
    expect(over).toEqual([]);
    goodbye.spoken('r2');
    goodbye.quiet();
    expect(over).toEqual([['max-duration', true, 0]]);
  });

  it('has twenty seconds to begin from the moment they are back', () => {
    const { goodbye, over, clock } = make();
    goodbye.begin('agent-hung-up', false, undefined);
    clock.advance(19_000);
    goodbye.hold(true);
    clock.advance(8000);
    goodbye.hold(false);
    clock.advance(19_000);
    expect(over).toEqual([]);
    clock.advance(1001);
    expect(over).toEqual([['agent-hung-up', false, 47_000]]);
  });
});

describe('a call that is about to end when its stream breaks', () => {
  const LIKE: KitOptions = { capabilities: REOPENING };

  it('ends when the goodbye was heard on the next stream', async () => {
    for (const final of [true, false]) {
      const agent = final
        ? { maxCallMs: 5000 }
        : { silence: { afterMs: 5000, prompts: [], goodbye: 'Bye.' } };
      const kit = createKit({ ...LIKE, agent });
      const call = await kit.talk();
      await kit.pass(5500);
      const goodbye = kit.provider.said.at(-1);
      expect(kit.provider.said).toHaveLength(2);
      kit.provider.speak('r', 'a', 3000);
      await kit.pass(1000);
      call.cut();
      await kit.pass(6000);
      expect(call.endReason).toBeUndefined();
      call.stream();
      expect(kit.provider.said.slice(1)).toEqual([goodbye, goodbye]);
      expect(kit.provider.texts).toEqual([]);
      kit.provider.speak('r2', 'b', 3000);
      await kit.pass(2500);
      expect(call.endReason).toBeUndefined();
      await kit.pass(1000);
      expect(call.endReason).toBe(final ? 'max-duration' : 'caller-silent');
    }
  });

  it('has the model finish the goodbye that it had found its own words for', async () => {
    const kit = createKit({ ...LIKE, agent: { tools: [endCall] } });
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 3000, false);
    kit.provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    kit.provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    await settled();
    await kit.pass(1000);
    call.cut();
    await kit.pass(1000);
    call.stream();
    expect(call.endReason).toBeUndefined();
    expect(kit.provider.texts.map(({ text }) => text)).toEqual([STREAM_BROKE]);
    kit.provider.speak('r2', 'b', 1000);
    await kit.pass(1500);
    expect(call.endReason).toBe('agent-hung-up');
  });

  it('hears a goodbye that falls due meanwhile when the stream is back', async () => {
    const kit = createKit({ ...LIKE, agent: { maxCallMs: 5000 } });
    const call = await kit.talk();
    await kit.pass(4000);
    call.cut();
    await kit.pass(3000);
    expect(call.endReason).toBeUndefined();
    expect(kit.provider.insisted).toEqual([]);
    call.stream();
    expect(kit.provider.insisted).toHaveLength(1);
    kit.provider.speak('r', 'a', 1000);
    await kit.pass(1500);
    expect(call.endReason).toBe('max-duration');
  });

  it('is lost when the stream does not come back', async () => {
    const kit = createKit({ ...LIKE, agent: { maxCallMs: 5000 } });
    const call = await kit.talk();
    await kit.pass(4000);
    call.cut();
    await kit.pass(8500);
    expect(call.endReason).toBe('media-lost');
    expect(kit.pacer.size).toBe(0);
  });
});
