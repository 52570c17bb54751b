import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { WorkerProcess } from './worker-process.ts';

/** A request as far as it was read. */
export interface Incoming {
  readonly request: IncomingMessage;
  /** Of the body, in order. */
  readonly body: Buffer;
  /** There is more of it. */
  readonly isLong: boolean;
}

/** What became of a request that was passed on. */
export type Relayed =
  /** It was answered, or is being answered. */
  | { readonly type: 'answered'; readonly status: number; readonly location: string | undefined }
  /** There was no answer. `sent`: the worker may have read it. */
  | { readonly type: 'failed'; readonly sent: boolean };

/** Of one connection only; what comes after them is said anew. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  // Answered by this side.
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const BODYLESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);
/** Errors of a connection that never was. */
const NOT_THERE: readonly unknown[] = ['ECONNREFUSED', 'ENOENT'];

/** Reads a request to its end, or until it has more than `most` bytes. Rejects when it breaks off. */
export function readRequest(request: IncomingMessage, most: number): Promise<Incoming> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const done = (isLong: boolean): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      resolve({ request, body: Buffer.concat(pieces), isLong });
    };
    const onEnd = (): void => done(false);
    const onData = (piece: Buffer): void => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes <= most) return;
      request.pause();
      done(true);
    };
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('error', reject);
    request.on('close', () => reject(new Error('the request broke off')));
  });
}

/** Passes a request on to a worker as it is, and its answer back; resolves when the answer has begun. Never rejects. */
export function relay(worker: WorkerProcess, incoming: Incoming, response: ServerResponse): Promise<Relayed> {
  const { request, body, isLong } = incoming;
  return new Promise((resolve) => {
    const { socketPath, agent } = worker;
    const { method = 'GET', url: path } = request;
    // Without a length, what has none would be sent in chunks of none.
    const length = isLong || (body.length === 0 && BODYLESS.has(method)) ? undefined : body.length;
    const headers = passedOn(request.rawHeaders, length);
    const upstream = httpRequest({ socketPath, agent, method, path, headers, setHost: false });
    const giveUp = (): void => void upstream.destroy();
    let answered = false;
    upstream.on('response', (answer) => {
      answered = true;
      const status = answer.statusCode ?? 500;
      // Of the answer that is passed on.
      response.sendDate = false;
      response.writeHead(status, answer.statusMessage, passedOn(answer.rawHeaders, undefined));
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
      answer.on('aborted', () => response.destroy());
      resolve({ type: 'answered', status, location: answer.headers.location });
    });
    upstream.on('error', (error: Error & { code?: unknown }) => {
      response.off('close', giveUp);
      if (!answered) resolve({ type: 'failed', sent: !NOT_THERE.includes(error.code) });
    });
    // Whoever has asked is gone.
    response.on('close', giveUp);
    if (body.length > 0) upstream.write(body);
    if (isLong) request.pipe(upstream);
    else upstream.end();
  });
}

/** Headers of one side for the other: names and values in turn. `length`: of a body that is there as a whole. */
function passedOn(raw: readonly string[], length: number | undefined): string[] {
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    const lower = name.toLowerCase();
    if (OF_THE_CONNECTION.has(lower) || (length !== undefined && lower === 'content-length')) continue;
    headers.push(name, value);
  }
  if (length !== undefined) headers.push('Content-Length', String(length));
  return headers;
}
