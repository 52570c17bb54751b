import type { CallUrls, CarrierName } from './carrier.ts';

/** The bridge's public addresses, as carriers are given them. `base` is asked at every use and has no slash at its end. */
export class PublicAddresses {
  readonly #base: () => string;

  constructor(base: () => string) {
    this.#base = base;
  }

  /** Of one call. */
  forCall(carrier: CarrierName, afterToken: string): CallUrls {
    const base = this.#base();
    return {
      afterUrl: `${base}/after/${carrier}/${afterToken}`,
      announceUrl: `${base}/announce/${carrier}/${afterToken}`,
      statusUrl: `${base}/status/${carrier}`,
    };
  }

  streamStatus(carrier: CarrierName): string {
    return `${this.#base()}/stream-status/${carrier}`;
  }

  media(carrier: CarrierName, token: string): string {
    return `${this.#base().replace(/^http/, 'ws')}/media/${carrier}/${token}`;
  }

  /** Of a call that is to be placed: `ref` tells it apart before the carrier has named it. */
  forDial(carrier: CarrierName, ref: string) {
    const at = (route: string): string => `${this.#base()}/${route}/${carrier}?ref=${ref}`;
    return {
      voiceUrl: at('voice'),
      eventsUrl: at('events'),
      statusUrl: at('status'),
      machineUrl: at('machine'),
    };
  }
}

/** Characters of a token that nobody can guess: 192 bits. */
const SECRET_CHARACTERS = 32;

/** Of an after-stream address: it names the agent, so that a process which knows nothing of the call knows whose it is. */
export function afterToken(secret: string, agent: string): string {
  return `${secret}${Buffer.from(agent).toString('base64url')}`;
}

/** The agent whom a token, or an address that ends with one, names; undefined when it names nobody. */
export function agentOfToken(token: string | undefined): string | undefined {
  const named = token === undefined ? '' : readAfter(token).token.slice(SECRET_CHARACTERS);
  return named === '' ? undefined : Buffer.from(named, 'base64url').toString();
}

/** Of the question that follows the keys which the carrier has pressed. */
export const KEYS_STEP = 'keys';

/**
 * The same addresses, but for the one where the carrier asks what comes next: that one says after what it asks, so that
 * a question which comes twice can be told from the one after it.
 */
export function withStep<T extends CallUrls>(urls: T, step: string): T {
  return { ...urls, afterUrl: `${urls.afterUrl}.${step}` };
}

/** The end of an after-stream address: the call's token, which has no dot, and the step, if it has one. */
export function readAfter(text: string): { readonly token: string; readonly step: string | undefined } {
  const [token = '', step] = text.slice(text.lastIndexOf('/') + 1).split('.', 2);
  return { token, step };
}
