/** Tells a webhook that was recorded and sent again from one that the carrier repeats. */
interface NonceCache {
  /** True when this nonce was used already for something else, or for the same thing too long ago. Remembers it. */
  isReplay(nonce: string, fingerprint: string): boolean;
}

/** How long a nonce is remembered. */
const KEEP_MS = 600_000;
/** Plivo gives a callback up after 55 s, repetitions included. */
const RETRY_MS = 60_000;
const CAPACITY = 20_000;

/**
 * Remembers the nonces of the last ten minutes, at most `capacity` of them; `epochMs` gives milliseconds since 1970.
 *
 * Plivo repeats a webhook whose answer got lost, and does not say whether with a new nonce. Refusing that repetition
 * would end a live call, so the same request is let through for as long as Plivo may repeat it; it is then the same
 * call to those who get it. The same nonce with other contents is refused at any time: names and values are glued
 * together before they are signed, so a signature that was overheard fits other fields too.
 */
export function createNonceCache(epochMs: () => number, capacity = CAPACITY): NonceCache {
  const seen = new Map<string, { readonly fingerprint: string; readonly at: number }>();

  const forgetOld = (now: number): void => {
    // In order of arrival: the first one that is young enough ends the search.
    for (const [nonce, { at }] of seen) {
      if (now - at <= KEEP_MS && seen.size < capacity) return;
      seen.delete(nonce);
    }
  };

  return {
    isReplay(nonce, fingerprint) {
      const now = epochMs();
      const known = seen.get(nonce);
      if (known !== undefined && now - known.at <= KEEP_MS) {
        return known.fingerprint !== fingerprint || now - known.at > RETRY_MS;
      }
      seen.delete(nonce);
      forgetOld(now);
      seen.set(nonce, { fingerprint, at: now });
      return false;
    },
  };
}
