import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import type { Answer, WebhookRoute } from './carrier.ts';
import { BridgeError } from './errors.ts';
import { statusAnswer, WebhookDoor, type WebhookDoorDeps } from './webhook-door.ts';
import { webhookRequest } from './webhook-request.ts';

const MAX_BODY = '64kb';

/** The carrier-facing addresses over HTTP. */
export function createWebhooks(deps: WebhookDoorDeps): Router {
  const router = express.Router();
  const door = new WebhookDoor(deps);
  const raw = express.raw({ type: () => true, limit: MAX_BODY });
  const route = (path: string, name: WebhookRoute): void => {
    router.all(path, raw, (request, response) => {
      const { carrier, token } = request.params;
      const place = { route: name, carrier, token: typeof token === 'string' ? token : undefined };
      const body: unknown = request.body;
      const webhook = webhookRequest(request, body instanceof Uint8Array ? body : new Uint8Array(0));
      door.receive(place, webhook, (answer) => send(response, answer));
    });
  };
  route('/voice/:carrier', 'voice');
  route('/events/:carrier', 'events');
  route('/status/:carrier', 'status');
  route('/machine/:carrier', 'machine');
  route('/stream-status/:carrier', 'stream-status');
  route('/after/:carrier/:token', 'after');
  route('/announce/:carrier/:token', 'announce');
  router.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    const status = httpStatus(error);
    deps.log.warn({ err: BridgeError.from(error, 'BAD_FRAME'), status }, 'webhook could not be read');
    send(response, statusAnswer(status));
  });
  return router;
}

function send(response: Response, { status, contentType, body }: Answer): void {
  response.status(status);
  if (contentType !== '') response.type(contentType);
  if (body === '') response.end();
  else response.send(body);
}

function httpStatus(error: unknown): number {
  if (error instanceof BridgeError) return error.code === 'BAD_FRAME' ? 400 : 500;
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
