import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { LAST_RESORT } from './agents.ts';
import {
  type Answer,
  type Carrier,
  type CarrierEvent,
  type CarrierName,
  carrierNamed,
  type WebhookRoute,
} from './carrier.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { SessionManager } from './session-manager.ts';
import { webhookRequest } from './webhook-request.ts';

export interface WebhooksDeps {
  readonly carriers: ReadonlyMap<CarrierName, Carrier>;
  readonly manager: SessionManager;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Base of all public addresses, without a slash at its end. */
  readonly publicUrl: () => string;
}

const MAX_BODY = '64kb';

/** Carrier-facing HTTP: every request is verified before anything in it is believed. */
export function createWebhooks(deps: WebhooksDeps): Router {
  const router = express.Router();
  const raw = express.raw({ type: () => true, limit: MAX_BODY });
  const route = (path: string, name: WebhookRoute): void => {
    router.all(path, raw, (request, response) => new Webhook(deps, request, response).handle(name));
  };
  route('/voice/:carrier', 'voice');
  route('/status/:carrier', 'status');
  route('/stream-status/:carrier', 'stream-status');
  route('/after/:carrier/:token', 'after');
  router.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    const status = httpStatus(error);
    deps.log.warn({ err: BridgeError.from(error, 'BAD_FRAME'), status }, 'webhook could not be read');
    response.status(status).end();
  });
  return router;
}

/** One request of a carrier. */
class Webhook {
  readonly #deps: WebhooksDeps;
  readonly #request: Request;
  readonly #response: Response;

  constructor(deps: WebhooksDeps, request: Request, response: Response) {
    this.#deps = deps;
    this.#request = request;
    this.#response = response;
  }

  handle(route: WebhookRoute): void {
    const carrier = carrierNamed(this.#deps.carriers, this.#request.params['carrier']);
    if (carrier === undefined) {
      this.#refuse(404, 'unknown-carrier');
      return;
    }
    const body: unknown = this.#request.body;
    const request = webhookRequest(this.#request, body instanceof Uint8Array ? body : new Uint8Array(0));
    const verdict = carrier.verify(request);
    if (!verdict.ok) {
      this.#refuse(403, verdict.reason);
      return;
    }
    this.#answer(this.#on(carrier, carrier.parse(request, route)));
  }

  #on(carrier: Carrier, event: CarrierEvent): Answer {
    const { manager, log } = this.#deps;
    switch (event.type) {
      case 'incoming':
        return this.#onIncoming(carrier, event);
      case 'progress':
        log.debug({ callId: event.callId, status: event.status, outcome: event.outcome }, 'call progress');
        if (event.status === 'ended') manager.callOver(carrier.name, event.callId);
        return carrier.acknowledge();
      case 'stream':
        if (event.kind === 'failed') {
          log.warn(
            { callId: event.callId, error: event.error },
            'the carrier could not use the media stream',
          );
        }
        return carrier.acknowledge();
      case 'after-stream':
        // A caller who has hung up may be reported here before the socket says so.
        if (event.ended) manager.callOver(carrier.name, event.callId);
        return this.#onAfterStream(carrier, event.callId);
      case 'ignored':
        log.debug({ why: event.why }, 'webhook ignored');
        return carrier.acknowledge();
    }
  }

  #onIncoming(carrier: Carrier, event: Extract<CarrierEvent, { type: 'incoming' }>): Answer {
    const { manager, log, publicUrl } = this.#deps;
    const { call } = event;
    const admission = manager.admit(carrier, call);
    if (admission === 'over') {
      log.warn({ callId: call.callId }, 'webhook of a call that is over');
      return carrier.after({ type: 'hang-up' });
    }
    if (admission === 'busy') {
      const { size, draining } = manager;
      log.warn({ callId: call.callId, calls: size, draining }, 'call refused: busy');
      return carrier.reject('busy');
    }
    log.info(
      { callId: call.callId, carrier: carrier.name, pii: { from: call.from, to: call.to } },
      'call answered',
    );
    const base = publicUrl();
    return carrier.accept(call, {
      mediaUrl: `${base.replace(/^http/, 'ws')}/media/${carrier.name}/${admission.mediaToken}`,
      afterUrl: `${base}/after/${carrier.name}/${admission.afterToken}`,
      streamStatusUrl: `${base}/stream-status/${carrier.name}`,
      // Comes back in the start message; also says in the carrier's debugger who answers.
      params: { call: call.callId, agent: admission.agent },
      fallback: admission.lastResort,
    });
  }

  #onAfterStream(carrier: Carrier, callId: string): Answer {
    const token = this.#request.params['token'];
    const decision =
      typeof token === 'string' ? this.#deps.manager.afterStream(carrier.name, token, callId) : undefined;
    // A call that nobody here knows was up in a process that has died: the caller is still on the line.
    if (decision === undefined) this.#deps.log.warn({ callId }, 'stream of an unknown call ended');
    return carrier.after(decision ?? LAST_RESORT);
  }

  #answer(answer: Answer): void {
    this.#response.status(answer.status);
    if (answer.contentType !== '') this.#response.type(answer.contentType);
    this.#response.send(answer.body);
  }

  #refuse(status: number, reason: string): void {
    this.#deps.metrics.refused('webhook', reason);
    this.#deps.log.warn({ reason, path: this.#request.path.split('/', 3).join('/') }, 'webhook refused');
    this.#response.status(status).end();
  }
}

function httpStatus(error: unknown): number {
  if (error instanceof BridgeError) return error.code === 'BAD_FRAME' ? 400 : 500;
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
