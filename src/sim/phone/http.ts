import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type Clock, deadline } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import { type FormFields, twilioSignature, withoutFragment } from './signature.ts';

/** A request of the carrier to the bridge. */
export interface CarrierRequest {
  /** As it is written in the document or the settings, and as it is signed; a fragment may override time limits. */
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly fields: FormFields;
  readonly idempotencyToken: string;
  readonly signature: 'good' | 'bad' | 'missing';
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
  readonly authToken: string;
  readonly signal: AbortSignal;
  /** Where a public address really is, so that a bridge behind no tunnel can be reached. */
  reach(url: string): string;
}

interface Limits {
  readonly totalMs: number;
  readonly retries: number;
}

const BODY_LIMIT = 1 << 16;

/**
 * Sends a signed webhook or callback. Tries again, with the same idempotency token, when no connection could be made.
 * Rejects with CARRIER_REFUSED and one of Twilio's 112xx codes in the message, with TIMEOUT, or when the signal aborts.
 */
export async function send(request: CarrierRequest, context: HttpContext): Promise<CarrierResponse> {
  const limits = readLimits(request.url);
  using limit = deadline(context.clock, limits.totalMs, `11200: ${request.url}`, context.signal);
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await sendOnce(request, context, limit.signal);
      return { ...answer, attempts: attempt };
    } catch (thrown) {
      if (attempt > limits.retries || limit.signal.aborted || !isConnectFailure(thrown)) {
        throw asError(thrown, request.url, attempt, limit.signal);
      }
    }
  }
}

// Twilio lets a fragment override its limits: #ct=2000&rt=5000&tt=10000&rc=3
function readLimits(url: string): Limits {
  const settings = new URLSearchParams(url.slice(withoutFragment(url).length + 1));
  return {
    totalMs: bounded(settings.get('tt'), 15_000, 15_000),
    retries: bounded(settings.get('rc'), 1, 5),
  };
}

function bounded(text: string | null, fallback: number, most: number): number {
  const value = text === null ? fallback : Number(text);
  return Number.isInteger(value) && value >= 0 ? Math.min(value, most) : fallback;
}

function isConnectFailure(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown && thrown.syscall === 'connect';
}

function asError(thrown: unknown, url: string, attempts: number, signal: AbortSignal): BridgeError {
  if (signal.aborted) return BridgeError.from(signal.reason, 'CANCELLED');
  const code = isConnectFailure(thrown) ? '11205: no connection to' : '11200: no answer from';
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new BridgeError('CARRIER_REFUSED', `${code} ${url} (attempt ${attempts}): ${why}`, {
    cause: thrown,
  });
}

function sendOnce(
  request: CarrierRequest,
  context: HttpContext,
  signal: AbortSignal,
): Promise<Omit<CarrierResponse, 'attempts'>> {
  const isGet = request.method === 'GET';
  const form = encodeForm(request.fields);
  const plain = withoutFragment(request.url);
  const url = isGet && form !== '' ? `${plain}${plain.includes('?') ? '&' : '?'}${form}` : plain;
  const target = context.reach(url);
  const run = target.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const outgoing = run(target, {
      method: request.method,
      // A fresh connection each time: nothing stays open between calls.
      agent: false,
      signal,
      headers: headers(request, context.authToken, url, isGet ? undefined : form),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => collect(incoming, resolve, reject));
    outgoing.end(isGet ? undefined : form);
  });
}

function headers(
  request: CarrierRequest,
  authToken: string,
  url: string,
  form: string | undefined,
): Record<string, string> {
  const all: Record<string, string> = {
    host: new URL(url).host,
    'user-agent': 'TwilioProxy/1.1',
    accept: '*/*',
    'i-twilio-idempotency-token': request.idempotencyToken,
  };
  if (form !== undefined) all['content-type'] = 'application/x-www-form-urlencoded; charset=UTF-8';
  if (form !== undefined) all['content-length'] = String(Buffer.byteLength(form));
  const fields = form === undefined ? {} : request.fields;
  if (request.signature === 'good') all['x-twilio-signature'] = twilioSignature(authToken, url, fields);
  if (request.signature === 'bad') {
    all['x-twilio-signature'] = twilioSignature(authToken, `${url}/another`, fields);
  }
  return all;
}

/** Form encoding as Twilio does it; a repeated field is written once for each value. */
export function encodeForm(fields: FormFields): string {
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
