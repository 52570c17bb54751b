import { resolve as resolvePath } from 'node:path';
import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Tool } from '../../tools.ts';
import { connectMcp, type McpServerSpec } from '../mcp.ts';
import type { McpServer } from './mcp-server.ts';

/** The servers of one version of the agents file, for as long as somebody uses them. */
export interface McpLease {
  /** Resolves when every server has been listed or has failed to come up once; never rejects. */
  readonly ready: Promise<void>;
  /**
   * The functions of a server that fit, by the server's names (* stands for any characters), as they are now. Throws
   * BAD_CONFIG for a server that is not in the lease.
   */
  tools(serverName: string, pattern: string): readonly Tool[];
  /** Gives the servers back; one that nobody else has is closed. Once is enough; never rejects. */
  close(): Promise<void>;
}

interface Entry {
  readonly key: string;
  readonly server: McpServer;
  leases: number;
}

interface PoolDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Folder of the agents file. */
  readonly baseDir: string;
}

/** Servers that outlive a change of the agents file, as long as their own entries stay the same. */
export class McpPool {
  readonly #deps: PoolDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Set<Promise<void>>();
  readonly #life = new AbortController();

  constructor(deps: PoolDeps) {
    this.#deps = { ...deps, baseDir: resolvePath(deps.baseDir) };
  }

  /** Servers that run or are being started. */
  get size(): number {
    return this.#entries.size;
  }

  /** Starts the servers that do not run yet with these settings; none once the pool is closed. */
  use(configs: Readonly<Record<string, McpServerSpec>>): McpLease {
    const held = new Map<string, Entry>();
    for (const [name, spec] of Object.entries(configs)) held.set(name, this.#enter(name, spec));
    let closed: Promise<void> | undefined;
    return {
      ready: Promise.all([...held.values()].map(({ server }) => server.ready)).then(() => undefined),
      tools(serverName, pattern) {
        const entry = held.get(serverName);
        if (entry === undefined) throw new BridgeError('BAD_CONFIG', `there is no mcp server ${serverName}`);
        return entry.server.find(pattern);
      },
      close: () => {
        closed ??= this.#giveBack([...held.values()]);
        return closed;
      },
    };
  }

  /** Closes all servers, whoever has them; never rejects. */
  async close(): Promise<void> {
    this.#life.abort();
    await Promise.all([...this.#closing, ...[...this.#entries.values()].map((entry) => this.#end(entry))]);
  }

  #enter(name: string, spec: McpServerSpec): Entry {
    const key = JSON.stringify([name, inOrder(spec)]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = {
        key,
        server: connectMcp(name, spec, { ...this.#deps, signal: this.#life.signal }),
        leases: 0,
      };
      this.#entries.set(key, entry);
    }
    entry.leases += 1;
    return entry;
  }

  async #giveBack(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) entry.leases -= 1;
    await Promise.all(entries.filter(({ leases }) => leases === 0).map((entry) => this.#end(entry)));
  }

  #end(entry: Entry): Promise<void> {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    const closing = entry.server.close();
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
    return closing;
  }
}

/** The same settings come to the same text, in whatever order they were written. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, inOrder(inner)]);
}
