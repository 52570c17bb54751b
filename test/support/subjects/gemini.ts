import { createGeminiProvider, type GeminiOptions } from '../../../src/providers/gemini.ts';
import {
  type ConversationTurn,
  type FaultRule,
  type GeminiSimulatorOptions,
  type SimulatedConnection,
  startGeminiSimulator,
} from '../../../src/sim/gemini.ts';
import {
  type Peer,
  PeerOn,
  type Refusal,
  type Script,
  type Subject,
  scripted,
} from '../provider-subjects.ts';

/** Gemini Live, in each of its generations. */

export const GEMINI_TYPES = { module: '@google/genai', type: 'LiveClientMessage' };

const KEY = 'gemini-key-for-tests';
const SESSION_MS = 600_000;

/** What the service does instead of opening a session. */
const REFUSED: Readonly<Record<Refusal, GeminiSimulatorOptions>> = {
  auth: { apiKey: 'another-key' },
  config: { models: ['some-other-model'] },
  quota: {
    faults: [
      {
        when: { after: 'connect' },
        do: 'close',
        code: 1011,
        reason: 'You exceeded your current quota, please check your plan and billing details.',
      },
    ],
  },
  rate: { faults: [{ when: { after: 'connect' }, do: 'http', status: 429 }] },
  down: { faults: [{ when: { after: 'connect' }, do: 'http', status: 503 }] },
};

function wordsOf({ parts }: ConversationTurn): string {
  return parts
    .map((part) => (typeof part['text'] === 'string' ? part['text'] : JSON.stringify(part)))
    .join('');
}

function peerOf(connection: SimulatedConnection): Peer {
  return Object.assign(new PeerOn(connection), {
    seen: () => connection.conversation.map((turn) => ({ role: turn.role, text: wordsOf(turn) })),
    toolResults: () =>
      connection.toolResponses.map(({ id, response }) => ({
        callId: id,
        output: JSON.stringify(response['output'] ?? response),
      })),
    complaints: () => (connection.refusal === undefined ? [] : [connection.refusal]),
    callOff: (callId: string) => connection.inject({ toolCallCancellation: { ids: [callId] } }),
  });
}

function simulation(script: Script): GeminiSimulatorOptions {
  const { respond, hear } = scripted(script);
  const refusal = script.refuse === undefined ? {} : REFUSED[script.refuse];
  const faults: FaultRule[] = [...(refusal.faults ?? []), ...(script.faults ?? [])];
  return {
    firstAudioMs: 5,
    speedFactor: 'burst',
    // It is taken for played as soon as it is sent, unless an answer says how fast it comes.
    waitsForPlayback:
      script.answer !== undefined ||
      (script.answers?.some(({ speedFactor }) => speedFactor !== undefined) ?? false),
    respond: () => {
      const { speedFactor, ...plan } = respond();
      return speedFactor === undefined ? plan : { ...plan, speedFactor };
    },
    hear: () => ({ ...hear(), after: 20 }),
    sessionMs: SESSION_MS,
    keepAudio: script.keepAudio ?? false,
    ...(script.clock === undefined ? {} : { clock: script.clock }),
    ...(script.handshakeDelayMs === undefined ? {} : { handshakeDelayMs: script.handshakeDelayMs }),
    ...(script.expiringAfterMs === undefined ? {} : { goAwayMs: SESSION_MS - script.expiringAfterMs }),
    ...refusal,
    faults,
  };
}

/** `own`: settings of the provider; with `platform: 'vertex'` it talks to the simulator as to Vertex AI. */
export function geminiSubject(name: string, model: string, own: Partial<GeminiOptions> = {}): Subject {
  const access =
    own.platform === 'vertex' ? { accessToken: KEY, project: 'project-for-tests' } : { apiKey: KEY };
  const provider = (baseUrl: string, connectTimeoutMs?: number) =>
    createGeminiProvider({ ...access, baseUrl, model, connectTimeoutMs, ...own });
  return {
    name,
    capabilities: provider('ws://127.0.0.1').capabilities,
    published: GEMINI_TYPES,
    silenceMs: 1000,
    async start(script) {
      const simulator = await startGeminiSimulator(simulation(script));
      const url = own.platform === 'vertex' ? simulator.vertexUrl : simulator.url;
      return {
        host: new URL(url).host,
        provider: provider(url, script.connectTimeoutMs),
        nextPeer: async () => peerOf(await simulator.nextConnection()),
        [Symbol.asyncDispose]: () => simulator.close(),
      };
    },
  };
}
