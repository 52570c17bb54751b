import { LONGEST_TIMER_MS } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';

/** Checks what a program says of a provider; every method throws BAD_CONFIG, and quotes neither keys nor addresses. */
export interface OptionChecks {
  bad(message: string): BridgeError;
  /** Something that is sent in a header. */
  key(value: string, name?: string): string;
  /** `ws:` or `wss:`, without a fragment. */
  url(value: string): URL;
  /** Milliseconds, `least` or more, up to the longest timer there is. */
  ms(name: string, value: number | undefined, otherwise: number, least?: number): number;
  headers(values: Readonly<Record<string, string>>): Record<string, string>;
}

/** @param provider how messages begin, such as `OpenAI provider` */
export function optionsOf(provider: string): OptionChecks {
  const bad = (message: string): BridgeError => new BridgeError('BAD_CONFIG', `${provider}: ${message}`);
  return {
    bad,
    key(value, name = 'apiKey') {
      if (/^[\x21-\x7e]+$/.test(value)) return value;
      throw bad(`${name} is ${value === '' ? 'empty' : 'not made of printable characters'}, wanted a key`);
    },
    url(value) {
      const url = URL.canParse(value) ? new URL(value) : undefined;
      if (url === undefined) throw bad('baseUrl is not a URL, wanted ws:// or wss://');
      if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
        throw bad(`baseUrl starts with ${url.protocol}//, wanted ws:// or wss://`);
      }
      if (url.hash !== '') throw bad('baseUrl has a fragment (#), wanted none');
      return url;
    },
    ms(name, value, otherwise, least = 0) {
      if (value === undefined) return otherwise;
      if (value > LONGEST_TIMER_MS) {
        throw bad(`${name} is ${value}, wanted milliseconds, ${LONGEST_TIMER_MS} or less`);
      }
      if (Number.isFinite(value) && value >= least) return value;
      throw bad(`${name} is ${value}, wanted milliseconds, ${least} or more`);
    },
    headers(values) {
      for (const [name, value] of Object.entries(values)) {
        if (/^[\w-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value)) continue;
        throw bad(`header ${JSON.stringify(name)} has characters that a header cannot have`);
      }
      return { ...values };
    },
  };
}
