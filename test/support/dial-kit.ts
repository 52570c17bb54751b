import { getEventListeners } from 'node:events';
import { expect } from 'vitest';
import { MULAW_8K } from '../../src/audio/format.ts';
import { BridgeError, type ErrorCode } from '../../src/errors.ts';
import { BREAKER_LIMITS } from '../../src/fallback/breaker-limits.ts';
import { type Breaker, type BreakerState, Breakers, type Trial } from '../../src/fallback/breakers.ts';
import { soleCandidate } from '../../src/fallback/candidate.ts';
import { type Dialled, type DialOptions, dial } from '../../src/fallback/dial.ts';
import type {
  ConnectRequest,
  ProviderCapabilities,
  ProviderEvent,
  ProviderSession,
  RealtimeProvider,
} from '../../src/provider.ts';
import { ManualProvider, settled } from './manual-provider.ts';
import { requestOf } from './provider-request.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Whoever is overtaken, and is not ready by then, is given up as slow. */
export const SLOW_AFTER_MS = BREAKER_LIMITS.slowMs + 10;

/** One `connect`, as the provider sees it. */
export class Ring {
  readonly request: ConnectRequest;
  readonly signal: AbortSignal;
  readonly sink: (event: ProviderEvent) => void;
  readonly connected: Promise<ProviderSession>;
  /** What was done with the session. */
  readonly done: string[] = [];
  /** It was ready before it was refused, whoever took notice. */
  isAnswered = false;
  session: ProviderSession | undefined;
  #isOver = false;
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

  /** The session is there; nothing has happened yet. */
  answersNow(close: () => Promise<void> = () => Promise.resolve()): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.isAnswered = true;
    this.session = {
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
    };
    this.#resolve(this.session);
  }

  async refuses(thrown: unknown): Promise<void> {
    this.#isOver = true;
    this.#reject(thrown);
    await settled();
  }

  /** Tells that the session is to be paid for so many tokens. */
  bills(tokens: number): void {
    this.sink({
      type: 'usage',
      usage: {
        inputTextTokens: tokens,
        inputAudioTokens: 0,
        cachedTextTokens: 0,
        cachedAudioTokens: 0,
        outputTextTokens: 0,
        outputAudioTokens: 0,
      },
    });
  }

  speaks(bytes: Uint8Array): void {
    this.sink({ type: 'audio', responseId: 'r', itemId: 'i', bytes });
  }

  ends(error?: BridgeError): void {
    this.sink({ type: 'closed', expected: error === undefined, error });
  }
}

export type Manners = 'obeys' | 'ignores the signal';

/** A provider that notes who dials it. */
export class Provider implements RealtimeProvider {
  readonly name: string;
  readonly capabilities: ProviderCapabilities = new ManualProvider().capabilities;
  readonly rings: Ring[] = [];
  manners: Manners = 'obeys';
  /** Somebody dials. */
  onRing: (ring: Ring) => void = () => undefined;
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
    this.onRing(ring);
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
export class ToldBreakers extends Breakers {
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
      heldUp: (ms) => note(`held up ${ms}`),
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
    };
  }
}

export interface Setting extends Partial<Pick<DialOptions, 'connectMs' | 'hedgeMs'>> {
  readonly breakers?: ToldBreakers;
  readonly over?: Partial<DialOptions>;
}

/** A dialling of these providers, and everything that it tells. */
export function start(providers: readonly RealtimeProvider[], { breakers, over, ...policy }: Setting = {}) {
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
  return {
    clock,
    breakers: told,
    given,
    failures,
    strays,
    outcome,
    pass,
    clean,
    get winner(): RealtimeProvider | undefined {
      return outcome.dialled?.candidate.provider;
    },
  };
}

export function failure(code: ErrorCode): BridgeError {
  return new BridgeError(code, 'as the test says');
}
