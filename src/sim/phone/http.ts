import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type Clock, deadline } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { CarrierCall, FormFields, Payload, TroubleCodes } from './carrier-sim.ts';

/** A request of the carrier to the bridge. */
export interface CarrierRequest {
  /** As it is written in the document or the settings, and as it is signed; a fragment is not sent. */
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly payload: Payload;
  /** The same for each delivery of one webhook. */
  readonly deliveryId: string;
}

/** What came back. */
export interface CarrierResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** 1, or more when the connection had to be tried again. */
  readonly attempts: number;
}

/** What one request needs to know about the world. */
export interface HttpContext {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly codes: TroubleCodes;
  readonly carrier: Pick<CarrierCall, 'headers' | 'limits'>;
  /** Where a public address really is, so that a bridge behind no tunnel can be reached. */
  reach(url: string): string;
}

const BODY_LIMIT = 1 << 16;

/**
 * Sends a signed webhook or callback. Tries again, as the same delivery, when no connection could be made. Rejects with
 * CARRIER_REFUSED and one of the carrier's codes in the message, with TIMEOUT, or when the signal aborts.
 */
export async function send(request: CarrierRequest, context: HttpContext): Promise<CarrierResponse> {
  const { clock, codes, carrier } = context;
  const limits = carrier.limits(request.url);
  const what = `${codes['http-failure']}: ${request.url}`;
  using limit = deadline(clock, limits.totalMs, what, context.signal);
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await sendOnce(request, context, limit.signal);
      return { ...answer, attempts: attempt };
    } catch (thrown) {
      if (limit.signal.aborted) throw BridgeError.from(limit.signal.reason, 'CANCELLED');
      if (attempt > limits.retries || !isConnectFailure(thrown)) {
        throw asError(thrown, request.url, attempt, codes);
      }
    }
  }
}

function isConnectFailure(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown && thrown.syscall === 'connect';
}

function asError(thrown: unknown, url: string, attempts: number, codes: TroubleCodes): BridgeError {
  const what = isConnectFailure(thrown)
    ? `${codes['no-connection']}: no connection to`
    : `${codes['http-failure']}: no answer from`;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new BridgeError('CARRIER_REFUSED', `${what} ${url} (attempt ${attempts}): ${why}`, {
    cause: thrown,
  });
}

function sendOnce(
  request: CarrierRequest,
  context: HttpContext,
  signal: AbortSignal,
): Promise<Omit<CarrierResponse, 'attempts'>> {
  const { url, headers, body } = onTheWire(request, context.carrier);
  const target = context.reach(url);
  const run = target.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const outgoing = run(target, {
      method: request.method,
      // A fresh connection each time: nothing stays open between calls.
      agent: false,
      signal,
      headers,
    });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => collect(incoming, resolve, reject));
    outgoing.end(body);
  });
}

interface OnTheWire {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

function onTheWire(request: CarrierRequest, carrier: HttpContext['carrier']): OnTheWire {
  const { payload, method, deliveryId } = request;
  const plain = withoutFragment(request.url);
  const isForm = 'form' in payload;
  const text = isForm ? encodeForm(payload.form) : JSON.stringify(payload.json);
  const inQuery = method === 'GET';
  const url = inQuery && text !== '' ? `${plain}${plain.includes('?') ? '&' : '?'}${text}` : plain;
  const body = inQuery ? '' : text;
  const fields = isForm && !inQuery ? payload.form : {};
  const headers: Record<string, string> = { host: new URL(url).host, accept: '*/*' };
  if (!inQuery) {
    headers['content-type'] = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
    headers['content-length'] = String(Buffer.byteLength(body));
  }
  Object.assign(headers, carrier.headers({ method, url, fields, body, deliveryId }));
  return { url, headers, body: inQuery ? undefined : body };
}

/** The address as it goes over the wire. */
export function withoutFragment(url: string): string {
  const at = url.indexOf('#');
  return at === -1 ? url : url.slice(0, at);
}

/** Form encoding; a repeated field is written once for each value. */
function encodeForm(fields: FormFields): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of typeof value === 'string' ? [value] : value) form.append(name, one);
  }
  return form.toString();
}

function collect(
  incoming: IncomingMessage,
  resolve: (answer: Omit<CarrierResponse, 'attempts'>) => void,
  reject: (error: Error) => void,
): void {
  const pieces: Buffer[] = [];
  let length = 0;
  incoming.on('data', (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (length > BODY_LIMIT) incoming.destroy(new Error(`the answer is longer than ${BODY_LIMIT} bytes`));
  });
  incoming.on('error', reject);
  incoming.on('end', () =>
    resolve({
      status: incoming.statusCode ?? 0,
      contentType: String(incoming.headers['content-type'] ?? ''),
      body: Buffer.concat(pieces).toString('utf8'),
    }),
  );
}
