/**
 * The newest secret of each webhook address. Deliveries outlive processes and settings and are signed when they are
 * sent, so secrets are looked up here and never lie on the disk.
 */
export class HookSecrets {
  readonly #byUrl = new Map<string, string>();

  /** To be told of every webhook when settings are read, also again; the last word on an address counts. */
  learn(hook: { readonly url: string; readonly secret: string }): void {
    this.#byUrl.set(hook.url, hook.secret);
  }

  /** An address that was configured once keeps its secret for as long as the process lives. */
  secretFor(url: string): string | undefined {
    return this.#byUrl.get(url);
  }
}
