import { describe, expect, it } from 'vitest';
import type { CallReport } from '../src/hooks/report.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { PATIENT, speak, startService } from './support/agents-service.ts';
import { answering, hookReceiver, type ReceivedHook, SECRET, verified } from './support/hook-receiver.ts';

/** What the end webhook is told of a call that was held with more than one provider. */

function dataOf(hook: ReceivedHook): CallReport['data'] {
  return (verified(hook) as CallReport).data;
}

const PRICES = `prices:
  currency: EUR
  providers:
    openai: { perMillionTokens: { inputText: 4, cachedText: 0.4, inputAudio: 32, cachedAudio: 0.4, outputText: 16, outputAudio: 64 } }
    gpt-transcribe: { perMillionTokens: { inputText: 1, inputAudio: 1, outputText: 1 } }
    xai: { perMinute: 0.6, perMillionTokens: { inputText: 0, cachedText: 0, inputAudio: 0, cachedAudio: 0, outputText: 0, outputAudio: 0 } }
`;

async function service(providers: string, more = '') {
  const hook = await hookReceiver(answering(204));
  const xai = await startOpenAiSimulator({ dialect: 'xai', firstAudioMs: 20 });
  const on = await startService({
    agents: `agents: { a: { greeting: Hello there., silence: false, providers: ${providers}${more} } }
webhooks: { end: { url: "${hook.url}", secret: "${SECRET}" } }
${PRICES}`,
    env: { XAI_BASE_URL: xai.url, XAI_API_KEY: 'x' },
  });
  return { hook, on, xai };
}

describe('the report of a call that was held with two providers', () => {
  it('says who was lost, who took over and what the caller heard, and bills each for its own', async () => {
    const { hook, on, xai } = await service('[openai, xai]');
    const call = on.dial();
    await call.streaming;
    await on.says('Hello there.');
    await on.event('usage', ({ provider }) => provider === 'openai');
    await call.untilQuiet(200);
    (await on.session()).drop();
    await on.event('providerReady', ({ provider }) => provider === 'xai');
    await speak(call);
    await on.event('usage', ({ provider }) => provider === 'xai');
    await on.event('failover');
    await call.untilHeard(100);
    await call.hangUp();
    const data = dataOf(await hook.nth(1));
    expect(data).toMatchObject({
      providers: ['openai', 'xai'],
      failovers: 1,
      endReason: 'caller-hung-up',
      providerChanges: [
        { from: 'openai', to: 'xai', why: 'failover', resumed: false, gapMs: expect.any(Number) },
      ],
      providerFailures: [{ provider: 'openai', phase: 'in-call' }],
    });
    const [change] = data.providerChanges;
    const [failure] = data.providerFailures;
    expect(change?.code).toBe(failure?.code);
    expect(failure?.atMs).toBeLessThanOrEqual(change?.atMs ?? 0);
    // Each its own time, one after the other.
    const { openai = 0, xai: second = 0 } = data.usage?.providerSeconds ?? {};
    expect(openai).toBeGreaterThan(0);
    expect(second).toBeGreaterThan(0);
    expect(openai + second).toBeLessThanOrEqual(data.durationSeconds + 1);
    const bill = data.cost?.byProvider ?? {};
    expect(Object.keys(bill)).toEqual(expect.arrayContaining(['openai', 'xai']));
    expect(bill['xai']).toBeCloseTo(second * 0.01, 4);
    expect(xai.connections).toHaveLength(1);
    await xai.close();
  });

  it('names one that is dialled anew once, and counts that it was lost', async () => {
    const { hook, on, xai } = await service('[openai]');
    const call = on.dial();
    await call.streaming;
    await on.says('Hello there.');
    await call.untilQuiet(200);
    (await on.session()).close(1011, 'internal');
    await on.event('providerReady', ({ why }) => why === 'failover');
    await call.hangUp();
    const data = dataOf(await hook.nth(1));
    expect(data).toMatchObject({ providers: ['openai'], failovers: 1, endReason: 'caller-hung-up' });
    expect(data.providerChanges).toMatchObject([{ from: 'openai', to: 'openai', why: 'failover' }]);
    await xai.close();
  });

  it('says of a call that nobody could hold whom it was tried with', async () => {
    const { hook, on, xai } = await service('[xai, openai]', ', lastResort: hang-up');
    await Promise.all([xai.close(), on.openai.close()]);
    await on.dial().ended;
    const data = dataOf(await hook.nth(1));
    expect(data).toMatchObject({
      providers: [],
      failovers: 0,
      providerChanges: [],
      endReason: 'provider-failed',
      outcome: 'failed',
    });
    const tried = data.providerFailures.map(({ provider, phase }) => `${provider} ${phase}`);
    expect(new Set(tried)).toEqual(new Set(['xai connecting', 'openai connecting']));
    expect(data.usage?.providerSeconds).toEqual({});
    await expect.poll(() => on.bridge.calls, PATIENT).toBe(0);
  });
});
