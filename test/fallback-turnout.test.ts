import { describe, expect, it } from 'vitest';
import { BridgeError, type ErrorCode } from '../src/errors.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { Turnout } from '../src/fallback/turnout.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function turnout() {
  const clock = new VirtualClock();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => soleCandidate(new ManualProvider(undefined, {}, name))[0]);
  if (a === undefined || b === undefined || c === undefined) throw new Error('three are wanted');
  const subject = new Turnout([a, b, c], clock);
  const insteadOf = (one: typeof a): string =>
    subject
      .after(one)
      .map(({ provider }) => provider.name)
      .join('');
  const from = (one: typeof a): string =>
    subject
      .from(one)
      .map(({ provider }) => provider.name)
      .join('');
  return { clock, subject, a, b, c, insteadOf, from };
}

function because(code: ErrorCode): BridgeError {
  return new BridgeError(code, 'as the test says');
}

describe('who is still to be tried', () => {
  it('are those behind, those before, and the same one last; or first, when only its session ends', () => {
    const { a, b, c, insteadOf, from } = turnout();
    expect([insteadOf(a), insteadOf(b), insteadOf(c)]).toEqual(['bca', 'cab', 'abc']);
    expect([from(a), from(b), from(c)]).toEqual(['abc', 'bca', 'cab']);
  });

  it('is nobody who has refused for good, whatever happens later', () => {
    const { subject, a, b, insteadOf, from, clock } = turnout();
    subject.failed(b, because('PROVIDER_AUTH'));
    subject.lost(a, because('PROVIDER_QUOTA'));
    subject.answered();
    clock.advance(600_000);
    expect([insteadOf(a), from(a)]).toEqual(['c', 'c']);
    expect(subject.mayTry(b)).toBe(false);
  });

  it('is whoever has refused to go on with a session, without it', () => {
    const { subject, a, insteadOf } = turnout();
    subject.failed({ ...a }, because('PROVIDER_CONFIG'));
    expect(insteadOf(a)).toBe('bca');
    // One that cannot be had now may be had later.
    subject.failed(a, because('PROVIDER_UNAVAILABLE'));
    expect(insteadOf(a)).toBe('bca');
  });

  it('is nobody who was lost twice, until somebody has answered', () => {
    const { subject, a, insteadOf } = turnout();
    subject.lost(a, because('PROVIDER_CLOSED'));
    expect(insteadOf(a)).toBe('bca');
    subject.lost({ ...a }, because('PROVIDER_CLOSED'));
    expect(insteadOf(a)).toBe('bc');
    expect(subject.mayTry({ ...a })).toBe(false);
    subject.answered();
    expect(insteadOf(a)).toBe('bca');
  });

  it('is nobody who was lost four times within a minute, whoever has answered', () => {
    const { subject, a, clock, insteadOf } = turnout();
    for (let i = 0; i < 4; i++) {
      expect(insteadOf(a)).toBe('bca');
      subject.lost(a, because('PROVIDER_CLOSED'));
      subject.answered();
      clock.advance(10_000);
    }
    expect(insteadOf(a)).toBe('bc');
    clock.advance(19_000);
    expect(insteadOf(a)).toBe('bc');
    clock.advance(2000);
    expect(insteadOf(a)).toBe('bca');
  });
});
