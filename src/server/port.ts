import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { hasCarrier } from './carriers.ts';

/** Secret that signs calls where no carrier is configured; undefined: one is. */
export function newLocalAuthToken(config: Config): string | undefined {
  return hasCarrier(config) ? undefined : randomBytes(16).toString('hex');
}

/** Resolves to the address; rejects with BAD_CONFIG when the port is taken. */
export function listenOn(http: Server, config: Pick<Config, 'host' | 'port'>): Promise<string> {
  return new Promise((resolve, reject) => {
    http.once('error', (cause) => {
      const place = `${config.host}:${config.port}`;
      reject(new BridgeError('BAD_CONFIG', `cannot listen on ${place}: ${cause.message}`, { cause }));
    });
    http.listen(config.port, config.host, () => resolve(localUrl(http)));
  });
}

/** The address by which this machine itself reaches the server. */
export function localUrl(http: Server): string {
  const address = http.address() as AddressInfo | null;
  if (address === null) throw new BridgeError('INTERNAL', 'the server does not listen yet');
  const any = address.address === '0.0.0.0' || address.address === '::';
  const host = any ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
