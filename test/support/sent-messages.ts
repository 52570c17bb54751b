import { WebSocket } from 'ws';
import { Kinds } from './published-types.ts';

/** What WebSocket clients of this process send, by whose server it is that they talk to. */
export class SentMessages {
  /** Who has which host: the system gives ports again. */
  readonly #owners = new Map<string, string>();
  readonly #byOwner = new Map<string, Kinds>();
  readonly #send = WebSocket.prototype.send;

  constructor() {
    WebSocket.prototype.send = new Proxy(this.#send, {
      apply: (send, socket: WebSocket, args: unknown[]) => {
        this.#keep(socket, args[0]);
        return Reflect.apply(send, socket, args);
      },
    });
  }

  /** From now on this host is that of `owner`. */
  listen(host: string, owner: string): void {
    this.#owners.set(host, owner);
  }

  /** What was sent by other ways. */
  add(owner: string, messages: readonly unknown[]): void {
    const kinds = this.#byOwner.get(owner) ?? new Kinds();
    this.#byOwner.set(owner, kinds);
    for (const message of messages) kinds.add(message);
  }

  /** One of each kind that was sent to this owner; undefined: nothing was. */
  to(owner: string): Pick<Kinds, 'messages' | 'leftOut'> | undefined {
    return this.#byOwner.get(owner);
  }

  stop(): void {
    WebSocket.prototype.send = this.#send;
  }

  #keep(socket: WebSocket, data: unknown): void {
    // Sockets of servers have no address.
    if (typeof data !== 'string' || !URL.canParse(socket.url)) return;
    const owner = this.#owners.get(new URL(socket.url).host);
    if (owner === undefined) return;
    this.add(owner, [JSON.parse(data)]);
  }
}
