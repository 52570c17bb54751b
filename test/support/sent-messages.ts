import { WebSocket } from 'ws';
import { oneOfEach } from './published-types.ts';

/** Everything that WebSocket clients of this process send, by the host that they talk to. */
export class SentMessages {
  readonly #byHost = new Map<string, unknown[]>();
  readonly #send = WebSocket.prototype.send;

  constructor() {
    const send = this.#send;
    const keep = (socket: WebSocket, data: unknown): void => this.#keep(socket, data);
    WebSocket.prototype.send = function (this: WebSocket, ...args: Parameters<typeof send>) {
      keep(this, args[0]);
      send.apply(this, args);
    };
  }

  /** One of each shape that was sent to any of these hosts. */
  to(hosts: readonly string[]): unknown[] {
    return hosts.flatMap((host) => this.#byHost.get(host) ?? []);
  }

  stop(): void {
    WebSocket.prototype.send = this.#send;
  }

  #keep(socket: WebSocket, data: unknown): void {
    // Sockets of servers have no address.
    if (typeof data !== 'string' || !URL.canParse(socket.url)) return;
    const { host } = new URL(socket.url);
    this.#byHost.set(host, oneOfEach([...(this.#byHost.get(host) ?? []), JSON.parse(data)]));
  }
}
