import { describe, expect, it } from 'vitest';
import type { ControlResult, LiveResult } from '../src/carrier.ts';
import { STREAM_BROKE, transferFailed } from '../src/notices.ts';
import {
  COMMANDS,
  createKit,
  type KitOptions,
  pending,
  REOPENING,
  refused,
  TRANSFER,
} from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

/** The carrier's side of a call: streams that break, that come again, that fall silent, that nobody can decode. */

const PLIVO_LIKE: KitOptions = { capabilities: REOPENING };

const watched = (live: () => Promise<LiveResult>) => createKit({ parts: { isLive: live } });

describe('a stream that breaks, where the carrier opens it again', () => {
  it('is followed by one of the same session, with the same token', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    call.cut();
    expect(call.endReason).toBeUndefined();
    await kit.pass(2000);
    call.stream();
    expect(kit.manager.size).toBe(1);
    expect(kit.provider.closedWith).toBeUndefined();
    await kit.pass(60_000);
    expect(call.endReason).toBeUndefined();
  });

  it('cuts what was being said at what was heard of it, and the agent is told', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 3000);
    kit.clock.advance(740);
    call.cut();
    const [heard] = kit.provider.interruptions.at(-1) ?? [];
    expect(heard).toMatchObject({ itemId: 'a', receivedMs: 3000 });
    expect(Math.abs((heard?.playedMs ?? 0) - 740)).toBeLessThanOrEqual(20);
    const before = call.leg.played.length;
    await kit.pass(500);
    expect(call.leg.played.length).toBe(before);
    expect(kit.provider.texts).toEqual([]);
    call.stream();
    expect(kit.provider.texts).toEqual([{ text: STREAM_BROKE, options: { role: 'system', respond: true } }]);
    kit.provider.speak('r2', 'b', 400);
    expect(call.leg.played.reduce((sum, part) => sum + part.length, 0)).toBe(3200);
  });

  it('says nothing to an agent of whom nothing was cut', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 500);
    await kit.pass(1000);
    const before = kit.provider.interruptions.length;
    call.cut();
    await kit.pass(500);
    call.stream();
    expect(kit.provider.texts).toEqual([]);
    expect(kit.provider.interruptions.length).toBe(before);
  });

  it('keeps what the agent begins to say meanwhile for the next stream', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    // The model thinks while the stream breaks.
    kit.provider.emit({ type: 'responseStarted', responseId: 'r', asked: false });
    call.cut();
    kit.provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(3200) });
    kit.provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    await kit.pass(500);
    call.stream();
    expect(call.leg.played.reduce((sum, part) => sum + part.length, 0)).toBe(3200);
    expect(kit.provider.texts).toEqual([]);
  });

  it('goes on hearing the caller, and counts both streams together', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    call.hear(1);
    call.cut();
    // On a socket that is gone nothing is heard.
    call.hear(2);
    call.stream();
    call.hear(3);
    expect(kit.provider.audio.filter((_, i) => i % 160 === 0)).toEqual([1, 3]);
    expect(call.session.counts.framesIn).toBe(2);
  });

  it('is replaced when the carrier has noticed before the bridge: both sockets are open at once', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 3000);
    kit.clock.advance(500);
    const old = call.leg;
    call.stream();
    expect(old.closed).toBe('replaced');
    expect(kit.provider.interruptions.at(-1)?.[0]?.itemId).toBe('a');
    expect(kit.provider.texts.map(({ text }) => text)).toEqual([STREAM_BROKE]);
    // The close of the old one, however it comes, is nothing to the call.
    call.session.onLegClosed(old, true);
    call.session.onLegClosed(old, false);
    await kit.pass(20_000);
    expect(call.endReason).toBeUndefined();
    expect(call.leg.closed).toBeUndefined();
  });

  it('may break twice; after the third time no token is left and the call is lost', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    for (let i = 0; i < 2; i++) {
      call.cut();
      await kit.pass(1000);
      expect(call.mayOpen(call.plan)).toBe(true);
      call.stream();
    }
    call.cut();
    expect(call.mayOpen(call.plan)).toBe(false);
    await kit.pass(9000);
    expect(call.endReason).toBe('media-lost');
    expect(call.ask()).toEqual(call.session.agent.lastResort);
  });

  it('that never comes back is the end, after eight seconds', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    call.cut();
    await kit.pass(7900, 100);
    expect(call.endReason).toBeUndefined();
    await kit.pass(200, 100);
    expect(call.endReason).toBe('media-lost');
  });

  it('is the end at once when the carrier asks what comes next: it has given up', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    call.cut();
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(call.endReason).toBe('media-lost');
    expect(call.ask()).toEqual({ type: 'hang-up' });
  });

  it('and is closed cleanly is the end of the call', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    call.session.onLegClosed(call.leg, true);
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('may be followed by an order that takes its time: the call is not given up meanwhile', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    call.cut();
    await call.session.transfer(TRANSFER);
    expect(call.ask()).toMatchObject({ type: 'transfer' });
    await kit.pass(15_000);
    expect(call.endReason).toBeUndefined();
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
    expect(call.endReason).toBe('transferred');
  });

  it('leaves no timer, whichever way the call ends', async () => {
    for (const end of ['caller-hung-up', 'failed'] as const) {
      const kit = createKit(PLIVO_LIKE);
      const call = await kit.talk();
      kit.provider.speak('r', 'a', 3000);
      call.cut();
      // Echoes of the marks that were cleared.
      await kit.pass(10);
      await call.session.end(end);
      await kit.close();
      expect(kit.clock.pending).toBe(0);
      expect(kit.pacer.size).toBe(0);
    }
  });
});

describe('a stream of a carrier that opens it once', () => {
  it('is the end of the call when it breaks', async () => {
    const kit = createKit();
    const call = await kit.talk();
    call.cut();
    expect(call.endReason).toBe('media-lost');
  });

  it('is the end of the call when it stops', async () => {
    const kit = createKit();
    const call = await kit.talk();
    call.stop();
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('is not replaced by a second one, which is closed', async () => {
    const kit = createKit();
    const call = await kit.talk();
    const second = new VirtualLeg(kit.clock);
    call.session.attach(second);
    expect(second.closed).toBe('the call has its stream already');
    call.session.onLegClosed(second, true);
    expect(call.endReason).toBeUndefined();
    expect(call.leg.closed).toBeUndefined();
  });

  it('that comes after the end is closed', async () => {
    const kit = createKit();
    const call = kit.admit();
    const { plan } = call;
    await call.session.end('caller-hung-up');
    expect(call.mayOpen(plan)).toBe(false);
    const late = new VirtualLeg(kit.clock);
    call.session.attach(late);
    expect(late.closed).toBe('the call is over');
  });
});

describe('a codec that nobody can decode', () => {
  it('is answered with the wish for another one, on a stream with a token of its own', async () => {
    const kit = createKit();
    const call = kit.admit();
    await kit.provider.ready();
    const first = call.plan;
    expect(call.session.refuseCodec('G722/16000')).toBe(true);
    // The token was used for the stream that is closed now.
    expect(call.mayOpen(first)).toBe(false);
    const socket = new VirtualLeg(kit.clock);
    call.session.onLegClosed(socket, true);
    expect(call.endReason).toBeUndefined();
    const next = call.ask();
    expect(next).toMatchObject({ type: 'stream', plan: { plainCodec: true } });
    expect(call.plan.mediaUrl).not.toBe(first.mediaUrl);
    call.stream();
    await kit.pass(60_000);
    expect(call.endReason).toBeUndefined();
  });

  it('is asked about twice and answered alike; a stream that cannot be opened is asked about elsewhere', async () => {
    const kit = createKit();
    const call = kit.admit();
    await kit.provider.ready();
    call.session.refuseCodec('G722/16000');
    const first = call.afterUrl;
    const next = call.askAt(first);
    expect(next).toMatchObject({ type: 'stream', plan: { plainCodec: true } });
    expect(call.askAt(first)).toEqual(next);
    expect(call.endReason).toBeUndefined();
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(call.endReason).toBe('media-lost');
  });

  it('that comes a second time is the end at once, and the caller hears the last resort', async () => {
    const kit = createKit();
    const call = kit.admit();
    await kit.provider.ready();
    call.session.refuseCodec('G722/16000');
    call.ask();
    expect(call.session.refuseCodec('OPUS/48000')).toBe(false);
    expect(call.endReason).toBe('media-lost');
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(kit.logged('it has no other')).toBe(1);
  });

  it('is remembered: after a transfer that failed, the plain one is asked for again', async () => {
    const kit = createKit();
    const call = kit.admit();
    await kit.provider.ready();
    call.session.refuseCodec('G722/16000');
    call.ask();
    call.stream();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    expect(call.ask({ transfer: 'busy' })).toMatchObject({ type: 'stream', plan: { plainCodec: true } });
  });

  it('does not keep a call for ever whose carrier never asks', async () => {
    const kit = createKit();
    const call = kit.admit();
    await kit.provider.ready();
    call.session.refuseCodec('G722/16000');
    await kit.pass(20_500);
    expect(call.endReason).toBe('media-lost');
  });
});

describe('the watch on a call', () => {
  it('ends a call of which the carrier knows nothing any more', async () => {
    const kit = watched(() => Promise.resolve({ status: 'ok', live: false }));
    const call = await kit.talk();
    for (let i = 0; i < 20; i++) {
      call.hear();
      await kit.pass(500);
    }
    expect(call.orders).toEqual([]);
    await kit.pass(16_000);
    expect(call.orders.map(({ what }) => what)).toEqual(['isLive']);
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('gives the carrier five seconds to answer', async () => {
    let aborted = false;
    const kit = createKit({
      parts: {
        isLive: (_call, signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              resolve({ status: 'ok', live: true });
            });
          }),
      },
    });
    const call = await kit.talk();
    await kit.pass(10_000);
    expect(call.orders).toHaveLength(1);
    expect(aborted).toBe(false);
    await kit.pass(5500);
    expect(aborted).toBe(true);
  });

  it('goes on while the stream is away, and says nothing of a call that lives', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    await kit.pass(9000);
    expect(call.orders.filter(({ what }) => what === 'isLive')).toEqual([]);
    await kit.pass(20_000);
    expect(call.orders.filter(({ what }) => what === 'isLive')).toHaveLength(2);
    expect(kit.logged('nothing comes from the carrier')).toBe(0);
    call.ask({ transfer: 'no-answer' });
    call.stream();
    const before = call.orders.length;
    await kit.pass(16_000);
    expect(call.orders.length).toBe(before + 1);
    expect(kit.logged('nothing comes from the carrier')).toBe(1);
    expect(call.endReason).toBeUndefined();
  });

  it('does not take a machine that is not listened to for a dead line', async () => {
    const kit = createKit({ machine: { mode: 'leave-message', message: 'Please call back.' } });
    const call = await kit.talk();
    call.session.onCarrierEvent({
      type: 'machine',
      callId: 'CA1',
      ref: undefined,
      result: 'machine',
      greetingOver: false,
    });
    for (let i = 0; i < 200; i++) {
      call.hear();
      await kit.pass(20, 20);
    }
    expect(call.orders).toEqual([]);
  });
});

describe('a caller who hangs up while the stream is away, of which nobody tells,', () => {
  const gone: LiveResult = { status: 'ok', live: false };

  it('is missed in a transfer before it is taken for a success', async () => {
    const kit = watched(() => Promise.resolve(gone));
    const call = await kit.talk();
    await call.session.transfer({ ...TRANSFER, ringS: 60 });
    call.ask();
    call.stop();
    await kit.pass(16_000);
    expect(call.endReason).toBe('caller-hung-up');
    expect(kit.events.filter((event) => event.type === 'transfer')).toHaveLength(1);
  });

  it('is missed while keys are pressed, and after an order of which nobody knows whether it was taken', async () => {
    const keys = watched(() => Promise.resolve(gone));
    const call = await keys.talk();
    await call.session.sendDigits('1W2W3');
    call.ask();
    call.stop();
    await keys.pass(16_000);
    expect(call.endReason).toBe('caller-hung-up');

    const doubtful = createKit({
      parts: {
        direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')),
        isLive: () => Promise.resolve(gone),
      },
    });
    const other = await doubtful.talk();
    await other.session.transfer(TRANSFER);
    other.stop();
    await doubtful.pass(16_000);
    expect(other.endReason).toBe('caller-hung-up');
  });

  it('is asked about once more when the time is over, also when they have hung up just now', async () => {
    const answers: LiveResult[] = [
      { status: 'ok', live: true },
      { status: 'ok', live: true },
    ];
    const kit = watched(() => Promise.resolve(answers.shift() ?? gone));
    const call = await kit.talk();
    // 27 s: the watch asks at ten and at twenty.
    await call.session.transfer({ ...TRANSFER, ringS: 7 });
    call.ask();
    call.stop();
    await kit.pass(26_500);
    expect(call.endReason).toBeUndefined();
    await kit.pass(1000);
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('is taken for one who talks with somebody else when the carrier cannot be asked', async () => {
    const kit = watched(() => Promise.reject(new Error('nobody there')));
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    await kit.pass(51_000);
    expect(call.endReason).toBe('transferred');
  });

  it('does not overrule a carrier that comes while it is asked', async () => {
    const answer = pending<LiveResult>();
    let asked = 0;
    const kit = watched(() => {
      asked += 1;
      return answer.promise;
    });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    await kit.pass(20_200, 100);
    expect(asked).toBe(2);
    expect(call.ask()).toMatchObject({ type: 'transfer' });
    answer.resolve({ status: 'ok', live: true });
    await kit.pass(5000);
    expect(call.endReason).toBeUndefined();
    call.news('answered');
    expect(call.endReason).toBe('transferred');
  });

  it('is known to be gone by the stream that cannot be opened again, and the transfer is not told as failed', async () => {
    const results: ControlResult[] = [{ status: 'ok' }, { status: 'already-ended' }];
    const kit = createKit({
      control: 'command',
      capabilities: COMMANDS,
      parts: { direct: () => Promise.resolve(results.shift() ?? { status: 'ok' }) },
    });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    call.news('failed', 'canceled');
    await settled();
    expect(call.endReason).toBe('caller-hung-up');
    expect(kit.events.flatMap((event) => (event.type === 'transfer' ? [event.status] : []))).toEqual([
      'started',
    ]);
    expect(kit.provider.texts).toEqual([]);
  });

  it('is known to be gone when an order comes too late', async () => {
    const answer = pending<ControlResult>();
    const kit = createKit({ parts: { direct: () => answer.promise } });
    const call = await kit.talk();
    const result = call.session.transfer(TRANSFER);
    call.stop();
    answer.resolve({ status: 'already-ended' });
    expect(await result).toEqual({ status: 'already-ended' });
    expect(call.endReason).toBe('caller-hung-up');
  });
});

describe('a stream that is opened again by a command', () => {
  it('may begin before the command was answered: the agent is told of the failed transfer once', async () => {
    const answers = [pending<ControlResult>(), pending<ControlResult>()];
    let orders = 0;
    const kit = createKit({
      control: 'command',
      capabilities: COMMANDS,
      parts: {
        direct: () => {
          orders += 1;
          return answers[orders - 1]?.promise ?? Promise.resolve({ status: 'ok' });
        },
      },
    });
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 5000);
    kit.clock.advance(300);
    const result = call.session.transfer(TRANSFER);
    answers[0]?.resolve({ status: 'ok' });
    await result;
    call.stop();
    call.news('failed', 'busy');
    await settled();
    const last = call.orders.at(-1);
    if (last?.what === 'direct' && last.next.type === 'stream') call.stream(last.next.plan);
    answers[1]?.resolve({ status: 'ok' });
    await settled();
    expect(kit.provider.texts.map(({ text }) => text)).toEqual([transferFailed('busy')]);
    expect(kit.events.filter((event) => event.type === 'transfer')).toHaveLength(2);
  });
});

describe('keys on the media socket', () => {
  it('go out there, and by a request where there are pauses in them or no socket is there', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    expect(await call.session.sendDigits('12#')).toEqual({ status: 'ok' });
    expect(call.leg.digits).toEqual(['12#']);
    await call.session.sendDigits('1w2');
    call.cut();
    await call.session.sendDigits('9');
    expect(call.leg.digits).toEqual(['12#']);
    expect(call.orders.map((order) => (order.what === 'sendDigits' ? order.digits : order.what))).toEqual([
      '1w2',
      '9',
    ]);
  });

  it('are capital letters, and nothing that is no key', async () => {
    const kit = createKit({ capabilities: { digitsOut: 'request' } });
    const call = await kit.talk();
    await call.session.sendDigits('1abWw');
    expect(call.orders).toMatchObject([{ what: 'sendDigits', digits: '1ABWw' }]);
    for (const bad of ['', '12 3', 'x', '1'.repeat(65)]) {
      const result: ControlResult = await call.session.sendDigits(bad);
      expect(result).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
    }
    expect(call.orders).toHaveLength(1);
  });

  it('are not asked for after the end', async () => {
    const kit = createKit(PLIVO_LIKE);
    const call = await kit.talk();
    await call.session.end('caller-hung-up');
    expect(await call.session.sendDigits('1')).toEqual({ status: 'already-ended' });
    expect(await call.session.transfer(TRANSFER)).toEqual({ status: 'already-ended' });
    expect(await call.session.record(true)).toEqual({ status: 'already-ended' });
    expect(call.orders).toEqual([]);
  });
});

describe('a request that is under way when the call ends', () => {
  it('is given up, and its outcome changes nothing', async () => {
    const answer = pending<ControlResult>();
    let aborted = false;
    const kit = createKit({
      parts: {
        direct: (_call, _next, _urls, signal) => {
          signal.addEventListener('abort', () => {
            aborted = true;
          });
          return answer.promise;
        },
      },
    });
    const call = await kit.talk();
    const result = call.session.transfer(TRANSFER);
    await call.session.end('caller-hung-up');
    expect(aborted).toBe(true);
    answer.resolve({ status: 'ok' });
    await result;
    await settled();
    expect(kit.events.filter(({ type }) => type === 'transfer')).toEqual([]);
    await kit.close();
    expect(kit.clock.pending).toBe(0);
  });
});
