import { assertNever, type BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { ProviderEvent } from './provider.ts';

/** Events about the session with the provider, not about what is said in it. */
export type ProviderNews = Extract<
  ProviderEvent,
  { type: 'usage' | 'expiring' | 'resumable' | 'warning' | 'error' | 'closed' }
>;

/** Puts down what a provider says of its session; `onLost`: it cannot go on. */
export function onProviderNews(
  event: ProviderNews,
  log: Log,
  counts: { providerErrors: number },
  onLost: (error: BridgeError | undefined) => void,
): void {
  switch (event.type) {
    case 'usage':
      log.debug({ usage: event.usage }, 'provider usage');
      break;
    case 'expiring':
      log.warn({ inMs: event.inMs }, 'provider session is about to expire');
      break;
    case 'resumable':
      break;
    case 'warning':
      log.warn({ code: event.code, pii: { detail: event.message } }, 'provider warning');
      break;
    case 'error':
      counts.providerErrors += 1;
      // A fatal one is logged by whoever ends the call for it.
      if (event.fatal) onLost(event.error);
      else log.error({ code: event.error.code, pii: { detail: event.error.message } }, 'provider error');
      break;
    case 'closed':
      // The end of the call is not listened to any more, so this is not it.
      onLost(event.error);
      break;
    default:
      assertNever(event);
  }
}
