import { BridgeError } from '../../errors.ts';

/** Schemes, host and port of an address, and what follows, letter by letter. */
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)(.*)$/is;

/**
 * The public addresses of a bridge and where it can be reached from here. Carriers sign the public address; without a
 * tunnel the bridge behind it listens on another one.
 */
export class Addresses {
  readonly #reachable: string;
  readonly #public: string | undefined;

  /** Throws BAD_INPUT when one of them is not an absolute address. */
  constructor(webhookUrl: string, publicUrl: string | undefined) {
    this.#reachable = origin(webhookUrl);
    this.#public = publicUrl === undefined ? undefined : origin(publicUrl);
  }

  /** The public form of an address that is reachable from here. */
  publicForm(url: string): string {
    if (this.#public === undefined || origin(url) !== this.#reachable) return url;
    return this.#public + url.slice(this.#reachable.length);
  }

  /** Where a public address is to be found, with the same scheme family: ws for wss when the bridge has no TLS. */
  reach(url: string): string {
    const [, scheme = '', host = '', rest = ''] = PARTS.exec(url) ?? [];
    if (this.#public === undefined || host.toLowerCase() !== hostOf(this.#public)) return url;
    const isSocket = scheme.toLowerCase().startsWith('ws');
    const base = isSocket ? this.#reachable.replace(/^http/i, 'ws') : this.#reachable;
    return base + rest;
  }
}

/** Host and port as they are written. */
export function hostOf(url: string): string {
  return PARTS.exec(url)?.[2]?.toLowerCase() ?? '';
}

/** True for addresses that never leave this machine. */
export function isLoopback(url: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(hostOf(url));
}

function origin(url: string): string {
  const [, scheme, host] = PARTS.exec(url) ?? [];
  if (scheme === undefined || host === undefined) {
    throw new BridgeError(
      'BAD_INPUT',
      `${JSON.stringify(url)} is not an absolute address such as http://host:8080/x`,
    );
  }
  return `${scheme}://${host}`;
}
