import { describe, expect, it } from 'vitest';
import type { ProviderSession, RealtimeProvider } from '../src/provider.ts';
import { createKit } from './support/call-kit.ts';
import { said, speak, up } from './support/failover-kit.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';

/** A provider that is ready at once and lives for 20 ms, again and again; what it does with its life is the test's. */
async function dyingFor(minutes: number, live: (provider: ManualProvider) => void) {
  const kit = createKit();
  const call = await kit.talk();
  const { provider } = kit;
  for (let ms = 0; ms < minutes * 60_000 && call.endReason === undefined; ms += 20) {
    live(provider);
    provider.die();
    await kit.pass(20, 20);
    await provider.ready();
  }
  return { kit, call, provider };
}

describe('a provider that dies as soon as it is there', () => {
  it('is not dialled for ever because it could go on with its session', async () => {
    const { call, provider } = await dyingFor(1, (one) => one.emit({ type: 'resumable', handle: 'h' }));
    expect(call.endReason).toBe('provider-failed');
    expect(provider.dialled).toBeLessThanOrEqual(3);
  });

  it('is not dialled for ever because it ends its answers, which are empty', async () => {
    const { call, provider } = await dyingFor(1, (one) => {
      one.emit({ type: 'responseStarted', responseId: 'r', asked: false });
      one.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    });
    expect(call.endReason).toBe('provider-failed');
    expect(provider.dialled).toBeLessThanOrEqual(3);
  });

  it('is not dialled more than some times a minute, whatever it says before', async () => {
    const { call, provider } = await dyingFor(1, (one) => speak(one, 'x', 'Yes.', 20));
    expect(call.endReason).toBe('provider-failed');
    expect(provider.dialled).toBeLessThanOrEqual(5);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 8000, 20_000, 60_000])(
    'and one that announces its end at its beginning (%d ms) is not dialled without a pause',
    async (inMs) => {
      const kit = createKit();
      const call = await kit.talk();
      const { provider } = kit;
      speak(provider, 'hello', 'Hello.', 100);
      for (let ms = 0; ms < 60_000; ms += 500) {
        const before = provider.dialled;
        if (ms === 0) provider.emit({ type: 'expiring', inMs });
        await kit.pass(500);
        if (provider.dialled === before) continue;
        await provider.ready();
        provider.emit({ type: 'expiring', inMs });
      }
      expect(provider.dialled).toBeLessThanOrEqual(inMs === 8000 ? 16 : 8);
      expect(call.endReason).toBeUndefined();
      await call.session.end('caller-hung-up');
    },
  );
});

describe('a provider that throws', () => {
  /** As `provider`, but its sessions are changed. */
  function changed(provider: ManualProvider, change: Partial<ProviderSession>): RealtimeProvider {
    return {
      name: provider.name,
      capabilities: provider.capabilities,
      connect: async (request, sink, signal) => ({
        ...(await provider.connect(request, sink, signal)),
        ...change,
      }),
    };
  }

  const fails = (): never => {
    throw new TypeError('no such thing');
  };

  it.each<[string, Partial<ProviderSession>]>([
    ['when it is asked to say something', { say: fails }],
    ['at the audio of the caller', { sendAudio: fails }],
    ['and has a format that nobody can convert', { output: { encoding: 'pcm16', rate: 11_025 as 8000 } }],
  ])('%s is replaced, and the call goes on', async (_name, change) => {
    const odd = new ManualProvider(undefined, {}, 'odd');
    const good = new ManualProvider(undefined, {}, 'good');
    const kit = createKit({ others: [changed(odd, change), good] });
    const call = await kit.talk();
    kit.provider.die();
    await settled();
    await odd.ready();
    call.hear();
    await settled();
    expect(good.dialled).toBe(1);
    await good.ready();
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
  });

  it('when it is closed is replaced all the same', async () => {
    const odd = new ManualProvider(undefined, {}, 'odd');
    const good = new ManualProvider(undefined, {}, 'good');
    const kit = createKit({ others: [changed(odd, { close: fails }), good] });
    const call = await kit.talk();
    kit.provider.die();
    await settled();
    await odd.ready();
    odd.die();
    await settled();
    expect(good.dialled).toBe(1);
    await good.ready();
    expect(good.said).toEqual(['Hello.']);
    await call.session.end('caller-hung-up');
  });
});

describe('a provider that is gone in the middle of being asked', () => {
  it('is asked no more, and the next one is', async () => {
    const { a, b, call } = await up();
    speak(a, 'hello', 'Hello.', 100);
    const { texts } = a;
    // The socket says that it is gone while something is written to it.
    texts.push = (...given) => {
      a.die();
      return given.length;
    };
    call.session.onLegEvent({ type: 'dtmf', digit: '7' });
    await settled();
    await b.ready();
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
  });

  it('by being told what was heard does not make the next one forget it', async () => {
    const { a, b, call, clock } = await up();
    speak(a, 'long', 'We open at nine and we close at six.', 4000, true, false);
    clock.advance(2000);
    a.interruptions.push = (...given) => {
      a.die();
      return given.length;
    };
    a.emit({ type: 'speechStarted', itemId: 'u' });
    await settled();
    expect(said(b.request?.history)[0]).toMatch(/^assistant: We open/);
    await call.session.end('caller-hung-up');
  });
});

describe('the names that a provider gives to calls', () => {
  it('do not get it the results of others', async () => {
    const { a, b, call } = await up();
    // It is of the first session, and looks like one of the second.
    a.emit({ type: 'toolCall', responseId: 'r', callId: 'x~1', name: 'nobody', args: '{}' });
    a.die();
    await settled();
    await b.ready();
    await settled();
    expect(b.results).toHaveLength(1);
    expect(b.results[0]?.callId).not.toBe('x');
    await call.session.end('caller-hung-up');
  });
});
