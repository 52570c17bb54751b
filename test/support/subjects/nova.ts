import { fileURLToPath } from 'node:url';
import { createNovaProvider, type NovaOptions } from '../../../src/providers/nova.ts';
import {
  type FaultRule,
  type NovaSimulatorOptions,
  type SimulatedConnection,
  startNovaSimulator,
} from '../../../src/sim/nova.ts';
import {
  type Peer,
  PeerOn,
  type Refusal,
  type Script,
  type Subject,
  scripted,
} from '../provider-subjects.ts';

/** Amazon Nova 2 Sonic. */

export const NOVA_TYPES = {
  module: fileURLToPath(new URL('../published/nova.ts', import.meta.url)),
  type: 'NovaInput',
};

const MAX_SESSION_MS = 480_000;

/** What the service does instead of opening a session. */
const REFUSED: Readonly<Record<Refusal, NovaSimulatorOptions>> = {
  auth: { accessKeyId: 'ANOTHERKEY' },
  config: { models: ['some.other-model'] },
  quota: { faults: [refusal(400, 'ServiceQuotaExceededException')] },
  rate: { faults: [refusal(429, 'ThrottlingException')] },
  down: { faults: [refusal(503, 'ServiceUnavailableException')] },
};

function refusal(status: number, errorType: string): FaultRule {
  return { when: { after: 'connect' }, do: 'http', status, errorType };
}

function peerOf(connection: SimulatedConnection): Peer {
  return Object.assign(new PeerOn(connection), {
    seen: () => connection.history.map(({ role, text }) => ({ role, text })),
    toolResults: () =>
      connection.toolResults.map(({ toolUseId, content }) => ({ callId: toolUseId, output: content })),
    complaints: () =>
      connection.sent
        .filter(({ event }) => event.type.endsWith('Exception') || event.type === 'exception')
        .map(({ event }) => event),
  });
}

function simulation(script: Script): NovaSimulatorOptions {
  const { respond, hear } = scripted(script);
  const refused = script.refuse === undefined ? {} : REFUSED[script.refuse];
  return {
    firstAudioMs: 5,
    speedFactor: 'burst',
    endpointScale: 0.4,
    respond: () => {
      const { speedFactor, ...plan } = respond();
      return speedFactor === undefined ? plan : { ...plan, speedFactor };
    },
    hear,
    keepAudio: script.keepAudio ?? false,
    ...(script.clock === undefined ? {} : { clock: script.clock }),
    ...(script.handshakeDelayMs === undefined ? {} : { handshakeDelayMs: script.handshakeDelayMs }),
    ...refused,
    faults: [...(refused.faults ?? []), ...(script.faults ?? [])],
  };
}

/** As it was sent, but for the audio. */
function wired({ type, body }: Readonly<Record<string, unknown>>): unknown {
  const { bytes, ...rest } = body as Readonly<Record<string, unknown>>;
  return { event: { [String(type)]: bytes === undefined ? rest : { ...rest, content: '' } } };
}

/** `own`: settings of the provider. */
export function novaSubject(name: string, own: NovaOptions = {}): Subject {
  const provider = (endpoint: string, { connectTimeoutMs, expiringAfterMs }: Script = {}) =>
    createNovaProvider({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'KEYFORTESTS', secretAccessKey: 'secret-for-tests' },
      connectTimeoutMs,
      ...(expiringAfterMs === undefined ? {} : { expiryMarginMs: MAX_SESSION_MS - expiringAfterMs }),
      ...own,
    });
  return {
    name,
    capabilities: provider('http://127.0.0.1').capabilities,
    published: NOVA_TYPES,
    silenceMs: 900,
    async start(script) {
      const simulator = await startNovaSimulator(simulation(script));
      const made = provider(simulator.url, script);
      return {
        host: new URL(simulator.url).host,
        provider: made,
        sent: () =>
          simulator.connections.flatMap(({ received }) => received.map(({ event }) => wired(event))),
        nextPeer: async () => peerOf(await simulator.nextConnection()),
        async [Symbol.asyncDispose]() {
          await made.close();
          await simulator.close();
        },
      };
    },
  };
}
