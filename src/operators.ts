import express, { type RequestHandler, type Router } from 'express';
import { createTokenCheck } from './calls-api/access.ts';
import { describeApi } from './calls-api/openapi.ts';
import { type Operation, SERVICE_OPERATIONS, type ServiceOperation } from './calls-api/operations.ts';
import { failure } from './calls-api/replies.ts';
import type { AnswerOf } from './calls-api/shapes.ts';
import { type CallsApiDeps, createCallsApi, send, unauthorized } from './calls-api.ts';
import { BridgeError } from './errors.ts';
import type { BreakerReport, Breakers } from './fallback/breakers.ts';
import type { SessionManager } from './session-manager.ts';

export interface OperatorsDeps extends CallsApiDeps {
  readonly manager: Pick<SessionManager, 'size' | 'draining'>;
  readonly maxCalls: number;
  readonly breakers: Pick<Breakers, 'report'>;
}

/** Everything that operators ask for: how the service is, what it has counted, and the calls. */
export function createOperators(deps: OperatorsDeps): Router {
  const router = express.Router();
  const handlers = createHandlers(deps);
  for (const [name, operation] of Object.entries(SERVICE_OPERATIONS) as [ServiceOperation, Operation][]) {
    router.route(operation.path)[operation.method](handlers[name]);
  }
  router.use(createCallsApi(deps));
  return router;
}

function createHandlers(deps: OperatorsDeps): Readonly<Record<ServiceOperation, RequestHandler>> {
  const { manager, maxCalls, metrics, token, log, breakers } = deps;
  const check = createTokenCheck(token);
  let description: ReturnType<typeof describeApi> | undefined;
  return {
    health: (_request, response) => {
      send(response, { status: 200, body: { status: 'ok' } });
    },
    readiness: (_request, response) => {
      // Full is not unready: live calls still need their webhooks, and one caller more gets a busy tone from here.
      const { draining, size } = manager;
      const status = draining ? 'draining' : size < maxCalls ? 'ready' : 'full';
      // Nor is a provider that is passed by: calls have others or the agent's last resort, and this says which it is.
      const providers = breakers.report().map(providerAnswer);
      send(response, { status: draining ? 503 : 200, body: { status, calls: size, maxCalls, providers } });
    },
    metrics: (request, response) => {
      const access = check(request.headers.authorization);
      if (access === 'missing' || access === 'wrong') {
        metrics.refused('api', access);
        send(response, unauthorized(access));
        return;
      }
      metrics
        .text()
        .then((text) => response.type(metrics.contentType).send(text))
        .catch((thrown: unknown) => {
          const error = BridgeError.from(thrown);
          log.error({ err: error }, 'the figures cannot be told');
          send(response, failure(error));
        });
    },
    describe: (_request, response) => {
      description ??= describeApi();
      response.json(description);
    },
  };
}

/** Open to everybody, so nothing of what a provider has said. */
function providerAnswer({
  provider,
  state,
  why,
  forMs,
}: BreakerReport): AnswerOf<'Readiness'>['providers'][number] {
  return { provider, state, why, forMs };
}
