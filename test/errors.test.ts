import { describe, expect, it } from 'vitest';
import { createTranscoder } from '../src/audio/transcode.ts';
import { deadline, systemClock } from '../src/clock.ts';
import { BridgeError } from '../src/errors.ts';
import { VirtualClock } from './support/virtual-clock.ts';

describe('an error of the bridge', () => {
  it('leads its message with its code, knows its verdict and keeps its cause', () => {
    const cause = new Error('socket hang up');
    const error = new BridgeError('PROVIDER_UNAVAILABLE', 'no answer', { cause });
    expect(error.message).toBe('PROVIDER_UNAVAILABLE: no answer');
    expect(error.verdict).toMatchObject({ retry: true, failOver: true });
    expect(error.cause).toBe(cause);
  });

  it('is made of anything that was thrown', () => {
    const own = new BridgeError('BAD_FRAME', 'x');
    expect(BridgeError.from(own, 'INTERNAL')).toBe(own);
    expect(BridgeError.from('text', 'TIMEOUT').message).toBe('TIMEOUT: text');
    expect(BridgeError.from(Object.assign(new Error('x'), { code: 'ECONNRESET' })).code).toBe('INTERNAL');
  });

  it('keeps the code of an audio error, which comes from a folder that does not know ours', () => {
    try {
      createTranscoder({ encoding: 'pcm16', rate: 11_025 as 8000 }, { encoding: 'mulaw', rate: 8000 });
      expect.unreachable();
    } catch (thrown) {
      expect(BridgeError.from(thrown).code).toBe('BAD_AUDIO');
    }
  });
});

describe('a deadline', () => {
  it('aborts when its time is over, and says what took too long', () => {
    const clock = new VirtualClock();
    using limit = deadline(clock, 500, 'the dial');
    clock.advance(499);
    expect(limit.signal.aborted).toBe(false);
    clock.advance(1);
    expect(limit.signal.reason).toMatchObject({
      code: 'TIMEOUT',
      message: 'TIMEOUT: the dial took longer than 500 ms',
    });
  });

  it('follows its parent, also one that has aborted before', () => {
    const clock = new VirtualClock();
    const parent = new AbortController();
    using limit = deadline(clock, 500, 'x', parent.signal);
    parent.abort(new BridgeError('CANCELLED', 'gone'));
    expect(limit.signal.reason).toMatchObject({ code: 'CANCELLED' });
    using late = deadline(clock, 500, 'x', parent.signal);
    expect(late.signal.aborted).toBe(true);
  });

  it('leaves no timer when it is disposed of', () => {
    const clock = new VirtualClock();
    {
      using limit = deadline(clock, 500, 'x');
      expect(limit.signal.aborted).toBe(false);
    }
    expect(clock.pending).toBe(0);
    expect(systemClock.now()).toBeGreaterThan(0);
  });
});
