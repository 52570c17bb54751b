import express, {
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
  type Router,
} from 'express';
import { createHandlers, type Handler, type HandlersDeps } from './calls-api/handlers.ts';
import { CALL_OPERATIONS, type CallOperation, type Operation } from './calls-api/operations.ts';
import { failure, problem, type Reply, send, unknownCall } from './calls-api/replies.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';

export interface CallsApiDeps extends HandlersDeps {
  readonly log: Log;
}

const MAX_BODY = '64kb';
/** How much of a header comes back in a message. */
const MAX_SHOWN = 60;

/**
 * Operators' HTTP over the calls: `CALL_OPERATIONS` says what there is. Mounted at the root; knows only `/calls…`, and lets
 * everybody in: see `guard`.
 */
export function createCallsApi(deps: CallsApiDeps): Router {
  const router = express.Router();
  const handlers = createHandlers(deps);
  for (const [name, operation] of Object.entries(CALL_OPERATIONS) as [CallOperation, Operation][]) {
    const reading = operation.request === undefined ? [] : [jsonOnly, express.json({ limit: MAX_BODY })];
    router.route(operation.path)[operation.method](...reading, answering(deps, name, handlers[name]));
  }
  for (const path of new Set(Object.values(CALL_OPERATIONS).map((operation) => operation.path))) {
    router.all(path, wrongMethod(path));
  }
  router.use('/calls', (_request, response) =>
    send(response, problem(404, 'NOT_FOUND', 'there is nothing at this address')),
  );
  router.use('/calls', (error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) next(error);
    else send(response, unreadable(error, deps.log));
  });
  return router;
}

/** A body of another type is not read at all, and would look like none. */
const jsonOnly: RequestHandler = (request, response, next) => {
  const empty = request.headers['content-length'] === '0';
  if (empty || request.is('application/json') !== false) {
    next();
    return;
  }
  const found = request.headers['content-type']?.slice(0, MAX_SHOWN) ?? 'none';
  const message = `Content-Type: found ${found}, wanted application/json`;
  send(response, problem(415, 'UNSUPPORTED_TYPE', message));
};

/** Runs a handler; what it throws is an answer too. */
function answering({ log }: CallsApiDeps, name: CallOperation, handler: Handler): RequestHandler {
  const run = async (request: Request, response: Response): Promise<Reply | undefined> => {
    try {
      return await handler(request, response);
    } catch (thrown) {
      const error = BridgeError.from(thrown);
      if (error.code === 'INTERNAL') log.error({ err: error }, 'a request of an operator failed');
      // An order whose answer was lost may be ringing somewhere.
      return failure(error, name !== 'placeCall');
    }
  };
  return async (request, response) => {
    const reply = await run(request, response);
    if (reply === undefined) return;
    if (CALL_OPERATIONS[name].method !== 'get') {
      log.info({ operation: name, call: request.params['id'], status: reply.status }, 'an operator asked');
    }
    send(response, reply);
  };
}

function wrongMethod(path: string): RequestHandler {
  const allow = Object.values(CALL_OPERATIONS)
    .filter((operation) => operation.path === path)
    .map(({ method }) => method.toUpperCase())
    .join(', ');
  return (request, response) => {
    const message = `found ${request.method}, wanted ${allow}`;
    send(response, problem(405, 'METHOD_NOT_ALLOWED', message, { headers: { allow } }));
  };
}

/** For requests that never came to a handler. What the parser has to say quotes the request, and is not repeated. */
function unreadable(error: unknown, log: Log): Reply {
  // An id that is no text is not the id of a call.
  if (error instanceof URIError) return unknownCall();
  const status =
    typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number'
      ? error.status
      : 500;
  if (status === 413) return problem(413, 'TOO_LARGE', `the body: found more than ${MAX_BODY}, wanted less`);
  if (status === 415) {
    return problem(
      415,
      'UNSUPPORTED_TYPE',
      'the body: found an encoding that cannot be read, wanted plain UTF-8',
    );
  }
  if (status >= 400 && status < 500) {
    return problem(
      400,
      'BAD_INPUT',
      'the request cannot be read; wanted a JSON object and a well-formed address',
    );
  }
  const failed = BridgeError.from(error);
  log.error({ err: failed }, 'a request of an operator failed');
  return failure(failed, false);
}
