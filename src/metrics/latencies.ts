import type { Registry } from 'prom-client';
import { type Latency, OWN_MS, TURN_MS, WEBHOOK_MS } from './latency.ts';
import { LatencyHistogram } from './latency-histogram.ts';

/** How long things take in calls of one carrier that are held with one provider. Everything in ms. */
export interface CallLatencies {
  /** Media message of the carrier in → handed to the provider's socket. */
  readonly uplink: Latency;
  /** Message of the provider in → what of its speech may be heard at once handed to the carrier's socket. */
  readonly downlink: Latency;
  /** Message of the provider that silences the agent in → `clear` handed to the carrier's socket. */
  readonly bargeIn: Latency;
  /** Call let in → the first of the agent's audio handed to the carrier. */
  readonly firstAudio: Latency;
  /** An answer to the caller, one stage after the other: see the event `turn`. */
  readonly turn: TurnLatencies;
}

/** The stages of an answer; `whole`: from the end of the caller's speech until the answer is on its way to them. */
export interface TurnLatencies {
  readonly commit: Latency;
  readonly firstDelta: Latency;
  readonly firstFrame: Latency;
  readonly firstMark: Latency;
  readonly whole: Latency;
}

/** The latencies of a service. */
export interface LatencyMetrics {
  /** Always the same object for the same names: to be asked for once per call and provider, never per frame. */
  latencies(carrier: string, provider: string): CallLatencies;
  /** Webhook in → its answer handed over. `route`: as in `WebhookRoute`. */
  webhookAnswered(carrier: string, route: string, ms: number): void;
}

/** @param registers where the figures are told */
export function createLatencies(registers: Registry[]): LatencyMetrics {
  const both: ('carrier' | 'provider')[] = ['carrier', 'provider'];
  const uplink = new LatencyHistogram(
    registers,
    'uplink_latency',
    'Media message of the carrier in until it was handed to the provider socket, ms',
    OWN_MS,
    both,
  );
  const downlink = new LatencyHistogram(
    registers,
    'downlink_latency',
    'Speech of the provider in until it was handed to the carrier socket, ms',
    OWN_MS,
    both,
  );
  const bargeIn = new LatencyHistogram(
    registers,
    'barge_in_latency',
    'Message of the provider that silences the agent in until the carrier was told, ms',
    OWN_MS,
    both,
  );
  const webhook = new LatencyHistogram(
    registers,
    'webhook_latency',
    'Webhook in until its answer was handed over, ms',
    WEBHOOK_MS,
    ['carrier', 'route'],
  );
  const firstAudio = new LatencyHistogram(
    registers,
    'first_audio',
    'Call let in until the first audio of the agent was handed to the carrier, ms',
    TURN_MS,
    both,
  );
  const stages = new LatencyHistogram(
    registers,
    'turn_stage',
    'Stages of an answer to the caller, ms',
    TURN_MS,
    [...both, 'stage'],
  );
  const turns = new LatencyHistogram(
    registers,
    'turn',
    'End of the speech of the caller until the answer was on its way to them, ms',
    TURN_MS,
    both,
  );
  const known = new Map<string, Map<string, CallLatencies>>();
  const make = (carrier: string, provider: string): CallLatencies => {
    const labels = { carrier, provider };
    const stage = (name: string): Latency => stages.of({ ...labels, stage: name });
    return {
      uplink: uplink.of(labels),
      downlink: downlink.of(labels),
      bargeIn: bargeIn.of(labels),
      firstAudio: firstAudio.of(labels),
      turn: {
        commit: stage('commit'),
        firstDelta: stage('first-delta'),
        firstFrame: stage('first-frame'),
        firstMark: stage('first-mark'),
        whole: turns.of(labels),
      },
    };
  };
  return {
    latencies(carrier, provider) {
      const ofCarrier = known.get(carrier) ?? new Map<string, CallLatencies>();
      known.set(carrier, ofCarrier);
      const latencies = ofCarrier.get(provider) ?? make(carrier, provider);
      ofCarrier.set(provider, latencies);
      return latencies;
    },
    webhookAnswered: (carrier, route, ms) => webhook.of({ carrier, route }).observe(ms),
  };
}
