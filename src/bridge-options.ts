import type { Agent, AgentDigits } from './agents.ts';
import type { CallObserver } from './call-events.ts';
import type { Clock } from './clock.ts';
import type { Config, Env } from './config.ts';
import type { Log } from './log.ts';
import type { RealtimeProvider } from './provider.ts';
import type { ProviderHooks } from './provider-hooks.ts';
import type { ProviderEntry } from './provider-registry.ts';
import type { Tapes } from './tape.ts';
import type { Tool } from './tools.ts';

export interface BridgeOptions {
  readonly config: Config;
  /**
   * Who takes the calls: one that is there, which the bridge does not close, or the name of a known one; of several the
   * first, and the others when it fails. Default: the list of `agent`, else `PROVIDER`.
   */
  readonly provider?: RealtimeProvider | string | readonly (RealtimeProvider | string)[];
  /** Providers of one's own, which agents of a file may name too; see `defineProvider`. */
  readonly providers?: readonly ProviderEntry[];
  /** Told of every session with a provider. */
  readonly hooks?: readonly ProviderHooks[];
  /** Default: made from the configuration. Nothing to do with an agents file. */
  readonly agent?: Agent;
  /** Functions that the model may call, beside the built-in ones; agents of a file have to list them. */
  readonly tools?: readonly Tool[];
  /** What becomes of the keys that callers press, in the place of what the agent says of it. */
  readonly digits?: Partial<AgentDigits>;
  /** Told of everything that happens in calls; must not throw and must not keep the caller waiting. */
  readonly observe?: CallObserver;
  /** What `${NAME}` in the agents file stands for. */
  readonly env?: Env;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Accepts webhooks and media without a signature. For experiments behind a closed door. */
  readonly insecure?: boolean;
  /** How far ahead of the caller's ear the carrier is given speech; default 1000 ms. */
  readonly leadMs?: number;
  /** What stands at the edges of calls, such as a recorder of one's own; default: what the configuration says. */
  readonly tapes?: Tapes | undefined;
  /** How carriers' REST interfaces are reached; default: the platform's. */
  readonly fetch?: typeof fetch | undefined;
}
