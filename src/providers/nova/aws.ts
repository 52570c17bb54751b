import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import type { EventStream, StreamChunk, StreamListener } from '../../wire.ts';
import { limitedEvents, limitedRefusal } from './frames.ts';

/** Static keys of an AWS identity that may call `bedrock:InvokeModelWithBidirectionalStream`. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface AwsSettings {
  /** Undefined: from the environment or the profile, as the SDK finds it. */
  readonly region: string | undefined;
  /** Undefined: the service of the region. `http:` is HTTP/2 without TLS. */
  readonly endpoint: string | undefined;
  /** Undefined: the SDK's own chain (environment, profile, container, instance). */
  readonly credentials: AwsCredentials | undefined;
  readonly profile: string | undefined;
  /** Longer than any session: the SDK drops a connection that is idle for so long, and calls that a normal end. */
  readonly idleMs: number;
}

type Sdk = typeof import('@aws-sdk/client-bedrock-runtime');

/** What is known of the socket of one stream, which the SDK keeps to itself. */
class Line {
  #connected: () => void;
  #socket: Socket | undefined;
  networkCode: string | undefined;

  constructor(connected: () => void) {
    this.#connected = connected;
  }

  use(socket: Socket, ready: 'connect' | 'secureConnect'): void {
    this.#socket = socket;
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    socket.once(ready, () => this.#connected());
    socket.once('error', (error: Error & { readonly code?: unknown }) => {
      if (typeof error.code === 'string') this.networkCode = error.code;
    });
  }

  drop(): void {
    this.#socket?.destroy();
  }

  /** What the SDK loads while it works for this stream keeps the line for ever, and must not keep a call with it. */
  release(): void {
    this.#connected = nothing;
    this.#socket = undefined;
  }
}

/** Otherwise it writes to the console that a stream failed, which whoever opened it is told anyway. */
const nothing = (): void => undefined;
const SILENT = Object.freeze({
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
});

const KEEP_ALIVE_MS = 15_000;

/** TLS towards a host that speaks HTTP/2 from the first byte. */
function dial(authority: URL, line: Line | undefined): Socket {
  const host = authority.hostname.replace(/^\[|\]$/g, '');
  const secure = authority.protocol === 'https:';
  const port = authority.port === '' ? (secure ? 443 : 80) : Number(authority.port);
  if (!secure) {
    const socket = connectTcp({ host, port });
    line?.use(socket, 'connect');
    return socket;
  }
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket = connectTls({ host, port, ALPNProtocols: ['h2'], ...servername });
  line?.use(socket, 'secureConnect');
  return socket;
}

/**
 * The AWS SDK, loaded by `prepare` or when the first stream is wanted: it is large, and most bridges never need it. On Node 20 it then
 * warns once that releases from 2027 on want Node 22. That can only be kept quiet by the SDK's own
 * AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED=true, and the environment is not ours to change: docs/providers.md
 * tells whoever runs the service.
 */
export class AwsLink {
  readonly #settings: AwsSettings;
  /**
   * Which stream a connection is dialled for: the SDK shows neither its sockets nor whose they are. All that it hands on is
   * the address, so the name of the stream is put there, in the place of a user that HTTP/2 does not send. AsyncLocalStorage
   * would know as well, and makes every promise of the process dearer, in all calls.
   */
  readonly #lines = new Map<string, Line>();
  #streams = 0;
  #loading: Promise<{ readonly sdk: Sdk; readonly client: BedrockRuntimeClient }> | undefined;
  #closed = false;

  constructor(settings: AwsSettings) {
    this.#settings = settings;
  }

  /** What it dials, for messages. */
  get host(): string {
    const { endpoint, region } = this.#settings;
    if (endpoint !== undefined) return new URL(endpoint).host;
    return region === undefined ? 'Amazon Bedrock' : `bedrock-runtime.${region}.amazonaws.com`;
  }

  /** Asks for a stream at once; what comes of it is told to `listener`. */
  open(modelId: string, body: AsyncIterable<StreamChunk>, listener: StreamListener): EventStream {
    const line = new Line(() => listener.connected());
    const giveUp = new AbortController();
    this.#streams += 1;
    const name = `stream-${this.#streams}`;
    this.#lines.set(name, line);
    const work = this.#run(name, modelId, body, listener, giveUp.signal);
    const ended = (thrown: unknown): void => {
      this.#lines.delete(name);
      line.release();
      listener.ended(thrown, line.networkCode);
    };
    work.then(
      () => ended(undefined),
      (thrown: unknown) => ended(thrown ?? new Error('no reason given')),
    );
    return {
      abort: () => {
        giveUp.abort();
        line.drop();
      },
    };
  }

  /** Loads the SDK before a stream needs it. Never rejects: what cannot be loaded fails where it is needed. */
  async prepare(): Promise<void> {
    if (this.#closed) return;
    await this.#load().catch(() => undefined);
  }

  /** Nothing can be opened afterwards; streams that are open have to be aborted by whoever opened them. */
  close(): void {
    this.#closed = true;
    this.#loading?.then(
      ({ client }) => client.destroy(),
      () => undefined,
    );
  }

  async #run(
    name: string,
    modelId: string,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const { sdk, client } = await this.#load();
    if (this.#closed) throw new Error('the provider was closed');
    abortSignal.throwIfAborted();
    const command = new sdk.InvokeModelWithBidirectionalStreamCommand({ modelId, body });
    // The promise of `send` waits for the first event of the service, which may be a minute away when the caller is
    // silent; this is the one place that sees the head of the answer.
    command.middlewareStack.add(
      (next) => async (args) => {
        nameConnection(args.request, name);
        const output = await next(args);
        if (limit(output.response)) listener.accepted();
        return output;
      },
      { step: 'deserialize', priority: 'low', name: 'patchcordAccepted' },
    );
    const { body: output } = await client.send(command, { abortSignal });
    if (output === undefined) return;
    for await (const item of output) {
      const bytes = item.chunk?.bytes;
      if (bytes !== undefined) listener.received(bytes);
    }
  }

  #load(): Promise<{ readonly sdk: Sdk; readonly client: BedrockRuntimeClient }> {
    this.#loading ??= import('@aws-sdk/client-bedrock-runtime').then((sdk) => ({
      sdk,
      client: this.#makeClient(sdk),
    }));
    return this.#loading;
  }

  #makeClient(sdk: Sdk): BedrockRuntimeClient {
    const { region, endpoint, credentials, profile, idleMs } = this.#settings;
    return new sdk.BedrockRuntimeClient({
      logger: SILENT,
      // Events are signed; a Bedrock API key in the environment, which is for other uses, would be preferred otherwise.
      authSchemePreference: ['sigv4'],
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(profile === undefined ? {} : { profile }),
      ...(credentials === undefined ? {} : { credentials: keysOf(credentials) }),
      // The settings of its own HTTP/2 handler, which so need not be a dependency.
      requestHandler: {
        sessionTimeout: idleMs,
        disableConcurrentStreams: true,
        nodeHttp2ConnectOptions: {
          createConnection: (authority: URL) => dial(authority, this.#lines.get(authority.username)),
        },
      },
    });
  }
}

function keysOf({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials) {
  return sessionToken === undefined
    ? { accessKeyId, secretAccessKey }
    : { accessKeyId, secretAccessKey, sessionToken };
}

/** After it was signed, so that nobody at the other end hears of it. */
function nameConnection(request: unknown, name: string): void {
  if (typeof request === 'object' && request !== null) Object.assign(request, { username: name });
}

/** Keeps what the SDK reads of an answer within bounds. True: it is a stream of events. */
function limit(response: unknown): boolean {
  if (typeof response !== 'object' || response === null || !('statusCode' in response)) return false;
  const { statusCode } = response;
  const isSuccess = typeof statusCode === 'number' && statusCode >= 200 && statusCode < 300;
  if ('body' in response && isStream(response.body)) {
    response.body = isSuccess ? limitedEvents(response.body) : limitedRefusal(response.body);
  }
  return isSuccess;
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
