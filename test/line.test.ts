import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { decodeG711 } from '../src/audio/g711.ts';
import type { BridgeOptions } from '../src/bridge-options.ts';
import type { CallEvent } from '../src/call-events.ts';
import { type Env, loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { createBridge } from '../src/server.ts';
import {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  startOpenAiSimulator,
} from '../src/sim/openai.ts';
import { type CallOptions, startExchange } from '../src/sim/phone.ts';
import { defineTool } from '../src/tools.ts';
import { find, samplesOf, sweep } from './support/likeness.ts';

/** The whole line on real sockets: simulated phone, real service, simulated OpenAI. */

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

async function line(
  provider: OpenAiSimulatorOptions = {},
  env: Env = {},
  options: Partial<BridgeOptions> = {},
  simulators: readonly OpenAiSimulator[] = [],
) {
  const exchange = await startExchange();
  open.push(exchange);
  const openai = simulators[0] ?? (await startOpenAiSimulator({ keepAudio: true, ...provider }));
  open.push(openai);
  const events: CallEvent[] = [];
  let ended: (event: CallEvent) => void = () => undefined;
  const over = new Promise<CallEvent>((resolve) => {
    ended = resolve;
  });
  const bridge = await createBridge({
    config: loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      OPENAI_BASE_URL: openai.url,
      OPENAI_API_KEY: 'sk-test',
      SILENCE_SECONDS: '0',
      ...env,
    }),
    log: createLog('silent'),
    observe: (_callId, event) => {
      events.push(event);
      if (event.type === 'ended') ended(event);
    },
    ...options,
  });
  open.push(bridge);
  const url = await bridge.listen();
  const dial = (more: Partial<CallOptions> = {}) =>
    exchange.placeCall({
      webhookUrl: `${url}/voice/twilio`,
      statusCallbackUrl: `${url}/status/twilio`,
      authToken: bridge.localAuthToken,
      ...more,
    });
  return { exchange, openai, bridge, events, over, dial };
}

function tone(ms: number, hz: number, rate: number, peak = 8000): Int16Array {
  return Int16Array.from({ length: (ms * rate) / 1000 }, (_, i) =>
    Math.round(peak * Math.sin((2 * Math.PI * hz * i) / rate)),
  );
}

/** 24 kHz to 8 kHz by picking: the resampler's delay is 47 samples, so the original ones are at 2, 5, 8 … */
function thirds(samples: Int16Array): Int16Array {
  return Int16Array.from({ length: Math.floor(samples.length / 3) }, (_, i) => samples[i * 3 + 2] ?? 0);
}

describe('both voices', () => {
  it('go up complete and in order, in 24 kHz PCM16', async () => {
    const { openai, dial } = await line({ respond: () => ({}) }, { AGENT_GREETING: '' });
    const call = dial();
    await call.streaming;
    const connection = await openai.nextConnection();
    await connection.next('session.updated');
    expect(connection.session).toMatchObject({
      audio: { input: { format: { type: 'audio/pcm', rate: 24_000 } } },
    });
    const spoken = sweep(600, 8000);
    await call.speak(spoken);
    await call.hangUp();
    await connection.closed;
    const up = samplesOf(connection.receivedAudio());
    // Every frame that the phone sent came out as 20 ms at the provider; the last may still have been under way.
    expect(call.sent.length * 3 - up.length).toBeLessThanOrEqual(3 * 320);
    const at8k = thirds(up);
    const { likeness } = find(spoken.subarray(400, 4400), at8k);
    expect(likeness).toBeGreaterThan(0.99);
  });

  it('go up untouched in passthrough', async () => {
    const { openai, dial } = await line(
      { respond: () => ({}) },
      { AGENT_GREETING: '', AUDIO_PATH: 'passthrough' },
    );
    const call = dial();
    await call.streaming;
    const connection = await openai.nextConnection();
    await call.speak(sweep(500, 8000));
    await call.hangUp();
    await connection.closed;
    const up = Buffer.from(connection.receivedAudio());
    expect(up.length).toBeGreaterThanOrEqual(4000);
    expect(Buffer.from(call.sent).subarray(0, up.length).equals(up)).toBe(true);
  });

  it('come down complete and in order, however fast the provider speaks', async () => {
    const audio = sweep(2000, 24_000);
    const { dial } = await line({ speedFactor: 'burst', respond: () => ({ audio, transcript: 'A sweep.' }) });
    const call = dial();
    expect(await call.untilQuiet(300)).toBe(true);
    const report = await call.hangUp();
    expect(report.underruns).toBe(0);
    const heard = decodeG711('mulaw', call.heard);
    const wanted = Int16Array.from({ length: audio.length / 3 }, (_, i) => audio[i * 3] ?? 0);
    for (const at of [800, 7200, 12_000]) {
      const found = find(wanted.subarray(at, at + 3200), heard);
      expect(found.likeness).toBeGreaterThan(0.99);
    }
    const start = find(wanted.subarray(800, 4000), heard).at;
    const end = find(wanted.subarray(12_000, 15_200), heard).at;
    expect(end - start).toBe(12_000 - 800);
  });

  it('lose nothing while the provider takes its time to answer the dial', async () => {
    const { openai, dial } = await line(
      { handshakeDelayMs: 400, respond: () => ({}) },
      { AGENT_GREETING: '' },
    );
    const call = dial();
    await call.streaming;
    const spoken = sweep(600, 8000);
    await call.speak(spoken);
    await call.hangUp();
    const connection = await openai.nextConnection();
    await connection.closed;
    const up = samplesOf(connection.receivedAudio());
    const at8k = thirds(up);
    expect(find(spoken.subarray(160, 4160), at8k).likeness).toBeGreaterThan(0.99);
  });
});

describe('an interruption', () => {
  it('clears within a frame of the provider’s event, and truncates to what was heard', async () => {
    const errors: number[] = [];
    const delays: number[] = [];
    const { openai, dial } = await line({
      speedFactor: 'burst',
      respond: () => ({ audio: tone(6000, 500, 24_000), transcript: 'A long speech about nothing at all.' }),
    });
    for (const afterMs of [330, 710, 1290, 1850, 2430]) {
      const call = dial();
      const connection = await openai.nextConnection();
      await call.streaming;
      await call.untilHeard(afterMs);
      const at = performance.now();
      connection.callerStarts();
      const clear = await call.next('clear');
      delays.push(performance.now() - at);
      const { event } = await connection.next('conversation.item.truncate');
      errors.push(Math.abs(Number(event['audio_end_ms']) - clear.stretchBytes / 8));
      expect(connection.sent.filter(({ event: sent }) => sent.type === 'error')).toEqual([]);
      await call.hangUp();
    }
    const sorted = errors.toSorted((a, b) => a - b);
    expect(sorted.at(-1)).toBeLessThanOrEqual(25);
    expect(sorted[2]).toBeLessThanOrEqual(10);
    // A whole frame is the promise. The best of five: in the others this process may have been kept from its work.
    expect(Math.min(...delays)).toBeLessThanOrEqual(20);
  });

  it('clears the carrier also when the model has long finished', async () => {
    const { openai, dial } = await line({
      speedFactor: 'burst',
      respond: () => ({ audio: tone(5000, 500, 24_000) }),
    });
    const call = dial();
    const connection = await openai.nextConnection();
    await connection.next('response.done');
    await call.untilHeard(500);
    connection.callerStarts();
    const clear = await call.next('clear');
    expect(clear.droppedBytes).toBeGreaterThan(0);
    await connection.next('conversation.item.truncate');
    await call.hangUp();
  });

  it('does not let late speech of the cancelled response through', async () => {
    const { openai, dial } = await line({
      respond: ({ index }) => (index === 0 ? { audio: tone(6000, 500, 24_000) } : {}),
      faults: [{ when: { after: 'connect' }, do: 'late-deltas', count: 5 }],
    });
    const call = dial();
    const connection = await openai.nextConnection();
    await call.untilHeard(400);
    connection.callerStarts();
    await call.next('clear');
    const quiet = call.heard.length;
    await connection.next('response.done');
    await call.next('agent-quiet');
    await call.hangUp();
    const after = decodeG711('mulaw', call.heard.slice(quiet + 320));
    expect(after.every((sample) => Math.abs(sample) < 200)).toBe(true);
  });

  it('happens when the caller really speaks over the agent', async () => {
    const speech = await readFile(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url));
    const { openai, dial } = await line({
      respond: ({ kind }) =>
        kind === 'greeting' ? { audioMs: 8000, transcript: 'On and on.' } : { audioMs: 400 },
    });
    const call = dial();
    const connection = await openai.nextConnection();
    await call.untilHeard(600);
    await call.speak(speech);
    await call.next('clear');
    expect(connection.truncations).toHaveLength(1);
    expect(await call.untilQuiet(400)).toBe(true);
    await call.hangUp();
  });
});

describe('functions', () => {
  it('run when the model calls them, and the model speaks with the result', async () => {
    const hours = defineTool({
      name: 'opening_hours',
      description: 'when we are open',
      run: () => ({ open: '17:00' }),
    });
    const { openai, dial, events } = await line(
      {
        respond: ({ kind, newItems }) => {
          if (kind === 'greeting') return { toolCalls: [{ name: 'opening_hours', args: {} }] };
          return { audioMs: 300, transcript: `It said ${JSON.stringify(newItems[0]?.['output'])}` };
        },
      },
      {},
      { tools: [hours] },
    );
    const call = dial();
    const connection = await openai.nextConnection();
    const { event } = await connection.next('conversation.item.create');
    expect(event['item']).toMatchObject({ type: 'function_call_output', output: '{"open":"17:00"}' });
    await call.untilHeard(100);
    await call.hangUp();
    expect(events.find((one) => one.type === 'tool')).toMatchObject({
      name: 'opening_hours',
      isError: false,
    });
  });

  it('end the call after the goodbye was heard', async () => {
    const { dial, over } = await line({
      respond: () => ({ audioMs: 700, transcript: 'Goodbye!', toolCalls: [{ name: 'end_call', args: {} }] }),
    });
    const call = dial();
    const report = await call.ended;
    expect(report.endedBy).toBe('document');
    expect(await over).toMatchObject({ reason: 'agent-hung-up' });
    const loud = decodeG711('mulaw', call.heard).filter((sample) => Math.abs(sample) > 500).length;
    expect(loud).toBeGreaterThan(0);
    // All of the goodbye and nothing cut: what was left unheard when the stream ended.
    expect(call.eventsOf('stream-ended')[0]?.unheardBytes).toBe(0);
  });

  it('hear of pressed keys', async () => {
    const { openai, dial } = await line({ respond: () => ({ audioMs: 100 }) }, { AGENT_GREETING: '' });
    const call = dial();
    const connection = await openai.nextConnection();
    await connection.next('session.updated');
    await call.pressKeys('5');
    const { event } = await connection.next('conversation.item.create');
    expect(JSON.stringify(event['item'])).toContain('key 5');
    await call.hangUp();
  });
});

describe('a death on the line', () => {
  it('of the provider: another session goes on with the call', async () => {
    const { openai, dial, bridge } = await line();
    const call = dial();
    const connection = await openai.nextConnection();
    await call.untilHeard(200);
    const next = openai.nextConnection();
    connection.drop();
    await (await next).next('session.update');
    expect(bridge.calls).toBe(1);
    await call.hangUp();
    await call.ended;
  });

  it('of the provider’s service: the caller hears an apology, within three seconds', async () => {
    const { openai, dial, bridge, over } = await line();
    const call = dial();
    await openai.nextConnection();
    await call.untilHeard(200);
    const at = performance.now();
    await openai.close();
    expect(await over).toMatchObject({ reason: 'provider-failed' });
    expect(performance.now() - at).toBeLessThan(3000);
    expect((await call.next('say')).text).toContain('technical problem');
    await call.ended;
    expect(bridge.calls).toBe(0);
  });

  it('of the carrier’s socket: the provider is closed, within a second', async () => {
    const { openai, dial, bridge } = await line();
    const call = dial();
    const connection = await openai.nextConnection();
    await call.untilHeard(200);
    const at = performance.now();
    await call.destroy();
    await connection.closed;
    expect(performance.now() - at).toBeLessThan(1000);
    expect(bridge.calls).toBe(0);
  });

  it.each([
    ['a wrong key', { apiKey: 'another' }],
    ['HTTP 429', { faults: [{ when: { after: 'connect' }, do: 'http', status: 429 }] }],
    ['HTTP 500', { faults: [{ when: { after: 'connect' }, do: 'http', status: 500 }] }],
    ['a close before it is ready', { faults: [{ when: { after: 'connect' }, do: 'close' }] }],
  ] satisfies [string, OpenAiSimulatorOptions][])(
    'before it began, by %s: the caller hears an apology',
    async (_name, provider) => {
      const { dial, over } = await line(provider);
      const call = dial();
      expect((await call.next('say')).text).toContain('technical problem');
      await call.ended;
      expect(await over).toMatchObject({ reason: 'provider-failed' });
    },
  );

  it('leaves no socket, listener or timer behind', async () => {
    const { openai, dial, bridge, exchange } = await line();
    const before = process.getActiveResourcesInfo().length;
    for (let i = 0; i < 3; i++) {
      const call = dial();
      await openai.nextConnection();
      await call.untilHeard(100);
      await call.hangUp();
    }
    for (const connection of openai.connections) await connection.closed;
    await expect.poll(() => bridge.calls).toBe(0);
    await Promise.all([bridge.close(), exchange[Symbol.asyncDispose]()]);
    await expect.poll(() => process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before);
  });
});
