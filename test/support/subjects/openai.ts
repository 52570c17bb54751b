import type { RealtimeProvider } from '../../../src/provider.ts';
import {
  type FaultRule,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
} from '../../../src/sim/openai.ts';
import {
  type Peer,
  PeerOn,
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
  return Object.assign(new PeerOn(connection), {
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
  });
}

function simulation(script: Script, sessionMs: number): OpenAiSimulatorOptions {
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
    sessionMs,
    keepAudio: script.keepAudio ?? false,
    ...(script.clock === undefined ? {} : { clock: script.clock }),
    ...(script.handshakeDelayMs === undefined ? {} : { handshakeDelayMs: script.handshakeDelayMs }),
  };
}

/** Where a simulator is to be reached, and what a script has to say to the provider. */
export interface FamilyPlace {
  readonly url: string;
  /** Of the resource, as Azure has it. */
  readonly endpoint: string;
  readonly connectTimeoutMs: number | undefined;
  readonly expiryMarginMs: number | undefined;
}

export interface FamilyMember {
  readonly sim?: OpenAiSimulatorOptions;
  readonly published?: Subject['published'];
  provider(place: FamilyPlace): RealtimeProvider;
}

export const KEY = 'key-for-tests';

export function openAiSubject(name: string, member: FamilyMember): Subject {
  const nowhere = { connectTimeoutMs: undefined, expiryMarginMs: undefined };
  const { capabilities } = member.provider({
    url: 'ws://127.0.0.1',
    endpoint: 'http://127.0.0.1',
    ...nowhere,
  });
  const sessionMs = capabilities.maxSessionMs ?? SESSION_MS;
  return {
    name,
    capabilities,
    published: member.published,
    silenceMs: 1200,
    async start(script) {
      const simulator = await startOpenAiSimulator({ ...simulation(script, sessionMs), ...member.sim });
      const { expiringAfterMs, connectTimeoutMs } = script;
      // The end is told in whole seconds, so that it may be one earlier.
      const expiryMarginMs = expiringAfterMs && sessionMs - expiringAfterMs - 1_000;
      const endpoint = `http://127.0.0.1:${simulator.port}`;
      return {
        host: new URL(simulator.url).host,
        provider: member.provider({ url: simulator.url, endpoint, connectTimeoutMs, expiryMarginMs }),
        nextPeer: async () => peerOf(await simulator.nextConnection()),
        [Symbol.asyncDispose]: () => simulator.close(),
      };
    },
  };
}
