import { type Clock, systemClock } from '../../clock.ts';
import { speedOf } from '../common/plan.ts';
import type { Hearing, NovaSimulatorOptions, ResponsePlan, Turn } from './api.ts';
import { MODELS, VOICES } from './catalog.ts';
import type { FaultRule } from './faults.ts';

/** The options of a simulator with every default filled in. */
export interface Settings {
  readonly port: number;
  readonly host: string;
  readonly accessKeyId: string | undefined;
  readonly clock: Clock;
  readonly seed: number;
  readonly sessionMs: number;
  readonly idleMs: number;
  readonly preopenedIdleMs: number;
  readonly speedFactor: number;
  readonly firstAudioMs: number;
  readonly deltaMs: number;
  readonly handshakeDelayMs: number;
  readonly headersAtFirstOutput: boolean;
  readonly models: readonly string[] | 'any';
  readonly voices: readonly string[] | 'any';
  readonly endpointWaitsMs: Readonly<Record<'HIGH' | 'MEDIUM' | 'LOW', number>>;
  readonly endpointScale: number;
  readonly completions: 'once' | 'per-turn';
  readonly finalTextAt: 'sent' | 'played';
  readonly bargeInDelayMs: number;
  readonly interruptsSent: boolean;
  readonly toolArguments: 'single' | 'double';
  readonly splitBytes: number;
  readonly historyBytes: { readonly perInput: number; readonly total: number };
  readonly keepAudio: boolean;
  readonly keepEvents: number;
  readonly respond: (turn: Turn) => ResponsePlan | undefined;
  readonly hear: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults: readonly FaultRule[];
}

const DEFAULTS = {
  port: 0,
  host: '127.0.0.1',
  accessKeyId: undefined,
  clock: systemClock,
  seed: 1,
  sessionMs: 8 * 60_000,
  idleMs: 55_000,
  preopenedIdleMs: 30_000,
  firstAudioMs: 250,
  deltaMs: 100,
  handshakeDelayMs: 0,
  headersAtFirstOutput: false,
  models: MODELS,
  voices: VOICES,
  endpointWaitsMs: { HIGH: 1_500, MEDIUM: 1_750, LOW: 2_000 },
  endpointScale: 1,
  completions: 'once',
  finalTextAt: 'sent',
  bargeInDelayMs: 0,
  interruptsSent: true,
  toolArguments: 'single',
  splitBytes: Number.POSITIVE_INFINITY,
  historyBytes: { perInput: 1024, total: 40 * 1024 },
  keepAudio: false,
  keepEvents: 2_000,
  respond: () => undefined,
  hear: () => undefined,
  faults: [],
} as const;

export function resolveOptions(options: NovaSimulatorOptions): Settings {
  return { ...DEFAULTS, ...options, speedFactor: speedOf(options.speedFactor ?? 4) };
}
