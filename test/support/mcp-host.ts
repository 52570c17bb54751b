import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { type CallToolResult, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';

interface HostOptions {
  /** Answers are plain JSON instead of streams. */
  readonly json?: boolean;
  /** Streams can be taken up again where they broke off. */
  readonly resumable?: boolean;
  /** There is no stream of news. */
  readonly silent?: boolean;
  /** Takes the place of the listing. */
  readonly pages?: readonly (readonly unknown[])[];
  readonly port?: number;
}

interface HostRefusal {
  readonly methods: string;
  readonly status: number | 'hang';
  readonly to?: string;
  /** What it says about it never comes to its end. */
  readonly endless?: boolean;
}

interface Session {
  readonly server: McpServer;
  readonly transport: StreamableHTTPServerTransport;
}

interface SeenRequest {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** An MCP server on a port, made with the official SDK, whose faults are switched on by the test. */
export class McpHost implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly sessions = new Map<string, Session>();
  /** Answers that are not complete. */
  readonly open = new Set<{ readonly method: string; readonly res: ServerResponse }>();
  /** What functions have seen. */
  readonly notes: string[] = [];
  /** Answers every request of these methods with a status; `hang`: never. */
  refuse: HostRefusal | undefined;
  readonly #options: HostOptions;
  readonly #http: Server;
  readonly #waiting = new Set<() => void>();
  readonly #learnt: string[] = [];
  #unknown = 404;
  readonly #gates = new Set<() => void>();

  private constructor(options: HostOptions) {
    this.#options = options;
    this.#http = createServer((req, res) => {
      this.#serve(req, res).catch((error: unknown) =>
        res.destroy(error instanceof Error ? error : undefined),
      );
    });
  }

  static start(options: HostOptions = {}): Promise<McpHost> {
    const host = new McpHost(options);
    return new Promise((resolve) => host.#http.listen(options.port ?? 0, '127.0.0.1', () => resolve(host)));
  }

  get port(): number {
    const address = this.#http.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  /** The stream of news is open, and no other. */
  get isListened(): boolean {
    const [one, ...others] = this.open;
    return one?.method === 'GET' && one.res.headersSent && others.length === 0;
  }

  /** Resolves when something is so that changes with requests, answers or notes. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Lets the calls of `gate` come to their end. */
  release(): void {
    for (const open of this.#gates) open();
    this.#gates.clear();
  }

  /** Tears the connections of all answers to this method that are not complete. */
  cut(method: string): void {
    for (const one of this.open) if (one.method === method) one.res.destroy();
  }

  /** Everyone learns of a new function. */
  learn(name: string): void {
    for (const { server } of this.sessions.values()) this.#teach(server, name);
    this.#learnt.push(name);
  }

  /** Answers as one that does not know the session, which goes on where it is. */
  forget(id: string, status: number): void {
    this.sessions.delete(id);
    this.#unknown = status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    for (const { server } of this.sessions.values()) await server.close();
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const method = req.method ?? '';
    const entry = { method, res };
    this.open.add(entry);
    res.on('close', () => {
      this.open.delete(entry);
      this.#changed();
    });
    let body = '';
    for await (const chunk of req) body += String(chunk);
    this.requests.push({ method, headers: req.headers, body });
    this.#changed();
    await this.#answer(req, res, body);
  }

  async #answer(req: IncomingMessage, res: ServerResponse, body: string): Promise<void> {
    const { refuse } = this;
    if (refuse?.methods.includes(req.method ?? '')) {
      sendRefusal(res, refuse);
      return;
    }
    if (req.method === 'GET' && this.#options.silent) {
      res.writeHead(405).end();
      return;
    }
    const id = req.headers['mcp-session-id'];
    const session = id === undefined ? await this.#welcome() : this.sessions.get(String(id));
    if (session === undefined) res.writeHead(this.#unknown).end();
    else await session.transport.handleRequest(req, res, body === '' ? undefined : JSON.parse(body));
  }

  async #welcome(): Promise<Session> {
    const server = new McpServer({ name: 'host', version: '1' });
    this.#functions(server);
    for (const name of this.#learnt) this.#teach(server, name);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: this.#options.json ?? false,
      retryInterval: 20,
      ...(this.#options.resumable && { eventStore: new InMemoryEventStore() }),
      onsessioninitialized: (id) => {
        this.sessions.set(id, session);
      },
      onsessionclosed: (id) => {
        this.sessions.delete(id);
        this.#changed();
      },
    });
    const session = { server, transport };
    // Their types leave out that these may be undefined.
    await server.connect(transport as Parameters<McpServer['connect']>[0]);
    return session;
  }

  #functions(server: McpServer): void {
    server.registerTool(
      'greet',
      { description: 'Greets.', inputSchema: { name: z.string() } },
      ({ name }): CallToolResult => says(`Hello ${name}`),
    );
    server.registerTool('meta', { description: 'What came with the call.' }, ({ _meta }): CallToolResult => {
      return { content: [], structuredContent: { ..._meta } };
    });
    server.registerTool('wait', { description: 'Has no end.' }, ({ signal }) => {
      this.#note('waiting');
      return new Promise<CallToolResult>(() =>
        signal.addEventListener('abort', () => this.#note('cancelled')),
      );
    });
    server.registerTool('gate', { description: 'Waits for the test.' }, async ({ closeSSEStream }) => {
      // Only where the client can take the stream up again is there such a thing.
      closeSSEStream?.();
      this.#note('at the gate');
      await new Promise<void>((resolve) => this.#gates.add(resolve));
      return says('through');
    });
    server.registerTool('flood', { description: 'Says too much.' }, () => says('x'.repeat(5_000_000)));
    const { pages } = this.#options;
    if (pages === undefined) return;
    server.server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
      const page = Number(params?.cursor ?? 0);
      const nextCursor = page + 1 < pages.length ? String(page + 1) : undefined;
      return { tools: [...(pages[page] ?? [])], ...(nextCursor !== undefined && { nextCursor }) };
    });
  }

  #teach(server: McpServer, name: string): void {
    server.registerTool(name, { description: name }, () => says(name));
  }

  #note(text: string): void {
    this.notes.push(text);
    this.#changed();
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }
}

function says(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}

function sendRefusal(res: ServerResponse, { status, to, endless = false }: HostRefusal): void {
  if (status === 'hang') return;
  res.writeHead(status, to === undefined ? {} : { location: to });
  if (endless) res.write('nothing to see');
  else res.end('nothing to see');
}
