import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readYaml } from '../agents-file/document.ts';
import { MistakeList } from '../agents-file/mistakes.ts';
import type { AgentsFile } from '../agents-file.ts';
import { systemClock } from '../clock.ts';
import { createLog, type Log } from '../log.ts';
import type { McpServer } from '../tools/mcp/mcp-server.ts';

/** What the MCP servers of a file have, for `patchcord check --connect`. */
export interface ServerFunctions {
  /** Names of the functions by server. */
  readonly servers: Readonly<Record<string, readonly string[]>>;
  readonly notes: readonly string[];
}

/**
 * Starts the MCP servers and asks them what they have; all are stopped again. `warn` is told lines of the log. Rejects
 * with a BAD_CONFIG with a mistake for each server that does not come up.
 */
export async function askServers(file: AgentsFile, warn: (line: string) => void): Promise<ServerFunctions> {
  const reasons = new Map<string, string>();
  const servers = await start(file, logOf(reasons, warn));
  try {
    await Promise.all([...servers.values()].map(({ ready }) => ready));
    const dead = [...servers].filter(([, { isUp }]) => !isUp).map(([name]) => name);
    if (dead.length > 0) throw await notUp(file, dead, reasons);
    const functions = [...servers].map(([name, { tools }]) => [
      name,
      tools.map(({ definition }) => definition.name),
    ]);
    return { servers: Object.fromEntries(functions), notes: missingFunctions(file, servers) };
  } finally {
    await Promise.all([...servers.values()].map((server) => server.close()));
  }
}

async function start(file: AgentsFile, log: Log): Promise<ReadonlyMap<string, McpServer>> {
  const { connectMcp } = await import('../tools/mcp.ts');
  const deps = { clock: systemClock, log, baseDir: resolve(dirname(file.path)) };
  return new Map(
    Object.entries(file.tools.mcp).map(([name, spec]) => [name, connectMcp(name, spec, deps)] as const),
  );
}

/** The servers tell their log alone why they are not up. */
function logOf(reasons: Map<string, string>, warn: (line: string) => void): Log {
  return createLog('warn', {
    write(line) {
      const { mcp, msg, reason }: Readonly<Record<string, unknown>> = JSON.parse(line);
      if (msg !== 'mcp server does not come up') warn(line);
      else if (!reasons.has(String(mcp))) reasons.set(String(mcp), String(reason));
    },
  });
}

async function notUp(file: AgentsFile, dead: readonly string[], reasons: ReadonlyMap<string, string>) {
  // Only for the lines: it has just been read and found good.
  const text = await readFile(file.path, 'utf8').catch(() => '');
  const mistakes = new MistakeList(file.path, readYaml(text));
  for (const name of dead) {
    mistakes.addKey(
      ['tools', 'mcp', name],
      `it does not come up: ${reasons.get(name) ?? 'nobody knows why'}`,
    );
  }
  return mistakes.error(file.sources);
}

/** What agents count on and no server has. */
function missingFunctions(file: AgentsFile, servers: ReadonlyMap<string, McpServer>): string[] {
  return [...file.agents.values()].flatMap((agent) =>
    agent.tools.flatMap((entry) => {
      if (entry.type !== 'mcp' || servers.get(entry.server)?.find(entry.pattern).length !== 0) return [];
      return [`agent ${agent.name}: the MCP server ${entry.server} has no function ${entry.pattern}`];
    }),
  );
}
