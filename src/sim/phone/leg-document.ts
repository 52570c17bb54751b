import { BridgeError } from '../../errors.ts';
import type { DriverContext } from './driver.ts';
import { type CallFact, EventLog } from './events.ts';
import { type DocumentRules, Script } from './script.ts';

/**
 * Runs an answer document on the other leg of a transfer before it is connected; `rules.method` and `url` say how it is
 * asked for. What the leg hears is logged as `leg-told`. Resolves to false when the document hangs up or is no good.
 */
export async function runLegDocument(
  rules: DocumentRules,
  { clock, log, desk, codes }: Pick<DriverContext, 'clock' | 'log' | 'desk' | 'codes'>,
  url: string,
  signal: AbortSignal,
): Promise<boolean> {
  const told = new LegLog(log, clock);
  const script = new Script(rules, {
    clock,
    log: told,
    desk,
    codes,
    webhookUrl: url,
    fallbackUrl: undefined,
    // The leg was taken before; streams and further legs are not for it.
    answer: () => {},
    openStream: () => Promise.resolve(undefined),
    listen: () => Promise.resolve({ end: 'gone', key: undefined, speechMs: 0 }),
    ring: () => Promise.resolve({ status: 'failed', durationMs: 0 }),
  });
  const hangUp = (): void => script.hangUp('caller');
  signal.addEventListener('abort', hangUp, { once: true });
  if (signal.aborted) hangUp();
  try {
    await script.run();
    return !told.hungUp;
  } catch (thrown) {
    log.warn(codes['http-failure'], BridgeError.from(thrown).message);
    return false;
  } finally {
    signal.removeEventListener('abort', hangUp);
  }
}

/** Hands on to the log of the call what concerns it. */
class LegLog extends EventLog {
  readonly #log: EventLog;
  hungUp = false;

  constructor(log: EventLog, clock: ConstructorParameters<typeof EventLog>[0]) {
    super(clock);
    this.#log = log;
  }

  override add(fact: CallFact): void {
    switch (fact.type) {
      case 'say':
        this.#log.add({ type: 'leg-told', text: fact.text });
        break;
      case 'play':
        this.#log.add({ type: 'leg-told', text: fact.digits ?? fact.url });
        break;
      case 'hangup':
      case 'reject':
        this.hungUp = true;
        break;
      default:
        break;
    }
  }

  override warn(code: string, text: string): void {
    this.#log.warn(code, text);
  }
}
