import { BlockList, isIP, isIPv4, isIPv6, type LookupFunction } from 'node:net';
import { BridgeError } from '../../errors.ts';

/** Every range of the IANA special-purpose registry that no service of the public Internet has its address in. */
const SPECIAL_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

/** The same within 2000::/3, which is all that is handed out: protocol assignments with Teredo, 6to4, documentation. */
const SPECIAL_V6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
] as const;

const special = blockList(SPECIAL_V4, SPECIAL_V6);
const global = blockList([], [['2000::', 3]]);
/** Addresses that stand for the IPv4 address in their last 32 bits: the translation prefix of RFC 6052. */
const translated = blockList([], [['64:ff9b::', 96]]);

/**
 * True for an IP address that a service of the public Internet can have; false for every other, and for text that is
 * no address. IPv6 addresses that stand for an IPv4 address are public where that one is.
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  // A zone (fe80::1%eth0) is only found on addresses of a link.
  if (!isIPv6(address) || address.includes('%')) return false;
  if (translated.check(address, 'ipv6')) return !special.check(lastIpv4(address), 'ipv4');
  return global.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/** The IP address that the host name of a URL is, without the brackets; undefined when it is a name. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

/** A resolver that fails when any of the addresses is not public, and else hands them on as they are. */
export function publicLookup(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, found, family) => {
      if (error) return callback(error, found, family);
      const all = typeof found === 'string' ? [found] : found.map(({ address }) => address);
      if (all.length > 0 && all.every(isPublicAddress)) return callback(null, found, family);
      callback(notPublic(), '', 0);
    });
  };
}

/** For whoever wants to reach an address inside without leave. */
export function notPublic(): BridgeError {
  return new BridgeError(
    'TOOL_FAILED',
    'the host has an address that is not public, and its entry does not say that it may',
  );
}

/** The last 32 bits of an IPv6 address, as IPv4. */
function lastIpv4(address: string): string {
  // The URL parser writes every notation in one way: at most one `::`, groups in hexadecimal.
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split(':');
  const [high = 0, low = 0] = groups.slice(-2).map((group) => Number.parseInt(group || '0', 16));
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

function blockList(
  v4: readonly (readonly [address: string, bits: number])[],
  v6: readonly (readonly [address: string, bits: number])[],
): BlockList {
  const list = new BlockList();
  for (const [address, bits] of v4) list.addSubnet(address, bits, 'ipv4');
  for (const [address, bits] of v6) list.addSubnet(address, bits, 'ipv6');
  return list;
}
