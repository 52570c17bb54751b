import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { RestFaults } from './faults.ts';
import { pause } from './pause.ts';

/** What the REST interface may do to a call. */
export interface RestTarget {
  readonly accountSid: string;
  readonly authToken: string;
  readonly callSid: string;
  readonly isOver: boolean;
  /** As in `CallStatus`. */
  readonly status: string;
  readonly faults: RestFaults;
  /** How many requests have named this call, this one included. */
  count(): number;
  answered(operation: string, status: number): void;
  hangUp(): void;
  replaceDocument(
    what: { readonly twiml: string } | { readonly url: string; readonly method: 'GET' | 'POST' },
  ): void;
}

/** Twilio's REST interface for the calls of one exchange, on 127.0.0.1. */
export interface RestStub extends AsyncDisposable {
  /** `http://127.0.0.1:port`, to be used in the place of `https://api.twilio.com`. */
  readonly baseUrl: string;
}

interface RestContext {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  find(callSid: string): RestTarget | undefined;
}

interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const CALL_PATH = /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})\/Calls\/(CA[0-9a-f]{32})\.json$/;

const FAULT_CODES: Readonly<Record<number, readonly [number, string]>> = {
  400: [21220, 'Call is not in-progress. Cannot redirect.'],
  404: [20404, 'The requested resource was not found'],
  429: [20429, 'Too Many Requests'],
  500: [20500, 'An internal server error has occurred'],
  503: [20503, 'Service unavailable'],
};

/** Starts the interface; `find` gives the call with a CallSid. */
export async function startRest(
  clock: Clock,
  find: (callSid: string) => RestTarget | undefined,
): Promise<RestStub> {
  const closing = new AbortController();
  const context = { clock, find, signal: closing.signal };
  const server = createServer((request, response) => {
    handle(request, context).then(
      (reply) => write(response, reply),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new BridgeError('INTERNAL', 'the REST stub has no port');
  }
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(request: IncomingMessage, context: RestContext): Promise<Reply> {
  const { clock, find } = context;
  const form = new URLSearchParams(await readBody(request));
  const match = CALL_PATH.exec(new URL(request.url ?? '/', 'http://localhost').pathname);
  const target = match?.[2] === undefined ? undefined : find(match[2]);
  if (target === undefined || match?.[1] !== target.accountSid) return fault(404);
  const operation = `${request.method} ${form.toString()}`;
  const count = target.count();
  const { status, times = Number.POSITIVE_INFINITY, delayMs = 0 } = target.faults;
  await pause(clock, delayMs, context.signal);
  const isFaulty = status !== undefined && count <= times;
  const reply = isFaulty ? fault(status) : perform(request, form, target);
  target.answered(operation, reply.status);
  return reply;
}

function perform(request: IncomingMessage, form: URLSearchParams, target: RestTarget): Reply {
  const { authorization } = request.headers;
  const wanted = `Basic ${Buffer.from(`${target.accountSid}:${target.authToken}`).toString('base64')}`;
  if (authorization !== wanted) return error(401, 20003, 'Authenticate');
  if (request.method === 'GET') return describe(target);
  if (request.method !== 'POST') return error(405, 20004, 'Method not allowed');
  return update(form, target);
}

function update(form: URLSearchParams, target: RestTarget): Reply {
  const twiml = form.get('Twiml');
  const url = form.get('Url');
  const status = form.get('Status');
  if (target.isOver) return fault(400);
  if (twiml !== null && twiml.length > 4000) return error(400, 21218, 'Twiml is longer than 4000 characters');
  if (status === 'completed') target.hangUp();
  else if (twiml !== null) target.replaceDocument({ twiml });
  else if (url !== null) {
    target.replaceDocument({ url, method: form.get('Method') === 'GET' ? 'GET' : 'POST' });
  } else return error(400, 20001, 'Status, Twiml or Url is needed');
  return describe(target);
}

function describe(target: RestTarget): Reply {
  const { accountSid, callSid, status } = target;
  return {
    status: 200,
    body: {
      sid: callSid,
      account_sid: accountSid,
      api_version: '2010-04-01',
      status,
      uri: `/2010-04-01/Accounts/${accountSid}/Calls/${callSid}.json`,
    },
  };
}

function fault(status: number): Reply {
  const [code, message] = FAULT_CODES[status] ?? [20500, 'An internal server error has occurred'];
  return error(status, code, message);
}

function error(status: number, code: number, message: string): Reply {
  const more_info = `https://www.twilio.com/docs/errors/${code}`;
  return { status, body: { code, message, more_info, status } };
}

function write(response: ServerResponse, reply: Reply): void {
  const headers: Record<string, string> = { 'content-type': 'application/json', connection: 'close' };
  if (reply.status === 429) headers['retry-after'] = '1';
  response.writeHead(reply.status, headers);
  response.end(JSON.stringify(reply.body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece as Uint8Array));
  return Buffer.concat(pieces).toString('utf8');
}
