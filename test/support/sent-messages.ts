import { WebSocket } from 'ws';
import { oneOfEach } from './published-types.ts';

/** Everything that WebSocket clients of this process send, by the host that they talk to. */
export class SentMessages {
  readonly #byHost = new Map<string, unknown[]>();
  readonly #send = WebSocket.prototype.send;

  constructor() {
    WebSocket.prototype.send = new Proxy(this.#send, {
      apply: (send, socket: WebSocket, args: unknown[]) => {
        this.#keep(socket, args[0]);
        return Reflect.apply(send, socket, args);
      },
    });
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
