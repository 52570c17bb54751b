import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { onTestFinished } from 'vitest';
import type { Cancel } from '../../src/clock.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Whoever receives webhooks, on a real socket and with the reference library. */

export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=';

/** Virtual time that begins now, as the reference library wants it. */
export class HookClock extends VirtualClock {
  #start = Date.now();
  readonly #set: number[] = [];
  #waiting: { readonly ms: number; readonly resolve: () => void } | undefined;

  override epoch(): number {
    return this.#start + this.now();
  }

  /** Somebody sets the wall clock forward, or back; no time passes. */
  set(byMs: number): void {
    this.#start += byMs;
  }

  override after(ms: number, run: () => void): Cancel {
    const cancel = super.after(ms, run);
    this.#set.push(ms);
    this.#tell();
    return cancel;
  }

  /** Resolves when a timer of so many ms was set, each counting once: nothing but time is waited for then. */
  async timerOf(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting = { ms, resolve };
      this.#tell();
    });
  }

  #tell(): void {
    const at = this.#set.indexOf(this.#waiting?.ms ?? Number.NaN);
    if (at < 0) return;
    this.#set.splice(at, 1);
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}

export interface ReceivedHook {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly response: ServerResponse;
}

export type Answering = (hook: ReceivedHook) => void;

/** Answers with this status; text goes out as it is, anything else as JSON. */
export function answering(
  status: number,
  body: unknown = '',
  headers: Readonly<Record<string, string>> = {},
): Answering {
  return ({ response }) => {
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** The connection is gone without an answer. */
export const breaking: Answering = ({ response }) => response.socket?.destroy();

/** No answer comes; the request stays open. */
export const hanging: Answering = () => undefined;

/** Answers with `script` in turn, the last one again and again. Must be called within a test, which ends it. */
export async function hookReceiver(...script: Answering[]) {
  const received: ReceivedHook[] = [];
  const waiting: { readonly count: number; readonly resolve: (hook: ReceivedHook) => void }[] = [];
  let script_ = script;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (piece: string) => {
      body += piece;
    });
    request.on('end', () => {
      const hook = { path: request.url, headers: request.headers, body, response };
      received.push(hook);
      script_[Math.min(received.length, script_.length) - 1]?.(hook);
      for (const one of waiting) if (one.count === received.length) one.resolve(hook);
    });
  });
  const listen = (port: number): Promise<void> =>
    new Promise((done, fail) => server.once('error', fail).listen(port, '127.0.0.1', done));
  const shut = (): void => {
    server.closeAllConnections();
    server.close();
  };
  await listen(0);
  onTestFinished(shut);
  const { port } = server.address() as AddressInfo;
  return {
    received,
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/hook`,
    /** The request of this number, counted from 1, once it is complete. */
    nth(count: number): Promise<ReceivedHook> {
      const known = received[count - 1];
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve) => waiting.push({ count, resolve }));
    },
    /** From now on every request is answered so. */
    answer(answer: Answering): void {
      script_ = [answer];
    },
    shut,
    reopen: () => listen(port),
  };
}

/** What the reference library makes of a webhook; throws when it does not accept it. */
export function verified({ headers, body }: ReceivedHook, secret = SECRET): unknown {
  return new Webhook(secret).verify(body, headers as Record<string, string>);
}
