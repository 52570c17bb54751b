/**
 * What Telnyx keeps for us with a leg and gives back in every webhook of it, so that webhooks can be understood without
 * memory, also by a process that was started in the meantime:
 * - `ref`: of the request that placed the call.
 * - `agent`: who has the call, from its first stream on.
 * - `of`: the leg itself, because news of recordings name the leg by another id.
 * - `transferOf`: this leg is the other end of a transfer of that one.
 * - `announce`, `language`: what the other end is told before it is connected.
 * - `stage`: of such a transfer: `told`, `bridged`; of a message that is left: `message` while it is asked for (`maxS`:
 *   how long it may be), `recording` while it is spoken.
 */
export type ClientState = Readonly<Record<string, string>>;

/** The base64 that Telnyx wants. Members that are undefined are left out; undefined when nothing is left. */
export function writeClientState(state: Readonly<Record<string, string | undefined>>): string | undefined {
  const text = JSON.stringify(state);
  return text === '{}' ? undefined : Buffer.from(text).toString('base64');
}

/** What was written; empty for anything that was not written here. */
export function readClientState(value: unknown): ClientState {
  if (typeof value !== 'string') return {};
  try {
    const state: unknown = JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
    if (typeof state !== 'object' || state === null || Array.isArray(state)) return {};
    const texts = Object.entries(state).filter(([, text]) => typeof text === 'string' && text !== '');
    return Object.fromEntries(texts);
  } catch {
    return {};
  }
}
