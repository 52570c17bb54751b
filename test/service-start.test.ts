import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  type AgentsServiceOptions,
  CALLER,
  type Json,
  NUMBER,
  PATIENT,
  startService as start,
} from './support/agents-service.ts';
import { STYLES, type Style } from './support/carrier-styles.ts';
import {
  type Answering,
  answering,
  breaking,
  hanging,
  hookReceiver,
  type ReceivedHook,
  SECRET,
  verified,
} from './support/hook-receiver.ts';

/** The start webhook of an agents file, at the door of the whole service. */

const agents = (url: string, more = '', per = ''): string => `
variables: { guest: nobody, table: none }
agents:
  booking: { instructions: "Booking for {{guest}} at {{table}}.", greeting: "Booking, {{guest}}.", silence: false${per} }
  vip: { instructions: "Vip for {{guest}} at {{table}}.", greeting: "Vip, {{guest}}.", silence: false }
numbers:
  - { number: "${NUMBER}", agent: booking, variables: { table: window } }
  - { number: "+15550100888", agent: vip }
webhooks:
  start: { url: "${url}", secret: "${SECRET}", timeoutMs: 1500${more} }
`;

/** A service whose start webhook is answered so. */
async function asking(script: Answering[], more = '', options: Partial<AgentsServiceOptions> = {}) {
  const hook = await hookReceiver(...script);
  const on = await start({ agents: agents(hook.url, more), ...options });
  return { hook, on };
}

function ends(status: number, body: unknown): (hook: ReceivedHook) => void {
  return answering(status, body);
}

/** Resolves when whoever asked has gone away without an answer. */
async function givenUp({ response }: ReceivedHook): Promise<void> {
  if (!response.closed) await once(response, 'close');
  expect(response.writableEnded).toBe(false);
}

describe.each(STYLES)('the start webhook at $name', (style: Style) => {
  const styles = [style];

  it('chooses the agent and fills in what is said', async () => {
    const answer = { agent: 'vip', variables: { guest: 'Ms Hook', vip: true } };
    const { hook, on } = await asking([answering(200, answer)], '', { styles });
    const call = await on.connected();
    expect((await on.event('started')).agent).toBe('vip');
    await on.says('Vip, Ms Hook.');
    expect((await on.session()).session.instructions).toBe('Vip for Ms Hook at window.');
    const asked = await hook.nth(1);
    const body = verified(asked) as { readonly data: Json };
    expect(body).toMatchObject({
      type: 'call.started',
      data: {
        callId: call.callId,
        carrier: style.carrier,
        direction: 'inbound',
        agent: 'booking',
        variables: { table: 'window' },
      },
    });
    expect(String(body.data['from']).replace('+', '')).toBe(CALLER.slice(1));
    expect(String(body.data['to']).replace('+', '')).toBe(NUMBER.slice(1));
    expect(hook.received).toHaveLength(1);
    await call.hangUp();
  });

  it.each(['busy', 'rejected'] as const)('refuses a call as %s', async (reject) => {
    const { on } = await asking([answering(200, { reject })], '', { styles });
    const report = await on.dial().ended;
    expect(report.outcome).toBe(reject);
    expect(report.streams).toEqual([]);
    expect(await on.logged('call refused by the start webhook')).toMatchObject({ level: 30, reason: reject });
    expect(on.openai.connections).toEqual([]);
    expect(on.events).toEqual([]);
  });

  it('is given up when the caller hangs up meanwhile, and nobody is let in', async () => {
    const { hook, on } = await asking([hanging], '', { styles });
    const call = on.dial();
    const asked = await hook.nth(1);
    const [report] = await Promise.all([call.hangUp(), givenUp(asked)]);
    expect(report.streams).toEqual([]);
    expect(on.events).toEqual([]);
    expect(on.openai.connections).toEqual([]);
    expect(on.bridge.calls).toBe(0);
    // Nothing is wrong with the webhook.
    expect(on.lines('the start webhook failed')).toEqual([]);
    // Their place is free.
    expect((await (await fetch(`${on.url}/readyz`)).json()) as Json).toMatchObject({ calls: 0 });
  });

  it('is given up when the service closes meanwhile, and the caller is turned away', async () => {
    const { hook, on } = await asking([hanging], '', { styles });
    const call = on.dial();
    const asked = await hook.nth(1);
    await Promise.all([on.bridge.close(), givenUp(asked)]);
    const report = await call.ended;
    expect(report).toMatchObject({ outcome: 'busy', failure: undefined });
    expect(on.events).toEqual([]);
  });
});

/** Telnyx places calls by Call Control only. */
describe.each(STYLES.filter(({ name }) => name !== 'Telnyx TeXML'))(
  'the start webhook of a call that $name places',
  (style: Style) => {
    const styles = [style];

    it('is asked when somebody has picked up whom the service calls', async () => {
      const answer = { agent: 'vip', variables: { guest: 'Ms Hook', table: 'corner' } };
      const { hook, on } = await asking([answering(200, answer)], '', { styles });
      const order = { from: NUMBER, to: '+15550100777', variables: { guest: 'Mr Order' } };
      const placed = await on.api('POST', '/calls', order);
      expect(placed.status).toBe(201);
      const call = await on.exchange.nextDialled();
      // What was ordered of this one call has the last word.
      await on.says('Vip, Mr Order.');
      expect((await on.session()).session.instructions).toBe('Vip for Mr Order at corner.');
      expect(verified(await hook.nth(1))).toMatchObject({
        data: { direction: 'outbound', agent: 'booking', variables: { guest: 'Mr Order', table: 'window' } },
      });
      expect((await on.api('GET', `/calls/${placed.body['id']}`)).body).toMatchObject({ agent: 'vip' });
      await call.hangUp();
    });

    it('is given up when the operator hangs up meanwhile', async () => {
      const { hook, on } = await asking([hanging], '', { styles });
      const placed = await on.api('POST', '/calls', { from: NUMBER, to: '+15550100777' });
      const call = await on.exchange.nextDialled();
      const asked = await hook.nth(1);
      const hungUp = on.api('POST', `/calls/${placed.body['id']}/hang-up`);
      const [report] = await Promise.all([call.ended, givenUp(asked)]);
      expect((await hungUp).status).toBe(202);
      expect(report.streams).toEqual([]);
      expect(on.events).toEqual([]);
      expect(on.openai.connections).toEqual([]);
      const { body } = await on.api('GET', `/calls/${placed.body['id']}`);
      expect(body['status']).toBe('ended');
      await on.bridge.drain();
    });

    it('refuses a call that was placed, which is hung up', async () => {
      const { on } = await asking([answering(200, { reject: true })], '', { styles });
      const placed = await on.api('POST', '/calls', { from: NUMBER, to: '+15550100777' });
      const call = await on.exchange.nextDialled();
      const report = await call.ended;
      expect(report.failure).toBeUndefined();
      expect(report.streams).toEqual([]);
      expect([...report.warnings.keys()]).toEqual([]);
      expect(on.events).toEqual([]);
      await expect
        .poll(async () => (await on.api('GET', `/calls/${placed.body['id']}`)).body['status'], PATIENT)
        .toBe('ended');
      // Nobody waits for it any more.
      await on.bridge.drain();
    });
  },
);

describe('a start webhook that fails', () => {
  it.each([
    ['has an outage', [answering(500), answering(503), answering(500)], 3],
    ['breaks off', [breaking], 3],
    ['answers with a page', [answering(200, '<html>hello</html>')], 1],
    ['answers with what nobody asked for', [answering(200, { agnet: 'vip' })], 1],
    ['answers with no', [answering(404)], 1],
  ] as const)('because it %s leaves the call to the agent of its number', async (_name, script, times) => {
    const { hook, on } = await asking([...script]);
    const call = await on.connected();
    await on.says('Booking, nobody.');
    const line = await on.logged('the start webhook failed');
    expect(line).toMatchObject({ level: 50, callId: call.callId });
    expect(hook.received).toHaveLength(times);
    const ids = new Set(hook.received.map(({ headers }) => headers['webhook-id']));
    expect(ids.size).toBe(1);
    await call.hangUp();
  });

  it('because it is too slow leaves the call to the agent of its number, when its time is over', async () => {
    const { hook, on } = await asking([hanging], '');
    const call = await on.connected();
    await givenUp(await hook.nth(1));
    expect(await on.logged('the start webhook failed')).toMatchObject({ code: 'TIMEOUT' });
    await on.says('Booking, nobody.');
    await call.hangUp();
  });

  it('because nobody is there leaves the call to the agent of its number', async () => {
    const hook = await hookReceiver();
    hook.shut();
    const on = await start({ agents: agents(hook.url) });
    const call = await on.connected();
    const line = await on.logged('the start webhook failed');
    expect(JSON.stringify(line)).toContain('ECONNREFUSED');
    await on.says('Booking, nobody.');
    await call.hangUp();
  });

  it('refuses the call as busy where the file wants that', async () => {
    const { on } = await asking([answering(500)], ', onFailure: reject, retries: 0');
    expect(await on.dial().ended).toMatchObject({ outcome: 'busy' });
    expect(await on.logged('the start webhook failed')).toMatchObject({ level: 50 });
    expect(on.openai.connections).toEqual([]);
  });

  it('in naming an agent that there is not leaves the call to the one of its number', async () => {
    const { on } = await asking([answering(200, { agent: 'viip', variables: { guest: 'Ms Hook' } })]);
    const call = await on.connected();
    await on.says('Booking, Ms Hook.');
    expect(await on.logged('the start webhook names an agent')).toMatchObject({ level: 50, agent: 'viip' });
    await call.hangUp();
  });

  it('refuses a call of a number without an agent, unless an answer names one', async () => {
    const { hook, on } = await asking([answering(200, { agent: 'vip' }), answering(500)]);
    const call = await on.connected({ to: '+15550100555' });
    await on.says('Vip, nobody.');
    expect(verified(await hook.nth(1))).toMatchObject({ data: { agent: null, variables: {} } });
    await call.hangUp();
    expect(await on.dial({ to: '+15550100555' }).ended).toMatchObject({ outcome: 'rejected' });
  });
});

describe('while the start webhook is asked', () => {
  it.each(['retry', 'concurrent'] as const)(
    'the carrier may repeat its own (%s): it is one question and one call',
    async (duplicateWebhook) => {
      const { hook, on } = await asking([hanging]);
      const call = on.dial({ faults: { duplicateWebhook } });
      ends(200, { variables: { guest: 'Ms Hook' } })(await hook.nth(1));
      await call.streaming;
      await on.says('Booking, Ms Hook.');
      expect(hook.received).toHaveLength(1);
      expect(on.events.filter(({ type }) => type === 'started')).toHaveLength(1);
      expect(on.bridge.calls).toBe(1);
      await call.hangUp();
    },
  );

  it('the call has its place: one more than there is room for is busy', async () => {
    const { hook, on } = await asking([hanging], '', { env: { MAX_CALLS: '1' } });
    const first = on.dial();
    const asked = await hook.nth(1);
    expect(await on.dial().ended).toMatchObject({ outcome: 'busy' });
    expect((await on.api('POST', '/calls', { from: NUMBER, to: '+15550100777' })).status).toBe(503);
    ends(200, {})(asked);
    await first.streaming;
    expect(hook.received).toHaveLength(1);
    await first.hangUp();
  });

  it('a call that was placed needs no second place', async () => {
    const { hook, on } = await asking([hanging], '', { env: { MAX_CALLS: '1' } });
    expect((await on.api('POST', '/calls', { from: NUMBER, to: '+15550100777' })).status).toBe(201);
    const call = await on.exchange.nextDialled();
    const asked = await hook.nth(1);
    expect(await on.dial().ended).toMatchObject({ outcome: 'busy' });
    ends(200, {})(asked);
    await call.streaming;
    await call.hangUp();
  });

  it('the service may begin to drain: the call is turned away, and nobody waits for it', async () => {
    const { hook, on } = await asking([hanging]);
    const call = on.dial();
    const asked = await hook.nth(1);
    const drained = on.bridge.drain();
    ends(200, {})(asked);
    expect(await call.ended).toMatchObject({ outcome: 'busy' });
    await drained;
    expect(on.events).toEqual([]);
  });
});

describe('an agent of its own mind', () => {
  it('has a start webhook of its own, or none', async () => {
    const [all, own] = [await hookReceiver(answering(200)), await hookReceiver(answering(200))];
    const per = `, startWebhook: { url: "${own.url}", secret: "${SECRET}" }`;
    const file = agents(all.url, '', per).replace('vip: {', 'vip: { startWebhook: false, ');
    const on = await start({ agents: file });
    const first = await on.connected();
    const second = await on.connected({ to: '+15550100888' });
    const third = on.dial({ to: '+15550100555' });
    // Who has no number here is asked about of the one that is for all.
    await all.nth(1);
    expect([own.received.length, all.received.length]).toEqual([1, 1]);
    expect(await third.ended).toMatchObject({ outcome: 'rejected' });
    await Promise.all([first.hangUp(), second.hangUp()]);
  });
});
