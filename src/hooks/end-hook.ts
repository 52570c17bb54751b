import { z } from 'zod';
import type { Cancel, Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { hookFields } from './fields.ts';
import type { Outbox } from './outbox.ts';
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

  constructor(deps: EndHookDeps) {
    this.#deps = deps;
  }

  /**
   * Accepts the report of a call that is over; resolves when it is on the disk, and never rejects. `awaitRecording`: the
   * carrier was recording, so that it is held for up to `RECORDING_WAIT_MS`.
   */
  async send(
    config: EndHookConfig,
    whole: CallReport,
    { awaitRecording }: { readonly awaitRecording: boolean },
  ): Promise<void> {
    const { clock, log, outbox, secrets } = this.#deps;
    const { url } = config;
    const report = trimReport(whole, config);
    const { id, recording } = report.data;
    const holdMs = awaitRecording && recording === null ? RECORDING_WAIT_MS : 0;
    // The call may be older than the settings that are in force now.
    if (secrets.secretFor(url) === undefined) secrets.learn(config);
    if (holdMs > 0) {
      const forget = clock.after(holdMs, () => this.#held.delete(id));
      this.#held.set(id, { report, forget });
    }
    try {
      await outbox.add({ id, url, body: JSON.stringify(report), holdMs });
    } catch (error) {
      log.error({ err: error }, 'the report of a call could not be handed over');
    }
  }

  /** The carrier has told where the recording is. `id` is the bridge's own of the call; one that is not waited for is ignored. */
  recording(id: string, recording: ReportRecording): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.forget();
    this.#held.delete(id);
    const body = JSON.stringify(withRecording(held.report, recording));
    this.#deps.outbox.amend(id, body).catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'a recording could not be added to the report of a call');
    });
  }

  /** Waits for no recording any more; to be called before the outbox is closed, which then sends what was held. */
  close(): void {
    for (const { forget } of this.#held.values()) forget();
    this.#held.clear();
  }
}
