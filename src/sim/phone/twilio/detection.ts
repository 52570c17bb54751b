import type { Callback, CallHandle, DialOrder, Happening } from '../carrier-sim.ts';
import type { MachineResult } from '../events.ts';
import { pause } from '../pause.ts';
import { resolveUrl } from '../verbs.ts';
import { CODES } from './codes.ts';
import { textOf } from './orders.ts';

/** What `AnsweredBy` may say. */
export const ANSWERED_BY = [
  'human',
  'machine_start',
  'machine_end_beep',
  'machine_end_silence',
  'machine_end_other',
  'fax',
  'unknown',
] as const;

const DEFAULT_TIMEOUT_S = 30;

/**
 * Answering machine detection of one placed call. With `Enable` it tells a machine as soon as it is one; with
 * `DetectMessageEnd` it says nothing before the end of the greeting.
 */
export class Detection {
  readonly #call: CallHandle;
  readonly #order: DialOrder;
  #isTold = false;

  constructor(call: CallHandle, order: DialOrder) {
    this.#call = call;
    this.#order = order;
  }

  /** As it stands in requests and in the REST interface; undefined as long as nothing is known. */
  get answeredBy(): string | undefined {
    const { machine } = this.#call;
    return machine === undefined ? undefined : this.#word(machine);
  }

  /** The callback of a detection in the background. */
  tell({ result, afterMs }: Extract<Happening, { type: 'machine' }>): readonly Callback[] {
    if (this.#order.detection !== 'async') return [];
    const word = this.#word(result);
    if (word !== undefined) return this.#report(word, afterMs);
    this.#giveUpLater(afterMs);
    return [];
  }

  #word(result: MachineResult): string | undefined {
    const forced = ANSWERED_BY.find((word) => word === this.#call.options.settings?.['answeredBy']);
    const waits = result === 'machine' && this.#order.untilGreetingEnds;
    return waits ? undefined : (forced ?? WORDS[result]);
  }

  // A greeting without end.
  #giveUpLater(afterMs: number): void {
    const { clock, leaving } = this.#call;
    const limitMs = 1000 * Number(textOf(this.#order.fields['MachineDetectionTimeout']) ?? DEFAULT_TIMEOUT_S);
    pause(clock, limitMs - afterMs, leaving).then(
      () => {
        if (!leaving.aborted) this.#call.callBack(this.#report('unknown', limitMs));
      },
      () => {},
    );
  }

  #report(answeredBy: string, afterMs: number): readonly Callback[] {
    const { fields, url } = this.#order;
    const written = textOf(fields['AsyncAmdStatusCallback']);
    if (this.#isTold || written === undefined) return [];
    this.#isTold = true;
    const { accountId, callId } = this.#call.identity;
    const form = {
      AccountSid: accountId,
      CallSid: callId,
      AnsweredBy: answeredBy,
      MachineDetectionDuration: String(Math.round(afterMs)),
    };
    const method = textOf(fields['AsyncAmdStatusCallbackMethod']) === 'GET' ? 'GET' : 'POST';
    const address = resolveUrl(written, url ?? '', CODES);
    return [{ kind: 'machine', event: answeredBy, url: address, method, payload: { form } }];
  }
}

const WORDS: Readonly<Record<MachineResult, string>> = {
  human: 'human',
  machine: 'machine_start',
  'greeting-ended-beep': 'machine_end_beep',
  'greeting-ended-silence': 'machine_end_silence',
};
