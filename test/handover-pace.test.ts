import { describe, expect, it } from 'vitest';
import { Pace } from '../src/handover/pace.ts';

describe('the pace of an agent', () => {
  it('takes a fifth of the words for not said yet, before anything is known', () => {
    const pace = new Pace();
    expect(pace.said(50, 4000, 4000)).toBe(40);
  });

  it('learns how far words run ahead', () => {
    const pace = new Pace();
    pace.learn({ characters: 60, ms: 4000, atTheEnd: 60, writtenAtMs: 2800 });
    expect(pace.said(50, 4000, 4000)).toBe(35);
    // A provider that writes all before it speaks is known by its speed.
    pace.learn({ characters: 60, ms: 4000, atTheEnd: 60, writtenAtMs: 0 });
    expect(pace.said(300, 2000, 0)).toBeLessThan(40);
  });

  it('learns nothing of that from a word', () => {
    const pace = new Pace();
    pace.learn({ characters: 6, ms: 500, atTheEnd: 6, writtenAtMs: 0 });
    expect(pace.said(50, 4000, 4000)).toBe(40);
  });

  it('takes all for said where words come after their audio', () => {
    const pace = new Pace();
    pace.learn({ characters: 60, ms: 4000, atTheEnd: 40, writtenAtMs: 4000 });
    expect(pace.said(50, 1000, 1000)).toBe(50);
  });

  it('never takes more for said than can be said in the time', () => {
    const pace = new Pace();
    expect(pace.said(500, 1000, 900)).toBeLessThan(20);
    expect(pace.said(500, 0, 0)).toBe(0);
    expect(pace.said(0, 1000, 0)).toBe(0);
  });

  it('goes by the length alone where all was written before it was spoken', () => {
    const pace = new Pace();
    // Fifteen characters a second.
    expect(pace.said(90, 4000, 0)).toBe(60);
    expect(pace.said(50, 4000, 0)).toBe(50);
  });

  it('takes all for said when there was twice the time for it', () => {
    expect(new Pace().said(10, 2000, 0)).toBe(10);
  });

  it('learns nothing from words that are not known, or that were not heard', () => {
    const pace = new Pace();
    pace.learn({ characters: 0, ms: 4000, atTheEnd: 0, writtenAtMs: 0 });
    pace.learn({ characters: 60, ms: 0, atTheEnd: 0, writtenAtMs: 0 });
    expect(pace.said(50, 4000, 4000)).toBe(40);
  });
});
