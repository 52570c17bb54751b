import type { RequestHandler } from 'express';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { createTokenCheck } from './access.ts';
import { problem, send, unauthorized } from './replies.ts';

export interface GuardDeps {
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'refused'>;
  /** Undefined: everything is answered 404. */
  readonly token: string | undefined;
}

/** Lets only those pass who have the token; without one, nobody. */
export function guard({ token, log, metrics }: GuardDeps): RequestHandler {
  const check = createTokenCheck(token);
  return (request, response, next) => {
    const access = check(request.headers.authorization);
    if (access === 'granted') {
      next();
    } else if (access === 'not-set') {
      send(response, problem(404, 'API_OFF', 'calls cannot be controlled here: API_TOKEN is not set'));
    } else {
      metrics.refused('api', access);
      log.warn({ reason: access }, 'a request of an operator was refused');
      send(response, unauthorized(access));
    }
  };
}
