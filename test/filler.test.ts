import { describe, expect, it } from 'vitest';
import type { FillerPolicy } from '../src/agents.ts';
import { Filler } from '../src/filler.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const POLICY: FillerPolicy = {
  afterMs: 2000,
  texts: ['One moment.', 'Nearly there.'],
  clip: undefined,
  everyMs: 8000,
  atMost: 3,
};
const CLIP = { pcm: new Uint8Array(320), rate: 8000 } as const;

function make(change: Partial<FillerPolicy> | 'none' = {}) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const underWay = new Set<string>();
  const others = new Set<string>();
  const filler = new Filler({
    clock,
    policy: change === 'none' ? undefined : { ...POLICY, ...change },
    say: (text) => log.push(text),
    play: () => log.push('clip'),
    stopClip: () => log.push('stop clip'),
    isUnderWay: (responseId) => underWay.has(responseId),
    hasOther: (responseId) => [...others].some((id) => id !== responseId),
    cut: () => log.push('cut'),
  });
  /** The filler that was asked for last is said for `ms`, and then nobody speaks. */
  const spoken = (responseId: string, ms: number): void => {
    filler.askedResponse(responseId);
    filler.busy();
    clock.advance(ms);
    filler.quiet(POLICY.afterMs);
  };
  return { clock, log, underWay, others, filler, spoken };
}

describe('a caller who waits for a function', () => {
  it('hears something after the time of the policy, not a moment sooner', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(1999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toEqual(['One moment.']);
  });

  it('has to wait in silence for all of that time: speech makes it begin anew', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(1500);
    filler.busy();
    clock.advance(5000);
    filler.quiet(2000);
    clock.advance(1999);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toHaveLength(1);
  });

  it('does not wait longer because it is noticed again that all is quiet', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(1500);
    filler.quiet(2000);
    clock.advance(500);
    expect(log).toHaveLength(1);
  });

  it('hears it as soon as the least patient of the functions wants it, counted from the same moment', () => {
    const { clock, filler, log } = make();
    filler.quiet(5000);
    clock.advance(500);
    filler.quiet(1000);
    clock.advance(499);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toHaveLength(1);
  });

  it('waits for the more patient one once the other is over', () => {
    const { clock, filler, log } = make();
    filler.quiet(1000);
    clock.advance(500);
    filler.quiet(5000);
    clock.advance(4499);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toHaveLength(1);
  });

  it('hears it at once when the time of a more patient one has passed already', () => {
    const { clock, filler, log } = make();
    filler.quiet(5000);
    clock.advance(3000);
    filler.quiet(1000);
    clock.advance(0);
    expect(log).toHaveLength(1);
  });

  it('hears nothing when only functions are left that want none', () => {
    const { clock, filler, log } = make();
    filler.quiet(1000);
    filler.quiet(0);
    clock.advance(60_000);
    expect(log).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('hears nothing from an agent without a policy', () => {
    const { clock, filler, log } = make('none');
    filler.quiet(2000);
    clock.advance(60_000);
    filler.end();
    expect(log).toEqual(['stop clip']);
  });

  it('hears the texts in turn, each so long after the end of the one before, and no more than so many', () => {
    const { clock, filler, log, spoken } = make();
    filler.quiet(2000);
    clock.advance(2000);
    spoken('f1', 1500);
    clock.advance(7999);
    expect(log).toEqual(['One moment.']);
    clock.advance(1);
    expect(log).toEqual(['One moment.', 'Nearly there.']);
    spoken('f2', 1500);
    clock.advance(8000);
    expect(log).toEqual(['One moment.', 'Nearly there.', 'One moment.']);
    spoken('f3', 1500);
    clock.advance(600_000);
    expect(log).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  it('hears the next text in the next wait, and as many as before', () => {
    const { clock, filler, log, spoken } = make({ atMost: 1 });
    filler.quiet(2000);
    clock.advance(2000);
    spoken('f1', 1000);
    filler.end();
    filler.quiet(2000);
    clock.advance(2000);
    expect(log.filter((one) => one !== 'stop clip')).toEqual(['One moment.', 'Nearly there.']);
  });

  it('is not promised a second one while the first has not come', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.quiet(2000);
    clock.advance(60_000);
    expect(log).toEqual(['One moment.']);
  });

  it('hears the clip in place of the texts, again after its end', () => {
    const { clock, filler, log } = make({ clip: CLIP });
    filler.quiet(2000);
    clock.advance(2000);
    expect(log).toEqual(['clip']);
    clock.advance(300);
    filler.quiet(2000);
    clock.advance(7999);
    expect(log).toEqual(['clip']);
    clock.advance(1);
    expect(log).toEqual(['clip', 'clip']);
  });

  it('hears nothing of a policy that has neither text nor clip', () => {
    const { clock, filler, log } = make({ texts: [] });
    filler.quiet(2000);
    clock.advance(60_000);
    expect(log).toEqual([]);
  });
});

describe('the end of the wait', () => {
  it('cuts off what is being said', () => {
    const { clock, filler, log, underWay } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.askedResponse('f1');
    underWay.add('f1');
    filler.end();
    expect(log).toEqual(['One moment.', 'stop clip', 'cut']);
    filler.end();
    expect(log.filter((one) => one === 'cut')).toHaveLength(1);
  });

  it('takes back what was asked for and has not begun', () => {
    const { clock, filler, log } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.end();
    expect(log).toContain('cut');
  });

  it('cuts nothing when it was heard to its end, was never asked for, or was interrupted', () => {
    const { clock, filler, log, spoken } = make();
    filler.quiet(2000);
    filler.end();
    filler.quiet(2000);
    clock.advance(2000);
    spoken('f1', 1000);
    filler.end();
    filler.quiet(2000);
    clock.advance(2000);
    filler.interrupted();
    filler.end();
    expect(log).not.toContain('cut');
  });

  it('never cuts a response that is another’s, whether the filler has begun or not', () => {
    for (const begun of [true, false]) {
      const { clock, filler, log, underWay, others } = make();
      filler.quiet(2000);
      clock.advance(2000);
      if (begun) {
        filler.askedResponse('f1');
        underWay.add('f1');
        others.add('f1');
      }
      others.add('answer');
      filler.end();
      expect(log).not.toContain('cut');
    }
  });

  it('does not take a later answer for the filler that was interrupted', () => {
    const { clock, filler, log, underWay } = make();
    filler.quiet(2000);
    clock.advance(2000);
    filler.interrupted();
    filler.askedResponse('goodbye');
    underWay.add('goodbye');
    filler.end();
    expect(log).not.toContain('cut');
  });

  it('leaves nothing on the clock', () => {
    const { clock, filler } = make();
    filler.quiet(2000);
    filler.end();
    expect(clock.pending).toBe(0);
  });
});
