import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import type { Config, Env } from '../config.ts';
import { DayFiles } from '../cost/day-files.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { listenOn, newLocalAuthToken } from '../server/port.ts';
import type { Bridge } from '../server.ts';
import { FrontDoor } from './front-door.ts';
import type { Facts } from './messages.ts';
import { Pool } from './pool.ts';
import { SpendingDesk } from './spending-desk.ts';

export interface WorkersOptions {
  readonly config: Config;
  /** What workers read their settings from. */
  readonly env: Env;
  readonly log: Log;
  readonly insecure: boolean;
  /** How many; more than there may be calls are of no use. */
  readonly count: number;
}

/** A service of several processes: looks like a bridge to whoever starts it. */
export interface Workers
  extends Pick<Bridge, 'agents' | 'carriers' | 'providerName' | 'outlook' | 'localAuthToken' | 'drain'>,
    AsyncDisposable {
  readonly url: string;
  readonly count: number;
}

/** Compiled or not: what this file is, that one is too. */
const ENTRY = new URL(`./entry${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** Starts the service and listens. Rejects with BAD_CONFIG, as one process would; nothing is left behind then. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { config, env, log, insecure } = options;
  const clock = systemClock;
  const count = Math.min(options.count, config.maxCalls);
  const localAuthToken = newLocalAuthToken(config);
  const folder = await makeFolder();
  const files = new DayFiles(join(config.dataDir, 'spending'));
  const spending = new SpendingDesk({ clock, log, files });
  const { maxCalls } = config;
  const pool = new Pool({
    ...{ clock, log, env, insecure, localAuthToken, folder, count, maxCalls, spending },
    entry: ENTRY,
    onGone: (worker) => door.gone(worker),
  });
  const door: FrontDoor = new FrontDoor({ pool, clock, log, maxCalls });
  const close = async (): Promise<void> => {
    // Carriers may come and ask as long as there are calls.
    await pool.close();
    await door.close();
    await spending.close();
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  };
  try {
    const url = await listenOn(door.http, config);
    const facts = await pool.start(url);
    return {
      ...told(facts),
      ...{ url, count, localAuthToken },
      drain: () => pool.drain(),
      [Symbol.asyncDispose]: close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function told({ agents, carriers, providerName, outlooks }: Facts) {
  return { agents, carriers, providerName, outlook: (name: string) => outlooks.get(name) };
}

/** For this user alone: whoever can reach a worker need not come by the port. */
async function makeFolder(): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), 'patchcord-workers-'));
  } catch (cause) {
    const message = `TMPDIR: found a folder that cannot be written (${String(cause)}), wanted one for the sockets of workers`;
    throw new BridgeError('BAD_CONFIG', message, { cause });
  }
}
