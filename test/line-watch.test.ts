import { describe, expect, it } from 'vitest';
import type { LiveResult } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { LineWatch } from '../src/line-watch.ts';
import { createLog } from '../src/log.ts';
import { settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function make(results: readonly LiveResult[] = []) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  let media: number | undefined;
  let away = false;
  let asked = 0;
  let dead = 0;
  const watch = new LineWatch({
    clock,
    log: createLog('info', { write: (line: string) => lines.push(line) }),
    lastMediaAt: () => media,
    isAway: () => away,
    isLive: () => {
      asked += 1;
      return Promise.resolve(results[asked - 1] ?? { status: 'ok', live: true });
    },
    onDead: () => {
      dead += 1;
    },
  });
  /** Time goes by, with a message of the caller every `everyMs`; 0: with none. */
  const pass = async (ms: number, everyMs = 0): Promise<void> => {
    const step = everyMs === 0 ? 1000 : everyMs;
    for (let at = 0; at < ms; at += step) {
      clock.advance(step);
      if (everyMs !== 0) media = clock.now();
      await settled();
    }
  };
  return {
    clock,
    lines,
    watch,
    pass,
    asked: () => asked,
    dead: () => dead,
    setMedia: (at: number | undefined) => {
      media = at;
    },
    goAway: () => {
      away = true;
    },
  };
}

describe('the watch on the line', () => {
  it('asks nothing while the caller’s side keeps coming', async () => {
    const { watch, pass, asked } = make();
    watch.begin();
    await pass(60_000, 500);
    expect(asked()).toBe(0);
  });

  it('asks whether the call lives when nothing has come for ten seconds', async () => {
    const { watch, pass, asked, setMedia } = make();
    setMedia(0);
    watch.begin();
    await pass(9000);
    expect(asked()).toBe(0);
    await pass(6000);
    expect(asked()).toBe(1);
  });

  it('says so when the carrier knows nothing of the call any more', async () => {
    const { watch, pass, dead, setMedia } = make([{ status: 'ok', live: false }]);
    setMedia(0);
    watch.begin();
    await pass(15_000);
    expect(dead()).toBe(1);
  });

  it('leaves a call alone that lives, and asks again every while', async () => {
    const { watch, pass, asked, dead, setMedia, lines } = make();
    setMedia(0);
    watch.begin();
    await pass(65_000);
    expect(dead()).toBe(0);
    expect(asked()).toBe(6);
    expect(lines.filter((line) => line.includes('the call is up'))).toHaveLength(6);
  });

  it('does not take a question without an answer for the end of the call', async () => {
    const error = new BridgeError('CARRIER_UNAVAILABLE', 'nobody there');
    const { watch, pass, dead, asked, setMedia, lines } = make([
      { status: 'error', error },
      { status: 'ok', live: false },
    ]);
    setMedia(0);
    watch.begin();
    await pass(15_000);
    expect([asked(), dead()]).toEqual([1, 0]);
    expect(lines.join('')).toContain('cannot be asked why');
    await pass(10_000);
    expect([asked(), dead()]).toEqual([2, 1]);
  });

  it('asks no more once frames come again', async () => {
    const { watch, pass, asked, setMedia } = make();
    setMedia(0);
    watch.begin();
    await pass(15_000);
    expect(asked()).toBe(1);
    await pass(60_000, 1000);
    expect(asked()).toBe(1);
  });

  it('asks about a stream that is away too, and finds nothing strange in its silence', async () => {
    const live: LiveResult = { status: 'ok', live: true };
    const { watch, pass, asked, dead, setMedia, goAway, lines } = make([live, { status: 'ok', live: false }]);
    setMedia(0);
    goAway();
    watch.begin();
    await pass(15_000);
    expect([asked(), dead()]).toEqual([1, 0]);
    expect(lines).toEqual([]);
    await pass(10_000);
    expect([asked(), dead()]).toEqual([2, 1]);
  });

  it('asks nothing before there is a stream, and counts anew from the next one', async () => {
    const { watch, pass, asked, setMedia, clock } = make();
    watch.begin();
    await pass(60_000);
    expect(asked()).toBe(0);
    setMedia(clock.now());
    await pass(9000);
    expect(asked()).toBe(0);
    await pass(6000);
    expect(asked()).toBe(1);
  });

  it('is not begun twice', () => {
    const { watch, clock } = make();
    watch.begin();
    watch.begin();
    expect(clock.pending).toBe(1);
  });

  it('leaves no timer, and does not hear the answer to what it has asked', async () => {
    const { watch, dead, setMedia, clock } = make([{ status: 'ok', live: false }]);
    setMedia(0);
    watch.begin();
    clock.advance(10_000);
    watch.close();
    await settled();
    expect(dead()).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
