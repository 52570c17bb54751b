import { systemNetwork, type WireSocket } from '../../src/wire.ts';
import { Kinds } from './published-types.ts';

/** What those who dial by the network of this machine send, by whose server it is that they talk to. */
export class SentMessages {
  /** Who has which host: the system gives ports again. */
  readonly #owners = new Map<string, string>();
  readonly #byOwner = new Map<string, Kinds>();
  readonly #dial = systemNetwork.dial;

  constructor() {
    systemNetwork.dial = (url, options, listener) =>
      this.#watched(url.host, this.#dial.call(systemNetwork, url, options, listener));
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
    systemNetwork.dial = this.#dial;
  }

  #watched(host: string, wire: WireSocket): WireSocket {
    const send = wire.send.bind(wire);
    wire.send = (text, flushed) => {
      const owner = wire.isOpen ? this.#owners.get(host) : undefined;
      if (owner !== undefined) this.add(owner, [JSON.parse(text)]);
      send(text, flushed);
    };
    return wire;
  }
}
