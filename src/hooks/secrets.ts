/** Where a webhook goes, and what signs it there. */
interface Signed {
  readonly url: string;
  readonly secret: string;
}

/** Reports of calls that were up while their address was taken out of the settings, and have not arrived: few. */
const MOST_LENT = 1000;

/**
 * The secrets of the end webhooks that are in force. Deliveries outlive processes and settings and are signed when they
 * are sent, so secrets are looked up here and never lie on the disk.
 */
export class HookSecrets {
  #byUrl: ReadonlyMap<string, string> = new Map();
  readonly #byDelivery = new Map<string, Signed>();

  /** To be told of all end webhooks whenever settings are read: an address that is not among them gets nothing more. */
  replace(hooks: readonly Signed[]): void {
    this.#byUrl = new Map(hooks.map(({ url, secret }) => [url, secret]));
  }

  /** A call has ended that began under other settings: its own report still goes where they say. */
  lend(id: string, { url, secret }: Signed): void {
    if (this.#byUrl.has(url)) return;
    this.#byDelivery.set(id, { url, secret });
    const [oldest] = this.#byDelivery.keys();
    if (this.#byDelivery.size > MOST_LENT && oldest !== undefined) this.#byDelivery.delete(oldest);
  }

  /** The newest secret for this delivery; undefined: its address is not in the settings any more. */
  secretFor(url: string, id: string): string | undefined {
    const lent = this.#byDelivery.get(id);
    return this.#byUrl.get(url) ?? (lent?.url === url ? lent.secret : undefined);
  }
}
