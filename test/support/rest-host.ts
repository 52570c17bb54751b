import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A carrier's REST host on a real socket, with a script of answers. */

export type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** A request as it came. */
export interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Answers with this status and body; text goes out as it is, anything else as JSON. */
export function answers(status: number, body: unknown = {}): Answering {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** Gives no answer: the connection is gone. */
export const breaks: Answering = (request) => {
  request.socket.destroy();
};

/** Answers with `script` in turn, the last one again and again. Must be called within a test, which ends it. */
export async function restHost(...script: Answering[]) {
  const seen: Seen[] = [];
  const server = createServer((incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8');
    incoming.on('data', (piece: string) => {
      body += piece;
    });
    incoming.on('end', () => {
      seen.push({ method: incoming.method, url: incoming.url, headers: incoming.headers, body });
      script[Math.min(seen.length, script.length) - 1]?.(incoming, response);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { seen, baseUrl: `http://127.0.0.1:${port}`, server };
}
