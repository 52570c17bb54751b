import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { CallHandle, RestExchange, RestReply, RestRequest, RestRules } from './carrier-sim.ts';
import type { RestFaults } from './faults.ts';
import { pause } from './pause.ts';

/** The carrier's REST interface for the calls of one exchange, on 127.0.0.1. */
export interface RestStub extends AsyncDisposable {
  /** `http://127.0.0.1:port`, to be used in the place of the carrier's host. */
  readonly baseUrl: string;
}

interface RestContext {
  readonly clock: Clock;
  readonly rules: RestRules;
  readonly exchange: RestExchange;
  readonly signal: AbortSignal;
  /** Of requests about no call. */
  readonly faults: RestFaults;
  /** How many requests named each call, or none. */
  readonly counts: WeakMap<CallHandle | RestExchange, number>;
}

/** Starts the interface. */
export async function startRest(
  clock: Clock,
  rules: RestRules,
  exchange: Omit<RestExchange, 'baseUrl'>,
  faults: RestFaults = {},
  port = 0,
): Promise<RestStub> {
  const closing = new AbortController();
  let context: RestContext | undefined;
  const server = createServer((request, response) => {
    if (context === undefined) return;
    handle(request, context).then(
      (reply) => write(response, reply),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new BridgeError('INTERNAL', 'the REST stub has no port');
  }
  const baseUrl = `http://127.0.0.1:${address.port}`;
  context = {
    clock,
    rules,
    exchange: { ...exchange, baseUrl },
    signal: closing.signal,
    faults,
    counts: new WeakMap(),
  };
  return {
    baseUrl,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(incoming: IncomingMessage, context: RestContext): Promise<RestReply> {
  const { rules, exchange } = context;
  const request = await readRequest(incoming);
  const callId = rules.callId(request);
  const call = callId === undefined ? undefined : exchange.find(callId);
  const serve = (): RestReply | Promise<RestReply> => rules.serve(request, call, exchange);
  if (call === undefined) return await withFaults(exchange, context.faults, context, serve);
  const reply = await withFaults(call, call.faults.rest, context, serve);
  const operation = `${request.method} ${request.path} ${request.body}`.trim();
  call.log.add({ type: 'rest', operation, status: reply.status });
  return reply;
}

async function withFaults(
  about: CallHandle | RestExchange,
  { status, times = Number.POSITIVE_INFINITY, delayMs = 0 }: RestFaults,
  { clock, counts, signal, rules }: RestContext,
  serve: () => RestReply | Promise<RestReply>,
): Promise<RestReply> {
  const count = (counts.get(about) ?? 0) + 1;
  counts.set(about, count);
  await pause(clock, delayMs, signal);
  return status !== undefined && count <= times ? rules.fault(status) : await serve();
}

async function readRequest(incoming: IncomingMessage): Promise<RestRequest> {
  const url = new URL(incoming.url ?? '/', 'http://localhost');
  return {
    method: incoming.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body: await readBody(incoming),
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece as Uint8Array));
  return Buffer.concat(pieces).toString('utf8');
}

function write(response: ServerResponse, reply: RestReply): void {
  const headers: Record<string, string> = { connection: 'close' };
  // Files, such as recordings, are bytes and bring their own type.
  const body = reply.body instanceof Uint8Array ? reply.body : JSON.stringify(reply.body);
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (reply.status === 429) headers['retry-after'] = '1';
  response.writeHead(reply.status, { ...headers, ...reply.headers });
  response.end(body);
}
