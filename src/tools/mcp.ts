import * as z from 'zod';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { McpAddress } from './mcp/address.ts';
import { McpServer } from './mcp/mcp-server.ts';
import { loadSdk } from './mcp/sdk.ts';

const OF_COMMANDS = ['args', 'env', 'cwd'] as const;
const OF_URLS = ['headers', 'private'] as const;
const LOOPBACK = /^(?:localhost|.*\.localhost|127(?:\.\d+){3}|\[::1\])\.?$/;

const fields = z.strictObject({
  command: z.string().min(1).optional().describe('Program to start; it is spoken to over its standard input'),
  args: z.array(z.string()).optional(),
  env: z
    .record(z.string().min(1), z.string())
    .optional()
    .describe('Environment of the program, beside PATH, HOME and a few more that every program needs'),
  cwd: z.string().min(1).optional().describe('Folder that it runs in, relative to the agents file'),
  url: z
    .string()
    .refine(isHttpUrl, 'wanted an http:// or https:// URL without user name and password')
    .optional()
    .describe('Address of a server that speaks streamable HTTP'),
  private: z
    .boolean()
    .optional()
    .describe(
      'The server is in a network of your own and may be reached by http, which anybody in between can read',
    ),
  headers: z
    .record(
      z.string().refine(isHeaderName, 'not a name of a header'),
      z.string().refine(isHeaderValue, 'no header can hold this'),
    )
    .optional(),
  tools: z
    .array(z.string().min(1))
    .min(1)
    .default(['*'])
    .describe(
      "Which functions of the server are offered, by the server's names; * stands for any characters",
    ),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,32}$/, 'wanted up to 32 letters, digits, _ or -')
    .default('')
    .describe("Set before the server's names of its functions"),
  timeoutMs: z.int().min(1).max(600_000).default(10_000).describe('Longest time of one function call'),
  fillerAfterMs: z.int().min(0).max(600_000).optional(),
  redact: z.array(z.string().min(1)).default([]).describe('Arguments kept out of events and reports'),
  cancelOnInterrupt: z.boolean().default(false),
});

/** One entry of `tools.mcp` in the agents file: a server that brings functions, by command or by URL. */
export const mcpServerSchema = fields.superRefine((spec, context) => {
  for (const [name, message] of mistakesOf(spec)) {
    context.addIssue({ code: 'custom', path: name === undefined ? [] : [name], message });
  }
});

type Mistake = readonly [name: keyof z.output<typeof fields> | undefined, message: string];

function mistakesOf(spec: z.output<typeof fields>): readonly Mistake[] {
  const { command, url } = spec;
  if (url === undefined) {
    const strange = OF_URLS.filter((name) => spec[name] !== undefined);
    const none: Mistake[] = command === undefined ? [[undefined, 'wanted a command or a url']] : [];
    return [...none, ...strange.map((name): Mistake => [name, 'goes with a url, found none'])];
  }
  const inTheClear: Mistake[] =
    spec.private !== true && isInTheClear(url)
      ? [['url', 'found http, wanted https, or private: true for a network of your own']]
      : [];
  if (command !== undefined) return [['url', 'found a command too, wanted one of the two'], ...inTheClear];
  const strange = OF_COMMANDS.filter((name) => spec[name] !== undefined);
  return [...strange.map((name): Mistake => [name, 'goes with a command, found a url']), ...inTheClear];
}

/** A checked entry of `tools.mcp`. */
export type McpServerSpec = z.output<typeof mcpServerSchema>;

/** The part of an entry that says where the server is. */
function addressOf(spec: McpServerSpec): McpAddress {
  if (spec.url !== undefined) return { type: 'http', url: spec.url, headers: spec.headers ?? {} };
  const { command = '', args = [], env = {}, cwd } = spec;
  return { type: 'stdio', command, args, env, cwd };
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}

/** What callers say, and the key in the headers, would go over the network in the clear. */
function isInTheClear(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'http:' && !LOOPBACK.test(hostname);
}

function isHeaderName(name: string): boolean {
  return fits(() => new Headers([[name, '']]));
}

function isHeaderValue(value: string): boolean {
  return fits(() => new Headers([['x', value]]));
}

function fits(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** What a server needs of the service. */
export interface McpDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Folder of the agents file, which paths are relative to. */
  readonly baseDir: string;
  /** Closes the server when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts or reaches a server and keeps it up until it is closed. Returns at once and never throws: a server that does
 * not come up is reported in the log and tried again.
 */
export function connectMcp(name: string, spec: McpServerSpec, deps: McpDeps): McpServer {
  const { clock, log, baseDir, signal } = deps;
  const address = addressOf(spec);
  return new McpServer({ name, address, traits: spec, baseDir, clock, log, loadSdk, signal });
}
