import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../src/errors.ts';
import { BLAME } from '../src/fallback/blame.ts';
import { BREAKER_LIMITS, type BreakerLimits, limitsFor } from '../src/fallback/breaker-limits.ts';
import { type Breaker, type BreakerReport, Breakers, type Trial } from '../src/fallback/breakers.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];
const blamed = (blame: string): ErrorCode[] => CODES.filter((code) => BLAME[code] === blame);
const PAUSE_MS = BREAKER_LIMITS.firstPauseMs.provider;
const READY_MS = 300;

interface Bench {
  readonly clock: VirtualClock;
  readonly breaker: Breaker;
  readonly breakers: Breakers;
  readonly provider: ManualProvider;
  readonly changes: BreakerReport[];
  /** A call is let in. */
  dial(): Trial;
  /** A call is let in and has a session. */
  session(): Trial;
  /** So many calls are let in and fail. */
  fail(times?: number, code?: ErrorCode): void;
  /** Opens it, and lets the pause pass. */
  openAndWait(code?: ErrorCode): void;
}

function bench(limits: Partial<BreakerLimits> = {}, random = (): number => 0.5): Bench {
  const clock = new VirtualClock();
  const changes: BreakerReport[] = [];
  const breakers = new Breakers({ clock, random, limits, onChange: (report) => changes.push(report) });
  const provider = new ManualProvider();
  const breaker = breakers.of(provider);
  const dial = (): Trial => {
    const trial = breaker.admit();
    if (trial === undefined) throw new Error('it was not let in');
    return trial;
  };
  const fail = (times = 1, code: ErrorCode = 'PROVIDER_UNAVAILABLE'): void => {
    for (let time = 0; time < times; time++) dial().failed(code);
  };
  return {
    clock,
    breaker,
    breakers,
    provider,
    changes,
    dial,
    session() {
      const trial = dial();
      trial.ready(READY_MS);
      return trial;
    },
    fail,
    openAndWait(code) {
      fail(3, code);
      expect(breaker.state).toBe('open');
      clock.advance(changes.at(-1)?.pauseMs ?? 0);
    },
  };
}

describe('a breaker opens', () => {
  it.each(blamed('credential'))('at once when a call is refused with %s', (code) => {
    const { breaker, changes, fail } = bench();
    fail(1, code);
    expect(breaker.admit()).toBeUndefined();
    expect(changes).toEqual([{ provider: 'manual', state: 'open', why: code, forMs: 0, pauseMs: 60_000 }]);
  });

  it.each(blamed('credential'))('at once when a session ends with %s', (code) => {
    const { breaker, session } = bench();
    session().lost(code);
    expect(breaker.state).toBe('open');
  });

  it.each(blamed('provider'))('when three calls in a row have failed with %s', (code) => {
    const { breaker, changes, session, fail } = bench();
    fail(2, code);
    session();
    fail(2, code);
    expect(breaker.state).toBe('closed');
    fail(1, code);
    expect(breaker.admit()).toBeUndefined();
    expect(changes).toEqual([{ provider: 'manual', state: 'open', why: code, forMs: 0, pauseMs: PAUSE_MS }]);
  });

  it.each(blamed('provider'))('when three sessions in a row were lost with %s', (code) => {
    const { breaker, session } = bench();
    const sessions = Array.from({ length: 6 }, session);
    sessions.slice(0, 2).map((trial) => trial.lost(code));
    sessions[5]?.answered();
    sessions.slice(2, 4).map((trial) => trial.lost(code));
    expect(breaker.state).toBe('closed');
    sessions[4]?.lost(code);
    expect(breaker.state).toBe('open');
  });

  it('when sessions die one after the other, though each of them was ready in no time', () => {
    const { breaker, session } = bench();
    for (let time = 0; time < 3; time++) session().lost('PROVIDER_CLOSED');
    expect(breaker.state).toBe('open');
  });

  it('when every other call fails, as soon as there are ten', () => {
    const { breaker, clock, session, fail } = bench();
    for (let time = 0; time < 4; time++) {
      session();
      fail();
      clock.advance(1000);
    }
    session();
    expect(breaker.state).toBe('closed');
    fail();
    expect(breaker.state).toBe('open');
  });

  it('not when every other call fails and calls are rare: that is too little to judge by', () => {
    const { breaker, clock, session, fail } = bench();
    for (let time = 0; time < 20; time++) {
      session();
      fail();
      clock.advance(8000);
    }
    expect(breaker.state).toBe('closed');
  });

  it('not by what was half a minute ago', () => {
    const { breaker, clock, session, fail } = bench();
    for (let time = 0; time < 4; time++) {
      session();
      fail();
    }
    clock.advance(31_000);
    session();
    fail();
    expect(breaker.state).toBe('closed');
  });

  it('by what the window holds, however often that has changed', () => {
    const { breaker, clock, session, fail } = bench();
    for (let time = 0; time < 100; time++) session();
    for (let round = 0; round < 5; round++) {
      clock.advance(31_000);
      for (let time = 0; time < 4; time++) {
        session();
        fail();
        clock.advance(1000);
      }
      if (round === 2) for (let time = 0; time < 50; time++) session();
    }
    session();
    expect(breaker.state).toBe('closed');
    fail();
    expect(breaker.state).toBe('open');
  });

  it('not when sessions are lost now and then among many that have answered within the minute', () => {
    const { breaker, clock, session } = bench();
    const sessions = Array.from({ length: 20 }, session);
    for (let minute = 0; minute < 5; minute++) {
      for (const trial of sessions) trial.answered();
      for (let time = 0; time < 12; time++) {
        session().lost('PROVIDER_CLOSED');
        sessions[time]?.answered();
      }
      clock.advance(61_000);
    }
    expect(breaker.state).toBe('closed');
  });

  it('when half of many sessions are lost within a minute, though others answer between them', () => {
    const { breaker, clock, session } = bench();
    const sessions = Array.from({ length: 40 }, session);
    for (const trial of sessions) trial.answered();
    // All that they have said counts once a minute, however talkative they are.
    for (let round = 0; round < 9; round++) {
      for (const trial of sessions) trial.answered();
      clock.advance(1000);
    }
    let lost = 0;
    for (const trial of sessions) {
      if (breaker.state === 'open') break;
      trial.lost('PROVIDER_CLOSED');
      lost += 1;
      sessions.at(-1)?.answered();
    }
    expect([breaker.state, lost]).toEqual(['open', 40]);
  });

  it('when a provider is slow again and again, and says so', () => {
    const { breaker, changes, dial, session } = bench();
    const slow = (): void => dial().ready(BREAKER_LIMITS.slowMs);
    slow();
    slow();
    session();
    slow();
    dial().failed('PROVIDER_UNAVAILABLE');
    expect(breaker.state).toBe('closed');
    slow();
    expect(changes.at(-1)).toMatchObject({ state: 'open', why: 'slow' });
  });

  it('when connections hang, as soon as the next caller asks, and counts each of them once', () => {
    const { breaker, clock, dial } = bench();
    const hanging = [dial(), dial()];
    clock.advance(BREAKER_LIMITS.slowMs);
    expect(breaker.state).toBe('closed');
    for (const trial of hanging) trial.failed('TIMEOUT');
    hanging.push(dial());
    clock.advance(BREAKER_LIMITS.slowMs - 1);
    expect(breaker.state).toBe('closed');
    clock.advance(1);
    expect(breaker.admit()).toBeUndefined();
  });

  it('at once for credentials, also when the provider took long to say so', () => {
    const { breaker, clock, dial } = bench();
    const trial = dial();
    clock.advance(BREAKER_LIMITS.slowMs);
    expect(breaker.state).toBe('closed');
    trial.failed('PROVIDER_AUTH');
    expect(breaker.state).toBe('open');
  });

  it('with the reason that the provider gives, when it gives one late', () => {
    const { clock, changes, dial } = bench();
    for (let time = 0; time < 3; time++) {
      const trial = dial();
      clock.advance(BREAKER_LIMITS.slowMs + 1000);
      trial.failed('PROVIDER_UNAVAILABLE');
    }
    expect(changes[0]?.why).toBe('PROVIDER_UNAVAILABLE');
  });

  it('when connections hang, though nobody ever waits for their end', () => {
    const { breaker, clock, dial } = bench();
    for (let time = 0; time < 3; time++) {
      const trial = dial();
      clock.advance(BREAKER_LIMITS.slowMs);
      if (time < 2) trial.abandoned();
      // What a deadline of the caller says is the same.
      else trial.failed('CANCELLED');
    }
    expect(breaker.state).toBe('open');
  });

  it('not when calls end before the provider could have been ready', () => {
    const { breaker, clock, dial } = bench();
    for (let time = 0; time < 20; time++) {
      const trial = dial();
      clock.advance(BREAKER_LIMITS.slowMs - 1);
      if (time % 2 === 0) trial.abandoned();
      else trial.failed('CANCELLED');
    }
    expect(breaker.state).toBe('closed');
  });

  it.each(blamed('nothing'))('never because of %s, which does not hide a failure either', (code) => {
    const { breaker, session, fail } = bench();
    for (let time = 0; time < 20; time++) {
      fail(1, code);
      session().lost(code);
    }
    expect(breaker.state).toBe('closed');
    for (let time = 0; time < 3; time++) {
      fail(1, code);
      fail();
    }
    expect(breaker.state).toBe('open');
  });

  it('for one credential only: another object of the same provider is another one', () => {
    const { breakers, breaker, provider, fail } = bench();
    fail(1, 'PROVIDER_AUTH');
    const other = breakers.of(new ManualProvider());
    expect(other.admit()?.probe).toBe(false);
    expect(breakers.of(provider)).toBe(breaker);
    expect(breakers.report().map(({ state }) => state)).toEqual(['open', 'closed']);
  });
});

describe('what is slow', () => {
  it.each([
    ['2 s by default', { connectMs: 5000, hedgeMs: 2000, answerMs: 10_000 }, 2000, 15_000],
    ['when the next one is dialled', { connectMs: 9000, hedgeMs: 4000, answerMs: 10_000 }, 4000, 15_000],
    ['the deadline, without a hedge', { connectMs: 60_000, hedgeMs: 0, answerMs: 0 }, 60_000, 15_000],
    [
      'the deadline, with a hedge after it',
      { connectMs: 3000, hedgeMs: 9000, answerMs: 20_000 },
      3000,
      30_000,
    ],
    ['never less than 2 s', { connectMs: 500, hedgeMs: 100, answerMs: 2000 }, 2000, 15_000],
  ])('is %s', (_what, policy, slowMs, proofMs) => {
    expect(limitsFor(policy)).toEqual({ slowMs, proofMs });
  });

  it('is a matter of the service: a provider that may take its time is not passed by for taking it', () => {
    const { breaker, dial } = bench(limitsFor({ connectMs: 60_000, hedgeMs: 0, answerMs: 10_000 }));
    for (let time = 0; time < 20; time++) dial().ready(20_000);
    expect(breaker.state).toBe('closed');
  });
});

describe('an open breaker', () => {
  it('lets nobody in before its pause is over, and then one call for all', () => {
    const { breaker, clock, changes, fail } = bench();
    fail(3);
    clock.advance(PAUSE_MS - 1);
    expect([breaker.admit(), breaker.state]).toEqual([undefined, 'open']);
    clock.advance(1);
    // Nobody has asked yet.
    expect(breaker.state).toBe('open');
    expect(breaker.admit()?.probe).toBe(true);
    expect([breaker.state, breaker.admit(), breaker.admit()]).toEqual(['half-open', undefined, undefined]);
    expect(changes.at(-1)).toMatchObject({ state: 'half-open', why: 'PROVIDER_UNAVAILABLE' });
  });

  it('closes when the session of the probe has answered, and not when it is only ready', () => {
    const { breaker, clock, changes, openAndWait, session } = bench();
    openAndWait();
    const probe = session();
    clock.advance(1000);
    expect(breaker.admit()).toBeUndefined();
    probe.answered();
    expect(breaker.admit()?.probe).toBe(false);
    expect(changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed']);
    expect(changes.at(-1)).toEqual({
      provider: 'manual',
      state: 'closed',
      why: undefined,
      forMs: 0,
      pauseMs: undefined,
    });
  });

  it('closes when the session of the probe has lived for a while without a word', () => {
    const { breaker, clock, openAndWait, session } = bench();
    openAndWait();
    session();
    clock.advance(BREAKER_LIMITS.proofMs - 1);
    expect(breaker.admit()).toBeUndefined();
    clock.advance(1);
    expect(breaker.admit()?.probe).toBe(false);
  });

  it('opens again, for twice as long, when the session of the probe dies soon', () => {
    const { breaker, clock, changes, openAndWait, session } = bench();
    openAndWait();
    const probe = session();
    clock.advance(BREAKER_LIMITS.proofMs - 1);
    probe.lost('PROVIDER_CLOSED');
    expect(changes.at(-1)).toMatchObject({ state: 'open', why: 'PROVIDER_CLOSED', pauseMs: 2 * PAUSE_MS });
    clock.advance(2 * PAUSE_MS - 1);
    expect(breaker.admit()).toBeUndefined();
  });

  it('waits twice as long after each probe that fails, up to its longest pause', () => {
    const { clock, changes, fail } = bench();
    fail(3);
    const pauses: (number | undefined)[] = [];
    for (let time = 0; time < 7; time++) {
      const { pauseMs } = changes.at(-1) ?? {};
      pauses.push(pauseMs);
      clock.advance(pauseMs ?? 0);
      fail(1, 'TIMEOUT');
    }
    expect(pauses).toEqual([5000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000]);
    // And never beyond all measure.
    for (let time = 0; time < 3000; time++) {
      clock.advance(changes.at(-1)?.pauseMs ?? 0);
      fail();
    }
    expect(changes.at(-1)?.pauseMs).toBe(120_000);
  });

  it('waits longer for credentials, also when that is what a probe has found', () => {
    const { changes, openAndWait, fail } = bench();
    openAndWait();
    fail(1, 'PROVIDER_QUOTA');
    expect(changes.at(-1)).toMatchObject({ why: 'PROVIDER_QUOTA', pauseMs: 120_000 });
  });

  it.each([
    [0, 0.8],
    [0.5, 1],
    [1 - Number.EPSILON, 1.2],
  ])('waits a little more or less than others that saw the same: dice at %s, pause × %s', (dice, share) => {
    const { changes, fail } = bench({}, () => dice);
    fail(3);
    expect(changes[0]?.pauseMs).toBe(share * PAUSE_MS);
  });

  it('stays open for a probe that is slow, however well it was otherwise', () => {
    const { breaker, changes, openAndWait, dial } = bench();
    openAndWait();
    const probe = dial();
    probe.ready(BREAKER_LIMITS.slowMs + 1);
    probe.answered();
    expect(breaker.state).toBe('open');
    expect(changes.at(-1)).toMatchObject({ why: 'slow', pauseMs: 2 * PAUSE_MS });
  });

  it('stays open for a probe that hangs until nobody needs it any more', () => {
    const { clock, changes, openAndWait, dial } = bench();
    openAndWait();
    const probe = dial();
    clock.advance(BREAKER_LIMITS.slowMs);
    probe.abandoned();
    expect(changes.at(-1)).toMatchObject({ state: 'open', why: 'slow' });
  });

  it.each([
    ['is given up', (probe: Trial) => probe.abandoned()],
    ['meets a mistake of its agent', (probe: Trial) => probe.failed('PROVIDER_CONFIG')],
    ['is called off', (probe: Trial) => probe.failed('CANCELLED')],
    [
      'has a session that we lose by a mistake of our own',
      (probe: Trial) => {
        probe.ready(READY_MS);
        probe.lost('INTERNAL');
      },
    ],
  ])('lets the next call try when the probe %s, and makes no news of it', (_what, end) => {
    const { breaker, changes, openAndWait, dial } = bench();
    openAndWait();
    end(dial());
    expect(breaker.state).toBe('half-open');
    expect(dial().probe).toBe(true);
    expect(breaker.admit()).toBeUndefined();
    expect(changes.map(({ state }) => state)).toEqual(['open', 'half-open']);
  });

  it('takes a probe of which nothing is heard for slow, and nothing that it says later for news', () => {
    const { breaker, clock, changes, openAndWait, dial } = bench();
    openAndWait();
    const forgotten = dial();
    clock.advance(BREAKER_LIMITS.slowMs - 1);
    expect(breaker.state).toBe('half-open');
    // Nobody asks for a while; the pause does not begin with the one who does.
    clock.advance(PAUSE_MS + 1);
    expect(breaker.admit()).toBeUndefined();
    expect(changes.at(-1)).toMatchObject({ why: 'slow', forMs: PAUSE_MS, pauseMs: 2 * PAUSE_MS });
    clock.advance(PAUSE_MS);
    const probe = dial();
    forgotten.ready(READY_MS);
    forgotten.answered();
    expect(breaker.state).toBe('half-open');
    probe.ready(READY_MS);
    probe.answered();
    expect(breaker.state).toBe('closed');
  });

  it('stays open though a hundred calls go on well: those who are refused are new', () => {
    const { breaker, clock, changes, session, fail } = bench();
    const calls = Array.from({ length: 100 }, session);
    const talk = (): void => {
      for (const call of calls) call.answered();
    };
    talk();
    // They hide the refusals neither before it opens …
    for (let time = 0; time < 3; time++) {
      fail(1, 'PROVIDER_RATE_LIMITED');
      talk();
    }
    expect(breaker.state).toBe('open');
    // … nor while it is open, nor while one call tries.
    talk();
    expect(breaker.state).toBe('open');
    clock.advance(PAUSE_MS);
    const probe = breaker.admit();
    talk();
    probe?.ready(READY_MS);
    talk();
    expect(breaker.state).toBe('half-open');
    probe?.lost('PROVIDER_RATE_LIMITED');
    expect(changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'open']);
  });

  it('keeps to its pauses when it takes long until a call tries, and proves nothing', () => {
    const { clock, changes, openAndWait, dial, fail } = bench();
    openAndWait();
    dial().abandoned();
    clock.advance(2 * BREAKER_LIMITS.relapseMs);
    fail();
    expect(changes.at(-1)?.pauseMs).toBe(2 * PAUSE_MS);
  });

  it('goes on where it was when it opens again soon, and from the beginning when it was well for a minute', () => {
    const { clock, changes, openAndWait, session, fail } = bench();
    const heal = (): void => {
      clock.advance(changes.at(-1)?.pauseMs ?? 0);
      session().answered();
    };
    openAndWait();
    session().answered();
    clock.advance(BREAKER_LIMITS.relapseMs - 1);
    fail(3);
    expect(changes.at(-1)?.pauseMs).toBe(2 * PAUSE_MS);
    heal();
    clock.advance(BREAKER_LIMITS.relapseMs);
    fail(3);
    expect(changes.at(-1)?.pauseMs).toBe(PAUSE_MS);
  });
});

describe('whoever has no other provider', () => {
  it('is let in whatever the breaker thinks, as one of many or as the probe', () => {
    const { breaker, clock, fail } = bench();
    expect(breaker.insist().probe).toBe(false);
    fail(3);
    expect(breaker.insist().probe).toBe(false);
    expect(breaker.state).toBe('open');
    clock.advance(PAUSE_MS);
    expect([breaker.insist().probe, breaker.insist().probe]).toEqual([true, false]);
  });

  it('closes it before its time when their session answers', () => {
    const { breaker, changes, fail } = bench();
    fail(3);
    const call = breaker.insist();
    call.ready(READY_MS);
    expect(breaker.admit()).toBeUndefined();
    call.answered();
    expect(changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed']);
  });

  it('does not keep it open for longer when they fail: that it does not work is known', () => {
    const { breaker, clock, changes, fail } = bench();
    fail(3);
    clock.advance(PAUSE_MS - 1);
    for (let time = 0; time < 100; time++) {
      const call = breaker.insist();
      if (time % 2 === 0) call.failed('PROVIDER_AUTH');
      else call.ready(BREAKER_LIMITS.slowMs);
    }
    clock.advance(1);
    expect(breaker.admit()?.probe).toBe(true);
    expect(changes).toHaveLength(2);
  });

  it('leaves the probe its place when they prove nothing', () => {
    const { breaker, openAndWait, dial } = bench();
    openAndWait();
    dial();
    breaker.insist().abandoned();
    breaker.insist().failed('PROVIDER_CONFIG');
    expect(breaker.admit()).toBeUndefined();
  });

  it('takes the place of a probe that is not ready yet', () => {
    const { breaker, openAndWait, dial } = bench();
    openAndWait();
    const probe = dial();
    const call = breaker.insist();
    call.ready(READY_MS);
    probe.failed('TIMEOUT');
    expect(breaker.state).toBe('half-open');
    call.lost('PROVIDER_CLOSED');
    expect(breaker.state).toBe('open');
  });

  it('is no judge of a breaker whose probe is ready already', () => {
    const { breaker, openAndWait, session } = bench();
    openAndWait();
    const probe = session();
    const call = breaker.insist();
    call.ready(READY_MS);
    call.lost('PROVIDER_CLOSED');
    expect(breaker.state).toBe('half-open');
    probe.answered();
    expect(breaker.state).toBe('closed');
  });
});

describe('what comes late', () => {
  it('from calls that were let in before it opened changes nothing, neither while it is open nor after', () => {
    const { breaker, changes, openAndWait, dial, session } = bench();
    const early = Array.from({ length: 40 }, dial);
    const tell = (from: number): void => {
      early[from]?.ready(READY_MS);
      early[from]?.answered();
      for (const trial of early.slice(from + 1, from + 5)) trial.failed('PROVIDER_UNAVAILABLE');
      early[from + 5]?.failed('PROVIDER_AUTH');
      early[from + 6]?.abandoned();
    };
    openAndWait();
    tell(0);
    expect(breaker.state).toBe('open');
    const probe = session();
    tell(10);
    expect(breaker.state).toBe('half-open');
    probe.answered();
    tell(20);
    expect(breaker.state).toBe('closed');
    expect(changes).toHaveLength(3);
  });

  it('from a call that was ready after others had hung for too long, though nobody had asked in between', () => {
    const { breaker, clock, dial } = bench();
    for (let time = 0; time < 3; time++) dial();
    clock.advance(BREAKER_LIMITS.slowMs - READY_MS);
    const late = dial();
    clock.advance(READY_MS);
    late.ready(READY_MS);
    expect(breaker.state).toBe('open');
  });

  it('from calls that hung before it opened is no news when it has closed', () => {
    const { breaker, clock, dial, fail } = bench();
    const hanging = Array.from({ length: 5 }, dial);
    fail(3);
    const call = breaker.insist();
    call.ready(READY_MS);
    call.answered();
    expect(breaker.state).toBe('closed');
    clock.advance(BREAKER_LIMITS.slowMs);
    expect(breaker.state).toBe('closed');
    for (const trial of hanging) trial.failed('TIMEOUT');
    expect(breaker.state).toBe('closed');
  });

  it('from sessions that may have died of what is over does not open it again', () => {
    const { breaker, openAndWait, session } = bench();
    const before = Array.from({ length: 10 }, session);
    openAndWait();
    session().answered();
    for (const trial of before) trial.lost('TIMEOUT');
    expect(breaker.state).toBe('closed');
  });

  it('from sessions that have answered since counts like that of any other', () => {
    const { breaker, openAndWait, session } = bench();
    const before = Array.from({ length: 3 }, session);
    openAndWait();
    session().answered();
    for (const trial of before) trial.answered();
    for (const trial of before) trial.lost('PROVIDER_CLOSED');
    expect(breaker.state).toBe('open');
  });

  it('counts the session of the probe as one of the new time', () => {
    const { breaker, openAndWait, session } = bench();
    openAndWait();
    const probe = session();
    probe.answered();
    probe.lost('PROVIDER_CLOSED');
    session().lost('PROVIDER_CLOSED');
    session().lost('PROVIDER_CLOSED');
    expect(breaker.state).toBe('open');
  });

  it('is heard once from each: what was said is not said again', () => {
    const { breaker, dial, session } = bench();
    const failed = dial();
    const lost = session();
    for (let time = 0; time < 5; time++) {
      failed.failed('TIMEOUT');
      failed.ready(READY_MS);
      failed.abandoned();
      failed.lost('PROVIDER_AUTH');
      lost.lost('PROVIDER_CLOSED');
      lost.failed('PROVIDER_AUTH');
    }
    dial().lost('PROVIDER_AUTH');
    expect(breaker.state).toBe('closed');
    session().lost('PROVIDER_CLOSED');
    // The dead do not speak.
    lost.answered();
    session().lost('PROVIDER_CLOSED');
    expect(breaker.state).toBe('open');
  });
});

describe('a report', () => {
  it('says since when, and why as long as it is not closed', () => {
    const { breakers, breaker, clock, openAndWait, session } = bench();
    clock.advance(1234.5);
    expect(breakers.report()).toEqual([
      { provider: 'manual', state: 'closed', why: undefined, forMs: 1235, pauseMs: undefined },
    ]);
    openAndWait('TIMEOUT');
    expect(breakers.report()).toEqual([
      { provider: 'manual', state: 'open', why: 'TIMEOUT', forMs: PAUSE_MS, pauseMs: PAUSE_MS },
    ]);
    session();
    clock.advance(10);
    expect(breakers.report()).toEqual([
      { provider: 'manual', state: 'half-open', why: 'TIMEOUT', forMs: 10, pauseMs: undefined },
    ]);
    // Nobody asks for a while after it has proved itself.
    clock.advance(BREAKER_LIMITS.proofMs + 1000);
    expect(breakers.report()).toMatchObject([{ state: 'closed', forMs: 1010 }]);
    expect(breaker.state).toBe('closed');
  });

  it('does not speak of providers that nobody has dialled', () => {
    const breakers = new Breakers({ clock: new VirtualClock(), onChange: () => undefined });
    expect(breakers.report()).toEqual([]);
  });
});
