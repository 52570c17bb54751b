import { createOpenAiLiveProvider, type OpenAiLiveOptions } from '../../../src/providers/openai-live.ts';
import {
  type FaultRule,
  type OpenAiLiveSimulatorOptions,
  type SimulatedLiveConnection,
  startOpenAiLiveSimulator,
} from '../../../src/sim/openai-live.ts';
import {
  type Peer,
  PeerOn,
  type Refusal,
  type Script,
  type Subject,
  scripted,
} from '../provider-subjects.ts';

/** OpenAI Live: one stream in real time. */

const ERRORS = {
  auth: 'invalid_api_key',
  config: 'model_not_found',
  quota: 'insufficient_quota',
  rate: 'rate_limit_exceeded',
  down: 'server_error',
} as const satisfies Record<Refusal, string>;

const SESSION_MS = 3_600_000;

function textOf(item: Readonly<Record<string, unknown>>): string {
  const content = Array.isArray(item['content']) ? item['content'] : [];
  return `${item['text'] ?? ''}${content.map((part) => part.text ?? '').join('')}`;
}

function peerOf(connection: SimulatedLiveConnection): Peer {
  return Object.assign(new PeerOn(connection), {
    seen: () => connection.items.map((item) => ({ role: String(item['role']), text: textOf(item) })),
    toolResults: () =>
      connection.received
        .filter(({ event }) => event.type === 'response.item.create')
        .map(({ event }) => event['item'] as Readonly<Record<string, unknown>>)
        .filter(({ type }) => type === 'function_call_output')
        .map((item) => ({ callId: String(item['call_id']), output: String(item['output']) })),
    complaints: () =>
      connection.sent.filter(({ event }) => event.type === 'error').map(({ event }) => event['error']),
  });
}

function simulation(script: Script): OpenAiLiveSimulatorOptions {
  const { respond, hear } = scripted(script);
  const faults: FaultRule[] = [...(script.faults ?? [])];
  if (script.refuse !== undefined) {
    faults.push({
      when: { after: 'connect' },
      do: 'error',
      error: ERRORS[script.refuse],
      close: { code: 4000 },
    });
  }
  return {
    firstAudioMs: 5,
    respond: () => {
      // It has one speed.
      const { speedFactor: _, ...plan } = respond();
      return plan;
    },
    hear,
    faults,
    sessionMs: SESSION_MS,
    usageMs: 2_000,
    keepAudio: script.keepAudio ?? false,
    ...(script.clock === undefined ? {} : { clock: script.clock }),
    ...(script.handshakeDelayMs === undefined ? {} : { handshakeDelayMs: script.handshakeDelayMs }),
  };
}

/** `own`: settings of the provider. */
export function openAiLiveSubject(name: string, own: Partial<OpenAiLiveOptions> = {}): Subject {
  const provider = (baseUrl: string, { connectTimeoutMs, expiringAfterMs }: Script = {}) =>
    createOpenAiLiveProvider({
      apiKey: 'key-for-tests',
      baseUrl,
      connectTimeoutMs,
      quietMs: 400,
      // The end is told in whole seconds, so that it may be one earlier.
      ...(expiringAfterMs === undefined ? {} : { expiryMarginMs: SESSION_MS - expiringAfterMs - 1_000 }),
      ...own,
    });
  return {
    name,
    capabilities: provider('ws://127.0.0.1').capabilities,
    published: { module: 'openai/resources/live/live', type: 'ClientEvent' },
    silenceMs: 700,
    async start(script) {
      const simulator = await startOpenAiLiveSimulator(simulation(script));
      return {
        host: new URL(simulator.url).host,
        provider: provider(simulator.url, script),
        nextPeer: async () => peerOf(await simulator.nextConnection()),
        [Symbol.asyncDispose]: () => simulator.close(),
      };
    },
  };
}
