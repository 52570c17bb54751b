import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AnswerOf } from '../calls-api/shapes.ts';
import type { Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { settleWithin } from '../settle.ts';
import { webhookRequest } from '../webhook-request.ts';
import { recordName, type Subject, subjectOf } from './call-names.ts';
import { Figures } from './figures.ts';
import type { Pool } from './pool.ts';
import { type Incoming, type Relayed, readRequest, relay } from './relay.ts';
import { callList, readiness } from './summaries.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface FrontDoorOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  readonly maxCalls: number;
}

/** What a worker has answered to a question of this process. */
interface Told {
  readonly worker: WorkerProcess;
  readonly status: number;
  readonly text: string;
  readonly contentType: string;
}

/** More than any of the bodies that workers take; where a call is named further behind, nobody looks for it. */
const MOST_BODY_BYTES = 128 * 1024;
/** How long a worker may take to say how it is. */
const TELL_MS = 2000;
/** Of a list of calls that does not say. */
const LIST_LIMIT = 100;
const CLOSE_GRACE_MS = 500;
/** A worker that has died is seen to be gone by then. */
const GONE_MS = 1000;

/** An order may have been carried out: nobody should give it again without having looked. */
const UNANSWERED: AnswerOf<'Problem'> = {
  error: {
    code: 'INTERNAL',
    message: 'the process that was asked has died before it answered, or there is none',
    retry: false,
  },
};

/** What stands at the port of a service with several workers: gives every request to the one whose matter it is. */
export class FrontDoor {
  readonly http: Server = createServer();
  readonly #options: FrontDoorOptions;
  readonly #figures = new Figures();

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.http.requestTimeout = 15_000;
    this.http.on('request', (request, response) => {
      this.#onRequest(request, response).catch((thrown: unknown) => this.#onFailed(response, thrown));
    });
    this.http.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      this.#onUpgrade(request, socket, head).catch(() => socket.destroy());
    });
  }

  /** A worker is gone: what it counted is kept. */
  gone(worker: WorkerProcess): void {
    this.#figures.drop(worker);
  }

  /** Resolves when nothing is answered any more. */
  async close(): Promise<void> {
    const { http } = this;
    if (!http.listening) return;
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeIdleConnections();
    await settleWithin(this.#options.clock, CLOSE_GRACE_MS, [closed]);
    http.closeAllConnections();
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const own = request.method === 'GET' ? path.toLowerCase().replace(/\/$/, '') : '';
    switch (own) {
      case '/healthz':
        sendJson(response, 200, { status: 'ok' } satisfies AnswerOf<'Alive'>);
        break;
      case '/readyz':
        await this.#readiness(request, response);
        break;
      case '/metrics':
        await this.#metrics(request, response);
        break;
      case '/calls':
        await this.#list(request, response);
        break;
      default:
        await this.#pass(await readRequest(request, MOST_BODY_BYTES), response);
    }
  }

  #onFailed(response: ServerResponse, thrown: unknown): void {
    // Whoever breaks off has nobody to be told.
    if (response.destroyed || response.headersSent) {
      response.destroy();
      return;
    }
    this.#options.log.error({ err: BridgeError.from(thrown) }, 'a request could not be passed on');
    response.writeHead(500).end();
  }

  async #pass(incoming: Incoming, response: ServerResponse): Promise<void> {
    const subject = subjectOf(webhookRequest(incoming.request, incoming.body));
    const { pool, log } = this.#options;
    let worker = await pool.find(subject);
    for (let tries = 0; worker !== undefined && tries < 2; tries += 1) {
      const relayed = await this.#give(worker, subject, incoming, response);
      if (relayed.type === 'answered') return;
      // An order is never given twice, and what was not read to its end cannot be.
      if (relayed.sent && (incoming.isLong || isOrder(incoming.request))) break;
      await settleWithin(this.#options.clock, GONE_MS, [worker.exited]);
      worker = await pool.find(subject, worker);
    }
    if (response.destroyed) return;
    log.error({ kind: subject.kind }, 'no worker could answer a request');
    if (isOrder(incoming.request)) sendJson(response, 500, UNANSWERED);
    else response.writeHead(503, { 'retry-after': '1' }).end();
  }

  async #give(
    worker: WorkerProcess,
    subject: Subject,
    incoming: Incoming,
    response: ServerResponse,
  ): Promise<Relayed> {
    const { pool } = this.#options;
    const claim = pool.claim(worker, subject);
    const relayed = await relay(worker, incoming, response);
    const good = relayed.type === 'answered' && relayed.status >= 200 && relayed.status < 300;
    claim.done(good);
    if (good && relayed.location?.startsWith('/calls/') === true)
      pool.placed(worker, recordName(relayed.location.slice('/calls/'.length)));
    return relayed;
  }

  async #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const subject = subjectOf(webhookRequest(request, new Uint8Array(0)));
    const worker = await this.#options.pool.find(subject);
    if (worker === undefined || !(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    worker.handOver({ socket, bytes: Buffer.concat([asSent(request), head]) });
  }

  async #readiness(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pool, maxCalls } = this.#options;
    const told = await this.#askAll(request);
    const { draining, size, restarts, up } = pool;
    const workers = { wanted: size, up: up.length, restarts };
    const answers = told.map(({ text }) => JSON.parse(text) as unknown);
    const body = readiness(answers, { draining, maxCalls, workers });
    sendJson(response, body.status === 'draining' || body.status === 'starting' ? 503 : 200, body);
  }

  async #metrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const told = await this.#askAll(request);
    const refused = told.find(({ status }) => status !== 200);
    if (refused !== undefined) {
      passBack(response, refused);
      return;
    }
    for (const { worker, text } of told) if (!worker.isGone) this.#figures.take(worker, worker.slot, text);
    const contentType = told[0]?.contentType ?? 'text/plain; version=0.0.4; charset=utf-8';
    response.writeHead(200, { 'content-type': contentType }).end(this.#figures.text(this.#ownFigures()));
  }

  async #list(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const told = await this.#askAll(request);
    const refused = told.find(({ status }) => status !== 200);
    if (refused !== undefined) {
      passBack(response, refused);
      return;
    }
    const limit = new URLSearchParams((request.url ?? '').split('?')[1] ?? '').get('limit') ?? LIST_LIMIT;
    const answers = told.map(({ text }) => JSON.parse(text) as unknown);
    sendJson(response, 200, callList(answers, Number(limit)));
  }

  #ownFigures(): string {
    const { pool } = this.#options;
    const lines = [
      ...figure('workers', 'gauge', 'Worker processes that take requests', [['', pool.up.length]]),
      ...figure('workers_wanted', 'gauge', 'Worker processes that there are to be', [['', pool.size]]),
      ...figure(
        'worker_restarts_total',
        'counter',
        'Worker processes that took the place of one that had died',
        [['', pool.restarts]],
      ),
      ...figure(
        'worker_calls',
        'gauge',
        'Calls of a worker process that are up, ring, or are being asked about',
        pool.up.map(({ slot, calls }) => [`{worker="${slot}"}`, calls]),
      ),
    ];
    return `${lines.join('\n')}\n`;
  }

  /** The same question to every worker. Those that do not answer in time are left out. */
  async #askAll(request: IncomingMessage): Promise<readonly Told[]> {
    const told: Told[] = [];
    const asking = this.#options.pool.up.map(async (worker) => {
      told.push(await askWorker(worker, request));
    });
    await settleWithin(this.#options.clock, TELL_MS, asking);
    return [...told].sort((a, b) => a.worker.slot - b.worker.slot);
  }
}

/** A request as it came, for whoever reads it again. */
function asSent({ method, url, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** What is asked of an operator's call is done once. */
function isOrder({ method, url = '' }: IncomingMessage): boolean {
  return method !== 'GET' && method !== 'HEAD' && /^\/calls(?:[/?]|$)/i.test(url);
}

function askWorker(worker: WorkerProcess, { url, headers }: IncomingMessage): Promise<Told> {
  const { socketPath, agent } = worker;
  const { authorization } = headers;
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...{ socketPath, agent, method: 'GET', path: url, timeout: TELL_MS },
      headers: authorization === undefined ? {} : { authorization },
    });
    request.on('timeout', () => request.destroy());
    request.on('error', reject);
    request.on('response', (answer) => {
      const pieces: Buffer[] = [];
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          worker,
          status: answer.statusCode ?? 500,
          text: Buffer.concat(pieces).toString('utf8'),
          contentType: answer.headers['content-type'] ?? 'application/json; charset=utf-8',
        }),
      );
    });
    request.end();
  });
}

function passBack(response: ServerResponse, { status, text, contentType }: Told): void {
  const header = status === 401 ? { 'www-authenticate': 'Bearer realm="patchcord"' } : {};
  response
    .writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store', ...header })
    .end(text);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
    .end(text);
}

function figure(
  name: string,
  type: string,
  help: string,
  values: readonly (readonly [labels: string, value: number])[],
): string[] {
  const full = `patchcord_${name}`;
  const told = values.map(([labels, value]) => `${full}${labels} ${value}`);
  return ['', `# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...told];
}
