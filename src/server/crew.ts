import { dirname, join } from 'node:path';
import { mistakesOf } from '../agents-file/mistakes.ts';
import { AgentsFileWatch } from '../agents-file/watch.ts';
import { type AgentsFile, endHooksOf, readAgentsFile } from '../agents-file.ts';
import { CallAccounts } from '../call-accounts.ts';
import type { CallRecords } from '../call-records.ts';
import type { Env } from '../config.ts';
import type { DayStore } from '../cost/day-files.ts';
import { Ledger } from '../cost/ledger.ts';
import { checkDataDir } from '../data-dir.ts';
import { BridgeError } from '../errors.ts';
import { EndHook } from '../hooks/end-hook.ts';
import { Outbox } from '../hooks/outbox.ts';
import { HookSecrets } from '../hooks/secrets.ts';
import { packageVersion } from '../package-file.ts';
import { Staff, type StaffDeps } from '../staff.ts';
import { createGuardedClient } from '../tools/http/guarded-client.ts';
import { McpPool } from '../tools/mcp/pool.ts';
import type { ServiceProviders } from './providers.ts';

/** What several processes that are one service have together. */
export interface SharedParts {
  /** Of what is spent. */
  readonly days: DayStore;
  /** This process alone delivers reports that others have left. */
  readonly keepsOutbox: boolean;
}

export interface CrewOptions
  extends Pick<
    StaffDeps,
    'clock' | 'log' | 'metrics' | 'base' | 'tools' | 'machineFor' | 'orderFor' | 'recording'
  > {
  readonly path: string;
  /** For `${NAME}` in the file. */
  readonly env: Env;
  /** A file is about to be used. Whoever rejects keeps it from that. */
  readonly onFile?: ((file: AgentsFile) => Promise<void>) | undefined;
  /** Where reports and spending are kept. */
  readonly dataDir: string;
  readonly shared?: SharedParts | undefined;
  readonly providers: ServiceProviders;
}

/** The agents of an agents file and everything that belongs to them, from the start of the service to its end. */
export interface Crew {
  readonly staff: Staff;
  accounts(records: CallRecords): CallAccounts;
  /** Nothing is reloaded any more, and no function runs; to be called when the last call is over. Never rejects. */
  close(accounts: CallAccounts): Promise<void>;
}

/** How long reports that are on their way are waited for when the service stops; they lie on the disk all the same. */
const LAST_REPORTS_MS = 2000;
/** Of a broken file, in one line of the log. */
const MOST_MISTAKES = 20;

/** Rejects with BAD_CONFIG when the file has mistakes, or its agents cannot work here. */
export async function assembleCrew(options: CrewOptions): Promise<Crew> {
  const { path, env, clock, log, metrics, dataDir, providers, tools, shared } = options;
  const { registry, usual } = providers;
  const fileOptions = { providers: registry.known, toolNames: tools.map((tool) => tool.definition.name) };
  const file = await readAgentsFile(path, env, fileOptions);
  const checkData = async (current: AgentsFile): Promise<void> => {
    await checkDataDir({ log, folder: dataDir, inside: ['spending', 'outbox'], file: current });
    await options.onFile?.(current);
  };
  await checkData(file);
  const secrets = new HookSecrets();
  const http = createGuardedClient({ clock, userAgent: `patchcord/${packageVersion()}` });
  const mcp = new McpPool({ clock, log, baseDir: dirname(path) });
  // Both look at what an earlier run has left, and write nothing before there is something to keep.
  const ledger = await Ledger.open({
    clock,
    log,
    folder: join(dataDir, 'spending'),
    days: shared?.days,
    count: (trouble) => metrics.ledgerTrouble(trouble),
    rules: {
      currency: file.prices?.currency,
      timeZone: file.timeZone,
      perDay: undefined,
      perNumber: () => undefined,
    },
  });
  const outbox = new Outbox({
    clock,
    log,
    folder: join(dataDir, 'outbox'),
    adopts: shared?.keepsOutbox,
    random: Math.random,
    secretFor: (url, id) => secrets.secretFor(url, id),
    count: (outcome) => metrics.report(outcome),
  });
  metrics.watchReports(() => outbox.pending);
  const endHook = new EndHook({ clock, log, outbox, secrets });
  secrets.replace(endHooksOf(file));
  const staff = await Staff.begin(file, {
    ...options,
    http,
    mcp,
    ledger,
    usualProviders: usual,
    providerNamed: (name) => registry.named(name),
  }).catch(async (thrown: unknown) => {
    http.close();
    await Promise.all([mcp.close(), ledger.close()]);
    throw thrown;
  });
  let outboxStarted: Promise<void> | undefined;
  const startOutbox = async (current: AgentsFile): Promise<void> => {
    if (endHooksOf(current).length === 0) return;
    outboxStarted ??= outbox.start();
    await outboxStarted;
  };
  await startOutbox(file);
  const change = async (next: AgentsFile): Promise<void> => {
    await checkData(next);
    await staff.change(next);
    secrets.replace(endHooksOf(next));
    await startOutbox(next);
    metrics.agentsFileChanged('used');
    log.info({ agents: next.agents.size, numbers: next.numbers.length }, 'the agents file has changed');
  };
  const onBroken = (error: unknown): void => {
    metrics.agentsFileChanged('refused');
    // A line each, and no stack: it is somebody's typing.
    const lines = mistakesOf(error)?.lines ?? BridgeError.from(error).message.split('\n');
    const mistakes = lines.slice(0, MOST_MISTAKES);
    log.error({ mistakes }, 'the agents file has changed and cannot be used; calls go on as before');
  };
  let changing = Promise.resolve();
  let closed = false;
  const watch = new AgentsFileWatch(file, {
    clock,
    env,
    ...fileOptions,
    onChange(next) {
      // One after the other: servers of functions take their time, and the newest file has to be the last.
      changing = changing.then(() => (closed ? undefined : change(next))).catch(onBroken);
    },
    onBroken,
  });
  return {
    staff,
    accounts: (records) => new CallAccounts({ clock, log, metrics, records, ledger, endHook }),
    async close(accounts) {
      closed = true;
      await watch.close();
      // Whoever waits for servers that are being started waits no more.
      await Promise.all([mcp.close(), changing]);
      await accounts.settled();
      endHook.close();
      staff.close();
      http.close();
      await Promise.all([outbox.close(LAST_REPORTS_MS), mcp.close(), ledger.close()]);
    },
  };
}
