import type { IncomingMessage } from 'node:http';
import type { WebhookRequest } from './carrier.ts';

/** An HTTP request in the form that carriers check; `originalUrl` is kept by routers that strip prefixes. */
export function webhookRequest(
  request: IncomingMessage & { readonly originalUrl?: string },
  body: Uint8Array,
): WebhookRequest {
  return {
    method: request.method ?? 'GET',
    target: request.originalUrl ?? request.url ?? '/',
    headers: request.headers,
    body,
  };
}
