import { createOpenAiProvider, type OpenAiOptions } from '../../../src/providers/openai.ts';
import {
  type FaultRule,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
} from '../../../src/sim/openai.ts';
import {
  type Peer,
  type Refusal,
  type Script,
  type Seen,
  type Subject,
  scripted,
} from '../provider-subjects.ts';

/** OpenAI Realtime and the family that speaks like it. */

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
  return content.map((part) => part.text ?? part.transcript ?? '').join('');
}

function seen(connection: SimulatedConnection): Seen[] {
  return connection.items
    .filter(({ type }) => type === 'message')
    .map((item) => ({ role: String(item['role']), text: textOf(item) }));
}

function peerOf(connection: SimulatedConnection): Peer {
  return {
    seen: () => seen(connection),
    toolResults: () =>
      connection.items
        .filter(({ type }) => type === 'function_call_output')
        .map((item) => ({ callId: String(item['call_id']), output: String(item['output']) })),
    complaints: () =>
      connection.sent
        .filter(({ event }) => event.type === 'error')
        .map(({ event }) => event['error'] as { readonly code?: unknown })
        // A cancel that comes too late is in the nature of things.
        .filter(({ code }) => code !== 'response_cancel_not_active'),
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

function simulation(script: Script): OpenAiSimulatorOptions {
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
    speedFactor: 'burst',
    respond: () => {
      const { speedFactor, ...plan } = respond();
      return speedFactor === undefined ? plan : { ...plan, speedFactor };
    },
    hear: () => ({ ...hear(), after: 20 }),
    faults,
    sessionMs: SESSION_MS,
    keepAudio: script.keepAudio ?? false,
    ...(script.handshakeDelayMs === undefined ? {} : { handshakeDelayMs: script.handshakeDelayMs }),
  };
}

/** @param more of the simulator and of the provider, for one of the family */
export function openAiSubject(
  name: string,
  more: {
    readonly sim?: OpenAiSimulatorOptions;
    readonly provider?: Partial<OpenAiOptions>;
    readonly published?: Subject['published'];
  } = {},
): Subject {
  const provider = (url: string, script?: Script) =>
    createOpenAiProvider({
      apiKey: 'key-for-tests',
      baseUrl: url,
      model: 'gpt-realtime-2.1',
      ...more.provider,
      ...(script?.connectTimeoutMs === undefined ? {} : { connectTimeoutMs: script.connectTimeoutMs }),
      ...(script?.expiringAfterMs === undefined
        ? {}
        : { expiryMarginMs: SESSION_MS - script.expiringAfterMs }),
    });
  return {
    name,
    capabilities: provider('ws://127.0.0.1').capabilities,
    published: more.published,
    silenceMs: 700,
    async start(script) {
      const simulator = await startOpenAiSimulator({ ...simulation(script), ...more.sim });
      return {
        host: new URL(simulator.url).host,
        provider: provider(simulator.url, script),
        nextPeer: async () => peerOf(await simulator.nextConnection()),
        [Symbol.asyncDispose]: () => simulator.close(),
      };
    },
  };
}
