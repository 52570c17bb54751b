import { describe, expect, it } from 'vitest';
import type { ControlResult, Next } from '../src/carrier.ts';
import { COMMANDS, createKit, type KitCall, type KitOptions, refused, TRANSFER } from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';

/** What becomes of a call at the carrier when its conversation is over, in both styles of control. */

const COMMAND: KitOptions = { control: 'command', capabilities: COMMANDS };

/** What the carrier was told to do with the call, in order; questions left out. */
function orders(call: KitCall): string[] {
  return call.orders.flatMap((order) => {
    if (order.what === 'isLive') return [];
    return [order.what === 'direct' ? `direct ${order.next.type}` : order.what];
  });
}

describe('a call in command style whose provider fails', () => {
  it('hears the last resort when its stream is over, once, and is hung up when that was said', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.end('provider-failed');
    expect(call.ask()).toEqual({ type: 'nothing' });
    await settled();
    expect(orders(call)).toEqual(['direct say']);
    // The end of the stream may be told twice, and late.
    expect(call.ask()).toEqual({ type: 'nothing' });
    await kit.pass(8000);
    expect(orders(call)).toEqual(['direct say']);
    expect(call.ask({ spoken: true })).toEqual({ type: 'nothing' });
    await settled();
    expect(orders(call)).toEqual(['direct say', 'hangUp']);
    kit.manager.callOver('twilio', 'CA1');
    await kit.pass(120_000, 10_000);
    expect(orders(call)).toEqual(['direct say', 'hangUp']);
  });

  it('hears it also when nobody tells that the stream is over', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.end('provider-failed');
    await kit.pass(2900, 100);
    expect(orders(call)).toEqual([]);
    await kit.pass(200, 100);
    expect(orders(call)).toEqual(['direct say']);
  });

  it('is hung up when nobody tells that it was said', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.end('provider-failed');
    call.ask();
    await kit.pass(30_000, 1000);
    expect(orders(call)).toEqual(['direct say']);
    await kit.pass(15_000, 1000);
    expect(orders(call)).toEqual(['direct say', 'hangUp']);
  });

  it('is hung up when it cannot be said', async () => {
    const kit = createKit({ ...COMMAND, parts: { direct: () => Promise.resolve(refused()) } });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    call.ask();
    await settled();
    expect(orders(call)).toEqual(['direct say', 'hangUp']);
    await kit.pass(120_000, 10_000);
    expect(orders(call)).toEqual(['direct say', 'hangUp']);
  });

  it('is tried for a while when the carrier is away', async () => {
    const results: ControlResult[] = [refused('CARRIER_UNAVAILABLE'), refused('CARRIER_UNAVAILABLE')];
    const kit = createKit({
      ...COMMAND,
      parts: { direct: () => Promise.resolve(results.shift() ?? { status: 'ok' }) },
    });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    call.ask();
    await kit.pass(3500, 500);
    expect(orders(call)).toEqual(['direct say', 'direct say', 'direct say']);
  });

  it('is put through where that is the last resort; when nobody is reached it is hung up', async () => {
    for (const outcome of ['answered', 'failed', 'silence'] as const) {
      const kit = createKit({ ...COMMAND, agent: { lastResort: { type: 'transfer', ...TRANSFER } } });
      const call = await kit.talk();
      await call.session.end('provider-failed');
      call.ask();
      await kit.pass(5000);
      expect(orders(call)).toEqual(['direct transfer']);
      // The stream of the dead conversation, once more.
      call.ask();
      if (outcome !== 'silence') {
        const news = { type: 'transfer', callId: 'CA1', status: outcome, outcome: undefined } as const;
        kit.manager.transferNews('twilio', news);
      }
      await settled();
      expect(orders(call)).toHaveLength(outcome === 'failed' ? 2 : 1);
      await kit.pass(100_000, 5000);
      expect(orders(call).slice(1)).toEqual(outcome === 'answered' ? [] : ['hangUp']);
    }
  });
});

describe('a call in command style that the bridge ends', () => {
  it.each(['agent-hung-up', 'operator-hung-up', 'caller-silent', 'max-duration', 'message-left'] as const)(
    'is hung up by REST at once, and once: %s',
    async (reason) => {
      const kit = createKit(COMMAND);
      const call = await kit.talk();
      await call.session.end(reason);
      await settled();
      expect(orders(call)).toEqual(['hangUp']);
      call.ask();
      call.ask({ spoken: true });
      await kit.pass(60_000, 5000);
      expect(orders(call)).toEqual(['hangUp']);
    },
  );

  it('is hung up before it was answered too', async () => {
    const kit = createKit(COMMAND);
    const call = kit.admit();
    await call.session.end('operator-hung-up');
    await settled();
    expect(orders(call)).toEqual(['hangUp']);
  });

  it('is tried four times, then logged and counted', async () => {
    const kit = createKit({
      ...COMMAND,
      parts: { hangUp: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) },
    });
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    await kit.pass(30_000);
    expect(orders(call)).toEqual(['hangUp', 'hangUp', 'hangUp', 'hangUp']);
    expect(kit.logged('the call could not be hung up')).toBe(1);
    expect(await kit.metrics.text()).toContain('patchcord_hang_up_failures_total{carrier="twilio"} 1');
  });

  it('is not tried again when the carrier says no, which is counted too', async () => {
    const kit = createKit({ ...COMMAND, parts: { hangUp: () => Promise.resolve(refused()) } });
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    await kit.pass(30_000);
    expect(orders(call)).toEqual(['hangUp']);
    expect(kit.logged('the call could not be hung up')).toBe(1);
  });

  it('that is over already is a success', async () => {
    const kit = createKit({
      ...COMMAND,
      parts: { hangUp: () => Promise.resolve({ status: 'already-ended' }) },
    });
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    await kit.pass(30_000);
    expect(orders(call)).toEqual(['hangUp']);
    expect(kit.logged('could not be hung up')).toBe(0);
  });

  it('is a failure like any other when the request throws', async () => {
    const kit = createKit({ ...COMMAND, parts: { hangUp: () => Promise.reject(new Error('broken')) } });
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    await kit.pass(30_000);
    expect(kit.logged('the call could not be hung up')).toBe(1);
  });

  it('does not hold up the stop of the service by its pauses', async () => {
    const kit = createKit({
      ...COMMAND,
      parts: { hangUp: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) },
    });
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    await kit.close();
    // One last try instead of the pause.
    expect(orders(call)).toEqual(['hangUp', 'hangUp']);
    expect(kit.clock.pending).toBe(0);
  });
});

describe('a call in command style whose stream stops', () => {
  it('is hung up when the carrier does not say that it is over: it would stay up in silence', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    call.stop();
    expect(call.endReason).toBe('caller-hung-up');
    await kit.pass(3500);
    expect(orders(call)).toEqual(['hangUp']);
  });

  it('is left alone when the carrier does', async () => {
    for (const first of ['stop', 'over'] as const) {
      const kit = createKit(COMMAND);
      const call = await kit.talk();
      if (first === 'stop') call.stop();
      kit.manager.callOver('twilio', 'CA1');
      await kit.pass(10_000);
      expect(orders(call)).toEqual([]);
    }
  });

  it('is hung up at once when the carrier says that the stream alone is over', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    call.stop();
    call.ask();
    await settled();
    expect(orders(call)).toEqual(['hangUp']);
    await kit.pass(10_000);
    expect(orders(call)).toEqual(['hangUp']);
  });
});

describe('a call in command style when the service stops', () => {
  it('is hung up, whatever is still being said or waited for', async () => {
    for (const phase of ['stopped', 'failed', 'speaking'] as const) {
      const kit = createKit(COMMAND);
      const call = await kit.talk();
      if (phase === 'stopped') call.stop();
      else await call.session.end('provider-failed');
      if (phase === 'speaking') call.ask();
      await settled();
      await kit.close();
      expect(orders(call).at(-1)).toBe('hangUp');
      expect(kit.clock.pending).toBe(0);
    }
  });
});

describe('a call in document style when the service stops', () => {
  it('is hung up by REST when its carrier does not ask what comes next', async () => {
    for (const phase of ['coming', 'up', 'away', 'failed', 'ended'] as const) {
      const kit = createKit();
      const call = phase === 'coming' ? kit.admit() : await kit.talk();
      if (phase === 'away') {
        await call.session.transfer(TRANSFER);
        call.ask();
        call.stop();
      }
      if (phase === 'failed') await call.session.end('provider-failed');
      if (phase === 'ended') await call.session.end('agent-hung-up');
      await kit.close();
      expect([phase, orders(call).filter((order) => order === 'hangUp')]).toEqual([phase, ['hangUp']]);
      expect(kit.clock.pending).toBe(0);
    }
  });

  it('is told so when its carrier asks, which takes no request and no more time', async () => {
    const kit = createKit();
    const calls = [kit.admit('CA1'), kit.admit('CA2')];
    let over = false;
    const closed = kit.manager.close().then(() => {
      over = true;
    });
    await settled();
    expect(calls.map((call) => call.ask())).toEqual([{ type: 'hang-up' }, { type: 'hang-up' }]);
    await settled();
    expect(over).toBe(true);
    await closed;
    await kit.desk.close();
    expect(calls.flatMap(orders)).toEqual([]);
    expect(kit.clock.pending).toBe(0);
  });

  it('is left alone when it is over, or when two talk without the bridge', async () => {
    for (const end of ['caller-hung-up', 'transferred'] as const) {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.end(end);
      await kit.close();
      expect(orders(call)).toEqual([]);
    }
  });

  it('is tried a second time, and then no longer', async () => {
    const kit = createKit({ parts: { hangUp: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) } });
    const call = await kit.talk();
    await kit.close();
    expect(orders(call)).toEqual(['hangUp', 'hangUp']);
    expect(await kit.metrics.text()).toContain('patchcord_hang_up_failures_total{carrier="twilio"} 1');
    expect(kit.clock.pending).toBe(0);
  });

  it('is hung up when it could not be made to ask, also when that is found out while the service stops', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) } });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    await kit.pass(3100, 100);
    await kit.close();
    expect(orders(call)).toEqual(['direct say', 'direct say', 'hangUp']);
  });
});

describe('a call in document style', () => {
  it('that nobody joined is told the last resort, and then to hang up', async () => {
    const kit = createKit();
    const call = kit.admit();
    await kit.provider.ready();
    await kit.pass(30_500);
    expect(call.endReason).toBe('media-never-came');
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(call.ask()).toEqual({ type: 'hang-up' });
    expect(orders(call)).toEqual([]);
  });

  it('that an operator ends before its stream is there is hung up by REST when it gives no sign', async () => {
    const kit = createKit();
    const call = kit.admit();
    await call.session.end('operator-hung-up');
    await kit.pass(3500);
    expect(orders(call)).toEqual(['hangUp']);
  });

  it.each(['provider-failed', 'media-lost', 'failed'] as const)(
    'is told the last resort once: %s',
    async (reason) => {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.end(reason);
      const told: (Next | undefined)[] = [call.ask(), call.ask(), call.ask({ transfer: 'busy' })];
      expect(told).toEqual([call.session.agent.lastResort, { type: 'hang-up' }, { type: 'hang-up' }]);
      await kit.pass(20_000);
      expect(orders(call)).toEqual([]);
    },
  );

  it('is not told anything to an empty line', async () => {
    const kit = createKit();
    const call = await kit.talk();
    expect(call.ask({ ended: true })).toEqual({ type: 'hang-up' });
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('of two who have talked ends as transferred, also when it is the caller who has hung up', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    expect(call.ask({ ended: true, transfer: 'completed' })).toEqual({ type: 'hang-up' });
    expect(call.endReason).toBe('transferred');
  });
});

describe('a caller in document style who is owed the last resort', () => {
  it('gets it by a redirect when the carrier does not ask, and once more where the redirect cut it short', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.end('provider-failed');
    await kit.pass(3500);
    expect(orders(call)).toEqual(['direct say']);
    // The carrier has asked by itself at the same moment.
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(call.ask()).toEqual({ type: 'hang-up' });
    await kit.pass(60_000);
    expect(orders(call)).toEqual(['direct say']);
  });

  it('is not redirected again by an order whose answer was lost, once the carrier has asked', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) } });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    await kit.pass(3500);
    expect(orders(call)).toEqual(['direct say']);
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    await kit.pass(60_000);
    expect(orders(call)).toEqual(['direct say']);
  });

  it('is redirected again while the carrier neither takes the order nor asks, and is hung up in the end', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) } });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    await kit.pass(60_000);
    expect(orders(call)).toEqual(['direct say', 'direct say', 'direct say', 'direct say', 'hangUp']);
  });

  it('is not called back from somebody else who was reached for them', async () => {
    const kit = createKit({ agent: { lastResort: { type: 'transfer', ...TRANSFER } } });
    const call = await kit.talk();
    await call.session.end('provider-failed');
    await kit.pass(3500);
    expect(call.ask()).toEqual({ type: 'transfer', ...TRANSFER });
    expect(call.ask({ transfer: 'no-answer' })).toEqual({ type: 'hang-up' });
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
  });

  it('is told nothing more after a talk with somebody else, whatever the reason of the end', async () => {
    for (const reason of ['provider-failed', 'media-lost', 'failed'] as const) {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.end(reason);
      expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
    }
  });
});

describe('media tokens of a carrier that opens a stream again', () => {
  it('are good for three streams, and for none after the call', async () => {
    const kit = createKit({ capabilities: { tokenUses: 3 } });
    const call = kit.admit();
    await kit.provider.ready();
    const { plan } = call;
    for (let i = 0; i < 3; i++) {
      expect(call.mayOpen(plan)).toBe(true);
      call.stream();
    }
    expect(call.mayOpen(plan)).toBe(false);
    const other = kit.admit('CA2');
    await other.session.end('caller-hung-up');
    expect(other.mayOpen(other.plan)).toBe(false);
  });
});

describe('news of the end of a stream, in command style,', () => {
  const over = (mediaUrl: string) =>
    ({ type: 'after-stream', callId: 'CA1', ended: false, transfer: undefined, mediaUrl }) as const;

  it('are not the end of its successor when they come late', async () => {
    const kit = createKit(COMMAND);
    const call = kit.admit();
    await kit.provider.ready();
    const first = call.plan.mediaUrl;
    call.session.refuseCodec('G722/8000');
    // This end is the one that was waited for, though the address of the next stream is made already.
    expect(kit.manager.asked('twilio', undefined, over(first))?.next).toMatchObject({ type: 'stream' });
    expect(kit.manager.asked('twilio', undefined, over(first))?.next).toEqual({ type: 'nothing' });
    const plan = kit.planOf('CA1') ?? call.plan;
    call.stream(plan);
    kit.manager.asked('twilio', undefined, over(first));
    await kit.pass(5000);
    expect(call.endReason).toBeUndefined();
    kit.manager.asked('twilio', undefined, over(plan.mediaUrl));
    await kit.pass(5000);
    expect(call.endReason).toBe('media-lost');
  });

  it('do not hide that it was the caller who has hung up, however close they follow', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    call.ask();
    await kit.pass(500);
    kit.manager.callOver('twilio', 'CA1');
    expect(call.endReason).toBe('caller-hung-up');
    await kit.pass(5000);
    expect(orders(call)).toEqual([]);
  });

  it('are the end when the call is over with it', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    kit.manager.asked('twilio', undefined, { ...over('wss://bridge.test/media/x/y'), ended: true });
    expect(call.endReason).toBe('caller-hung-up');
  });
});

describe('what is asked about a call', () => {
  it('is answered to the one who has its token, or its signature where there is none', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    const event = { type: 'after-stream', callId: 'CA1', ended: false, transfer: undefined } as const;
    expect(kit.manager.asked('twilio', undefined, event)?.next).toEqual({ type: 'hang-up' });
    expect(kit.manager.asked('plivo', undefined, event)).toBeUndefined();
    expect(kit.manager.asked('twilio', 'guess', event)).toBeUndefined();
    expect(kit.manager.asked('twilio', undefined, { ...event, callId: 'CA2' })).toBeUndefined();
  });

  it('is forgotten a minute after the end', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.end('agent-hung-up');
    expect(kit.manager.remembers('twilio', 'CA1')).toBe(true);
    await kit.pass(61_000, 1000);
    expect(kit.manager.remembers('twilio', 'CA1')).toBe(false);
    expect(call.ask()).toBeUndefined();
  });
});
