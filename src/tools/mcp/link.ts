import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { JsonSchemaValidator, jsonSchemaValidator } from '@modelcontextprotocol/sdk/validation';
import * as z from 'zod';
import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { McpAddress } from './address.ts';
import { deferred, unlessAborted } from './deferred.ts';
import { HttpTransport } from './http.ts';
import { type CallResult, callResultSchema, connectFailure } from './outcome.ts';
import { ProgramTransport } from './program.ts';
import type { Sdk } from './sdk.ts';

/** What a connection to a server needs. */
export interface LinkOptions {
  readonly address: McpAddress;
  /** Folder that paths are relative to. */
  readonly baseDir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly sdk: Sdk;
  /** The server says that its functions have changed, or may have said so unheard. */
  readonly onListChanged: () => void;
}

/** One function call of a server. */
export interface McpCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly meta: Readonly<Record<string, string>>;
}

/** Lost by itself or closed; or to be replaced by another one. */
export type LinkEnd = 'lost' | 'retired';

const pageSchema = z.looseObject({ tools: z.array(z.unknown()), nextCursor: z.string().optional() });

const MAX_PAGES = 64;
/** Far more than is offered of one server; what is kept and compared has to have an end. */
const MAX_LISTED = 1000;
const MAX_LISTED_CHARS = 2 * 1024 * 1024;
/** The SDK's own timer is by the wall clock; every wait here has a deadline of ours instead. */
const NO_TIMEOUT_MS = 24 * 60 * 60 * 1000;
/** What the results look like is the server's business: it has checked them, or not. */
const NO_VALIDATOR: jsonSchemaValidator = {
  getValidator<T>(): JsonSchemaValidator<T> {
    return (input) => ({ valid: true, data: input as T, errorMessage: undefined });
  },
};

/** One connection to a server, from its start to its end. */
export class Link {
  readonly sdk: Sdk;
  /** Resolves when the connection is over. */
  readonly ended: Promise<LinkEnd>;
  readonly #end = deferred<LinkEnd>();
  readonly #options: LinkOptions;
  readonly #client: Client;
  readonly #transport: ProgramTransport | HttpTransport;
  readonly #idle = deferred<void>();
  #calls = 0;
  #over = false;
  #leaving = false;

  constructor(options: LinkOptions) {
    const { log, sdk } = options;
    this.sdk = sdk;
    this.#options = options;
    this.#transport = transportOf(options);
    // No capabilities: a server cannot ask the model or the operator of a telephone call anything.
    this.#client = new sdk.Client(
      { name: 'patchcord', version: '1' },
      { capabilities: {}, jsonSchemaValidator: NO_VALIDATOR },
    );
    this.ended = this.#end.promise;
    this.#client.onclose = () => {
      this.#over = true;
      this.#idle.resolve();
      this.#end.resolve('lost');
    };
    this.#client.onerror = (error) =>
      log.debug({ reason: connectFailure(sdk, error) }, 'mcp connection has trouble');
    this.#client.setNotificationHandler(sdk.ToolListChangedNotificationSchema, () => options.onListChanged());
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The server keeps something for us between calls. */
  get hasSession(): boolean {
    return this.#transport instanceof HttpTransport && this.#transport.sessionId !== undefined;
  }

  /** Why it is over, or why a request failed, for the log. */
  reasonOf(error: unknown): string {
    if (this.#transport.ending !== undefined) return this.#transport.ending;
    return error === undefined ? 'the connection was closed' : connectFailure(this.sdk, error);
  }

  /** Resolves when the server can be asked; rejects with the signal's reason or what the SDK throws. */
  connect(signal: AbortSignal): Promise<void> {
    return unlessAborted(this.#client.connect(this.#transport, { timeout: NO_TIMEOUT_MS }), signal);
  }

  /** What the server offers, as it describes it: all pages, up to 1000 functions and 2 MiB. */
  async list(signal: AbortSignal): Promise<readonly unknown[]> {
    if (this.#client.getServerCapabilities()?.tools === undefined) return [];
    const found: unknown[] = [];
    let room = MAX_LISTED_CHARS;
    let cursor: string | undefined;
    for (let pages = 1; ; pages += 1) {
      const params = cursor === undefined ? {} : { cursor };
      const { tools, nextCursor } = await this.#request({ method: 'tools/list', params }, pageSchema, signal);
      const { read, chars } = fitting(tools, MAX_LISTED - found.length, room);
      for (const tool of read) found.push(tool);
      room -= chars;
      const isLast = nextCursor === undefined || nextCursor === cursor;
      if (isLast && read.length === tools.length) return found;
      if (read.length < tools.length || pages === MAX_PAGES) {
        this.#options.log.warn(
          { read: found.length, pages },
          'mcp server lists more functions than are read',
        );
        return found;
      }
      cursor = nextCursor;
    }
  }

  /** Rejects with what the SDK throws; when the signal aborts, the server is told and the reason is thrown. */
  async call(call: McpCall, signal: AbortSignal): Promise<CallResult> {
    const params = { name: call.name, arguments: call.args, _meta: call.meta };
    this.#calls += 1;
    try {
      return await this.#request({ method: 'tools/call', params }, callResultSchema, signal);
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0 && this.#leaving) this.#idle.resolve();
    }
  }

  /** Counts as over, and closes when the calls that are under way have their results. Never rejects. */
  async retire(): Promise<void> {
    this.#end.resolve('retired');
    this.#leaving = true;
    if (this.#calls > 0) await this.#idle.promise;
    await this.close();
  }

  /** Fails what is under way; resolves when nothing of the connection is left. Never rejects. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #request<S extends z.ZodType>(
    request: { readonly method: string; readonly params: Record<string, unknown> },
    schema: S,
    signal: AbortSignal,
  ): Promise<z.output<S>> {
    signal.throwIfAborted();
    // A signal of its own: the SDK never stops listening, and would cancel a request that was answered long ago.
    const own = new AbortController();
    const follow = (): void => own.abort(reasonOf(signal));
    signal.addEventListener('abort', follow, { once: true });
    try {
      const options = { signal: own.signal, timeout: NO_TIMEOUT_MS, resetTimeoutOnProgress: false };
      return await this.#client.request(request, schema, options);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', follow);
    }
  }
}

/** The first of them that fit, and how many characters of JSON they take. */
function fitting(
  tools: readonly unknown[],
  max: number,
  maxChars: number,
): { readonly read: readonly unknown[]; readonly chars: number } {
  let chars = 0;
  for (const [index, tool] of tools.entries()) {
    const size = JSON.stringify(tool).length;
    if (index >= max || chars + size > maxChars) return { read: tools.slice(0, index), chars };
    chars += size;
  }
  return { read: tools, chars };
}

function transportOf(options: LinkOptions): ProgramTransport | HttpTransport {
  const { address, baseDir, clock, log, sdk, onListChanged } = options;
  if (address.type === 'http') return new HttpTransport({ address, clock, sdk, onMissedNews: onListChanged });
  return new ProgramTransport({ address, baseDir, clock, log, sdk });
}

/** Read by the server: no more than it has to know. */
function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof BridgeError && reason.code === 'TIMEOUT'
    ? 'it took too long'
    : 'nobody needs it any more';
}
