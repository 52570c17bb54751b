import { describe, expect, it } from 'vitest';
import { NUMBER, PATIENT, speak, startService as start } from './support/agents-service.ts';
import { STYLES } from './support/carrier-styles.ts';
import { answering, hookReceiver, SECRET, verified } from './support/hook-receiver.ts';
import { says } from './support/scripted-model.ts';

/** What calls may cost by the agents file, and what becomes of those that have cost it. */

interface Terms {
  readonly agent?: string;
  readonly number?: string;
  readonly file?: string;
  /** Of a million tokens of speech by the model. */
  readonly speech?: number;
  readonly perMinute?: number;
}

const agents = ({ agent = '', number = '', file = '', speech = 0, perMinute = 0 }: Terms): string => `
variables: { business: Trattoria }
agents:
  booking: { instructions: You answer., greeting: "Hello.", silence: false${agent} }
numbers:
  - { number: "${NUMBER}", agent: booking${number} }
  - { number: "+49*", agent: booking${number} }
  - { number: "*", agent: booking }
prices:
  currency: EUR
  providers:
    openai:
      perMillionTokens: { inputText: 0, cachedText: 0, inputAudio: 0, cachedAudio: 0, outputText: 0, outputAudio: ${speech} }
    gpt-transcribe: { perMillionTokens: {} }
  carriers:
    twilio: { inboundPerMinute: ${perMinute}, outboundPerMinute: ${perMinute}, streamPerMinute: 0, roundUpSeconds: 60 }
    telnyx: { inboundPerMinute: ${perMinute}, outboundPerMinute: ${perMinute}, streamPerMinute: 0, roundUpSeconds: 60 }
    plivo: { inboundPerMinute: ${perMinute}, outboundPerMinute: ${perMinute}, streamPerMinute: 0, roundUpSeconds: 60 }
${file}
`;
const ORDER = { from: NUMBER, to: '+15550100777' };

describe('a call that has cost what it may', () => {
  it('by the tokens of the model is taken leave of, and ended', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({
      agents: agents({
        speech: 1000,
        agent: ', budget: { perCall: 0.03, goodbye: "{{business}} has to stop here. Goodbye." }',
        file: `webhooks: { end: { url: "${hook.url}", secret: "${SECRET}" } }`,
      }),
      model: [says('That is a long story.', 2000)],
    });
    const call = await on.connected();
    await speak(call);
    await on.says('That is a long story.');
    await on.says('Trattoria has to stop here. Goodbye.');
    const report = await call.ended;
    expect((await on.event('ended')).reason).toBe('budget-spent');
    expect(report.endedBy).toBe('rest');
    expect(verified(await hook.nth(1))).toMatchObject({
      data: { endReason: 'budget-spent', cost: { currency: 'EUR' } },
    });
    const metrics = await on.metrics();
    expect(metrics).toContain('patchcord_budget_ends_total{budget="call"} 1');
    expect(metrics).toMatch(
      /calls_ended_total\{reason="budget-spent",carrier="twilio",provider="openai"\} 1/,
    );
    // The next one has a budget of its own.
    const next = await on.connected();
    await next.hangUp();
  });

  it('already by being answered is ended before it is talked in', async () => {
    const on = await start({ agents: agents({ perMinute: 1, agent: ', budget: { perCall: 0.5 }' }) });
    const call = on.dial();
    expect((await on.event('ended')).reason).toBe('budget-spent');
    expect(await call.ended).toMatchObject({ outcome: 'completed' });
    await on.says('Goodbye.');
  });
});

describe.each(STYLES)('a number at $name that has spent what it may', (style) => {
  it.each(['busy', 'rejected'] as const)('takes no calls any more today: %s', async (refusal) => {
    const file = refusal === 'rejected' ? 'budget: { perDay: 100, refusal: rejected }' : '';
    const on = await start({
      agents: agents({ perMinute: 0.5, number: ', budget: { perDay: 0.8 }', file }),
      styles: [style],
    });
    for (const _ of [1, 2]) {
      const call = await on.connected();
      await call.hangUp();
    }
    await expect.poll(() => on.bridge.calls, PATIENT).toBe(0);
    const refused = await on.dial().ended;
    expect(refused.outcome).toBe(refusal);
    expect(refused.streams).toEqual([]);
    expect(on.openai.connections).toHaveLength(2);
    expect(await on.metrics()).toContain('patchcord_budget_refusals_total{budget="number"} 1');
    // Another number has not spent anything.
    const other = await on.connected({ to: '+4930123456' });
    await other.hangUp();
    expect(on.lines('call refused: what may be spent today')).toHaveLength(1);
  });

  it('has spent it in both directions, however the carrier writes the number', async () => {
    // Telnyx places calls by Call Control only.
    if (style.route === 'voice' && style.carrier === 'telnyx') return;
    const to = NUMBER.slice(1);
    const on = await start({
      agents: agents({ perMinute: 0.5, number: ', budget: { perDay: 0.8 }' }),
      styles: [style],
    });
    const inbound = await on.connected({ to });
    await inbound.hangUp();
    expect((await on.api('POST', '/calls', ORDER)).status).toBe(201);
    const outbound = await on.exchange.nextDialled();
    await on.event('mediaStarted', ({ callId }) => callId !== inbound.callId);
    await outbound.hangUp();
    await expect.poll(() => on.bridge.calls, PATIENT).toBe(0);
    expect((await on.api('POST', '/calls', ORDER)).status).toBe(503);
    expect((await on.dial({ to }).ended).outcome).toBe('busy');
  });
});

describe('a day on which all has been spent', () => {
  const terms = { perMinute: 0.5, file: 'budget: { perDay: 0.8 }' };

  it('ends the calls that are up in words, and lets nobody in or out', async () => {
    const on = await start({ agents: agents(terms) });
    const first = await on.connected();
    await on.says('Hello.');
    const second = await on.connected({ to: '+390612345678' });
    await on.event('ended', ({ callId }) => callId === first.callId);
    await on.event('ended', ({ callId }) => callId === second.callId);
    const reasons = on.events.flatMap((event) => (event.type === 'ended' ? [event.reason] : []));
    expect(reasons).toEqual(['budget-spent', 'budget-spent']);
    expect((await first.ended).endedBy).toBe('rest');
    const goodbyes = on.events.filter(
      (event) => event.type === 'transcript' && event.final && event.text.includes('Goodbye'),
    );
    expect(goodbyes.map(({ callId }) => callId)).toContain(first.callId);
    expect(await on.dial().ended).toMatchObject({ outcome: 'busy' });
    const placed = await on.api('POST', '/calls', ORDER);
    expect(placed.status).toBe(503);
    expect(placed.body['error']).toMatchObject({
      code: 'OVER_CAPACITY',
      message: 'no call can be placed: what may be spent today has been spent',
    });
    const metrics = await on.metrics();
    expect(metrics).toContain('patchcord_budget_ends_total{budget="day"} 2');
    expect(metrics).toContain('patchcord_budget_refusals_total{budget="day"} 2');
  });

  it('is the same day after the service was started again', async () => {
    const on = await start({ agents: agents(terms) });
    const first = await on.connected();
    const second = await on.connected();
    await Promise.all([first.hangUp(), second.hangUp()]);
    await on.bridge.close();
    await on.startBridge();
    expect(await on.dial().ended).toMatchObject({ outcome: 'busy' });
    expect((await on.api('POST', '/calls', ORDER)).status).toBe(503);
  });

  it('is over as soon as the file allows more', async () => {
    const on = await start({ agents: agents(terms) });
    const first = await on.connected();
    const second = await on.connected();
    await Promise.all([first.hangUp(), second.hangUp()]);
    expect(await on.dial().ended).toMatchObject({ outcome: 'busy' });
    await on.rewrite(agents({ ...terms, file: 'budget: { perDay: 5 }' }));
    const third = await on.connected();
    await third.hangUp();
    // And less again: who is up hears a goodbye.
    const fourth = await on.connected();
    await on.rewrite(agents({ ...terms, file: 'budget: { perDay: 1 }' }));
    expect((await on.event('ended', ({ callId }) => callId === fourth.callId)).reason).toBe('budget-spent');
    await fourth.ended;
  });

  it('is not spent by a call that is refused, or that nobody answers', async () => {
    const on = await start({
      agents: agents({ ...terms, file: 'budget: { perDay: 0.4 }' }),
      exchange: { callee: () => ({ kind: 'busy', ringMs: 10 }) },
    });
    const placed = await on.api('POST', '/calls', ORDER);
    await expect
      .poll(async () => (await on.api('GET', `/calls/${placed.body['id']}`)).body['outcome'], PATIENT)
      .toBe('busy');
    expect((await on.api('POST', '/calls', ORDER)).status).toBe(201);
  });
});
