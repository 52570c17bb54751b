import { systemClock } from '../../clock.ts';
import { type Config, type Env, loadConfig } from '../../config.ts';
import { BridgeError } from '../../errors.ts';
import type { RealtimeProvider } from '../../provider.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { kindOf } from '../../replay/compare/words.ts';
import { settingsOf } from '../../replay/settings.ts';
import { type Network, systemNetwork } from '../../wire.ts';
import { startPlayer } from '../fixture/players.ts';
import { PLAYED } from '../fixture/scenario.ts';
import type { ProviderLine } from './cued-script.ts';
import { scriptedProvider } from './model-script.ts';
import { PlayedNetwork } from './played-network.ts';
import { playedProvider } from './played-provider.ts';

/** Who holds a call that is played once more, and how they are reached. */
export interface Cast extends AsyncDisposable {
  readonly providers: readonly (RealtimeProvider | string)[];
  readonly network: Network;
  /** The configuration of the service; `given` are its settings for the carrier. */
  config(given: readonly (readonly [string, string])[]): Config;
  /** What could not be as it was, in sentences. */
  readonly notes: readonly string[];
}

const SIMULATED = 'simulated:';
/** Of the environment: what belongs to a service that real calls come to. */
const NOT_OURS =
  /^(?:TWILIO|TELNYX|PLIVO)_(?!CODEC|L16_ORDER|AUDIO|UPGRADE)|^(?:RECORDING|RECORDINGS_\w+|PUBLIC_URL|AGENTS_FILE|API_TOKEN|PROVIDER)$/;
/** What the caller sounds like. */
const MEDIA = /^(?:TWILIO|TELNYX|PLIVO)_/;
const OWN = { PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'silent' } as const;

/** A provider of the environment, or a simulated one. Rejects with BAD_INPUT for a name that cannot be simulated. */
export async function hiredCast(stored: StoredCall, provider: string, env: Env): Promise<Cast> {
  const simulated = provider.startsWith(SIMULATED) ? provider.slice(SIMULATED.length) : undefined;
  const player =
    simulated === undefined ? undefined : await startPlayer(scriptedProvider(playedName(simulated), stored));
  const rest = Object.fromEntries(Object.entries(env).filter(([name]) => !NOT_OURS.test(name)));
  return {
    providers: [simulated ?? provider],
    network: systemNetwork,
    config: (given) => loadConfig({ ...rest, ...player?.env, ...Object.fromEntries(given), ...OWN }),
    notes: [],
    async [Symbol.asyncDispose]() {
      await player?.[Symbol.asyncDispose]();
    },
  };
}

function playedName(name: string): (typeof PLAYED)[number] {
  const known = PLAYED.find((one) => one === name);
  if (known !== undefined) return known;
  const wanted = `${SIMULATED} and one of ${PLAYED.join(', ')}`;
  throw new BridgeError(
    'BAD_INPUT',
    `--provider: found ${JSON.stringify(SIMULATED + name)}, wanted ${wanted}`,
  );
}

/** The providers of the call itself, who say what they said then. */
export function recordedCast(stored: StoredCall): Cast {
  const missed = new Map<string, number>();
  const played = {
    stored,
    clock: systemClock,
    onMissed: (line: ProviderLine): void => {
      const kind = kindOf(line);
      missed.set(kind, (missed.get(kind) ?? 0) + 1);
    },
  };
  return {
    providers: stored.call.providers.map((one) =>
      one.level === 'wire' ? one.name : playedProvider(one, played),
    ),
    network: new PlayedNetwork(played),
    config: (given) => playedConfig(stored, given),
    get notes() {
      return [...missed].map(
        ([kind, count]) => `the provider was not told what it had waited for before ${kind} (${count} times)`,
      );
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** With the settings of the call, but for its account at the carrier. */
function playedConfig(stored: StoredCall, given: readonly (readonly [string, string])[]): Config {
  const kept = Object.entries(stored.call.settings).filter(([name]) => !NOT_OURS.test(name));
  const settings = Object.fromEntries(kept);
  const config = settingsOf({ ...stored, call: { ...stored.call, settings } });
  const media = Object.fromEntries(kept.filter(([name]) => MEDIA.test(name)));
  const { twilio, telnyx, plivo } = loadConfig({ ...media, ...Object.fromEntries(given), ...OWN });
  return { ...config, twilio, telnyx, plivo, publicUrl: undefined, host: OWN.HOST };
}
