import type { Response } from 'express';
import type { CallRecord } from '../call-records.ts';
import type { ControlResult } from '../carrier.ts';
import { assertNever, BridgeError } from '../errors.ts';
import type { AnswerName, AnswerOf, ProblemCode } from './shapes.ts';

/** What a request is answered. */
export interface Reply {
  readonly status: number;
  readonly body: AnswerOf<Exclude<AnswerName, 'Description'>>;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Sends an answer; nothing of it may be kept on the way. */
export function send(response: Response, { status, body, headers = {} }: Reply): void {
  response
    .status(status)
    .set({ 'cache-control': 'no-store', ...headers })
    .json(body);
}

/** The answer to a request without the right token. */
export function unauthorized(access: 'missing' | 'wrong'): Reply {
  const found = access === 'missing' ? 'none' : 'another one';
  const hint = access === 'wrong' ? ', error="invalid_token"' : '';
  return problem(401, 'UNAUTHORIZED', `the bearer token: found ${found}, wanted that of API_TOKEN`, {
    headers: { 'www-authenticate': `Bearer realm="patchcord"${hint}` },
  });
}

/** A mistake of the one who asks, or of the state that the call is in. */
export function problem(
  status: number,
  code: ProblemCode,
  message: string,
  options: { readonly retry?: boolean; readonly headers?: Readonly<Record<string, string>> } = {},
): Reply {
  const { retry = false, headers } = options;
  return { status, body: { error: { code, message, retry } }, headers };
}

/**
 * What became of an error on its way out.
 * @param repeatable false: to make the same request again could do it twice
 */
export function failure(error: BridgeError, repeatable = true): Reply {
  const { code, verdict } = error;
  // What went wrong inside is for the log.
  const message =
    code === 'INTERNAL'
      ? 'the service itself failed; its log says why'
      : error.message.replace(`${code}: `, '');
  return problem(statusOf(error), code, message, { retry: verdict.retry && repeatable });
}

/** The answer to a request about a call. `okStatus`: 202 where the carrier has only taken the order. */
export function controlReply(result: ControlResult, okStatus: 200 | 202): Reply {
  switch (result.status) {
    case 'ok':
      return { status: okStatus, body: { status: 'ok' } };
    case 'already-ended':
      return alreadyEnded();
    case 'error':
      return failure(result.error);
    default:
      return assertNever(result);
  }
}

/** Why nothing can be done to the conversation of this call; undefined: something can. */
export function noConversation({ view, isOver }: CallRecord): Reply | undefined {
  if (isOver) return alreadyEnded();
  if (view.status !== 'in-progress') {
    return problem(409, 'NOT_READY', 'the call has not been answered yet', { retry: true });
  }
  if (view.endReason === undefined) return undefined;
  return problem(
    409,
    'NOT_CONNECTED',
    'the agent has no part in the call any more: the caller was put through',
  );
}

/** The answer to a request about a call that nobody knows. */
export function unknownCall(): Reply {
  return problem(404, 'NOT_FOUND', 'there is no such call, or not any more');
}

function alreadyEnded(): Reply {
  const error = { code: 'ALREADY_ENDED', message: 'the call is over', retry: false } as const;
  return { status: 409, body: { status: 'already-ended', error } };
}

function statusOf({ code, cause }: BridgeError): number {
  switch (code) {
    case 'BAD_INPUT':
      return 400;
    case 'CONFLICT':
      return 409;
    case 'OVER_CAPACITY':
    case 'CANCELLED':
      return 503;
    case 'CARRIER_REFUSED':
    case 'BAD_FRAME':
      return 502;
    case 'CARRIER_UNAVAILABLE':
      return cause instanceof BridgeError && cause.code === 'TIMEOUT' ? 504 : 502;
    case 'TIMEOUT':
      return 504;
    default:
      return 500;
  }
}
