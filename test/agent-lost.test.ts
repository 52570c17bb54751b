import { describe, expect, it } from 'vitest';
import type { ControlResult } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { COMMANDS, createKit, type KitOptions, pending, refused, TRANSFER } from './support/call-kit.ts';

/** A provider that fails, or a conversation, while the caller is about to talk with somebody else. */

const COMMAND: KitOptions = { control: 'command', capabilities: COMMANDS };
const ANNOUNCED = { ...TRANSFER, announce: 'A caller with a question about an invoice.' };

/** What observers are told of transfers. */
function told(kit: ReturnType<typeof createKit>): string[] {
  return kit.events.flatMap((event) =>
    event.type === 'transfer' ? [`${event.status} ${event.outcome}`] : [],
  );
}

describe('an agent that is lost while somebody else is rung', () => {
  const die = (kit: ReturnType<typeof createKit>): void =>
    // Nothing that another attempt could mend.
    kit.provider.die(new BridgeError('PROVIDER_AUTH', 'no'));

  it('does not take the caller out of the transfer', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    die(kit);
    await kit.pass(25_000);
    expect(call.endReason).toBeUndefined();
    expect(call.orders.filter(({ what }) => what === 'direct')).toHaveLength(1);
    call.news('answered');
    expect(call.endReason).toBe('transferred');
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
    expect(kit.logged('no provider is left')).toBe(1);
  });

  it('does not part two who talk already', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(ANNOUNCED);
    call.ask();
    call.stop();
    call.news('answered');
    await kit.pass(3000);
    die(kit);
    await kit.pass(30_000);
    expect(call.endReason).toBe('transferred');
    expect(call.orders.filter(({ what }) => what === 'direct')).toHaveLength(1);
  });

  it('leaves the last resort for a caller for whom nobody is reached, and no way back', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    die(kit);
    const { plan } = call;
    expect(call.ask({ transfer: 'no-answer' })).toEqual(call.session.agent.lastResort);
    expect(call.endReason).toBe('provider-failed');
    expect(told(kit)).toEqual(['started undefined', 'failed no-answer']);
    expect(kit.manager.known('twilio', 'CA1')).toBe('over');
    expect(call.mayOpen(plan)).toBe(false);
    expect(call.ask({ transfer: 'no-answer' })).toEqual({ type: 'hang-up' });
    await kit.pass(10_000);
    expect(call.orders).toHaveLength(1);
    await kit.close();
    expect(kit.clock.pending).toBe(0);
  });

  it('is the end when the carrier refuses to ring anybody, or never comes to ask', async () => {
    const answer = pending<ControlResult>();
    const kit = createKit({ parts: { direct: () => answer.promise } });
    const call = await kit.talk();
    const result = call.session.transfer(TRANSFER);
    die(kit);
    expect(call.endReason).toBeUndefined();
    answer.resolve(refused());
    await result;
    expect(call.endReason).toBe('provider-failed');

    const other = createKit();
    const silent = await other.talk();
    await silent.session.transfer(TRANSFER);
    die(other);
    await other.pass(20_500);
    expect(silent.endReason).toBe('provider-failed');
  });

  it('is the end of a call that is not being put through', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    call.ask({ transfer: 'busy' });
    die(kit);
    expect(call.endReason).toBe('provider-failed');
  });

  it('neither speaks nor hears any more, whatever the stream beside it brings', async () => {
    const kit = createKit({
      ...COMMAND,
      agent: { silence: { afterMs: 4000, prompts: ['There?'], goodbye: 'Bye.' } },
    });
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 5000, false);
    await call.session.transfer(TRANSFER);
    die(kit);
    kit.provider.said.length = 0;
    const played = call.leg.played.length;
    kit.provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(800) });
    for (let i = 0; i < 20; i++) {
      call.hear();
      await kit.pass(500);
    }
    call.session.onLegEvent({ type: 'dtmf', digit: '1' });
    expect(call.leg.played.length).toBe(played);
    expect(kit.provider.said).toEqual([]);
    expect(kit.provider.texts).toEqual([]);
    expect(call.endReason).toBeUndefined();
    expect(call.leg.closed).toBeUndefined();
    call.news('answered');
    expect(call.endReason).toBe('transferred');
    await kit.close();
    expect(kit.clock.pending).toBe(0);
    expect(kit.pacer.size).toBe(0);
  });

  it('is followed by the last resort in command style too, and by no new stream', async () => {
    for (const first of ['stop', 'stay'] as const) {
      const kit = createKit(COMMAND);
      const call = await kit.talk();
      await call.session.transfer(TRANSFER);
      die(kit);
      if (first === 'stop') call.stop();
      await kit.pass(5000);
      call.news('failed', 'busy');
      expect(call.endReason).toBe('provider-failed');
      await kit.pass(4000);
      const orders = call.orders.flatMap((order) => (order.what === 'direct' ? [order.next.type] : []));
      expect(orders).toEqual(['transfer', 'say']);
    }
  });

  it('may be lost by a mistake of the bridge, too', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    kit.provider.speak('r', 'a', 5000);
    call.leg.play = () => {
      throw new BridgeError('INTERNAL', 'a mistake');
    };
    await kit.pass(5000);
    expect(call.endReason).toBeUndefined();
    expect(kit.logged('call failed')).toBe(1);
    call.news('failed', 'busy');
    expect(call.endReason).toBe('failed');
  });

  it('does not keep a caller who hangs up, or an operator who has had enough', async () => {
    for (const reason of ['caller-hung-up', 'operator-hung-up'] as const) {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.transfer(TRANSFER);
      call.ask();
      call.stop();
      die(kit);
      await call.session.end(reason);
      expect(call.endReason).toBe(reason);
    }
  });
});
