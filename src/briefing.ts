import type { ProviderSession } from './provider.ts';

/** What the model has to be told that only the bridge knows; it then speaks. Kept until there is a provider. */
export class Briefing {
  /** What it is told of a stream that went away while it spoke, when the next one is there. */
  cutBy: string | undefined;
  readonly #waiting: string[] = [];
  #provider: ProviderSession | undefined;

  connect(provider: ProviderSession): void {
    this.#provider = provider;
    for (const text of this.#waiting.splice(0)) this.tell(text);
  }

  /** What is to be told waits for the next one. */
  disconnect(): void {
    this.#provider = undefined;
  }

  tell(text: string): void {
    if (this.#provider === undefined) this.#waiting.push(text);
    else this.#provider.sendText(text, { role: 'system', respond: true });
  }
}
