import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { Breakers } from '../src/fallback/breakers.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { Fallback, type FallbackOptions, type Ready } from '../src/fallback/fallback.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { createLog } from '../src/log.ts';
import type { ProviderEvent } from '../src/provider.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The providers of a call, without the call. */
function fallback(over: Partial<FallbackOptions> = {}) {
  const clock = new VirtualClock();
  const a = new ManualProvider(undefined, {}, 'a');
  const b = new ManualProvider(undefined, {}, 'b');
  const given = new AbortController();
  const told: string[] = [];
  const events: ProviderEvent[] = [];
  const readies: Ready[] = [];
  const subject = new Fallback({
    candidates: [a, b].flatMap(soleCandidate),
    breakers: new Breakers({ clock, onChange: () => undefined }),
    policy: FAILOVER,
    clock,
    log: createLog('silent'),
    signal: given.signal,
    request: (_candidate, resume) => requestOf({ clock, ...(resume !== undefined && { resume }) }),
    onReady: (ready) => {
      readies.push(ready);
      told.push(`ready ${ready.candidate.provider.name} ${ready.why}`);
    },
    onEvent: (event) => events.push(event),
    onUsage: (_event, candidate) => told.push(`usage ${candidate.provider.name}`),
    onLost: ({ code }) => told.push(`lost ${code}`),
    onNothingLeft: ({ code }) => told.push(`nothing left ${code}`),
    onFailed: ({ provider }, phase, { code }, ms) => told.push(`${phase} ${provider.name} ${code} ${ms}`),
    mayRenew: () => true,
    onCannotRenew: () => told.push('cannot renew'),
    ...over,
  });
  return { subject, clock, a, b, given, told, events, readies };
}

describe('the providers of a call', () => {
  it('are told of in order: lost, tried, ready', async () => {
    const { subject, a, b, clock, told } = fallback();
    subject.open();
    await a.ready();
    clock.advance(700);
    a.die();
    await settled();
    await b.ready();
    expect(told).toEqual([
      'ready a start',
      'in-call a PROVIDER_CLOSED 700',
      'lost PROVIDER_CLOSED',
      'ready b failover',
    ]);
    expect(a.closedWith).toBe('the session is no good any more');
    expect(subject.candidate?.provider).toBe(b);
    await subject.close('over');
    expect(b.closedWith).toBe('over');
    expect(clock.pending).toBe(0);
  });

  it('are at their end when telling of a loss goes wrong: nothing is thrown at whoever told it', async () => {
    const { subject, a, told, clock } = fallback({
      onLost: () => {
        throw new BridgeError('INTERNAL', 'a mistake');
      },
    });
    subject.open();
    await a.ready();
    expect(() => a.die()).not.toThrow();
    expect(told.at(-1)).toBe('nothing left INTERNAL');
    await subject.close('over');
    expect(clock.pending).toBe(0);
  });

  it('say nothing once it is over, and leave nothing open', async () => {
    const { subject, a, b, clock, given, told } = fallback();
    subject.open();
    await a.ready();
    a.die();
    await settled();
    given.abort(new BridgeError('CANCELLED', 'the call is over'));
    await subject.close('over');
    await b.ready();
    const before = [...told];
    b.die();
    subject.giveUp(new BridgeError('PROVIDER_UNAVAILABLE', 'still'));
    await settled();
    expect(told).toEqual(before);
    expect([a.open, b.open]).toEqual([0, 0]);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(given.signal, 'abort')).toEqual([]);
  });

  it('are not dialled any more when the call ends over the news that one was lost', async () => {
    const kit = fallback({ onLost: () => void kit.subject.close('the end') });
    const { subject, a, b, clock } = kit;
    subject.open();
    await a.ready();
    a.die();
    await settled();
    await b.ready();
    expect(b.open).toBe(0);
    clock.advance(10_000);
    await settled();
    expect([a.open, b.open]).toEqual([0, 0]);
    expect(clock.pending).toBe(0);
  });

  it('take 2 s to close at most, whatever they do', async () => {
    const { subject, a, clock } = fallback();
    subject.open();
    await a.ready();
    a.closes = () => new Promise(() => undefined);
    let closed = false;
    const closing = subject.close('over').then(() => {
      closed = true;
    });
    clock.advance(1999);
    await settled();
    expect(closed).toBe(false);
    clock.advance(2);
    await closing;
    expect(closed).toBe(true);
  });

  it('go on with the newest handle, and without one that was withdrawn', async () => {
    const { subject, a, b, clock } = fallback();
    subject.open();
    await a.ready();
    a.emit({ type: 'resumable', handle: 'one' });
    a.emit({ type: 'resumable', handle: undefined });
    a.die();
    await settled();
    expect([a.dialled, b.dialled]).toEqual([1, 1]);
    await b.ready();
    b.emit({ type: 'resumable', handle: 'two' });
    b.die();
    await settled();
    expect(b.request?.resume).toBe('two');
    await subject.close('over');
    clock.advance(5000);
    expect(clock.pending).toBe(0);
  });

  it('are exchanged at once for a handle, and the one before is heard of only for what it costs', async () => {
    const { subject, a, b, clock, told, events } = fallback();
    subject.open();
    await a.ready();
    clock.advance(60_000);
    a.emit({ type: 'resumable', handle: 'one' });
    const old = a.sink;
    a.emit({ type: 'expiring', inMs: 30_000 });
    clock.advance(1);
    await settled();
    expect(a.request?.resume).toBe('one');
    await a.ready();
    expect(told).toEqual(['ready a start', 'ready a renewal']);
    const count = events.length;
    const nothing = { inputTextTokens: 0, inputAudioTokens: 0, cachedTextTokens: 0 };
    const usage = { ...nothing, cachedAudioTokens: 0, outputTextTokens: 0, outputAudioTokens: 0 };
    old({ type: 'audio', responseId: 'r', itemId: 'i', bytes: new Uint8Array(8) });
    old({ type: 'usage', usage });
    old({ type: 'closed', expected: false, error: new BridgeError('PROVIDER_CLOSED', 'late') });
    expect(events.length).toBe(count);
    expect(told.at(-1)).toBe('usage a');
    expect(b.dialled).toBe(0);
    await subject.close('over');
    expect(clock.pending).toBe(0);
  });
});
