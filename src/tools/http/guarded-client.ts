import * as dns from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import type { LookupFunction } from 'node:net';
import { type Clock, deadline } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import { isPublicAddress, literalAddress, notPublic, publicLookup } from './addresses.ts';
import { type Answer, exchange, NotSentError } from './exchange.ts';
import { canonicalHost, findHost, type HttpHost, mayRedirect } from './hosts.ts';
import type { HttpMethod } from './request-template.ts';

/** One request, with everything that limits it. */
export interface GuardedRequest {
  readonly method: HttpMethod;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** The only hosts that are reached, by redirects neither. */
  readonly hosts: readonly HttpHost[];
  /** For the whole exchange, redirects and body included. */
  readonly timeoutMs: number;
  /** Of the body; reading stops there. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export interface GuardedClientOptions {
  readonly clock: Clock;
  /** Such as `patchcord/1.2.3`. */
  readonly userAgent: string;
  /** Where names become addresses; left out: the system's resolver. */
  readonly lookup?: LookupFunction;
  /** PEM certificates to trust instead of those that Node brings. */
  readonly ca?: string;
}

/** Reaches listed hosts at public addresses only; see `createGuardedClient`. */
export interface GuardedClient {
  /**
   * The answer of the last hop, whatever its status. Rejects with TOOL_FAILED, TIMEOUT or CANCELLED; messages hold no
   * address, path, query or header.
   */
  request(request: GuardedRequest): Promise<Answer>;
  /** Closes every connection; requests that are under way fail. */
  close(): void;
}

const MAX_REDIRECTS = 3;
const ASTRAY = 'the service redirected to where functions may not go';
const REDIRECTS = [301, 302, 303, 307, 308];
/** Below the 5 s for which many servers keep a connection, so that a request seldom meets one that is being closed. */
const IDLE_MS = 4000;
const MAX_SOCKETS = 64;
/** What another origin is told; everything else may be meant for the first one only. */
const PLAIN_HEADERS = ['accept', 'accept-encoding', 'accept-language', 'user-agent'];

/**
 * An HTTP client for addresses that others have a say in. It connects to hosts of the request's list, by https and to
 * public addresses unless the entry is private. A name is checked when the connection is made, and connected to at
 * the addresses that were checked, so that a resolver that changes its mind gains nothing. It follows at most three
 * redirects, each checked like the first address.
 */
export function createGuardedClient(options: GuardedClientOptions): GuardedClient {
  const { clock, userAgent, ca, lookup = dns.lookup } = options;
  const guard = publicLookup(lookup);
  const reading = openPools(
    { keepAlive: true, timeout: IDLE_MS, maxSockets: MAX_SOCKETS },
    lookup,
    guard,
    ca,
  );
  // A kept connection that the service closes meanwhile leaves it open whether it took the request, so that what
  // changes something gets a connection of its own.
  const writing = openPools({ keepAlive: false, maxSockets: MAX_SOCKETS }, lookup, guard, ca);

  const agentFor = (hop: Hop): http.Agent => {
    const { url, method } = hop;
    const host = admit(hop);
    const pools = reads(method) ? reading : writing;
    if (url.protocol === 'http:') return pools.plain;
    return host.private ? pools.inside : pools.guarded;
  };

  const send = async (hop: Hop, signal: AbortSignal): Promise<Answer> => {
    const { method, url, headers, body, maxBytes } = hop;
    const agent = agentFor(hop);
    const all = { 'user-agent': userAgent, ...headers, 'accept-encoding': 'identity' };
    const wire = { agent, method, url, headers: all, body, maxBytes, signal, repeatable: reads(method) };
    try {
      return await exchange(wire);
    } catch (thrown) {
      if (!(thrown instanceof NotSentError) || !thrown.again || signal.aborted) throw thrown;
      return await exchange(wire);
    }
  };

  const follow = async (first: GuardedRequest, signal: AbortSignal): Promise<Answer> => {
    let hop: Hop = { ...first, url: canonicalUrl(first.url), from: undefined };
    for (let count = 0; ; count += 1) {
      const answer = await send(hop, signal);
      const next = nextHop(hop, answer);
      if (next === undefined) return answer;
      if (count === MAX_REDIRECTS) throw failed(`the service redirected more than ${MAX_REDIRECTS} times`);
      hop = next;
    }
  };

  // Closing connections is not enough: a request that waits for its turn would open one of its own.
  const underWay = new Set<AbortController>();
  let closed: BridgeError | undefined;
  return {
    async request(request) {
      if (closed !== undefined) throw closed;
      const own = new AbortController();
      const onAbort = (): void => own.abort(request.signal.reason);
      request.signal.addEventListener('abort', onAbort, { once: true });
      if (request.signal.aborted) onAbort();
      underWay.add(own);
      using limit = deadline(clock, request.timeoutMs, 'the request', own.signal);
      try {
        limit.signal.throwIfAborted();
        return await follow(request, limit.signal);
      } catch (thrown) {
        if (limit.signal.aborted) throw BridgeError.from(limit.signal.reason, 'CANCELLED');
        throw named(thrown, request.method);
      } finally {
        underWay.delete(own);
        request.signal.removeEventListener('abort', onAbort);
      }
    },
    close() {
      closed = new BridgeError('CANCELLED', 'the service is being stopped');
      for (const own of underWay) own.abort(closed);
      for (const { guarded, inside, plain } of [reading, writing]) {
        guarded.destroy();
        inside.destroy();
        plain.destroy();
      }
    },
  };
}

interface Hop extends GuardedRequest {
  /** What redirected here. */
  readonly from: URL | undefined;
}

/** Connections apart by what they were allowed to reach, so that none made for a private entry serves another one. */
interface Pools {
  readonly guarded: http.Agent;
  readonly inside: http.Agent;
  readonly plain: http.Agent;
}

function openPools(
  options: http.AgentOptions,
  lookup: LookupFunction,
  guard: LookupFunction,
  ca: string | undefined,
): Pools {
  // Said here, because a variable of the environment can turn it off for the whole process.
  const tls = { ...options, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) };
  return {
    guarded: new https.Agent({ ...tls, lookup: guard }),
    inside: new https.Agent({ ...tls, lookup }),
    plain: new http.Agent({ ...options, lookup }),
  };
}

/** Asking twice does no harm. */
function reads(method: HttpMethod): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Without the dot at the end of the host, which belongs neither into the certificate nor into the Host header. */
function canonicalUrl(given: URL): URL {
  const url = new URL(given);
  url.hash = '';
  url.hostname = canonicalHost(url.hostname) ?? url.hostname;
  return url;
}

function admit({ url, hosts, from }: Hop): HttpHost {
  if (url.username !== '' || url.password !== '') throw failed('the address holds a user name or password');
  const host = findHost(hosts, url);
  if (typeof host === 'string') {
    // Names from a redirect may be those of a network inside.
    throw failed(from === undefined ? host : ASTRAY);
  }
  if (from !== undefined && !mayRedirect(hosts, from, url)) throw failed(ASTRAY);
  const address = literalAddress(canonicalHost(url.hostname) ?? '');
  // The resolver is not asked for these, so its guard does not see them.
  if (address !== undefined && !host.private && !isPublicAddress(address)) throw notPublic();
  return host;
}

/** Where a redirect leads; undefined when the answer is the last one, or not followed. */
function nextHop(hop: Hop, { status, location }: Answer): Hop | undefined {
  if (!REDIRECTS.includes(status) || location === undefined || !URL.canParse(location, hop.url.href))
    return undefined;
  const url = canonicalUrl(new URL(location, hop.url));
  const sameOrigin = url.origin === hop.url.origin;
  if (!reads(hop.method) && !(sameOrigin && (status === 307 || status === 308))) return undefined;
  return { ...hop, url, from: hop.url, headers: sameOrigin ? hop.headers : withoutSecrets(hop.headers) };
}

function withoutSecrets(headers: Hop['headers']): Hop['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => PLAIN_HEADERS.includes(name)));
}

function named(thrown: unknown, method: HttpMethod): BridgeError {
  if (thrown instanceof BridgeError) return thrown;
  if (thrown instanceof NotSentError) {
    const { cause } = thrown;
    if (cause instanceof BridgeError) return cause;
    return new BridgeError('TOOL_FAILED', `the service could not be reached: ${reason(cause)}`, { cause });
  }
  const unknown = reads(method) ? '' : '; whether it did what was asked is not known';
  return new BridgeError('TOOL_FAILED', `the connection to the service broke: ${reason(thrown)}${unknown}`, {
    cause: thrown,
  });
}

/** The system's own messages hold the address that was tried; its codes do not. */
function reason(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : 'the connection failed';
}

function failed(message: string): BridgeError {
  return new BridgeError('TOOL_FAILED', message);
}
