import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { BridgeError, ERRORS, type ErrorCode } from '../src/errors.ts';
import { type Breaker, type BreakerState, Breakers, type Trial } from '../src/fallback/breakers.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import {
  AGAIN_AFTER_MS,
  type Dialled,
  type DialOptions,
  dial,
  PROBE_HEDGE_MS,
} from '../src/fallback/dial.ts';
import type {
  ConnectRequest,
  ProviderCapabilities,
  ProviderEvent,
  ProviderSession,
  RealtimeProvider,
  Usage,
} from '../src/provider.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const USAGE: Usage = {
  inputTextTokens: 10,
  inputAudioTokens: 0,
  cachedTextTokens: 0,
  cachedAudioTokens: 0,
  outputTextTokens: 0,
  outputAudioTokens: 0,
};

/** One `connect`, as the provider sees it. */
class Ring {
  readonly request: ConnectRequest;
  readonly signal: AbortSignal;
  readonly sink: (event: ProviderEvent) => void;
  readonly connected: Promise<ProviderSession>;
  /** What was done with the session. */
  readonly done: string[] = [];
  #resolve: (session: ProviderSession) => void = () => undefined;
  #reject: (thrown: unknown) => void = () => undefined;

  constructor(request: ConnectRequest, sink: (event: ProviderEvent) => void, signal: AbortSignal) {
    this.request = request;
    this.sink = sink;
    this.signal = signal;
    this.connected = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The session is there, and what depends on it has happened. */
  async answers(close?: () => Promise<void>): Promise<void> {
    this.answersNow(close);
    await settled();
  }

  answersNow(close: () => Promise<void> = () => Promise.resolve()): void {
    this.#resolve({
      input: MULAW_8K,
      output: MULAW_8K,
      sendAudio: () => this.done.push('audio') > 0,
      sendText: () => this.done.push('text'),
      say: () => this.done.push('say'),
      sendToolResult: () => this.done.push('tool result'),
      interrupt: () => this.done.push('interrupt'),
      close: () => {
        this.done.push('close');
        return close();
      },
    });
  }

  async refuses(thrown: unknown): Promise<void> {
    this.#reject(thrown);
    await settled();
  }
}

type Manners = 'obeys' | 'ignores the signal';

/** A provider that notes who dials it. */
class Provider implements RealtimeProvider {
  readonly name: string;
  readonly capabilities: ProviderCapabilities = new ManualProvider().capabilities;
  readonly rings: Ring[] = [];
  manners: Manners = 'obeys';
  /** In the place of everything else. */
  instead: (() => Promise<ProviderSession>) | undefined;

  constructor(name: string) {
    this.name = name;
  }

  connect(
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession> {
    const ring = new Ring(request, sink, signal);
    this.rings.push(ring);
    if (this.instead !== undefined) return this.instead();
    if (this.manners === 'obeys') {
      signal.addEventListener('abort', () => void ring.refuses(signal.reason), { once: true });
    }
    return ring.connected;
  }

  get ring(): Ring {
    const ring = this.rings.at(-1);
    if (ring === undefined) throw new Error(`${this.name} was not dialled`);
    return ring;
  }
}

/** Breakers that do as the test says, and write down what they are told. */
class ToldBreakers extends Breakers {
  readonly told: string[] = [];
  readonly states = new Map<RealtimeProvider, BreakerState>();

  override of(provider: RealtimeProvider): Breaker {
    const { name } = provider;
    const state = this.states.get(provider) ?? 'closed';
    const note = (what: string): number => this.told.push(`${name} ${what}`);
    const trial = (probe: boolean): Trial => ({
      probe,
      ready: (ms) => note(`ready ${ms}`),
      failed: (code) => note(`failed ${code}`),
      abandoned: () => note('abandoned'),
      lost: (code) => note(`lost ${code}`),
      answered: () => note('answered'),
    });
    return {
      name,
      state,
      admit: () => {
        if (state === 'open') return undefined;
        // Only one call is let in to try.
        if (state === 'half-open') this.states.set(provider, 'open');
        return trial(state === 'half-open');
      },
      insist: () => {
        note('insisted');
        return trial(false);
      },
      lost: (code) => note(`lost ${code}`),
      answered: () => note('answered'),
    };
  }
}

interface Setting extends Partial<Pick<DialOptions, 'connectMs' | 'hedgeMs'>> {
  readonly breakers?: ToldBreakers;
  readonly over?: Partial<DialOptions>;
}

/** A dialling of these providers, and everything that it tells. */
function start(providers: readonly RealtimeProvider[], { breakers, over, ...policy }: Setting = {}) {
  const clock = new VirtualClock();
  const told = breakers ?? new ToldBreakers({ clock, onChange: () => undefined });
  const given = new AbortController();
  const failures: string[] = [];
  const strays: string[] = [];
  const outcome: { dialled?: Dialled; error?: BridgeError } = {};
  const dialling = dial({
    clock,
    breakers: told,
    candidates: providers.flatMap(soleCandidate),
    connectMs: 5000,
    hedgeMs: 2000,
    signal: given.signal,
    request: () => requestOf({ clock }),
    onFailed: ({ provider }, { code }, ms) => failures.push(`${provider.name} ${code} ${ms}`),
    onStray: ({ provider }, { usage }) => strays.push(`${provider.name} ${usage.inputTextTokens}`),
    ...policy,
    ...over,
  });
  dialling.then(
    (dialled) => {
      outcome.dialled = dialled;
    },
    (error: BridgeError) => {
      outcome.error = error;
    },
  );
  /** Time goes by, and what depends on it happens. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settled();
  };
  /** Nothing is left behind. */
  const clean = (): void => {
    expect(clock.pending).toBe(0);
    expect(getEventListeners(given.signal, 'abort')).toEqual([]);
  };
  return { clock, breakers: told, given, failures, strays, outcome, pass, clean };
}

function failure(code: ErrorCode): BridgeError {
  return new BridgeError(code, 'as the test says');
}

describe('dialling', () => {
  it('takes the first provider when it is ready in time, and dials no other', async () => {
    const [a, b] = [new Provider('a'), new Provider('b')];
    const call = start([a, b]);
    await call.pass(1999);
    await a.ring.answers();
    expect(call.outcome.dialled).toMatchObject({ ms: 1999, overtaken: [], request: a.ring.request });
    expect(call.outcome.dialled?.candidate.provider).toBe(a);
    expect(b.rings).toEqual([]);
    expect(call.breakers.told).toEqual(['a ready 1999']);
    expect(call.failures).toEqual([]);
    expect(a.ring.done).toEqual([]);
    call.clean();
  });

  it('dials the next at once when one fails, in the order of the list', async () => {
    const [a, b, c] = [new Provider('a'), new Provider('b'), new Provider('c')];
    const call = start([a, b, c]);
    await call.pass(10);
    await a.ring.refuses(failure('PROVIDER_AUTH'));
    await call.pass(20);
    await b.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    await call.pass(30);
    await c.ring.answers();
    expect(call.outcome.dialled?.candidate.provider).toBe(c);
    expect(call.failures).toEqual(['a PROVIDER_AUTH 10', 'b PROVIDER_UNAVAILABLE 20']);
    expect(call.breakers.told).toEqual([
      'a failed PROVIDER_AUTH',
      'b failed PROVIDER_UNAVAILABLE',
      'c ready 30',
    ]);
    call.clean();
  });
});
