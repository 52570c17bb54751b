import { isPublicAddress, literalAddress } from './addresses.ts';

/** One entry of the list of hosts that functions may reach. */
export interface HttpHost {
  /** As the URL parser writes it: lower case, ASCII, no dot at its end; without the `*.` of a wildcard. */
  readonly host: string;
  /** Every name below `host`, but not `host` itself. */
  readonly below: boolean;
  /** Undefined: the port that the scheme has by default. */
  readonly port: number | undefined;
  /** It may be reached by http, and have an address that is not public. */
  readonly private: boolean;
}

const ENTRY = /^(\*\.)?(\[[0-9a-f:.]+\]|[^\s:/?#@\\%[\]*]+)(?::(\d{1,5}))?$/i;

/** Reads `api.example.com`, `api.example.com:8443` or `*.example.com`; a text is what is wrong with it. */
export function readHost(entry: string, isPrivate: boolean): HttpHost | string {
  const [, star, name = '', portText] = ENTRY.exec(entry.trim()) ?? [];
  const hostname = canonicalHost(name);
  if (hostname === undefined) {
    // A whole URL may hold a password or a key.
    const found = /[@?#]/.test(entry) ? 'something else' : JSON.stringify(entry);
    return `found ${found}, wanted a host such as api.example.com, api.example.com:8443 or *.example.com, without https:// and path`;
  }
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) {
    return `found port ${portText}, wanted one from 1 to 65535`;
  }
  const below = star !== undefined;
  const problem = rangeProblem(hostname, below, isPrivate);
  return problem ?? { host: hostname, below, port, private: isPrivate };
}

/** The entry that lets this URL be reached, exact names before wildcards; a text is why there is none. */
export function findHost(hosts: readonly HttpHost[], url: URL): HttpHost | string {
  const name = canonicalHost(url.hostname);
  const named = hosts.filter((entry) => name !== undefined && matchesName(entry, name));
  if (named.length === 0) return `the host ${shown(url)} is not one of those that functions may reach`;
  const open = named.filter((entry) => matchesPort(entry, url));
  if (open.length === 0) return `the port of ${shown(url)} is not one of those that functions may reach`;
  const exact = open.filter((entry) => !entry.below);
  const pool = exact.length > 0 ? exact : open;
  const best = pool.find((entry) => entry.private) ?? pool[0];
  if (best === undefined || (url.protocol !== 'https:' && !(best.private && url.protocol === 'http:'))) {
    return `${shown(url)} is to be reached by ${url.protocol.slice(0, -1)}, wanted https`;
  }
  return best;
}

/**
 * Whether a redirect from one address of the list may lead to another one. A service of the public network has no say in
 * what is asked inside, and none may have what is asked for read on the way.
 */
export function mayRedirect(hosts: readonly HttpHost[], from: URL, to: URL): boolean {
  if (from.origin === to.origin) return true;
  if (from.protocol === 'https:' && to.protocol !== 'https:') return false;
  const [source, target] = [findHost(hosts, from), findHost(hosts, to)];
  if (typeof source === 'string' || typeof target === 'string') return false;
  return source.private || !target.private;
}

/** The host name in the one way of writing it, brackets of IPv6 included; undefined when it is none. */
export function canonicalHost(name: string): string | undefined {
  const text = `http://${name}/`;
  if (name === '' || !URL.canParse(text)) return undefined;
  const { hostname } = new URL(text);
  const bare = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  return bare === '' || bare.startsWith('.') || bare.endsWith('.') || bare.includes('..') ? undefined : bare;
}

function rangeProblem(hostname: string, below: boolean, isPrivate: boolean): string | undefined {
  const address = literalAddress(hostname);
  if (address !== undefined) {
    if (below) return 'found a * before an address, wanted it before a name';
    if (!isPrivate && !isPublicAddress(address)) {
      return 'found an address that is not public, wanted { host: …, private: true } for it';
    }
    return undefined;
  }
  if (below && !isPrivate && !hostname.includes('.')) {
    return `found *.${hostname}, wanted a domain of your own such as *.example.com`;
  }
  return undefined;
}

function matchesName(entry: HttpHost, name: string): boolean {
  return entry.below ? name.endsWith(`.${entry.host}`) : name === entry.host;
}

function matchesPort(entry: HttpHost, url: URL): boolean {
  if (entry.port === undefined) return url.port === '';
  // The URL parser leaves the default port out.
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return port === entry.port;
}

/** A name may be told; an address would tell the model what the network looks like inside. */
function shown(url: URL): string {
  return literalAddress(url.hostname) === undefined ? url.hostname : 'that address';
}
