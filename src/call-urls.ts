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
