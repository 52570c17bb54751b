import { describe, expect, it } from 'vitest';
import { BridgeError, ERRORS, type ErrorCode } from '../src/errors.ts';
import { BREAKER_LIMITS } from '../src/fallback/breaker-limits.ts';
import { type BreakerReport, Breakers, type Trial } from '../src/fallback/breakers.ts';
import { type Dialled, dial } from '../src/fallback/dial.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from '../src/provider.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];
const NEXT: Readonly<Record<string, readonly string[]>> = {
  closed: ['open'],
  open: ['half-open'],
  'half-open': ['open', 'closed'],
};

/** Numbers 0 ≤ x < 1, the same ones for the same seed. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Calls that tell a breaker anything at all, in any order, and look whether it keeps its word. */
class Chaos {
  readonly clock = new VirtualClock();
  readonly changes: (BreakerReport & { readonly at: number })[] = [];
  readonly #random: () => number;
  readonly #trials: Trial[] = [];
  readonly breaker;
  /** When the call was let in that tries for all, as long as nobody has said anything of it or in its place. */
  #probeAt: number | undefined;

  constructor(seed: number) {
    this.#random = dice(seed);
    const breakers = new Breakers({
      clock: this.clock,
      random: this.#random,
      onChange: (report) => this.changes.push({ ...report, at: this.clock.now() }),
    });
    this.breaker = breakers.of(new ManualProvider());
  }

  step(): void {
    const chance = this.#random();
    if (chance < 0.3) this.#admit();
    else if (chance < 0.4) this.#insist();
    else if (chance < 0.9) this.#say();
    else this.clock.advance(this.#random() * (chance < 0.95 ? 500 : 20_000));
  }

  #admit(): void {
    const trial = this.breaker.admit();
    if (trial === undefined) return;
    this.#trials.push(trial);
    if (!trial.probe) return;
    const now = this.clock.now();
    if (this.#probeAt !== undefined) {
      expect(now - this.#probeAt).toBeGreaterThanOrEqual(BREAKER_LIMITS.slowMs);
    }
    this.#probeAt = now;
  }

  #insist(): void {
    const trial = this.breaker.insist();
    this.#trials.push(trial);
    if (trial.probe) this.#probeAt = undefined;
  }

  #say(): void {
    const trial = this.#trials[Math.floor(this.#random() ** 0.3 * this.#trials.length)];
    if (trial === undefined) return;
    const code = CODES[Math.floor(this.#random() * CODES.length)] ?? 'TIMEOUT';
    const words = [
      () => trial.ready(this.#random() * 4000),
      () => trial.failed(code),
      () => trial.abandoned(),
      () => trial.answered(),
      () => trial.lost(code),
    ];
    const open = this.changes.length;
    words[Math.floor(this.#random() * words.length)]?.();
    // Calls that had to be let in may take the place of the one that tries.
    if (this.breaker.state !== 'closed' || this.changes.length > open) this.#probeAt = undefined;
  }
}

describe('a breaker that is told anything in any order', () => {
  const SEEDS = Array.from({ length: 50 }, (_, seed) => seed);

  it.each(SEEDS)('keeps its pauses, lets one call try at a time, and heals: seed %i', (seed) => {
    const chaos = new Chaos(seed);
    for (let step = 0; step < 2000; step++) chaos.step();
    const { breaker, changes, clock } = chaos;
    const states = ['closed', ...changes.map(({ state }) => state)];
    expect(states.length).toBeGreaterThan(10);
    for (const [at, state] of states.slice(1).entries()) expect(NEXT[states[at] ?? '']).toContain(state);
    // However it stands, a call that goes well is let in sooner or later, and closes it.
    clock.advance(2 * BREAKER_LIMITS.longestPauseMs.credential);
    const call = breaker.admit();
    call?.ready(300);
    call?.answered();
    expect(breaker.state).toBe('closed');
  });

  it.each(SEEDS)('lets nobody in before the pause is over when nobody insists: seed %i', (seed) => {
    const random = dice(seed);
    const clock = new VirtualClock();
    let open: { readonly at: number; readonly pauseMs: number } | undefined;
    const breakers = new Breakers({
      clock,
      random,
      onChange({ state, pauseMs = 0 }) {
        open = state === 'open' ? { at: clock.now(), pauseMs } : undefined;
      },
    });
    const breaker = breakers.of(new ManualProvider());
    let refused = 0;
    for (let call = 0; call < 1000; call++) {
      clock.advance(random() * 2000);
      // The report is rounded.
      const isPause = open !== undefined && clock.now() - open.at < open.pauseMs - 1;
      const trial = breaker.admit();
      if (trial === undefined) refused += 1;
      if (isPause) expect(trial).toBeUndefined();
      if (random() < 0.7) trial?.failed('TIMEOUT');
      else trial?.ready(100);
      trial?.answered();
    }
    expect(refused).toBeGreaterThan(100);
  });
});

/** A provider that refuses, or says nothing at all, until it is well. */
class Ill implements RealtimeProvider {
  readonly name: string;
  readonly capabilities = new ManualProvider().capabilities;
  dialled = 0;
  isWell = false;
  readonly #clock: VirtualClock;
  readonly #hangs: boolean;

  constructor(name: string, clock: VirtualClock, illness: 'refuses' | 'hangs' | 'none') {
    this.name = name;
    this.#clock = clock;
    this.#hangs = illness === 'hangs';
    this.isWell = illness === 'none';
  }

  connect(
    _request: ConnectRequest,
    _sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    this.dialled += 1;
    return new Promise((resolve, reject) => {
      const answer = (): void => {
        if (this.isWell) resolve(silentSession());
        else if (!this.#hangs) reject(new BridgeError('PROVIDER_UNAVAILABLE', 'found HTTP status 503'));
      };
      signal.addEventListener('abort', () => reject(BridgeError.from(signal.reason, 'CANCELLED')), {
        once: true,
      });
      this.#clock.after(150, answer);
    });
  }
}

function silentSession(): ProviderSession {
  const format = { encoding: 'mulaw', rate: 8000 } as const;
  return {
    input: format,
    output: format,
    sendAudio: () => true,
    sendText: () => undefined,
    say: () => undefined,
    sendToolResult: () => undefined,
    interrupt: () => undefined,
    close: () => Promise.resolve(),
  };
}

describe('a breaker under a hundred calls at once', () => {
  const request: Omit<ConnectRequest, 'clock'> = {
    instructions: '',
    voice: undefined,
    language: undefined,
    tools: [],
    turnDetection: {},
    transcribeCaller: false,
    preferredFormats: [],
    history: [],
    overrides: {},
  };

  function service(illness: 'refuses' | 'hangs') {
    const clock = new VirtualClock();
    const states: string[] = [];
    const breakers = new Breakers({
      clock,
      random: () => 0.5,
      onChange: ({ provider, state }) => states.push(`${provider} ${state}`),
    });
    const first = new Ill('first', clock, illness);
    const second = new Ill('second', clock, 'none');
    const candidates = [first, second].map((provider) => ({ provider, wanted: undefined }));
    const call = async (): Promise<{ readonly by: string; readonly tookMs: number; session: Dialled }> => {
      const at = clock.now();
      const session = await dial({
        clock,
        breakers,
        candidates,
        connectMs: 5000,
        hedgeMs: 2000,
        signal: new AbortController().signal,
        request: () => ({ ...request, clock }),
        onFailed: () => undefined,
      });
      return { by: session.candidate.provider.name, tookMs: clock.now() - at, session };
    };
    const pass = async (ms: number): Promise<void> => {
      for (let step = 0; step < ms / 50; step++) {
        clock.advance(50);
        await settled();
      }
    };
    return { clock, states, breakers, first, second, call, pass };
  }

  it.each([
    ['refuses', 350],
    ['hangs', 2200],
  ] as const)(
    'opens when the first provider %s, and costs the next caller nothing',
    async (illness, withinMs) => {
      const { clock, states, first, call, pass } = service(illness);
      const calls = Array.from({ length: 100 }, call);
      await pass(6000);
      for (const { by, tookMs } of await Promise.all(calls)) {
        expect(by).toBe('second');
        expect(tookMs).toBeLessThanOrEqual(withinMs);
      }
      expect(first.dialled).toBe(100);
      expect(states[0]).toBe('first open');
      expect(clock.pending).toBe(0);
      // The first of the next hundred may be the one that tries; the others do not even dial it.
      const next = Array.from({ length: 100 }, call);
      await pass(3000);
      const took = (await Promise.all(next)).map(({ tookMs }) => tookMs);
      expect(first.dialled).toBeLessThanOrEqual(101);
      // The second provider's own time, and nothing else.
      expect(took.filter((ms) => ms > 150).length).toBeLessThanOrEqual(1);
      expect(Math.max(...took)).toBeLessThanOrEqual(450);
    },
  );

  it('is open for those who call while the first hundred still wait for a provider that hangs', async () => {
    const { first, call, pass } = service('hangs');
    const calls = Array.from({ length: 100 }, call);
    await pass(2050);
    const next = Array.from({ length: 100 }, call);
    await pass(200);
    expect((await Promise.all(next)).map(({ tookMs }) => tookMs)).toEqual(Array(100).fill(150));
    expect(first.dialled).toBe(100);
    await pass(6000);
    await Promise.all(calls);
  });

  it('closes by one of a hundred callers when the provider is well again, and then all are sent there', async () => {
    const { states, first, call, pass } = service('refuses');
    const calls = Array.from({ length: 100 }, call);
    await pass(6000);
    await Promise.all(calls);
    first.isWell = true;
    first.dialled = 0;
    const next = Array.from({ length: 100 }, call);
    await pass(1000);
    const tried = (await Promise.all(next)).filter((one) => one.by === 'first');
    expect([first.dialled, tried.length]).toEqual([1, 1]);
    expect(states).toEqual(['first open', 'first half-open']);
    tried[0]?.session.trial.answered();
    const after = Array.from({ length: 100 }, call);
    await pass(1000);
    expect(new Set((await Promise.all(after)).map((one) => one.by))).toEqual(new Set(['first']));
    expect(states).toEqual(['first open', 'first half-open', 'first closed']);
  });
});
