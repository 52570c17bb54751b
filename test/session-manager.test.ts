import { describe, expect, it } from 'vitest';
import { type Agent, lineCheckAgent } from '../src/agents.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { PublicAddresses } from '../src/call-urls.ts';
import type { Carrier, CarrierName, ControlResult, Next } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { Breakers } from '../src/fallback/breakers.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { createLog } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import { Pacer } from '../src/pacer.ts';
import type { Session } from '../src/session.ts';
import { type Admission, type CallTerms, SessionManager } from '../src/session-manager.ts';
import { fakeCarrier } from './support/fake-carrier.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

const AGENT: Agent = {
  ...lineCheckAgent({
    instructions: undefined,
    greeting: 'Hello.',
    voice: undefined,
    language: undefined,
    audio: 'passthrough',
    maxCallMs: 600_000,
    silenceMs: 0,
  }),
  // These providers say nothing unless the test has them do so.
  failover: { ...FAILOVER, answerMs: 0 },
};

function call(callId: string) {
  return {
    callId,
    from: '+1',
    to: '+2',
    direction: 'inbound',
    callerName: undefined,
    ref: undefined,
    control: 'document',
  } as const;
}

/** How the calls of each manager are treated. */
const TERMS = new WeakMap<SessionManager, CallTerms>();

function admit(manager: SessionManager, carrier: Carrier, id: string, reserved = false) {
  const terms = TERMS.get(manager);
  if (terms === undefined) throw new BridgeError('INTERNAL', 'the manager was not made by start()');
  return manager.admit(carrier, call(id), terms, reserved);
}

function start(maxCalls = 10, result: ControlResult = { status: 'ok' }) {
  const clock = new VirtualClock();
  const metrics = createMetrics();
  const provider = new ManualProvider();
  const hungUp: string[] = [];
  const carrier = fakeCarrier(hungUp, result);
  const manager = new SessionManager({
    clock,
    breakers: new Breakers({ clock, onChange: () => undefined }),
    pacer: new Pacer(clock),
    log: createLog('silent'),
    metrics,
    addresses: new PublicAddresses(() => 'https://bridge.test'),
    callsToCome: () => 0,
    createTranscoder,
    maxCalls,
    leadMs: 1000,
    observe: undefined,
  });
  TERMS.set(manager, { agent: AGENT, providers: soleCandidate(provider), machine: { mode: 'report' } });
  return { clock, metrics, provider, hungUp, carrier, manager };
}

/** Closes it; the carriers have had their moment to ask then. */
async function close(manager: SessionManager, clock: VirtualClock): Promise<void> {
  const closed = manager.close();
  await settled();
  clock.advance(1000);
  await closed;
}

/** A call that was let in. */
function admitted(manager: SessionManager, carrier: Carrier, id: string): Admission {
  const admission = admit(manager, carrier, id);
  if (typeof admission === 'string') throw new BridgeError('BAD_INPUT', `the call was refused: ${admission}`);
  return admission;
}

/** The last part of an address, which nobody can guess. */
function tokenOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

function mediaToken({ plan }: Admission): string {
  return tokenOf(plan.mediaUrl);
}

function afterToken({ plan }: Admission): string {
  return tokenOf(plan.afterUrl);
}

/** Whose stream it is that came with this token, which is used for it. */
function redeem(manager: SessionManager, carrier: CarrierName, token: string): Session | undefined {
  const session = manager.owner(carrier, token);
  if (session !== undefined) manager.redeem(token);
  return session;
}

/** The carrier asks what comes after the stream. */
function afterStream(manager: SessionManager, token: string, callId: string): Next | undefined {
  const event = { type: 'after-stream', callId, ended: false, transfer: undefined } as const;
  return manager.asked('twilio', token, event)?.next;
}

/** Brings a call up to where both sides talk. */
async function up(
  manager: SessionManager,
  carrier: Carrier,
  provider: ManualProvider,
  clock: VirtualClock,
  id: string,
) {
  const admission = admitted(manager, carrier, id);
  await provider.ready();
  const session = redeem(manager, 'twilio', mediaToken(admission));
  const leg = new VirtualLeg(clock);
  session?.attach(leg);
  return { admission, session, leg };
}

describe('admission', () => {
  it('takes a repeated webhook for the same call: one session, one token', () => {
    const { manager, carrier } = start();
    const first = admit(manager, carrier, 'CA1');
    expect(admit(manager, carrier, 'CA1')).toEqual(first);
    expect(manager.size).toBe(1);
  });

  it('refuses the call that is one too many, and takes one again when there is room', async () => {
    const { manager, carrier } = start(2);
    admit(manager, carrier, 'CA1');
    admit(manager, carrier, 'CA2');
    expect(admit(manager, carrier, 'CA3')).toBe('busy');
    await manager.find('twilio', 'CA1')?.end('caller-hung-up');
    expect(admit(manager, carrier, 'CA3')).toHaveProperty('plan.mediaUrl');
  });

  it('does not take the webhook of a call that has ended for a new call', async () => {
    const { manager, carrier } = start();
    admitted(manager, carrier, 'CA1');
    await manager.find('twilio', 'CA1')?.end('caller-hung-up');
    expect(admit(manager, carrier, 'CA1')).toBe('over');
    expect(manager.size).toBe(0);
  });

  it('makes tokens that cannot be guessed', () => {
    const { manager, carrier } = start();
    const tokens = ['CA1', 'CA2'].flatMap((id) => {
      const admission = admitted(manager, carrier, id);
      return [mediaToken(admission), afterToken(admission)];
    });
    expect(new Set(tokens).size).toBe(4);
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{32,}$/);
    expect(new Set(tokens.map((token) => token.slice(0, 32))).size).toBe(4);
  });
});

describe('media tokens', () => {
  it('are good for one stream of one carrier', () => {
    const { manager, carrier } = start();
    const token = mediaToken(admitted(manager, carrier, 'CA1'));
    expect(redeem(manager, 'plivo', token)).toBeUndefined();
    expect(redeem(manager, 'twilio', 'guess')).toBeUndefined();
    expect(redeem(manager, 'twilio', token)?.callId).toBe('CA1');
    expect(redeem(manager, 'twilio', token)).toBeUndefined();
  });

  it('are worth nothing once their time is over, and the call that nobody joined has ended', () => {
    const { manager, carrier, clock } = start();
    const token = mediaToken(admitted(manager, carrier, 'CA1'));
    clock.advance(30_001);
    expect(redeem(manager, 'twilio', token)).toBeUndefined();
    expect(manager.size).toBe(0);
  });

  it('that were used for a stream which never came up do not keep the call for ever', () => {
    const { manager, carrier, clock } = start();
    redeem(manager, 'twilio', mediaToken(admitted(manager, carrier, 'CA1')));
    clock.advance(30_001);
    expect(manager.size).toBe(0);
  });

  it('are worth nothing once the provider has refused the call', async () => {
    const { manager, carrier, provider } = start();
    const token = mediaToken(admitted(manager, carrier, 'CA1'));
    await provider.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    expect(redeem(manager, 'twilio', token)).toBeUndefined();
  });
});

describe('after the stream', () => {
  it('hangs up after a call that the agent ended, and apologises after one that broke', async () => {
    const { manager, carrier, provider, clock } = start();
    const ended = await up(manager, carrier, provider, clock, 'CA1');
    await ended.session?.end('agent-hung-up');
    expect(afterStream(manager, afterToken(ended.admission), 'CA1')).toEqual({
      type: 'hang-up',
    });
    const broken = await up(manager, carrier, provider, clock, 'CA2');
    broken.session?.onLegClosed(broken.leg, false);
    expect(afterStream(manager, afterToken(broken.admission), 'CA2')).toEqual(AGENT.lastResort);
  });

  it('does not tell one call about another', async () => {
    const { manager, carrier, provider, clock } = start();
    const { admission } = await up(manager, carrier, provider, clock, 'CA1');
    expect(afterStream(manager, afterToken(admission), 'CA2')).toBeUndefined();
    expect(afterStream(manager, 'guess', 'CA1')).toBeUndefined();
  });

  it('forgets ended calls', async () => {
    const { manager, carrier, provider, clock } = start();
    const { admission, session } = await up(manager, carrier, provider, clock, 'CA1');
    await session?.end('caller-hung-up');
    clock.advance(61_000);
    expect(afterStream(manager, afterToken(admission), 'CA1')).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});

describe('hanging up', () => {
  it('uses REST when the carrier gives no sign that the call is over', async () => {
    const { manager, carrier, provider, clock, hungUp } = start();
    const { session } = await up(manager, carrier, provider, clock, 'CA1');
    await session?.end('agent-hung-up');
    clock.advance(2900);
    expect(hungUp).toEqual([]);
    clock.advance(200);
    await settled();
    expect(hungUp).toEqual(['CA1']);
  });

  it('does without REST when the carrier has asked what comes next, or has reported the end', async () => {
    const { manager, carrier, provider, clock, hungUp } = start();
    const asked = await up(manager, carrier, provider, clock, 'CA1');
    await asked.session?.end('agent-hung-up');
    afterStream(manager, afterToken(asked.admission), 'CA1');
    const reported = await up(manager, carrier, provider, clock, 'CA2');
    await reported.session?.end('agent-hung-up');
    manager.callOver('twilio', 'CA2');
    clock.advance(10_000);
    await settled();
    expect(hungUp).toEqual([]);
  });

  it('counts a hang-up that failed', async () => {
    const error = new BridgeError('CARRIER_UNAVAILABLE', 'no answer');
    const { manager, carrier, provider, clock, metrics, hungUp } = start(10, { status: 'error', error });
    const { session } = await up(manager, carrier, provider, clock, 'CA1');
    await session?.end('agent-hung-up');
    for (const ms of [3100, 1000, 2000, 4000]) {
      clock.advance(ms);
      await settled();
    }
    // What may work later is tried again, a few times.
    expect(hungUp).toHaveLength(4);
    expect(await metrics.text()).toContain('patchcord_hang_up_failures_total{carrier="twilio"} 1');
  });
});

describe('draining', () => {
  it('takes no new calls and is done when the last one is over', async () => {
    const { manager, carrier, provider, clock } = start();
    const { session } = await up(manager, carrier, provider, clock, 'CA1');
    let done = false;
    const drained = manager.drain(60_000).then(() => {
      done = true;
    });
    expect(admit(manager, carrier, 'CA2')).toBe('busy');
    clock.advance(30_000);
    await settled();
    expect(done).toBe(false);
    await session?.end('caller-hung-up');
    await drained;
    expect(done).toBe(true);
  });

  it('has the agent take leave of those who are still there at the limit', async () => {
    const { manager, carrier, provider, clock } = start();
    const { session } = await up(manager, carrier, provider, clock, 'CA1');
    const drained = manager.drain(60_000);
    clock.advance(60_001);
    expect(provider.said.at(-1)).toContain('restart');
    provider.speak('r', 'a', 1000);
    clock.advance(1100);
    expect(session?.endReason).toBe('shutdown');
    await settled();
    clock.advance(4000);
    await drained;
  });

  it('lets a call in that was placed, as long as there is time, and none after the limit', async () => {
    const { manager, carrier, provider, clock } = start();
    await up(manager, carrier, provider, clock, 'CA1');
    void manager.drain(60_000);
    expect(admit(manager, carrier, 'CA2', true)).toHaveProperty('plan');
    clock.advance(60_001);
    expect(admit(manager, carrier, 'CA3', true)).toBe('busy');
    await close(manager, clock);
  });

  it('waits for a session that is closing already', async () => {
    const { manager, carrier, provider, clock } = start();
    const { session } = await up(manager, carrier, provider, clock, 'CA1');
    let over = false;
    void session?.end('agent-hung-up').then(() => {
      over = true;
    });
    await close(manager, clock);
    expect(over).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('waits for the carrier to ask what comes next, when a provider failed last', async () => {
    const { manager, carrier, provider, clock, hungUp } = start();
    const { session, admission } = await up(manager, carrier, provider, clock, 'CA1');
    let done = false;
    const drained = manager.drain(60_000).then(() => {
      done = true;
    });
    await session?.end('provider-failed');
    await settled();
    expect(done).toBe(false);
    expect(afterStream(manager, afterToken(admission), 'CA1')).toEqual(AGENT.lastResort);
    clock.advance(4000);
    await settled();
    await drained;
    expect(hungUp).toEqual([]);
  });

  it('closing ends every call and leaves no timer', async () => {
    const { manager, carrier, provider, clock, hungUp } = start();
    await up(manager, carrier, provider, clock, 'CA1');
    admit(manager, carrier, 'CA2');
    await close(manager, clock);
    expect(manager.size).toBe(0);
    expect(clock.pending).toBe(0);
    expect(hungUp).toEqual(['CA1', 'CA2']);
  });
});
