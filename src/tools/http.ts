import * as z from 'zod';
import { BridgeError } from '../errors.ts';
import { defineTool, type Tool } from '../tools.ts';
import { askService } from './http/ask.ts';
import type { GuardedClient } from './http/guarded-client.ts';
import { findHost, type HttpHost, readHost } from './http/hosts.ts';
import { longestFirst, spellings } from './http/request-secrets.ts';
import { compileRequest, HTTP_METHODS } from './http/request-template.ts';
import { readParameters } from './parameters.ts';

/** Functions that are one request to an HTTP service, as the agents file describes them. */

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);

const hostEntry = z.union([
  z.string(),
  z.strictObject({
    host: z.string(),
    /** It may be reached by http, and may have an address that is not public. */
    private: z.boolean().default(false),
  }),
]);

/** One entry of `tools.hosts`: a host that HTTP functions may reach. Its output is the entry as the client wants it. */
export const httpHostSchema = hostEntry.transform((entry, ctx): HttpHost => {
  const { host, private: isPrivate } = typeof entry === 'string' ? { host: entry, private: false } : entry;
  const read = readHost(host, isPrivate);
  if (typeof read !== 'string') return read;
  ctx.addIssue({ code: 'custom', message: read });
  return z.NEVER;
});

/** One entry of `tools.http`: a function that is one HTTP request. Mistakes of its templates are told with their path. */
export const httpToolSchema = z
  .strictObject({
    description: z.string().min(1).describe('For the model: what it does and when to call it'),
    parameters: z
      .record(z.string(), z.unknown())
      .optional()
      .describe('JSON Schema (2020-12) of an object; left out: it takes no arguments'),
    method: z.enum(HTTP_METHODS).default('GET'),
    url: z.string().describe('https://host/path/{argument}?name={argument}; scheme, host and port are fixed'),
    query: z
      .record(z.string(), scalar)
      .default({})
      .describe('Entries whose argument is missing are left out; a list becomes several entries'),
    headers: z
      .record(z.string(), scalar)
      .default({})
      .describe('Printable ASCII; those whose argument is missing are left out'),
    body: z
      .union([z.record(z.string(), z.unknown()), z.array(z.unknown()), z.string()])
      .optional()
      .describe('JSON template; left out for POST, PUT, PATCH: the arguments that are not used elsewhere'),
    timeoutMs: z
      .int()
      .min(1)
      .max(120_000)
      .default(10_000)
      .describe('Longest time of one function call, redirects included'),
    maxResponseBytes: z.int().min(1).max(4_194_304).default(65_536).describe('A longer answer is an error'),
    cancelOnInterrupt: z.boolean().default(false).describe('Given up when the caller cuts in'),
    fillerAfterMs: z
      .int()
      .min(0)
      .max(120_000)
      .optional()
      .describe('How long the caller hears nothing before the agent says that it is busy; 0: never'),
    redact: z.array(z.string()).default([]).describe('Arguments kept out of events and reports'),
  })
  .superRefine((spec, ctx) => {
    for (const { path, message } of problemsOf(spec)) {
      ctx.addIssue({ code: 'custom', path: [...path], message });
    }
  });

/** A checked entry of `tools.http`. */
export type HttpToolSpec = z.output<typeof httpToolSchema>;

/** What HTTP functions share. */
export interface HttpToolDeps {
  /** The only hosts that are reached. */
  readonly hosts: readonly HttpHost[];
  /** Outlives reloads of the agents file; closed by whoever made it. */
  readonly client: GuardedClient;
  /** Names of arguments kept out of events and reports, besides those of the function. */
  readonly redact: readonly string[];
  /** Values of the environment that entries were filled with: services' answers are rid of them, wherever they stood. */
  readonly secrets?: readonly string[] | undefined;
}

/**
 * A function that is one HTTP request. Throws BAD_CONFIG when its templates cannot be filled or its host is not one
 * of `deps.hosts`, and BAD_INPUT for a name or parameters that no provider would take.
 */
export function createHttpTool(name: string, spec: HttpToolSpec, deps: HttpToolDeps): Tool {
  const { request: compiled, problems } = compileRequest(spec);
  const secrets = longestFirst([...compiled.secrets, ...spellings(deps.secrets ?? [])]);
  const request = { ...compiled, secrets };
  const host = problems.length === 0 ? findHost(deps.hosts, new URL(request.origin)) : undefined;
  const mistakes = [
    ...problems.map(({ path, message }) => `${path.join('.')}: ${message}`),
    ...(typeof host === 'string' ? [`url: ${host}; add it to tools.hosts`] : []),
  ];
  if (mistakes.length > 0) throw new BridgeError('BAD_CONFIG', `function ${name}: ${mistakes.join('; ')}`);
  return defineTool({
    name,
    description: spec.description,
    ...(spec.parameters === undefined ? {} : { parameters: spec.parameters }),
    timeoutMs: spec.timeoutMs,
    cancelOnInterrupt: spec.cancelOnInterrupt,
    fillerAfterMs: spec.fillerAfterMs,
    redact: [...new Set([...deps.redact, ...spec.redact])],
    run: (args, call) => askService(spec, request, deps, args, call),
  });
}

function problemsOf(spec: HttpToolSpec): readonly { path: readonly string[]; message: string }[] {
  try {
    readParameters('', spec.parameters);
  } catch (thrown) {
    const message = BridgeError.from(thrown).message.replace(/^BAD_INPUT: tool : /, '');
    return [{ path: ['parameters'], message }];
  }
  return compileRequest(spec).problems;
}
