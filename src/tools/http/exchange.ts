import * as http from 'node:http';
import * as https from 'node:https';
import { BridgeError } from '../../errors.ts';

/** What a service answered, read up to the limit. */
export interface Answer {
  readonly status: number;
  /** As the service wrote it; empty when it did not. */
  readonly contentType: string;
  readonly location: string | undefined;
  readonly body: Buffer;
  /** The body was longer than wanted; this is the beginning of it. */
  readonly cut: boolean;
}

/** One request on one connection. */
export interface Wire {
  readonly agent: http.Agent;
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** To send it twice does no harm. */
  readonly repeatable: boolean;
}

/** The connection was not made; or a kept one was found closed, and the request may be sent twice. */
export class NotSentError extends Error {
  /** To try at once may help: nobody has said no. */
  readonly again: boolean;

  constructor(cause: Error, again: boolean) {
    super('not sent', { cause });
    this.name = 'NotSentError';
    this.again = again;
  }
}

const MAX_HEADER_BYTES = 16_384;
const MAX_HEADERS = 128;
/** Services that have more to say before they answer are not answering. */
const MAX_EARLY_ANSWERS = 8;

/** Sends the request and reads the answer. Rejects with NotSentError, a BridgeError or the error of the connection. */
export function exchange(wire: Wire): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { signal, url, body } = wire;
    const request = open(wire);
    let sent = false;
    let early = 0;
    // A request that waits for a connection would only say so once it has one.
    const onAbort = (): void => fail(BridgeError.from(signal.reason, 'CANCELLED'));
    const leave = (): void => signal.removeEventListener('abort', onAbort);
    const fail = (error: Error): void => {
      leave();
      request.destroy();
      reject(sent ? error : notSent(error));
    };
    // The rest of what was asked for is let go of without being read.
    const finish = (answer: Answer): void => {
      leave();
      if (answer.cut) request.destroy();
      resolve(answer);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const onSent = (): void => {
      sent = true;
    };
    request.on('socket', (socket) => {
      if (!request.reusedSocket) socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', onSent);
      else if (!wire.repeatable) onSent();
    });
    request.on('error', fail);
    request.on('information', () => {
      early += 1;
      if (early > MAX_EARLY_ANSWERS) fail(failed('the service sent no end of preliminary answers'));
    });
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      fail(failed('the service wanted another protocol'));
    });
    request.on('response', (response) => {
      onSent();
      read(response, wire, finish, fail);
    });
    if (signal.aborted) onAbort();
    else request.end(body);
  });
}

function open({ agent, method, url, headers, body }: Wire): http.ClientRequest {
  const { request } = url.protocol === 'https:' ? https : http;
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return request(url, {
    agent,
    method,
    headers: { ...headers, ...length },
    maxHeaderSize: MAX_HEADER_BYTES,
    insecureHTTPParser: false,
  });
}

function read(
  response: http.IncomingMessage,
  { method, maxBytes }: Wire,
  finish: (answer: Answer) => void,
  fail: (error: Error) => void,
): void {
  const { statusCode: status = 0, headers } = response;
  response.on('error', fail);
  const problem = headProblem(response);
  if (problem !== undefined) {
    fail(problem);
    return;
  }
  const answer = { status, contentType: headers['content-type'] ?? '', location: headers.location };
  // Nobody needs what is written on a signpost.
  if (status >= 300 && status < 400) {
    finish({ ...answer, body: Buffer.alloc(0), cut: method !== 'HEAD' });
    return;
  }
  const chunks: Buffer[] = [];
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    chunks.push(chunk);
    if (length <= maxBytes) return;
    response.removeAllListeners('data');
    finish({ ...answer, body: Buffer.concat(chunks, maxBytes), cut: true });
  });
  response.on('end', () => finish({ ...answer, body: Buffer.concat(chunks), cut: false }));
}

function headProblem({ headers, rawHeaders }: http.IncomingMessage): Error | undefined {
  if (rawHeaders.length / 2 > MAX_HEADERS) return failed('the service answered with too many headers');
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  // A compressed answer can be a thousand times as long as it looks.
  if (coding !== '' && coding !== 'identity') {
    return failed('the service answered compressed, although it was asked not to');
  }
  return undefined;
}

function notSent(error: Error): Error {
  // A refused address is refused again; a certificate does not get better.
  const again = !(error instanceof BridgeError) && !isCertificateError(error);
  return new NotSentError(error, again);
}

function isCertificateError(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return /CERT|TLS|SSL|UNABLE_TO/.test(code);
}

function failed(message: string): BridgeError {
  return new BridgeError('TOOL_FAILED', message);
}
