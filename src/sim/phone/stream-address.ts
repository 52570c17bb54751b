import { isLoopback } from './addresses.ts';

/** What is wrong with the address of a stream, for a carrier that takes only `wss`, or `ws` on this machine. */
export function streamAddressFault(url: string): 'malformed' | 'not-secure' | undefined {
  if (!URL.canParse(url)) return 'malformed';
  const isSecure = /^wss:/i.test(url);
  const isLocal = /^ws:/i.test(url) && isLoopback(url);
  return isSecure || isLocal ? undefined : 'not-secure';
}
