import { OPENAI_LIVE } from '../../src/providers/openai-live/facts.ts';
import { createOpenAiLiveProvider } from '../../src/providers/openai-live.ts';
import {
  type FaultRule,
  type OpenAiLiveSimulatorOptions,
  type SimulatedLiveConnection,
  startOpenAiLiveSimulator,
} from '../../src/sim/openai-live.ts';
import {
  type Peer,
  type Refusal,
  type Script,
  type Seen,
  type Subject,
  scripted,
} from './provider-subjects.ts';

/** OpenAI Live beside its simulator. */

const ERRORS = {
  auth: 'invalid_api_key',
  config: 'model_not_found',
  quota: 'credit_balance_exhausted',
  rate: 'rate_limit_exceeded',
  down: 'server_error',
} as const satisfies Record<Refusal, string>;

const SESSION_MS = 7_200_000;

function textOf(item: Readonly<Record<string, unknown>>): string {
  const content = Array.isArray(item['content']) ? item['content'] : [];
  return content.map((part) => part.text ?? '').join('');
}

function seen(connection: SimulatedLiveConnection): Seen[] {
  return connection.items
    .filter(({ type }) => type === 'message')
    .map((item) => ({ role: String(item['role']), text: textOf(item) }));
}

function peerOf(connection: SimulatedLiveConnection): Peer {
  return {
    seen: () => seen(connection),
    toolResults: () =>
      connection.items
        .filter(({ type }) => type === 'function_call_output')
        .map((item) => ({ callId: String(item['call_id']), output: String(item['output']) })),
    complaints: () =>
      connection.sent.filter(({ event }) => event.type === 'error').map(({ event }) => event['error']),
    get received() {
      return connection.received.map(({ event }) => event);
    },
    get receivedAudioMs() {
      return connection.receivedAudioMs;
    },
    receivedAudio: () => connection.receivedAudio(),
    get isOpen() {
      return connection.isOpen;
    },
    closed: connection.closed,
  };
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
    firstAudioMs: 0,
    // Its stream has one pace for everything; that of the service would have the tests wait for every second of speech.
    inputClock: false,
    speedFactor: 10,
    usageMs: 300,
    respond,
    hear,
    faults,
    sessionMs: SESSION_MS,
    keepAudio: script.keepAudio ?? false,
    ...(script.handshakeDelayMs === undefined ? {} : { handshakeDelayMs: script.handshakeDelayMs }),
  };
}

export function openAiLiveSubject(): Subject {
  return {
    name: OPENAI_LIVE.title,
    capabilities: OPENAI_LIVE.capabilities,
    published: { module: 'openai/resources/live/live', type: 'ClientEvent' },
    silenceMs: 700,
    async start(script) {
      const simulator = await startOpenAiLiveSimulator(simulation(script));
      const provider = createOpenAiLiveProvider({
        apiKey: 'key-for-tests',
        baseUrl: simulator.url,
        ...(script.connectTimeoutMs === undefined ? {} : { connectTimeoutMs: script.connectTimeoutMs }),
        ...(script.expiringAfterMs === undefined
          ? {}
          : { expiryMarginMs: SESSION_MS - script.expiringAfterMs }),
      });
      return {
        host: new URL(simulator.url).host,
        provider,
        nextPeer: async () => peerOf(await simulator.nextConnection()),
        [Symbol.asyncDispose]: () => simulator.close(),
      };
    },
  };
}
