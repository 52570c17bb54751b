import express, { type RequestHandler, type Router } from 'express';
import { createTokenCheck } from './calls-api/access.ts';
import { type GuardDeps, guard } from './calls-api/guard.ts';
import { type Operation, SERVICE_OPERATIONS, type ServiceOperation } from './calls-api/operations.ts';
import { failure, send, unauthorized } from './calls-api/replies.ts';
import type { AnswerOf } from './calls-api/shapes.ts';
import type { CallsApiDeps } from './calls-api.ts';
import { BridgeError } from './errors.ts';
import type { BreakerReport, Breakers } from './fallback/breakers.ts';
import type { Metrics } from './metrics.ts';
import type { SessionManager } from './session-manager.ts';

export interface OperatorsDeps extends CallsApiDeps, GuardDeps {
  readonly metrics: Metrics;
  readonly manager: Pick<SessionManager, 'size' | 'draining'>;
  readonly maxCalls: number;
  readonly breakers: Pick<Breakers, 'report'>;
}

/** What operators' requests are answered by. */
export interface Operators {
  readonly router: Router;
  /** Loads what the first request about calls would wait for, if there can be one. Rejects when it cannot be loaded. */
  prepare(): Promise<void>;
}

/** Everything that operators ask for: how the service is, what it has counted, and the calls. */
export function createOperators(deps: OperatorsDeps): Operators {
  const router = express.Router();
  const handlers = createHandlers(deps);
  for (const [name, operation] of Object.entries(SERVICE_OPERATIONS) as [ServiceOperation, Operation][]) {
    router.route(operation.path)[operation.method](handlers[name]);
  }
  // The schemas of requests about calls take longer to load than everything else here, and no caller needs them.
  let loading: Promise<Router> | undefined;
  const calls = (): Promise<Router> => {
    loading ??= import('./calls-api.ts').then(({ createCallsApi }) => createCallsApi(deps));
    return loading;
  };
  const enter = guard(deps);
  router.use((request, response, next) => {
    if (!CALLS.test(request.path)) next();
    else enter(request, response, () => calls().then((api) => api(request, response, next), next));
  });
  return {
    router,
    async prepare() {
      if (deps.token !== undefined) await calls();
    },
  };
}

/** The paths of requests about calls, as a router knows them: in any case. */
const CALLS = /^\/calls(?:\/|$)/i;

function createHandlers(deps: OperatorsDeps): Readonly<Record<ServiceOperation, RequestHandler>> {
  const { manager, maxCalls, metrics, token, log, breakers } = deps;
  const check = createTokenCheck(token);
  let description: Promise<unknown> | undefined;
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
    describe: (_request, response, next) => {
      description ??= import('./calls-api/openapi.ts').then(({ describeApi }) => describeApi());
      description.then((text) => response.json(text), next);
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
