import { afterEach, describe, expect, it } from 'vitest';
import type { ProviderEvent } from '../src/provider.ts';
import {
  created,
  delta,
  done,
  error,
  type Line,
  type Message,
  nextClosed,
  open,
} from './support/openai-peer.ts';
import { cleanUp, networkTurn } from './support/peers.ts';

afterEach(cleanUp);

const types = (line: Line): string[] => line.events.map(({ type }) => type);
/** 20 ms of mu-law. */
const FRAME = 160;

describe('errors of the provider', () => {
  const failed = (id: string, code: string): Message =>
    done(id, 'failed', { status_details: { type: 'failed', error: { type: code, code, message: 'sorry' } } });

  it('end the session when they are fatal: error, then closed, and nothing after that', async () => {
    const line = await open();
    line.peer.say(error('session_expired'), created('resp_1'));
    expect(await line.peer.closed).toBe(1000);
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.of('error')[0]).toMatchObject({ fatal: true, error: { code: 'PROVIDER_EXPIRED' } });
    expect(line.of('closed')[0]).toMatchObject({ expected: false, error: { code: 'PROVIDER_EXPIRED' } });
    await line.session.close('again');
    expect(line.events).toHaveLength(2);
    expect(line.clock.pending).toBe(0);
  });

  it('let the listener close the session by itself', async () => {
    const line = await open();
    const push = line.events.push.bind(line.events);
    const closings: Promise<void>[] = [];
    line.events.push = (...events: ProviderEvent[]) => {
      if (events[0]?.type === 'error') closings.push(line.session.close('had enough'));
      return push(...events);
    };
    line.peer.say(error('session_expired'));
    await line.peer.closed;
    await Promise.all(closings);
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.of('closed')).toEqual([{ type: 'closed', expected: true, error: undefined }]);
  });

  it('are reported and survived when they concern one message', async () => {
    const line = await open();
    await line.peer.tell(error('invalid_value'));
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_REJECTED' } }]);
    line.session.say('one');
    const asked = await line.peer.next('response.create');
    line.session.say('two');
    await line.peer.tell(error('invalid_value', { event_id: asked['event_id'] }));
    expect(line.peer.all('response.create')).toHaveLength(2);
  });

  it('forgive the server one failure, and ask it once more for the answer', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      error('', { type: 'server_error' }),
      failed('resp_1', 'server_error'),
    );
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_UNAVAILABLE' } }]);
    const again = await line.peer.next('response.create');
    await line.peer.tell(created('resp_2', again['event_id']), done('resp_2'));
    await line.peer.tell(created('resp_3'), failed('resp_3', 'server_error'));
    expect(line.of('error').map(({ fatal }) => fatal)).toEqual([false, false]);
  });

  it.each([
    ['Please try again in 2.5s. Visit the site.', 2_500],
    ['Please try again in 20ms.', 1_000],
    ['Please try again in 20 seconds.', 5_000],
    ['Please try again in 6m0s.', 5_000],
    ['Slow down.', 1_000],
  ])('wait as long as a rate limit says, within reason: %s', async (message, waitMs) => {
    const line = await open();
    const limited = (id: string): Message =>
      done(id, 'failed', { status_details: { error: { code: 'rate_limit_exceeded', message } } });
    await line.peer.tell(created('resp_1'), limited('resp_1'));
    for (const [asked, id] of ['resp_2', 'resp_3'].entries()) {
      line.clock.advance(waitMs - 1);
      await line.peer.settle();
      expect(line.peer.all('response.create')).toHaveLength(asked);
      line.clock.advance(1);
      const again = await line.peer.next('response.create');
      line.peer.say(created(id, again['event_id']), limited(id));
      await (id === 'resp_3' ? line.peer.closed : line.peer.settle());
    }
    expect(line.of('error').map(({ fatal, error: { code } }) => [fatal, code])).toEqual([
      [false, 'PROVIDER_RATE_LIMITED'],
      [false, 'PROVIDER_RATE_LIMITED'],
      [true, 'PROVIDER_RATE_LIMITED'],
    ]);
    await line.session.close('over');
    expect(line.clock.pending).toBe(0);
  });

  it('wait also when a rate limit refuses the request itself', async () => {
    const line = await open();
    line.session.say('one');
    const asked = await line.peer.next('response.create');
    await line.peer.tell(error('rate_limit_exceeded', { event_id: asked['event_id'] }));
    expect(line.peer.all('response.create')).toHaveLength(1);
    line.clock.advance(1_000);
    await line.peer.next('response.create');
  });

  it.each([['server_error', 'PROVIDER_UNAVAILABLE']])(
    'give up a session that fails twice running with %s',
    async (code, expected) => {
      const line = await open();
      await line.peer.tell(created('resp_1'), failed('resp_1', code));
      const again = await line.peer.next('response.create');
      line.peer.say(created('resp_2', again['event_id']), failed('resp_2', code));
      await line.peer.closed;
      expect(types(line)).toEqual([
        'responseStarted',
        'error',
        'responseDone',
        'responseStarted',
        'responseDone',
        'error',
        'closed',
      ]);
      expect(line.of('error').map(({ fatal, error: { code: found } }) => [fatal, found])).toEqual([
        [false, expected],
        [true, expected],
      ]);
    },
  );

  it('do not repeat a response of which something was heard', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      delta('resp_1', 'item_1', FRAME),
      failed('resp_1', 'server_error'),
    );
    expect(line.peer.all('response.create')).toEqual([]);
  });

  it('end the session at once when the account has no credit left', async () => {
    const line = await open();
    line.peer.say(created('resp_1'), failed('resp_1', 'insufficient_quota'));
    await line.peer.closed;
    expect(types(line)).toEqual(['responseStarted', 'responseDone', 'error', 'closed']);
    expect(line.of('closed')[0]?.error?.code).toBe('PROVIDER_QUOTA');
  });

  it('do not let a listener that fails take the process with it', async () => {
    const line = await open();
    const push = line.events.push.bind(line.events);
    line.events.push = (...events: ProviderEvent[]) => {
      if (events[0]?.type === 'responseStarted') throw new Error('listener');
      return push(...events);
    };
    line.peer.say(created('resp_1'));
    await line.peer.closed;
    expect(line.of('closed')[0]?.error?.code).toBe('INTERNAL');
  });
});

describe('the end of a session', () => {
  it('is told ahead of time, once', async () => {
    const expiresAt = Date.UTC(2026, 0, 2, 3, 4, 35) / 1000;
    const line = await open({}, { expiryMarginMs: 15_000 }, { expires_at: expiresAt });
    line.clock.advance(14_999);
    expect(line.events).toEqual([]);
    line.clock.advance(1);
    expect(line.events).toEqual([{ type: 'expiring', inMs: 15_000 }]);
    await line.peer.tell({ type: 'session.updated', session: { expires_at: expiresAt } });
    line.clock.advance(4_000);
    expect(line.of('expiring')).toHaveLength(1);
  });

  it('is not believed to be past when a clock is wrong: the longest session counts then', async () => {
    const line = await open({}, { expiryMarginMs: 3_585_000 }, { expires_at: 1_000_000 });
    line.clock.advance(14_999);
    expect(line.of('expiring')).toEqual([]);
    line.clock.advance(1);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 3_585_000 }]);
  });

  it('says goodbye with 1000, is expected, and comes once however often it is asked for', async () => {
    const line = await open({}, {}, { expires_at: Date.UTC(2026, 0, 2, 4, 0, 0) / 1000 });
    const both = [line.session.close('a'), line.session.close('b')];
    expect(await line.peer.closed).toBe(1000);
    await Promise.all(both);
    expect(line.events).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    expect(line.clock.pending).toBe(0);
  });

  it('hangs up on a server that does not say goodbye', async () => {
    const line = await open();
    line.peer.socket.pause();
    const closing = line.session.close('over');
    line.clock.advance(2_000);
    await closing;
    expect(types(line)).toEqual(['closed']);
    expect(line.clock.pending).toBe(0);
  });

  it.each([
    [1000, '', 'PROVIDER_CLOSED'],
    [1001, 'Your session hit the maximum duration of 60 minutes.', 'PROVIDER_EXPIRED'],
    [1008, '', 'PROVIDER_CONFIG'],
    [1011, '', 'PROVIDER_UNAVAILABLE'],
    [3000, 'invalid_request_error.invalid_api_key', 'PROVIDER_AUTH'],
  ])('has a cause when the server closes with %i %s', async (code, reason, expected) => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.close(code, reason);
    expect(await closed).toMatchObject({ expected: false, error: { code: expected } });
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.clock.pending).toBe(0);
  });

  it('is noticed when the connection breaks without a goodbye', async () => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.terminate();
    expect(await closed).toMatchObject({ expected: false, error: { code: 'PROVIDER_CLOSED' } });
  });

  it('comes once when both sides hang up at the same time', async () => {
    const line = await open();
    line.peer.socket.close(1011, 'crossing');
    await line.session.close('crossing');
    expect(line.events).toEqual([{ type: 'closed', expected: true, error: undefined }]);
  });

  it('pings when nothing has come for a while, and is fatal within 10 s when nothing answers any more', async () => {
    const line = await open();
    for (let i = 0; i < 3; i += 1) {
      const pinged = new Promise((resolve) => line.peer.socket.once('ping', resolve));
      line.clock.advance(5_000);
      await pinged;
      // The pong that `ws` sent arrives before the one of this round trip.
      await line.peer.settle();
      line.clock.advance(4_000);
      await networkTurn();
      expect(line.events).toEqual([]);
      line.clock.advance(1_000);
    }
    line.peer.socket.pause();
    line.clock.advance(9_000);
    await networkTurn();
    line.clock.advance(999);
    expect(line.events).toEqual([]);
    line.clock.advance(1);
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.of('closed')[0]).toMatchObject({ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } });
    await line.session.close('over');
    expect(line.clock.pending).toBe(0);
  });

  it('is told within 5 s of what was sent in vain', async () => {
    const line = await open();
    line.clock.advance(3_000);
    line.peer.socket.pause();
    line.session.sendText('Are you there?', { role: 'user', respond: true });
    line.clock.advance(4_000);
    await networkTurn();
    line.clock.advance(1_000);
    expect(line.of('closed')[0]).toMatchObject({ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } });
  });

  it('does not ping while the other side speaks', async () => {
    const line = await open();
    let pings = 0;
    line.peer.socket.on('ping', () => {
      pings += 1;
    });
    for (let i = 0; i < 10; i += 1) {
      line.clock.advance(4_000);
      await line.peer.tell({ type: 'rate_limits.updated' });
    }
    expect(pings).toBe(0);
    line.clock.advance(5_000);
    await line.peer.settle();
    expect(pings).toBe(1);
  });

  it('does not mistake a process that was held up for a peer that is gone', async () => {
    const line = await open();
    // All timers are late, and the answer has not been read yet.
    line.clock.advance(60_000);
    await line.peer.settle();
    line.clock.advance(1_000);
    expect(line.events).toEqual([]);
  });

  it('comes with a message too large to read, and with a frame that breaks the protocol', async () => {
    const large = await open();
    const ended = nextClosed(large);
    large.peer.socket.send(`{"type":"${'x'.repeat(17 * 1_048_576)}"}`);
    expect((await ended).error?.code).toBe('PROVIDER_CLOSED');
    const broken = await open();
    const over = nextClosed(broken);
    // A text frame with a reserved bit set.
    (broken.peer.socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(
      Buffer.from([0xf1, 0x02, 0x7b, 0x7d]),
    );
    expect((await over).error?.code).toBe('PROVIDER_CLOSED');
  });
});
