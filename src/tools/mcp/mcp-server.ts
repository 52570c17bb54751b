import { type Cancel, type Clock, deadline, pause } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { Tool, ToolContext } from '../../tools.ts';
import type { McpAddress } from './address.ts';
import { type Deferred, deferred, unlessAborted } from './deferred.ts';
import { Link, type LinkEnd, type McpCall } from './link.ts';
import { fitsPattern, type Offer, type OfferTraits, offersOf } from './listing.ts';
import { type CallResult, callFailure, isForgotten, isNoAccess, readResult, unavailable } from './outcome.ts';
import type { Sdk } from './sdk.ts';

/** What keeps a server up. */
export interface McpServerOptions {
  /** As the agents file has it. */
  readonly name: string;
  readonly address: McpAddress;
  readonly traits: OfferTraits;
  readonly baseDir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly loadSdk: () => Promise<Sdk>;
  /** Closes the server when it aborts. */
  readonly signal: AbortSignal | undefined;
}

const COME_UP_MS = 10_000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
/** One that stayed up for this long is not one that falls over as soon as it is started. */
const STABLE_MS = 30_000;
/** A server that announces changes without end is listed no more often than this. */
const RELIST_MS = 1000;

/**
 * The functions of one MCP server. The server is kept up from the moment of creation until `close`; while it is down,
 * the functions of its last listing stay, and their calls fail at once.
 */
export class McpServer {
  readonly name: string;
  /** Resolves when the first listing is there, or the first try to get it has failed. Never rejects. */
  readonly ready: Promise<void>;
  readonly #options: McpServerOptions;
  readonly #log: Log;
  readonly #life = new AbortController();
  readonly #firstTry = deferred<void>();
  readonly #listeners = new Set<() => void>();
  /** Connections that calls still use after the server has a newer one. */
  readonly #leaving = new Set<Link>();
  readonly #work: Promise<void>;
  /** The last listing, as the server gave it. */
  #listed = '';
  #offers: readonly Offer[] = [];
  #link: Link | undefined;
  /** While a new connection takes the place of one that the server has forgotten: it, or undefined when it failed. */
  #renewal: Deferred<Link | undefined> | undefined;
  #relisting = false;
  #isStale = false;
  #closing: Promise<void> | undefined;

  constructor(options: McpServerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#log = options.log.child({ mcp: options.name });
    this.ready = this.#firstTry.promise;
    const { signal } = options;
    if (signal?.aborted) this.#life.abort();
    else signal?.addEventListener('abort', this.#end, { once: true });
    this.#work = this.#keepUp()
      .catch((error) => this.#log.error({ err: error }, 'mcp server is given up'))
      .finally(() => this.#firstTry.resolve());
  }

  /** The functions of the last listing. */
  get tools(): readonly Tool[] {
    return this.#offers.map(({ tool }) => tool);
  }

  /** Whether calls can be made now. */
  get isUp(): boolean {
    return this.#link !== undefined;
  }

  /** Those whose name at the server fits; * stands for any characters. */
  find(pattern: string): readonly Tool[] {
    return this.#offers.filter(({ name }) => fitsPattern(name, pattern)).map(({ tool }) => tool);
  }

  /** Calls `listener` whenever `tools` has become another list. */
  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Fails the calls that are under way. Resolves when nothing of the server is left; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  readonly #end = (): void => void this.close();

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#end);
    this.#life.abort();
    this.#listeners.clear();
    const link = this.#link;
    this.#link = undefined;
    await Promise.allSettled([link, ...this.#leaving].map((one) => one?.close()));
    await this.#work;
    // Also when it was over before the first try had begun.
    this.#firstTry.resolve();
  }

  async #keepUp(): Promise<void> {
    const { signal } = this.#life;
    const { clock } = this.#options;
    if (signal.aborted) return;
    const sdk = await this.#options.loadSdk();
    let failures = 0;
    while (!signal.aborted) {
      const link = this.#newLink(sdk);
      const isUp = await this.#bringUp(link);
      const since = clock.now();
      this.#firstTry.resolve();
      if (isUp && (await this.#untilOver(link)) === 'retired') continue;
      await link.close();
      failures = isUp && clock.now() - since >= STABLE_MS ? 1 : failures + 1;
      await pause(clock, Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS), signal);
    }
    this.#renewal?.resolve(undefined);
  }

  #newLink(sdk: Sdk): Link {
    const { address, baseDir, clock } = this.#options;
    const onListChanged = (): void => this.#relist();
    return new Link({ address, baseDir, clock, sdk, log: this.#log, onListChanged });
  }

  /** Connects and lists; false, and said in the log, when that fails. */
  async #bringUp(link: Link): Promise<boolean> {
    const life = this.#life.signal;
    using limit = deadline(this.#options.clock, COME_UP_MS, 'the start', life);
    const renewal = this.#renewal;
    try {
      await link.connect(limit.signal);
      this.#isStale = false;
      const listing = await link.list(limit.signal);
      life.throwIfAborted();
      this.#take(listing);
      this.#link = link;
      this.#log.info({ functions: this.#offers.length }, 'mcp server is up');
    } catch (error) {
      if (!life.aborted) this.#log.warn({ reason: link.reasonOf(error) }, 'mcp server does not come up');
    }
    this.#renewal = undefined;
    renewal?.resolve(this.#link);
    if (this.#isStale) this.#relist();
    return this.#link === link;
  }

  async #untilOver(link: Link): Promise<LinkEnd> {
    const end = await link.ended;
    if (end === 'retired' || this.#life.signal.aborted) return end;
    this.#link = undefined;
    this.#log.warn({ reason: link.reasonOf(undefined) }, 'mcp server is lost');
    return end;
  }

  #take(listing: readonly unknown[]): void {
    const listed = JSON.stringify(listing);
    // Nor is it said again what is wrong with it.
    if (listed === this.#listed) return;
    this.#listed = listed;
    const before = definitionsOf(this.#offers);
    const run = (name: string, args: McpCall['args'], call: ToolContext) => this.#run(name, args, call);
    const offers = offersOf(listing, this.#options.traits, run, this.#log);
    if (definitionsOf(offers) === before) return;
    this.#offers = offers;
    for (const listener of [...this.#listeners]) listener();
  }

  #relist(): void {
    this.#isStale = true;
    if (!this.#relisting && this.#link !== undefined) void this.#relistWhileStale();
  }

  async #relistWhileStale(): Promise<void> {
    this.#relisting = true;
    for (let link = this.#link; this.#isStale && link !== undefined; link = this.#link) {
      this.#isStale = false;
      await this.#listAgain(link);
      await pause(this.#options.clock, RELIST_MS, this.#life.signal);
    }
    this.#relisting = false;
  }

  async #listAgain(link: Link): Promise<void> {
    using limit = deadline(this.#options.clock, COME_UP_MS, 'the listing', this.#life.signal);
    try {
      const listing = await link.list(limit.signal);
      if (this.#link === link) this.#take(listing);
    } catch (error) {
      if (this.#link !== link) return;
      this.#log.warn({ reason: link.reasonOf(error) }, 'mcp functions cannot be listed again');
    }
  }

  async #run(name: string, args: McpCall['args'], call: ToolContext): Promise<unknown> {
    const meta = { 'patchcord/idempotencyKey': call.idempotencyKey, 'patchcord/callId': call.callId };
    return readResult(await this.#call({ name, args, meta }, call.signal));
  }

  async #call(call: McpCall, signal: AbortSignal): Promise<CallResult> {
    const link = await this.#current(signal);
    try {
      return await link.call(call, signal);
    } catch (error) {
      if (signal.aborted || !isForgotten(link.sdk, error, link.hasSession))
        throw this.#failure(link, error, signal);
    }
    this.#renew(link);
    const fresh = await this.#current(signal);
    try {
      return await fresh.call(call, signal);
    } catch (error) {
      throw this.#failure(fresh, error, signal);
    }
  }

  /** A connection that is being renewed is waited for; one that is lost is not. */
  async #current(signal: AbortSignal): Promise<Link> {
    const link = this.#link ?? (await unlessAborted(Promise.resolve(this.#renewal?.promise), signal));
    if (link === undefined || link.isOver) throw unavailable();
    return link;
  }

  /** The calls of the other connection that are under way keep it until they are done. */
  #renew(link: Link): void {
    if (link !== this.#link) return;
    this.#log.info('mcp server has forgotten the session');
    this.#link = undefined;
    this.#renewal = deferred();
    this.#leaving.add(link);
    void link.retire().then(() => this.#leaving.delete(link));
  }

  #failure(link: Link, error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (isNoAccess(link.sdk, error)) {
      this.#log.warn({ reason: link.reasonOf(error) }, 'mcp server refuses a function call');
    }
    return callFailure(link.sdk, error, link.isOver);
  }
}

function definitionsOf(offers: readonly Offer[]): string {
  return JSON.stringify(offers.map(({ name, tool }) => [name, tool.definition]));
}
