import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { voiceAgent } from '../src/agents.ts';
import type { BridgeOptions } from '../src/bridge-options.ts';
import type { CallEvent } from '../src/call-events.ts';
import { loadConfig } from '../src/config.ts';
import { BridgeError } from '../src/errors.ts';
import { createLog } from '../src/log.ts';
import type { RealtimeProvider } from '../src/provider.ts';
import { defineProvider } from '../src/provider-registry.ts';
import { type Bridge, createBridge } from '../src/server.ts';
import { startExchange } from '../src/sim/phone.ts';
import { startService } from './support/agents-service.ts';
import { ManualProvider } from './support/manual-provider.ts';

/** Which providers calls may be held with, in which order, whoever says so: the environment, a file or the program. */

const TEXT = {
  instructions: undefined,
  greeting: undefined,
  voice: undefined,
  language: undefined,
  audio: 'wideband',
  maxCallMs: 600_000,
  silenceMs: 15_000,
} as const;

function named(name: string): RealtimeProvider & ManualProvider {
  return Object.assign(new ManualProvider(), { name: name as 'manual' });
}

async function bridge(options: Partial<BridgeOptions> = {}, env: Readonly<Record<string, string>> = {}) {
  const made = await createBridge({
    config: loadConfig({ PORT: '0', HOST: '127.0.0.1', ...env }),
    log: createLog('silent'),
    ...options,
  });
  onTestFinished(() => made.close());
  return made;
}

async function refusal(options: Partial<BridgeOptions>, env: Readonly<Record<string, string>> = {}) {
  return await bridge(options, env).then(
    () => 'accepted',
    (thrown: unknown) => String(thrown),
  );
}

function order(made: Bridge, agent: string): readonly string[] | undefined {
  return made
    .outlook(agent)
    ?.providers.map(({ name, model }) => (model === undefined ? name : `${name} ${model}`));
}

/** An address at which nobody listens. */
async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `ws://127.0.0.1:${port}/v1/realtime`;
}

describe('the providers of a program', () => {
  it('are those of the environment where it names none', async () => {
    const env = { PROVIDER: 'gemini, openai', OPENAI_API_KEY: 'sk', GEMINI_API_KEY: 'k' };
    const made = await bridge({}, env);
    expect(order(made, 'voice-agent')).toEqual(['gemini', 'openai']);
    expect(made.providerName).toBe('gemini');
    expect(made.outlook('voice-agent')?.lastResort).toBe('say');
    expect(made.outlook('nobody')).toBeUndefined();
  });

  it('are one, or several: those that it has made, and names', async () => {
    const OPENAI = { OPENAI_API_KEY: 'sk' };
    const parrot = defineProvider({ name: 'parrot', create: () => named('parrot') });
    const [a, b] = [named('a'), named('b')];
    expect(order(await bridge({ provider: a }), 'voice-agent')).toEqual(['a']);
    expect(order(await bridge({ provider: 'openai' }, OPENAI), 'voice-agent')).toEqual(['openai']);
    const list = [a, 'openai', 'parrot', b];
    const made = await bridge({ provider: list, providers: [parrot] }, OPENAI);
    expect(order(made, 'voice-agent')).toEqual(['a', 'openai', 'parrot', 'b']);
    expect(made.providerName).toBe('a');
  });

  it('are those of its agent where it names none, with the models that the agent wants', async () => {
    const providers = ['x', 'y'].map((model) => ({ name: 'openai', model, voice: undefined, overrides: {} }));
    const agent = { ...voiceAgent(TEXT, []), providers };
    const env = { OPENAI_API_KEY: 'sk', GEMINI_API_KEY: 'k', PROVIDER: 'gemini' };
    expect(order(await bridge({ agent }, env), 'voice-agent')).toEqual(['openai x', 'openai y']);
    expect(order(await bridge({ agent, provider: ['gemini', 'openai'] }, env), 'voice-agent')).toEqual([
      'gemini',
      'openai x',
    ]);
  });

  it('are not closed with the service if the program has made them, all others are', async () => {
    const closed: string[] = [];
    const closing = (name: string) =>
      Object.assign(named(name), { close: async () => void closed.push(name) });
    const own = defineProvider({ name: 'own', create: () => closing('own') });
    const made = await bridge({ provider: [closing('given'), 'own', closing('also')], providers: [own] });
    await made.close();
    expect(closed).toEqual(['own']);
  });

  it.each([
    [{ provider: [] }, 'provider: found an empty list, wanted at least one'],
    [{ provider: [named('a'), 'gemini', 'gemini'] }, 'provider: found gemini twice, wanted each name once'],
    [{ provider: ['gemini', 'local', 'gemini'] }, 'provider: found gemini twice, wanted each name once'],
    [{ provider: [named('a'), named('a')] }, 'found two providers a, wanted each name once'],
    [{ provider: [named('a'), 'a'] }, 'provider: found a twice, wanted each name once'],
    [{ provider: ['gemini', 'opnai'] }, 'there is no provider "opnai", did you mean openai?'],
    [{ provider: ['gemini', 'xai'] }, 'XAI_API_KEY is not set'],
  ] as const)('are refused when they make no sense: case %#', async (options, wanted) => {
    expect(await refusal(options, { GEMINI_API_KEY: 'k' })).toContain(`BAD_CONFIG: ${wanted}`);
  });

  it('have the call in their order: the second when the first cannot be had', async () => {
    const [first, second] = [named('first'), named('second')];
    const events: CallEvent[] = [];
    const secret = '12345678901234567890123456789012';
    const made = await bridge(
      { provider: [first, second], observe: (_id, event) => void events.push(event) },
      { TWILIO_AUTH_TOKEN: secret },
    );
    const url = await made.listen();
    await using exchange = await startExchange();
    const call = exchange.placeCall({ webhookUrl: `${url}/voice/twilio`, authToken: secret });
    await expect.poll(() => first.request).toBeDefined();
    expect(second.request).toBeUndefined();
    await first.fail(new BridgeError('PROVIDER_AUTH', 'no'));
    await expect.poll(() => second.request).toBeDefined();
    await second.ready();
    await call.streaming;
    await expect.poll(() => events.some(({ type }) => type === 'providerReady')).toBe(true);
    expect(events.filter(({ type }) => type.startsWith('provider'))).toMatchObject([
      { type: 'providerFailed', provider: 'first', phase: 'connecting', code: 'PROVIDER_AUTH' },
      { type: 'providerReady', provider: 'second', why: 'start' },
    ]);
    await call.hangUp();
  });
});

describe('the providers of an agents file', () => {
  it('are those of PROVIDER for agents that name none, in that order', async () => {
    const on = await startService({
      agents: 'agents: { a: { greeting: Hello there. } }',
      env: { PROVIDER: 'xai,openai', XAI_API_KEY: 'x', XAI_BASE_URL: await nobody() },
    });
    expect(order(on.bridge, 'a')).toEqual(['xai', 'openai']);
    const call = on.dial();
    await call.streaming;
    const ready = await on.event('providerReady');
    expect(ready).toMatchObject({ provider: 'openai', why: 'start' });
    expect(await on.event('providerFailed')).toMatchObject({ provider: 'xai', phase: 'connecting' });
    await on.says('Hello there.');
    await call.hangUp();
  });

  it('may be one with several models: the next when the first does not exist', async () => {
    const on = await startService({
      agents: `agents:
  a:
    greeting: Hello there.
    providers: [{ name: openai, model: m-large }, { name: openai, model: m-small, voice: cedar }]
`,
      openai: { models: ['m-small'] },
    });
    expect(order(on.bridge, 'a')).toEqual(['openai m-large', 'openai m-small']);
    const call = on.dial();
    await call.streaming;
    expect(await on.event('providerReady')).toMatchObject({ provider: 'openai', model: 'm-small' });
    expect(await on.event('providerFailed')).toMatchObject({ model: 'm-large', code: 'PROVIDER_CONFIG' });
    await on.says('Hello there.');
    // The other one was turned away at the door.
    expect(on.openai.connections.map(({ model }) => model)).toEqual(['m-small']);
    expect(JSON.stringify((await on.session()).session)).toContain('cedar');
    await call.hangUp();
  });

  it('leave those out that lack something, with a warning, and change with the file', async () => {
    const file = (a: string): string => `agents: { a: ${a}, b: { lastResort: hang-up } }
numbers: [{ number: "*", agent: a }]
`;
    const on = await startService({
      agents: file('{ providers: [gemini, { name: openai, model: m }, local] }'),
      env: { PROVIDER: 'openai,local' },
    });
    expect(order(on.bridge, 'a')).toEqual(['openai m', 'local']);
    expect(order(on.bridge, 'b')).toEqual(['openai', 'local']);
    expect(on.bridge.outlook('b')?.lastResort).toBe('hang-up');
    expect(on.lines('a provider of an agent cannot be used')).toMatchObject([
      { agent: 'a', failures: ['gemini: GEMINI_API_KEY is not set'] },
    ]);
    await on.rewrite(file('{ providers: [local], lastResort: { message: Speak. } }'));
    expect(on.bridge.outlook('a')).toEqual({
      providers: [{ name: 'local', model: undefined }],
      lastResort: 'message',
    });
  });
});
