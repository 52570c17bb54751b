import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { CallObserver } from '../../call-events.ts';
import { systemClock } from '../../clock.ts';
import { createLog } from '../../log.ts';
import { systemRandom } from '../../random.ts';
import { assembleService, type Service, type ServiceParts } from '../../server/service.ts';
import { settleWithin } from '../../settle.ts';
import { createWebhooks } from '../../webhooks.ts';

export interface LiveServiceOptions
  extends Pick<ServiceParts, 'config' | 'agent' | 'provider' | 'tapes' | 'fetch' | 'leadMs'> {
  /** What signs the calls of the simulated phone. */
  readonly secret: string;
  readonly observe: CallObserver;
}

/** The service on a port of this machine, for one call of a simulated phone. */
export interface LiveService extends AsyncDisposable {
  readonly url: string;
}

const CLOSE_MS = 500;

/** Rejects with BAD_CONFIG when the provider cannot be had. */
export async function startLiveService({ secret, ...options }: LiveServiceOptions): Promise<LiveService> {
  const http = createServer();
  const service = await assembleService({
    ...options,
    clock: systemClock,
    log: createLog('silent'),
    random: systemRandom,
    localAuthToken: secret,
    publicUrl: () => urlOf(http),
  });
  const app = express();
  app.use(createWebhooks(service.webhooks));
  http.on('request', app);
  http.on('upgrade', service.media.onUpgrade);
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(0, '127.0.0.1', resolve);
  });
  return { url: urlOf(http), [Symbol.asyncDispose]: () => close(service, http) };
}

function urlOf(http: Server): string {
  return `http://127.0.0.1:${(http.address() as AddressInfo | null)?.port ?? 0}`;
}

async function close(service: Service, http: Server): Promise<void> {
  await service.close(async () => {
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeIdleConnections();
    await settleWithin(systemClock, CLOSE_MS, [closed]);
    http.closeAllConnections();
    await closed;
  });
}
