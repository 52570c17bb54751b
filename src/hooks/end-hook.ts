import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Cancel, Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { hookFields } from './fields.ts';
import type { Outbox } from './outbox.ts';
import { DELIVERY_ID } from './outbox-files.ts';
import { type CallReport, type ReportRecording, trimReport, withRecording } from './report.ts';
import type { HookSecrets } from './secrets.ts';

/** `webhooks.end` and `endWebhook` of the agents file: where the report of a call goes. */
export const endHookSchema = z
  .strictObject({
    ...hookFields,
    transcript: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('False: what was said is left out.'),
    args: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('False: the arguments of functions are left out.'),
  })
  .describe('Told what became of a call, at least once.');

/** Where and what of it, as the agents file has it, complete. */
export type EndHookConfig = z.output<typeof endHookSchema>;

/** How long a report waits for the address of the recording, which carriers tell a while after the call. */
export const RECORDING_WAIT_MS = 60_000;

/** Recordings of calls whose report is not there yet, which is a matter of moments. */
const MAX_EARLY = 1000;

export interface EndHookDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly outbox: Pick<Outbox, 'add' | 'amend'>;
  readonly secrets: HookSecrets;
}

interface Held {
  readonly report: CallReport;
  readonly forget: Cancel;
}

/** Hands the reports of all calls to the outbox. A report that waits for its recording lies on the disk already. */
export class EndHook {
  readonly #deps: EndHookDeps;
  readonly #held = new Map<string, Held>();
  readonly #early = new Map<string, ReportRecording>();

  constructor(deps: EndHookDeps) {
    this.#deps = deps;
  }

  /**
   * Accepts the report of a call that is over; resolves when it is on the disk, and never rejects. `awaitRecording`: the
   * carrier was recording, so that it is held for up to `RECORDING_WAIT_MS`; `goesOnMs`: it goes on recording for so long.
   */
  async send(
    config: EndHookConfig,
    whole: CallReport,
    { awaitRecording, goesOnMs = 0 }: { readonly awaitRecording: boolean; readonly goesOnMs?: number },
  ): Promise<void> {
    const { clock, log, outbox, secrets } = this.#deps;
    const { url } = config;
    const { id } = whole.data;
    const report = trimReport(this.#withEarly(whole), config);
    const { recording } = report.data;
    const holdMs = awaitRecording && recording === null ? RECORDING_WAIT_MS + goesOnMs : 0;
    // The call may be older than the settings that are in force now.
    secrets.lend(deliveryId(id), config);
    if (holdMs > 0) {
      const forget = clock.after(holdMs, () => this.#held.delete(id));
      this.#held.set(id, { report, forget });
    }
    try {
      await outbox.add({ id: deliveryId(id), url, body: JSON.stringify(report), holdMs });
    } catch (error) {
      log.error({ err: error }, 'the report of a call could not be handed over');
    }
  }

  /** The carrier has told where the recording is. `id` is the bridge's own of the call. */
  recording(id: string, recording: ReportRecording): void {
    const held = this.#held.get(id);
    if (held === undefined) {
      this.#keepEarly(id, recording);
      return;
    }
    held.forget();
    this.#held.delete(id);
    const body = JSON.stringify(withRecording(held.report, recording));
    this.#deps.outbox.amend(deliveryId(id), body).catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'a recording could not be added to the report of a call');
    });
  }

  /** Waits for no recording any more; to be called before the outbox is closed, which then sends what was held. */
  close(): void {
    for (const { forget } of this.#held.values()) forget();
    this.#held.clear();
    this.#early.clear();
  }

  /** It may have come too late, or for a call that nobody reports: the oldest make room. */
  #keepEarly(id: string, recording: ReportRecording): void {
    this.#early.set(id, recording);
    const [oldest] = this.#early.keys();
    if (this.#early.size > MAX_EARLY && oldest !== undefined) this.#early.delete(oldest);
  }

  #withEarly(report: CallReport): CallReport {
    const { id, recording } = report.data;
    const early = this.#early.get(id);
    this.#early.delete(id);
    return recording !== null || early === undefined ? report : withRecording(report, early);
  }
}

/** The id itself where it can be the name of a file, which those of carriers may not be. */
function deliveryId(id: string): string {
  if (DELIVERY_ID.test(id)) return id;
  return `call_${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
}
