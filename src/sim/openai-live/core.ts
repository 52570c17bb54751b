import { type Clock, systemClock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';
import { speedOf } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type { Hearing, OpenAiLiveSimulatorOptions, ResponsePlan, Turn } from './api.ts';
import type { FaultRule } from './faults.ts';

/** The options of a simulator with every default filled in. */
export interface Settings {
  readonly port: number;
  readonly host: string;
  readonly apiKey: string | undefined;
  readonly clock: Clock;
  readonly seed: number;
  readonly sessionMs: number;
  readonly speedFactor: number;
  readonly firstAudioMs: number;
  readonly deltaMs: number;
  readonly handshakeDelayMs: number;
  readonly models: readonly string[] | undefined;
  readonly silentFrames: boolean;
  readonly noise: number;
  readonly inputClock: boolean;
  readonly yieldMs: number;
  readonly endOfTurnMs: number;
  readonly backchannelMs: number | undefined;
  readonly usageMs: number;
  readonly keepAudio: boolean;
  readonly keepEvents: number;
  readonly respond: (turn: Turn) => ResponsePlan | undefined;
  readonly hear: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults: readonly FaultRule[];
}

const DEFAULTS = {
  port: 0,
  host: '127.0.0.1',
  apiKey: undefined,
  clock: systemClock,
  seed: 1,
  sessionMs: 2 * 60 * 60_000,
  firstAudioMs: 250,
  deltaMs: 100,
  handshakeDelayMs: 0,
  models: undefined,
  silentFrames: true,
  noise: 0,
  inputClock: true,
  yieldMs: 300,
  endOfTurnMs: 500,
  backchannelMs: undefined,
  usageMs: 15_000,
  keepAudio: false,
  keepEvents: 2_000,
  respond: () => undefined,
  hear: () => undefined,
  faults: [],
} as const;

/** Every setting of a simulator; throws BAD_INPUT for a stream that cannot be made. */
export function resolveOptions(options: OpenAiLiveSimulatorOptions): Settings {
  const settings = { ...DEFAULTS, ...options, speedFactor: speedOf(options.speedFactor ?? 1) };
  const { deltaMs, inputClock, speedFactor } = settings;
  if (!Number.isInteger(deltaMs) || deltaMs < 10 || deltaMs % 10 !== 0) {
    throw new BridgeError('BAD_INPUT', `deltaMs is ${deltaMs}, wanted a multiple of 10`);
  }
  if (!inputClock && speedFactor === Number.POSITIVE_INFINITY) {
    throw new BridgeError(
      'BAD_INPUT',
      "speedFactor is 'burst' without the clock of the input, which has no end",
    );
  }
  return settings;
}

/** What the parts of one connection share. */
export interface Core {
  readonly settings: Settings;
  readonly connection: number;
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly voice: Voice;
  emit(type: string, fields: JsonObject): void;
}
