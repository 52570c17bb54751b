import { afterEach, describe, expect, it } from 'vitest';
import { StreamWatch } from '../src/providers/openai-live/stream-watch.ts';
import { type Line, open, quiet, speech } from './support/openai-live-peer.ts';
import { cleanUp, networkTurn } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

/** Time in which nothing of the stream comes; the connection itself is alive. */
async function passes(line: Line, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    line.clock.advance(Math.min(left, 1_000));
    if (line.of('closed').length > 0) return;
    await line.peer.settle();
    await networkTurn();
  }
}

describe('a stream that goes on in silence too', () => {
  it('is missed when it stops', async () => {
    await using line = await open();
    await line.stream(quiet(4_000, line.session.output));
    await passes(line, 7_999);
    expect(line.of('closed')).toEqual([]);
    await passes(line, 1);
    expect(line.of('closed')).toMatchObject([{ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } }]);
    expect(line.of('error')[0]?.error.message).toMatch(/has sent nothing of its stream for 8000 ms$/);
    await line.session.close('over');
    expect(line.clock.pending).toBe(0);
  });

  it('is missed as well when it stops in the middle of what is said', async () => {
    await using line = await open();
    await line.stream(quiet(4_000, line.session.output));
    await line.stream(speech(1_000, line.session.output));
    await passes(line, 8_000);
    expect(line.of('closed')).toHaveLength(1);
  });

  it('may be late', async () => {
    await using line = await open();
    await line.stream(quiet(4_000, line.session.output));
    for (let i = 0; i < 5; i += 1) {
      await passes(line, 7_000);
      await line.stream(quiet(100, line.session.output));
    }
    expect(line.of('closed')).toEqual([]);
  });

  it('may be there and not read yet, when the process was held up', async () => {
    await using line = await open();
    await line.stream(quiet(4_000, line.session.output));
    line.clock.advance(60_000);
    await line.stream(quiet(100, line.session.output));
    expect(line.of('closed')).toEqual([]);
  });

  it('is told to be missing for as long as it was, and to nobody once the session is closed', async () => {
    const missed = async (close: boolean) => {
      const clock = new VirtualClock();
      const told: number[] = [];
      const watch = new StreamWatch(clock, 8_000, (forMs) => told.push(forMs));
      watch.came(4_000, false);
      // The second look is asked for, and the process is held up.
      clock.advance(7_500);
      if (close) watch.close();
      await networkTurn();
      clock.advance(2_000);
      return { told, pending: clock.pending };
    };
    expect(await missed(false)).toEqual({ told: [8_500], pending: 0 });
    expect(await missed(true)).toEqual({ told: [], pending: 0 });
  });

  it('is not missed when nobody wants that', async () => {
    await using line = await open({}, { stallMs: 0 });
    await line.stream(quiet(4_000, line.session.output));
    await passes(line, 60_000);
    expect(line.of('closed')).toEqual([]);
  });
});

describe('a stream of speech alone', () => {
  it('may end for as long as it likes', async () => {
    await using line = await open();
    for (let i = 0; i < 3; i += 1) {
      await line.stream(speech(3_000, line.session.output));
      await passes(line, 60_000);
    }
    expect(line.of('closed')).toEqual([]);
  });
});
