import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { Clock } from '../../src/clock.ts';
import { createLog, type Log } from '../../src/log.ts';
import type { McpServer } from '../../src/tools/mcp/mcp-server.ts';
import { connectMcp, type McpServerSpec, mcpServerSchema } from '../../src/tools/mcp.ts';
import type { Tool, ToolContext } from '../../src/tools.ts';

/** The folder of this file, which programs of the tests are relative to. */
export const SUPPORT = dirname(fileURLToPath(import.meta.url));

/** A log line as the tests look at it. */
export interface LogLine extends Readonly<Record<string, unknown>> {
  readonly msg: string;
  readonly level: number;
}

/** A log whose lines can be waited for. */
export class Listener {
  readonly log: Log;
  readonly lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();

  /** @param blanked false: what the log of the service blanks is in the lines */
  constructor(blanked = true) {
    const to = {
      write: (text: string) => {
        this.lines.push(JSON.parse(text));
        for (const look of [...this.#waiting]) look();
      },
    };
    this.log = blanked ? createLog('debug', to) : pino({ level: 'debug' }, to);
  }

  /** Warnings and worse. */
  get warnings(): readonly LogLine[] {
    return this.lines.filter(({ level }) => level >= 40);
  }

  /** The `count`th line that holds `text`, now or later. */
  line(text: string, count = 1): Promise<LogLine> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.lines.filter((line) => JSON.stringify(line).includes(text))[count - 1];
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** A server that is closed at the end of the test. */
export function connected(
  spec: Readonly<Record<string, unknown>>,
  deps: { readonly clock: Clock; readonly log: Log; readonly signal?: AbortSignal },
): McpServer & AsyncDisposable {
  const server = connectMcp('crm', checked(spec), { baseDir: SUPPORT, ...deps });
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() });
}

/** As the agents file would have it. */
export function checked(spec: Readonly<Record<string, unknown>>): McpServerSpec {
  return mcpServerSchema.parse(spec);
}

/** The program of the tests, with what is wrong with it. */
export function program(...args: string[]): Readonly<Record<string, unknown>> {
  return { command: process.execPath, args: [join(SUPPORT, 'mcp-program.mjs'), ...args] };
}

/** One function of a server. */
export function toolOf(server: { readonly tools: readonly Tool[] }, name: string): Tool {
  const tool = server.tools.find(({ definition }) => definition.name === name);
  if (tool === undefined) throw new Error(`no function ${name} in ${namesOf(server.tools).join(', ')}`);
  return tool;
}

export function namesOf(tools: readonly Tool[]): readonly string[] {
  return tools.map(({ definition }) => definition.name);
}

/** Calls a function as the runner would. */
export async function run(
  server: { readonly tools: readonly Tool[] },
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<unknown> {
  return await toolOf(server, name).run(args, contextOf(signal));
}

function contextOf(signal: AbortSignal): ToolContext {
  const never = (): never => {
    throw new Error('no function of a server uses this');
  };
  return {
    callId: 'CA1',
    carrier: 'twilio',
    direction: 'inbound',
    from: '+15550100',
    to: '+15550199',
    agent: 'booking',
    variables: {},
    signal,
    idempotencyKey: 'CA1:fc_1',
    heard: () => Promise.resolve(),
    roundTripMs: () => 0,
    epoch: () => 0,
    hangUpAfterGoodbye: never,
    transfer: never,
    sendDigits: never,
    collectDigits: never,
    leaveMessage: never,
    record: never,
  };
}
