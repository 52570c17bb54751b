import type { CarrierName } from '../../carrier.ts';

/** What `patchcord replay` is asked to do. */
export interface ReplayJob {
  readonly folders: readonly string[];
  readonly speed: '1' | 'max';
  readonly update: boolean;
  /** A WAV file. */
  readonly listen: string | undefined;
  readonly quiet: boolean;
  /** An agents file, and the agent in it; undefined: the one of the same name as in the call. */
  readonly agents: string | undefined;
  readonly agent: string | undefined;
  /** As agents name it, or `simulated:` and such a name. */
  readonly provider: string | undefined;
  readonly carrier: CarrierName | undefined;
}
