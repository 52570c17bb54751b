import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** The only way to a service: when it goes, the service is gone for whoever is on the other side, as if it was killed. */
export class Gateway implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #target: () => string;
  #port = 0;

  private constructor(target: () => string) {
    this.#target = target;
  }

  /** `target`: the address of the service, asked at every connection. */
  static async open(target: () => string): Promise<Gateway> {
    const gateway = new Gateway(target);
    await gateway.#listen();
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Everything that is open breaks without a word, and nobody answers any more. */
  kill(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  /** Another service listens at the same address. */
  async revive(target: () => string): Promise<void> {
    this.#target = target;
    await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
  }

  async #listen(): Promise<void> {
    const server = createServer((near) => this.#join(near));
    this.#server = server;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  #join(near: Socket): void {
    const far = connect(Number(new URL(this.#target()).port), '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
