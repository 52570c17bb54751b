import type { CallEventBody } from './call-events.ts';
import { assertNever } from './errors.ts';
import type { Log } from './log.ts';
import type { ProviderEvent } from './provider.ts';

/** Events about the session with the provider, not about what is said in it. */
export type ProviderNews = Extract<
  ProviderEvent,
  { type: 'usage' | 'expiring' | 'resumable' | 'warning' | 'error' | 'closed' }
>;

export interface ProviderNewsOptions {
  readonly log: Log;
  onUsage(event: Extract<ProviderEvent, { type: 'usage' }>): void;
}

/** Puts down what a provider says of its session. */
export function onProviderNews(
  event: ProviderNews,
  options: ProviderNewsOptions,
  counts: { providerErrors: number; providerWarnings: number },
): void {
  const { log } = options;
  switch (event.type) {
    case 'usage':
      log.debug({ usage: event.usage }, 'provider usage');
      options.onUsage(event);
      break;
    case 'warning':
      counts.providerWarnings += 1;
      log.warn({ code: event.code, pii: { detail: event.message } }, 'provider warning');
      break;
    case 'error':
      counts.providerErrors += 1;
      // A fatal one is logged by whoever looks for another provider.
      if (!event.fatal)
        log.error({ code: event.error.code, pii: { detail: event.error.message } }, 'provider error');
      break;
    case 'expiring':
    case 'resumable':
    case 'closed':
      // For whoever has a provider for the call.
      break;
    default:
      assertNever(event);
  }
}

/** What a provider's session has used, as an event of the call. `sessionModel`: that of the session */
export function usedEvent(
  { usage, model, seconds }: Extract<ProviderEvent, { type: 'usage' }>,
  provider: string,
  sessionModel: string | undefined,
): CallEventBody {
  const helper = model !== undefined;
  return { type: 'usage', provider, model: model ?? sessionModel, helper, usage, seconds };
}
