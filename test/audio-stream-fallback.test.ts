import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { type AudioStream, type AudioStreamOptions, processAudioStream } from '../src/audio-stream.ts';
import { BridgeError, type ErrorCode } from '../src/errors.ts';
import { Breakers } from '../src/fallback/breakers.ts';
import { AGAIN_AFTER_MS } from '../src/fallback/dial.ts';
import type { RealtimeProvider } from '../src/provider.ts';
import { failure, Provider } from './support/dial-kit.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** 100 ms of mu-law, and then silence of the source until it is asked to stop. */
class Source implements AsyncIterable<Uint8Array> {
  /** How often somebody asked for a piece. */
  asked = 0;
  returned = false;

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => {
        this.asked += 1;
        if (this.asked > 1) return new Promise(() => undefined);
        return Promise.resolve({ value: new Uint8Array(800).fill(0x55), done: false });
      },
      return: () => {
        this.returned = true;
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }
}

/** A stream that is being opened over these providers, and what becomes of it. */
function open(providers: readonly RealtimeProvider[], options: AudioStreamOptions = {}) {
  const clock = new VirtualClock();
  const input = new Source();
  const failures: string[] = [];
  const outcome: { stream?: AudioStream; error?: BridgeError } = {};
  processAudioStream(providers, input, {
    clock,
    inputFormat: MULAW_8K,
    onProviderFailed: (provider, { code }) => failures.push(`${provider} ${code}`),
    ...options,
  }).then(
    (stream) => {
      outcome.stream = stream;
    },
    (error: BridgeError) => {
      outcome.error = error;
    },
  );
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settled();
  };
  return { clock, input, failures, outcome, pass };
}

async function ending(items: AsyncIterable<unknown> | undefined): Promise<unknown> {
  if (items === undefined) return 'there is no stream';
  try {
    for await (const _ of items);
    return undefined;
  } catch (thrown) {
    return thrown;
  }
}

describe('processAudioStream with several providers', () => {
  const NEXT: readonly ErrorCode[] = [
    'PROVIDER_AUTH',
    'PROVIDER_CONFIG',
    'PROVIDER_QUOTA',
    'PROVIDER_RATE_LIMITED',
    'PROVIDER_UNAVAILABLE',
    'TIMEOUT',
    'INTERNAL',
  ];

  it.each(NEXT)(
    'goes on to the next one after %s, wrapped or not, and the input is its alone',
    async (code) => {
      for (const error of [failure(code), new Error('dial: it failed', { cause: failure(code) })]) {
        const [first, second] = [new Provider('first'), new ManualProvider()];
        const { input, failures, outcome } = open([first, second]);
        await first.ring.refuses(error);
        expect(failures).toEqual([`first ${code}`]);
        expect(input.asked).toBe(0);
        await second.ready();
        expect(outcome.stream?.provider).toBe('manual');
        expect(second.audio).toHaveLength(800);
        expect(first.ring.done).toEqual([]);
        await outcome.stream?.close();
      }
    },
  );

  it.each(['BAD_CONFIG', 'BAD_AUDIO'] as const)('stops at %s, which no other would mend', async (code) => {
    const [first, second] = [new Provider('first'), new Provider('second')];
    const { input, outcome } = open([first, second]);
    const error = failure(code);
    await first.ring.refuses(error);
    expect(outcome.error).toBe(error);
    expect(second.rings).toEqual([]);
    expect(input.asked).toBe(0);
  });

  it('tells of each that failed, tries once more whose trouble may pass, and fails with the last', async () => {
    const [first, second] = [new Provider('first'), new Provider('second')];
    const { clock, failures, outcome, pass } = open([first, second]);
    await first.ring.refuses(failure('PROVIDER_RATE_LIMITED'));
    await second.ring.refuses(failure('PROVIDER_AUTH'));
    await pass(AGAIN_AFTER_MS);
    const last = failure('PROVIDER_UNAVAILABLE');
    await first.ring.refuses(last);
    expect(outcome.error).toBe(last);
    expect(failures).toEqual([
      'first PROVIDER_RATE_LIMITED',
      'second PROVIDER_AUTH',
      'first PROVIDER_UNAVAILABLE',
    ]);
    expect(clock.pending).toBe(0);
  });

  it('tries the first one twice when it is there twice', async () => {
    const first = new Provider('first');
    const { outcome } = open([first, first]);
    await first.ring.refuses(failure('PROVIDER_AUTH'));
    expect(first.rings).toHaveLength(2);
    await first.ring.answers();
    expect(outcome.stream?.provider).toBe('first');
    await outcome.stream?.close();
  });

  it('gives each 5 s, or as much as it is told, and takes no session that comes later', async () => {
    for (const connectMs of [undefined, 700]) {
      const [first, second] = [new Provider('first'), new ManualProvider()];
      first.manners = 'ignores the signal';
      const call = open([first, second], connectMs === undefined ? {} : { connectMs });
      await call.pass((connectMs ?? 5000) - 1);
      expect(second.request).toBeUndefined();
      await call.pass(1);
      expect(call.failures).toEqual(['first TIMEOUT']);
      await second.ready();
      await first.ring.answers();
      expect(first.ring.done).toEqual(['close']);
      first.ring.speaks(new Uint8Array(800));
      await call.outcome.stream?.close();
      expect(await ending(call.outcome.stream?.audio)).toBeUndefined();
      expect(call.clock.pending).toBe(0);
    }
  });

  it('dials the next one beside a slow one only when it is told to', async () => {
    const [slow, fast] = [new Provider('slow'), new ManualProvider()];
    const call = open([slow, fast], { hedgeMs: 400 });
    await call.pass(400);
    await fast.ready();
    expect(call.outcome.stream?.provider).toBe('manual');
    await call.outcome.stream?.close();
    const [one, other] = [new Provider('one'), new Provider('other')];
    const patient = open([one, other]);
    await patient.pass(4999);
    expect(other.rings).toEqual([]);
    await one.ring.answers();
    await patient.outcome.stream?.close();
  });

  it('passes by one that has failed other streams, when they share breakers', async () => {
    const clock = new VirtualClock();
    const breakers = new Breakers({ clock, onChange: () => undefined });
    const [first, second] = [new Provider('first'), new Provider('second')];
    const one = open([first, second], { clock, breakers });
    await first.ring.refuses(failure('PROVIDER_AUTH'));
    await second.ring.answers();
    const other = open([first, second], { clock, breakers });
    await settled();
    expect([first, second].map(({ rings }) => rings.length)).toEqual([1, 2]);
    await second.ring.answers();
    // Without them each stream finds out by itself.
    const alone = open([first, second], { clock });
    await settled();
    expect(first.rings).toHaveLength(2);
    await first.ring.answers();
    for (const { outcome } of [one, other, alone]) await outcome.stream?.close();
  });

  it('may be called off while the next one is dialled', async () => {
    const abort = new AbortController();
    const [first, second] = [new Provider('first'), new Provider('second')];
    second.manners = 'ignores the signal';
    const { input, outcome, clock } = open([first, second], { signal: abort.signal });
    await first.ring.refuses(failure('PROVIDER_UNAVAILABLE'));
    abort.abort();
    await settled();
    expect(outcome.error?.code).toBe('CANCELLED');
    expect(second.ring.signal.aborted).toBe(true);
    await second.ring.answers();
    expect(second.ring.done).toEqual(['close']);
    expect(input.asked).toBe(0);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('hands over what the session said before the stream was there', async () => {
    const provider = new ManualProvider();
    const { outcome } = open([provider]);
    await settled();
    provider.speak('r', 'a', 100);
    await provider.ready();
    const audio = outcome.stream?.audio[Symbol.asyncIterator]();
    expect((await audio?.next())?.value).toMatchObject({ itemId: 'a' });
    await outcome.stream?.close();
  });

  it('ends with the error of a session that dies in the middle, and dials nobody else', async () => {
    const signals: AbortSignal[] = [];
    const [first, second] = [new ManualProvider(), new Provider('second')];
    const { input, outcome, failures, clock } = open([first, second], {
      onFunctionCall: (_id, _name, _args, signal) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
    });
    await first.ready();
    first.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'hours', args: '{}' });
    await settled();
    const error = failure('PROVIDER_CLOSED');
    first.emit({ type: 'closed', expected: false, error });
    const { stream } = outcome;
    expect(await ending(stream?.audio)).toBe(error);
    expect(await ending(stream?.transcripts)).toBe(error);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(first.results).toEqual([]);
    expect(second.rings).toEqual([]);
    expect(failures).toEqual([]);
    await settled();
    expect(input.returned).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('is never left with a session that died in the moment when it was ready', async () => {
    const ends = new Set<string>();
    for (let turns = 0; turns < 12; turns++) {
      const [first, second] = [new Provider('first'), new Provider('second')];
      const { failures, outcome } = open([first, second]);
      const error = failure('PROVIDER_CLOSED');
      first.ring.answersNow();
      for (let i = 0; i < turns; i++) await Promise.resolve();
      first.ring.ends(error);
      await settled();
      // Either it was in time to be a provider that failed, or it is the end of the stream.
      if (outcome.stream === undefined) {
        expect(failures).toEqual(['first PROVIDER_CLOSED']);
        await second.ring.answers();
        ends.add(`the stream has ${outcome.stream === undefined ? 'nobody' : 'the second'}`);
      } else {
        expect(await ending(outcome.stream.audio)).toBe(error);
        ends.add('the stream ends');
      }
      await outcome.stream?.close();
    }
    expect([...ends].sort()).toEqual(['the stream ends', 'the stream has the second']);
  });

  it('refuses times that no timer can wait for', async () => {
    for (const times of [
      { connectMs: 0 },
      { connectMs: Number.NaN },
      { hedgeMs: -1 },
      { hedgeMs: 2 ** 31 },
    ]) {
      const provider = new Provider('first');
      const { outcome } = open([provider], times);
      await settled();
      expect(outcome.error?.code).toBe('BAD_INPUT');
      expect(provider.rings).toEqual([]);
    }
    const { outcome } = open([], {});
    await settled();
    expect(outcome.error).toEqual(new BridgeError('BAD_INPUT', 'no provider was given, wanted at least one'));
  });
});
