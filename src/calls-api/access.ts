import { createHash, timingSafeEqual } from 'node:crypto';

/** What a request's `Authorization` header is worth; `not-set`: there is no token that it could be compared with. */
export type Access = 'granted' | 'missing' | 'wrong' | 'not-set';

/** Compares `Authorization` headers with the bearer token of operators, in a time that tells nothing about it. */
export function createTokenCheck(token: string | undefined): (header: string | undefined) => Access {
  if (token === undefined) return () => 'not-set';
  const wanted = digest(token);
  return (header) => {
    // By the standard the word may be written in any case.
    const found = /^Bearer +(\S.*)$/i.exec(header ?? '')?.[1];
    if (found === undefined) return 'missing';
    return timingSafeEqual(digest(found.trimEnd()), wanted) ? 'granted' : 'wrong';
  };
}

/** Equal in length whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
