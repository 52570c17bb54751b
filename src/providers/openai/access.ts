import { type Clock, deadline } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import { abortError, type Scrub, scrubber } from '../common/network.ts';
import type { OptionChecks } from '../common/options.ts';

/** How a server is shown who calls, and how that is kept out of messages. */
export interface Ticket {
  readonly headers: Readonly<Record<string, string>>;
  readonly scrub: Scrub;
}

/** The same for every session, or got for each, such as a token that does not last. */
export type Access = Ticket | (() => Promise<Ticket>);

/** An access token, or what gets one that is still good. */
export type Token = string | (() => Promise<string>);

/** Header by which a key travels. */
export type KeyHeader = 'bearer' | 'api-key' | 'basic';

function keyHeader(kind: KeyHeader, key: string): Record<string, string> {
  switch (kind) {
    case 'bearer':
      return { Authorization: `Bearer ${key}` };
    case 'basic':
      return { Authorization: `Basic ${key}` };
    case 'api-key':
      return { 'api-key': key };
  }
}

/** Access by a key; `others` are further headers. Throws BAD_CONFIG for what cannot be sent in a header. */
export function keyAccess(
  check: OptionChecks,
  kind: KeyHeader,
  key: string,
  others: Readonly<Record<string, string>> = {},
): Ticket {
  const checked = check.key(key);
  return { headers: check.headers({ ...keyHeader(kind, checked), ...others }), scrub: scrubber(checked) };
}

/** Access by a token, which goes as a bearer. Throws BAD_CONFIG for what cannot be sent in a header. */
export function tokenAccess(
  check: OptionChecks,
  token: Token,
  others: Readonly<Record<string, string>> = {},
): Access {
  const ticket = (text: string): Ticket => {
    const checked = check.key(text, 'token');
    return {
      headers: check.headers({ ...keyHeader('bearer', checked), ...others }),
      scrub: scrubber(checked),
    };
  };
  if (typeof token === 'string') return ticket(token);
  check.headers(others);
  return async () => ticket(await token());
}

/** Gets a ticket in time. Rejects with PROVIDER_AUTH, TIMEOUT or CANCELLED; whatever a late one says is not heard. */
export async function admit(
  access: () => Promise<Ticket>,
  clock: Clock,
  withinMs: number,
  signal: AbortSignal,
): Promise<Ticket> {
  if (signal.aborted) throw abortError(signal.reason);
  using limit = deadline(clock, withinMs, 'getting an access token', signal);
  return await new Promise<Ticket>((resolve, reject) => {
    const onAbort = (): void => reject(abortError(limit.signal.reason));
    limit.signal.addEventListener('abort', onAbort, { once: true });
    access().then(resolve, (thrown: unknown) => {
      // What a credential library says of itself may hold the secret it was given.
      const cause = thrown instanceof Error ? thrown.name : typeof thrown;
      reject(new BridgeError('PROVIDER_AUTH', `no access token was to be had (${cause})`));
    });
  });
}
