import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { FetchLike, Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/sdk/types.js';
import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import { settleWithin } from '../../settle.ts';
import type { McpAddress } from './address.ts';
import { EventLimit } from './event-limit.ts';
import type { Sdk } from './sdk.ts';

interface HttpOptions {
  readonly address: Extract<McpAddress, { type: 'http' }>;
  readonly clock: Clock;
  readonly sdk: Sdk;
  /** The stream of the server's news was away for a while. */
  readonly onMissedNews: () => void;
}

/** A request that has no answer yet. */
interface OpenRequest {
  readonly giveUp: AbortController;
  /** The stream of its answer can be taken up again from here. */
  resumeAt: string | undefined;
  /** Its answer comes as a stream, which is open when the request is under way. */
  streams: boolean;
  /** Why that stream came to its end. */
  flaw: string;
}

/** In `data` of an answer that stands for one that does not come; the message says why. */
export const NOT_OF_THE_SERVER = 'patchcord: no answer';

/** Why an answer does not come, mostly. */
export const BROKEN_OFF = 'the connection broke off';
const NO_ANSWER = -32_000;
const TOO_LARGE = 'its answer has more than 4 MiB';
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** The SDK tries twice to take up a stream again. */
const LOST_AFTER = 2;
const GOODBYE_MS = 1000;
const NOT_OFFERED = 405;

/**
 * Streamable HTTP: the SDK's transport, watched. It leaves a request waiting when the stream of its answer breaks off,
 * leaves that stream open when the request is cancelled, and gives up the stream of news in silence.
 */
export class HttpTransport implements Transport {
  onmessage: Transport['onmessage'];
  onclose: Transport['onclose'];
  onerror: Transport['onerror'];
  /** Why the connection counts as lost, once it does. */
  ending: string | undefined;
  readonly #options: HttpOptions;
  readonly #inner: StreamableHTTPClientTransport;
  readonly #requests = new Map<RequestId, OpenRequest>();
  /** Where streams stopped whose answers nobody waits for. */
  readonly #unwanted = new Set<string>();
  /** Exchanges that the server can still write to. */
  readonly #exchanges = new Set<AbortController>();
  #hadNews = false;
  #failures = 0;
  #closing: Promise<void> | undefined;

  constructor(options: HttpOptions) {
    const { address, sdk } = options;
    this.#options = options;
    this.#inner = new sdk.StreamableHTTPClientTransport(new URL(address.url), {
      requestInit: { headers: { ...address.headers } },
      fetch: (url, init) => this.#fetch(url, init ?? {}),
    });
    this.#inner.onmessage = (message) => this.#onMessage(message);
    this.#inner.onerror = (error) => this.onerror?.(error);
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion(version);
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (!('method' in message)) return this.#inner.send(message);
    if ('id' in message) return this.#ask(message, message.id);
    try {
      await this.#inner.send(message);
    } finally {
      if (message.method === 'notifications/cancelled') this.#forget(message.params?.['requestId']);
    }
  }

  /** What is under way ends at once; resolves when the server has been told, if it can be told soon. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Only then is `#closing` set for whoever is told.
    await Promise.resolve();
    this.onclose?.();
    for (const exchange of this.#exchanges) exchange.abort();
    if (this.#inner.sessionId !== undefined && this.ending === undefined) {
      await settleWithin(this.#options.clock, GOODBYE_MS, [this.#inner.terminateSession()]);
    }
    await this.#inner.close();
  }

  async #ask(message: JSONRPCMessage, id: RequestId): Promise<void> {
    const request: OpenRequest = {
      giveUp: new AbortController(),
      resumeAt: undefined,
      streams: false,
      flaw: BROKEN_OFF,
    };
    this.#requests.set(id, request);
    this.#exchanges.add(request.giveUp);
    try {
      await this.#inner.send(message, {
        onresumptiontoken: (token) => {
          request.resumeAt = token;
        },
      });
    } catch (error) {
      this.#requests.delete(id);
      throw error;
    } finally {
      if (!request.streams) this.#exchanges.delete(request.giveUp);
    }
  }

  #onMessage(message: JSONRPCMessage): void {
    if (!('method' in message) && message.id !== undefined) this.#requests.delete(message.id);
    this.onmessage?.(message);
  }

  #forget(id: unknown): void {
    const key = typeof id === 'string' || typeof id === 'number' ? id : '';
    const request = this.#requests.get(key);
    if (request === undefined) return;
    this.#requests.delete(key);
    if (request.resumeAt !== undefined) this.#unwanted.add(request.resumeAt);
    request.giveUp.abort();
  }

  async #fetch(url: string | URL, init: RequestInit): ReturnType<FetchLike> {
    if (init.method === 'GET') return this.#listen(url, init);
    const request = init.method === 'POST' ? this.#requestOf(init.body) : undefined;
    if (request === undefined) return fetch(url, init);
    // Not together with the transport's own signal: `close` gives up both, and AbortSignal.any leaks before Node 22.
    const response = await fetch(url, { ...init, signal: request.open.giveUp.signal });
    const { body, headers, status, statusText } = response;
    if (!response.ok) return withoutWords(response);
    if (body === null) return response;
    const bounded = atMost(MAX_ANSWER_BYTES);
    const answer = new Response(bounded.readable, { headers, status, statusText });
    if (!isEventStream(headers)) {
      // Whoever reads the answer sees the error too.
      body.pipeTo(bounded.writable).catch(() => undefined);
      return answer;
    }
    request.open.streams = true;
    const over = (): void => {
      this.#exchanges.delete(request.open.giveUp);
      // What came last is read before the end is acted upon: streams hand on in microtasks.
      setImmediate(() => this.#onStreamOver(request.id));
    };
    body.pipeTo(bounded.writable).then(over, (error: unknown) => {
      request.open.flaw = error instanceof BridgeError ? TOO_LARGE : BROKEN_OFF;
      over();
    });
    return answer;
  }

  #requestOf(body: unknown): { readonly id: RequestId; readonly open: OpenRequest } | undefined {
    const message: unknown = typeof body === 'string' ? JSON.parse(body) : undefined;
    if (typeof message !== 'object' || message === null || !('id' in message)) return undefined;
    const { id } = message;
    if (typeof id !== 'string' && typeof id !== 'number') return undefined;
    const open = this.#requests.get(id);
    return open === undefined ? undefined : { id, open };
  }

  #onStreamOver(id: RequestId): void {
    const request = this.#requests.get(id);
    // One that can be resumed is asked for again by the SDK.
    if (request === undefined || request.resumeAt !== undefined || this.#closing !== undefined) return;
    this.#requests.delete(id);
    const error = { code: NO_ANSWER, message: request.flaw, data: NOT_OF_THE_SERVER };
    this.onmessage?.({ jsonrpc: '2.0', id, error });
  }

  /** The stream of news, or one of an answer that broke off. A server need not have the former. */
  async #listen(url: string | URL, init: RequestInit): Promise<Response> {
    const resumeAt = new Headers(init.headers).get('last-event-id');
    // As if the server had no such stream: the only answer after which the SDK does not try again.
    const quiet = (): Response => new Response(null, { status: NOT_OFFERED });
    if (this.#closing !== undefined || (resumeAt !== null && this.#unwanted.delete(resumeAt))) return quiet();
    try {
      const response = await fetch(url, init);
      if (response.ok) this.#onListening(resumeAt);
      else if (response.status !== NOT_OFFERED) this.#onDeaf(resumeAt, `HTTP ${response.status}`);
      return response.ok ? this.#bounded(response) : response;
    } catch (error) {
      if (this.#closing !== undefined) return quiet();
      this.#onDeaf(resumeAt, 'no connection');
      throw error;
    }
  }

  /** Its end is the server's to choose, but what has to be kept of it is not. */
  #bounded(response: Response): Response {
    const { body, headers, status, statusText } = response;
    if (body === null) return response;
    const events = new EventLimit(MAX_ANSWER_BYTES, () => {
      this.ending ??= 'its stream of news has an event of more than 4 MiB';
      void this.close();
    });
    return new Response(body.pipeThrough(new TransformStream(events)), { headers, status, statusText });
  }

  #onListening(resumeAt: string | null): void {
    this.#failures = 0;
    if (resumeAt !== null) return;
    if (this.#hadNews) this.#options.onMissedNews();
    this.#hadNews = true;
  }

  #onDeaf(resumeAt: string | null, why: string): void {
    if (!this.#hadNews && resumeAt === null) return;
    this.#failures += 1;
    if (this.#failures < LOST_AFTER) return;
    this.ending = `its stream broke off and cannot be taken up again (${why})`;
    void this.close();
  }
}

function isEventStream(headers: Headers): boolean {
  return (headers.get('content-type') ?? '').trimStart().toLowerCase().startsWith('text/event-stream');
}

/** Hands bytes on up to a limit; more is an error. */
function atMost(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.length;
      if (bytes <= maxBytes) controller.enqueue(chunk);
      else controller.error(new BridgeError('TOOL_FAILED', `the service behind this function: ${TOO_LARGE}`));
    },
  });
}

/** A refusal as it is read: by its status. The SDK would wait for all that the server has to say, which may have no end. */
async function withoutWords(response: Response): Promise<Response> {
  const { body, headers, status, statusText } = response;
  if (status < 400 || body === null) return response;
  await body.cancel().catch(() => undefined);
  return new Response(null, { headers, status, statusText });
}
