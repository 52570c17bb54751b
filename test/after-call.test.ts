import { describe, expect, it } from 'vitest';
import type { AfterStream, ControlResult } from '../src/carrier.ts';
import { createKit, type KitCall, type KitOptions, pending, refused, TRANSFER } from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';

/** Calls whose document goes on with the last resort by itself: what is ordered before their stream is closed. */

const PUT_THROUGH: AfterStream = { type: 'transfer', ...TRANSFER };
const MESSAGE: AfterStream = { type: 'message', text: 'After the tone.', language: undefined, maxS: 60 };

const kitOf = (options: KitOptions = {}) =>
  createKit({ ...options, parts: { controlsCalls: true, ...options.parts } });

const orders = (call: KitCall): string[] =>
  call.orders.map((order) => (order.what === 'direct' ? `direct ${order.next.type}` : order.what));

describe('a call that ends well', () => {
  it('is hung up before its stream is closed', async () => {
    const done = pending<ControlResult>();
    const kit = kitOf({ parts: { hangUp: () => done.promise } });
    const call = await kit.talk();
    expect(call.plan.standsAlone).toBe(true);
    void call.session.end('agent-hung-up');
    await settled();
    expect(orders(call)).toEqual(['hangUp']);
    expect(call.leg.closed).toBeUndefined();
    done.resolve({ status: 'ok' });
    await kit.pass(2900, 100);
    // The carrier is about to end the stream; closed before that, it might go on to the next verb.
    expect(call.leg.closed).toBeUndefined();
    await kit.pass(200, 100);
    expect(call.leg.closed).toBeDefined();
    await kit.pass(60_000, 5000);
    expect(orders(call)).toEqual(['hangUp']);
    await kit.close();
    expect(kit.clock.pending).toBe(0);
  });

  it('is hung up at once when its stream is not there', async () => {
    const kit = kitOf();
    const call = kit.admit();
    void call.session.end('operator-hung-up');
    await settled();
    expect(orders(call)).toEqual(['hangUp']);
  });

  it.each([PUT_THROUGH, MESSAGE])(
    'and cannot be hung up keeps its stream, so that nobody is rung or asked: $type',
    async (lastResort) => {
      const results: ControlResult[] = [refused(), refused()];
      const hangUp = () => Promise.resolve(results.shift() ?? ({ status: 'ok' } as const));
      const kit = kitOf({ agent: { lastResort }, parts: { hangUp } });
      const call = await kit.talk();
      void call.session.end('agent-hung-up');
      await kit.pass(59_000, 1000);
      expect(orders(call)).toEqual(['hangUp']);
      expect(call.leg.closed).toBeUndefined();
      await kit.pass(2000);
      expect(orders(call)).toEqual(['hangUp', 'hangUp']);
      expect(call.leg.closed).toBeUndefined();
      await kit.pass(64_000, 1000);
      expect(orders(call)).toEqual(['hangUp', 'hangUp', 'hangUp']);
      expect(call.leg.closed).toBeDefined();
      await kit.close();
      expect(kit.clock.pending).toBe(0);
    },
  );

  it('and cannot be hung up is let go when the caller hangs up, or when the process stops', async () => {
    for (const how of ['caller', 'process'] as const) {
      const kit = kitOf({
        agent: { lastResort: PUT_THROUGH },
        parts: { hangUp: () => Promise.resolve(refused()) },
      });
      const call = await kit.talk();
      void call.session.end('agent-hung-up');
      await settled();
      if (how === 'caller') {
        kit.manager.callOver('twilio', 'CA1');
        expect(call.leg.closed).toBeDefined();
        await kit.pass(120_000, 10_000);
        expect(orders(call)).toEqual(['hangUp']);
      }
      await kit.close();
      expect(kit.clock.pending).toBe(0);
    }
  });

  it('and cannot be hung up hears words where the last resort is nothing but words', async () => {
    const kit = kitOf({ parts: { hangUp: () => Promise.resolve(refused()) } });
    const call = await kit.talk();
    void call.session.end('agent-hung-up');
    await settled();
    expect(call.leg.closed).toBeDefined();
  });

  it('teaches the next ones whether the carrier does what it is asked', async () => {
    const results: ControlResult[] = [refused()];
    const kit = kitOf({ parts: { hangUp: () => Promise.resolve(results.shift() ?? { status: 'ok' }) } });
    const first = await kit.talk('CA1');
    const beside = kit.admit('CA2');
    void first.session.end('agent-hung-up');
    await settled();
    expect(kit.admit('CA3').plan.standsAlone).toBe(false);
    void beside.session.end('operator-hung-up');
    await settled();
    expect(kit.admit('CA4').plan.standsAlone).toBe(true);
  });
});

describe('a call whose agent is lost', () => {
  it('goes on with the document, and is left alone when the carrier says that the stream is over', async () => {
    const kit = kitOf();
    const call = await kit.talk();
    void call.session.end('provider-failed');
    expect(call.leg.closed).toBeDefined();
    kit.manager.streamNews('twilio', 'CA1', 'stopped');
    await kit.pass(120_000, 5000);
    expect(orders(call)).toEqual([]);
    expect(await kit.metrics.text()).toMatch(/last_resort\w*\{type="say"\} 1/);
  });

  it('is left alone also when the carrier was the first to know', async () => {
    const kit = kitOf();
    const call = await kit.talk();
    kit.manager.streamNews('twilio', 'CA1', 'started');
    kit.manager.streamNews('twilio', 'CA1', 'failed');
    call.cut();
    expect(call.endReason).toBe('media-lost');
    await kit.pass(60_000, 5000);
    expect(orders(call)).toEqual([]);
  });

  it('is made to ask when the carrier has not noticed', async () => {
    const kit = kitOf();
    const call = await kit.talk();
    void call.session.end('provider-failed');
    await kit.pass(3500);
    expect(orders(call)).toEqual(['direct say']);
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    await kit.pass(60_000, 5000);
    expect(orders(call)).toEqual(['direct say']);
  });

  it('is put through by order, with everything that the document cannot have', async () => {
    const kit = kitOf({ agent: { lastResort: PUT_THROUGH } });
    const call = await kit.talk();
    void call.session.end('provider-failed');
    await settled();
    expect(orders(call)).toEqual(['direct transfer']);
    expect(call.leg.closed).toBeUndefined();
    expect(call.ask()).toEqual(PUT_THROUGH);
    await kit.pass(3500);
    expect(call.leg.closed).toBeDefined();
    expect(call.ask({ transfer: 'no-answer' })).toEqual({ type: 'hang-up' });
    await kit.close();
    expect(kit.clock.pending).toBe(0);
  });

  it.each(['refused', 'late'] as const)(
    'is put through by the document when the order is %s',
    async (how) => {
      const never = new Promise<ControlResult>(() => undefined);
      const direct = (_call: unknown, _next: unknown, _urls: unknown, signal: AbortSignal) =>
        how === 'refused'
          ? Promise.resolve(refused())
          : Promise.race([
              never,
              new Promise<ControlResult>((resolve) =>
                signal.addEventListener('abort', () => resolve(refused('CARRIER_UNAVAILABLE'))),
              ),
            ]);
      const kit = kitOf({ agent: { lastResort: PUT_THROUGH }, parts: { direct } });
      const call = await kit.talk();
      void call.session.end('provider-failed');
      await kit.pass(how === 'late' ? 2500 : 500);
      expect(call.leg.closed).toBeDefined();
      expect(orders(call)).toEqual(['direct transfer']);
    },
  );

  it('is not asked for a message twice', async () => {
    const kit = kitOf({ agent: { lastResort: MESSAGE } });
    const call = await kit.talk();
    void call.session.end('provider-failed');
    kit.manager.streamNews('twilio', 'CA1', 'stopped');
    const left = { type: 'after-stream', callId: 'CA1', ended: false, transfer: undefined } as const;
    const token = call.afterUrl.slice(call.afterUrl.lastIndexOf('/') + 1);
    const asked = kit.manager.asked('twilio', token, { ...left, messageLeft: true });
    expect(asked?.next).toEqual({ type: 'hang-up' });
  });
});

describe('a stream that the carrier could not open', () => {
  it('is the end of the call: the caller hears the last resort already', async () => {
    const kit = kitOf();
    const call = kit.admit();
    kit.manager.streamNews('twilio', 'CA1', 'failed');
    expect(call.endReason).toBe('media-never-came');
    await kit.pass(60_000, 5000);
    expect(orders(call)).toEqual([]);
  });

  it('is waited for where the carrier tries again', async () => {
    const kit = kitOf({ capabilities: { tokenUses: 3 } });
    const call = kit.admit();
    kit.manager.streamNews('twilio', 'CA1', 'failed');
    expect(call.endReason).toBeUndefined();
  });
});

describe('a last resort that cannot be written', () => {
  it('becomes an apology, so that the call is answered', async () => {
    const kit = kitOf({
      agent: { lastResort: PUT_THROUGH },
      parts: {
        document: (next) => {
          if (next.type === 'transfer') throw new Error('no address');
          return { status: 200, contentType: 'text/xml', body: '' };
        },
      },
    });
    expect(kit.admit().plan.fallback.type).toBe('say');
    expect(kit.logged('the last resort cannot be written')).toBe(1);
  });
});
